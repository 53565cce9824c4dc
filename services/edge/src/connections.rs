//! Who is connected to this edge: one link for each unit, the greatest `conn_epoch` wins.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use kit_event::UnitId;
use tokio::sync::Notify;

use crate::metrics;

/// What happened to a link's claim on its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A connection with a greater number is there.
    Superseded {
        /// Its number.
        by: i64,
    },
    /// A late record of a lower connection stands over ours in the presence topic.
    Overwritten,
}

#[derive(Debug)]
struct Claim {
    conn_epoch: i64,
    superseded_by: AtomicI64,
    overwritten: AtomicBool,
    signalled: Notify,
}

impl Claim {
    fn supersede(&self, by: i64) {
        self.superseded_by.fetch_max(by, Ordering::SeqCst);
        self.signalled.notify_one();
    }
}

/// The links of this edge.
#[derive(Debug, Clone, Default)]
pub struct ConnectionRegistry(Arc<Mutex<HashMap<UnitId, Arc<Claim>>>>);

/// A link's place in the connection registry; given back when it is dropped.
#[derive(Debug)]
pub struct Registration {
    unit: UnitId,
    claim: Arc<Claim>,
    connections: ConnectionRegistry,
}

impl ConnectionRegistry {
    fn claims(&self) -> MutexGuard<'_, HashMap<UnitId, Arc<Claim>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Seats a connection; an older one of the same unit is told, a newer one tells this one.
    #[must_use]
    pub fn enter(&self, unit: UnitId, conn_epoch: i64) -> Registration {
        let claim = Arc::new(Claim {
            conn_epoch,
            superseded_by: AtomicI64::new(conn_epoch),
            overwritten: AtomicBool::new(false),
            signalled: Notify::new(),
        });
        let mut claims = self.claims();
        match claims.get(&unit) {
            Some(newer) if newer.conn_epoch > conn_epoch => claim.supersede(newer.conn_epoch),
            older => {
                if let Some(older) = older {
                    older.supersede(conn_epoch);
                }
                claims.insert(unit.clone(), claim.clone());
                metrics::UNITS_CONNECTED.get().set(claims.len() as f64);
            }
        }
        drop(claims);
        Registration { unit, claim, connections: self.clone() }
    }

    /// The presence topic names a connection of `unit`.
    pub fn received(&self, unit: &UnitId, conn_epoch: i64) {
        let claims = self.claims();
        let Some(claim) = claims.get(unit) else { return };
        if conn_epoch > claim.conn_epoch {
            claim.supersede(conn_epoch);
        } else if conn_epoch < claim.conn_epoch {
            claim.overwritten.store(true, Ordering::SeqCst);
            claim.signalled.notify_one();
        }
    }

    /// How many units are connected here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claims().len()
    }

    /// Whether nobody is connected here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims().is_empty()
    }
}

impl Registration {
    /// The connection's number.
    #[must_use]
    pub fn conn_epoch(&self) -> i64 {
        self.claim.conn_epoch
    }

    /// Whether a newer connection took over.
    #[must_use]
    pub fn superseded_by(&self) -> Option<i64> {
        let by = self.claim.superseded_by.load(Ordering::SeqCst);
        (by > self.claim.conn_epoch).then_some(by)
    }

    /// Waits until something happens to the claim.
    pub async fn signalled(&self) -> Signal {
        loop {
            if let Some(by) = self.superseded_by() {
                return Signal::Superseded { by };
            }
            if self.claim.overwritten.swap(false, Ordering::SeqCst) {
                return Signal::Overwritten;
            }
            self.claim.signalled.notified().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut claims = self.connections.claims();
        let own = claims.get(&self.unit).is_some_and(|claim| Arc::ptr_eq(claim, &self.claim));
        if own {
            claims.remove(&self.unit);
            metrics::UNITS_CONNECTED.get().set(claims.len() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> UnitId {
        "hcu-0001".parse().unwrap()
    }

    #[tokio::test]
    async fn the_greater_number_wins_in_whatever_order_they_enter() {
        let connections = ConnectionRegistry::default();
        let old = connections.enter(unit(), 5);
        let new = connections.enter(unit(), 9);
        assert_eq!(old.signalled().await, Signal::Superseded { by: 9 });
        assert_eq!(new.superseded_by(), None);
        let late = connections.enter(unit(), 7);
        assert_eq!(late.signalled().await, Signal::Superseded { by: 9 });
        drop(old);
        drop(late);
        assert_eq!(connections.len(), 1);
        drop(new);
        assert!(connections.is_empty());
    }

    #[tokio::test]
    async fn a_greater_number_anywhere_supersedes_and_a_lower_one_is_written_over() {
        let connections = ConnectionRegistry::default();
        let registration = connections.enter(unit(), 5);
        connections.received(&unit(), 5);
        connections.received(&unit(), 4);
        assert_eq!(registration.signalled().await, Signal::Overwritten);
        connections.received(&unit(), 6);
        assert_eq!(registration.signalled().await, Signal::Superseded { by: 6 });
    }
}
