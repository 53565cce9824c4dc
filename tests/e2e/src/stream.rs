//! A live stream as an app takes it: events off the wire, cut whenever the app likes.

use std::time::Duration;

use kit_event::UnitSeq;
use serde_json::Value;

use crate::eventually::WITHIN;

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Its number; none where it is no fact.
    pub id: Option<UnitSeq>,
    pub name: String,
    pub data: Value,
}

/// An open stream; dropping it cuts the connection.
pub struct Stream {
    response: reqwest::Response,
    text: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, text: Vec::new() }
    }

    /// The next event; none where the stream has ended.
    ///
    /// # Panics
    /// None comes in time, or what comes is no event.
    pub async fn next(&mut self) -> Option<Heard> {
        let come = tokio::time::timeout(WITHIN, self.come());
        come.await.expect("an event of the stream")
    }

    /// The next event where one comes within `wait`.
    pub async fn next_within(&mut self, wait: Duration) -> Option<Heard> {
        tokio::time::timeout(wait, self.come()).await.ok().flatten()
    }

    async fn come(&mut self) -> Option<Heard> {
        loop {
            while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(heard) = event(std::str::from_utf8(&block).expect("UTF-8")) {
                    return Some(heard);
                }
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.text.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// A block of lines; signs of life and `retry` are no events.
fn event(block: &str) -> Option<Heard> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).expect("JSON");
    let id = field("id").map(|id| id.parse().expect("E-S"));
    Some(Heard { id, name: field("event").expect("a name"), data })
}
