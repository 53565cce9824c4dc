//! The one metric that must be measured: how far the tail is from the log's end.

use std::sync::Arc;
use std::time::Duration;

use kit_bus::Topic;
use kit_metric::LOG_LAG;
use kit_telemetry::chain;
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;
use crate::limits::LAG_EVERY_MS;

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
            LOG_LAG.of(["edge", "requests"]).set(lag as f64);
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
