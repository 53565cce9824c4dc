//! Waiting until a read model holds a fact.
//!
//! However many callers wait, one look at a time asks how far the awaited units have come: one
//! query for each read model, not one for each caller. It looks while somebody waits, and no
//! longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kit_event::{UnitId, UnitSeq};
use kit_store::{StoreError, positions};
use sqlx::PgPool;
use tokio::sync::watch;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// It sleeps so many times as long as a look took, so that looks never take more than a fifth of
/// one connection, however many units are awaited.
const SLEEP_FOR_EACH_LOOK: u32 = 4;

type Key = (&'static str, UnitId);

#[derive(Default)]
struct Table {
    /// By read model and unit: how far it is, and how many wait.
    awaited: HashMap<Key, (watch::Sender<UnitSeq>, usize)>,
    looks: bool,
}

/// Who waits for which read model; clones share it.
#[derive(Clone, Default)]
pub struct Reached(Arc<Mutex<Table>>);

/// One that waits; dropping it ends that.
struct Waiting {
    reached: Reached,
    key: Key,
    at: watch::Receiver<UnitSeq>,
}

impl Reached {
    /// Waits until the read model of `schema` has come to `wanted`, at most so long. Whether it
    /// has, the caller asks the read model itself.
    pub async fn wait(
        &self,
        pool: &PgPool,
        (schema, unit): (&'static str, &UnitId),
        wanted: UnitSeq,
        within: Duration,
    ) {
        let mut waiting = self.enter((schema, unit.clone()));
        if self.begins() {
            tokio::spawn(self.clone().look_while_awaited(pool.clone()));
        }
        // It ends by the time, or because the number was reached: the sender lives as long as we.
        let reached = waiting.at.wait_for(|at| *at >= wanted);
        let _ = tokio::time::timeout(within, reached).await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, key: Key) -> Waiting {
        let mut table = self.table();
        let fresh = || (watch::Sender::new(UnitSeq::ZERO), 0);
        let (sender, count) = table.awaited.entry(key.clone()).or_insert_with(fresh);
        *count += 1;
        let at = sender.subscribe();
        drop(table);
        Waiting { reached: self.clone(), key, at }
    }

    /// Whether nobody looks yet, so that the caller shall.
    fn begins(&self) -> bool {
        !std::mem::replace(&mut self.table().looks, true)
    }

    /// What is awaited, by read model; nothing ends the looks.
    fn awaited(&self) -> HashMap<&'static str, Vec<UnitId>> {
        let mut table = self.table();
        let mut of: HashMap<&'static str, Vec<UnitId>> = HashMap::new();
        for (schema, unit) in table.awaited.keys() {
            of.entry(schema).or_default().push(unit.clone());
        }
        table.looks = !of.is_empty();
        of
    }

    async fn look_while_awaited(self, pool: PgPool) {
        loop {
            let awaited = self.awaited();
            if awaited.is_empty() {
                return;
            }
            let begun = Instant::now();
            for (schema, units) in awaited {
                // Without Postgres everybody's time runs out, and each is told why by its own read.
                if self.look(&pool, schema, &units).await.is_err() {
                    break;
                }
            }
            let pause = LOOK_EVERY.max(begun.elapsed() * SLEEP_FOR_EACH_LOOK);
            tokio::time::sleep(pause).await;
        }
    }

    async fn look(
        &self,
        pool: &PgPool,
        schema: &'static str,
        units: &[UnitId],
    ) -> Result<(), StoreError> {
        for (unit, seq) in positions(pool, units, &[schema]).await? {
            if let Some((sender, _)) = self.table().awaited.get(&(schema, unit)) {
                sender.send_if_modified(|at| std::mem::replace(at, seq) != seq);
            }
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut table = self.reached.table();
        if let Some((_, count)) = table.awaited.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                table.awaited.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_leaves_nothing_behind_and_looks_end_with_the_last() {
        let reached = Reached::default();
        // Nothing listens there: the wait ends by its time.
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(5))
            .connect_lazy("postgres://nobody@127.0.0.1:1/none")
            .unwrap();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let wait = |ms| {
            let of = ("timeline", &unit);
            reached.wait(&pool, of, UnitSeq::new(1, 1), Duration::from_millis(ms))
        };
        tokio::join!(wait(20), wait(40), wait(60));
        assert!(reached.table().awaited.is_empty());
        tokio::time::timeout(Duration::from_secs(5), async {
            while reached.table().looks {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("nobody is awaited, so nobody looks");
    }

    #[tokio::test]
    async fn all_who_wait_for_a_unit_are_woken_by_one_look() {
        let reached = Reached::default();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let mut waiting: Vec<_> =
            (0..3).map(|_| reached.enter(("timeline", unit.clone()))).collect();
        assert_eq!(reached.awaited(), HashMap::from([("timeline", vec![unit.clone()])]));
        let sender = reached.table().awaited[&("timeline", unit)].0.clone();
        sender.send_replace(UnitSeq::new(1, 7));
        for one in &mut waiting {
            assert!(*one.at.borrow_and_update() >= UnitSeq::new(1, 7));
        }
    }
}
