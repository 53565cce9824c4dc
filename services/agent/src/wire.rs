//! Frames on the socket: text to frame and back, and what a close means.

use std::time::Duration;

use futures_util::SinkExt;
use kit_event::UnitSeq;
use kit_link::limits::FRAME_BYTES_MAX;
use kit_link::{ErrorFrame, FactFrame, FromAgent, FromEdge, Obey, Resume};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tracing::{error, info, warn};

use crate::handshake::Socket;
use crate::pause::Ended;

/// A frame must be taken by the network in this time: an edge that takes nothing is dead.
pub const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Names of frames that this version reads; another name is a later version's.
const KNOWN: [&str; 10] = [
    "welcome",
    "request",
    "cancel",
    "resend",
    "new_epoch",
    "reemit",
    "query",
    "ack",
    "ping",
    "error",
];

/// Places on a log, and numbers of facts, lie below this; no log comes to it in a million years.
const POSITION_END: i64 = 1 << 62;
/// Epochs lie below this.
const EPOCH_END: u32 = 1 << 31;

/// What a message of the edge is.
#[derive(Debug)]
pub enum Received {
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
pub fn receive(message: Result<Message, SocketError>) -> Result<Received, Ended> {
    match message {
        Ok(Message::Text(text)) => receive_text(&text),
        Ok(Message::Close(close)) => Ok(Received::Ended(ended(close.as_ref()))),
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Received::Nothing),
        Ok(Message::Binary(_)) => Err(Ended::lost("the edge sent a binary frame")),
        Err(error) => Err(Ended::lost(format!("the link was lost: {error}"))),
    }
}

fn receive_text(text: &str) -> Result<Received, Ended> {
    match serde_json::from_str::<FromEdge>(text) {
        Ok(frame) if names_the_impossible(&frame) => {
            Err(Ended::lost("the edge named a position or a number that no log has"))
        }
        Ok(frame) => Ok(Received::Frame(Box::new(frame))),
        Err(cause) => match serde_json::from_str::<Name>(text) {
            Ok(name) if !KNOWN.contains(&name.frame.as_str()) => {
                let frame: String = name.frame.chars().take(64).collect();
                warn!(target: "message", frame, "a frame of a later version is passed over");
                Ok(Received::Nothing)
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

/// Whether an edge names a place or number beyond which nobody can count. What a control on the log
/// names is judged where it is obeyed: the control comes again on every link until it is done with.
fn names_the_impossible(frame: &FromEdge) -> bool {
    let positions = match frame {
        FromEdge::Welcome(welcome) => {
            if welcome.durable.is_some_and(|durable| !is_possible(durable.seq)) {
                return true;
            }
            let to = match welcome.resume {
                Resume::Gap { to, .. } => Some(to),
                Resume::Exact => None,
            };
            [Some(welcome.head), to]
        }
        FromEdge::Request(request) => [Some(request.position), None],
        FromEdge::Cancel(cancel) => [cancel.position, None],
        FromEdge::Resend(resend) => [resend.position, None],
        FromEdge::NewEpoch(order) => [order.position, None],
        FromEdge::Reemit(order) => [order.position, None],
        FromEdge::Ack(ack) => [Some(ack.facts_offset), None],
        FromEdge::Ping(ping) => [Some(ping.head), None],
        FromEdge::Query(_) | FromEdge::Error(_) => [None, None],
    };
    positions.into_iter().flatten().any(|position| !(0..POSITION_END).contains(&position))
}

/// Whether a number can be one of a unit's facts: there is always one more.
#[must_use]
pub fn is_possible(seq: UnitSeq) -> bool {
    seq.epoch < EPOCH_END && seq.seq < POSITION_END.unsigned_abs()
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
    let text =
        text_of(frame).map_err(|error| Ended::lost(format!("a frame has no text: {error}")))?;
    match timeout(SEND_WITHIN, socket.feed(Message::text(text))).await {
        Ok(fed) => fed.map_err(|error| Ended::lost(format!("the link was lost: {error}"))),
        Err(_) => Err(Ended::lost("the edge takes nothing")),
    }
}

/// A frame's text. A fact that is too large for a frame, however it came into the spool, goes
/// without its body: the network then withholds it under its number, and the unit goes on.
fn text_of(frame: &FromAgent) -> serde_json::Result<String> {
    let text = serde_json::to_string(frame)?;
    match frame {
        FromAgent::Fact(fact) if text.len() > FRAME_BYTES_MAX => {
            let (seq, fact_type, bytes) = (fact.seq, &fact.type_name, text.len());
            error!(target: "error", %seq, fact_type, bytes, "a fact is too large for a frame");
            serde_json::to_string(&FromAgent::Fact(FactFrame { body: Value::Null, ..fact.clone() }))
        }
        _ => Ok(text),
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
        assert!(matches!(receive_text(r#"{"frame":"dance","to":1}"#), Ok(Received::Nothing)));
        assert!(matches!(receive_text(r#"{"frame":"ping","head":"x"}"#), Err(Ended { .. })));
        assert!(receive_text("garbage").is_err());
        assert!(receive_text("[1,2]").is_err());
    }

    #[test]
    fn places_and_numbers_beyond_counting_end_the_link() {
        let most = i64::MAX;
        let time = "2026-03-01T09:30:00Z";
        for frame in [
            format!(r#"{{"frame":"ping","head":{most},"server_time":"{time}"}}"#),
            format!(r#"{{"frame":"ping","head":-1,"server_time":"{time}"}}"#),
            format!(r#"{{"frame":"ack","durable":"1-1","facts_offset":{most}}}"#),
            format!(r#"{{"frame":"resend","position":{most},"from":"1-1","to":"1-2"}}"#),
            format!(
                r#"{{"frame":"welcome","version":"unit.v1","unit":"hcu-0001","conn_epoch":1,
                "credits":16,"frame_bytes_max":65536,"heartbeat_ms":20000,"server_time":"{time}",
                "log":"x","head":1,"resume":{{"kind":"exact"}},"durable":
                {{"seq":"4294967295-1","id":"00000000-0000-0000-0000-000000000000"}}}}"#
            ),
        ] {
            assert!(receive_text(&frame).is_err(), "{frame}");
        }
        let ping = format!(r#"{{"frame":"ping","head":7,"server_time":"{time}"}}"#);
        assert!(matches!(receive_text(&ping), Ok(Received::Frame(_))));
        assert!(is_possible(UnitSeq::new(7, 7)));
        assert!(!is_possible(UnitSeq::new(u32::MAX, 7)) && !is_possible(UnitSeq::new(7, u64::MAX)));
    }

    #[test]
    fn a_fact_that_is_too_large_keeps_its_number_and_goes_without_its_body() {
        let body = serde_json::json!({"note": "x".repeat(FRAME_BYTES_MAX)});
        let fact = FactFrame {
            seq: "1-7".parse().unwrap(),
            id: uuid::Uuid::nil(),
            type_name: "voip.call_ended".to_owned(),
            version: 1,
            time: kit_event::Timestamp::from_unix_ms(0),
            subject: None,
            patient_id: None,
            causation_id: None,
            traceparent: None,
            body,
        };
        let text = text_of(&FromAgent::Fact(fact)).unwrap();
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&sent["seq"], &sent["body"]), (&"1-7".into(), &Value::Null));
        assert!(text.len() < 300, "{text}");
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
