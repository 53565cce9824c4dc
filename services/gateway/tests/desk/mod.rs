//! A gateway without servers: the log is a list, the book a map, and the unit answers as it is
//! told. Tokens, routes, guards and everything between them are the real ones.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "numbers of a test are small"
)]
#![expect(dead_code, reason = "each test file uses its own part of the desk")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use gateway::Gateway;
use gateway::presence::PresenceView;
use gateway::streams::Streams;
use http::{HeaderMap, Request as HttpRequest, StatusCode};
use kit_bus::{Placed, PublishError};
use kit_clock::Clock;
use kit_event::{Request, RequestId, Timestamp, UnitId, UnitSeq};
use kit_request::Requests;
use kit_request::limits::Limits;
use kit_request::pending::Pending;
use kit_request::ports::{
    Admission, Asking, Later, OfPatient, Overdue, RequestBook, RequestLog, RequestQuery, Words,
};
use kit_request::tracked::Entry;
use kit_rest::Rest;
use kit_rest::face::{Records, declared};
use kit_rest::reached::Reached;
use kit_store::{Fresh, Page, StoreError};
use kit_token::{Issuer, Kind, Trusted, Verifier};
use requests::{FinalState, Reply, RequestOutcome};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use units::{EdgeLiveness, Presence, PresenceRecord};
use uuid::Uuid;

pub const UNIT: &str = "hcu-0001";
pub const FOREIGN: &str = "hcu-0002";
pub const PATIENT: &str = "7f4df1a5-1111-4111-8111-111111111111";
pub const OTHER: &str = "7f4df1a5-2222-4222-8222-222222222222";
const NOW_MS: i64 = 1_770_000_000_000;

/// How the unit behind the log behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Grants,
    Refuses(&'static str),
    Silent,
    /// The log itself does not answer.
    LogAway,
}

pub struct FakeLog {
    pub unit: Mutex<Unit>,
    pub published: Mutex<Vec<Request>>,
    pub asked: Pending,
    pub book: Arc<FakeBook>,
}

/// What a unit says of a request.
pub fn word(request: &Request, unit: Unit) -> Reply {
    let at = Timestamp::from_unix_ms(NOW_MS);
    let mut outcome = RequestOutcome::new(request.id.clone(), FinalState::Done, at);
    outcome.type_name = Some(request.type_name.clone());
    outcome.command_hash = Some(request.command_hash.clone());
    match unit {
        Unit::Refuses(slug) => {
            FinalState::Rejected.as_str().clone_into(&mut outcome.state);
            outcome.reason = Some(slug.to_owned());
            outcome.title = Some("The unit said no".to_owned());
        }
        Unit::Grants | Unit::Silent | Unit::LogAway => {
            let id = ["appointment_id", "payment_id", "patient_id"]
                .iter()
                .find_map(|field| request.body.get(field)?.as_str()?.parse().ok());
            outcome.record_id = id;
            outcome.record_json = Some(request.body.to_string());
        }
    }
    Reply {
        request_id: request.id.clone(),
        last_seq: Some(UnitSeq::new(1, 42)),
        record_seq: Some(UnitSeq::new(1, 41)),
        outcome,
    }
}

fn answer(asked: &Pending, request: &Request, unit: Unit) {
    if request.type_name == "control.cancel" {
        let id: RequestId = request.body["request_id"].as_str().unwrap().parse().unwrap();
        let at = Timestamp::from_unix_ms(NOW_MS);
        let outcome = RequestOutcome::new(id.clone(), FinalState::Cancelled, at);
        let reply = Reply { request_id: id, last_seq: None, record_seq: None, outcome };
        asked.hear(reply);
    } else if request.type_name == "scheduling.free_slots" {
        let slot = r#"{"starts_at":"2026-03-02T09:00:00Z","ends_at":"2026-03-02T09:30:00Z"}"#;
        let (body_json, reason) = match unit {
            Unit::Refuses(slug) => (None, Some(slug.to_owned())),
            _ => (Some(format!(r#"{{"items":[{slot}]}}"#)), None),
        };
        let query_id = request.id.clone();
        asked.answered(requests::Answer { query_id, body_json, reason, detail: None });
    } else {
        asked.hear(word(request, unit));
    }
}

impl RequestLog for FakeLog {
    fn publish<'a>(&'a self, request: &'a Request) -> Later<'a, Result<Placed, PublishError>> {
        Box::pin(async move {
            let unit = *self.unit.lock().unwrap();
            if unit == Unit::LogAway {
                return Err(PublishError::QueueFull);
            }
            let offset = {
                let mut published = self.published.lock().unwrap();
                published.push(request.clone());
                published.len() as i64 - 1
            };
            if unit != Unit::Silent {
                let (asked, request) = (self.asked.clone(), request.clone());
                tokio::spawn(async move { answer(&asked, &request, unit) });
            }
            Ok(Placed { partition: 0, offset })
        })
    }

    fn identity(&self, partition: i32) -> String {
        format!("cluster/unit.requests/{partition}")
    }
}

#[derive(Default)]
pub struct FakeBook {
    pub entries: Mutex<HashMap<RequestId, Entry>>,
    pub open: Mutex<u32>,
}

impl RequestBook for FakeBook {
    fn admit<'a>(
        &'a self,
        asking: Asking<'a>,
        _now: Timestamp,
    ) -> Later<'a, Result<Admission, StoreError>> {
        Box::pin(async move {
            let known = self.entries.lock().unwrap().get(asking.id).cloned();
            let open = *self.open.lock().unwrap() + asking.unseen.len() as u32;
            Ok(Admission { known, open, open_own: asking.unseen_own.len() as u32 })
        })
    }

    fn request<'a>(&'a self, id: &'a RequestId) -> Later<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { Ok(self.entries.lock().unwrap().get(id).cloned()) })
    }

    fn requests<'a>(
        &'a self,
        unit: &'a UnitId,
        query: &'a RequestQuery,
        _now: Timestamp,
    ) -> Later<'a, Result<Fresh<Page<Entry>>, StoreError>> {
        Box::pin(async move {
            let own = |entry: &Entry| match &query.own {
                Some((actor, patient)) => entry.is_of(actor, Some(*patient)),
                None => true,
            };
            let entries = self.entries.lock().unwrap();
            let of_unit = entries.values().filter(|e| e.id.unit() == *unit && own(e));
            let items = of_unit.cloned().collect();
            Ok(Fresh { freshness: None, value: Page { items, next: None } })
        })
    }

    fn words_of_patient<'a>(
        &'a self,
        _unit: &'a UnitId,
        _whose: OfPatient<'a>,
        _after: UnitSeq,
    ) -> Later<'a, Result<Words, StoreError>> {
        Box::pin(async { Ok(Words::default()) })
    }

    fn overdue_between<'a>(
        &'a self,
        _units: &'a [UnitId],
        _between: (Timestamp, Timestamp),
        _limit: u32,
    ) -> Later<'a, Result<Vec<Overdue>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A gateway, its unit and its callers.
pub struct Desk {
    pub app: Router,
    pub log: Arc<FakeLog>,
    pub book: Arc<FakeBook>,
    pub presence: PresenceView,
    pub clock: Clock,
    pub issuer: Issuer,
    pub streams: Streams,
    pub soft: CancellationToken,
}

impl Desk {
    /// A gateway whose unit is online and grants everything.
    pub async fn open() -> Self {
        Self::open_with_queue(10).await
    }

    /// As [`Desk::open`]; the unit holds so many open requests.
    pub async fn open_with_queue(unit_queue_max: u32) -> Self {
        // Nothing listens there: what needs the read model is 503, and so is told from a 404.
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(20))
            .connect_lazy("postgres://nobody@127.0.0.1:1/none")
            .unwrap();
        let book = Arc::new(FakeBook::default());
        let clock = Clock::fixed(Timestamp::from_unix_ms(NOW_MS));
        let read = book.clone();
        Self::built(pool, clock, Streams::default(), book, read, unit_queue_max).await
    }

    /// A gateway on these read models, at this time.
    pub async fn with(
        pool: PgPool,
        clock: Clock,
        streams: Streams,
        book: Arc<FakeBook>,
        read: Arc<dyn RequestBook>,
    ) -> Self {
        Self::built(pool, clock, streams, book, read, 10).await
    }

    async fn built(
        pool: PgPool,
        clock: Clock,
        streams: Streams,
        book: Arc<FakeBook>,
        read: Arc<dyn RequestBook>,
        unit_queue_max: u32,
    ) -> Self {
        static KEYS: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
        let keys = KEYS.path();
        let issuer = Issuer::open(keys, false).unwrap();
        let source = |kind: Kind| {
            let path = keys.join(format!("{kind}.jwks.json"));
            Trusted::new(kind, kit_token::KeySource::File(path))
        };
        let kinds = [Kind::Staff, Kind::Patient, Kind::Partner, Kind::Admin];
        let verifier = Verifier::open(kinds.map(source).to_vec()).await.unwrap();
        let asked = Pending::default();
        let log = Arc::new(FakeLog {
            unit: Mutex::new(Unit::Grants),
            published: Mutex::default(),
            asked: asked.clone(),
            book: book.clone(),
        });
        let presence = PresenceView::default();
        let soft = CancellationToken::new();
        let requests = Requests {
            clock: clock.clone(),
            log: log.clone(),
            book: read,
            records: Arc::new(Records { pool: pool.clone(), faces: &all_rest::ALL }),
            presence: Arc::new(presence.clone()),
            pending: asked,
            limits: Limits::default(),
            reply_partition: 3,
            unit_queue_max,
            soft: soft.clone(),
        };
        let declared = declared(&all_rest::ALL);
        let rest =
            Arc::new(Rest { verifier, requests, pool, declared, reached: Reached::default() });
        let gateway = Gateway { rest, presence: presence.clone(), streams: streams.clone() };
        let app = gateway::table::router(Arc::new(gateway));
        let desk = Self { app, log, book, presence, clock, issuer, streams, soft };
        desk.connect(UNIT);
        desk.connect(FOREIGN);
        desk
    }

    pub fn connect(&self, unit: &str) {
        let now = self.clock.now();
        self.place(unit, Some("edge-1"), 0);
        let alive = EdgeLiveness { edge_id: "edge-1".to_owned(), at: now };
        self.presence.apply(PresenceRecord::Edge(alive), 1, now);
    }

    pub fn cut_off(&self, unit: &str) {
        self.place(unit, None, 0);
    }

    /// The unit has done with every request below `next`.
    pub fn place(&self, unit: &str, edge: Option<&str>, next: i64) {
        let now = self.clock.now();
        let presence = Presence {
            unit_id: unit.parse().unwrap(),
            edge_id: edge.map(str::to_owned),
            conn_epoch: Some(0),
            since: now,
            agent_version: None,
            applied_next: Some(next),
            durable_seq: None,
            durable_id: None,
            facts_offset: None,
            log: Some("cluster/unit.requests/0".to_owned()),
        };
        self.presence.apply(PresenceRecord::Unit(presence), 0, now);
    }

    pub fn unit_is(&self, unit: Unit) {
        *self.log.unit.lock().unwrap() = unit;
    }

    pub fn published(&self) -> Vec<Request> {
        self.log.published.lock().unwrap().clone()
    }

    pub fn token(&self, kind: Kind, unit: &str) -> String {
        let unit: UnitId = unit.parse().unwrap();
        let patient = (kind == Kind::Patient).then(|| PATIENT.parse::<Uuid>().unwrap());
        let now = self.clock.now();
        self.issuer.issue(kind, "ana", &[unit], patient, Duration::from_hours(1), now).unwrap()
    }

    /// Calls as `kind` of [`UNIT`].
    pub async fn call(
        &self,
        kind: Kind,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let token = self.token(kind, UNIT);
        self.call_with(Some(&token), method, path, headers, body).await
    }

    pub async fn call_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and the last part of the problem's type.
    pub fn problem(&self) -> (u16, &str) {
        let kind = self.body["type"].as_str().unwrap_or_default();
        (self.status.as_u16(), kind.rsplit('/').next().unwrap_or_default())
    }
}
