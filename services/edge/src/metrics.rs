//! The edge's metrics: what each means, said once, and counters that exist before their first
//! event.

use kit_link::CloseCode;
use kit_metric::{Counter, Gauge, Histogram, LOG_LAG, PARKED};

use crate::withheld::BODY_REFUSED;

/// Why a record of requests is parked here.
pub const REQUEST_UNREADABLE: &str = "request-unreadable";
/// Why a record of presence is.
pub const PRESENCE_UNREADABLE: &str = "presence-unreadable";

pub const UNITS_CONNECTED: Gauge =
    Gauge::new("arteria_edge_units_connected", "Links of this edge.", []);
pub const UNITS_WAITING: Gauge =
    Gauge::new("arteria_edge_units_waiting", "Units whose ACK waits; above 0 is an alarm.", []);
pub const ACKS_WAITING: Gauge<1> = Gauge::new(
    "arteria_edge_acks_waiting",
    "1 while the unit's ACK waits for the schema registry, or for a type to be registered.",
    ["unit"],
);
pub const SPOOL_FACTS: Gauge<1> = Gauge::new(
    "arteria_unit_spool_facts",
    "Facts in the unit's spool that no ACK covers yet.",
    ["unit"],
);
pub const OLDEST_UNSENT_SECONDS: Gauge<1> = Gauge::new(
    "arteria_unit_oldest_unsent_seconds",
    "How long the oldest of them has waited.",
    ["unit"],
);
pub const PAUSED_TABLES: Gauge<1> = Gauge::new(
    "arteria_unit_capture_paused_tables",
    "Mapped tables whose capture is paused.",
    ["unit"],
);
pub const PARTITIONS_TAILED: Gauge = Gauge::new(
    "arteria_edge_partitions_tailed",
    "Partitions of requests that this edge reads at their end.",
    [],
);
pub const CLOCK_OFF_SECONDS: Gauge = Gauge::new(
    "arteria_edge_clock_off_seconds",
    "How far the network's time is from this machine's clock.",
    [],
);
pub const FACTS: Counter = Counter::new("arteria_edge_facts_total", "Facts taken from agents.", []);
pub const ACK_SECONDS: Histogram =
    Histogram::new("arteria_edge_ack_seconds", "From a fact's arrival to its ACK.", []);
pub const LINKS_CLOSED: Counter<1> = Counter::new(
    "arteria_edge_links_closed_total",
    "Links closed by the edge, by problem.",
    ["problem"],
);
pub const LINKS_CUT_OFF: Counter = Counter::new(
    "arteria_edge_links_cut_off_total",
    "Links too slow for the tail, which fall back to reading the log.",
    [],
);
pub const PLACEHOLDERS: Counter = Counter::new(
    "arteria_edge_placeholders_total",
    "Facts withheld because their schema refuses them.",
    [],
);
pub const SCANS: Counter<1> = Counter::new(
    "arteria_edge_scans_total",
    "Stretches of the log read for a unit, by what was looked for.",
    ["of"],
);
pub const REQUESTS: Counter =
    Counter::new("arteria_edge_requests_total", "Requests sent to agents.", []);
pub const QUERIES_LATE: Counter = Counter::new(
    "arteria_edge_queries_late_total",
    "Live queries dropped because their time was over.",
    [],
);
pub const OVERTAKING_DROPPED: Counter = Counter::new(
    "arteria_edge_overtaking_dropped_total",
    "Queries and cancels that found no place ahead of commands: a query is lost, a cancel waits.",
    [],
);
pub const REPLIES_DROPPED: Counter =
    Counter::new("arteria_edge_replies_dropped_total", "Replies that nobody can await.", []);
pub const SOCKETS_DROPPED: Counter = Counter::new(
    "arteria_edge_sockets_dropped_total",
    "Sockets closed before their token was read, to make room for another.",
    [],
);
pub const REPLIES_UNASKED: Counter = Counter::new(
    "arteria_edge_replies_unasked_total",
    "Replies and answers to what was not asked on their link, or not any more; passed over.",
    [],
);
pub const LIVENESS_FAILURES: Counter = Counter::new(
    "arteria_edge_liveness_failures_total",
    "Times that this edge could not say that it lives.",
    [],
);

/// Describes what the edge tells, and begins its counters.
pub fn describe() {
    for gauge in [&UNITS_CONNECTED, &UNITS_WAITING, &PARTITIONS_TAILED, &CLOCK_OFF_SECONDS] {
        gauge.describe();
        gauge.get().set(0.0);
    }
    for gauge in [&ACKS_WAITING, &SPOOL_FACTS, &OLDEST_UNSENT_SECONDS, &PAUSED_TABLES] {
        gauge.describe();
    }
    for counter in [
        &FACTS,
        &LINKS_CUT_OFF,
        &PLACEHOLDERS,
        &REQUESTS,
        &QUERIES_LATE,
        &OVERTAKING_DROPPED,
        &REPLIES_DROPPED,
        &SOCKETS_DROPPED,
        &REPLIES_UNASKED,
        &LIVENESS_FAILURES,
    ] {
        counter.describe();
        counter.get().increment(0);
    }
    LOG_LAG.describe();
    PARKED.describe();
    ACK_SECONDS.describe();
    SCANS.describe();
    LINKS_CLOSED.describe();
    for code in CloseCode::ALL {
        LINKS_CLOSED.of([code.slug()]).increment(0);
    }
    for kind in [BODY_REFUSED, REQUEST_UNREADABLE, PRESENCE_UNREADABLE] {
        PARKED.of([kind]).increment(0);
    }
}
