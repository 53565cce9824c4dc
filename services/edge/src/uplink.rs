//! One unit's facts on their way to the log: in order, and confirmed in order.
//!
//! A fact whose schema is away or refuses it holds the facts behind it back and nobody else's: the
//! unit's ACK waits, an alarm says so, and the fact is tried again after growing pauses. A broker
//! that does not confirm ends the link, because what follows must not be acknowledged over a hole.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use kit_bus::{Bus, Delivery, Placed, PublishError};
use kit_event::Fact;

use crate::limits::{SEAL_PAUSE_MS_MAX, SEAL_PAUSE_MS_MIN};

/// Pauses between tries of something that waits for the registry, without an end.
pub fn registry_pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(SEAL_PAUSE_MS_MIN))
        .with_max_delay(Duration::from_millis(SEAL_PAUSE_MS_MAX))
        .with_jitter()
        .without_max_times()
        .build()
}

/// The alarm of one unit whose ACK waits; over when it is dropped.
#[derive(Debug)]
struct Alarm;

impl Alarm {
    fn raise(fact: &Fact, error: &PublishError) -> Self {
        metrics::gauge!("arteria_edge_units_waiting").increment(1.0);
        tracing::error!(
            unit = %fact.unit,
            seq = %fact.seq,
            fact_type = fact.type_name,
            version = fact.version,
            refused = error.is_refused(),
            error = chain(error),
            "a unit's facts wait: the first of them cannot be sealed"
        );
        Self
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        metrics::gauge!("arteria_edge_units_waiting").decrement(1.0);
    }
}

/// The facts of one link.
pub struct Uplink {
    bus: Bus,
    waiting: VecDeque<Fact>,
    sealing: Option<BoxFuture<'static, Result<(), PublishError>>>,
    pauses: ExponentialBackoff,
    alarm: Option<Alarm>,
    under_way: FuturesOrdered<Delivery>,
}

impl Uplink {
    /// An uplink without facts.
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            waiting: VecDeque::new(),
            sealing: None,
            pauses: registry_pauses(),
            alarm: None,
            under_way: FuturesOrdered::new(),
        }
    }

    /// Takes the next fact.
    pub fn push(&mut self, fact: Fact) {
        metrics::counter!("arteria_edge_facts_total").increment(1);
        self.waiting.push_back(fact);
        self.enqueue();
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Whether everything taken was at least given to the broker's client.
    pub fn is_held_up(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits for the broker's word on the oldest fact under way. Loses nothing when it is dropped
    /// unfinished. Ends never while nothing is under way.
    ///
    /// # Errors
    /// The broker did not confirm; nothing after it may be acknowledged.
    pub async fn confirmed(&mut self) -> Result<Placed, PublishError> {
        loop {
            tokio::select! {
                biased;
                Some(delivered) = self.under_way.next() => return delivered,
                sealed = poll_sealing(&mut self.sealing) => {
                    self.sealing = None;
                    match sealed {
                        Ok(()) => self.enqueue(),
                        Err(error) => self.wait(&error),
                    }
                }
            }
        }
    }

    /// Gives the producer what it takes, in order.
    fn enqueue(&mut self) {
        while self.sealing.is_none() {
            let Some(fact) = self.waiting.front() else {
                self.waiting = VecDeque::new();
                return;
            };
            match self.bus.enqueue_fact(fact) {
                Ok(delivery) => {
                    self.under_way.push_back(delivery);
                    self.waiting.pop_front();
                    if self.alarm.take().is_some() {
                        self.pauses = registry_pauses();
                        tracing::info!("a unit's facts go on");
                    }
                }
                Err(PublishError::SchemaNotHeld { .. }) => self.seal(Duration::ZERO),
                Err(error) => self.wait(&error),
            }
        }
    }

    /// The first fact could not go: raise the alarm once, and try again after a pause.
    fn wait(&mut self, error: &PublishError) {
        if let (None, Some(fact)) = (&self.alarm, self.waiting.front()) {
            self.alarm = Some(Alarm::raise(fact, error));
        }
        let pause = self.pauses.next().unwrap_or(Duration::from_millis(SEAL_PAUSE_MS_MAX));
        self.seal(pause);
    }

    fn seal(&mut self, pause: Duration) {
        let Some(fact) = self.waiting.front().cloned() else { return };
        let bus = self.bus.clone();
        self.sealing = Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            bus.seal_fact(&fact).await.map(|_| ())
        }));
    }
}

async fn poll_sealing(
    sealing: &mut Option<BoxFuture<'static, Result<(), PublishError>>>,
) -> Result<(), PublishError> {
    match sealing {
        Some(sealing) => sealing.await,
        None => std::future::pending().await,
    }
}

/// An error and its causes in one line. None of the causes holds a body: the codec names fields
/// and kinds only.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
