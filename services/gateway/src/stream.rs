//! One live stream: history, then what comes, on one cursor.
//!
//! A stream knows nothing but the number of the last fact that it handed over, and reads the page
//! after it, again and again. Facts of a unit are committed in the order of their numbers, so such
//! a page is history while the stream is behind and news when it is not; there is no moment at
//! which it goes over from one source to another, hence no seam at which a fact could be lost or
//! doubled. The last number that a reader has whole is all that it needs to go on elsewhere.
//!
//! A stream holds one chunk of events that the connection has not taken yet, and reads nothing
//! while it waits; a reader that does not take it in time is told `too-slow`, where that can still
//! be written, and its connection is cut.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use kit_event::{RequestId, UnitId, UnitSeq};
use kit_http::Problem;
use kit_http::serve::Cut;
use kit_policy::Caller;
use kit_request::ports::RequestQuery;
use kit_request::tracked::REQUEST_FACTS;
use kit_rest::as_of::{SCHEMA, number};
use kit_rest::headers::put_freshness;
use kit_rest::problems::{EVENT_AHEAD, EVENT_UNKNOWN, LAST_EVENT_ID_INVALID};
use kit_store::StoreError;
use rand::Rng;
use requests::Shown;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::App;
use crate::metrics::CLOSED;
use crate::sse::{Chunk, EVENT_STREAM, HEARTBEAT, Over};
use crate::streams::Place;
use crate::view::{View, Whose};

/// Events of one page; a chunk seldom holds more.
const PAGE_EVENTS: u32 = 64;
/// A stream that may not show what is there, because it is not known yet whom it concerns, looks
/// again after so long.
const BEHIND_LOOK_EVERY: Duration = Duration::from_millis(200);
/// Pause before a page is asked for again that Postgres did not give.
const PAGE_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Without Postgres for so long, a stream ends, so that its reader can try another gateway.
const AWAY_MAX: Duration = Duration::from_mins(1);
/// Overdue requests of one patient that are told.
const OVERDUE_MAX: u32 = 100;
/// Readers of a gateway that goes away come back spread over so long after the first second.
const DRAINED_RETRY_MS: (u64, u64) = (1_000, 4_000);

/// The state that streams tell by themselves.
const OVERDUE: &str = Shown::Overdue.as_str();

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether the caller wants a stream and says so; `*/*` is content with a page.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(EVENT_STREAM));
        let refused = |part: &str| {
            let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            quality.is_some_and(|q| q.parse() == Ok(0.0_f32))
        };
        named && !parts.any(refused)
    })
}

/// Opens a stream after `Last-Event-ID`, or after what the address names.
///
/// # Errors
/// A bound of streams; a cursor that does not read, or that names no fact of the unit.
pub async fn open(
    app: App,
    caller: &Caller,
    view: View,
    named: UnitSeq,
    headers: &HeaderMap,
    cut: Option<Cut>,
) -> Result<Response, Problem> {
    // A reader that comes back keeps its address, so that the header is the newer of the two.
    let cursor = last_event_id(headers)?.unwrap_or(named);
    let patient = match &view.whose {
        Whose::Unit => None,
        Whose::Patient { patient_id, .. } => Some(*patient_id),
    };
    let place = app.streams.enter(&caller.verified, &view.unit, patient)?;
    must_hold(&app, &view.unit, cursor).await?;
    let now = app.requests().clock.now();
    let left_ms = caller.verified.expires_at.unix_ms().saturating_sub(now.unix_ms());
    let expires_in = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
    let online = app.presence.is_online(&view.unit, now);
    let tells_requests = view.visible.shows(REQUEST_FACTS);
    let (sender, receiver) = mpsc::channel(1);
    let last = Arc::new(Mutex::new(None));
    let feed = Feed {
        app,
        view,
        cursor,
        place,
        told: HashSet::new(),
        overdue_seen: None,
        tells_requests,
        behind: false,
    };
    tokio::spawn(live(feed, sender, last.clone(), expires_in, cut));
    let mut response = Response::new(body(receiver, last));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // A connection that a stream had is used for nothing else, so that it may be cut.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    put_freshness(headers, None, online);
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<UnitSeq>, Problem> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(LAST_EVENT_ID_INVALID.into());
    }
    match value.to_str() {
        // A reader that has seen no event yet.
        Ok("") => Ok(None),
        Ok(text) => number(text.trim()).map(Some).ok_or(LAST_EVENT_ID_INVALID.into()),
        Err(_) => Err(LAST_EVENT_ID_INVALID.into()),
    }
}

/// A cursor must name a fact of the timeline, or stand before the first. One that lies ahead is
/// waited for a moment: a write tells its number before the read models have it.
async fn must_hold(app: &App, unit: &UnitId, cursor: UnitSeq) -> Result<(), Problem> {
    let away = |error: StoreError| app.rest.store_problem(&error);
    if cursor == UnitSeq::ZERO
        || kit_timeline::holds(&app.rest.pool, unit, cursor).await.map_err(away)?
    {
        return Ok(());
    }
    if app.rest.reach_seq(unit, SCHEMA, cursor).await.is_ok() {
        let held = kit_timeline::holds(&app.rest.pool, unit, cursor).await.map_err(away)?;
        return if held { Ok(()) } else { Err(EVENT_UNKNOWN.into()) };
    }
    let at = kit_store::freshness(&app.rest.pool, unit, &[SCHEMA]).await.map_err(away)?;
    let seq = at.map(|at| at.seq).unwrap_or_default();
    if cursor.epoch != seq.epoch {
        return Err(EVENT_UNKNOWN.into());
    }
    Err(Problem::from(EVENT_AHEAD)
        .detail(format!("the timeline holds {seq}, and {cursor} was named")))
}

type Last = Arc<Mutex<Option<Bytes>>>;

/// What the connection takes: chunks as they come, and at the end the last words.
fn body(receiver: mpsc::Receiver<Bytes>, last: Last) -> Body {
    Body::from_stream(unfold((receiver, last), |(mut receiver, last)| async move {
        let chunk = match receiver.recv().await {
            Some(chunk) => Some(chunk),
            None => last.lock().ok().and_then(|mut last| last.take()),
        };
        chunk.map(|chunk| (Ok::<_, std::convert::Infallible>(chunk), (receiver, last)))
    }))
}

/// Feeds a stream until it is over, and sees it out.
async fn live(
    mut feed: Feed,
    sender: mpsc::Sender<Bytes>,
    last: Last,
    expires_in: Duration,
    cut: Option<Cut>,
) {
    let soft = feed.app.requests().soft.clone();
    let over = tokio::select! {
        biased;
        () = soft.cancelled() => Over::Draining,
        () = sleep(expires_in) => Over::TokenExpired,
        over = feed.run(&sender) => over,
    };
    CLOSED.of([over.as_str()]).increment(1);
    if over == Over::ClientLeft {
        return;
    }
    let retry_ms = match over {
        Over::Draining => {
            let (least, spread) = DRAINED_RETRY_MS;
            #[expect(clippy::disallowed_methods, reason = "drawn at the border")]
            let more = rand::rng().random_range(0..spread);
            Some(least + more)
        }
        Over::ClientLeft | Over::TooSlow | Over::TokenExpired | Over::Unavailable => None,
    };
    if let Ok(mut last) = last.lock() {
        *last = Some(Chunk::closing(over, feed.cursor, retry_ms).into_bytes());
    }
    let cut_after = feed.app.streams.bounds().cut_after;
    // The place is free, and the body ends after its last words.
    drop((feed, sender));
    if let Some(cut) = cut {
        sleep(cut_after).await;
        cut.cut();
    }
}

/// A stream as it stands.
struct Feed {
    app: App,
    view: View,
    /// The last fact that was handed over.
    cursor: UnitSeq,
    place: Place,
    /// Requests that were told to be overdue.
    told: HashSet<RequestId>,
    /// Deadlines that had passed when they were last looked at.
    overdue_seen: Option<u64>,
    /// Whether the caller may see requests at all.
    tells_requests: bool,
    /// There is more than may be shown yet.
    behind: bool,
}

/// Why a stream that was up to date goes on.
enum Rested {
    News,
    Quiet,
    Left,
}

impl Feed {
    /// Hands events over until the stream is over. May be dropped at any await: what was not handed
    /// over has moved no cursor.
    async fn run(&mut self, sender: &mpsc::Sender<Bytes>) -> Over {
        let bounds = self.app.streams.bounds().clone();
        let mut away_since: Option<Instant> = None;
        let mut heartbeat = Instant::now() + bounds.heartbeat_every;
        let mut ready = Some(Chunk::opening().into_bytes());
        loop {
            let room = match timeout(bounds.slow_after, sender.reserve()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) => return Over::ClientLeft,
                Err(_) => return Over::TooSlow,
            };
            if let Some(bytes) = ready.take() {
                room.send(bytes);
                heartbeat = Instant::now() + bounds.heartbeat_every;
                continue;
            }
            match self.next().await {
                Ok(Some((chunk, cursor))) => {
                    away_since = None;
                    self.cursor = cursor;
                    room.send(chunk.into_bytes());
                    heartbeat = Instant::now() + bounds.heartbeat_every;
                }
                Ok(None) => {
                    away_since = None;
                    match self.rest(sender, heartbeat).await {
                        Rested::News => {}
                        Rested::Quiet => ready = Some(Bytes::from_static(HEARTBEAT.as_bytes())),
                        Rested::Left => return Over::ClientLeft,
                    }
                }
                // The watcher, which meets the same, has told the log.
                Err(_) if away_since.is_some_and(|since| since.elapsed() > AWAY_MAX) => {
                    return Over::Unavailable;
                }
                Err(_) => {
                    away_since.get_or_insert_with(Instant::now);
                    sleep(PAGE_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// What is there to hand over, and the cursor after it.
    async fn next(&mut self) -> Result<Option<(Chunk, UnitSeq)>, StoreError> {
        // Marked before the page is read: what is committed later wakes us again.
        let woken = *self.place.news.borrow_and_update();
        let page = {
            let _turn = self.app.streams.page_turn().await;
            self.app.events(&self.view, self.cursor, PAGE_EVENTS).await?
        };
        self.behind = page.behind;
        let mut chunk = Chunk::default();
        let newest = page.items.last().map(|event| event.seq);
        if let Some(cursor) = chunk.facts(page.items) {
            let whole = newest == Some(cursor);
            return Ok(Some((chunk, page.passed.filter(|_| whole).unwrap_or(cursor))));
        }
        if let Some(passed) = page.passed {
            chunk.passed(passed);
            return Ok(Some((chunk, passed)));
        }
        if self.tells_requests && self.overdue_seen != Some(woken.overdue) {
            self.overdue(&mut chunk).await?;
            self.overdue_seen = Some(woken.overdue);
        }
        Ok((!chunk.is_empty()).then_some((chunk, self.cursor)))
    }

    /// Adds the patient's requests whose deadline passed and that were not told yet. After the
    /// facts, so that one on which the unit's word is there already is not among them.
    async fn overdue(&mut self, chunk: &mut Chunk) -> Result<(), StoreError> {
        let Whose::Patient { patient_id, actor } = &self.view.whose else { return Ok(()) };
        let asked = RequestQuery {
            state: Some(OVERDUE.to_owned()),
            applied: None,
            own: Some((actor.clone().unwrap_or_default(), *patient_id)),
            after: None,
            limit: OVERDUE_MAX,
        };
        let now = self.app.requests().clock.now();
        let found = self.app.requests().book.requests(&self.view.unit, &asked, now).await?;
        for entry in found.value.items {
            let recalled = self.app.requests().pending.recall(&entry.id);
            let spoken = recalled.is_some_and(|entry| entry.word.is_some());
            let id = entry.id.clone();
            let shown = self.app.requests().show(entry);
            if !spoken && shown.state == OVERDUE && self.told.insert(id) {
                chunk.overdue(&shown);
            }
        }
        Ok(())
    }

    async fn rest(&mut self, sender: &mpsc::Sender<Bytes>, heartbeat: Instant) -> Rested {
        let look = if self.behind { BEHIND_LOOK_EVERY } else { AWAY_MAX };
        tokio::select! {
            () = sender.closed() => Rested::Left,
            changed = self.place.news.changed() => match changed {
                Ok(()) => Rested::News,
                Err(_) => Rested::Left,
            },
            () = sleep(look) => Rested::News,
            () = sleep_until(heartbeat) => Rested::Quiet,
        }
    }
}
