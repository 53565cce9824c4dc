//! What is counted of requests, by the type of the command and what became of the call. Both are
//! words of the code, so the number of series is bounded.

use std::time::Duration;

use kit_metric::{Counter, Histogram};
use requests::{FinalState, Shown};

/// Not sent: refused here, or the log or the read model was away.
pub const REFUSED: &str = "refused";
/// Sent, and the unit's outcome was still out when the caller was answered.
pub const ACCEPTED: &str = Shown::Accepted.as_str();

const REQUESTS: Counter<2> = Counter::new(
    "arteria_requests_total",
    "Writes answered: with the unit's outcome, accepted (202), or refused here.",
    ["type", "state"],
);
const REQUEST_SECONDS: Histogram<1> = Histogram::new(
    "arteria_request_seconds",
    "From a write's arrival to the unit's outcome, where it came while the caller waited.",
    ["type"],
);
/// Writes that found their unit's queue full.
pub(crate) const QUEUE_FULL: Counter = Counter::new(
    "arteria_request_queue_full_total",
    "Writes refused because too many wait for their unit.",
    [],
);
/// Requests that the log did not take.
pub(crate) const PUBLISH_FAILED: Counter = Counter::new(
    "arteria_request_publish_failed_total",
    "Requests that the log did not confirm.",
    [],
);
/// Questions that Postgres did not answer.
pub(crate) const STORE_FAILED: Counter = Counter::new(
    "arteria_read_model_failed_total",
    "Questions that the read models did not answer.",
    [],
);

/// A write was answered with `state`. A caller that asks again is counted again.
pub fn answered(type_name: &'static str, state: &'static str) {
    REQUESTS.of([type_name, state]).increment(1);
}

/// The unit's outcome came while its caller waited.
pub fn waited(type_name: &'static str, time: Duration) {
    REQUEST_SECONDS.of([type_name]).record(time.as_secs_f64());
}

/// Says what is counted, and lets every series of these commands begin at 0.
pub fn describe(commands: impl IntoIterator<Item = &'static str>) {
    REQUESTS.describe();
    REQUEST_SECONDS.describe();
    for failed in [&QUEUE_FULL, &PUBLISH_FAILED, &STORE_FAILED] {
        failed.describe();
        failed.get().absolute(0);
    }
    let states = || FinalState::ALL.iter().map(|state| state.as_str()).chain([ACCEPTED, REFUSED]);
    for type_name in commands {
        for state in states() {
            REQUESTS.of([type_name, state]).absolute(0);
        }
    }
}
