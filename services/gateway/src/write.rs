//! The path of a write: admitted, put on the log, awaited, answered.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use kit_bus::PublishError;
use kit_event::{Delivery, Request, RequestId, command_hash};
use kit_http::Problem;
use kit_http::problem::{INTERNAL, UNAVAILABLE};
use kit_telemetry::{Field, Side, Step};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Gateway;
use crate::asked::{Claim, Word};
use crate::book::Asking;
use crate::caller::InUnit;
use crate::counts;
use crate::headers::{PREFERENCE_APPLIED, WriteHeaders, put};
use crate::limits::{self, Act};
use crate::outcome::{answer, answer_word};
use crate::problems::{GATEWAY_BUSY, KEY_REUSED, UNIT_NOT_CONNECTED, UNIT_QUEUE_FULL};
use crate::tracked::{Entry, TrackedRequest};

/// What a caller whose unit's queue is full should wait, in seconds: a connected unit works off
/// some hundred requests in that time.
const QUEUE_FULL_RETRY_SECONDS: &str = "5";
/// Who joined a request that its first asker then gave up (or found answered already) asks again
/// by itself, so often.
const CLAIMS_MAX: usize = 3;
/// What a caller should wait while a part of the service is away, in seconds.
pub const AWAY_RETRY_SECONDS: &str = "1";

/// A wish, ready to be sent.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its type, as `scheduling.book_appointment`.
    pub type_name: &'static str,
    /// Version of its schema.
    pub version: u32,
    /// Its body in canonical form: what the struct writes, not what the caller sent.
    pub body: Value,
    /// Where its record is found, without the id: `patients`, `appointments`.
    pub collection: &'static str,
    /// Whether it makes a record: then success is 201.
    pub creates: bool,
    /// The refusal by which the unit says that the record in the address is not there: 404.
    pub not_there: Option<&'static str>,
}

impl Gateway {
    /// Asks the unit, and answers with its word where that comes in time.
    ///
    /// # Errors
    /// Whatever keeps the request from being sent, and the unit's refusal.
    pub async fn ask(
        &self,
        scope: &InUnit,
        id: RequestId,
        headers: WriteHeaders,
        wish: Wish,
    ) -> Result<Response, Problem> {
        let begun = Instant::now();
        let hash = command_hash(wish.type_name, &wish.body);
        for _ in 0..CLAIMS_MAX {
            let mut receiver = match self.asked.claim(&id, &hash, &scope.caller.verified.actor()) {
                Claim::First(receiver) => {
                    let sent = self.send(scope, &id, &headers, &wish, &hash).await;
                    if let Some(known) = refused_here(&wish, sent)? {
                        return self.answer_known(&id, known, &headers, &wish).await;
                    }
                    receiver
                }
                Claim::Joined(receiver) => receiver,
                Claim::Known(word) => return answer_word(&id, &word, &headers, &wish),
                Claim::Reused => return refused_here(&wish, Err(KEY_REUSED.into())),
                Claim::Full => break,
            };
            match self.await_word(&mut receiver, headers.wait).await {
                Heard::Word(word) => {
                    counts::waited(wish.type_name, begun.elapsed());
                    return answer_word(&id, &word, &headers, &wish);
                }
                Heard::Nothing => return self.answer_open(&id, &headers, &wish).await,
                Heard::Released => {}
            }
        }
        refused_here(&wish, Err(retry(GATEWAY_BUSY.into(), AWAY_RETRY_SECONDS)))
    }

    /// Puts a claimed request on the log, unless the book knows it already. On any other end than
    /// "sent" the claim is given up.
    async fn send(
        &self,
        scope: &InUnit,
        id: &RequestId,
        headers: &WriteHeaders,
        wish: &Wish,
        hash: &str,
    ) -> Result<Option<Entry>, Problem> {
        // A caller that leaves drops this future at any await; the guard gives its claim up then.
        let claim = HeldClaim { gateway: self, id, kept: false };
        if let Some(known) = self.admit(scope, id, hash, headers.delivery).await? {
            return Ok(Some(known));
        }
        let now = self.clock.now();
        let expires_ms = i64::try_from(headers.expires.as_millis()).unwrap_or(i64::MAX);
        let request = Request {
            unit: scope.unit.clone(),
            id: id.clone(),
            type_name: wish.type_name.to_owned(),
            version: wish.version,
            accepted_at: now,
            expires_at: now.plus_ms(expires_ms),
            delivery: headers.delivery,
            command_hash: hash.to_owned(),
            actor: scope.caller.verified.actor(),
            reply_partition: Some(self.reply_partition),
            traceparent: headers.traceparent.clone(),
            body: wish.body.clone(),
        };
        self.publish(request).await?;
        claim.keep();
        Ok(None)
    }

    /// One round trip to the book: the request's own past, and how full the unit's queue is.
    async fn admit(
        &self,
        scope: &InUnit,
        id: &RequestId,
        hash: &str,
        delivery: Delivery,
    ) -> Result<Option<Entry>, Problem> {
        let unit = id.unit();
        let (unseen, now) = (self.asked.unseen(&unit, id), self.clock.now());
        let (verified, actor) = (&scope.caller.verified, scope.caller.verified.actor());
        let unseen_own = self.asked.unseen_of(&actor, &unseen);
        let (unseen, unseen_own, open_max) = (&unseen[..], &unseen_own[..], self.unit_queue_max);
        let asking = Asking { id, actor: &actor, unseen, unseen_own, open_max };
        let admission =
            self.book.admit(asking, now).await.map_err(|error| self.store_away(&error))?;
        if let Some(known) = admission.known {
            let same = known.command_hash.as_deref().is_none_or(|held| held == hash);
            return if same { Ok(Some(known)) } else { Err(KEY_REUSED.into()) };
        }
        if delivery == Delivery::OnlineOnly && !self.presence.is_online(&unit, now) {
            return Err(UNIT_NOT_CONNECTED.into());
        }
        if admission.open_own >= limits::open_max(verified.kind) {
            return Err(limits::too_many("this caller has too many open requests at the unit"));
        }
        if admission.open >= limits::queue_max(verified.kind, self.unit_queue_max) {
            metrics::counter!("unit_queue_full").increment(1);
            return Err(retry(UNIT_QUEUE_FULL.into(), QUEUE_FULL_RETRY_SECONDS));
        }
        self.limits.spend(verified, Act::Write, Instant::now())?;
        Ok(None)
    }

    /// Puts a request on the log and remembers that it stands there.
    ///
    /// # Errors
    /// The log did not confirm it, so that it may stand there or not.
    pub async fn publish(&self, mut request: Request) -> Result<(), Problem> {
        let mut step =
            Step::begin(Side::Producer, "request publish", request.traceparent.as_deref());
        step.says(Field::Unit, &request.unit);
        step.says(Field::Request, &request.id);
        step.says(Field::RequestType, &request.type_name);
        request.traceparent = step.handed_on();
        let placed = self.log.publish(&request).await.map_err(|error| {
            step.failed("log-unavailable");
            log_away(&error)
        })?;
        step.says(Field::Place, format_args!("{}/{}", placed.partition, placed.offset));
        let log = self.log.identity(placed.partition);
        self.asked.placed(Entry::of(&request, log, placed.offset));
        Ok(())
    }

    /// The same request was sent before: its outcome again, or the wait for it.
    async fn answer_known(
        &self,
        id: &RequestId,
        known: Entry,
        headers: &WriteHeaders,
        wish: &Wish,
    ) -> Result<Response, Problem> {
        let mut entry = match known.word {
            Some(_) => known,
            None => self.await_final(id, known, headers.wait).await?,
        };
        if let Some(spoken) = &mut entry.word
            && spoken.record_seq.is_none()
        {
            spoken.record_seq = self.etag_of(&id.unit(), spoken).await;
        }
        self.answer_entry(entry, headers, wish)
    }

    /// The wait is over and no word came: what the book knows by now.
    async fn answer_open(
        &self,
        id: &RequestId,
        headers: &WriteHeaders,
        wish: &Wish,
    ) -> Result<Response, Problem> {
        let recalled = self.asked.recall(id);
        // Who did not want to wait gets the answer without one more round trip.
        let entry = match recalled {
            Some(entry) if headers.wait.is_zero() => Some(entry),
            recalled => self.newest(id, recalled).await?,
        };
        match entry {
            Some(entry) => self.answer_entry(entry, headers, wish),
            None => Err(retry(UNAVAILABLE.into(), AWAY_RETRY_SECONDS)),
        }
    }

    fn answer_entry(
        &self,
        entry: Entry,
        headers: &WriteHeaders,
        wish: &Wish,
    ) -> Result<Response, Problem> {
        let id = entry.id.clone();
        match &entry.word {
            Some(spoken) => answer(&id, spoken, headers, wish),
            None => {
                counts::answered(wish.type_name, counts::ACCEPTED);
                Ok(self.accepted(entry, headers))
            }
        }
    }

    /// 202: the request is tracked, and its word is still out.
    fn accepted(&self, entry: Entry, headers: &WriteHeaders) -> Response {
        let location = format!("/v1/requests/{}", entry.id);
        let tracked = self.show(entry);
        let mut response = (StatusCode::ACCEPTED, Json(tracked)).into_response();
        put(response.headers_mut(), LOCATION, &location);
        if let Some(applied) = headers.prefer.applied() {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }

    /// A request as it shows now.
    pub fn show(&self, entry: Entry) -> TrackedRequest {
        let now = self.clock.now();
        let unit = entry.id.unit();
        let shown = self.presence.with_applied(&unit, |applied| entry.shown(applied, now));
        TrackedRequest::new(entry, shown)
    }
}

/// Counts a write that was not sent.
fn refused_here<T>(wish: &Wish, sent: Result<T, Problem>) -> Result<T, Problem> {
    sent.inspect_err(|_| counts::answered(wish.type_name, counts::REFUSED))
}

/// A claim that is given up unless it is kept.
struct HeldClaim<'a> {
    gateway: &'a Gateway,
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
            self.gateway.asked.release(self.id);
        }
    }
}

/// What waiting came to.
pub enum Heard {
    /// The unit's word.
    Word(Word),
    /// Time is up.
    Nothing,
    /// Whoever sent the request gave it up.
    Released,
}

impl Gateway {
    /// Waits for a word; shorter once the process drains, so that everybody is answered.
    pub async fn await_word(
        &self,
        receiver: &mut oneshot::Receiver<Word>,
        wait: std::time::Duration,
    ) -> Heard {
        if wait.is_zero() {
            return match receiver.try_recv() {
                Ok(word) => Heard::Word(word),
                Err(oneshot::error::TryRecvError::Empty) => Heard::Nothing,
                Err(oneshot::error::TryRecvError::Closed) => Heard::Released,
            };
        }
        tokio::select! {
            heard = receiver => heard.map_or(Heard::Released, Heard::Word),
            () = tokio::time::sleep(wait) => Heard::Nothing,
            () = self.drain_is_near() => Heard::Nothing,
        }
    }
}

/// Tells when to come again.
pub fn retry(problem: Problem, seconds: &'static str) -> Problem {
    problem.header(RETRY_AFTER, HeaderValue::from_static(seconds))
}

/// The log did not take the request. `Display` of the error carries no body.
fn log_away(error: &PublishError) -> Problem {
    metrics::counter!("publish_failed").increment(1);
    tracing::error!(error = %crate::chain(error), "a request could not be put on the log");
    if error.is_refused() {
        return INTERNAL.into();
    }
    retry(UNAVAILABLE.into(), AWAY_RETRY_SECONDS).detail(
        "the log did not confirm the request in time; repeat it with the same Idempotency-Key",
    )
}

impl Gateway {
    /// The read model did not answer.
    pub fn store_away(&self, error: &kit_store::StoreError) -> Problem {
        metrics::counter!("store_failed").increment(1);
        tracing::error!(error = %crate::chain(error), "the read model did not answer");
        retry(UNAVAILABLE.into(), AWAY_RETRY_SECONDS)
    }
}

/// State that handlers share.
pub type App = Arc<Gateway>;
