//! The admin port: alive, ready (and if not, what for), and metrics. It never faces the network.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Lifecycle, LifecycleError};

/// Buckets of anything that somebody waits for: half a millisecond is a commit, a minute is the
/// longest that a caller may wait.
const CALL_SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// The one figure that may be days: a clinic that was away makes its facts late.
const CLINIC_TO_VISIBLE: &str = "arteria_clinic_to_visible_seconds";
/// Its buckets: up to two days of closed doors.
const DAY_SECONDS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0, 43_200.0,
    172_800.0,
];

/// Histograms keep every single sample until they are asked for or this is done: without it a
/// process that nobody scrapes grows with each event.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// One recorder a process, even when it runs several roles.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

fn recorder() -> Result<PrometheusHandle, LifecycleError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let built = with_buckets(PrometheusBuilder::new()).map_err(|_| LifecycleError::Metrics)?;
    match built.install_recorder() {
        Ok(handle) => Ok(RECORDER.get_or_init(|| handle).clone()),
        Err(_) => RECORDER.get().cloned().ok_or(LifecycleError::Metrics),
    }
}

fn with_buckets(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    builder
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &CALL_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(CLINIC_TO_VISIBLE.to_owned()), &DAY_SECONDS)
}

pub(crate) async fn serve(life: &Lifecycle, addr: SocketAddr) -> Result<(), LifecycleError> {
    let metrics = recorder()?;
    let readiness = life.readiness();
    let routes = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route(
            "/readyz",
            get(move || async move {
                let is_ready = readiness.is_ready();
                let status =
                    if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                (status, format!("{}\n", readiness.line()))
            }),
        )
        .route("/metrics", get(move || async move { metrics.render() }));
    let (upkept, soft) = (recorder()?, life.soft());
    life.spawn("metrics upkeep", async move {
        let mut every = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => upkept.run_upkeep(),
                () = soft.cancelled() => return Ok(()),
            }
        }
    });
    let bind = |source| LifecycleError::Bind { addr, source };
    let listener = tokio::net::TcpListener::bind(addr).await.map_err(bind)?;
    let soft = life.soft();
    life.spawn("admin port", async move {
        let stopped = async move { soft.cancelled().await };
        axum::serve(listener, routes).with_graceful_shutdown(stopped).await?;
        Ok(())
    });
    Ok(())
}
