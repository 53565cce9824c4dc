//! Who listens: the places of open streams, their bounds, and how they are woken.
//!
//! A place is taken when a stream opens and given back when it ends, however it ends. Streams hold
//! no facts here: they are told that there is news, and read it themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit_event::{UnitId, UnitSeq};
use kit_http::Problem;
use kit_rest::problems::{STREAMS_FULL, TOO_MANY_STREAMS, retry};
use kit_timeline::Concerned;
use kit_token::Verified;
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use crate::metrics::STREAMS;

/// Streams of one gateway: less than half of the connections that it serves, so that streams can
/// never keep calls out.
const TOTAL_MAX: usize = 4_000;
/// Streams of one caller: some tabs and devices of a person, or a partner's worker for each unit.
const PER_CALLER_MAX: usize = 64;
/// A reader that takes nothing for so long is closed. It then has at most one chunk before it,
/// which even a poor mobile line takes in half of that.
const SLOW_AFTER: Duration = Duration::from_secs(30);
/// What is silent for longer some proxies cut.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// How long the last words may take before the connection itself is cut.
const CUT_AFTER: Duration = Duration::from_secs(5);
/// Pages that streams read at once: not half of the pool, so that reads at REST find the rest free.
const PAGES_AT_ONCE: usize = 3;
/// When a caller that met a bound should try again, in seconds.
const FULL_RETRY_SECONDS: &str = "5";

/// What bounds the streams of a gateway.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// In total.
    pub total_max: usize,
    /// Of one caller.
    pub per_caller_max: usize,
    /// After which a reader that takes nothing is closed.
    pub slow_after: Duration,
    /// Between two signs of life.
    pub heartbeat_every: Duration,
    /// Between the last words and the end of the connection.
    pub cut_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            total_max: TOTAL_MAX,
            per_caller_max: PER_CALLER_MAX,
            slow_after: SLOW_AFTER,
            heartbeat_every: HEARTBEAT_EVERY,
            cut_after: CUT_AFTER,
        }
    }
}

/// Counts what a stream was woken for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Woken {
    /// New facts, perhaps.
    pub facts: u64,
    /// Deadlines that passed.
    pub overdue: u64,
}

/// The places; clones share them.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    table: Mutex<Table>,
    /// Somebody came.
    came: Notify,
    pages: Semaphore,
}

#[derive(Default)]
struct Table {
    total: usize,
    of_caller: HashMap<Principal, usize>,
    units: HashMap<UnitId, Listeners>,
}

type Principal = (String, String);

#[derive(Default)]
struct Listeners {
    whole: Option<Wake>,
    patients: HashMap<Uuid, Wake>,
    seen: UnitSeq,
    seen_of_patients: UnitSeq,
}

struct Wake {
    sender: watch::Sender<Woken>,
    streams: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self::bounded(Bounds::default())
    }
}

impl Streams {
    /// No stream yet.
    #[must_use]
    pub fn bounded(bounds: Bounds) -> Self {
        let (table, came) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { bounds, table, came, pages: Semaphore::new(PAGES_AT_ONCE) }))
    }

    /// What bounds them.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.0.bounds
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place at a unit, or at one patient of it.
    ///
    /// # Errors
    /// `too-many-streams`, `streams-full`.
    pub fn enter(
        &self,
        caller: &Verified,
        unit: &UnitId,
        patient: Option<Uuid>,
    ) -> Result<Place, Problem> {
        let principal = (caller.issuer.clone(), caller.subject.clone());
        let mut table = self.table();
        if table.of_caller.get(&principal).is_some_and(|n| *n >= self.0.bounds.per_caller_max) {
            return Err(retry(TOO_MANY_STREAMS.into(), FULL_RETRY_SECONDS));
        }
        if table.total >= self.0.bounds.total_max {
            return Err(retry(STREAMS_FULL.into(), FULL_RETRY_SECONDS));
        }
        table.total += 1;
        *table.of_caller.entry(principal.clone()).or_default() += 1;
        let listeners = table.units.entry(unit.clone()).or_default();
        let wake = match patient {
            None => listeners.whole.get_or_insert_with(Wake::new),
            Some(patient) => listeners.patients.entry(patient).or_insert_with(Wake::new),
        };
        wake.streams += 1;
        let news = wake.sender.subscribe();
        drop(table);
        STREAMS.get().increment(1.0);
        self.0.came.notify_one();
        Ok(Place { streams: self.clone(), principal, unit: unit.clone(), patient, news })
    }

    /// How many streams are open, of whole units and of patients.
    #[must_use]
    pub fn open_places(&self) -> (usize, usize) {
        let table = self.table();
        let whole = table.units.values().filter_map(|l| Some(l.whole.as_ref()?.streams)).sum();
        (whole, table.total - whole)
    }

    /// Leave to read a page, given to a few at a time.
    pub async fn page_turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.0.pages.acquire().await.ok()
    }

    /// Returns when there is somebody to watch for.
    pub(crate) async fn somebody(&self) {
        while self.table().total == 0 {
            self.0.came.notified().await;
        }
    }

    /// The units with streams of the whole, and those with streams of patients.
    pub(crate) fn units(&self) -> (Vec<UnitId>, Vec<UnitId>) {
        let table = self.table();
        let named = |of: fn(&Listeners) -> bool| {
            table.units.iter().filter(|(_, l)| of(l)).map(|(unit, _)| unit.clone()).collect()
        };
        (named(|l| l.whole.is_some()), named(|l| !l.patients.is_empty()))
    }

    /// Wakes the streams of a unit where its timeline has moved to `seq`.
    pub(crate) fn unit_is_at(&self, unit: &UnitId, seq: UnitSeq) {
        if let Some(listeners) = self.table().units.get_mut(unit)
            && listeners.seen != seq
        {
            listeners.seen = seq;
            if let Some(wake) = &listeners.whole {
                wake.facts();
            }
        }
    }

    /// How far the streams of a unit's patients were woken.
    pub(crate) fn patients_woken_to(&self, unit: &UnitId) -> UnitSeq {
        self.table().units.get(unit).map(|l| l.seen_of_patients).unwrap_or_default()
    }

    /// Wakes the streams of the patients whom the facts of a unit up to `seq` may concern.
    pub(crate) fn patients_are_at(&self, unit: &UnitId, seq: UnitSeq, concerned: &Concerned) {
        let mut table = self.table();
        let Some(listeners) = table.units.get_mut(unit) else { return };
        listeners.seen_of_patients = seq;
        match concerned {
            Concerned::Anybody => listeners.patients.values().for_each(Wake::facts),
            Concerned::These(these) => {
                these.iter().filter_map(|id| listeners.patients.get(id)).for_each(Wake::facts);
            }
        }
    }

    /// Wakes the streams of a patient whose request ran out of time; all of the unit's where the
    /// request names nobody.
    pub(crate) fn ran_out(&self, unit: &UnitId, patient: Option<Uuid>) {
        let table = self.table();
        let Some(listeners) = table.units.get(unit) else { return };
        match patient {
            Some(patient) => listeners.patients.get(&patient).into_iter().for_each(Wake::overdue),
            None => listeners.patients.values().for_each(Wake::overdue),
        }
    }
}

impl Wake {
    fn new() -> Self {
        Self { sender: watch::Sender::new(Woken::default()), streams: 0 }
    }

    fn facts(&self) {
        self.sender.send_modify(|woken| woken.facts += 1);
    }

    fn overdue(&self) {
        self.sender.send_modify(|woken| woken.overdue += 1);
    }
}

/// A stream's place; dropping it gives it back.
pub struct Place {
    streams: Streams,
    principal: Principal,
    unit: UnitId,
    patient: Option<Uuid>,
    /// Changes when there may be news. Taken before a page is read, it cannot miss any.
    pub news: watch::Receiver<Woken>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.streams.table();
        table.total -= 1;
        if let Some(count) = table.of_caller.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                table.of_caller.remove(&self.principal);
            }
        }
        if let Some(listeners) = table.units.get_mut(&self.unit) {
            listeners.leave(self.patient);
            if listeners.whole.is_none() && listeners.patients.is_empty() {
                table.units.remove(&self.unit);
            }
        }
        drop(table);
        STREAMS.get().decrement(1.0);
    }
}

impl Listeners {
    fn leave(&mut self, patient: Option<Uuid>) {
        let wake = match &patient {
            None => self.whole.as_mut(),
            Some(patient) => self.patients.get_mut(patient),
        };
        let Some(wake) = wake else { return };
        wake.streams -= 1;
        if wake.streams > 0 {
            return;
        }
        match patient {
            None => self.whole = None,
            Some(patient) => drop(self.patients.remove(&patient)),
        }
    }
}

#[cfg(test)]
mod tests {
    use kit_event::Timestamp;
    use kit_token::Kind;

    use super::*;

    fn caller(subject: &str) -> Verified {
        Verified {
            kind: Kind::Staff,
            issuer: "i".to_owned(),
            subject: subject.to_owned(),
            units: Vec::new(),
            patient: None,
            token_id: "t".to_owned(),
            expires_at: Timestamp::from_unix_ms(0),
        }
    }

    #[test]
    fn places_are_bounded_for_each_and_in_total_and_come_back() {
        let bounds = Bounds { total_max: 3, per_caller_max: 2, ..Bounds::default() };
        let streams = Streams::bounded(bounds);
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let enter = |who: &str| streams.enter(&caller(who), &unit, Some(Uuid::nil()));
        let (one, two) = (enter("a").unwrap(), enter("a").unwrap());
        assert_eq!(enter("a").err().unwrap().slug(), "too-many-streams");
        let three = enter("b").unwrap();
        assert_eq!(enter("c").err().unwrap().slug(), "streams-full");
        drop((one, two));
        assert_eq!(streams.units().1, std::slice::from_ref(&unit));
        drop(three);
        assert_eq!(streams.table().total, 0);
        assert!(streams.table().units.is_empty() && streams.table().of_caller.is_empty());
    }

    #[test]
    fn only_those_are_woken_whom_the_news_may_concern() {
        let streams = Streams::default();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let [ana, eva] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut places = [None, Some(ana), Some(eva)]
            .map(|patient| streams.enter(&caller("x"), &unit, patient).unwrap());
        let mut woken = || places.each_mut().map(|p| p.news.has_changed().unwrap());
        let seq = UnitSeq::new(1, 5);
        streams.unit_is_at(&unit, seq);
        assert_eq!(woken(), [true, false, false]);
        streams.patients_are_at(&unit, seq, &Concerned::These([eva].into()));
        assert_eq!(woken(), [true, false, true]);
        assert_eq!(streams.patients_woken_to(&unit), seq);
        streams.ran_out(&unit, Some(ana));
        assert_eq!(woken(), [true, true, true]);
        for place in &mut places {
            place.news.mark_unchanged();
        }
        streams.unit_is_at(&unit, seq);
        assert!(!places[0].news.has_changed().unwrap(), "it has not moved");
        streams.ran_out(&unit, None);
        streams.patients_are_at(&unit, seq, &Concerned::Anybody);
        assert!(places[1].news.has_changed().unwrap() && places[2].news.has_changed().unwrap());
    }
}
