//! One unit's facts on their way to the log: in order, and confirmed in order.
//!
//! A fact whose schema is away or unknown holds the facts behind it back and nobody else's: the
//! unit's ACK waits, an alarm says so, and the fact is tried again after growing pauses. A fact
//! that its schema refuses, or that cannot be carried as it came ([`crate::numbered`]), is parked,
//! and then a placeholder goes in its place ([`crate::withheld`]). A broker that does not confirm
//! ends the link, because what follows must not be acknowledged over a hole.

use std::collections::VecDeque;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use kit_bus::{Bus, Delivery, Placed, PublishError};
use kit_event::{Fact, UnitId};
use kit_metric::PARKED;
use kit_telemetry::chain;

use crate::limits::{
    REGISTRY_PAUSE_MS_MAX, REGISTRY_PAUSE_MS_MIN, SEAL_PAUSE_MS_MAX, SEAL_PAUSE_MS_MIN,
};
use crate::metrics;
use crate::withheld::{self, BODY_REFUSED, FACT_UNCARRIABLE, Withheld};

/// Pauses between tries of something that waits for the registry, without an end.
#[must_use]
pub fn registry_pauses() -> ExponentialBackoff {
    pauses(REGISTRY_PAUSE_MS_MIN, REGISTRY_PAUSE_MS_MAX).with_jitter().build()
}

/// Pauses between tries of a fact. They are not drawn: the registry's client asks once for all who
/// wait, and jitter would only make one of them wait longer.
fn seal_pauses() -> ExponentialBackoff {
    pauses(SEAL_PAUSE_MS_MIN, SEAL_PAUSE_MS_MAX).build()
}

fn pauses(min_ms: u64, max_ms: u64) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(min_ms))
        .with_max_delay(Duration::from_millis(max_ms))
        .without_max_times()
}

/// The alarm of one unit whose ACK waits; over when it is dropped.
#[derive(Debug)]
struct Alarm(UnitId);

impl Alarm {
    fn raise(fact: &Fact, error: &PublishError) -> Self {
        let alarm = Self(fact.unit.clone());
        alarm.count(1.0);
        tracing::error!(
            unit = %fact.unit,
            seq = %fact.seq,
            fact_type = fact.type_name,
            version = fact.version,
            refused = error.is_refused(),
            error = chain(error),
            "a unit's facts wait: the first of them cannot be sealed"
        );
        alarm
    }

    /// Counted and not set: for a moment two links of a unit may stand beside each other.
    fn count(&self, more: f64) {
        metrics::UNITS_WAITING.get().increment(more);
        metrics::ACKS_WAITING.of([self.0.to_string()]).increment(more);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.count(-1.0);
    }
}

/// What the first waiting fact waits for.
enum Work {
    /// Its schema is asked for.
    Seal(BoxFuture<'static, Result<(), PublishError>>),
    /// Its body goes to `parked`, for this kind of cause; then this stands in its place.
    Park(&'static str, Box<Fact>, BoxFuture<'static, Result<(), PublishError>>),
}

/// What came of it.
enum Worked {
    Sealed(Result<(), PublishError>),
    Parked(&'static str, Box<Fact>, Result<(), PublishError>),
}

/// A fact that is not with the producer yet.
struct Waiting {
    fact: Fact,
    /// Why it cannot go as it is, where that was known when it came.
    uncarriable: Option<String>,
    /// Whether it is the placeholder of one that was withheld.
    stands_in: bool,
}

/// The facts of one link.
pub struct Uplink {
    bus: Bus,
    waiting: VecDeque<Waiting>,
    work: Option<Work>,
    withheld: Option<Withheld>,
    pauses: ExponentialBackoff,
    alarm: Option<Alarm>,
    under_way: FuturesOrdered<Delivery>,
}

impl Uplink {
    /// An uplink without facts.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            waiting: VecDeque::new(),
            work: None,
            withheld: None,
            pauses: seal_pauses(),
            alarm: None,
            under_way: FuturesOrdered::new(),
        }
    }

    /// Takes the next fact.
    pub fn push(&mut self, fact: Fact) {
        self.queue(fact, None);
    }

    /// Takes the next fact, which is to be withheld for this cause.
    pub fn push_uncarriable(&mut self, fact: Fact, cause: String) {
        self.queue(fact, Some(cause));
    }

    fn queue(&mut self, fact: Fact, uncarriable: Option<String>) {
        metrics::FACTS.get().increment(1);
        self.waiting.push_back(Waiting { fact, uncarriable, stands_in: false });
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
                worked = poll_work(&mut self.work) => self.worked(worked),
            }
        }
    }

    /// The last fact that was withheld, once.
    pub fn take_withheld(&mut self) -> Option<Withheld> {
        self.withheld.take()
    }

    fn worked(&mut self, worked: Worked) {
        self.work = None;
        match worked {
            // Refused or not: trying again at once says which, now that the schema is held.
            Worked::Sealed(Ok(()) | Err(PublishError::Body { .. })) => self.enqueue(),
            Worked::Sealed(Err(error)) | Worked::Parked(_, _, Err(error)) => self.wait(&error),
            Worked::Parked(kind, placeholder, Ok(())) => {
                metrics::PLACEHOLDERS.get().increment(1);
                PARKED.of([kind]).increment(1);
                if let Some(first) = self.waiting.front_mut() {
                    *first = Waiting { fact: *placeholder, uncarriable: None, stands_in: true };
                }
                self.enqueue();
            }
        }
    }

    /// Gives the producer what it takes, in order.
    fn enqueue(&mut self) {
        while self.work.is_none() {
            let Some(first) = self.waiting.front() else {
                self.waiting = VecDeque::new();
                return;
            };
            if let Some(cause) = first.uncarriable.clone() {
                self.withhold(FACT_UNCARRIABLE, cause);
                return;
            }
            let stands_in = first.stands_in;
            match self.bus.enqueue_fact(&first.fact) {
                Ok(delivery) => {
                    self.under_way.push_back(delivery);
                    self.waiting.pop_front();
                    if self.alarm.take().is_some() {
                        self.pauses = seal_pauses();
                        tracing::info!("a unit's facts go on");
                    }
                }
                Err(PublishError::SchemaNotHeld { .. }) => self.seal(Duration::ZERO),
                // A placeholder that is refused itself can only wait for people.
                Err(PublishError::Body { source, .. }) if !stands_in => {
                    self.withhold(BODY_REFUSED, source.to_string());
                }
                Err(error) => self.wait(&error),
            }
        }
    }

    /// The first fact could not go: raise the alarm once, and try again after a pause.
    fn wait(&mut self, error: &PublishError) {
        if let (None, Some(first)) = (&self.alarm, self.waiting.front()) {
            self.alarm = Some(Alarm::raise(&first.fact, error));
        }
        let pause = self.pauses.next().unwrap_or(Duration::from_millis(SEAL_PAUSE_MS_MAX));
        self.seal(pause);
    }

    fn seal(&mut self, pause: Duration) {
        let Some(first) = self.waiting.front() else { return };
        // One that is to be withheld needs no schema of its own, only another try.
        let fact = first.uncarriable.is_none().then(|| first.fact.clone());
        let bus = self.bus.clone();
        self.work = Some(Work::Seal(Box::pin(async move {
            tokio::time::sleep(pause).await;
            match fact {
                Some(fact) => bus.seal_fact(&fact).await.map(|_| ()),
                None => Ok(()),
            }
        })));
    }

    /// The first fact's body goes to `parked`, and the placeholder follows once it is safe there.
    fn withhold(&mut self, kind: &'static str, cause: String) {
        let Some(fact) = self.waiting.front().map(|first| first.fact.clone()) else { return };
        let Ok(placeholder) = withheld::placeholder(&fact, &cause) else { return };
        let Fact { unit, seq, type_name, version, .. } = &fact;
        tracing::error!(
            %unit, %seq, fact_type = type_name, version, kind, cause,
            "a fact is withheld, and its body parked"
        );
        self.withheld = Some(Withheld { detail: format!("{seq} {type_name} v{version}: {cause}") });
        let bus = self.bus.clone();
        let parking = async move { bus.park_fact(&fact, &cause).await.map(|_| ()) };
        self.work = Some(Work::Park(kind, Box::new(placeholder), Box::pin(parking)));
    }
}

/// Waits for what the first fact waits for; never ends where it waits for nothing.
async fn poll_work(work: &mut Option<Work>) -> Worked {
    match work {
        Some(Work::Seal(sealing)) => Worked::Sealed(sealing.await),
        Some(Work::Park(kind, placeholder, parking)) => {
            let parked = parking.await;
            Worked::Parked(kind, placeholder.clone(), parked)
        }
        None => std::future::pending().await,
    }
}
