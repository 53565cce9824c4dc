//! What is counted of requests, by the type of the command and what became of the call. Both are
//! words of the code, so the number of series is bounded.

use std::time::Duration;

use requests::{FinalState, Shown};

/// Not sent: refused here, or the log or the read model was away.
pub const REFUSED: &str = "refused";
/// Sent, and the unit's outcome was still out when the caller was answered.
pub const ACCEPTED: &str = Shown::Accepted.as_str();

/// A write was answered with `state`. A caller that asks again is counted again.
pub fn answered(type_name: &'static str, state: &'static str) {
    metrics::counter!("arteria_requests_total", "type" => type_name, "state" => state).increment(1);
}

/// The unit's outcome came while its caller waited.
pub fn waited(type_name: &'static str, time: Duration) {
    metrics::histogram!("arteria_request_seconds", "type" => type_name).record(time.as_secs_f64());
}

/// Says what is counted, and lets every series of these commands begin at 0.
pub fn describe(commands: impl IntoIterator<Item = &'static str>) {
    metrics::describe_counter!(
        "arteria_requests_total",
        "Writes answered: with the unit's outcome, accepted (202), or refused here."
    );
    metrics::describe_histogram!(
        "arteria_request_seconds",
        metrics::Unit::Seconds,
        "From a write's arrival to the unit's outcome, where it came while the caller waited."
    );
    for (name, says) in [
        ("unit_queue_full", "Writes refused because too many wait for their unit."),
        ("publish_failed", "Requests that the log did not confirm."),
        ("store_failed", "Questions that the read models did not answer."),
    ] {
        metrics::describe_counter!(name, says);
        metrics::counter!(name).absolute(0);
    }
    let states = || FinalState::ALL.iter().map(|state| state.as_str()).chain([ACCEPTED, REFUSED]);
    for type_name in commands {
        for state in states() {
            metrics::counter!("arteria_requests_total", "type" => type_name, "state" => state)
                .absolute(0);
        }
    }
}
