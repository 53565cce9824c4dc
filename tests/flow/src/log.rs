//! The two logs of one unit, as vectors. Positions of requests have holes, for units share a log.

use std::collections::BTreeMap;

use kit_event::{Fact, UnitId, UnitSeq};
use kit_link::{Cancel, Durable, FactFrame, FromEdge, LogIdentity, NewEpoch, RequestFrame, Resend};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::carrier::carried;

/// The identity of the log of requests.
pub const LOG: &str = "cluster/unit.requests/7";
/// Records of other units between two of ours, at most.
const OTHERS_MAX: i64 = 4;

/// A record for the unit.
#[derive(Debug, Clone)]
pub enum Letter {
    /// A request.
    Request(Box<RequestFrame>),
    /// A cancel, which also goes ahead.
    Cancel(Cancel),
    /// Facts are asked for again; it also goes ahead.
    Resend(Resend),
    /// A new epoch is ordered; it also goes ahead.
    NewEpoch(NewEpoch),
}

impl Letter {
    /// The frame in its place.
    #[must_use]
    pub fn in_place(&self) -> FromEdge {
        match self.clone() {
            Self::Request(request) => FromEdge::Request(*request),
            Self::Cancel(cancel) => FromEdge::Cancel(cancel),
            Self::Resend(resend) => FromEdge::Resend(resend),
            Self::NewEpoch(order) => FromEdge::NewEpoch(order),
        }
    }

    /// The frame that goes ahead, for what goes ahead.
    #[must_use]
    pub fn ahead(&self) -> Option<FromEdge> {
        match self.clone() {
            Self::Request(_) => None,
            Self::Cancel(it) => Some(FromEdge::Cancel(Cancel { position: None, ..it })),
            Self::Resend(it) => Some(FromEdge::Resend(Resend { position: None, ..it })),
            Self::NewEpoch(it) => Some(FromEdge::NewEpoch(NewEpoch { position: None, ..it })),
        }
    }

    fn placed(self, at: i64) -> Self {
        let position = Some(at);
        match self {
            Self::Request(it) => Self::Request(Box::new(RequestFrame { position: at, ..*it })),
            Self::Cancel(it) => Self::Cancel(Cancel { position, ..it }),
            Self::Resend(it) => Self::Resend(Resend { position, ..it }),
            Self::NewEpoch(it) => Self::NewEpoch(NewEpoch { position, ..it }),
        }
    }

    /// What stands on the log comes out of it as it went in.
    fn through_avro(self) -> Self {
        match self {
            Self::Request(mut it) => {
                it.body = carried(&it.type_name, it.version, &it.body);
                return Self::Request(it);
            }
            Self::Cancel(ref it) => {
                carried("control.cancel", 1, &json!({"request_id": it.request_id}))
            }
            Self::Resend(ref it) => {
                carried("control.resend", 1, &json!({"from": it.from, "to": it.to}))
            }
            Self::NewEpoch(ref it) => {
                carried("control.new_epoch", 1, &json!({"above": it.above, "reason": it.reason}))
            }
        };
        self
    }
}

/// The log of requests.
#[derive(Debug, Default)]
pub struct RequestLog {
    letters: BTreeMap<i64, Letter>,
    head: i64,
}

impl RequestLog {
    /// Which log it is.
    #[must_use]
    pub fn identity() -> LogIdentity {
        LogIdentity(LOG.to_owned())
    }

    /// The next position that will be written.
    #[must_use]
    pub fn head(&self) -> i64 {
        self.head
    }

    /// Writes a letter, after some of other units.
    pub fn write(&mut self, rng: &mut StdRng, letter: Letter) {
        let at = self.head + rng.random_range(0..=OTHERS_MAX);
        self.letters.insert(at, letter.through_avro().placed(at));
        self.head = at + 1;
    }

    /// Letters from a position on, in order.
    pub fn from(&self, position: i64) -> impl Iterator<Item = (i64, &Letter)> {
        self.letters.range(position..).map(|(at, letter)| (*at, letter))
    }

    /// The position of the letter that stands `back` letters before a position.
    #[must_use]
    pub fn before(&self, position: i64, back: usize) -> i64 {
        let earlier = self.letters.range(..position).rev().nth(back);
        earlier.map_or(position, |(at, _)| *at)
    }
}

/// The log of facts: every record that was written, and the facts by their numbers.
#[derive(Debug, Default)]
pub struct FactLog {
    /// Every record, repeats too.
    pub records: Vec<Fact>,
    /// Each fact once.
    pub facts: BTreeMap<UnitSeq, Fact>,
}

impl FactLog {
    /// Writes a fact; a number that is known must be the same fact.
    pub fn write(&mut self, unit: &UnitId, frame: FactFrame) {
        let mut fact = frame.into_fact(unit.clone());
        fact.body = carried(&fact.type_name, fact.version, &fact.body);
        match self.facts.get(&fact.seq) {
            Some(known) => assert_eq!(known, &fact, "another fact under a known number"),
            None => {
                self.facts.insert(fact.seq, fact.clone());
            }
        }
        self.records.push(fact);
    }

    /// The last fact.
    #[must_use]
    pub fn last(&self) -> Option<Durable> {
        self.nth_last(0)
    }

    /// The fact `back` before the last.
    #[must_use]
    pub fn nth_last(&self, back: usize) -> Option<Durable> {
        let fact = self.facts.values().nth_back(back)?;
        Some(Durable { seq: fact.seq, id: fact.id })
    }

    /// The numbers of the facts about a thing, oldest first.
    #[must_use]
    pub fn about(&self, subject: &str) -> Vec<UnitSeq> {
        let about = self.facts.values().filter(|fact| fact.subject.as_deref() == Some(subject));
        about.map(|fact| fact.seq).collect()
    }
}
