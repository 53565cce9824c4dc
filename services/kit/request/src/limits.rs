//! What one caller may ask in a while: rates by token buckets, and how many live queries wait at
//! once. A unit works for everybody who asks it, so nobody may take all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kit_event::UnitId;
use kit_token::{Kind, Verified};

use crate::NotSent;

/// Open requests of one patient: nobody has more appointments to move at once.
const PATIENT_OPEN_MAX: u32 = 20;
/// Open requests of any other caller, as a fifth of what a unit holds by default.
const OTHER_OPEN_MAX: u32 = 2_000;
/// This part of a unit's queue is kept free of patients, so that its staff can always ask.
const RESERVE_OF_STAFF: u32 = 4;
/// Live queries of one patient that wait at once.
const PATIENT_QUERIES_MAX: usize = 4;
/// Live queries of any other caller that wait at once.
const OTHER_QUERIES_MAX: usize = 16;
/// Live queries of all patients of a unit that wait at once: half of what an agent holds.
const UNIT_PATIENT_QUERIES_MAX: usize = 16;
/// Reads of one patient that are under way at once: an app that opens all its pages.
const PATIENT_READS_MAX: usize = 16;
/// Reads of any other caller that are under way at once. All of them together keep nobody else
/// waiting for longer than a few milliseconds.
const OTHER_READS_MAX: usize = 128;
/// Callers remembered at once; about 200 bytes each. Those whose bucket is full are forgotten.
const CALLERS_MAX: usize = 50_000;

/// What is bounded by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// A command to a unit.
    Write,
    /// A cancel of one.
    Cancel,
    /// A live query.
    Query,
}

/// How much at once, and how much for each second after that.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    each_second: f64,
}

const fn rate(kind: Kind, act: Act) -> Rate {
    match (kind, act) {
        (Kind::Patient, Act::Write | Act::Cancel) => Rate { burst: 30.0, each_second: 0.5 },
        (Kind::Patient, Act::Query) => Rate { burst: 30.0, each_second: 1.0 },
        (_, Act::Write) => Rate { burst: 2_000.0, each_second: 500.0 },
        (_, Act::Cancel | Act::Query) => Rate { burst: 500.0, each_second: 100.0 },
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.each_second).min(rate.burst);
        self.filled_at = now;
    }
}

type Principal = (String, String);

#[derive(Default)]
struct Table {
    buckets: HashMap<(Principal, Act), (Kind, Bucket)>,
    reads: HashMap<Principal, usize>,
    queries: HashMap<Principal, usize>,
    patient_queries: HashMap<UnitId, usize>,
}

/// What callers have left; clones share it.
#[derive(Clone, Default)]
pub struct Limits(Arc<Mutex<Table>>);

/// The place of a read that is under way; dropping it gives it back.
pub struct ReadPlace {
    limits: Limits,
    principal: Principal,
}

/// The place of a live query that waits; dropping it gives it back.
pub struct QueryPlace {
    limits: Limits,
    principal: Principal,
    of_patients: Option<UnitId>,
}

/// Open requests that one caller of this kind may have at a unit.
#[must_use]
pub const fn open_max(kind: Kind) -> u32 {
    match kind {
        Kind::Patient => PATIENT_OPEN_MAX,
        Kind::Staff | Kind::Partner | Kind::Admin | Kind::Agent => OTHER_OPEN_MAX,
    }
}

/// How full a unit's queue may be before a caller of this kind is refused.
#[must_use]
pub const fn queue_max(kind: Kind, unit_queue_max: u32) -> u32 {
    match kind {
        Kind::Patient => unit_queue_max - unit_queue_max / RESERVE_OF_STAFF,
        Kind::Staff | Kind::Partner | Kind::Admin | Kind::Agent => unit_queue_max,
    }
}

impl Limits {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one act from what the caller has left.
    ///
    /// # Errors
    /// [`NotSent::TooMany`].
    pub fn spend(&self, caller: &Verified, act: Act, now: Instant) -> Result<(), NotSent> {
        let rate = rate(caller.kind, act);
        let mut table = self.table();
        if table.buckets.len() >= CALLERS_MAX {
            table.forget_full(now);
        }
        let key = (principal(caller), act);
        let fresh = || (caller.kind, Bucket { tokens: rate.burst, filled_at: now });
        let (_, bucket) = table.buckets.entry(key).or_insert_with(fresh);
        bucket.fill(rate, now);
        if bucket.tokens < 1.0 {
            return Err(NotSent::TooMany("this caller asks faster than it may"));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    /// A place for a read.
    ///
    /// # Errors
    /// [`NotSent::TooMany`].
    pub fn read(&self, caller: &Verified) -> Result<ReadPlace, NotSent> {
        let is_patient = caller.kind == Kind::Patient;
        let most = if is_patient { PATIENT_READS_MAX } else { OTHER_READS_MAX };
        let principal = principal(caller);
        let mut table = self.table();
        let count = table.reads.entry(principal.clone()).or_default();
        if *count >= most {
            return Err(NotSent::TooMany("too many reads of this caller are under way"));
        }
        *count += 1;
        drop(table);
        Ok(ReadPlace { limits: self.clone(), principal })
    }

    /// A place for a live query to `unit`.
    ///
    /// # Errors
    /// [`NotSent::TooMany`].
    pub fn query(&self, caller: &Verified, unit: &UnitId) -> Result<QueryPlace, NotSent> {
        let principal = principal(caller);
        let is_patient = caller.kind == Kind::Patient;
        let own_max = if is_patient { PATIENT_QUERIES_MAX } else { OTHER_QUERIES_MAX };
        let mut table = self.table();
        let own = table.queries.get(&principal).copied().unwrap_or_default();
        let of_unit = table.patient_queries.get(unit).copied().unwrap_or_default();
        if own >= own_max || (is_patient && of_unit >= UNIT_PATIENT_QUERIES_MAX) {
            return Err(NotSent::TooMany("too many live queries wait already"));
        }
        table.queries.insert(principal.clone(), own + 1);
        if is_patient {
            table.patient_queries.insert(unit.clone(), of_unit + 1);
        }
        let of_patients = is_patient.then(|| unit.clone());
        Ok(QueryPlace { limits: self.clone(), principal, of_patients })
    }
}

fn principal(caller: &Verified) -> Principal {
    (caller.issuer.clone(), caller.subject.clone())
}

impl Table {
    /// Where even that leaves no room, everybody begins anew: better than no memory at all, and
    /// 50,000 callers within a minute are not one caller's doing.
    fn forget_full(&mut self, now: Instant) {
        self.buckets.retain(|(_, act), (kind, bucket)| {
            let rate = rate(*kind, *act);
            bucket.fill(rate, now);
            bucket.tokens < rate.burst
        });
        if self.buckets.len() >= CALLERS_MAX {
            self.buckets.clear();
        }
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for ReadPlace {
    fn drop(&mut self) {
        less(&mut self.limits.table().reads, &self.principal);
    }
}

impl Drop for QueryPlace {
    fn drop(&mut self) {
        let mut table = self.limits.table();
        less(&mut table.queries, &self.principal);
        if let Some(unit) = &self.of_patients {
            less(&mut table.patient_queries, unit);
        }
    }
}
