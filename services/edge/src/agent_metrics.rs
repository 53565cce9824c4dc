//! What an agent tells of its unit beside facts, in a pong: how deep its spool is, how long its
//! oldest fact has waited, what it does not capture. The edge keeps none of it; it shows it.

use kit_event::UnitId;
use kit_link::Pong;
use kit_metric::Gauge;

use crate::metrics;

/// The figures of one link's unit. They read 0 when the link is over, for then another edge, or
/// nobody, can tell.
#[derive(Debug)]
pub struct AgentMetrics {
    unit: UnitId,
    has_told: bool,
}

impl AgentMetrics {
    /// A unit that has told nothing yet, and costs nothing until it does.
    #[must_use]
    pub fn of(unit: UnitId) -> Self {
        Self { unit, has_told: false }
    }

    /// The agent answered a ping.
    pub fn received(&mut self, pong: &Pong) {
        let Pong { spool_facts, oldest_unsent_ms, paused_tables, .. } = *pong;
        if spool_facts.is_none() && oldest_unsent_ms.is_none() && paused_tables.is_none() {
            return; // An agent of an earlier version.
        }
        self.has_told = true;
        self.show(
            spool_facts.unwrap_or_default(),
            oldest_unsent_ms.unwrap_or_default(),
            paused_tables.unwrap_or_default(),
        );
    }

    fn show(&self, spool_facts: u64, oldest_unsent_ms: u64, paused_tables: u32) {
        let of_unit = |gauge: &Gauge<1>| gauge.of([self.unit.as_str().to_owned()]);
        // Counted by the uplink's alarm; this only lets it be there before the first.
        of_unit(&metrics::ACKS_WAITING).increment(0.0);
        of_unit(&metrics::SPOOL_FACTS).set(spool_facts as f64);
        of_unit(&metrics::OLDEST_UNSENT_SECONDS).set(oldest_unsent_ms as f64 / 1_000.0);
        of_unit(&metrics::PAUSED_TABLES).set(f64::from(paused_tables));
    }
}

impl Drop for AgentMetrics {
    fn drop(&mut self) {
        if self.has_told {
            self.show(0, 0, 0);
        }
    }
}
