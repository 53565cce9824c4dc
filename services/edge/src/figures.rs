//! The edge's metrics: what each means, said once, and counters that exist before their first
//! event; and the one figure that must be measured, the lag of the tail.

use std::sync::Arc;
use std::time::Duration;

use kit_bus::Topic;
use kit_link::CloseCode;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::limits::LAG_EVERY_MS;
use crate::uplink::chain;
use crate::withheld::BODY_REFUSED;

/// Why a record of requests is parked here.
pub const REQUEST_UNREADABLE: &str = "request-unreadable";

/// Describes what the edge tells, and begins its counters.
pub fn describe() {
    let gauges = [
        ("arteria_edge_units_connected", "Links of this edge."),
        ("arteria_edge_units_waiting", "Units whose ACK waits; above 0 is an alarm."),
        (
            "arteria_edge_acks_waiting",
            "1 while the unit's ACK waits for the schema registry, or for a type to be registered.",
        ),
        ("arteria_unit_spool_facts", "Facts in the unit's spool that no ACK covers yet."),
        ("arteria_unit_oldest_unsent_seconds", "How long the oldest of them has waited."),
        ("arteria_unit_capture_paused_tables", "Mapped tables whose capture is paused."),
        ("arteria_log_lag_records", "Records between a role's place and the log's end."),
    ];
    for (name, what) in gauges {
        metrics::describe_gauge!(name, what);
    }
    let counters = [
        ("arteria_edge_facts_total", "Facts taken from agents."),
        ("arteria_edge_links_closed_total", "Links closed by the edge, by problem."),
        ("arteria_edge_placeholders_total", "Facts withheld because their schema refuses them."),
        ("arteria_parked_total", "Records put on parked, by the kind of cause."),
    ];
    for (name, what) in counters {
        metrics::describe_counter!(name, what);
    }
    metrics::counter!("arteria_edge_facts_total").increment(0);
    metrics::counter!("arteria_edge_placeholders_total").increment(0);
    metrics::gauge!("arteria_edge_units_connected").set(0.0);
    metrics::gauge!("arteria_edge_units_waiting").set(0.0);
    for code in CloseCode::ALL {
        metrics::counter!("arteria_edge_links_closed_total", "problem" => code.slug()).increment(0);
    }
    for kind in [BODY_REFUSED, REQUEST_UNREADABLE] {
        metrics::counter!("arteria_parked_total", "cause_kind" => kind).increment(0);
    }
}

/// Measures now and then how far the tail is from the log's end, until the soft token.
///
/// # Errors
/// None; it ends only by the token.
pub async fn measure_lag(edge: Arc<Edge>, soft: CancellationToken) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(Duration::from_millis(LAG_EVERY_MS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = soft.cancelled() => return Ok(()),
            _ = every.tick() => {}
        }
        if let Some(lag) = lag(&edge).await {
            metrics::gauge!("arteria_log_lag_records", "role" => "edge", "domain" => "requests")
                .set(lag as f64);
        }
    }
}

/// Records of the tailed partitions that the tail has not handed out; none when the log cannot be
/// asked, and the figure then stays what it was.
async fn lag(edge: &Edge) -> Option<i64> {
    let places = edge.tail.places();
    if places.is_empty() {
        return Some(0);
    }
    match edge.bus.ends(Topic::Requests).await {
        Ok(ends) => {
            let behind = |(partition, next): (i32, i64)| {
                ends.get(&partition).map_or(0, |end| (end - next).max(0))
            };
            Some(places.into_iter().map(behind).sum())
        }
        Err(error) => {
            tracing::debug!(error = chain(&error), "the tail's lag is not known");
            None
        }
    }
}
