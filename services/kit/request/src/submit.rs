//! The path of a command: admitted, put on the log, awaited.

use std::time::{Duration, Instant};

use kit_event::{Delivery, Request, RequestId, UnitSeq, command_hash};
use kit_policy::Caller;
use kit_store::Fresh;
use serde_json::Value;

use crate::limits::{self, Act};
use crate::outcome::outcome;
use crate::pending::{Claim, Word};
use crate::ports::Asking;
use crate::tracked::{Entry, Spoken};
use crate::{Heard, NotSent, Outcome, Rejection, Requests, counts, store_away};

/// Who joined a request that its first asker then gave up (or found answered already) asks again
/// by itself, so often.
const CLAIMS_MAX: usize = 3;

/// A command, ready to be sent.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its type, as `scheduling.book_appointment`.
    pub type_name: &'static str,
    /// Version of its schema.
    pub version: u32,
    /// Its body in canonical form: what the struct writes, not what the caller sent.
    pub body: Value,
}

/// How a command wants to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How long the caller waits.
    pub wait: Duration,
    /// Whether the request may wait for its unit.
    pub delivery: Delivery,
    /// How long it may wait.
    pub expires: Duration,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A request on its way.
struct Sending<'a> {
    caller: &'a Caller,
    id: &'a RequestId,
    terms: &'a Terms,
    command: &'a Command,
    hash: String,
    actor: String,
}

impl Requests {
    /// Submits a command, and gives its outcome where that comes in time.
    ///
    /// # Errors
    /// Whatever keeps the request from being sent.
    pub async fn submit(
        &self,
        caller: &Caller,
        id: &RequestId,
        terms: &Terms,
        command: &Command,
    ) -> Result<Outcome, NotSent> {
        let begun = Instant::now();
        let hash = command_hash(command.type_name, &command.body);
        let actor = caller.verified.actor();
        let sending = Sending { caller, id, terms, command, hash, actor };
        for _ in 0..CLAIMS_MAX {
            let mut receiver = match self.pending.claim(id, &sending.hash, &sending.actor) {
                Claim::First(receiver) => {
                    if let Some(known) = refused_here(command, self.send(&sending).await)? {
                        return self.of_known(&sending, known).await;
                    }
                    receiver
                }
                Claim::Joined(receiver) => receiver,
                Claim::Known(word) => return of_word(id, &word, command),
                Claim::Reused => return refused_here(command, Err(NotSent::KeyReused)),
                Claim::Full => break,
            };
            match self.await_word(&mut receiver, terms.wait).await {
                Heard::Word(word) => {
                    counts::waited(command.type_name, begun.elapsed());
                    return of_word(id, &word, command);
                }
                Heard::Nothing => return self.of_open(&sending).await,
                Heard::Released => {}
            }
        }
        refused_here(command, Err(NotSent::Busy))
    }

    /// Puts a claimed request on the log, unless the book knows it already. On any other end than
    /// "sent" the claim is given up.
    async fn send(&self, sending: &Sending<'_>) -> Result<Option<Entry>, NotSent> {
        let Sending { id, terms, command, .. } = *sending;
        // A caller that leaves drops this future at any await; the guard gives its claim up then.
        let claim = HeldClaim { requests: self, id, kept: false };
        if let Some(known) = self.admit(sending).await? {
            return Ok(Some(known));
        }
        let now = self.clock.now();
        let expires_ms = i64::try_from(terms.expires.as_millis()).unwrap_or(i64::MAX);
        let request = Request {
            unit: id.unit(),
            id: id.clone(),
            type_name: command.type_name.to_owned(),
            version: command.version,
            accepted_at: now,
            expires_at: now.plus_ms(expires_ms),
            delivery: terms.delivery,
            command_hash: sending.hash.clone(),
            actor: sending.actor.clone(),
            reply_partition: Some(self.reply_partition),
            traceparent: terms.traceparent.clone(),
            body: command.body.clone(),
        };
        self.publish(request).await?;
        claim.keep();
        Ok(None)
    }

    /// One round trip to the book: the request's own past, and how full the unit's queue is.
    async fn admit(&self, sending: &Sending<'_>) -> Result<Option<Entry>, NotSent> {
        let (id, unit) = (sending.id, sending.id.unit());
        let (unseen, now) = (self.pending.unseen(&unit, id), self.clock.now());
        let unseen_own = self.pending.unseen_of(&sending.actor, &unseen);
        let (unseen, unseen_own, open_max) = (&unseen[..], &unseen_own[..], self.unit_queue_max);
        let asking = Asking { id, actor: &sending.actor, unseen, unseen_own, open_max };
        let admission = self.book.admit(asking, now).await.map_err(|error| store_away(&error))?;
        if let Some(known) = admission.known {
            let same = known.command_hash.as_deref().is_none_or(|held| held == sending.hash);
            return if same { Ok(Some(known)) } else { Err(NotSent::KeyReused) };
        }
        let online_only = sending.terms.delivery == Delivery::OnlineOnly;
        if online_only && !self.presence.is_online(&unit, now) {
            return Err(NotSent::NotConnected);
        }
        let verified = &sending.caller.verified;
        if admission.open_own >= limits::open_max(verified.kind) {
            return Err(NotSent::TooMany("this caller has too many open requests at the unit"));
        }
        if admission.open >= limits::queue_max(verified.kind, self.unit_queue_max) {
            counts::QUEUE_FULL.get().increment(1);
            return Err(NotSent::QueueFull);
        }
        self.spend(verified, Act::Write)?;
        Ok(None)
    }

    /// The same request was sent before: its outcome again, or the wait for it.
    async fn of_known(&self, sending: &Sending<'_>, known: Entry) -> Result<Outcome, NotSent> {
        let mut entry = match known.word {
            Some(_) => known,
            None => self.await_final(sending.id, known, sending.terms.wait).await?,
        };
        if let Some(spoken) = &mut entry.word
            && spoken.record_seq.is_none()
        {
            spoken.record_seq = self.record_seq(sending.id, spoken).await;
        }
        self.of_entry(entry, sending.command)
    }

    /// The wait is over and no outcome came: what the book knows by now.
    async fn of_open(&self, sending: &Sending<'_>) -> Result<Outcome, NotSent> {
        let recalled = self.pending.recall(sending.id);
        // Who did not want to wait gets the answer without one more round trip.
        let entry = match recalled {
            Some(entry) if sending.terms.wait.is_zero() => Some(entry),
            recalled => self.newest(sending.id, recalled).await?,
        };
        self.of_entry(entry.ok_or(NotSent::StoreAway)?, sending.command)
    }

    fn of_entry(&self, entry: Entry, command: &Command) -> Result<Outcome, NotSent> {
        if let Some(spoken) = &entry.word {
            of_spoken(&entry.id, spoken, command)
        } else {
            counts::answered(command.type_name, counts::ACCEPTED);
            Ok(Outcome::Accepted(Box::new(self.show(entry))))
        }
    }

    /// The number of the record that a stored outcome made. The book does not keep it, but where
    /// the record's read model has come as far as the outcome and holds nothing later, it is the
    /// one that stands there. Without it the answer is still the stored outcome.
    async fn record_seq(&self, id: &RequestId, spoken: &Spoken) -> Option<UnitSeq> {
        let (outcome, reached) = (spoken.outcome.as_ref()?, spoken.unit_seq?);
        let (kind, record_id) = (outcome.record_thing.as_deref()?, outcome.record_id?);
        let read = self.records.record(&id.unit(), kind, record_id).await?;
        let Fresh { freshness, value } = read.ok()?;
        let seq = value?.seq;
        (freshness?.seq >= reached && seq <= reached).then_some(seq)
    }
}

/// An outcome that came as a reply.
fn of_word(id: &RequestId, word: &Word, command: &Command) -> Result<Outcome, NotSent> {
    match word.outcome.state() {
        Some(state) => {
            let spoken = Spoken {
                state,
                outcome: Some(word.outcome.clone()),
                unit_seq: word.last_seq,
                record_seq: word.record_seq,
            };
            of_spoken(id, &spoken, command)
        }
        // A state of a later version: what it means is for a later version to say.
        None => Ok(Outcome::Rejected(Rejection {
            id: id.clone(),
            reason: word.outcome.state.clone(),
            title: Some("The unit gave an outcome that is not known here".to_owned()),
            detail: None,
            seq: None,
        })),
    }
}

fn of_spoken(id: &RequestId, spoken: &Spoken, command: &Command) -> Result<Outcome, NotSent> {
    counts::answered(command.type_name, spoken.state.as_str());
    outcome(id, spoken)
}

/// Counts a command that was not sent.
fn refused_here<T>(command: &Command, sent: Result<T, NotSent>) -> Result<T, NotSent> {
    sent.inspect_err(|_| counts::answered(command.type_name, counts::REFUSED))
}

/// A claim that is given up unless it is kept.
struct HeldClaim<'a> {
    requests: &'a Requests,
    id: &'a RequestId,
    kept: bool,
}

impl HeldClaim<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for HeldClaim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.requests.pending.release(self.id);
        }
    }
}
