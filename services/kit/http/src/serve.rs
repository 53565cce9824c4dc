//! The accept loop and its drain; and the means to cut a connection off.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use kit_metric::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

use crate::places::{Place, Places};
use crate::stall::Stalling;

/// Connections at once. Each costs about 20 KB; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// Connections of one address (of IPv6: of one /64). A proxy before us is one address, and holds
/// the streams of everybody (4,000); more than half of all no address needs.
const CONNECTIONS_PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 2;
/// A peer that takes nothing of its answer for so long is cut off: a little more than a live stream
/// gives its reader, so that it can still be told why.
const WRITE_STALL_AFTER: Duration = Duration::from_secs(40);
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

/// Connections that were turned away.
const TURNED_AWAY: Counter = Counter::new(
    "arteria_http_connections_refused_total",
    "Connections closed at once, because their address holds as many as it may.",
    [],
);

/// What bounds connections.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    in_all_max: usize,
    per_address_max: usize,
    write_stall_after: Duration,
}

const BOUNDS: Bounds = Bounds {
    in_all_max: CONNECTIONS_MAX,
    per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
    write_stall_after: WRITE_STALL_AFTER,
};

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
    serve_within(BOUNDS, listener, routes, soft, hard).await;
}

async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    routes: Router,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    TURNED_AWAY.describe();
    let graceful = GracefulShutdown::new();
    let places = Places::new(bounds.in_all_max, bounds.per_address_max);
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
        let stream = Stalling::new(stream, bounds.write_stall_after);
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

async fn accept(listener: &TcpListener, places: &Places) -> Option<(TcpStream, Place)> {
    let free = places.free().await?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let Some(place) = places.take(free, peer.ip()) else {
                TURNED_AWAY.get().increment(1);
                return None;
            };
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

    async fn served(bounds: Bounds, routes: Router) -> SocketAddr {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(serve_within(bounds, listener, routes, soft, hard));
        addr
    }

    /// An answer that no kernel buffer takes whole.
    fn large() -> Router {
        Router::new()
            .route("/slow", get(|| async { "x".repeat(64 << 20) }))
            .route("/small", get(|| async { "small" }))
    }

    #[tokio::test]
    async fn who_reads_nothing_of_an_answer_loses_its_place() {
        let bounds = Bounds {
            in_all_max: 2,
            per_address_max: 2,
            write_stall_after: Duration::from_millis(200),
        };
        let addr = served(bounds, large()).await;
        let mut idle = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            idle.push(stream);
        }
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(Duration::from_secs(5), read).await.expect("a place").unwrap();
        assert!(text.ends_with("small"));
    }

    #[tokio::test]
    async fn who_reads_slowly_but_reads_gets_its_answer_whole() {
        let bounds = Bounds { write_stall_after: Duration::from_millis(300), ..BOUNDS };
        let addr = served(bounds, large()).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let (mut bytes, mut part) = (0, vec![0; 4 << 20]);
        loop {
            let read = stream.read(&mut part).await.unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(bytes > 64 << 20, "{bytes}");
    }

    #[tokio::test]
    async fn one_address_does_not_take_every_place() {
        let addr = served(Bounds { per_address_max: 1, ..BOUNDS }, large()).await;
        let held = TcpStream::connect(addr).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut more = TcpStream::connect(addr).await.unwrap();
        let mut text = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), more.read_to_end(&mut text));
        let _ = closed.await.expect("closed at once");
        assert!(text.is_empty());
        drop(held);
        let mut free = false;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let request = b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            let mut text = String::new();
            let sent = stream.write_all(request).await;
            if sent.is_ok() && stream.read_to_string(&mut text).await.is_ok() && !text.is_empty() {
                free = true;
                break;
            }
        }
        assert!(free, "the place comes back");
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
