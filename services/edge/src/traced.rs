//! The edge's steps of a trace: a request on its way down, a fact and a reply on their way up.
//!
//! What a step is handed came from the log or from an agent, and what it hands on is its own, so a
//! `traceparent` that does not read gets no further than here.

use kit_bus::{Placed, headers};
use kit_event::{Fact, Request, RequestId, UnitId};
use kit_telemetry::{Field, Side, Step};
use tokio::time::Instant;

/// A request begins its way down: the step lasts until its frame is written.
pub fn delivering(request: &mut Request) -> Step {
    let mut step = Step::begin(Side::Consumer, "edge deliver", request.traceparent.as_deref());
    step.says(Field::Unit, &request.unit);
    step.says(Field::Request, &request.id);
    step.says(Field::RequestType, &request.type_name);
    request.traceparent = step.handed_on();
    step
}

/// A fact that the log has not confirmed yet.
pub struct Publishing {
    received_at: Instant,
    step: Step,
}

impl Publishing {
    /// The fact was received just now.
    pub fn begin(fact: &mut Fact, now: Instant) -> Self {
        let mut step = Step::begin(Side::Producer, "fact publish", fact.traceparent.as_deref());
        step.says(Field::Unit, &fact.unit);
        step.says(Field::FactType, &fact.type_name);
        step.says(Field::Seq, fact.seq);
        fact.traceparent = step.handed_on();
        Self { received_at: now, step }
    }

    /// The log has it.
    pub fn confirmed(mut self, placed: Placed) {
        self.step.says(Field::Place, format_args!("{}/{}", placed.partition, placed.offset));
        crate::metrics::ACK_SECONDS.get().record(self.received_at.elapsed().as_secs_f64());
    }
}

/// A reply or an answer goes to whoever waits.
#[must_use]
pub fn replying(unit: &UnitId, request: &RequestId, parent: Option<&str>) -> Step {
    let mut step = Step::begin(Side::Producer, "reply publish", parent);
    step.says(Field::Unit, unit);
    step.says(Field::Request, request);
    step
}

/// The headers of a reply: what it answers, and its step.
#[must_use]
pub fn reply_headers(request: &RequestId, step: &Step) -> Vec<(String, String)> {
    let cause = (headers::CAUSATION_ID.to_owned(), request.to_string());
    let trace = step.handed_on().map(|own| (headers::TRACEPARENT.to_owned(), own));
    [Some(cause), trace].into_iter().flatten().collect()
}
