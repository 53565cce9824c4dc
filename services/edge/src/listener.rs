//! The listener: accepts sockets and upgrades them.
//!
//! Whoever comes is a newcomer until a token says otherwise, and holds one of the few places that
//! newcomers have ([`crate::places`]); an agent for which there is no link's place is told so after
//! its token, with a close code and a pause.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, CONTENT_TYPE, DATE, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use kit_event::Timestamp;
use kit_lifecycle::Lifecycle;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use crate::edge::Edge;
use crate::handshake;
use crate::limits::{UPGRADE_BYTES_MAX, UPGRADE_WITHIN_MS};
use crate::places::{Newcomer, Places};

/// A pause after the system refused a socket (mostly too many open files), so that the loop does
/// not spin on it.
const ACCEPT_PAUSE_MS: u64 = 50;

/// Accepts sockets until the soft token.
pub async fn keep(listener: TcpListener, places: Places, edge: Arc<Edge>, life: Lifecycle) {
    let soft = life.soft();
    loop {
        let accepted = tokio::select! {
            () = soft.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let newcomer = places.newcomer(peer.ip());
                let (places, edge) = (places.clone(), edge.clone());
                life.spawn_passing(admit(stream, newcomer, places, edge, life.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a socket could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// Serves the one request of a socket, which should be the upgrade.
async fn admit(
    stream: TcpStream,
    newcomer: Newcomer,
    places: Places,
    edge: Arc<Edge>,
    life: Lifecycle,
) {
    // Small frames answer one another; Nagle's algorithm would hold each for the last one's ACK.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let newcomer = Arc::new(newcomer);
    let is_asked = AtomicBool::new(false);
    let soft = life.soft();
    let service = service_fn(|request| {
        let first = !is_asked.swap(true, Ordering::SeqCst);
        let newcomer = first.then(|| newcomer.clone());
        std::future::ready(Ok::<_, Infallible>(answer(request, newcomer, &places, &edge, &life)))
    });
    // The whole of it has one deadline: a head that drips, or an answer that nobody reads.
    let within = Duration::from_millis(UPGRADE_WITHIN_MS);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(UPGRADE_WITHIN_MS))
        .max_buf_size(UPGRADE_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // What has not asked for its upgrade yet is nobody's link.
        () = soft.cancelled() => {}
        () = newcomer.evicted() => {}
        served = tokio::time::timeout(within, connection) => {
            if let Ok(Err(error)) = served {
                tracing::debug!(%error, "a socket ended before its upgrade");
            }
        }
    }
}

fn answer(
    mut request: Request<Incoming>,
    newcomer: Option<Arc<Newcomer>>,
    places: &Places,
    edge: &Arc<Edge>,
    life: &Lifecycle,
) -> Response<Full<Bytes>> {
    let upgrade = match upgrade_response(&request) {
        Ok(response) => response,
        Err((status, detail)) => return problem(status, detail),
    };
    // Agents make their tokens by it, so it is the network's time and not this machine's.
    let mut upgrade = upgrade;
    if let Ok(date) = HeaderValue::from_str(&date(edge.clock.now())) {
        upgrade.headers_mut().insert(DATE, date);
    }
    let Some(newcomer) = newcomer else {
        return problem(StatusCode::BAD_REQUEST, "a socket carries one upgrade");
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let (places, edge, soft) = (places.clone(), edge.clone(), life.clone());
    life.spawn_passing(async move {
        let Ok(upgraded) = upgraded.await else { return };
        if let Some((stream, part)) = bare(upgraded) {
            handshake::perform(stream, part, newcomer, places, edge, soft).await;
        }
    });
    upgrade
}

/// A time as HTTP writes it.
fn date(at: Timestamp) -> String {
    let since_1970 = Duration::from_millis(u64::try_from(at.unix_ms()).unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_1970)
}

/// The socket under hyper's upgrade, and what was read of it already.
fn bare(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

/// Checks the upgrade request: path, WebSocket headers, sub-protocol.
fn upgrade_response(
    request: &Request<Incoming>,
) -> Result<Response<Full<Bytes>>, (StatusCode, &'static str)> {
    if request.uri().path() != kit_link::PATH {
        return Err((StatusCode::NOT_FOUND, "the clinic link is at /unit/v1"));
    }
    let mut head = Request::builder().method(request.method()).uri(request.uri());
    if let Some(headers) = head.headers_mut() {
        headers.clone_from(request.headers());
    }
    let bad = (StatusCode::BAD_REQUEST, "a WebSocket upgrade (RFC 6455) is expected");
    let head = head.version(request.version()).body(()).map_err(|_| bad)?;
    let response = create_response(&head).map_err(|_| bad)?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let names = offered.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    if !names.map(str::trim).any(|name| name == kit_link::SUBPROTOCOL) {
        return Err((StatusCode::BAD_REQUEST, "the sub-protocol unit.v1 must be offered"));
    }
    let (mut parts, ()) = response.into_parts();
    let chosen = HeaderValue::from_static(kit_link::SUBPROTOCOL);
    parts.headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(Response::from_parts(parts, Full::default()))
}

fn problem(status: StatusCode, detail: &'static str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({
        "type": "/problems/upgrade-refused",
        "title": "The upgrade was refused",
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
