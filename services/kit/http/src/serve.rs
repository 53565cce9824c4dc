//! The accept loop and its drain; and the means to cut a connection off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

/// Connections at once. Each costs about 20 KB; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// A caller that has not sent its headers by then is cut off.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);
/// Headers of one request: a token of a few units, an idempotency key, a trace.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Pause after an accept that failed, mostly for want of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Cuts off the connection that a request came by. Every request carries one in its extensions: an
/// answer without end, to a reader that takes nothing, ends in no other way.
#[derive(Debug, Clone, Default)]
pub struct Cut(CancellationToken);

impl Cut {
    /// Drops the connection, with whatever was not written yet.
    pub fn cut(&self) {
        self.0.cancel();
    }
}

/// Why a port could not be served.
#[derive(Debug, thiserror::Error)]
#[error("binding {addr}")]
pub struct BindError {
    addr: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Binds `addr`; port 0 takes a free one.
///
/// # Errors
/// The port is taken.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| BindError { addr, source })
}

/// Serves `routes` until `soft` is cancelled; then accepts nothing, lets every request that has
/// begun be answered, and returns. `hard` cuts off what is left.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let cut = Cut::default();
        let named = cut.clone();
        let routes = MapRequest::new(routes.clone(), move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(named.clone());
            request
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        let connection = graceful.watch(connection);
        let hard = hard.clone();
        tokio::spawn(async move {
            // A connection that broke off has no one left to tell.
            tokio::select! {
                _ = connection => {}
                () = hard.cancelled() => {}
                () = cut.0.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = hard.cancelled() => {}
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // An answer is one small segment; waiting to fill it would cost 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(addr: SocketAddr) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_drain_answers_what_has_begun_and_accepts_nothing_new() {
        let routes = Router::new().route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                "answered"
            }),
        );
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        let served = tokio::spawn(serve(listener, routes, soft.clone(), hard));
        let asked = tokio::spawn(ask(addr));
        tokio::time::sleep(Duration::from_millis(50)).await;
        soft.cancel();
        assert!(asked.await.unwrap().ends_with("answered"));
        served.await.unwrap();
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_takes_nothing_can_be_cut() {
        let routes = Router::new().route(
            "/slow",
            get(|axum::Extension(cut): axum::Extension<Cut>| async move {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    cut.cut();
                });
                std::future::pending::<()>().await;
            }),
        );
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(serve(listener, routes, soft, hard));
        assert_eq!(ask(addr).await, "", "nothing was written and the connection is gone");
    }
}
