//! What dashboards show.

use kit_bus::Namespace;

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
    metrics::describe_counter!("arteria_publisher_published_total", "events told, by topic");
    metrics::describe_counter!("arteria_publisher_skipped_total", "facts not told, by reason");
    metrics::describe_gauge!(
        "arteria_log_lag_records",
        "records on the log that a role has not done with, over all partitions"
    );
    metrics::describe_gauge!(
        "arteria_publisher_partitions_waiting",
        "partitions that wait for the schema registry or for a topic"
    );
    metrics::describe_gauge!(
        "arteria_publisher_partitions_halted",
        "partitions that tell nothing until people have looked"
    );
    metrics::describe_counter!("arteria_publisher_alarms_total", "what people must look at");
    metrics::describe_histogram!(
        "arteria_publisher_fact_to_public_seconds",
        "from a fact's time to its place on a public topic, snapshots excepted"
    );
    for reason in Skipped::ALL {
        skipped(reason, 0);
    }
    for domain in crate::domains::ALL {
        if let Ok(namespace) = domain.name().parse() {
            published(namespace, 0);
        }
    }
    metrics::gauge!("arteria_publisher_partitions_waiting").set(0.0);
    halted(0);
}

/// Counts events that are on their topic.
pub(crate) fn published(namespace: Namespace, count: u64) {
    let topic = namespace.topic();
    metrics::counter!("arteria_publisher_published_total", "topic" => topic).increment(count);
}

/// Counts facts that were not told.
pub(crate) fn skipped(reason: Skipped, count: u64) {
    let reason = reason.as_str();
    metrics::counter!("arteria_publisher_skipped_total", "reason" => reason).increment(count);
}

/// How far the public topics are behind the record.
pub(crate) fn lag(records: i64) {
    metrics::gauge!("arteria_log_lag_records", "role" => "publisher", "domain" => "all")
        .set(records as f64);
}

/// How many partitions tell nothing any more.
pub(crate) fn halted(partitions: usize) {
    metrics::gauge!("arteria_publisher_partitions_halted").set(partitions as f64);
}

/// How late an event is on its topic.
pub(crate) fn told_after(seconds: f64) {
    metrics::histogram!("arteria_publisher_fact_to_public_seconds").record(seconds);
}

/// A partition that waits; it no longer does once this is dropped.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        metrics::gauge!("arteria_publisher_partitions_waiting").increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("arteria_publisher_partitions_waiting").decrement(1.0);
    }
}
