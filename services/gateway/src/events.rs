//! The timeline at REST: a unit's numbered facts, of any type, and those that tell one patient
//! something. The same address gives a page of them or, to who accepts `text/event-stream`, all of
//! them from there on; both go by the same numbers.

use std::collections::BTreeSet;
use std::str::FromStr;

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, Method};
use kit_event::UnitSeq;
use kit_http::problem::NOT_FOUND;
use kit_http::serve::Cut;
use kit_http::{PageQuery, Problem, QueryText};
use kit_policy::{Caller, Resource};
use kit_rest::InUnit;
use kit_rest::as_of::{SCHEMA, number};
use kit_rest::guard::{Who, out_of_reach};
use kit_rest::headers::min_seq;
use kit_rest::read::{List, id_of};

use crate::view::{REQUESTS_SCHEMA, View, Whose};
use crate::{App, stream};

/// Types that one call may ask for; a page of every type costs the same.
pub const TYPES_MAX: usize = 20;

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
