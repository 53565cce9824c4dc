//! Applying a request: one transaction on the clinic database that decides, writes, and enters the
//! unit's word into the ledger.
//!
//! The decision is the domain's and pure; facts come only from capture. The reply is made from what
//! the drain numbered, so it leaves after the spool's commit.

use std::cell::RefCell;

use kit_event::{Granted, RecordRef, Records, Rejection, RequestId, Timestamp, UnitSeq};
use kit_link::{Cancel, FactFrame, LogIdentity, Reply, RequestFrame};
use requests::{FinalState, RequestOutcome, RequestRejection};
use rusqlite::{Connection, ErrorCode};
use serde_json::Value;
use tracing::error;
use uuid::Uuid;

use crate::changes;
use crate::domains;
use crate::error::{Act, WorkerError};
use crate::failpoints::Step;
use crate::last_published::{self, LastPublished};
use crate::ledger::{self, Entry};
use crate::outbox;
use crate::present::Batch;
use crate::publish::PATIENT_FIELD;
use crate::records::ClinicRecords;
use crate::restore;
use crate::stores::{CLEARED_AT_ONCE, Stores};
use crate::truncate::truncated;

/// What became of a request or a cancel at the clinic database.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The unit spoke now; outbox rows tell it.
    Spoken {
        /// What the outbox held, as far as one pass of the drain takes it.
        captured: Box<Batch>,
    },
    /// It had spoken before, and says the same again.
    Repeated,
    /// No word of the unit changes; this is only for who waits.
    Told(Box<RequestOutcome>),
}

impl Stores {
    /// Decides a request and commits the unit's word.
    ///
    /// # Errors
    /// The clinic database is busy, refuses to commit, or went back. Nothing was done then.
    pub fn apply(
        &mut self,
        request: &RequestFrame,
        log: &LogIdentity,
        tries: u32,
    ) -> Result<Verdict, WorkerError> {
        let now = self.setup.clock.now();
        self.speak(
            &request.id,
            log,
            request.traceparent.as_deref(),
            |stores, tx, entry| match entry {
                Some(entry) if is_another(&entry, &request.command_hash) => {
                    let rejection = Rejection::from(RequestRejection::IdempotencyKeyReused);
                    let outcome =
                        RequestOutcome::new(request.id.clone(), FinalState::Rejected, now);
                    Ok(Spoken::Told(Box::new(of_request(outcome, request).because(&rejection))))
                }
                Some(_) => Ok(Spoken::Repeated),
                None if stores.may_be_lost(log, request.position)? => {
                    let outcome = RequestOutcome::new(request.id.clone(), FinalState::Undone, now);
                    let outcome = of_request(outcome, request).because(&restore::undone());
                    Ok(Spoken::Now(Box::new(outcome)))
                }
                None => stores.decide(tx, request, now, tries).map(|it| Spoken::Now(Box::new(it))),
            },
        )
    }

    /// Ends a request that the unit has not spoken on.
    ///
    /// # Errors
    /// As [`Stores::apply`].
    pub fn cancel(&mut self, cancel: &Cancel, log: &LogIdentity) -> Result<Verdict, WorkerError> {
        let now = self.setup.clock.now();
        let outcome = |state| RequestOutcome::new(cancel.request_id.clone(), state, now);
        self.speak(&cancel.request_id, log, cancel.traceparent.as_deref(), |_, _, entry| {
            Ok(match entry {
                Some(entry) if entry.state == FinalState::Cancelled.as_str() => Spoken::Repeated,
                Some(_) => {
                    let rejection = Rejection::from(RequestRejection::TooLate);
                    Spoken::Told(Box::new(outcome(FinalState::Rejected).because(&rejection)))
                }
                None => {
                    let mut word = outcome(FinalState::Cancelled);
                    word.actor = Some(cancel.actor.clone());
                    word.position = cancel.position;
                    Spoken::Now(Box::new(word.because(&RequestRejection::Cancelled.into())))
                }
            })
        })
    }

    /// One transaction: looks the request up, lets `word` decide, writes the ledger.
    fn speak(
        &mut self,
        request_id: &RequestId,
        log: &LogIdentity,
        traceparent: Option<&str>,
        word: impl FnOnce(&Self, &Connection, Option<Entry>) -> Result<Spoken, WorkerError>,
    ) -> Result<Verdict, WorkerError> {
        let clearing = self.drained.lowest(CLEARED_AT_ONCE);
        let reading = self.spool.begin_reading()?;
        let tx = self.clinic.begin()?;
        self.check_mark(&tx)?;
        // What was removed a moment ago must not be taken for what stands under its key by now.
        if outbox::holds_removals(&tx, &self.drained)? {
            return Err(WorkerError::Held);
        }
        let entry = ledger::find(&tx, request_id.as_str())?;
        set_cause(&tx, Some(request_id), traceparent)?;
        let outcome = match word(self, &tx, entry)? {
            Spoken::Now(outcome) => outcome,
            // Dropped, the transaction rolls back.
            Spoken::Repeated => return Ok(Verdict::Repeated),
            Spoken::Told(outcome) => return Ok(Verdict::Told(outcome)),
        };
        drop(reading);
        ledger::insert(&tx, &outcome, &log.0)?;
        set_cause(&tx, None, None)?;
        self.leave_word(&tx, &clearing)?;
        let captured = Box::new(self.read_outbox(&tx)?);
        self.setup.failpoints.pass(Step::ApplyBeforeCommit)?;
        tx.commit("committing a request")?;
        self.cleared(&clearing);
        self.setup.failpoints.pass(Step::ApplyAfterCommit)?;
        self.clinic.flush()?;
        Ok(Verdict::Spoken { captured })
    }

    fn decide(
        &self,
        tx: &Connection,
        request: &RequestFrame,
        now: Timestamp,
        tries: u32,
    ) -> Result<RequestOutcome, WorkerError> {
        let records = self.records(tx);
        let word = |state| of_request(RequestOutcome::new(request.id.clone(), state, now), request);
        let refused = |state, rejection: &Rejection| {
            let mut outcome = word(state).because(rejection);
            outcome.patient_id = patient_of_command(&records, &request.body);
            outcome
        };
        if tries >= TRIES_MAX {
            let rejection = RequestRejection::AgentFailed { tries }.into();
            return Ok(refused(FinalState::Rejected, &rejection));
        }
        if request.expires_at <= now {
            let rejection = RequestRejection::Expired { expires_at: request.expires_at }.into();
            return Ok(refused(FinalState::Expired, &rejection));
        }
        let decided = match domains::of_command(&request.type_name) {
            Some(domain) => domain.decide(&request.type_name, &request.body, &records, now),
            None => Err(Rejection::unknown_type(&request.type_name)),
        };
        let written = match decided {
            Ok(granted) => write_all(&records, granted)?,
            Err(rejection) => Err(records.missed.take().map_or(rejection, |resource| {
                // The domain only saw that records could not be read.
                records.absence(&resource).into()
            })),
        };
        match written {
            Err(rejection) => Ok(refused(FinalState::Rejected, &rejection)),
            Ok(record) => {
                let mut outcome = word(FinalState::Done);
                let state = records.get(record.resource, &record.id).ok().flatten();
                let state = state.map(|stored| stored.state);
                outcome.patient_id = state.as_ref().and_then(patient_of_state);
                outcome.record_json = state.map(|state| state.to_string());
                outcome.record_thing = Some(record.resource.to_owned());
                outcome.record_id = Some(record.id);
                Ok(outcome)
            }
        }
    }

    /// The records of the clinic on a connection that stands in a transaction.
    pub fn records<'a>(&'a self, clinic: &'a Connection) -> ClinicRecords<'a> {
        ClinicRecords {
            clinic,
            spool: self.spool.conn(),
            setup: &self.setup,
            mapping: &self.mapping,
            tables: &self.installed.tables,
            absent: &self.installed.absent,
            fresh: RefCell::new(Vec::new()),
            missed: RefCell::new(None),
        }
    }

    /// The reply to a request, from the facts that it just got, or from what is remembered of it.
    ///
    /// # Errors
    /// The spool refuses.
    pub fn reply(
        &self,
        request_id: &RequestId,
        reply_partition: Option<i32>,
        verdict: &Verdict,
        facts: &[FactFrame],
    ) -> Result<Option<Reply>, WorkerError> {
        let mut reply = Reply {
            request_id: request_id.clone(),
            reply_partition,
            last_seq: None,
            record_seq: None,
            traceparent: None,
            outcome: Value::Null,
        };
        if let Verdict::Told(outcome) = verdict {
            reply.outcome = serde_json::to_value(outcome)
                .map_err(|_| WorkerError::SpoolContent { what: "an outcome" })?;
            return Ok(Some(reply));
        }
        let subject = format!("{}/{request_id}", RequestOutcome::RESOURCE);
        let told = facts.iter().rev().find(|fact| fact.subject.as_deref() == Some(&subject));
        let (seq, outcome) = match told {
            Some(fact) => (fact.seq, fact.body.clone()),
            None => match self.remembered(request_id)? {
                Some(word) => (word.seq, word.state),
                None => match self.entered(request_id)? {
                    Some(word) => (UnitSeq::ZERO, word),
                    None => return Ok(None),
                },
            },
        };
        reply.last_seq = Some(seq).filter(|seq| *seq != UnitSeq::ZERO);
        reply.record_seq = self.record_seq(&outcome, seq, facts)?;
        // The ledger's row, where nothing was published of it, is of any size.
        reply.outcome = truncated(outcome).0;
        Ok(Some(reply))
    }

    fn remembered(&self, request_id: &RequestId) -> Result<Option<LastPublished>, WorkerError> {
        last_published::find(self.spool.conn(), RequestOutcome::RESOURCE, request_id.as_str())
    }

    /// The ledger's row, where capture is off and so nothing of it was published.
    fn entered(&self, request_id: &RequestId) -> Result<Option<Value>, WorkerError> {
        let table = self.installed.tables.iter().find(|table| table.ledger);
        let Some(table) = table else { return Ok(None) };
        let row = self.clinic.read(|conn| ledger::row(conn, table, request_id.as_str()))?;
        let Some((key, image)) = row else { return Ok(None) };
        Ok(self.reader().row_of(table, &key, &image)?.map(|row| row.state))
    }

    /// The number of the fact that holds the record as the outcome shows it. A record that did not
    /// change has the number it had; one that changed again since has none that would be right.
    fn record_seq(
        &self,
        outcome: &Value,
        last_seq: UnitSeq,
        facts: &[FactFrame],
    ) -> Result<Option<UnitSeq>, WorkerError> {
        let (Some(resource), Some(id)) =
            (outcome["record_thing"].as_str(), outcome["record_id"].as_str())
        else {
            return Ok(None);
        };
        let subject = format!("{resource}/{id}");
        let told = facts
            .iter()
            .rev()
            .find(|fact| fact.seq <= last_seq && fact.subject.as_deref() == Some(subject.as_str()));
        if let Some(fact) = told {
            return Ok(Some(fact.seq));
        }
        let published = last_published::find(self.spool.conn(), resource, id)?;
        Ok(published.filter(|row| is_shown(outcome, &row.state)).map(|row| row.seq))
    }
}

/// Tries after which a request is refused: something in it stops the agent.
pub const TRIES_MAX: u32 = 3;

/// What the transaction is to do.
enum Spoken {
    Now(Box<RequestOutcome>),
    Repeated,
    Told(Box<RequestOutcome>),
}

/// A request cancelled before it was seen has no hash, and is the same whatever it asks.
fn is_another(entry: &Entry, command_hash: &str) -> bool {
    entry.command_hash.as_deref().is_some_and(|hash| hash != command_hash)
}

fn is_shown(outcome: &Value, state: &Value) -> bool {
    outcome["record_json"]
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .is_some_and(|shown| shown == *state)
}

fn of_request(mut outcome: RequestOutcome, request: &RequestFrame) -> RequestOutcome {
    outcome.type_name = Some(request.type_name.clone());
    outcome.command_hash = Some(request.command_hash.clone());
    outcome.accepted_at = Some(request.accepted_at);
    outcome.expires_at = Some(request.expires_at);
    outcome.delivery = Some(request.delivery.as_str().to_owned());
    outcome.actor = Some(request.actor.clone());
    outcome.position = Some(request.position);
    outcome
}

/// Writes what was granted, or nothing at all where the practice's own schema refuses.
fn write_all(
    records: &ClinicRecords<'_>,
    granted: Granted,
) -> Result<Result<RecordRef, Rejection>, WorkerError> {
    let run = |sql: &str, act| records.clinic.execute_batch(sql).clinic(act);
    run("SAVEPOINT arteria_changes", "beginning to write")?;
    let mut record = granted.record;
    for change in &granted.changes {
        let written = match changes::write(records, change) {
            Err(changes::ChangeError::Write { source, .. }) if is_passing(&source) => {
                return Err(WorkerError::Clinic { act: "writing a request", source });
            }
            written => written,
        };
        match written {
            // The practice's database gave the row a key, and so an id, of its own.
            Ok(id) if record == change.record => record.id = id,
            Ok(_) => {}
            Err(cause) => {
                run("ROLLBACK TO arteria_changes", "taking a refused write back")?;
                run("RELEASE arteria_changes", "taking a refused write back")?;
                return Ok(Err(rejection_of(&cause)));
            }
        }
    }
    run("RELEASE arteria_changes", "writing")?;
    Ok(Ok(record))
}

/// What who asked is told of a change that was not written.
fn rejection_of(cause: &changes::ChangeError) -> Rejection {
    // SQLite's own words may quote a row, so only its code is told.
    let code = match cause {
        changes::ChangeError::Refused(refused) => return refused.clone().into(),
        changes::ChangeError::Write { source, .. } => source.sqlite_error_code(),
        changes::ChangeError::NotOneRow { .. } | changes::ChangeError::LookUp(_) => None,
    };
    error!(target: "error", %cause, ?code, "the clinic database refused a decided write");
    Rejection::agent_failed(cause.to_string())
}

/// A full or failing disk says nothing about the request: it is tried again.
fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseCorrupt
        )
    )
}

fn set_cause(
    tx: &Connection,
    request_id: Option<&RequestId>,
    traceparent: Option<&str>,
) -> Result<(), WorkerError> {
    tx.prepare_cached("UPDATE arteria_cause SET request_id = ?1, traceparent = ?2")
        .and_then(|mut statement| {
            statement.execute((request_id.map(RequestId::as_str), traceparent))
        })
        .map(drop)
        .clinic("naming the cause")
}

fn patient_of_state(state: &Value) -> Option<Uuid> {
    state[PATIENT_FIELD].as_str()?.parse().ok()
}

/// The patient whom a refused command concerned: the one that it names, or whose record it names;
/// only where the clinic knows them, because a command may name anything.
fn patient_of_command(records: &ClinicRecords<'_>, command: &Value) -> Option<Uuid> {
    records.tables.iter().filter(|table| !table.ledger).find_map(|table| {
        let id = command.get(&table.id)?.as_str()?.parse().ok()?;
        let stored = records.get(&table.resource, &id).ok()??;
        patient_of_state(&stored.state)
    })
}
