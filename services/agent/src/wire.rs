//! Frames on the socket: text to frame and back, and what a close means.

use std::time::Duration;

use futures_util::SinkExt;
use kit_link::{ErrorFrame, FromAgent, FromEdge, Obey};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tracing::{info, warn};

use crate::handshake::Socket;
use crate::pause::Ended;

/// A frame must be taken by the network in this time: an edge that takes nothing is dead.
pub const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Names of frames that this version reads; another name is a later version's.
const KNOWN: [&str; 9] =
    ["welcome", "request", "cancel", "resend", "new_epoch", "query", "ack", "ping", "error"];

/// What a message of the edge is.
#[derive(Debug)]
pub enum Heard {
    /// A frame.
    Frame(Box<FromEdge>),
    /// Nothing that asks for anything: a ping of the WebSocket itself, a frame of a later version.
    Nothing,
    /// The end of the link.
    Ended(Ended),
}

/// What stands in a close frame's reason.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    problem: String,
    detail: String,
    retry_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Name {
    frame: String,
}

/// Reads a message of the edge.
///
/// # Errors
/// The link is lost, or what came is no frame: going on would skip it silently.
pub fn hear(message: Result<Message, SocketError>) -> Result<Heard, Ended> {
    match message {
        Ok(Message::Text(text)) => hear_text(&text),
        Ok(Message::Close(close)) => Ok(Heard::Ended(ended(close.as_ref()))),
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Heard::Nothing),
        Ok(Message::Binary(_)) => Err(Ended::lost("the edge sent a binary frame")),
        Err(error) => Err(Ended::lost(format!("the link was lost: {error}"))),
    }
}

fn hear_text(text: &str) -> Result<Heard, Ended> {
    match serde_json::from_str::<FromEdge>(text) {
        Ok(frame) => Ok(Heard::Frame(Box::new(frame))),
        Err(cause) => match serde_json::from_str::<Name>(text) {
            Ok(name) if !KNOWN.contains(&name.frame.as_str()) => {
                let frame: String = name.frame.chars().take(64).collect();
                warn!(target: "message", frame, "a frame of a later version is passed over");
                Ok(Heard::Nothing)
            }
            // The place of the fault, never the text around it: a body may stand there.
            _ => Err(Ended::lost(format!(
                "the edge sent what is no frame (line {}, column {})",
                cause.line(),
                cause.column()
            ))),
        },
    }
}

fn ended(close: Option<&CloseFrame>) -> Ended {
    let Some(close) = close else { return Ended::lost("the edge closed without a code") };
    let code = u16::from(close.code);
    let reason: Reason = serde_json::from_str(&close.reason).unwrap_or_default();
    Ended {
        obey: Obey::of(code),
        retry_after: reason.retry_after_ms.map(Duration::from_millis),
        cause: format!("closed by the edge: {code} {} {}", reason.problem, reason.detail)
            .trim_end()
            .to_owned(),
    }
}

/// Puts a frame into the socket's buffer.
///
/// # Errors
/// The link is lost, or takes nothing for too long.
pub async fn feed(socket: &mut Socket, frame: &FromAgent) -> Result<(), Ended> {
    let text = serde_json::to_string(frame)
        .map_err(|error| Ended::lost(format!("a frame has no text: {error}")))?;
    match timeout(SEND_WITHIN, socket.feed(Message::text(text))).await {
        Ok(fed) => fed.map_err(|error| Ended::lost(format!("the link was lost: {error}"))),
        Err(_) => Err(Ended::lost("the edge takes nothing")),
    }
}

/// Sends everything in the socket's buffer.
///
/// # Errors
/// As [`feed`].
pub async fn flush(socket: &mut Socket) -> Result<(), Ended> {
    match timeout(SEND_WITHIN, socket.flush()).await {
        Ok(sent) => sent.map_err(|error| Ended::lost(format!("the link was lost: {error}"))),
        Err(_) => Err(Ended::lost("the edge takes nothing")),
    }
}

/// Sends one frame.
///
/// # Errors
/// As [`feed`].
pub async fn send(socket: &mut Socket, frame: &FromAgent) -> Result<(), Ended> {
    feed(socket, frame).await?;
    flush(socket).await
}

/// Tells what the edge found wrong.
pub fn log_error(error: &ErrorFrame) {
    info!(target: "connect", problem = error.problem, detail = error.detail, "the edge complained");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_a_later_version_is_passed_over_and_garbage_is_not() {
        assert!(matches!(hear_text(r#"{"frame":"dance","to":1}"#), Ok(Heard::Nothing)));
        assert!(matches!(hear_text(r#"{"frame":"ping","head":"x"}"#), Err(Ended { .. })));
        assert!(hear_text("garbage").is_err());
        assert!(hear_text("[1,2]").is_err());
    }

    #[test]
    fn a_close_says_what_to_do_next() {
        let close = CloseFrame {
            code: 4103.into(),
            reason: r#"{"problem":"overloaded","detail":"full","retry_after_ms":2500}"#.into(),
        };
        let told = ended(Some(&close));
        assert_eq!(told.obey, Obey::BackOff);
        assert_eq!(told.retry_after, Some(Duration::from_millis(2_500)));
        let unheard = CloseFrame { code: 4077.into(), reason: "no json".into() };
        assert_eq!(ended(Some(&unheard)).obey, Obey::Stop);
        assert_eq!(ended(None).obey, Obey::BackOff);
    }
}
