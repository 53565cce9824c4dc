//! From the text of a frame to the frame, and what to say when it is none.
//!
//! The parser's own messages quote values, and values are patient data. So an answer names the
//! frame, the place and what was expected there, and never repeats what it found.

use std::borrow::Cow;

use kit_event::ids::IdError;
use kit_event::seq::SeqError;
use kit_event::time::TimestampError;
use kit_link::{FromAgent, Hello};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fault::Fault;

/// A frame as it was read.
#[derive(Debug, PartialEq)]
pub enum Read {
    /// One that this edge knows.
    Known(Box<FromAgent>),
    /// One of a later version: named, and passed over.
    Unknown {
        /// Its name, cut short.
        name: String,
    },
}

/// Longest name of an unknown frame that is repeated to its sender.
const UNKNOWN_NAME_CHARS_MAX: usize = 40;

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    frame: Cow<'a, str>,
}

/// Reads one frame of an agent.
///
/// # Errors
/// The text is no frame at all, or a frame whose members have wrong types.
pub fn read(text: &str) -> Result<Read, Fault> {
    let named: Named<'_> = serde_json::from_str(text).map_err(|error| refused("frame", &error))?;
    let known = match named.frame.as_ref() {
        "hello" => FromAgent::Hello(member(text, "hello")?),
        "fact" => FromAgent::Fact(member(text, "fact")?),
        "applied" => FromAgent::Applied(member(text, "applied")?),
        "reply" => FromAgent::Reply(member(text, "reply")?),
        "answer" => FromAgent::Answer(member(text, "answer")?),
        "pong" => FromAgent::Pong(member(text, "pong")?),
        other => {
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            let name = other.chars().filter(plain).take(UNKNOWN_NAME_CHARS_MAX).collect();
            return Ok(Read::Unknown { name });
        }
    };
    Ok(Read::Known(Box::new(known)))
}

/// Reads the first frame, which must be HELLO.
///
/// # Errors
/// It is another frame, or none.
pub fn read_hello(text: &str) -> Result<Hello, Fault> {
    match read(text)? {
        Read::Known(frame) => match *frame {
            FromAgent::Hello(hello) => Ok(hello),
            FromAgent::Fact(_)
            | FromAgent::Applied(_)
            | FromAgent::Reply(_)
            | FromAgent::Answer(_)
            | FromAgent::Pong(_) => Err(Fault::protocol("the first frame must be hello")),
        },
        Read::Unknown { .. } => Err(Fault::protocol("the first frame must be hello")),
    }
}

fn member<T: DeserializeOwned>(text: &str, name: &'static str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| refused(name, &error))
}

fn refused(name: &str, error: &serde_json::Error) -> Fault {
    let place = format!("at line {} column {}", error.line(), error.column());
    Fault::protocol(match error.classify() {
        serde_json::error::Category::Syntax => format!("not JSON {place}"),
        serde_json::error::Category::Eof => "the JSON ends too early".to_owned(),
        serde_json::error::Category::Io => "the frame could not be read".to_owned(),
        serde_json::error::Category::Data => {
            format!("{name}: {} {place}", without_values(&error.to_string()))
        }
    })
}

/// What a parser's message says of names and kinds, without the values it quotes.
fn without_values(message: &str) -> String {
    if message.starts_with("missing field") || message.starts_with("duplicate field") {
        return message.split(" at line").next().unwrap_or_default().to_owned();
    }
    // Our own types say in fixed words how they are written.
    for ours in [SeqError.to_string(), IdError::Request.to_string(), TimestampError.to_string()] {
        if message.starts_with(&ours) {
            return ours;
        }
    }
    let expected = message.rsplit_once(", expected ").map(|(_, tail)| tail);
    match expected.and_then(|tail| tail.split(" at line").next()) {
        Some(kind) => format!("expected {kind}"),
        None => "a member does not read as its type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit_link::CloseCode;

    fn detail(text: &str) -> String {
        let fault = read(text).unwrap_err();
        assert_eq!(fault.code, CloseCode::ProtocolError, "{text}");
        fault.detail
    }

    #[test]
    fn garbage_is_named_without_being_repeated() {
        assert_eq!(detail("Jane Doe"), "not JSON at line 1 column 1");
        assert_eq!(detail(r#"{"frame":"applied","#), "the JSON ends too early");
        assert!(detail("[]").starts_with("frame: "), "{}", detail("[]"));
        assert!(detail(r#"{"next":3}"#).contains("missing field `frame`"));
        let wrong = detail(r#"{"frame":"applied","next":"Jane Doe"}"#);
        assert_eq!(wrong, "applied: expected i64 at line 1 column 36");
        let wrong = detail(r#"{"frame":"fact","seq":"Jane Doe"}"#);
        assert_eq!(wrong, "fact: a unit seq is written E-S, as 1-42 at line 1 column 33");
    }

    #[test]
    fn a_frame_of_a_later_version_is_passed_over() {
        let read = read(r#"{"frame":"re\"auth<b>","token":"x"}"#).unwrap();
        assert_eq!(read, Read::Unknown { name: "reauthb".to_owned() });
    }

    #[test]
    fn another_first_frame_is_told_what_was_expected() {
        let fault = read_hello(r#"{"frame":"applied","next":3}"#).unwrap_err();
        assert_eq!(fault.detail, "the first frame must be hello");
    }
}
