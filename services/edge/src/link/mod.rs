//! One unit's link in its steady state: a loop that knows transport and waiting, around a
//! [`Session`] that knows the protocol and a [`DeliveryQueue`] that knows the log's order.
//!
//! The loop waits for whatever comes first: the agent, the broker's word on a fact, a record from
//! the tail, something that was fetched for the unit (a *background task*), a timer, a newer
//! connection, the edge's end. It waits for none of them alone, so nothing that is slow for this
//! unit holds up what else is to be done for it; and it shares nothing with other links but the
//! tail, which waits for nobody.
//!
//! | module | what it holds |
//! |---|---|
//! | `heartbeat` | what is done by the clock: presence, pings, giving up |
//! | `background_tasks` | what is fetched or written for the unit, and what comes of it |
//! | `downstream` | the unit's place at the tail, and what it is sent next |
//! | `shutdown` | the end: drain, away, close |

mod background_tasks;
mod downstream;
mod heartbeat;
mod shutdown;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use kit_bus::{Placed, PublishError, RawRecord};
use kit_lifecycle::Lifecycle;
use kit_link::{Ack, CloseCode, ErrorFrame, FromEdge};
use kit_telemetry::chain;
use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::background_tasks::BackgroundTask;
use self::downstream::{Downstream, PlaceLost};
pub use self::shutdown::write_away;
use crate::agent_metrics::AgentMetrics;
use crate::budget::UnitBudget;
use crate::connections::{Registration, Signal};
use crate::edge::{Edge, log_unavailable};
use crate::fault::Fault;
use crate::heartbeat::Heartbeat;
use crate::limits::{
    FACTS_UNDER_WAY_MAX, OUTBOX_FEED_BELOW, OUTBOX_FRAMES_MAX, PRESENCE_AT_LEAST_EVERY_MS,
    PRESENCE_EVERY_MS, WRITE_STALL_MS,
};
use crate::places::Place;
use crate::presence::Standing;
use crate::session::{Received, Session};
use crate::traced::Publishing;
use crate::uplink::Uplink;
use crate::wire::{Event, Wire};
use crate::withheld::{FACT_WITHHELD, Withheld};

/// How a link ends.
#[derive(Debug)]
enum End {
    /// The agent left, or the connection is gone.
    Gone,
    /// The link is closed with a code.
    Fault(Fault),
    /// The edge goes away: finish first.
    Drain,
    /// A newer connection of the unit has its number.
    Superseded {
        /// That number.
        by: i64,
    },
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What the loop woke for.
enum Step {
    Drain,
    Signalled(Signal),
    Socket(Event),
    Confirmed(Result<Placed, PublishError>),
    Live(Option<Arc<RawRecord>>),
    Done(BackgroundTask),
    Timer,
}

/// A unit's presence as this link writes it.
struct Book {
    written_at: Instant,
    is_stale: bool,
    is_being_written: bool,
}

impl Book {
    fn due_at(&self) -> Option<Instant> {
        let every = if self.is_stale { PRESENCE_EVERY_MS } else { PRESENCE_AT_LEAST_EVERY_MS };
        (!self.is_being_written).then(|| self.written_at + Duration::from_millis(every))
    }
}

/// What a link holds of the edge while it stands.
pub struct Holding {
    /// Its place among the connections.
    pub registration: Registration,
    /// What stays the same in its presence.
    pub standing: Standing,
    /// Its unit's budget.
    pub budget: Arc<UnitBudget>,
    /// Its place among the sockets.
    pub place: Place,
}

/// A unit's link.
pub struct Link {
    edge: Arc<Edge>,
    life: Lifecycle,
    soft: CancellationToken,
    wire: Wire,
    session: Session,
    registration: Registration,
    standing: Standing,
    budget: Arc<UnitBudget>,
    /// Nothing more is read from a unit beyond its budget before this.
    read_from: Instant,
    _place: Place,
    partition: i32,
    downstream: Downstream,
    uplink: Uplink,
    agent_metrics: AgentMetrics,
    publishing: VecDeque<Publishing>,
    ack: Option<Ack>,
    background_tasks: FuturesUnordered<BoxFuture<'static, BackgroundTask>>,
    replies_under_way: usize,
    book: Book,
    heartbeat: Heartbeat,
    timer: std::pin::Pin<Box<tokio::time::Sleep>>,
}

/// Runs a link to its end; `fault` ends it before it begins.
pub async fn run(mut link: Box<Link>, fault: Option<Option<Fault>>) {
    let end = match fault {
        None => link.live().await,
        Some(None) => End::Gone,
        Some(Some(fault)) => End::Fault(fault),
    };
    shutdown::part(link, end).await;
}

impl Link {
    /// A link whose WELCOME waits in `wire`.
    pub fn new(
        edge: Arc<Edge>,
        life: Lifecycle,
        wire: Wire,
        session: Session,
        holding: Holding,
    ) -> Self {
        let Holding { registration, standing, budget, place } = holding;
        let now = Instant::now();
        let book = Book { written_at: now, is_stale: true, is_being_written: false };
        #[expect(clippy::disallowed_methods, reason = "drawn at the border")]
        let drawn = rand::rng().random();
        Self {
            soft: life.soft(),
            life,
            wire,
            registration,
            standing,
            budget,
            read_from: now,
            _place: place,
            partition: edge.bus.partition_of(session.unit().as_str()),
            downstream: Downstream::new(session.applied_next()),
            agent_metrics: AgentMetrics::of(session.unit().clone()),
            session,
            uplink: Uplink::new(edge.bus.clone()),
            publishing: VecDeque::new(),
            ack: None,
            background_tasks: FuturesUnordered::new(),
            replies_under_way: 0,
            book,
            heartbeat: Heartbeat::new(now, drawn),
            timer: Box::pin(tokio::time::sleep_until(now)),
            edge,
        }
    }

    async fn live(&mut self) -> End {
        loop {
            self.feed();
            self.send_ack();
            self.tell_withheld();
            let step = self.step().await;
            if let Err(end) = self.take(step) {
                return end;
            }
        }
    }

    async fn step(&mut self) -> Step {
        let due_at = self.due_at();
        if self.timer.deadline() != due_at {
            self.timer.as_mut().reset(due_at);
        }
        let may_read = self.may_read();
        tokio::select! {
            () = self.soft.cancelled() => Step::Drain,
            signal = self.registration.signalled() => Step::Signalled(signal),
            event = self.wire.next(may_read) => Step::Socket(event),
            confirmed = self.uplink.confirmed(), if !self.uplink.is_idle() => {
                Step::Confirmed(confirmed)
            }
            record = self.downstream.next_record() => Step::Live(record),
            Some(task) = self.background_tasks.next(), if !self.background_tasks.is_empty() => {
                Step::Done(task)
            }
            () = &mut self.timer => Step::Timer,
        }
    }

    /// A unit whose facts do not get on, that does not take what is sent, or that says more than
    /// its budget, is not listened to.
    fn may_read(&self) -> bool {
        self.wire.waiting() < OUTBOX_FRAMES_MAX
            && self.read_from <= Instant::now()
            && self.session.facts_under_way() < FACTS_UNDER_WAY_MAX
    }

    fn due_at(&self) -> Instant {
        let stall = self.wire.stalled_since().map(|at| at + Duration::from_millis(WRITE_STALL_MS));
        let read_from = (self.read_from > Instant::now()).then_some(self.read_from);
        let due = [self.book.due_at(), stall, read_from].into_iter().flatten();
        due.fold(self.heartbeat.due_at(), Instant::min)
    }

    fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Drain => Err(End::Drain),
            Step::Signalled(Signal::Superseded { by }) => Err(End::Superseded { by }),
            Step::Signalled(Signal::Overwritten) => {
                self.book.is_stale = true;
                Ok(())
            }
            Step::Socket(event) => self.receive(event),
            Step::Confirmed(confirmed) => self.confirm(confirmed),
            Step::Live(record) => self.tell(record),
            Step::Done(task) => self.finish(task),
            Step::Timer => self.heartbeat(),
        }
    }

    fn receive(&mut self, event: Event) -> Result<(), End> {
        let text = match event {
            Event::Gone => return Err(End::Gone),
            Event::Broken(fault) => return Err(fault.into()),
            Event::Alive => {
                self.heartbeat.received(Instant::now());
                return Ok(());
            }
            Event::Text(text) => text,
        };
        let now = Instant::now();
        self.heartbeat.received(now);
        self.read_from = self.budget.frame(text.len(), now);
        let applied_next = self.session.applied_next();
        match self.session.receive(&text, self.edge.clock.now())? {
            Received::Fact(mut fact) => {
                self.publishing.push_back(Publishing::begin(&mut fact, now));
                self.uplink.push(*fact);
            }
            Received::Uncarriable(mut fact, cause) => {
                self.publishing.push_back(Publishing::begin(&mut fact, now));
                self.uplink.push_uncarriable(*fact, cause);
            }
            Received::Reply(partition, reply) => self.write_reply(partition, *reply)?,
            Received::Answer(partition, answer) => self.write_answer(partition, *answer),
            Received::Unknown(name) => {
                let detail = format!("{name} is no frame of this version; it is passed over");
                let problem = "unknown-frame".to_owned();
                self.send(&FromEdge::Error(ErrorFrame { problem, detail }));
            }
            Received::Pong(pong) => self.agent_metrics.received(&pong),
            Received::Unasked => {
                crate::metrics::REPLIES_UNASKED.get().increment(1);
            }
            Received::Applied => {}
        }
        self.book.is_stale |= applied_next != self.session.applied_next();
        Ok(())
    }

    fn confirm(&mut self, first: Result<Placed, PublishError>) -> Result<(), End> {
        let mut confirmed = Some(first);
        while let Some(word) = confirmed {
            let placed = word.map_err(|error| {
                let unit = self.session.unit();
                tracing::error!(%unit, error = chain(&error), "the log did not confirm a fact");
                log_unavailable("the log did not confirm a fact; nothing after it is acknowledged")
            })?;
            if let Some(ack) = self.session.confirmed(placed.offset) {
                self.ack = Some(ack);
                self.book.is_stale = true;
            }
            if let Some(fact) = self.publishing.pop_front() {
                fact.confirmed(placed);
            }
            let idle = self.uplink.is_idle();
            confirmed = if idle { None } else { self.uplink.confirmed().now_or_never() };
        }
        if self.publishing.is_empty() {
            self.publishing = VecDeque::new();
        }
        Ok(())
    }

    fn tell(&mut self, record: Option<Arc<RawRecord>>) -> Result<(), End> {
        self.downstream.take(record).map_err(|PlaceLost| {
            let detail = "the edge lost its place in the log of requests";
            Fault::new(CloseCode::Resync, detail).into()
        })
    }

    /// Fetches what the delivery queue wants, and opens what goes down next.
    fn feed(&mut self) {
        let credits = self.session.credits();
        if let Some((round, want)) = self.downstream.want(credits) {
            self.fetch(round, want);
        }
        if self.wire.waiting() < OUTBOX_FEED_BELOW
            && let Some(out) = self.downstream.next_to_open(credits)
        {
            self.open(out);
        }
    }

    fn send(&mut self, frame: &FromEdge) {
        self.wire.send(frame);
        self.heartbeat.sent(Instant::now());
    }

    /// One ACK stands for all that came before it.
    fn send_ack(&mut self) {
        if self.wire.waiting() < OUTBOX_FRAMES_MAX
            && let Some(ack) = self.ack.take()
        {
            self.send(&FromEdge::Ack(ack));
        }
    }

    /// The clinic's own people are told too; the agent has nothing to do about it.
    fn tell_withheld(&mut self) {
        if self.wire.waiting() < OUTBOX_FRAMES_MAX
            && let Some(Withheld { detail }) = self.uplink.take_withheld()
        {
            self.send(&FromEdge::Error(ErrorFrame { problem: FACT_WITHHELD.to_owned(), detail }));
        }
    }
}
