//! What this process has asked of units a moment ago: who waits for which outcome, what the read
//! model may not hold yet, and the outcomes that came before it will.
//!
//! Nothing here is true because it stands here: it is a shortcut past the read model, bounded in
//! number and in time, and a process that dies loses it without harm.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kit_event::{RequestId, UnitId};
use requests::{Answer, Reply};
use tokio::sync::oneshot;

use crate::tracked::Entry;

/// Requests remembered at once; about 1 KB each.
const ASKED_MAX: usize = 50_000;
/// A request without a word is remembered so long: longer than anybody may wait (60 s), and than
/// a read model takes to hear of it.
const ASKED_FOR: Duration = Duration::from_secs(75);
/// A word is remembered so long, for readers faster than the read model.
const WORD_FOR: Duration = Duration::from_secs(15);
/// Requests of one unit that an admission compares with the read model. More in so short a time
/// would only be counted twice, and so refused early.
const UNSEEN_MAX: usize = 1_000;

/// A unit's word, on its way to whoever waits.
pub type Word = Arc<Reply>;

/// What asking under an id came to.
#[derive(Debug)]
pub enum Claim {
    /// Nobody here asked under this id lately: it is the caller's to send.
    First(oneshot::Receiver<Word>),
    /// The same is being asked here already: wait for the same word.
    Joined(oneshot::Receiver<Word>),
    /// The same was asked here, and the word has come.
    Known(Word),
    /// Another command was asked under this id.
    Reused,
    /// Too many wait.
    Full,
}

#[derive(Default)]
struct Slot {
    entry: Option<Arc<Entry>>,
    command_hash: String,
    actor: String,
    word: Option<Word>,
    waiting: Vec<oneshot::Sender<Word>>,
    /// Grows with each claim, so that an old line of the queue of deadlines ends no new one.
    turn: u64,
}

#[derive(Default)]
struct Table {
    slots: HashMap<RequestId, Slot>,
    open: HashMap<UnitId, HashSet<RequestId>>,
    /// In order of time, each with the turn that it ends.
    unanswered: VecDeque<(Instant, RequestId, u64)>,
    answered: VecDeque<(Instant, RequestId, u64)>,
    turns: u64,
    questions: HashMap<RequestId, oneshot::Sender<Arc<Answer>>>,
}

/// The table; clones share it.
#[derive(Clone, Default)]
pub struct Pending(Arc<Mutex<Table>>);

impl Pending {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Claims an id before it is sent.
    #[must_use]
    pub fn claim(&self, id: &RequestId, command_hash: &str, actor: &str) -> Claim {
        let now = Instant::now();
        let mut table = self.table();
        table.sweep(now);
        if let Some(slot) = table.slots.get_mut(id) {
            return slot.join(command_hash);
        }
        if table.slots.len() >= ASKED_MAX && !table.forget_oldest_word() {
            return Claim::Full;
        }
        let (sender, receiver) = oneshot::channel();
        table.turns += 1;
        let turn = table.turns;
        let slot = Slot {
            command_hash: command_hash.to_owned(),
            actor: actor.to_owned(),
            waiting: vec![sender],
            turn,
            ..Slot::default()
        };
        table.slots.insert(id.clone(), slot);
        table.open.entry(id.unit()).or_default().insert(id.clone());
        table.unanswered.push_back((now + ASKED_FOR, id.clone(), turn));
        Claim::First(receiver)
    }

    /// Notes that a claimed request stands on the log.
    pub fn placed(&self, entry: Entry) {
        let mut table = self.table();
        if let Some(slot) = table.slots.get_mut(&entry.id) {
            slot.entry = Some(Arc::new(entry));
        }
    }

    /// Gives up a claim: nothing was sent, or it is another's word that counts. Whoever joined
    /// learns it by a closed channel.
    pub fn release(&self, id: &RequestId) {
        let mut table = self.table();
        table.close(id);
        table.slots.remove(id);
    }

    /// Takes a reply from the log. One that nobody here asked for is ignored; so is `too-late`,
    /// the answer to a cancel, because the request's own word was sent before it.
    pub fn hear(&self, reply: Reply) {
        let now = Instant::now();
        let reason = reply.outcome.reason.as_deref();
        if reason == Some("too-late") {
            return;
        }
        // The word then stands on another command: of this one there is nothing to remember.
        let reused = reason == Some("idempotency-key-reused");
        let mut table = self.table();
        let id = reply.request_id.clone();
        let Some(slot) = table.slots.get_mut(&id) else { return };
        // Two gateways may share a partition, and each may ask another command under one key.
        let other = reply.outcome.command_hash.as_ref().is_some_and(|h| *h != slot.command_hash);
        if other {
            return;
        }
        let word = Arc::new(reply);
        for waiting in slot.waiting.drain(..) {
            // Who has left in the meantime needs no word.
            let _ = waiting.send(word.clone());
        }
        let turn = slot.turn;
        if reused {
            table.slots.remove(&id);
        } else {
            slot.word = Some(word);
            table.answered.push_back((now + WORD_FOR, id.clone(), turn));
        }
        table.close(&id);
    }

    /// Waits for the word on a request that was asked here, where one is still out.
    #[must_use]
    pub fn follow(&self, id: &RequestId) -> Option<oneshot::Receiver<Word>> {
        let mut table = self.table();
        let slot = table.slots.get_mut(id).filter(|slot| slot.word.is_none())?;
        let (sender, receiver) = oneshot::channel();
        slot.waiting.retain(|waiting| !waiting.is_closed());
        slot.waiting.push(sender);
        Some(receiver)
    }

    /// A request asked here lately, with its word where that has come.
    #[must_use]
    pub fn recall(&self, id: &RequestId) -> Option<Entry> {
        let table = self.table();
        let slot = table.slots.get(id)?;
        let mut entry = Entry::clone(slot.entry.as_deref()?);
        if let Some(word) = &slot.word {
            entry.take_word(word);
        }
        Some(entry)
    }

    /// Requests to a unit that were asked here lately and that the read model may not hold yet.
    #[must_use]
    pub fn unseen(&self, unit: &UnitId, except: &RequestId) -> Vec<RequestId> {
        let table = self.table();
        let open = table.open.get(unit).into_iter().flatten();
        open.filter(|id| *id != except).take(UNSEEN_MAX).cloned().collect()
    }

    /// Those of them that `actor` asked for.
    #[must_use]
    pub fn unseen_of(&self, actor: &str, unseen: &[RequestId]) -> Vec<RequestId> {
        let table = self.table();
        let own = |id: &&RequestId| table.slots.get(*id).is_some_and(|slot| slot.actor == actor);
        unseen.iter().filter(own).cloned().collect()
    }

    /// Waits for the answer to a live query.
    #[must_use]
    pub fn question(&self, id: &RequestId) -> Question {
        let (sender, receiver) = oneshot::channel();
        self.table().questions.insert(id.clone(), sender);
        Question { asked: self.clone(), id: id.clone(), receiver }
    }

    /// Takes an answer from the log. One that nobody here awaits is ignored.
    pub fn answered(&self, answer: Answer) {
        if let Some(waiting) = self.table().questions.remove(&answer.query_id) {
            let _ = waiting.send(Arc::new(answer));
        }
    }
}

/// A live query that somebody waits for; dropping it ends the waiting.
pub struct Question {
    asked: Pending,
    id: RequestId,
    receiver: oneshot::Receiver<Arc<Answer>>,
}

impl Question {
    /// The answer, where it comes in time.
    pub async fn within(mut self, wait: Duration) -> Option<Arc<Answer>> {
        tokio::time::timeout(wait, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asked.table().questions.remove(&self.id);
    }
}

impl Slot {
    fn join(&mut self, command_hash: &str) -> Claim {
        if self.command_hash != command_hash {
            return Claim::Reused;
        }
        if let Some(word) = &self.word {
            return Claim::Known(word.clone());
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.retain(|waiting| !waiting.is_closed());
        self.waiting.push(sender);
        Claim::Joined(receiver)
    }
}

impl Table {
    /// Forgets what is past its time.
    fn sweep(&mut self, now: Instant) {
        while self.answered.front().is_some_and(|(until, ..)| *until <= now) {
            self.forget_oldest_word();
        }
        while let Some((until, ..)) = self.unanswered.front() {
            if *until > now {
                break;
            }
            if let Some((_, id, turn)) = self.unanswered.pop_front() {
                let waits = |slot: &Slot| slot.turn == turn && slot.word.is_none();
                if self.slots.get(&id).is_some_and(waits) {
                    self.close(&id);
                    self.slots.remove(&id);
                }
            }
        }
    }

    fn forget_oldest_word(&mut self) -> bool {
        let Some((_, id, turn)) = self.answered.pop_front() else { return false };
        if self.slots.get(&id).is_some_and(|slot| slot.turn == turn) {
            self.slots.remove(&id);
        }
        true
    }

    /// Takes a request off the list of those without a word.
    fn close(&mut self, id: &RequestId) {
        let unit = id.unit();
        if let Some(open) = self.open.get_mut(&unit) {
            open.remove(id);
            if open.is_empty() {
                self.open.remove(&unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kit_event::Timestamp;
    use requests::{FinalState, RequestOutcome};

    use super::*;

    fn id(key: &str) -> RequestId {
        RequestId::derive(&"hcu-0001".parse().unwrap(), "iss", "sub", key)
    }

    fn reply(id: &RequestId, state: FinalState) -> Reply {
        let at = Timestamp::from_unix_ms(0);
        let outcome = RequestOutcome::new(id.clone(), state, at);
        Reply { request_id: id.clone(), last_seq: None, record_seq: None, outcome }
    }

    #[tokio::test]
    async fn the_same_key_twice_at_once_is_sent_once_and_told_twice() {
        let asked = Pending::default();
        let Claim::First(one) = asked.claim(&id("k"), "h", "staff:ana") else {
            panic!("the first")
        };
        let Claim::Joined(two) = asked.claim(&id("k"), "h", "staff:ana") else {
            panic!("the second")
        };
        assert!(matches!(asked.claim(&id("k"), "other", "staff:ana"), Claim::Reused));
        asked.hear(reply(&id("k"), FinalState::Done));
        assert_eq!(one.await.unwrap().outcome.state, "done");
        assert_eq!(two.await.unwrap().outcome.state, "done");
        assert!(matches!(asked.claim(&id("k"), "h", "staff:ana"), Claim::Known(_)));
    }

    #[tokio::test]
    async fn a_claim_given_up_frees_the_id_and_tells_who_joined() {
        let asked = Pending::default();
        let Claim::First(_one) = asked.claim(&id("k"), "h", "staff:ana") else {
            panic!("the first")
        };
        let Claim::Joined(two) = asked.claim(&id("k"), "h", "staff:ana") else {
            panic!("the second")
        };
        asked.release(&id("k"));
        assert!(two.await.is_err());
        assert!(matches!(asked.claim(&id("k"), "other", "staff:ana"), Claim::First(_)));
    }

    #[test]
    fn requests_without_a_word_are_unseen_until_it_comes() {
        let asked = Pending::default();
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let _a = asked.claim(&id("a"), "h", "staff:ana");
        let _b = asked.claim(&id("b"), "h", "staff:ana");
        assert_eq!(asked.unseen(&unit, &id("b")), [id("a")]);
        asked.hear(reply(&id("a"), FinalState::Rejected));
        assert!(asked.unseen(&unit, &id("b")).is_empty());
        asked.hear(reply(&id("nobody-asked"), FinalState::Done));
    }

    #[tokio::test]
    async fn a_question_that_nobody_waits_for_any_more_is_forgotten() {
        let asked = Pending::default();
        let question = asked.question(&id("q"));
        assert!(question.within(Duration::from_millis(5)).await.is_none());
        assert!(asked.table().questions.is_empty());
    }
}
