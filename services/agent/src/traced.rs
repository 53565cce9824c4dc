//! The agent's steps of a trace: what came down is handed on as a child of it, and a change at the
//! desk begins a trace of its own. The `traceparent` of a step travels through the cause's row into
//! the outbox, and so into the facts of exactly that request.

use kit_event::{RequestId, UnitId};
use kit_link::{Cancel, FactFrame, Query, Reply, RequestFrame};
use kit_telemetry::{Field, Side, Step};

use crate::outbox::Captured;

/// A request is carried out.
pub fn applying(request: &mut RequestFrame) -> Step {
    let name = "agent apply";
    let step = begun(name, &request.id, &request.type_name, request.traceparent.as_deref());
    request.traceparent = step.handed_on();
    step
}

/// A cancel is obeyed.
pub fn cancelling(cancel: &mut Cancel) -> Step {
    let parent = cancel.traceparent.as_deref();
    let step = begun("agent cancel", &cancel.request_id, "control.cancel", parent);
    cancel.traceparent = step.handed_on();
    step
}

/// A query is answered.
pub fn answering(query: &mut Query) -> Step {
    let name = "agent answer";
    let step = begun(name, &query.id, &query.type_name, query.traceparent.as_deref());
    query.traceparent = step.handed_on();
    step
}

fn begun(name: &'static str, id: &RequestId, type_name: &str, parent: Option<&str>) -> Step {
    let mut step = Step::begin(Side::Consumer, name, parent);
    step.says(Field::Unit, id.unit());
    step.says(Field::Request, id);
    step.says(Field::RequestType, type_name);
    step
}

/// The unit's word goes up in the name of the step that found it.
pub fn spoken(step: &mut Step, reply: &mut Reply) {
    if let Some(state) = reply.outcome["state"].as_str() {
        step.says(Field::State, state);
    }
    reply.traceparent = step.handed_on();
}

/// A change leaves the outbox. One that a request caused goes on with the request's step; any other
/// begins a trace, where traces are recorded.
#[must_use]
pub fn capturing(unit: &UnitId, row: &Captured) -> Step {
    if row.request_id.is_some() || row.traceparent.is_some() || !kit_telemetry::are_exported() {
        return Step::carried(row.traceparent.as_deref());
    }
    let mut step = Step::begin(Side::Inside, "agent capture", None);
    step.says(Field::Unit, unit);
    step
}

/// What a captured change came to.
pub fn numbered(step: &mut Step, facts: &[FactFrame]) {
    if let Some(fact) = facts.first() {
        step.says(Field::FactType, &fact.type_name);
        step.says(Field::Seq, fact.seq);
    }
}
