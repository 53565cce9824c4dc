//! One transaction for a batch: rows, numbers, held records and offsets, or nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use kit_bus::{Bus, RawRecord};
use kit_event::{Timestamp, UnitId, UnitSeq};
use kit_store::projection::{accept_one_by_one, apply_one_by_one};
use kit_store::{
    Act as _, Advance, EPOCH_SEEDED, Entry, Projection, Seeded, Stale, StoreError, Unapplied,
    progress,
};
use sqlx::{Connection as _, PgConnection};

use crate::alarm;
use crate::error::SessionError;
use crate::intake::{self, Looked};
use crate::lazy_record::LazyRecord;
use crate::plan::{Cause, Last, Plan, Readings, Step, over};
use crate::traced;
use uuid::Uuid;

/// Records parked side by side: a batch of nothing else must not keep its transaction open long.
const PARKS_AT_ONCE: usize = 64;

/// What is written, read together before anything is.
struct Work<'a> {
    plan: &'a Plan,
    readings: &'a Readings,
    advances: &'a [Advance],
    /// The facts that this domain reads, with the records that they came in.
    entries: Vec<Entry>,
    lazy_records: Vec<Arc<LazyRecord>>,
    seeded: Vec<Seeded>,
    times: HashMap<&'a UnitId, Timestamp>,
    holds: Vec<kit_store::HeldRecord>,
    gone: Vec<(UnitId, UnitSeq)>,
    parks: Vec<(Arc<LazyRecord>, Cause)>,
}

/// Where a domain writes.
pub(crate) struct Writer<'a> {
    pub bus: &'a Bus,
    pub projection: &'static dyn Projection,
    pub connection: &'a mut PgConnection,
    /// Which copy of the domain's tables.
    pub copy: Uuid,
    /// Whether records are set aside aloud; whoever reads again what was read before does not.
    pub is_silent: bool,
}

/// A fact that became visible with a commit.
pub(crate) struct Seen {
    /// When the clinic stated it.
    pub time: Timestamp,
    /// When it came to lie on the log.
    pub logged_ms: i64,
}

impl Writer<'_> {
    /// Commits what `plan` says.
    pub async fn commit(
        &mut self,
        mut plan: Plan,
        readings: &Readings,
        advances: &[Advance],
    ) -> Result<Vec<Seen>, SessionError> {
        let since = Instant::now();
        let steps = std::mem::take(&mut plan.steps);
        let holds = std::mem::take(&mut plan.holds);
        let mut work = Work {
            plan: &plan,
            readings,
            advances,
            entries: Vec::with_capacity(steps.len()),
            lazy_records: Vec::with_capacity(steps.len()),
            seeded: Vec::new(),
            times: HashMap::new(),
            holds: holds.into_values().map(intake::to_held).collect(),
            gone: plan.gone.iter().chain(&plan.abandoned).cloned().collect(),
            parks: plan.parks.clone(),
        };
        self.resolve(&mut work, steps).await?;
        match self.attempt(&work, false).await {
            Err(SessionError::Store(error)) if error.is_refused_data() => {
                tracing::warn!(
                    domain = self.projection.schema(),
                    "postgres refused a batch; its facts are tried one by one"
                );
                self.attempt(&work, true).await?;
            }
            outcome => outcome?,
        }
        if !self.is_silent {
            traced::applied(self.projection.schema(), &work.entries, since);
        }
        Ok(seen(&work))
    }

    /// Reads what waits in `held` and is due now. It is this process's own, so it may be read
    /// before the transaction that takes it away.
    async fn resolve(&mut self, work: &mut Work<'_>, steps: Vec<Step>) -> Result<(), SessionError> {
        let mut held = self.read_held(&work.gone).await?;
        for (unit, last) in &work.plan.touched {
            let time = match last {
                Some(Last::At(time)) => Some(*time),
                Some(Last::Held(seq)) => held.get(&(unit.clone(), *seq)).and_then(time_of),
                None => None,
            };
            work.times.extend(time.map(|time| (unit, time)));
        }
        for step in steps {
            match step {
                Step::Fresh { fact, lazy_record } => self.add(work, fact, lazy_record),
                Step::Held(unit, seq) => {
                    let Some(record) = held.remove(&(unit, seq)) else {
                        return Err(StoreError::Unreadable { what: "held record" }.into());
                    };
                    match intake::look(self.bus, self.projection, LazyRecord::of(record)).await? {
                        Looked::Numbered(looked) => {
                            if let Some(fact) = looked.fact {
                                self.add(work, fact, looked.lazy_record);
                            }
                        }
                        // It opened when it was held, so this is no fault of the record alone.
                        Looked::Unreadable { lazy_record, cause, .. } => {
                            work.parks
                                .push((lazy_record, Cause { kind: "unreadable", text: cause }));
                        }
                    }
                }
            }
        }
        if self.projection.is_coordinator() {
            let gone = work.plan.abandoned.iter().filter_map(|key| held.remove(key));
            work.parks.extend(gone.map(|record| (LazyRecord::of(record), over())));
        }
        Ok(())
    }

    async fn read_held(
        &mut self,
        keys: &[(UnitId, UnitSeq)],
    ) -> Result<HashMap<(UnitId, UnitSeq), RawRecord>, StoreError> {
        let mut ranges: HashMap<&UnitId, (UnitSeq, UnitSeq)> = HashMap::new();
        for (unit, seq) in keys {
            let range = ranges.entry(unit).or_insert((*seq, *seq));
            *range = (range.0.min(*seq), range.1.max(*seq));
        }
        let mut held = HashMap::new();
        for (unit, (first, last)) in ranges {
            for record in progress::read_held(self.connection, unit, first, last).await? {
                held.insert((unit.clone(), record.seq), intake::from_held(record));
            }
        }
        Ok(held)
    }

    fn add(&self, work: &mut Work<'_>, fact: Arc<kit_event::Fact>, lazy_record: Arc<LazyRecord>) {
        if fact.type_name == EPOCH_SEEDED {
            work.seeded.extend(Seeded::of(&fact));
        }
        if self.projection.reads(&fact.type_name) {
            let (partition, offset) = (lazy_record.record.partition, lazy_record.record.offset);
            let logged_ms = lazy_record.record.timestamp_ms;
            work.entries.push(Entry { fact, partition, offset, logged_ms });
            work.lazy_records.push(lazy_record);
        }
    }

    /// Offsets first: whoever reads for the same domain finds out before it has written anything.
    async fn attempt(&mut self, work: &Work<'_>, is_careful: bool) -> Result<(), SessionError> {
        let (projection, copy) = (self.projection, self.copy);
        let mut transaction = self.connection.begin().await.writing("transaction")?;
        let connection: &mut PgConnection = &mut transaction;
        progress::advance_copy(connection, copy, work.advances).await?;
        let mut refused = Vec::new();
        if is_careful {
            refused = apply_one_by_one(projection, connection, &work.entries).await?;
        } else if !work.entries.is_empty() {
            refused = projection.apply(connection, &work.entries).await?;
        }
        if !work.seeded.is_empty() {
            projection.withdraw(connection, &work.seeded).await?;
        }
        let stale: Vec<Stale> =
            refused.iter().filter_map(|one| Stale::of(&work.entries[one.index].fact)).collect();
        if !stale.is_empty() {
            projection.mark_stale(connection, &stale).await?;
        }
        let unaccepted = accept(projection, connection, work, is_careful).await?;
        save_progress(connection, work).await?;
        if !self.is_silent {
            self::park(self.bus, projection.schema(), work, &refused, &unaccepted).await?;
        }
        transaction.commit().await.writing("transaction")?;
        Ok(())
    }
}

async fn accept(
    projection: &dyn Projection,
    connection: &mut PgConnection,
    work: &Work<'_>,
    is_careful: bool,
) -> Result<Vec<Unapplied>, StoreError> {
    let asked = &work.plan.asked;
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if is_careful {
        return accept_one_by_one(projection, connection, asked).await;
    }
    projection.accept(connection, asked).await.map(|()| Vec::new())
}

async fn save_progress(connection: &mut PgConnection, work: &Work<'_>) -> Result<(), StoreError> {
    if !work.plan.forks.is_empty() {
        kit_timeline::repair::note_forks(connection, &work.plan.forks).await?;
    }
    if !work.gone.is_empty() {
        progress::drop_held(connection, &work.gone).await?;
    }
    if !work.holds.is_empty() {
        progress::keep_held(connection, &work.holds).await?;
    }
    let units = work.plan.touched.keys();
    let readings: Vec<_> = units
        .filter_map(|unit| Some((unit, work.readings.get(unit)?, work.times.get(unit).copied())))
        .collect();
    if !readings.is_empty() {
        progress::save_readings(connection, &readings).await?;
    }
    Ok(())
}

/// Sets records aside before the offsets move past them; a repeat after a crash parks them twice,
/// under the same id.
async fn park(
    bus: &Bus,
    domain: &'static str,
    work: &Work<'_>,
    refused: &[Unapplied],
    unaccepted: &[Unapplied],
) -> Result<(), SessionError> {
    let cause = |text: &str| Cause::new("refused", text);
    let facts = refused.iter().map(|one| (&work.lazy_records[one.index], cause(&one.cause)));
    let requests =
        unaccepted.iter().map(|one| (&work.plan.asked_records[one.index], cause(&one.cause)));
    let others = work.parks.iter().map(|(lazy_record, cause)| (lazy_record, cause.clone()));
    let all: Vec<_> = others.chain(facts).chain(requests).collect();
    for some in all.chunks(PARKS_AT_ONCE) {
        try_join_all(
            some.iter()
                .map(|(lazy_record, cause)| park_one(bus, domain, &lazy_record.record, cause)),
        )
        .await?;
    }
    Ok(())
}

async fn park_one(
    bus: &Bus,
    domain: &'static str,
    record: &RawRecord,
    cause: &Cause,
) -> Result<(), SessionError> {
    let (topic, partition, offset) = (record.topic, record.partition, record.offset);
    match bus.park(record, &cause.text).await {
        Ok(_) => alarm::parked(domain, topic.as_str(), partition, offset, cause),
        // A copy with its cause is a little larger than the record, and may be too large.
        Err(error) if error.is_refused() => {
            alarm::not_parked(domain, topic.as_str(), partition, offset);
        }
        Err(error) => {
            let source = Box::new(error);
            return Err(SessionError::Park { topic, partition, offset, source });
        }
    }
    Ok(())
}

/// What readers see from now on that the clinic has just stated; a snapshot tells of what was.
fn seen(work: &Work<'_>) -> Vec<Seen> {
    let told = work.entries.iter().zip(&work.lazy_records);
    let fresh = told.filter(|(entry, _)| !entry.fact.type_name.ends_with("_snapshot"));
    fresh
        .map(|(entry, lazy_record)| Seen {
            time: entry.fact.time,
            logged_ms: lazy_record.record.timestamp_ms,
        })
        .collect()
}

fn time_of(record: &RawRecord) -> Option<Timestamp> {
    record.header(kit_bus::headers::TIME)?.parse().ok()
}
