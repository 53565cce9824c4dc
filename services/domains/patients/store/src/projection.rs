//! Facts about patients become rows.

use kit_event::Date;
use kit_store::json::searchable;
use kit_store::rows::{Columns, ResourceTable, Searched, Stated, last_of_each, upsert};
use kit_store::{Act, Entry, Projection, Step, StoreError, Unapplied, Work};
use patients::{Fact, Patient, PatientFact};
use sqlx::PgConnection;

use crate::{homes, names};

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
    Step {
        version: 1005,
        name: "home claimed",
        sql: include_str!("../migrations/1005_home_claimed.sql"),
    },
];

const PATIENT: ResourceTable = ResourceTable {
    name: "patient",
    resource: Patient::RESOURCE,
    key: "patient_id",
    searched: &[
        Searched("sort_name", "text"),
        Searched("words", "text"),
        Searched("birth_date", "date"),
        Searched("mrn", "text"),
    ],
};

const RESOURCES: &[ResourceTable] = &[PATIENT];

impl Projection for Patients {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn resources(&self) -> &'static [ResourceTable] {
        RESOURCES
    }

    fn reads(&self, type_name: &str) -> bool {
        PatientFact::parse(type_name).is_some()
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut refused = Vec::new();
    let mut stated = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match Fact::read(&entry.fact.type_name, &entry.fact.body) {
            Ok(Some(fact)) => {
                let removed = fact.removes();
                let Fact::Patient(_, patient) = fact;
                stated.push((
                    index,
                    Stated { entry, id: patient.patient_id, removed, resource: patient },
                ));
            }
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => {}
            // The parser's own words may quote the body.
            Err(_) => refused
                .push(Unapplied { index, cause: "the body does not read as a patient".to_owned() }),
        }
    }
    let homes = homes::claim(connection, &stated).await?;
    stated.retain(|(index, state)| {
        let at_home = homes.get(&state.id) == Some(&state.entry.fact.unit.to_string());
        if !at_home {
            let cause = "the patient id belongs to another unit".to_owned();
            refused.push(Unapplied { index: *index, cause });
        }
        at_home
    });
    let states = last_of_each(stated.into_iter().map(|(_, state)| state).collect());
    if !states.is_empty() {
        write(connection, in_order(states)).await?;
    }
    Ok(refused)
}

/// The states in the order of lists, each behind its name in that order. New rows are laid down as
/// they come, so the neighbours of a list that one batch brings share pages from then on: a clinic
/// states thousands of patients when it joins, in the order of their ids, and is read by name.
fn in_order(states: Vec<Stated<'_, Patient>>) -> Vec<(String, Stated<'_, Patient>)> {
    let named = states.into_iter().map(|state| (sort_name_of(&state.resource), state));
    let mut named: Vec<_> = named.collect();
    named.sort_by(|(a_name, a), (b_name, b)| {
        let (a_unit, b_unit) = (a.entry.fact.unit.as_str(), b.entry.fact.unit.as_str());
        (a_unit, a_name, a.id).cmp(&(b_unit, b_name, b.id))
    });
    named
}

/// Words first: the old row still tells which of them to take away.
async fn write(
    connection: &mut PgConnection,
    named: Vec<(String, Stated<'_, Patient>)>,
) -> Result<(), StoreError> {
    let (sort_names, states): (Vec<String>, Vec<_>) = named.into_iter().unzip();
    let columns = Columns::of(&states)?;
    let words: Vec<String> = states.iter().map(|s| words_of(&s.resource)).collect();
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
    let births = states.iter().map(|s| s.resource.birth_date.map(Date::to_naive));
    let mrns =
        states.iter().map(|s| s.resource.mrn.as_deref().map(|m| searchable(m, MRN_CHARS_MAX)));
    upsert(connection, &PATIENT, &columns, |query| {
        let (births, mrns): (Vec<_>, Vec<_>) = (births.collect(), mrns.collect());
        query.bind(&sort_names).bind(&words).bind(births).bind(mrns)
    })
    .await?;
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

fn words_of(patient: &Patient) -> String {
    names::stored_words(patient.family_name.as_deref(), patient.given_name.as_deref()).join(" ")
}

fn sort_name_of(patient: &Patient) -> String {
    names::sort_name(patient.family_name.as_deref(), patient.given_name.as_deref())
}
