//! Who calls, from which unit, with which reach: settled before a handler runs.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, Method};
use kit_event::UnitId;
use kit_http::Problem;
use kit_http::problem::{INTERNAL, NOT_FOUND};
use kit_metric::Counter;
use kit_policy::{Caller, Denied, Permission, Reach, Resource};
use kit_token::InvalidToken;
use uuid::Uuid;

use crate::App;
use crate::problems::{TOKEN_INVALID, TOKEN_MISSING};

/// Tokens that were not accepted; the rules are words of the code.
pub const TOKENS_REFUSED: Counter<1> = Counter::new(
    "arteria_tokens_refused_total",
    "Tokens that were not accepted, by the first rule that they break.",
    ["rule"],
);

/// A caller and the unit that the address names; the unit exists and the caller belongs to it.
#[derive(Debug, Clone)]
pub struct InUnit {
    /// Who calls.
    pub caller: Caller,
    /// Where.
    pub unit: UnitId,
}

/// What the layer of one route holds.
#[derive(Clone)]
pub struct Guard {
    /// What handlers share.
    pub rest: App,
    /// What the route asks for.
    pub permission: Permission,
}

/// Lets a request through to its handler, with the caller in its extensions.
///
/// # Errors
/// 401 for a token that is missing or bad; 404 for everything that this caller must not know of:
/// a route that its kind has no permission for, a unit that it does not belong to or that nobody
/// has ever heard of.
pub async fn guard(
    State(Guard { rest, permission }): State<Guard>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if permission == Permission::PUBLIC {
        return Ok(next.run(request).await);
    }
    let token = bearer(request.headers()).ok_or_else(token_missing)?;
    let now = rest.requests.clock.now();
    let verified = rest.verifier.verify(token, now).await.map_err(token_invalid)?;
    if permission.reach(verified.kind) == Reach::Nothing {
        return Err(NOT_FOUND.into());
    }
    let caller = Caller { verified: Arc::new(verified), action: permission };
    let _place = match *request.method() {
        Method::GET | Method::HEAD => {
            let place = rest.requests.limits.read(&caller.verified);
            Some(place.map_err(|error| rest.not_sent(&error))?)
        }
        _ => None,
    };
    // An address that is no text names nothing.
    let params = params.map_err(|_| NOT_FOUND)?;
    if let Some((_, name)) = params.iter().find(|(key, _)| *key == "unit") {
        let unit = rest.visible(&caller, name).await?;
        request.extensions_mut().insert(InUnit { caller: caller.clone(), unit });
    }
    request.extensions_mut().insert(Who(caller));
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, other) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && other.is_none()).then_some(token)
}

fn token_missing() -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"arteria\"");
    Problem::from(TOKEN_MISSING).header(WWW_AUTHENTICATE, challenge)
}

fn token_invalid(refused: InvalidToken) -> Problem {
    TOKENS_REFUSED.of([format!("{refused:?}")]).increment(1);
    let challenge = HeaderValue::from_static("Bearer realm=\"arteria\", error=\"invalid_token\"");
    Problem::from(TOKEN_INVALID).detail(refused.to_string()).header(WWW_AUTHENTICATE, challenge)
}

/// What is out of reach is answered like what is not there.
#[must_use]
pub fn out_of_reach(_: Denied) -> Problem {
    NOT_FOUND.into()
}

impl InUnit {
    /// Lets through what concerns `patient`, where that is known, and is within reach.
    ///
    /// # Errors
    /// 404.
    pub fn authorize(&self, patient: Option<Uuid>) -> Result<(), Problem> {
        let resource = Resource::of(&self.unit).about(patient);
        self.caller.authorize(&resource).map(|_| ()).map_err(out_of_reach)
    }

    /// Confines a list to what is within reach: who is confined to the own records and asks for
    /// somebody else's asks for nothing.
    ///
    /// # Errors
    /// 404.
    pub fn confine(&self, asked_for: &mut Option<Uuid>) -> Result<(), Problem> {
        let Some(own) = self.caller.confine().map_err(out_of_reach)? else {
            return self.authorize(*asked_for);
        };
        self.authorize(Some(*asked_for.get_or_insert(own.patient)))
    }
}

/// The caller of a route that names no unit.
#[derive(Debug, Clone)]
pub struct Who(pub Caller);

macro_rules! from_extensions {
    ($name:ident) => {
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                // Absent only where a route was built past its guard, which no route can be.
                parts.extensions.get::<Self>().cloned().ok_or_else(|| INTERNAL.into())
            }
        }
    };
}
from_extensions!(Who);
from_extensions!(InUnit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_one_header_of_two_words() {
        let headers = |values: &[&str]| {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            map
        };
        assert_eq!(bearer(&headers(&["Bearer a.b.c"])), Some("a.b.c"));
        assert_eq!(bearer(&headers(&["bearer  a.b.c "])), Some("a.b.c"));
        for bad in [&[][..], &["Basic x"], &["Bearer "], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(bad)), None, "{bad:?}");
        }
    }
}
