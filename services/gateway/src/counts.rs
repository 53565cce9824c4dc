//! What the gateway counts of requests, by the type of the wish and what became of the call. Both
//! are words of the code, so the number of series is bounded.

use std::time::Duration;

use kit_event::Domain as _;
use requests::{FinalState, Shown};

/// Not sent: the gateway itself refused, or the log or the read model was away.
pub const REFUSED: &str = "refused";
/// Sent, and the unit's word was still out when the caller was answered (202).
pub const ACCEPTED: &str = Shown::Accepted.as_str();

/// A write was answered with `state`. A caller that asks again is counted again.
pub fn answered(type_name: &'static str, state: &'static str) {
    metrics::counter!("arteria_requests_total", "type" => type_name, "state" => state).increment(1);
}

/// The unit's word on a request came while its caller waited.
pub fn waited(type_name: &'static str, time: Duration) {
    metrics::histogram!("arteria_request_seconds", "type" => type_name).record(time.as_secs_f64());
}

/// Says what is counted, and lets every series begin at 0.
pub fn describe() {
    metrics::describe_counter!(
        "arteria_requests_total",
        "Writes answered: with the unit's word, accepted (202), or refused here."
    );
    metrics::describe_histogram!(
        "arteria_request_seconds",
        metrics::Unit::Seconds,
        "From a write's arrival to the unit's word, where it came while the caller waited."
    );
    for (name, says) in [
        ("unit_queue_full", "Writes refused because too many wait for their unit."),
        ("publish_failed", "Requests that the log did not confirm."),
        ("store_failed", "Questions that the read models did not answer."),
    ] {
        metrics::describe_counter!(name, says);
        metrics::counter!(name).absolute(0);
    }
    let states = FinalState::ALL.iter().map(|state| state.as_str()).chain([ACCEPTED, REFUSED]);
    for state in states {
        for type_name in wishes() {
            metrics::counter!("arteria_requests_total", "type" => type_name, "state" => state)
                .absolute(0);
        }
    }
    let routes = crate::table::routes();
    kit_http::observe::describe_metrics(
        routes.iter().map(|route| (route.method.as_str(), route.path)),
    );
}

/// Every wish that some route sends.
fn wishes() -> impl Iterator<Item = &'static str> {
    let of =
        [patients::Patients.wishes(), scheduling::Scheduling.wishes(), billing::Billing.wishes()];
    of.into_iter().flatten().copied()
}
