//! The admin port: alive, ready (and if not, what for), and metrics. It never faces the network.

use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::{Lifecycle, LifecycleError};

/// One recorder a process, even when it runs several roles.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

fn recorder() -> Result<PrometheusHandle, LifecycleError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    match PrometheusBuilder::new().install_recorder() {
        Ok(handle) => Ok(RECORDER.get_or_init(|| handle).clone()),
        Err(_) => RECORDER.get().cloned().ok_or(LifecycleError::Metrics),
    }
}

pub(crate) async fn serve(life: &Lifecycle, addr: SocketAddr) -> Result<(), LifecycleError> {
    let metrics = recorder()?;
    let readiness = life.readiness();
    let routes = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route(
            "/readyz",
            get(move || async move {
                let waiting = readiness.waiting_for();
                if waiting.is_empty() {
                    (StatusCode::OK, "ready\n".to_owned())
                } else {
                    let names = waiting.join(", ");
                    (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {names}\n"))
                }
            }),
        )
        .route("/metrics", get(move || async move { metrics.render() }));
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
