//! Server-sent events as text (WHATWG HTML, section 9.2): what a stream says, and how much of it at
//! once. Nothing here waits or reads.

use kit_event::UnitSeq;
use kit_request::tracked::TrackedRequest;
use serde::Serialize;
use serde_json::json;

use crate::event::Event;

/// Media type of a stream.
pub const EVENT_STREAM: &str = "text/event-stream";
/// A stream hands over no more than this at once, beside one event that may be larger by itself: a
/// reader on a poor line must be able to take it before it counts as slow.
const CHUNK_BYTES_MAX: usize = 32 * 1024;
/// A reader that lost its stream comes back after so long, where nothing else was said.
const RETRY_MS: u64 = 2_000;
/// Says that the stream lives; proxies cut what is silent.
pub const HEARTBEAT: &str = ":\n\n";

/// The end of a stream, said in its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The reader left; there is nobody to tell.
    ClientLeft,
    /// The reader took nothing for too long.
    TooSlow,
    /// The token with which the stream was opened has ended.
    TokenExpired,
    /// This gateway goes away; another takes over.
    Draining,
    /// The read model does not answer.
    Unavailable,
}

impl Over {
    /// Every end.
    pub const ALL: [Self; 5] =
        [Self::ClientLeft, Self::TooSlow, Self::TokenExpired, Self::Draining, Self::Unavailable];

    /// Its name on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientLeft => "client-left",
            Self::TooSlow => "too-slow",
            Self::TokenExpired => "token-expired",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Some whole events, ready to be written.
#[derive(Debug, Default)]
pub struct Chunk {
    text: String,
}

impl Chunk {
    /// The first words of a stream.
    #[must_use]
    pub fn opening() -> Self {
        Self { text: format!("retry: {RETRY_MS}\n\n") }
    }

    /// The last words of a stream whose reader has everything up to `after`. A reader that is sent
    /// away together with all others is told when to come back.
    #[must_use]
    pub fn closing(over: Over, after: UnitSeq, retry_ms: Option<u64>) -> Self {
        let mut chunk = Self::default();
        if let Some(retry_ms) = retry_ms {
            chunk.text = format!("retry: {retry_ms}\n");
        }
        chunk.put(None, "closed", &json!({"reason": over.as_str(), "after": after}));
        chunk
    }

    /// Adds as many of `events` as fit, and gives the number of the last: the rest is read again.
    pub fn facts(&mut self, events: Vec<Event>) -> Option<UnitSeq> {
        let mut last = None;
        for event in events {
            if last.is_some() && self.text.len() >= CHUNK_BYTES_MAX {
                break;
            }
            self.put(Some(event.seq), &event.type_name, &event);
            last = Some(event.seq);
        }
        last
    }

    /// Adds that up to `seq` there is nothing for this reader: its cursor moves, and it is told of
    /// no event.
    pub fn passed(&mut self, seq: UnitSeq) {
        self.text.push_str(&format!("id: {seq}\n\n"));
    }

    /// Adds that a deadline passed without the unit's word. No fact says so, so it has no number,
    /// and a reader that comes back may hear it again.
    pub fn overdue(&mut self, request: &TrackedRequest) {
        self.put(None, "request_overdue", request);
    }

    fn put(&mut self, id: Option<UnitSeq>, name: &str, data: &impl Serialize) {
        if let Some(id) = id {
            self.text.push_str(&format!("id: {id}\n"));
        }
        // A type comes from a header of the log: a line of its own must not begin within it.
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        // Ids, times, text and JSON always have a JSON form, and that form is one line.
        let data = serde_json::to_string(data).unwrap_or_default();
        self.text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The bytes to write.
    #[must_use]
    pub fn into_bytes(self) -> bytes::Bytes {
        self.text.into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use kit_event::Timestamp;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn event(seq: u64, body: Value) -> Event {
        Event {
            seq: UnitSeq::new(1, seq),
            id: Uuid::nil(),
            type_name: "a.b\nid: 9-9".to_owned(),
            version: 1,
            time: Timestamp::from_unix_ms(0),
            subject: None,
            patient_id: None,
            causation_id: None,
            request_ids: Vec::new(),
            body,
        }
    }

    #[test]
    fn whatever_a_fact_holds_it_is_three_lines_and_an_empty_one() {
        let mut chunk = Chunk::default();
        let nasty = json!({"text": "a\nid: 7-7\r\n\r\nevent: x\u{2028}data: y\0"});
        assert_eq!(chunk.facts(vec![event(4, nasty.clone())]), Some(UnitSeq::new(1, 4)));
        let text = String::from_utf8(chunk.into_bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!((lines[0], lines[1]), ("id: 1-4", "event: a.bid: 9-9"));
        let data: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["body"], nasty);
        assert_eq!((lines[3], lines[4]), ("", ""));
        assert!(!text.contains('\r'));
    }

    #[test]
    fn a_chunk_holds_whole_events_and_at_least_one() {
        let large = json!({"text": "x".repeat(CHUNK_BYTES_MAX)});
        let mut chunk = Chunk::default();
        let events = (1..4).map(|seq| event(seq, large.clone())).collect();
        assert_eq!(chunk.facts(events), Some(UnitSeq::new(1, 1)));
        assert!(chunk.into_bytes().ends_with(b"\n\n"));
        let mut many = Chunk::default();
        let events = (1..4).map(|seq| event(seq, json!({}))).collect();
        assert_eq!(many.facts(events), Some(UnitSeq::new(1, 3)));
        assert_eq!(Chunk::default().facts(Vec::new()), None);
    }

    #[test]
    fn the_last_words_name_the_cursor_and_move_none() {
        let closing = Chunk::closing(Over::Draining, UnitSeq::new(2, 7), Some(1500)).into_bytes();
        let text = std::str::from_utf8(&closing).unwrap();
        assert!(text.starts_with("retry: 1500\nevent: closed\ndata: {"), "{text}");
        assert!(text.contains(r#""reason":"draining""#) && text.contains(r#""after":"2-7""#));
        assert!(!text.contains("id:"), "{text}");
    }
}
