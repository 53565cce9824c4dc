//! The projector's steps of traces: one for each fact that a domain made visible, from the moment
//! at which its batch was begun to the batch's commit. A batch holds the facts of many traces, so
//! the steps are told afterwards, each as the child of its own fact.

use std::time::Instant;

use kit_store::Entry;
use kit_telemetry::{Field, Side, Step};

/// Facts of a batch are visible.
pub(crate) fn applied(domain: &'static str, entries: &[Entry], since: Instant) {
    if !kit_telemetry::are_exported() {
        return;
    }
    let took = since.elapsed();
    for Entry { fact, partition, offset, .. } in entries {
        // What was stated without a trace gets none here: a clinic's opening is thousands of facts.
        if fact.traceparent.is_none() {
            continue;
        }
        let parent = fact.traceparent.as_deref();
        let mut step = Step::begun_ago(Side::Consumer, "projector apply", parent, took);
        step.says(Field::Domain, domain);
        step.says(Field::Unit, &fact.unit);
        step.says(Field::FactType, &fact.type_name);
        step.says(Field::Seq, fact.seq);
        step.says(Field::Place, format_args!("{partition}/{offset}"));
    }
}
