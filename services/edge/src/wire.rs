//! One agent's socket: frames as text, both ways at once, every wait bounded.
//!
//! Nothing here knows what a frame means. The socket is written while it is read, so two ends that
//! both have much to say cannot block each other; frames that wait are bounded by the caller, which
//! looks at [`Wire::waiting`] before it makes new ones.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream};
use kit_link::{CloseCode, FromEdge, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::fault::Fault;
use crate::limits::{
    CLOSE_LINGER_MS, OVERSIZE_BYTES_MAX, READ_BUFFER_BYTES, WRITE_BUFFER_BYTES_MAX,
};

/// What came from the socket.
#[derive(Debug)]
pub enum Event {
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping or pong of the WebSocket itself: a sign of life.
    Alive,
    /// The agent closed, or the connection is gone.
    Gone,
    /// The agent broke the WebSocket's own rules, or a limit.
    Broken(Fault),
}

/// A socket after its upgrade.
pub struct Wire {
    socket: WebSocketStream<TcpStream>,
    outbox: VecDeque<Message>,
    stalled_since: Option<Instant>,
    flushed: bool,
    /// What an agent is told of the largest frame.
    frame_bytes_max: usize,
}

impl Wire {
    /// A socket that takes frames of at most `frame_bytes_max`; `part` was read from it already.
    pub async fn new(stream: TcpStream, part: Vec<u8>, frame_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(READ_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
            .max_message_size(Some(frame_bytes_max))
            .max_frame_size(Some(frame_bytes_max));
        let socket =
            WebSocketStream::from_partially_read(stream, part, Role::Server, Some(config)).await;
        Self {
            socket,
            outbox: VecDeque::new(),
            stalled_since: None,
            flushed: true,
            frame_bytes_max,
        }
    }

    /// The same socket, once its agent is known, with room for a fact in too large a frame, which
    /// is read to be withheld. Nothing may have been received beyond the frames already taken: an
    /// agent is silent until WELCOME.
    pub async fn widened(self) -> Self {
        let stream = self.socket.into_inner();
        let wire = Self::new(stream, Vec::new(), OVERSIZE_BYTES_MAX).await;
        Self { frame_bytes_max: limits::FRAME_BYTES_MAX, ..wire }
    }

    /// Puts a frame behind those that wait.
    pub fn send(&mut self, frame: &FromEdge) {
        match serde_json::to_string(frame) {
            Ok(text) => self.send_text(text),
            // Frames are plain structs and JSON values; none of them fails to print.
            Err(error) => tracing::error!(%error, "a frame could not be written"),
        }
    }

    /// Puts a frame's text behind those that wait.
    pub fn send_text(&mut self, text: String) {
        self.outbox.push_back(Message::text(text));
    }

    /// How many frames wait for the socket.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Since when the socket has taken nothing although frames wait.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.stalled_since
    }

    /// Writes what waits and, where `read` allows, takes what comes next. Loses nothing when it is
    /// dropped unfinished.
    pub async fn next(&mut self, read: bool) -> Event {
        std::future::poll_fn(|cx| self.poll_next(cx, read)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<Event> {
        if self.poll_write(cx).is_err() {
            return Poll::Ready(Event::Gone);
        }
        if !read {
            return Poll::Pending;
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Event::Gone),
            Poll::Ready(Some(Ok(message))) => Poll::Ready(self.event(message)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(self.broken(&error)),
        }
    }

    fn event(&mut self, message: Message) -> Event {
        match message {
            Message::Text(text) => Event::Text(text),
            Message::Binary(_) => {
                Event::Broken(Fault::protocol("binary frames are not used by this version"))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                // The library's own answer waits in its buffer until the next write.
                self.flushed = false;
                Event::Alive
            }
            Message::Close(_) => Event::Gone,
        }
    }

    fn broken(&self, error: &WsError) -> Event {
        match error {
            WsError::Capacity(_) => {
                let most = self.frame_bytes_max;
                let detail = format!("a frame is at most {most} bytes here");
                Event::Broken(Fault::new(CloseCode::FrameTooLarge, detail))
            }
            WsError::Utf8(_) => Event::Broken(Fault::protocol("a text frame is UTF-8")),
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Event::Gone,
            WsError::Protocol(violation) => {
                Event::Broken(Fault::protocol(format!("WebSocket: {violation}")))
            }
            _ => Event::Gone,
        }
    }

    /// Writes until the socket takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), WsError> {
        while !self.outbox.is_empty() {
            match Pin::new(&mut self.socket).poll_ready(cx)? {
                Poll::Pending => {
                    self.stall();
                    return Ok(());
                }
                Poll::Ready(()) => {}
            }
            if let Some(message) = self.outbox.pop_front() {
                Pin::new(&mut self.socket).start_send(message)?;
                self.flushed = false;
                self.stalled_since = None;
            }
        }
        if self.outbox.capacity() > 0 {
            self.outbox = VecDeque::new();
        }
        if !self.flushed {
            match Pin::new(&mut self.socket).poll_flush(cx)? {
                Poll::Pending => {
                    self.stall();
                    return Ok(());
                }
                Poll::Ready(()) => self.flushed = true,
            }
        }
        self.stalled_since = None;
        Ok(())
    }

    /// The socket takes no more for now, which is no fault yet.
    fn stall(&mut self) {
        self.stalled_since.get_or_insert_with(Instant::now);
    }

    /// Tells the agent why, closes, and waits a little for its end of the close.
    pub async fn close(mut self, fault: &Fault) {
        self.send(&FromEdge::Error(fault.frame()));
        let close =
            CloseFrame { code: WsCode::from(fault.code.code()), reason: fault.reason().into() };
        self.outbox.push_back(Message::Close(Some(close)));
        let linger = Duration::from_millis(CLOSE_LINGER_MS);
        let written = timeout(linger, std::future::poll_fn(|cx| self.poll_flushed(cx))).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        // What the agent still sends is read and dropped; a socket closed over unread bytes is
        // reset, and the agent would see neither frame nor code.
        let stream = self.socket.get_mut();
        let emptied = async {
            stream.shutdown().await?;
            let mut sink = [0_u8; 1024];
            while stream.read(&mut sink).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        // A link that is lost while it closes is closed all the same.
        drop(timeout(linger, emptied).await);
    }

    /// Answers the agent's close, if it sent one, and lets the socket go.
    pub async fn end(mut self) {
        let linger = Duration::from_millis(CLOSE_LINGER_MS);
        self.outbox.clear();
        self.flushed = false;
        // Whatever comes of it, the link is over.
        drop(timeout(linger, std::future::poll_fn(|cx| self.poll_flushed(cx))).await);
    }

    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        match self.poll_write(cx) {
            Err(WsError::ConnectionClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) if self.outbox.is_empty() && self.flushed => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        }
    }
}
