//! A reader of streams that takes bytes off a socket, so that it can be cut at any of them.

use std::net::SocketAddr;
use std::time::Duration;

use kit_event::UnitSeq;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An event as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub id: Option<UnitSeq>,
    pub name: String,
    pub data: Value,
}

/// An open stream.
pub struct Reader {
    socket: TcpStream,
    body: Dechunked,
    pub status: u16,
    pub head: String,
    /// Events that were given out already.
    given: usize,
    pub ended: bool,
}

impl Reader {
    /// Asks for a stream and reads the answer's head.
    pub async fn open(addr: SocketAddr, token: &str, path: &str, last: Option<&str>) -> Self {
        Self::ask(addr, token, path, "text/event-stream", last, None).await
    }

    /// As [`Reader::open`], with another `Accept`, and with a receive window of so many bytes.
    pub async fn ask(
        addr: SocketAddr,
        token: &str,
        path: &str,
        accept: &str,
        last: Option<&str>,
        window: Option<u32>,
    ) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        if let Some(window) = window {
            socket.set_recv_buffer_size(window).unwrap();
        }
        let mut socket = socket.connect(addr).await.unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let ask = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nauthorization: Bearer \
             {token}\r\n{last}\r\n"
        );
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let head_end = loop {
            if let Some(at) = find(&raw, b"\r\n\r\n") {
                break at;
            }
            assert!(
                socket.read_buf(&mut raw).await.unwrap() != 0,
                "no head: {}",
                String::from_utf8_lossy(&raw)
            );
        };
        let head = String::from_utf8(raw.drain(..head_end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Dechunked::default();
        body.feed(&raw);
        Self { socket, body, status, head: head.to_lowercase(), given: 0, ended: false }
    }

    /// Reads until so many more bytes have come off the socket, and not one beyond, or it ends.
    pub async fn take_bytes(&mut self, wanted: usize) {
        let mut left = wanted;
        while left > 0 && !self.ended {
            left -= self.more(left).await;
        }
    }

    async fn more(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most.min(64 * 1024)];
        match self.socket.read(&mut buffer).await {
            Ok(0) | Err(_) => {
                self.ended = true;
                0
            }
            Ok(count) => {
                self.body.feed(&buffer[..count]);
                count
            }
        }
    }

    /// The whole events among the bytes that came.
    pub fn whole(&self) -> &[Heard] {
        &self.body.events
    }

    /// The text of the body so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.text).into_owned()
    }

    /// The next event; none where the stream has ended.
    pub async fn next(&mut self) -> Option<Heard> {
        let wait = async {
            loop {
                if let Some(heard) = self.whole().get(self.given).cloned() {
                    self.given += 1;
                    return Some(heard);
                }
                if self.ended {
                    return None;
                }
                self.more(usize::MAX).await;
            }
        };
        tokio::time::timeout(super::SOON, wait).await.expect("an event")
    }

    /// Whether nothing comes within `quiet`.
    pub async fn is_quiet(&mut self, quiet: Duration) -> bool {
        let before = self.whole().len();
        let _ = tokio::time::timeout(quiet, async {
            while self.whole().len() == before && !self.ended {
                self.more(usize::MAX).await;
            }
        })
        .await;
        self.whole().len() == before && !self.ended
    }
}

fn event(block: &str) -> Option<Heard> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).unwrap();
    let id = field("id").map(|id| id.parse().unwrap());
    Some(Heard { id, name: field("event").unwrap(), data })
}

/// A chunked body, as far as it came.
#[derive(Default)]
struct Dechunked {
    /// Bytes that are not taken apart yet.
    raw: Vec<u8>,
    /// Bytes of the present chunk that are still to come, its line end included.
    left: usize,
    text: Vec<u8>,
    /// Up to here the text is parsed.
    parsed: usize,
    events: Vec<Heard>,
}

impl Dechunked {
    fn feed(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        loop {
            if self.left > 0 {
                let taken = self.left.min(self.raw.len());
                // The last two bytes of a chunk are its line end.
                let text = taken.min(self.left.saturating_sub(2));
                self.text.extend_from_slice(&self.raw[..text]);
                self.raw.drain(..taken);
                self.left -= taken;
            }
            if self.left > 0 {
                break;
            }
            let Some(line) = find(&self.raw, b"\r\n") else { break };
            let size = std::str::from_utf8(&self.raw[..line]).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            self.raw.drain(..line + 2);
            self.left = size + 2;
        }
        while let Some(end) = find(&self.text[self.parsed..], b"\n\n") {
            let block = std::str::from_utf8(&self.text[self.parsed..self.parsed + end]).unwrap();
            self.events.extend(event(block));
            self.parsed += end + 2;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
