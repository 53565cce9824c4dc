//! A connection whose reader must take what is written for it: a peer that asks and never reads
//! would hold its place for ever.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second that a reader takes at least, once it is behind; poor mobile lines take more.
const BYTES_A_SECOND_MIN: u64 = 1_024;

/// What a peer that is behind has taken in the present stretch of time.
#[derive(Debug, Clone, Copy)]
struct Behind {
    since: Instant,
    taken_bytes: u64,
}

/// A stream that fails once its peer has taken too little for too long.
#[derive(Debug)]
pub(crate) struct Stalling<S> {
    stream: S,
    grace: Duration,
    behind: Option<Behind>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Stalling<S> {
    /// A peer that takes nothing for `grace` is given up.
    pub(crate) fn new(stream: S, grace: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { stream, grace, behind: None, timer }
    }

    /// Notes what a write came to; fails a wait that has lasted too long.
    fn note(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(taken)) if *taken >= offered => self.behind = None,
            // What the kernel takes before the peer is behind says nothing of the peer.
            Poll::Ready(Ok(taken)) => {
                if let Some(behind) = &mut self.behind {
                    behind.taken_bytes += *taken as u64;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(self.poll_patience(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }

    /// Ready once the peer has taken too little for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let begins = || Behind { since: Instant::now(), taken_bytes: 0 };
            let behind = *self.behind.get_or_insert_with(begins);
            self.timer.as_mut().reset(behind.since + self.grace);
            ready!(self.timer.as_mut().poll(context));
            self.behind = None;
            if behind.taken_bytes < BYTES_A_SECOND_MIN * self.grace.as_secs() + 1 {
                return Poll::Ready(());
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(context, offered, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
