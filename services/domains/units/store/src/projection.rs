//! Facts of a unit about itself become its row.

use kit_event::{Fact as Numbered, UnitId};
use kit_store::json::storable;
use kit_store::number::to_columns;
use kit_store::{Act, Entry, Projection, Seeded, Stale, Step, StoreError, Unapplied, Work};
use sqlx::PgConnection;
use sqlx::types::Json;
use units::{Fact, unit};

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Units;

impl Units {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "units";
}

const STEPS: &[Step] =
    &[Step { version: 1001, name: "unit", sql: include_str!("../migrations/1001_unit.sql") }];

impl Projection for Units {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn reads(&self, type_name: &str) -> bool {
        Fact::TYPES.contains(&type_name)
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }

    /// A unit withdraws its things, never itself.
    fn withdraw<'a>(&'a self, _: &'a mut PgConnection, _: &'a [Seeded]) -> Work<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn mark_stale<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        stale: &'a [Stale],
    ) -> Work<'a, ()> {
        Box::pin(mark_stale(connection, stale))
    }
}

/// What a fact says of its unit; the fields that it does not speak of stay.
struct Said {
    time_zone: String,
    agent_version: String,
    opened: Option<(Option<i64>, Option<String>)>,
    seeded: Option<bool>,
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut refused = Vec::new();
    // One by one: a unit says so few of these that a batch would gain nothing.
    for (index, entry) in entries.iter().enumerate() {
        let fact = &entry.fact;
        match Fact::read(&fact.type_name, &fact.body) {
            Ok(Some(about)) => match said(about, &fact.unit) {
                Ok(Some(said)) => write(connection, fact, &said).await?,
                Ok(None) => {}
                Err(cause) => refused.push(Unapplied { index, cause: cause.to_owned() }),
            },
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => {}
            Err(_) => {
                let cause = "the body does not read as its type".to_owned();
                refused.push(Unapplied { index, cause });
            }
        }
    }
    Ok(refused)
}

/// What a fact says of the unit's row, where it says anything.
fn said(fact: Fact, unit: &UnitId) -> Result<Option<Said>, &'static str> {
    let (about, said) = match fact {
        // It holds a number's place; the timeline shows it, the row has nothing of it.
        Fact::FactWithheld(it) => (it.unit_id, None),
        Fact::EpochOpened(it) => {
            let opened = Some((it.previous.map(i64::from), it.reason));
            let (time_zone, agent_version) = (it.time_zone, it.agent_version);
            (it.unit_id, Some(Said { time_zone, agent_version, opened, seeded: Some(false) }))
        }
        Fact::EpochSeeded(it) => {
            let (time_zone, agent_version) = (it.time_zone, it.agent_version);
            (it.unit_id, Some(Said { time_zone, agent_version, opened: None, seeded: Some(true) }))
        }
        Fact::UnitAmended(it) => {
            let (time_zone, agent_version) = (it.time_zone, it.agent_version);
            (it.unit_id, Some(Said { time_zone, agent_version, opened: None, seeded: None }))
        }
    };
    if about == *unit { Ok(said) } else { Err("the fact is about another unit") }
}

async fn write(
    connection: &mut PgConnection,
    fact: &Numbered,
    said: &Said,
) -> Result<(), StoreError> {
    let (epoch, seq) = to_columns(fact.seq)?;
    let plain = |text: &str| text.replace('\0', "\u{FFFD}");
    let (previous, reason) = said.opened.clone().unwrap_or_default();
    sqlx::query(
        "insert into unit as t (unit, epoch, seq, time_zone, agent_version, previous, reason,
                                seeded, state)
         values ($1, $2, $3, $4, $5, $6, $7, coalesce($8, false), $9)
         on conflict (unit) do update set epoch = excluded.epoch, seq = excluded.seq,
             time_zone = excluded.time_zone, agent_version = excluded.agent_version,
             previous = case when $10 then excluded.previous else t.previous end,
             reason = case when $10 then excluded.reason else t.reason end,
             seeded = coalesce($8, t.seeded), stale_epoch = null, stale_seq = null,
             state = excluded.state
         where (t.epoch, t.seq) < (excluded.epoch, excluded.seq)",
    )
    .bind(fact.unit.as_str())
    .bind(epoch)
    .bind(seq)
    .bind(plain(&said.time_zone))
    .bind(plain(&said.agent_version))
    .bind(previous)
    .bind(reason.as_deref().map(plain))
    .bind(said.seeded)
    .bind(Json(storable(&fact.body)))
    .bind(said.opened.is_some())
    .execute(connection)
    .await
    .writing("units")?;
    Ok(())
}

async fn mark_stale(connection: &mut PgConnection, stale: &[Stale]) -> Result<(), StoreError> {
    for one in stale.iter().filter(|one| one.resource == unit::RESOURCE) {
        let (epoch, seq) = to_columns(one.since)?;
        sqlx::query(
            "update unit set stale_epoch = $2, stale_seq = $3
             where unit = $1 and (epoch, seq) < ($2, $3) and stale_epoch is null",
        )
        .bind(one.unit.as_str())
        .bind(epoch)
        .bind(seq)
        .execute(&mut *connection)
        .await
        .writing("stale")?;
    }
    Ok(())
}
