//! A fake edge: the far end of the link, which holds the agent to the protocol.
//!
//! It keeps the log of facts as Kafka would, refuses a number that does not follow, and lets a test
//! send whatever it likes.

use std::sync::Arc;
use std::time::Duration;

use agent::inbox::{LastSeq, inbox};
use agent::link::Link;
use agent::queries::Queries;
use agent::run::start_worker;
use agent::setup::{NetworkClock, Setup, files};
use futures_util::{SinkExt, StreamExt};
use kit_clock::Clock;
use kit_event::{Delivery, RequestId, Timestamp, UnitSeq, command_hash};
use kit_link::{
    Ack, CloseCode, Durable, FactFrame, FromAgent, FromEdge, Hello, LogIdentity, Reply,
    RequestFrame, Resume, SUBPROTOCOL, Welcome, limits,
};
use kit_token::AgentKey;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::desk::{Folder, NOW};

/// Everything here happens within milliseconds; this long means never.
const WITHIN: Duration = Duration::from_secs(10);
pub const LOG: &str = "cluster/unit.requests/3";

pub struct FakeEdge {
    listener: TcpListener,
    /// The log of facts, as the broker confirmed it.
    pub facts: Vec<FactFrame>,
    pub log: LogIdentity,
    pub resume: Resume,
    pub credits: u32,
    pub heartbeat_ms: u64,
    pub date: Option<&'static str>,
}

impl FakeEdge {
    pub async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            facts: Vec::new(),
            log: LogIdentity(LOG.to_owned()),
            resume: Resume::Exact,
            credits: limits::CREDITS,
            heartbeat_ms: limits::HEARTBEAT_MS,
            date: None,
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    pub fn durable(&self) -> Option<Durable> {
        self.facts.last().map(|fact| Durable { seq: fact.seq, id: fact.id })
    }

    /// Takes a connection up to HELLO.
    pub async fn hello(&mut self) -> (Connection, Hello) {
        let (stream, _) =
            timeout(WITHIN, self.listener.accept()).await.expect("a connection").unwrap();
        stream.set_nodelay(true).unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
        let name = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), kit_link::PATH);
            let offered = request.headers()["Sec-WebSocket-Protocol"].clone();
            assert_eq!(offered, SUBPROTOCOL);
            response.headers_mut().insert("Sec-WebSocket-Protocol", offered);
            if let Some(date) = self.date {
                response.headers_mut().insert("Date", date.parse().unwrap());
            }
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, name).await.unwrap();
        let mut connection = Connection { socket, replies: Vec::new(), applied: None };
        match connection.next().await {
            FromAgent::Hello(hello) => (connection, hello),
            other => panic!("the first frame was {other:?}"),
        }
    }

    /// Takes a connection and welcomes it.
    pub async fn welcome(&mut self) -> Connection {
        let (mut connection, hello) = self.hello().await;
        assert!(!hello.token.is_empty());
        connection.send(&FromEdge::Welcome(self.welcome_frame())).await;
        connection
    }

    pub fn welcome_frame(&self) -> Welcome {
        Welcome {
            version: SUBPROTOCOL.to_owned(),
            unit: "hcu-0001".parse().unwrap(),
            conn_epoch: 1,
            credits: self.credits,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            heartbeat_ms: self.heartbeat_ms,
            server_time: NOW.parse().unwrap(),
            log: self.log.clone(),
            head: 0,
            durable: self.durable(),
            resume: self.resume,
        }
    }

    /// Puts a fact on the log, if its number follows.
    fn publish(&mut self, fact: FactFrame) -> UnitSeq {
        let last = self.durable().map_or(UnitSeq::ZERO, |durable| durable.seq);
        let new_epoch = fact.seq.epoch > last.epoch && fact.seq.seq == 1;
        assert!(fact.seq == last.next() || new_epoch, "{} after {last}", fact.seq);
        let seq = fact.seq;
        self.facts.push(fact);
        seq
    }

    /// Takes frames, and acknowledges facts, until `done` says so.
    pub async fn until(
        &mut self,
        connection: &mut Connection,
        mut done: impl FnMut(&Self, &Connection) -> bool,
    ) {
        while !done(self, connection) {
            self.step(connection).await;
        }
    }

    /// Takes one frame; a fact is put on the log and acknowledged.
    pub async fn step(&mut self, connection: &mut Connection) {
        match connection.next().await {
            FromAgent::Fact(fact) => {
                let durable = self.publish(fact);
                let facts_offset = self.facts.len() as i64;
                connection.send(&FromEdge::Ack(Ack { durable, facts_offset })).await;
            }
            FromAgent::Reply(reply) => connection.replies.push(reply),
            FromAgent::Applied(applied) => {
                assert!(connection.applied <= Some(applied.next), "the cursor went back");
                connection.applied = Some(applied.next);
            }
            FromAgent::Answer(_) | FromAgent::Pong(_) => {}
            FromAgent::Hello(hello) => panic!("a second hello: {hello:?}"),
        }
    }

    /// Takes frames until the snapshot of the present epoch is whole.
    pub async fn seeded(&mut self, connection: &mut Connection) {
        self.until(connection, |edge, _| edge.has("units.epoch_seeded")).await;
    }

    pub fn has(&self, type_name: &str) -> bool {
        let epoch = self.durable().map_or(0, |durable| durable.seq.epoch);
        self.facts.iter().any(|fact| fact.seq.epoch == epoch && fact.type_name == type_name)
    }

    pub fn count(&self, type_name: &str) -> usize {
        self.facts.iter().filter(|fact| fact.type_name == type_name).count()
    }
}

pub struct Connection {
    socket: WebSocketStream<TcpStream>,
    pub replies: Vec<Reply>,
    pub applied: Option<i64>,
}

impl Connection {
    pub async fn next(&mut self) -> FromAgent {
        loop {
            let message = timeout(WITHIN, self.socket.next()).await.expect("a frame in time");
            match message.expect("an open link").unwrap() {
                Message::Text(text) => {
                    assert!(text.len() <= limits::FRAME_BYTES_MAX);
                    return serde_json::from_str(&text).unwrap();
                }
                Message::Close(close) => panic!("the agent closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// A frame, or none while the agent has nothing to say.
    pub async fn next_within(&mut self, wait: Duration) -> Option<FromAgent> {
        match timeout(wait, self.socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => Some(serde_json::from_str(&text).unwrap()),
            Ok(_) | Err(_) => None,
        }
    }

    pub async fn send(&mut self, frame: &FromEdge) {
        self.send_text(serde_json::to_string(frame).unwrap()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub async fn close(mut self, code: CloseCode, reason: &str) {
        let close = CloseFrame { code: code.code().into(), reason: reason.to_owned().into() };
        // The agent may have left by itself.
        let _ = self.socket.close(Some(close)).await;
        while let Ok(Some(Ok(_))) = timeout(WITHIN, self.socket.next()).await {}
    }

    /// Waits until the agent has hung up.
    pub async fn hung_up(mut self) {
        while let Some(Ok(_)) = timeout(WITHIN, self.socket.next()).await.expect("an end in time") {
        }
    }
}

/// A request at a position, as a gateway would make it.
pub fn request(position: i64, name: &str, type_name: &str, body: Value) -> RequestFrame {
    let accepted: Timestamp = NOW.parse().unwrap();
    RequestFrame {
        position,
        id: request_id(name),
        type_name: type_name.to_owned(),
        version: 1,
        accepted_at: accepted,
        expires_at: accepted.plus_ms(3_600_000),
        delivery: Delivery::Queue,
        command_hash: command_hash(type_name, &body),
        actor: "staff:9".to_owned(),
        traceparent: None,
        reply_partition: Some(3),
        body,
    }
}

pub fn request_id(name: &str) -> RequestId {
    RequestId::derive(&"hcu-0001".parse().unwrap(), "iss", "sub", name)
}

/// A whole agent in this process: its threads and its link.
pub struct Running {
    stop: watch::Sender<bool>,
    inbox: std::sync::mpsc::SyncSender<agent::inbox::Inbox>,
    worker: std::thread::JoinHandle<()>,
    link: tokio::task::JoinHandle<()>,
}

impl Running {
    pub fn start(folder: &Folder, edge: &FakeEdge) -> Self {
        let mut setup = Setup::new(&folder.dir(), folder.unit.clone(), "UTC").unwrap();
        setup.clock = NetworkClock::new(Clock::system());
        let setup = Arc::new(setup);
        let (stop, stopped) = watch::channel(false);
        let last_seq = LastSeq::default();
        let (inbox, messages) = inbox();
        let (queries, _) = Queries::start(setup.clone()).unwrap();
        let watched = agent::watch::start(setup.path(files::CLINIC), inbox.clone());
        let worker =
            start_worker(setup.clone(), messages, last_seq.clone(), stopped.clone(), watched)
                .unwrap();
        let key = AgentKey::load(&folder.unit, &folder.path(files::KEY)).unwrap();
        let url = agent::handshake::upgrade_url(&edge.url());
        let link = Link { setup, url, key, inbox: inbox.clone(), queries, last_seq, stop: stopped };
        let link = tokio::spawn(link.run());
        Self { stop, inbox, worker, link }
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.inbox.send(agent::inbox::Inbox::Stop);
        self.link.await.unwrap();
        tokio::task::spawn_blocking(move || self.worker.join().unwrap()).await.unwrap();
    }
}
