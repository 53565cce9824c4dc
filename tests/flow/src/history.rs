//! What the facts alone say of each decision.
//!
//! Capture tells changes in the order of their commits, so whoever replays the facts sees the diary
//! as it stood when a request was decided. The replay reads bodies as plain JSON, asking no domain:
//! it would otherwise judge a rule by the rule itself.

use std::collections::BTreeMap;

use kit_event::{Fact, RequestId, Timestamp, UnitSeq};
use serde_json::Value;
use units::{EpochOpened, EpochSeeded};

use crate::till::Till;

/// A request as it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its type.
    pub type_name: String,
    /// The command that came first in the log under this id.
    pub body: Value,
    /// Its hash.
    pub command_hash: String,
    /// Whether it was cancelled before it was ever handed down, so that it must not be made.
    pub cancelled_ahead: bool,
}

/// A stretch of a practitioner's time.
#[derive(Debug, Clone, PartialEq)]
struct Visit {
    practitioner: String,
    starts: Timestamp,
    ends: Timestamp,
}

impl Visit {
    /// The time that an appointment's state takes: none when it is off, or begins at no instant;
    /// the beginning alone when its end does not read or is not after it.
    fn of(state: &Value) -> Option<Self> {
        if matches!(state["status"].as_str(), Some("cancelled" | "noshow")) {
            return None;
        }
        let at = |field: &str| state[field].as_str()?.parse::<Timestamp>().ok();
        let starts = at("starts_at")?;
        let ends = at("ends_at").filter(|ends| *ends > starts).unwrap_or(starts.plus_ms(1));
        let practitioner = state["practitioner_id"].as_str()?.to_owned();
        Some(Self { practitioner, starts, ends })
    }

    fn meets(&self, other: &Self) -> bool {
        self.practitioner == other.practitioner
            && self.starts < other.ends
            && other.starts < self.ends
    }
}

/// What a request changed.
#[derive(Debug, Clone, PartialEq)]
struct Effect {
    subject: String,
    /// The fact that tells it.
    seq: UnitSeq,
    /// The number that the thing had before.
    before: Option<UnitSeq>,
}

/// A replay of the facts.
pub struct History<'a> {
    asked: &'a BTreeMap<RequestId, Asked>,
    diary: BTreeMap<String, Value>,
    till: Till,
    last: BTreeMap<String, UnitSeq>,
    /// Each request's effect.
    effects: BTreeMap<RequestId, Effect>,
    /// The unit's word on each request.
    words: BTreeMap<RequestId, Value>,
    /// Whether the diary is known whole.
    whole: bool,
    /// What must not be.
    pub problems: Vec<String>,
    /// Decisions that were checked, by kind.
    pub checked: BTreeMap<&'static str, u32>,
}

impl<'a> History<'a> {
    /// Replays facts in the order of their numbers.
    pub fn replay(
        asked: &'a BTreeMap<RequestId, Asked>,
        facts: impl Iterator<Item = &'a Fact>,
    ) -> Self {
        let mut history = Self {
            asked,
            diary: BTreeMap::new(),
            till: Till::default(),
            last: BTreeMap::new(),
            effects: BTreeMap::new(),
            words: BTreeMap::new(),
            whole: false,
            problems: Vec::new(),
            checked: BTreeMap::new(),
        };
        for fact in facts {
            history.tell(fact);
        }
        history
    }

    fn tell(&mut self, fact: &Fact) {
        match (fact.domain(), fact.type_name.as_str()) {
            // Facts of the epoch before may never have left; the snapshot makes the diary whole.
            (_, EpochOpened::TYPE) => {
                self.diary.clear();
                self.till = Till::default();
                self.whole = false;
            }
            (_, EpochSeeded::TYPE) => self.whole = true,
            ("requests", name) if !name.ends_with("_snapshot") => self.judge(fact),
            ("patients" | "scheduling" | "billing", _) => self.change(fact),
            _ => {}
        }
    }

    fn change(&mut self, fact: &Fact) {
        let subject = fact.subject.clone().unwrap_or_default();
        if let Some(cause) = &fact.causation_id {
            self.effect(cause, &subject, fact);
        }
        self.till.tell(&subject, fact);
        if fact.type_name.ends_with("_removed") {
            self.diary.remove(&subject);
            self.last.remove(&subject);
            return;
        }
        self.last.insert(subject.clone(), fact.seq);
        if subject.starts_with("appointment/") {
            self.diary.insert(subject, fact.body.clone());
        }
    }

    fn effect(&mut self, cause: &RequestId, subject: &str, fact: &Fact) {
        let before = self.last.get(subject).copied();
        if let Some(first) = self.effects.get(cause) {
            // A lost spool may tell it once more, in another epoch.
            if first.seq.epoch == fact.seq.epoch || first.subject != subject {
                self.problems.push(format!("{cause} had a second effect, {}", fact.seq));
            }
            return;
        }
        let effect = Effect { subject: subject.to_owned(), seq: fact.seq, before };
        self.effects.insert(cause.clone(), effect);
        let Some(asked) = self.asked.get(cause) else {
            self.problems.push(format!("{} names {cause}, which nobody asked", fact.seq));
            return;
        };
        if subject.starts_with("payment/") && self.whole {
            self.count("granted money");
            self.problems.extend(self.till.objects(cause, &fact.body));
        }
        let takes_time = asked.body.get("starts_at").is_some();
        if let Some(visit) = Visit::of(&fact.body).filter(|_| takes_time) {
            self.count("granted a time");
            if let Some(other) = self.taken(&visit, subject) {
                self.problems.push(format!("{cause} took the time of {other}, at {}", fact.seq));
            }
        }
    }

    fn taken(&self, visit: &Visit, but: &str) -> Option<&str> {
        let mut others = self.diary.iter().filter(|(subject, _)| *subject != but);
        let met = others.find(|(_, state)| Visit::of(state).is_some_and(|it| it.meets(visit)));
        met.map(|(subject, _)| subject.as_str())
    }

    fn judge(&mut self, outcome: &Fact) {
        let body = &outcome.body;
        let (state, reason) = (body["state"].as_str(), body["reason"].as_str());
        let id: Option<RequestId> = body["request_id"].as_str().and_then(|id| id.parse().ok());
        let Some((id, asked)) = id.and_then(|id| self.asked.get_key_value(&id)) else {
            self.problems.push(format!("{} speaks of a request that nobody asked", outcome.seq));
            return;
        };
        if let Some(word) = self.words.insert(id.clone(), body.clone()) {
            if word != *body {
                self.problems.push(format!("the unit goes back on its word on {id}"));
            }
            return;
        }
        let effect = self.effects.get(id).cloned();
        match state {
            Some("done") => self.judge_done(id, asked, effect.as_ref()),
            _ if effect.is_some() => {
                self.problems.push(format!("{id} is {state:?}, and had an effect"));
            }
            _ => {}
        }
        let at = |field: &str| body[field].as_str()?.parse::<Timestamp>().ok();
        if let (Some(decided), Some(expires)) = (at("decided_at"), at("expires_at")) {
            self.count(if state == Some("expired") { "expired" } else { "decided in time" });
            if (state == Some("expired")) != (expires <= decided) {
                self.problems.push(format!("{id} is {state:?}, decided {decided} of {expires}"));
            }
        }
        if reason == Some("slot-taken") && self.whole {
            self.count("slot taken");
            self.judge_taken(id, asked);
        }
        if reason == Some("amount-exceeds-balance") && self.whole {
            self.count("more than is owed");
            if self.till.fits(&asked.body) {
                self.problems.push(format!("{id} was refused to pay what is owed"));
            }
        }
    }

    fn judge_done(&mut self, id: &RequestId, asked: &Asked, effect: Option<&Effect>) {
        self.count("done");
        let made = [".book_", ".register_", ".record_", ".refund_"];
        let makes = made.iter().any(|verb| asked.type_name.contains(verb));
        match effect {
            Some(Effect { before: Some(before), .. }) if makes => {
                self.problems.push(format!("{id} made what was there, as {before}"));
            }
            None if makes => self.problems.push(format!("{id} is done, and nothing was made")),
            Some(_) | None => {}
        }
        let insisted = asked.body["if_match"].as_str().and_then(|seq| seq.parse().ok());
        if let Some(insisted) = insisted {
            self.count("done as matched");
            let found = match effect {
                Some(effect) => effect.before,
                None => self.last.get(&subject_of(&asked.body)).copied(),
            };
            if found != Some(insisted) {
                self.problems.push(format!("{id} insisted on {insisted}, it was {found:?}"));
            }
        }
    }

    /// A refused time must have been somebody's.
    fn judge_taken(&mut self, id: &RequestId, asked: &Asked) {
        let subject = subject_of(&asked.body);
        let mut asked = asked.body.clone();
        if asked.get("practitioner_id").is_none() {
            let held = self.diary.get(&subject).map(|state| state["practitioner_id"].clone());
            asked["practitioner_id"] = held.unwrap_or_default();
        }
        let free = Visit::of(&asked).is_none_or(|visit| self.taken(&visit, &subject).is_none());
        if free {
            self.problems.push(format!("{id} was refused a time that nobody had"));
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.checked.entry(what).or_default() += 1;
    }
}

/// The thing that a command is about.
fn subject_of(command: &Value) -> String {
    match command["appointment_id"].as_str() {
        Some(id) => format!("appointment/{id}"),
        None if command["payment_id"].is_string() => {
            format!("payment/{}", command["payment_id"].as_str().unwrap_or_default())
        }
        None => format!("patient/{}", command["patient_id"].as_str().unwrap_or_default()),
    }
}
