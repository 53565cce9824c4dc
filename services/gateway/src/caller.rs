//! Who calls, from which unit, with which reach: settled before a handler runs.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use kit_event::{RequestId, UnitId};
use kit_http::Problem;
use kit_http::problem::{INTERNAL, NOT_FOUND};
use kit_token::{Kind, Refused, Verified};
use uuid::Uuid;

use crate::Gateway;
use crate::permission::{Permission, Reach};
use crate::problems::{TOKEN_INVALID, TOKEN_MISSING};

/// A verified caller with the reach that the route's permission gives it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub verified: Arc<Verified>,
    /// How far it may look.
    pub reach: Reach,
}

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
    /// The gateway.
    pub gateway: Arc<Gateway>,
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
    State(Guard { gateway, permission }): State<Guard>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if permission == Permission::Public {
        return Ok(next.run(request).await);
    }
    let token = bearer(request.headers()).ok_or_else(token_missing)?;
    let now = gateway.clock.now();
    let verified = gateway.verifier.verify(token, now).await.map_err(token_invalid)?;
    let reach = permission.reach(verified.kind);
    if reach == Reach::Nothing {
        return Err(NOT_FOUND.into());
    }
    let caller = Caller { verified: Arc::new(verified), reach };
    // An address that is no text names nothing.
    let params = params.map_err(|_| NOT_FOUND)?;
    if let Some((_, name)) = params.iter().find(|(key, _)| *key == "unit") {
        let unit = gateway.visible(&caller, name).await?;
        request.extensions_mut().insert(InUnit { caller: caller.clone(), unit });
    }
    request.extensions_mut().insert(caller);
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

fn token_invalid(refused: Refused) -> Problem {
    metrics::counter!("tokens_refused", "rule" => format!("{refused:?}")).increment(1);
    let challenge = HeaderValue::from_static("Bearer realm=\"arteria\", error=\"invalid_token\"");
    Problem::from(TOKEN_INVALID).detail(refused.to_string()).header(WWW_AUTHENTICATE, challenge)
}

impl Caller {
    /// Whether a record that concerns `patient` is within reach. One that concerns nobody known is
    /// nobody's own.
    pub fn sees_patient(&self, patient: Option<Uuid>) -> bool {
        match self.reach {
            Reach::Nothing | Reach::Envelope => false,
            Reach::Units => true,
            Reach::Own => patient.is_some() && patient == self.verified.patient,
        }
    }

    /// Refuses what is out of reach, in the words for what is not there.
    ///
    /// # Errors
    /// 404.
    pub fn must_see_patient(&self, patient: Option<Uuid>) -> Result<(), Problem> {
        if self.sees_patient(patient) { Ok(()) } else { Err(NOT_FOUND.into()) }
    }

    /// The id of this caller's request to `unit` under `key`.
    pub fn request_id(&self, unit: &UnitId, key: &str) -> RequestId {
        RequestId::derive(unit, &self.verified.issuer, &self.verified.subject, key)
    }

    /// The registration that the caller is confined to, where it is.
    pub fn own_patient(&self) -> Option<Uuid> {
        match self.verified.kind {
            Kind::Patient => self.verified.patient,
            Kind::Staff | Kind::Partner | Kind::Admin | Kind::Agent => None,
        }
    }
}

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
from_extensions!(Caller);
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
