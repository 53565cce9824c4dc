//! The timeline at REST: a unit's numbered facts, of any type, and those that tell one patient
//! something. The same address gives a page of them or, to who accepts `text/event-stream`, all of
//! them from there on; both go by the same numbers.

use std::collections::BTreeSet;
use std::str::FromStr;

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, Method};
use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use kit_http::problem::NOT_FOUND;
use kit_http::serve::Cut;
use kit_http::{PageQuery, Problem, QueryText};
use kit_policy::{Caller, Resource};
use kit_request::ports::OfPatient;
use kit_rest::as_of::{SCHEMA, number};
use kit_rest::guard::{Who, out_of_reach};
use kit_rest::headers::min_seq;
use kit_rest::read::{List, id_of};
use kit_rest::{InUnit, Rest};
use kit_store::{Fresh, Freshness, StoreError};
use kit_timeline::{EventFilter, PatientFilter, TimelineRow, VisiblePage, VisibleTypes};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{App, Gateway, stream};

/// The schema of the read model that tells which facts speak of a patient's requests.
pub const REQUESTS_SCHEMA: &str = "requests";
/// Types that one call may ask for; a page of every type costs the same.
pub const TYPES_MAX: usize = 20;

/// A fact at REST; the same members as on the link and in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its number, for `after`.
    #[schema(value_type = String)]
    pub seq: UnitSeq,
    /// Its id.
    pub id: Uuid,
    /// Its type, as `scheduling.appointment_booked`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When the unit numbered it.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// `<thing>/<id>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The one patient it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub causation_id: Option<RequestId>,
    /// Among a patient's events: its requests of which the fact speaks, as
    /// `requests.range_lapsed` does, which names none itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub request_ids: Vec<RequestId>,
    /// The state after it of the thing it is about.
    #[schema(value_type = Object)]
    pub body: Value,
}

impl From<TimelineRow> for Event {
    fn from(row: TimelineRow) -> Self {
        Self {
            seq: row.seq,
            id: row.id,
            type_name: row.type_name,
            version: row.version,
            time: row.time,
            subject: row.subject,
            patient_id: row.patient_id,
            causation_id: row.causation_id,
            request_ids: Vec::new(),
            body: row.body,
        }
    }
}

/// Whose events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everything that the unit states.
    Unit,
    /// What tells a patient something.
    Patient {
        /// Which.
        patient_id: Uuid,
        /// The patient itself, where it is the one that asks: requests that it made are its own,
        /// whether they name it or not.
        actor: Option<String>,
    },
}

/// Which events of a unit.
#[derive(Debug, Clone)]
pub struct View {
    /// The unit.
    pub unit: UnitId,
    /// Whose.
    pub whose: Whose,
    /// Only these types; all that are visible where there is none.
    pub types: Option<Vec<String>>,
    /// The types that the caller may see.
    pub visible: VisibleTypes,
}

impl View {
    /// What `caller` may see of a unit, where it asks for these types. One that it may not see is
    /// asked for as one that nobody ever stated.
    fn of(rest: &Rest, caller: &Caller, unit: UnitId, whose: Whose, types: &[String]) -> Self {
        let patient = match &whose {
            Whose::Unit => None,
            Whose::Patient { patient_id, .. } => Some(*patient_id),
        };
        let visible = rest.declared.facts.visible(&caller.verified, &unit, patient);
        let seen = || types.iter().filter(|it| visible.shows(it)).cloned().collect();
        let types = (!types.is_empty()).then(seen);
        Self { unit, whose, types, visible }
    }
}

/// A page of events.
pub struct EventPage {
    /// In order.
    pub items: Vec<Event>,
    /// Up to here there is nothing else for the caller to see, and there may be more behind it.
    pub passed: Option<UnitSeq>,
    /// How far the answer reaches.
    pub freshness: Option<Freshness>,
    /// The timeline knows more, but not yet whether it speaks of this patient.
    pub behind: bool,
}

impl Gateway {
    /// The events of a view after a number, in order.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn events(
        &self,
        view: &View,
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        match &view.whose {
            Whose::Unit => self.of_unit(view, after, limit).await,
            Whose::Patient { patient_id, actor } => {
                self.of_patient(view, (*patient_id, actor.as_deref()), after, limit).await
            }
        }
    }

    async fn of_unit(
        &self,
        view: &View,
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let (pool, unit) = (&self.rest.pool, &view.unit);
        let (found, passed) = match &view.types {
            None if !view.visible.is_all() => {
                let visible = &view.visible;
                let found = kit_timeline::visible_events(pool, unit, after, visible, limit).await?;
                let VisiblePage { lines, passed } = found.value;
                (Fresh { freshness: found.freshness, value: lines }, passed)
            }
            Some(types) if types.is_empty() => {
                let freshness = kit_store::freshness(pool, unit, &[SCHEMA]).await?;
                (Fresh { freshness, value: Vec::new() }, None)
            }
            types => {
                let types = types.clone().unwrap_or_default();
                let filter = EventFilter { after, types, patient_id: None };
                (kit_timeline::events(pool, unit, &filter, limit).await?, None)
            }
        };
        let event = |row| Event::from(self.rest.declared.facts.shown(&view.visible, row));
        let items = found.value.into_iter().map(event).collect();
        Ok(EventPage { items, passed, freshness: found.freshness, behind: false })
    }

    async fn of_patient(
        &self,
        view: &View,
        (patient_id, actor): (Uuid, Option<&str>),
        after: UnitSeq,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let (pool, unit) = (&self.rest.pool, &view.unit);
        let log = self.requests().log.identity(0);
        let cluster = log.split('/').next().unwrap_or_default();
        // First what is said of requests, then the facts as far as that reaches: whatever was
        // committed in between is for the next page.
        let whose = OfPatient { patient: patient_id, actor, cluster };
        let mut words = self.requests().book.words_of_patient(unit, whose, after).await?;
        let (upto, also) = (words.upto, words.of.keys().copied().collect());
        let (visible, types) = (view.visible.clone(), view.types.clone().unwrap_or_default());
        let nothing = view.types.as_ref().is_some_and(Vec::is_empty);
        let visible = if nothing { VisibleTypes::new([], false) } else { visible };
        let filter = PatientFilter { patient_id, after, upto, types, also, visible };
        let found = kit_timeline::of_patient(pool, unit, &filter, limit).await?;
        let behind = found.freshness.is_some_and(|at| at.seq > upto);
        let freshness = found.freshness.map(|at| Freshness { seq: at.seq.min(upto), ..at });
        let event = |row: TimelineRow| {
            let request_ids = match row.patient_id {
                None => words.of.remove(&row.seq).unwrap_or_default(),
                Some(_) => Vec::new(),
            };
            Event { request_ids, ..Event::from(self.rest.declared.facts.shown(&view.visible, row)) }
        };
        let items = found.value.into_iter().map(event).collect();
        Ok(EventPage { items, passed: None, freshness, behind })
    }
}

/// A number that a fact can have.
struct Number(UnitSeq);

impl FromStr for Number {
    type Err = kit_event::seq::SeqError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number(text).map(Self).ok_or(kit_event::seq::SeqError)
    }
}

/// What the address asks for.
struct Wanted {
    after: UnitSeq,
    types: Vec<String>,
    limit: u32,
}

impl Wanted {
    /// The cursor is the number of the last fact, so that `after` and `cursor` are two names for
    /// one thing, and a reader that is up to date goes on from its own.
    fn take(mut query: QueryText) -> Result<Self, Problem> {
        let page = PageQuery::take(&mut query);
        let named = query.take::<Number>("after").map(|n| n.0).unwrap_or_default();
        let after = match page.after.map(|key| number(&key)) {
            None => named,
            Some(Some(seq)) => seq.max(named),
            Some(None) => {
                query.refuse("cursor", "is no cursor that this list gave");
                named
            }
        };
        // Both ways in which people write several: the parameter again, or a comma.
        let named: Vec<String> = query.take_all("type");
        let types: BTreeSet<String> =
            named.iter().flat_map(|text| text.split(',')).map(|it| it.trim().to_owned()).collect();
        if let Some(odd) = types.iter().find(|it| !is_type(it)) {
            query
                .refuse("type", format!("{odd:?} is no type, as scheduling.appointment_booked is"));
        }
        if types.len() > TYPES_MAX {
            query.refuse("type", format!("names at most {TYPES_MAX} types"));
        }
        query.finish()?;
        Ok(Self { after, types: types.into_iter().collect(), limit: page.limit })
    }
}

/// Whether a text could be the type of a fact; which types there are, nobody knows beforehand.
fn is_type(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.split_once('.').is_some_and(|(domain, name)| {
        [domain, name].iter().all(|part| !part.is_empty() && part.bytes().all(is_plain))
    })
}

/// `GET /v1/units/{unit}/events`.
///
/// # Errors
/// Parameters and headers that do not read; the read model's errors; a stream's bounds.
pub async fn of_unit(
    Extension(app): Extension<App>,
    scope: InUnit,
    method: Method,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    query: QueryText,
) -> Result<Response, Problem> {
    let wanted = Wanted::take(query)?;
    let view = View::of(&app.rest, &scope.caller, scope.unit, Whose::Unit, &wanted.types);
    let asked = Asked { caller: scope.caller, method, headers, cut, wanted };
    answer(app, asked, view).await
}

/// `GET /v1/patients/{id}/events`: finds the unit first.
///
/// # Errors
/// 404, also where the unit is not the caller's; as [`of_unit`].
pub async fn of_patient(
    Extension(app): Extension<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    query: QueryText,
) -> Result<Response, Problem> {
    let wanted = Wanted::take(query)?;
    let patient_id = id_of(&id)?;
    let own = caller.confine().map_err(out_of_reach)?;
    if own.as_ref().is_some_and(|own| own.patient != patient_id) {
        return Err(NOT_FOUND.into());
    }
    let pool = &app.rest.pool;
    let home = all_rest::ALL.iter().find_map(|face| face.home(pool, patient_id));
    let unit = home.ok_or(NOT_FOUND)?.await.map_err(|error| app.rest.store_problem(&error))?;
    let unit = unit.ok_or(NOT_FOUND)?;
    let resource = Resource::of(&unit).about(Some(patient_id));
    caller.authorize(&resource).map_err(out_of_reach)?;
    let actor = own.map(|own| own.actor);
    let whose = Whose::Patient { patient_id, actor };
    let view = View::of(&app.rest, &caller, unit, whose, &wanted.types);
    answer(app, Asked { caller, method, headers, cut, wanted }, view).await
}

/// A call for events.
struct Asked {
    caller: Caller,
    method: Method,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    wanted: Wanted,
}

async fn answer(app: App, asked: Asked, view: View) -> Result<Response, Problem> {
    let Asked { caller, method, headers, cut, wanted } = asked;
    // What HEAD asks for is the answer without a body, and a stream is nothing but body.
    if method == Method::GET && stream::is_wanted(&headers) {
        let cut = cut.map(|Extension(cut)| cut);
        return stream::open(app, &caller, view, wanted.after, &headers, cut).await;
    }
    if let Some(seq) = min_seq(&headers)? {
        app.rest.reach_seq(&view.unit, SCHEMA, seq).await?;
        if view.whose != Whose::Unit {
            app.rest.reach_seq(&view.unit, REQUESTS_SCHEMA, seq).await?;
        }
    }
    let page = app.events(&view, wanted.after, wanted.limit).await;
    let page = page.map_err(|error| app.rest.store_problem(&error))?;
    let full = u32::try_from(page.items.len()).is_ok_and(|count| count >= wanted.limit);
    let last = page.items.last().filter(|_| full).map(|event| event.seq);
    let next = last.or(page.passed).map(|seq| kit_http::cursor_text(&seq.to_string()));
    Ok(app.rest.list(&view.unit, page.freshness, List { items: page.items, next }))
}
