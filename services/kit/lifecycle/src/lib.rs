//! The birth and death of a process: signals, tracked tasks, readiness, the admin port, the drain.
//!
//! A process has two tokens. The *soft* one is cancelled by SIGTERM or SIGINT, or by a task that
//! ended though nobody asked it to: from then on nothing new is accepted and everybody finishes
//! what they hold. The *hard* one follows when the drain's deadline has passed or a second signal
//! comes. A task that ends before the soft token, with or without an error, is a fault, and the
//! process leaves with a status that says so.
//!
//! Readiness is a set of latches, one for each thing a process waits for, and of dependencies that
//! it may lose later ([`Lifecycle::watch`]); `/readyz` names both. The crate must never know what
//! the process does.

mod admin;
mod readiness;
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use readiness::{Latch, Lost, Need, Readiness};

/// How long a drain may take; a process that holds on longer is killed by whoever started it.
pub const DRAIN_MS: u64 = 6_000;

/// Why a process ended other than by request.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// Signals could not be listened to.
    #[error("listening for signals")]
    Signals(#[source] std::io::Error),
    /// The admin port could not be bound.
    #[error("binding the admin port {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another part of the process already records metrics.
    #[error("starting the metrics recorder")]
    Metrics,
    /// A task ended though nobody asked it to; its error was logged where it ended.
    #[error("{task} ended unexpectedly")]
    TaskEnded {
        /// The task's name.
        task: &'static str,
    },
    /// Tasks still ran when the drain's deadline passed.
    #[error("the drain did not finish within {DRAIN_MS} ms")]
    DrainTimeout,
}

/// The life of this process; clones share it.
#[derive(Clone)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    readiness: Readiness,
    ended: Arc<Mutex<Option<&'static str>>>,
}

impl Lifecycle {
    /// Starts a life that SIGTERM and SIGINT end.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub fn start() -> Result<Self, LifecycleError> {
        let life = Self::without_signals();
        let mut terminate = signal(SignalKind::terminate()).map_err(LifecycleError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(LifecycleError::Signals)?;
        let (soft, hard) = (life.soft.clone(), life.hard.clone());
        tokio::spawn(async move {
            for token in [soft, hard] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(life)
    }

    /// A life that only [`Lifecycle::stop`] ends, for tests and for hosts inside another process.
    #[must_use]
    pub fn without_signals() -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
            readiness: Readiness::default(),
            ended: Arc::new(Mutex::new(None)),
        }
    }

    /// Cancelled when the process should accept nothing new.
    #[must_use]
    pub fn soft(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the process should drop what it still holds.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Asks for the drain, as a signal does.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// What the process waits for before it is ready.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Runs a task that lives as long as the process; its end before the soft token ends the
    /// process.
    pub fn spawn<F>(&self, task: &'static str, future: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let life = self.clone();
        self.tasks.spawn(async move {
            // A panic unwinds through this guard, so it counts as an unexpected end too.
            let guard = EndGuard { task, life: life.clone() };
            let outcome = future.await;
            if let Err(error) = &outcome {
                tracing::error!(task, error = format!("{error:#}"), "task failed");
            }
            drop(guard);
        });
    }

    /// Runs a task that may end at any time, and that the drain waits for.
    pub fn spawn_passing<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(future);
    }

    /// Serves `/healthz`, `/readyz` and `/metrics` on `addr` for as long as the process lives.
    ///
    /// # Errors
    /// The port is taken, or metrics are already recorded elsewhere.
    pub async fn serve_admin(&self, addr: SocketAddr) -> Result<(), LifecycleError> {
        admin::serve(self, addr).await
    }

    /// Waits for the soft token, then for every task, until the deadline; then hardens.
    ///
    /// # Errors
    /// A task had ended unexpectedly, or the deadline passed.
    pub async fn drain(self) -> Result<(), LifecycleError> {
        self.soft.cancelled().await;
        self.tasks.close();
        let deadline = tokio::time::sleep(Duration::from_millis(DRAIN_MS));
        let drained = tokio::select! {
            () = self.tasks.wait() => true,
            () = deadline => false,
            () = self.hard.cancelled() => false,
        };
        self.hard.cancel();
        let ended = *self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match ended {
            Some(task) => Err(LifecycleError::TaskEnded { task }),
            None if drained => Ok(()),
            None => Err(LifecycleError::DrainTimeout),
        }
    }
}

struct EndGuard {
    task: &'static str,
    life: Lifecycle,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if self.life.soft.is_cancelled() {
            return;
        }
        tracing::error!(task = self.task, "task ended though nobody asked it to; stopping");
        let mut ended = self.life.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.get_or_insert(self.task);
        self.life.soft.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_what_is_held() {
        let life = Lifecycle::without_signals();
        let (soft, done) = (life.soft(), Arc::new(Mutex::new(false)));
        let flag = done.clone();
        life.spawn("holder", async move {
            soft.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            *flag.lock().unwrap() = true;
            Ok(())
        });
        life.stop();
        life.drain().await.unwrap();
        assert!(*done.lock().unwrap());
    }

    #[tokio::test]
    async fn a_task_that_ends_early_ends_the_process_with_a_fault() {
        let life = Lifecycle::without_signals();
        life.spawn("brief", async { Ok(()) });
        assert!(matches!(life.drain().await, Err(LifecycleError::TaskEnded { task: "brief" })));
    }

    #[tokio::test]
    async fn a_panic_ends_the_process_with_a_fault() {
        let life = Lifecycle::without_signals();
        life.spawn("hasty", async { panic!("planted") });
        assert!(matches!(life.drain().await, Err(LifecycleError::TaskEnded { task: "hasty" })));
    }

    #[tokio::test]
    async fn a_task_that_holds_on_is_cut_by_the_hard_token() {
        let life = Lifecycle::without_signals();
        life.spawn("stubborn", std::future::pending());
        life.stop();
        life.hard().cancel();
        assert!(matches!(life.drain().await, Err(LifecycleError::DrainTimeout)));
    }
}
