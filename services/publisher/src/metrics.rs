//! What dashboards show.

use kit_bus::Namespace;
use kit_metric::{Counter, Gauge, Histogram, LOG_LAG};

const PUBLISHED: Counter<1> =
    Counter::new("arteria_publisher_published_total", "Events published, by topic.", ["topic"]);
const SKIPPED: Counter<1> =
    Counter::new("arteria_publisher_skipped_total", "Facts not published, by reason.", ["reason"]);
const WAITING: Gauge = Gauge::new(
    "arteria_publisher_partitions_waiting",
    "Partitions that wait for the schema registry or for a topic.",
    [],
);
const HALTED: Gauge = Gauge::new(
    "arteria_publisher_partitions_halted",
    "Partitions that publish nothing until people have looked.",
    [],
);
const FACT_TO_PUBLIC_SECONDS: Histogram = Histogram::new(
    "arteria_publisher_fact_to_public_seconds",
    "From a fact's time to its place on a public topic, snapshots excepted.",
    [],
);
pub(crate) const SESSIONS_FAILED: Counter =
    Counter::new("arteria_publisher_sessions_failed_total", "Sessions that an outage ended.", []);
pub(crate) const ALARMS: Counter<1> =
    Counter::new("arteria_publisher_alarms_total", "What people must look at, by kind.", ["kind"]);

/// Facts that were not told, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Skipped {
    /// It has no public form: no field of its schema is marked.
    Private,
    /// It was told before a crash.
    AlreadySent,
    /// It came a second time.
    Repeat,
    /// Another fact stands under its number.
    Fork,
    /// Its epoch is over.
    StaleEpoch,
    /// It is ahead of a hole, and the hold is full; a resend brings it again.
    HoldFull,
    /// It does not read, and counts as not received.
    Unreadable,
    /// It reads, and cannot be told: an alarm says so.
    Unfit,
}

impl Skipped {
    const ALL: [Self; 8] = [
        Self::Private,
        Self::AlreadySent,
        Self::Repeat,
        Self::Fork,
        Self::StaleEpoch,
        Self::HoldFull,
        Self::Unreadable,
        Self::Unfit,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::AlreadySent => "already_sent",
            Self::Repeat => "repeat",
            Self::Fork => "fork",
            Self::StaleEpoch => "stale_epoch",
            Self::HoldFull => "hold_full",
            Self::Unreadable => "unreadable",
            Self::Unfit => "unfit",
        }
    }
}

/// Says what each series means, and lets those that count be there before the first event.
pub(crate) fn describe() {
    PUBLISHED.describe();
    SKIPPED.describe();
    LOG_LAG.describe();
    WAITING.describe();
    HALTED.describe();
    ALARMS.describe();
    SESSIONS_FAILED.describe();
    FACT_TO_PUBLIC_SECONDS.describe();
    for reason in Skipped::ALL {
        skipped(reason, 0);
    }
    for domain in all_domains::ALL {
        if let Ok(namespace) = domain.name().parse() {
            published(namespace, 0);
        }
    }
    WAITING.get().set(0.0);
    halted(0);
}

/// Counts events that are on their topic.
pub(crate) fn published(namespace: Namespace, count: u64) {
    PUBLISHED.of([namespace.topic()]).increment(count);
}

/// Counts facts that were not told.
pub(crate) fn skipped(reason: Skipped, count: u64) {
    SKIPPED.of([reason.as_str()]).increment(count);
}

/// How far the public topics are behind the record.
pub(crate) fn lag(records: i64) {
    LOG_LAG.of(["publisher", "all"]).set(records as f64);
}

/// How many partitions tell nothing any more.
pub(crate) fn halted(partitions: usize) {
    HALTED.get().set(partitions as f64);
}

/// How late an event is on its topic.
pub(crate) fn told_after(seconds: f64) {
    FACT_TO_PUBLIC_SECONDS.get().record(seconds);
}

/// A partition that waits; it no longer does once this is dropped.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        WAITING.get().increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.get().decrement(1.0);
    }
}
