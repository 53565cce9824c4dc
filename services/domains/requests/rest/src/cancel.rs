//! Asking a unit to leave a request, and who may.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use kit_event::{Delivery, Request, RequestId, command_hash};
use kit_http::{Problem, QueryText};
use kit_policy::{Caller, Denied, Permission, Resource, Sight, authorize};
use kit_request::limits::Act;
use kit_request::tracked::Entry;
use kit_rest::fields::canonical;
use kit_rest::guard::{Who, out_of_reach};
use kit_rest::headers::{EXPIRES_SECONDS_MAX, PREFERENCE_APPLIED, Prefer, put, traceparent};
use kit_rest::problems::TOO_LATE;
use kit_rest::{App, Rest};
use requests::FinalState;
use requests::control::Cancel;

use crate::handlers::{ended_within, reachable, seen, shown};

/// Version of the schema of controls.
const CONTROL_VERSION: u32 = 1;

/// `DELETE /v1/requests/{id}`: asks the unit to leave it. The unit says whether it was in time;
/// until then the answer is 202.
///
/// # Errors
/// 404; `too-late` where the unit has spoken already.
pub async fn cancel(
    State(app): State<App>,
    Who(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: QueryText,
) -> Result<Response, Problem> {
    query.finish()?;
    let prefer = Prefer::read(&headers);
    let (entry, sight) = reachable(&app, &caller, &id).await?;
    may_cancel(&caller, &entry, &app.declared.commands).map_err(out_of_reach)?;
    if entry.word.is_some() {
        return ended(&app, sight, entry);
    }
    let spent = app.requests.spend(&caller.verified, Act::Cancel);
    spent.map_err(|error| app.not_sent(&error))?;
    let id = entry.id.clone();
    let sent = app.requests.publish(cancel_of(&app, &caller, &id, &headers)?).await;
    sent.map_err(|error| app.not_sent(&error))?;
    let entry = ended_within(&app, entry, prefer.wait(0)).await?;
    let mut response = if entry.word.is_some() {
        ended(&app, sight, entry)?
    } else {
        let tracked = seen(sight, app.requests.show(entry));
        let mut response = (StatusCode::ACCEPTED, Json(tracked)).into_response();
        put(response.headers_mut(), LOCATION, &format!("/v1/requests/{id}"));
        response
    };
    if let Some(applied) = prefer.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// Who made a request may cancel it. Of what others made, who may cancel at all cancels only what
/// it could have asked for itself; a patient sees what others ask about it, and ends none of that.
fn may_cancel(
    caller: &Caller,
    entry: &Entry,
    commands: &BTreeMap<&'static str, Permission>,
) -> Result<(), Denied> {
    let (unit, actor) = (entry.id.unit(), caller.verified.actor());
    let made_it = entry.is_of(&actor, None);
    caller.authorize(&Resource::of(&unit).made_by(made_it.then_some(actor.as_str())))?;
    if made_it {
        return Ok(());
    }
    let asks_for = entry.type_name.as_deref().and_then(|name| commands.get(name));
    let concerned = Resource::of(&unit).about(entry.patient_id);
    authorize(&caller.verified, asks_for.ok_or(Denied)?, &concerned).map(|_| ())
}

/// A cancel of what is cancelled has what it wants; of anything else that ended it comes too late.
fn ended(app: &Rest, sight: Sight, entry: Entry) -> Result<Response, Problem> {
    let state = entry.word.as_ref().map(|spoken| spoken.state);
    match state {
        Some(FinalState::Cancelled) | None => Ok(shown(app, sight, entry)),
        Some(state) => {
            Err(Problem::from(TOO_LATE)
                .detail(format!("the request is {} already", state.as_str())))
        }
    }
}

fn cancel_of(
    app: &Rest,
    caller: &Caller,
    id: &RequestId,
    headers: &HeaderMap,
) -> Result<Request, Problem> {
    let now = app.requests.clock.now();
    let body = canonical(&Cancel { request_id: id.clone() })?;
    let unit = id.unit();
    let expires_ms = i64::try_from(EXPIRES_SECONDS_MAX * 1000).unwrap_or(i64::MAX);
    Ok(Request {
        // The same control however often it is repeated.
        id: RequestId::derive(&unit, "cancel", id.as_str(), ""),
        unit,
        type_name: Cancel::TYPE.to_owned(),
        version: CONTROL_VERSION,
        accepted_at: now,
        expires_at: now.plus_ms(expires_ms),
        delivery: Delivery::Queue,
        command_hash: command_hash(Cancel::TYPE, &body),
        actor: caller.verified.actor(),
        reply_partition: Some(app.requests.reply_partition),
        traceparent: traceparent(headers),
        body,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kit_event::{Timestamp, UnitId};
    use kit_policy::Reach;
    use kit_token::{Kind, Verified};
    use uuid::Uuid;

    use super::*;
    use crate::permissions::CANCEL_REQUESTS;

    const BOOK: Permission = Permission {
        name: "things.book",
        staff: Reach::Units,
        patient: Reach::Own,
        partner: Reach::Nothing,
        admin: Reach::Nothing,
    };
    /// What not even the staff asks for.
    const SETTLE: Permission = Permission { name: "things.settle", staff: Reach::Nothing, ..BOOK };
    const ANA: Uuid = Uuid::from_u128(1);

    fn caller(kind: Kind, subject: &str) -> Caller {
        let verified = Verified {
            kind,
            issuer: "i".to_owned(),
            subject: subject.to_owned(),
            units: vec!["hcu-0001".parse().unwrap()],
            patient: (kind == Kind::Patient).then_some(ANA),
            token_id: "t".to_owned(),
            expires_at: Timestamp::from_unix_ms(0),
        };
        Caller { verified: Arc::new(verified), action: CANCEL_REQUESTS }
    }

    fn may(caller: &Caller, asked: &str, by: &Caller) -> bool {
        let unit: UnitId = "hcu-0001".parse().unwrap();
        let entry = Entry {
            id: RequestId::derive(&unit, "i", "s", "k"),
            type_name: Some(asked.to_owned()),
            command_hash: None,
            accepted_at: None,
            expires_at: None,
            delivery: None,
            actor: Some(by.verified.actor()),
            patient_id: Some(ANA),
            place: None,
            word: None,
        };
        let commands = BTreeMap::from([("things.book", BOOK), ("things.settle", SETTLE)]);
        may_cancel(caller, &entry, &commands).is_ok()
    }

    #[test]
    fn a_request_is_cancelled_by_its_maker_or_by_who_could_have_made_it() {
        let (ana, desk) = (caller(Kind::Patient, "ana"), caller(Kind::Staff, "desk"));
        let office = caller(Kind::Staff, "office");
        assert!(may(&ana, "things.book", &ana) && may(&desk, "things.book", &desk));
        assert!(may(&office, "things.book", &desk) && may(&desk, "things.book", &ana));
        assert!(!may(&ana, "things.book", &desk), "the patient sees it, and did not make it");
        assert!(!may(&office, "things.settle", &desk), "the staff cannot ask for that");
        assert!(!may(&office, "things.unheard_of", &desk));
        assert!(may(&desk, "things.settle", &desk), "whoever made it may take it back");
        for kind in [Kind::Partner, Kind::Admin, Kind::Agent] {
            assert!(!may(&caller(kind, "x"), "things.book", &caller(kind, "x")), "{kind}");
        }
    }
}
