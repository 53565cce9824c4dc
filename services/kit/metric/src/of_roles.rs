//! Metrics that several roles tell: one name and one meaning for all of them.

use crate::{Counter, Gauge};

/// Records set aside on `parked`.
pub const PARKED: Counter<1> = Counter::new(
    "arteria_parked_total",
    "Records put on parked, by the kind of cause.",
    ["cause_kind"],
);
/// How far a role is behind a log.
pub const LOG_LAG: Gauge<2> = Gauge::new(
    "arteria_log_lag_records",
    "Records between a role's place and the log's end, over all its partitions.",
    ["role", "domain"],
);
