//! What must hold at the end of a day, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use kit_event::{RequestId, UnitSeq};
use kit_link::Reply;
use practice::{Desk, Row, Table, differences};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::edge::Edge;
use crate::history::{Asked, History};
use crate::log::FactLog;
use crate::reader::{Held, Reader};
use crate::weather::Weather;

/// Everything that is wrong, one line each.
pub struct Verdict {
    /// What is wrong.
    pub problems: Vec<String>,
    /// How much was checked, by kind.
    pub checked: BTreeMap<&'static str, u32>,
}

/// Looks at everything: `told_all` says that no epoch turned, so that every fact reached the log.
pub fn judge(
    edge: &Edge,
    reader: &Reader,
    desk: &Desk,
    asked: &BTreeMap<RequestId, Asked>,
    told_all: bool,
) -> Verdict {
    let mut problems = Vec::new();
    rows_agree(desk, reader, &mut problems);
    numbers(edge, &mut problems);
    rebuilt(edge, reader, &mut problems);
    outcomes(edge, reader, asked, told_all, &mut problems);
    replies(edge, told_all, &mut problems);
    let history = History::replay(asked, edge.facts.facts.values());
    problems.extend(history.problems);
    Verdict { problems, checked: history.checked }
}

/// The fields that name a row, in the clinic and in the read model.
fn key_of(table: Table, row: &Row) -> String {
    let fields: &[&str] = match table {
        Table::WorkingHours => &["practitioner_id", "weekday", "starts"],
        _ => &[table.key()],
    };
    fields.iter().map(|field| row.get(*field).unwrap_or(&Value::Null).to_string()).collect()
}

/// The read model shows the clinic's rows, by value, and no others.
fn rows_agree(desk: &Desk, reader: &Reader, problems: &mut Vec<String>) {
    let shown = reader.shown();
    for (table, resource) in [
        (Table::Patients, "patient/"),
        (Table::Practitioners, "practitioner/"),
        (Table::WorkingHours, "working_hours/"),
        (Table::Appointments, "appointment/"),
        (Table::Invoices, "invoice/"),
        (Table::Payments, "payment/"),
    ] {
        let states = shown.iter().filter(|(subject, _)| subject.starts_with(resource));
        let mut states: BTreeMap<String, &Value> = states
            .filter_map(|(_, held)| Some((key_of(table, held.state.as_object()?), &held.state)))
            .collect();
        for row in desk.rows(table).expect("rows") {
            let key = key_of(table, &row);
            match states.remove(&key) {
                None => problems.push(format!("{resource}{key} is in the clinic and not shown")),
                Some(state) => {
                    let found = differences(table, &row, state);
                    problems.extend(found.iter().map(|found| format!("{resource}{key} {found}")));
                }
            }
        }
        problems
            .extend(states.keys().map(|key| format!("{resource}{key} is shown and is no more")));
    }
}

/// Numbers are 1 to n in each epoch, ids are never given twice, and the spool holds what the log
/// holds.
fn numbers(edge: &Edge, problems: &mut Vec<String>) {
    let mut last = UnitSeq::ZERO;
    let mut ids = BTreeSet::new();
    for fact in edge.facts.facts.values() {
        let opens = fact.type_name == "units.epoch_opened";
        let follows = fact.seq == last.next() || fact.seq == UnitSeq::new(last.epoch + 1, 1);
        if !follows || opens != (fact.seq.seq == 1) {
            problems.push(format!("{} {} follows {last}", fact.seq, fact.type_name));
        }
        if !ids.insert(fact.id) {
            problems.push(format!("{} has the id of another fact", fact.seq));
        }
        last = fact.seq;
    }
    for frame in edge.clinic.spooled().into_iter().filter(|frame| frame.seq.epoch == last.epoch) {
        let seq = frame.seq;
        if edge.facts.facts.get(&seq) != Some(&frame.into_fact(edge.clinic.unit.clone())) {
            problems.push(format!("{seq} stands in the spool and not on the log"));
        }
    }
}

/// Another reader of the whole log, with its repeats, comes to the same rows.
fn rebuilt(edge: &Edge, reader: &Reader, problems: &mut Vec<String>) {
    let mut again = Reader::default();
    again.read(&edge.facts.records, &mut StdRng::seed_from_u64(0), &Weather::CALM);
    if again.shown() != reader.shown() || again.applied() != reader.applied() {
        problems.push("a read model that is rebuilt differs".to_owned());
    }
}

/// Each request has one word of the unit, in the ledger, in the facts and in the read model.
fn outcomes(
    edge: &Edge,
    reader: &Reader,
    asked: &BTreeMap<RequestId, Asked>,
    told_all: bool,
    problems: &mut Vec<String>,
) {
    let ledger: BTreeMap<String, String> = edge.clinic.ledger().into_iter().collect();
    if ledger.len() != asked.len() {
        problems.push(format!("{} requests, {} words of the unit", asked.len(), ledger.len()));
    }
    let shown = reader.shown();
    for (id, asked) in asked {
        let subject = format!("request/{id}");
        let state = ledger.get(id.as_str()).map(String::as_str);
        let Some(held) = shown.get(subject.as_str()) else {
            problems.push(format!("{id} has no word in the read model"));
            continue;
        };
        if held.state["state"].as_str() != state {
            problems.push(format!("{id} is {state:?}, the read model shows {}", held.state));
        }
        one_word(&edge.facts, &subject, held, told_all, problems);
        if asked.cancelled_ahead && state != Some("cancelled") {
            problems.push(format!("{id} was cancelled ahead and is {state:?}"));
        }
        let hash = held.state["command_hash"].as_str();
        if hash.is_some_and(|hash| hash != asked.command_hash) {
            problems.push(format!("{id} is answered for another command"));
        }
    }
}

/// One outcome fact; where the unit numbered anew, there may be none or more, and all say the same.
fn one_word(log: &FactLog, subject: &str, held: &Held, told_all: bool, problems: &mut Vec<String>) {
    let facts: Vec<_> = log.about(subject).iter().map(|seq| &log.facts[seq]).collect();
    let words = facts.iter().filter(|fact| !fact.type_name.ends_with("_snapshot")).count();
    // A spool that is lost before the outbox was cleared gives its rows out once more, as news.
    let fits = if told_all { words == 1 } else { !facts.is_empty() };
    if !fits || facts.iter().any(|fact| fact.body != held.state) {
        problems.push(format!("{subject} has {words} words, {} facts", facts.len()));
    }
}

/// A reply says what the fact says that it names, and its ETag is that of the record it shows.
fn replies(edge: &Edge, told_all: bool, problems: &mut Vec<String>) {
    for reply in &edge.replies {
        let id = &reply.request_id;
        let fact = reply.last_seq.map(|seq| (seq, edge.facts.facts.get(&seq)));
        match fact {
            Some((_, Some(fact))) if fact.body == reply.outcome => {}
            Some((_, None)) if !told_all => {}
            Some((seq, _)) => problems.push(format!("the reply to {id} is not what {seq} says")),
            // A spool that was lost has not numbered the ledger's word again; it is still the word.
            None if !told_all && is_word(&edge.facts, reply) => {}
            None => {
                let reason = reply.outcome["reason"].as_str();
                if !matches!(reason, Some("too-late" | "idempotency-key-reused")) {
                    problems.push(format!("the reply to {id} is no fact: {reason:?}"));
                }
            }
        }
        let Some(seq) = reply.record_seq else { continue };
        let shown = reply.outcome["record_json"].as_str().unwrap_or_default();
        let shown: Option<Value> = serde_json::from_str(shown).ok();
        match edge.facts.facts.get(&seq) {
            Some(fact) if Some(&fact.body) == shown.as_ref() => {}
            None if !told_all => {}
            _ => problems.push(format!("the reply to {id} has the ETag {seq} of another state")),
        }
    }
}

/// Whether the outcome is what a fact says, whichever.
fn is_word(log: &FactLog, reply: &Reply) -> bool {
    let facts = log.about(&format!("request/{}", reply.request_id));
    facts.iter().any(|seq| log.facts[seq].body == reply.outcome)
}
