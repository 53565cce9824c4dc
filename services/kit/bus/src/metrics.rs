//! What the bus tells of itself.

use kit_metric::{Counter, Gauge, Histogram};

use crate::Topic;

pub(crate) const PRODUCED: Counter<1> =
    Counter::new("arteria_bus_produced_total", "Records that the brokers confirmed.", ["topic"]);
pub(crate) const DELIVERY_SECONDS: Histogram<1> = Histogram::new(
    "arteria_bus_delivery_seconds",
    "From a record's enqueueing to the broker's confirmation.",
    ["topic"],
);
pub(crate) const DELIVERY_FAILURES: Counter<1> = Counter::new(
    "arteria_bus_delivery_failures_total",
    "Records that the brokers did not confirm, by topic.",
    ["topic"],
);
pub(crate) const PRODUCER_QUEUE: Gauge = Gauge::new(
    "arteria_bus_producer_queue_records",
    "Records handed to the producer and not yet confirmed.",
    [],
);
pub(crate) const READER_LAG: Gauge<2> = Gauge::new(
    "arteria_bus_reader_lag_records",
    "Records between a reader's place and the log's end.",
    ["reader", "topic"],
);
pub(crate) const CLIENT_ERRORS: Counter<1> =
    Counter::new("arteria_bus_client_errors_total", "Errors that librdkafka reported.", ["client"]);
pub(crate) const PARKED: Counter<1> =
    Counter::new("arteria_bus_parked_total", "Records parked, by their topic.", ["topic"]);
pub(crate) const UNREADABLE: Counter<1> = Counter::new(
    "arteria_bus_unreadable_total",
    "Records of compacted topics that could not be read and were passed over, by topic.",
    ["topic"],
);

/// Describes them all, and lets the counts of failures be there before the first one, so that an
/// alert can ask for them.
pub(crate) fn describe() {
    PRODUCED.describe();
    DELIVERY_SECONDS.describe();
    DELIVERY_FAILURES.describe();
    PRODUCER_QUEUE.describe();
    READER_LAG.describe();
    CLIENT_ERRORS.describe();
    PARKED.describe();
    UNREADABLE.describe();
    UNREADABLE.of([Topic::Presence.as_str()]).increment(0);
    for topic in Topic::ALL {
        DELIVERY_FAILURES.of([topic.as_str()]).increment(0);
    }
}
