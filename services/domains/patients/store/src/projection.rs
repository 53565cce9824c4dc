//! Facts about patients become rows.

use std::collections::HashMap;

use kit_event::Date;
use kit_store::json::searchable;
use kit_store::rows::{Columns, Stated, ThingTable, last_of_each};
use kit_store::{Act, Entry, Projection, Refused, Step, StoreError, Work};
use patients::{Fact, Patient, PatientFact};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::names;

/// Characters of a record number that are searched; an index entry has a greatest size.
pub(crate) const MRN_CHARS_MAX: usize = 120;

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patients;

impl Patients {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "patients";
}

const STEPS: &[Step] = &[
    Step { version: 1001, name: "patient", sql: include_str!("../migrations/1001_patient.sql") },
    Step {
        version: 1002,
        name: "patient_word",
        sql: include_str!("../migrations/1002_patient_word.sql"),
    },
    Step { version: 1003, name: "home", sql: include_str!("../migrations/1003_home.sql") },
    Step {
        version: 1004,
        name: "word in order",
        sql: include_str!("../migrations/1004_word_in_order.sql"),
    },
];

const THINGS: &[ThingTable] =
    &[ThingTable { name: "patient", thing: Patient::THING, key: "patient_id" }];

impl Projection for Patients {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn things(&self) -> &'static [ThingTable] {
        THINGS
    }

    fn reads(&self, type_name: &str) -> bool {
        PatientFact::parse(type_name).is_some()
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Refused>> {
        Box::pin(apply(connection, entries))
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Refused>, StoreError> {
    let mut refused = Vec::new();
    let mut stated = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match Fact::read(&entry.fact.type_name, &entry.fact.body) {
            Ok(Some(fact)) => {
                let removed = fact.removes();
                let Fact::Patient(_, patient) = fact;
                stated.push((
                    index,
                    Stated { entry, id: patient.patient_id, removed, thing: patient },
                ));
            }
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => {}
            // The parser's own words may quote the body.
            Err(_) => refused
                .push(Refused { index, cause: "the body does not read as a patient".to_owned() }),
        }
    }
    let homes = claim_homes(connection, &stated).await?;
    stated.retain(|(index, state)| {
        let at_home = homes.get(&state.id) == Some(&state.entry.fact.unit.to_string());
        if !at_home {
            let cause = "the patient id belongs to another unit".to_owned();
            refused.push(Refused { index: *index, cause });
        }
        at_home
    });
    let states = last_of_each(stated.into_iter().map(|(_, state)| state).collect());
    if !states.is_empty() {
        write(connection, &states).await?;
    }
    Ok(refused)
}

/// The unit of each patient: its own, where no other claimed the id before.
async fn claim_homes(
    connection: &mut PgConnection,
    stated: &[(usize, Stated<'_, Patient>)],
) -> Result<HashMap<Uuid, String>, StoreError> {
    let ids: Vec<Uuid> = stated.iter().map(|(_, state)| state.id).collect();
    let units: Vec<&str> = stated.iter().map(|(_, s)| s.entry.fact.unit.as_str()).collect();
    sqlx::query(
        "insert into home (patient_id, unit) select * from unnest($1::uuid[], $2::text[])
         on conflict do nothing",
    )
    .bind(&ids)
    .bind(units)
    .execute(&mut *connection)
    .await
    .writing("homes")?;
    let homes: Vec<(Uuid, String)> =
        sqlx::query_as("select patient_id, unit from home where patient_id = any($1)")
            .bind(&ids)
            .fetch_all(connection)
            .await
            .reading("homes")?;
    Ok(homes.into_iter().collect())
}

/// Words first: the old row still tells which of them to take away.
async fn write(
    connection: &mut PgConnection,
    states: &[Stated<'_, Patient>],
) -> Result<(), StoreError> {
    let columns = Columns::of(states)?;
    let words: Vec<String> = states.iter().map(|s| words_of(&s.thing)).collect();
    let sort_names: Vec<String> = states.iter().map(|s| sort_name_of(&s.thing)).collect();
    sqlx::query(
        "delete from patient_word w using (
             select p.unit, p.patient_id, p.sort_name, old.word
             from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])
                  as n(unit, patient_id, epoch, seq, words, sort_name)
             join patient p on p.unit = n.unit and p.patient_id = n.patient_id
             cross join lateral string_to_table(p.words, ' ') as old(word)
             where (p.words <> n.words or p.sort_name <> n.sort_name)
                   and (p.epoch, p.seq) < (n.epoch, n.seq)) gone
         where w.unit = gone.unit and w.word = gone.word and w.sort_name = gone.sort_name
               and w.patient_id = gone.patient_id",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(&words)
    .bind(&sort_names)
    .execute(&mut *connection)
    .await
    .writing("patient words")?;
    upsert(connection, &columns, states, &words, &sort_names).await?;
    sqlx::query(
        "insert into patient_word (unit, word, sort_name, patient_id)
         select p.unit, new.word, p.sort_name, p.patient_id
         from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[])
              as n(unit, patient_id, epoch, seq)
         join patient p on p.unit = n.unit and p.patient_id = n.patient_id
              and p.epoch = n.epoch and p.seq = n.seq
         cross join lateral string_to_table(p.words, ' ') as new(word)
         where new.word <> ''
         on conflict do nothing",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .execute(connection)
    .await
    .writing("patient words")?;
    Ok(())
}

async fn upsert(
    connection: &mut PgConnection,
    columns: &Columns<'_>,
    states: &[Stated<'_, Patient>],
    words: &[String],
    sort_names: &[String],
) -> Result<(), StoreError> {
    let births = states.iter().map(|s| s.thing.birth_date.map(Date::to_naive));
    let mrns = states.iter().map(|s| s.thing.mrn.as_deref().map(|m| searchable(m, MRN_CHARS_MAX)));
    sqlx::query(
        "insert into patient as t (unit, patient_id, epoch, seq, sort_name, words, birth_date, mrn,
                                   removed, state)
         select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[],
                              $6::text[], $7::date[], $8::text[], $9::bool[], $10::jsonb[])
         on conflict (unit, patient_id) do update set
             epoch = excluded.epoch, seq = excluded.seq, sort_name = excluded.sort_name,
             words = excluded.words, birth_date = excluded.birth_date, mrn = excluded.mrn,
             removed = excluded.removed, withdrawn = false, stale_epoch = null,
             stale_seq = null, state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(&columns.units)
    .bind(&columns.ids)
    .bind(&columns.epochs)
    .bind(&columns.seqs)
    .bind(sort_names)
    .bind(words)
    .bind(births.collect::<Vec<_>>())
    .bind(mrns.collect::<Vec<_>>())
    .bind(&columns.removed)
    .bind(&columns.states)
    .execute(connection)
    .await
    .writing("patients")?;
    Ok(())
}

fn words_of(patient: &Patient) -> String {
    names::stored_words(patient.family_name.as_deref(), patient.given_name.as_deref()).join(" ")
}

fn sort_name_of(patient: &Patient) -> String {
    names::sort_name(patient.family_name.as_deref(), patient.given_name.as_deref())
}
