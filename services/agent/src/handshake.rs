//! From nothing to WELCOME: the upgrade, HELLO, and the edge's answer.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use kit_event::Timestamp;
use kit_link::limits::FRAME_BYTES_MAX;
use kit_link::{Cursor, FromAgent, FromEdge, Hello, PATH, SUBPROTOCOL, Welcome};
use kit_token::AgentKey;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::domains;
use crate::inbox::{Inbox, Standing};
use crate::pause::Ended;
use crate::setup::{AGENT_VERSION, NetworkClock};
use crate::wire::{self, Received};

/// A connection to an edge.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Name, TCP, TLS and upgrade together: a slow satellite link, and no longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// WELCOME takes a scan of the log at the edge, which may stand in a queue after a storm.
const WELCOME_WITHIN: Duration = Duration::from_mins(1);
/// The clinic thread says where it stands between two pieces of work. Well under the time in which
/// the edge wants HELLO.
const STANDING_WITHIN: Duration = Duration::from_secs(3);
/// Default buffers cost 130 KB a connection; ours sends and takes small frames.
const READ_BUFFER_BYTES: usize = 4096;
/// What may be written and not yet sent: all facts and replies that credits allow, at their
/// largest.
const WRITE_BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Connects, says HELLO, and waits for WELCOME; also gives the cursor that HELLO named.
///
/// How it ended instead.
pub async fn shake(
    url: &str,
    key: &AgentKey,
    clock: &NetworkClock,
    inbox: &SyncSender<Inbox>,
) -> Result<(Socket, Welcome, Option<Cursor>), Ended> {
    let mut socket = match timeout(CONNECT_WITHIN, connect(url, clock)).await {
        Ok(connected) => connected?,
        Err(_) => return Err(Ended::lost("the edge did not take the connection in time")),
    };
    let standing = standing(inbox).await?;
    let cursor = standing.cursor.clone();
    let hello = hello(key, clock, standing)?;
    wire::send(&mut socket, &hello).await?;
    match timeout(WELCOME_WITHIN, welcome(&mut socket)).await {
        Ok(welcomed) => welcomed.map(|welcome| (socket, welcome, cursor)),
        Err(_) => Err(Ended::lost("no welcome in time")),
    }
}

async fn connect(url: &str, clock: &NetworkClock) -> Result<Socket, Ended> {
    let mut request = url
        .into_client_request()
        .map_err(|error| Ended::lost(format!("the edge's address does not read: {error}")))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(READ_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    match connect_async_tls_with_config(request, Some(config), true, None).await {
        Ok((socket, answer)) => {
            // Computers in clinics go wrong by minutes, and a token is judged by the edge's time.
            // WELCOME will tell it exactly; until then the answer's own date must do.
            if let Some(date) = answer.headers().get("Date").and_then(|date| date.to_str().ok())
                && let Ok(at) = chrono::DateTime::parse_from_rfc2822(date)
            {
                clock.receive(Timestamp::from(at.to_utc()));
            }
            Ok(socket)
        }
        // The body of a rejection may be a portal's page; only its status is told.
        Err(SocketError::Http(answer)) => {
            Err(Ended::lost(format!("the edge answered HTTP {}", answer.status())))
        }
        Err(error) => Err(Ended::lost(format!("no connection: {error}"))),
    }
}

async fn standing(inbox: &SyncSender<Inbox>) -> Result<Standing, Ended> {
    let (answer, asked) = oneshot::channel();
    if inbox.try_send(Inbox::Hello(answer)).is_err() {
        return Err(Ended::lost("the clinic thread takes no messages"));
    }
    match timeout(STANDING_WITHIN, asked).await {
        Ok(Ok(standing)) => Ok(standing),
        Ok(Err(_)) | Err(_) => Err(Ended::lost("the clinic database is not open")),
    }
}

fn hello(key: &AgentKey, clock: &NetworkClock, standing: Standing) -> Result<FromAgent, Ended> {
    let token =
        key.sign_hello(clock.now()).map_err(|error| Ended::lost(format!("no token: {error}")))?;
    Ok(FromAgent::Hello(Hello {
        token,
        versions: vec![SUBPROTOCOL.to_owned()],
        agent_version: AGENT_VERSION.to_owned(),
        request_types: domains::request_types(),
        net_changes_only: false,
        install_epoch: standing.epoch,
        last: standing.last,
        facts_offset: standing.facts_offset,
        cursor: standing.cursor,
    }))
}

async fn welcome(socket: &mut Socket) -> Result<Welcome, Ended> {
    loop {
        let Some(message) = socket.next().await else {
            return Err(Ended::lost("the edge hung up before welcome"));
        };
        match wire::receive(message)? {
            Received::Frame(frame) => match *frame {
                FromEdge::Welcome(welcome) => return Ok(welcome),
                FromEdge::Error(error) => wire::log_error(&error),
                _ => return Err(Ended::lost("the edge sent another frame before welcome")),
            },
            Received::Nothing => {}
            Received::Ended(ended) => return Err(ended),
        }
        // Answers to pings of the WebSocket itself wait for a flush.
        let _ = socket.flush().await;
    }
}

/// The address of the upgrade at an edge: the protocol's path, where none is given.
#[must_use]
pub fn upgrade_url(edge: &str) -> String {
    let bare = edge.trim_end_matches('/');
    let has_path = bare.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { edge.to_owned() } else { format!("{bare}{PATH}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_protocols_unless_one_is_given() {
        assert_eq!(upgrade_url("ws://127.0.0.1:8081"), "ws://127.0.0.1:8081/unit/v1");
        assert_eq!(upgrade_url("wss://edge.example/"), "wss://edge.example/unit/v1");
        assert_eq!(upgrade_url("wss://edge.example/a/b"), "wss://edge.example/a/b");
    }
}
