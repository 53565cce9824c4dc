//! Probes: asking an address what it is, in the words of the server that is expected there.
//!
//! An open port says little. A server that still recovers its log accepts connections too, and so
//! does a stranger. Each probe therefore asks one harmless question of the server's own protocol,
//! written by hand: a whole client would bring its retries, its time-outs and its certificates, and
//! would hide the one thing wanted here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One question must be answered within this; a busy machine needs some of it, a silent stranger
/// all of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// More of an answer than this is never looked at.
const ANSWER_BYTES: usize = 4096;

/// How a process shows that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It is ready as soon as it runs.
    None,
    /// It accepts connections.
    Tcp(SocketAddr),
    /// It answers a GET with 2xx: the address, and the path with its leading slash.
    Http(SocketAddr, String),
    /// It names at least one broker, itself, that is not fenced off.
    Kafka(SocketAddr),
    /// It lets this user into this database.
    Postgres { addr: SocketAddr, user: String, database: String },
}

/// What an address answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The expected server, ready for work.
    Ready,
    /// The expected server, or perhaps it; worth asking again.
    NotYet,
    /// Nothing listens there.
    Away,
    /// Something else, and why we think so.
    Foreign(String),
}

impl Probe {
    /// Asks once.
    pub async fn ask(&self) -> Answer {
        let asked = async {
            match self {
                Self::None => Ok(Answer::Ready),
                Self::Tcp(addr) => TcpStream::connect(addr).await.map(|_| Answer::Ready),
                Self::Http(addr, path) => ask_http(*addr, path).await,
                Self::Kafka(addr) => ask_kafka(*addr).await,
                Self::Postgres { addr, user, database } => {
                    ask_postgres(*addr, user, database).await
                }
            }
        };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Err(_) => Answer::Foreign(format!("it was silent for {ANSWER_WITHIN:?}")),
            Ok(Ok(answer)) => answer,
            Ok(Err(refused)) if refused.kind() == io::ErrorKind::ConnectionRefused => Answer::Away,
            Ok(Err(broken)) => Answer::Foreign(broken.to_string()),
        }
    }
}

async fn ask_http(addr: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = vec![0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).await?;
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    Ok(match status {
        Some(status) if status.starts_with('2') => Answer::Ready,
        Some(status) if status.starts_with('5') => Answer::NotYet,
        Some(status) => Answer::Foreign(format!("it answers GET {path} with {status}")),
        None => Answer::Foreign("it does not speak HTTP".to_owned()),
    })
}

/// Asks for metadata of no topic at all (version 4, the last one with plain lengths that every
/// broker still reads).
async fn ask_kafka(addr: SocketAddr) -> io::Result<Answer> {
    const METADATA: i16 = 3;
    const VERSION: i16 = 4;
    const CORRELATION: i32 = 0x4152_5445;
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend((-1_i16).to_be_bytes()); // no client id
    body.extend(0_i32.to_be_bytes()); // no topics
    body.push(0); // and none to be created
    let length = i32::try_from(body.len()).expect("a probe is a few bytes long");
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&body).await?;
    let _length = stream.read_i32().await?;
    if stream.read_i32().await? != CORRELATION {
        return Ok(Answer::Foreign("it does not speak Kafka's protocol".to_owned()));
    }
    let _throttled_for = stream.read_i32().await?;
    let brokers = stream.read_i32().await?;
    Ok(if brokers > 0 { Answer::Ready } else { Answer::NotYet })
}

/// Logs in. A server that asks for a password is taken as ready: whoever configured it also has the
/// password.
async fn ask_postgres(addr: SocketAddr, user: &str, database: &str) -> io::Result<Answer> {
    const PROTOCOL_3_0: i32 = 196_608;
    const CANNOT_CONNECT_NOW: &str = "C57P03";
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for word in ["user", user, "database", database, ""] {
        body.extend(word.as_bytes());
        body.push(0);
    }
    let length = i32::try_from(body.len() + 4).expect("a login is a few bytes long");
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&body).await?;
    let kind = stream.read_u8().await?;
    let rest = usize::try_from(stream.read_i32().await?).unwrap_or(0).saturating_sub(4);
    if !matches!(kind, b'R' | b'E') || rest > ANSWER_BYTES {
        return Ok(Answer::Foreign("it does not speak Postgres' protocol".to_owned()));
    }
    let mut said = vec![0; rest];
    stream.read_exact(&mut said).await?;
    if kind == b'R' {
        stream.write_all(b"X\0\0\0\x04").await?; // goodbye, so that its log stays clean
        return Ok(Answer::Ready);
    }
    let said = String::from_utf8_lossy(&said);
    let mut fields = said.split('\0');
    if fields.any(|field| field == CANNOT_CONNECT_NOW) {
        return Ok(Answer::NotYet);
    }
    let message = said.split('\0').find_map(|field| field.strip_prefix('M')).unwrap_or_default();
    Ok(Answer::Foreign(format!("it says: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::free_addr;
    use tokio::net::TcpListener;

    async fn stranger(says: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(free_addr()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = [0; 512];
                let _ = stream.read(&mut heard).await;
                let _ = stream.write_all(says).await;
            }
        });
        addr
    }

    fn postgres(addr: SocketAddr) -> Probe {
        Probe::Postgres { addr, user: "arteria".to_owned(), database: "arteria".to_owned() }
    }

    #[tokio::test]
    async fn nothing_there_is_away() {
        for probe in [
            Probe::Tcp(free_addr()),
            Probe::Http(free_addr(), "/".to_owned()),
            Probe::Kafka(free_addr()),
            postgres(free_addr()),
        ] {
            assert_eq!(probe.ask().await, Answer::Away, "{probe:?}");
        }
    }

    #[tokio::test]
    async fn a_web_server_is_neither_kafka_nor_postgres() {
        let addr = stranger(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        assert!(matches!(Probe::Kafka(addr).ask().await, Answer::Foreign(_)));
        assert!(matches!(postgres(addr).ask().await, Answer::Foreign(_)));
        assert!(matches!(Probe::Http(addr, "/".to_owned()).ask().await, Answer::Foreign(_)));
    }

    #[tokio::test]
    async fn a_web_server_that_is_not_ready_is_asked_again() {
        let addr = stranger(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
        assert_eq!(Probe::Http(addr, "/readyz".to_owned()).ask().await, Answer::NotYet);
    }

    #[tokio::test]
    async fn a_postgres_that_starts_is_asked_again_and_a_strange_one_is_quoted() {
        let starting = stranger(b"E\0\0\0\x1aSFATAL\0C57P03\0Mwait\0\0\0\0\0\0").await;
        assert_eq!(postgres(starting).ask().await, Answer::NotYet);
        let strange = stranger(b"E\0\0\0\x1aSFATAL\0C3D000\0Mnone\0\0\0\0\0\0").await;
        assert_eq!(postgres(strange).ask().await, Answer::Foreign("it says: none".to_owned()));
    }

    #[tokio::test]
    async fn a_silent_stranger_is_foreign() {
        let listener = TcpListener::bind(free_addr()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        assert!(matches!(Probe::Kafka(addr).ask().await, Answer::Foreign(_)));
    }
}
