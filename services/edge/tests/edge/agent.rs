//! An agent by hand: it says what the test says.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use kit_event::{RequestId, UnitSeq};
use kit_link::{
    Ack, Applied, Cursor, FactFrame, FromAgent, FromEdge, Hello, Ping, Pong, SUBPROTOCOL, Welcome,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::network::Unit;

/// Longest wait for anything that must come.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Agent {
    /// What the answer to the upgrade said of the time.
    pub date: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub unit: Unit,
}

/// How a link ended.
#[derive(Debug)]
pub struct Closed {
    pub code: u16,
    pub reason: Value,
    /// The error frame that went ahead, and whatever else was still on its way.
    pub errors: Vec<(String, String)>,
}

pub fn hello(unit: &Unit) -> Hello {
    Hello {
        token: unit.token(),
        versions: vec![SUBPROTOCOL.to_owned()],
        agent_version: "test".to_owned(),
        request_types: vec!["edgetest.do_thing".to_owned()],
        net_changes_only: false,
        install_epoch: 0,
        last: None,
        facts_offset: None,
        cursor: None,
    }
}

impl Agent {
    /// An upgraded socket that has said nothing yet.
    pub async fn dial(addr: SocketAddr, unit: &Unit) -> Self {
        let url = format!("ws://{addr}{}", kit_link::PATH);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
        let (socket, response) = connect_async_with_config(request, None, true).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        let date = response.headers()["date"].to_str().unwrap().to_owned();
        Self { date, socket, unit: unit.clone() }
    }

    pub async fn connect_with(addr: SocketAddr, unit: &Unit, hello: Hello) -> (Self, Welcome) {
        let mut agent = Self::dial(addr, unit).await;
        agent.send(&FromAgent::Hello(hello)).await;
        match agent.next().await {
            FromEdge::Welcome(welcome) => (agent, welcome),
            other => panic!("expected welcome, got {other:?}"),
        }
    }

    pub async fn connect(addr: SocketAddr, unit: &Unit) -> (Self, Welcome) {
        Self::connect_with(addr, unit, hello(unit)).await
    }

    /// Connects with a cursor of the unit's log.
    pub async fn resume(
        addr: SocketAddr,
        unit: &Unit,
        welcome: &Welcome,
        next: i64,
    ) -> (Self, Welcome) {
        let mut hello = hello(unit);
        hello.cursor = Some(Cursor { log: welcome.log.clone(), next });
        Self::connect_with(addr, unit, hello).await
    }

    pub async fn send(&mut self, frame: &FromAgent) {
        self.say(serde_json::to_string(frame).unwrap()).await;
    }

    pub async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    pub async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub async fn fact(&mut self, epoch: u32, seq: u64) {
        let fact = self.unit.fact(UnitSeq::new(epoch, seq));
        self.send(&FromAgent::Fact(FactFrame::from(fact))).await;
    }

    pub async fn applied(&mut self, next: i64) {
        self.send(&FromAgent::Applied(Applied { next })).await;
    }

    pub async fn pong(&mut self, next: i64) {
        self.send(&FromAgent::Pong(Pong { next, ..Pong::default() })).await;
    }

    /// The next frame of the edge that is no ping: each link is asked in its first seconds.
    pub async fn next(&mut self) -> FromEdge {
        loop {
            let frame = timeout(PATIENCE, self.frame()).await.expect("a frame in time");
            if !matches!(frame, FromEdge::Ping(_)) {
                return frame;
            }
        }
    }

    /// The next ping, before which no other frame comes.
    pub async fn ping(&mut self) -> Ping {
        self.ping_within(PATIENCE).await
    }

    /// As [`Agent::ping`], for one that comes later than anything else.
    pub async fn ping_within(&mut self, patience: Duration) -> Ping {
        match timeout(patience, self.frame()).await.expect("a ping in time") {
            FromEdge::Ping(ping) => ping,
            other => panic!("expected a ping, got {other:?}"),
        }
    }

    async fn frame(&mut self) -> FromEdge {
        loop {
            let message = self.socket.next().await;
            match message.expect("a frame before the end").expect("a readable frame") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// That nothing but a ping comes for a while.
    pub async fn hears_nothing_for(&mut self, ms: u64) {
        let silence = Duration::from_millis(ms);
        let received = async {
            loop {
                match self.frame().await {
                    FromEdge::Ping(_) => {}
                    other => return other,
                }
            }
        };
        if let Ok(frame) = timeout(silence, received).await {
            panic!("expected silence, got {frame:?}");
        }
    }

    /// Waits for the ACK of `seq`, passing over earlier ones.
    pub async fn acked(&mut self, epoch: u32, seq: u64) -> Ack {
        loop {
            match self.next().await {
                FromEdge::Ack(ack) if ack.durable == UnitSeq::new(epoch, seq) => return ack,
                FromEdge::Ack(ack) => assert!(ack.durable < UnitSeq::new(epoch, seq), "{ack:?}"),
                other => panic!("expected an ack, got {other:?}"),
            }
        }
    }

    /// The next request's position and id.
    pub async fn request(&mut self) -> (i64, RequestId) {
        match self.next().await {
            FromEdge::Request(request) => (request.position, request.id),
            other => panic!("expected a request, got {other:?}"),
        }
    }

    /// Waits for the edge's close.
    pub async fn closed(mut self) -> Closed {
        let mut errors = Vec::new();
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a close in time");
            match message.expect("a close frame").expect("a readable frame") {
                Message::Text(text) => {
                    if let FromEdge::Error(error) = serde_json::from_str(&text).unwrap() {
                        errors.push((error.problem, error.detail));
                    }
                }
                Message::Close(close) => {
                    let close = close.expect("a close with a code");
                    let reason = serde_json::from_str(&close.reason).unwrap();
                    return Closed { code: close.code.into(), reason, errors };
                }
                _ => {}
            }
        }
    }

    /// Leaves without a word.
    pub async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.socket.next()).await {}
    }
}

impl Closed {
    /// Asserts the end, with a piece of what was said about it.
    pub fn expect(&self, code: kit_link::CloseCode, detail: &str) {
        assert_eq!(self.code, code.code(), "{self:?}");
        assert_eq!(self.reason["problem"], code.slug(), "{self:?}");
        let (problem, said) = self.errors.last().expect("an error frame before the close");
        assert_eq!(problem, code.slug());
        assert!(said.contains(detail), "{said} does not hold {detail}");
    }
}
