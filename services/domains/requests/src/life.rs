//! The tracked life of a request: `accepted -> delivered -> done | rejected | expired | cancelled`,
//! and perhaps `undone`.
//!
//! Only two things are ever stored: that the request stands on the log, and the unit's word on it.
//! `delivered` follows from how far the unit is in the log, `overdue` from the clock: both are
//! views, and neither is an answer. A deadline that passed in silence means *unknown*, never
//! *failed*; what happened is whatever the unit will say.

use kit_event::Timestamp;

use crate::facts::RangeLapsed;
use crate::outcome::FinalState;

/// A request as a read model holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The log that it stands on, `<cluster>/<topic>/<partition>`.
    pub log: String,
    /// Its position there.
    pub position: i64,
    /// Its deadline.
    pub expires_at: Timestamp,
    /// The unit's word, where it has spoken.
    pub word: Option<Word>,
}

/// The unit's word on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// On this very request: a row of its ledger.
    Ledger(FinalState),
    /// On a stretch of the log in which the request lay, and which never reached the unit.
    Lapsed,
}

/// How far a unit is in a log of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedCursor<'a> {
    /// The log.
    pub log: &'a str,
    /// It has done with every position below this.
    pub next: i64,
}

/// What a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    /// It stands on the log.
    Accepted,
    /// The unit has passed its position; its word is on the way.
    Delivered,
    /// Its deadline passed without the unit's word: nobody knows yet.
    Overdue,
    /// The unit's word.
    Final(FinalState),
}

impl Shown {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Overdue => "overdue",
            Self::Final(state) => state.as_str(),
        }
    }

    /// Whether a reader that saw `self` may see `next` later. A word is never unsaid, except that a
    /// restored clinic undoes what it had done.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Accepted, _)
            | (Self::Delivered, Self::Delivered | Self::Overdue | Self::Final(_))
            | (Self::Overdue, Self::Overdue | Self::Final(_))
            | (Self::Final(_), Self::Final(FinalState::Undone)) => true,
            (Self::Final(old), Self::Final(new)) => old as u8 == new as u8,
            (Self::Delivered, Self::Accepted)
            | (Self::Overdue, Self::Accepted | Self::Delivered)
            | (Self::Final(_), Self::Accepted | Self::Delivered | Self::Overdue) => false,
        }
    }
}

impl Word {
    /// The state that the word means.
    #[must_use]
    pub const fn state(self) -> FinalState {
        match self {
            Self::Ledger(state) => state,
            Self::Lapsed => FinalState::Expired,
        }
    }
}

impl Tracked {
    /// Takes the unit's word on this request, in the order of its numbers. The first stands (a
    /// snapshot or a resend only says it again), but for `undone`, which follows a restore.
    pub fn hear(&mut self, word: FinalState) {
        if self.word.is_none() || word == FinalState::Undone {
            self.word = Some(Word::Ledger(word));
        }
    }

    /// Takes the unit's word on a stretch of the log: the request has expired where it lies in the
    /// stretch and has no word of its own.
    pub fn lapse(&mut self, range: &RangeLapsed) {
        if self.word.is_none() && range.names(&self.log, self.position) {
            self.word = Some(Word::Lapsed);
        }
    }
}

/// What a request shows at `now`, given how far its unit is.
#[must_use]
pub fn view(request: &Tracked, applied: Option<AppliedCursor<'_>>, now: Timestamp) -> Shown {
    if let Some(word) = request.word {
        return Shown::Final(word.state());
    }
    if now > request.expires_at {
        return Shown::Overdue;
    }
    let passed = applied.is_some_and(|at| at.log == request.log && at.next > request.position);
    if passed { Shown::Delivered } else { Shown::Accepted }
}
