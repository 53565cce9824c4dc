//! Headers of the contract, parsed once.

use std::time::Duration;

use http::HeaderMap;
use http::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use kit_event::{Delivery, UnitSeq};
use kit_http::Problem;
use kit_http::observe::TRACEPARENT;
use kit_http::problem::INVALID_HEADER;
use kit_request::Terms;
use kit_store::Freshness;

use crate::problems::{KEY_INVALID, KEY_MISSING};

macro_rules! names {
    ($($name:ident = $text:literal;)+) => {
        $(#[doc = concat!("`", $text, "`")]
        pub const $name: HeaderName = HeaderName::from_static($text);)+
    };
}
names! {
    IDEMPOTENCY_KEY = "idempotency-key";
    PREFER = "prefer";
    PREFERENCE_APPLIED = "preference-applied";
    DELIVERY = "arteria-delivery";
    EXPIRES = "arteria-expires";
    MIN_SEQ = "arteria-min-seq";
    UNIT_SEQ = "arteria-unit-seq";
    AS_OF = "arteria-as-of";
    UNIT_ONLINE = "arteria-unit-online";
    STALE_SINCE = "arteria-stale-since";
    RECORD_SEQ = "arteria-record-seq";
    RECORD_TIME = "arteria-record-time";
    REQUEST = "arteria-request";
}

/// Longest `Idempotency-Key`; two UUIDs and a name fit.
const KEY_CHARS_MAX: usize = 255;
/// How long a write waits for its unit where the caller does not say.
pub const WAIT_SECONDS_DEFAULT: u64 = 10;
/// The longest that a caller may wait; proxies on the way cut longer calls.
pub const WAIT_SECONDS_MAX: u64 = 60;
/// How long a request may wait for its unit where the caller does not say.
pub const EXPIRES_SECONDS_DEFAULT: u64 = 24 * 3600;
/// The longest that a request may wait: a day less than requests stay on the log.
pub const EXPIRES_SECONDS_MAX: u64 = 7 * 24 * 3600;
/// The longest deadline of an online-only request, and of a live query.
pub const ONLINE_SECONDS_MAX: u64 = 30;

/// What `Prefer` asks for (RFC 7240).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prefer {
    /// `wait=N`, at most [`WAIT_SECONDS_MAX`].
    pub wait_seconds: Option<u64>,
    /// `respond-async`.
    pub respond_async: bool,
}

impl Prefer {
    /// Reads every `Prefer` header. Preferences that nobody knows, or that do not read, are passed
    /// over, as RFC 7240 wants it.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        for value in headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()) {
            for preference in value.split(',') {
                let preference = preference.split(';').next().unwrap_or_default();
                let (name, value) = match preference.split_once('=') {
                    Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
                    None => (preference.trim(), ""),
                };
                if name.eq_ignore_ascii_case("respond-async") {
                    prefer.respond_async = true;
                } else if name.eq_ignore_ascii_case("wait")
                    && prefer.wait_seconds.is_none()
                    && let Ok(seconds) = value.parse::<u64>()
                {
                    prefer.wait_seconds = Some(seconds.min(WAIT_SECONDS_MAX));
                }
            }
        }
        prefer
    }

    /// How long to wait, where `otherwise` is the route's own habit: `respond-async` alone means
    /// not at all, with `wait` it means so long and no longer.
    #[must_use]
    pub fn wait(self, otherwise_seconds: u64) -> Duration {
        let seconds = match (self.wait_seconds, self.respond_async) {
            (Some(seconds), _) => seconds,
            (None, true) => 0,
            (None, false) => otherwise_seconds,
        };
        Duration::from_secs(seconds)
    }

    /// The value of `Preference-Applied`, where something was asked for.
    #[must_use]
    pub fn applied(self) -> Option<HeaderValue> {
        match (self.wait_seconds, self.respond_async) {
            (Some(seconds), true) => {
                HeaderValue::from_str(&format!("respond-async, wait={seconds}")).ok()
            }
            (Some(seconds), false) => HeaderValue::from_str(&format!("wait={seconds}")).ok(),
            (None, true) => Some(HeaderValue::from_static("respond-async")),
            (None, false) => None,
        }
    }
}

/// How a write wants to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteHeaders {
    /// The caller's name for the request.
    pub key: String,
    /// `Prefer`.
    pub prefer: Prefer,
    /// What of them the unit and the log are told.
    pub terms: Terms,
}

impl WriteHeaders {
    /// Reads the headers of a write.
    ///
    /// # Errors
    /// `idempotency-key-missing`, or the header that does not read.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let key = idempotency_key(headers)?;
        let prefer = Prefer::read(headers);
        let delivery = match one(headers, &DELIVERY)? {
            None => Delivery::Queue,
            Some("queue") => Delivery::Queue,
            Some("online-only") => Delivery::OnlineOnly,
            Some(_) => return Err(invalid(&DELIVERY, "is queue or online-only")),
        };
        let asked = one(headers, &EXPIRES)?.map(expires_seconds).transpose()?;
        let (wait, expires_seconds) = match delivery {
            Delivery::OnlineOnly => online_only(prefer, asked)?,
            Delivery::Queue | Delivery::Query => {
                (prefer.wait(WAIT_SECONDS_DEFAULT), asked.unwrap_or(EXPIRES_SECONDS_DEFAULT))
            }
        };
        let (expires, traceparent) = (Duration::from_secs(expires_seconds), traceparent(headers));
        Ok(Self { key, prefer, terms: Terms { wait, delivery, expires, traceparent } })
    }
}

/// The deadline of an online-only request is the wait, unless the caller does not wait at all.
fn online_only(prefer: Prefer, asked: Option<u64>) -> Result<(Duration, u64), Problem> {
    if asked.is_some_and(|seconds| seconds > ONLINE_SECONDS_MAX) {
        return Err(invalid(&EXPIRES, "is at most 30 for an online-only request"));
    }
    let wait_seconds = prefer.wait(WAIT_SECONDS_DEFAULT).as_secs();
    let expires_seconds = match (asked, wait_seconds) {
        (Some(seconds), _) => seconds,
        (None, 0) => WAIT_SECONDS_DEFAULT,
        (None, seconds) => seconds.min(ONLINE_SECONDS_MAX),
    };
    let waits = prefer.wait_seconds != Some(0) && wait_seconds > 0;
    let wait = if waits { Duration::from_secs(expires_seconds) } else { Duration::ZERO };
    Ok((wait, expires_seconds))
}

fn expires_seconds(text: &str) -> Result<u64, Problem> {
    match text.trim().parse::<i64>() {
        Ok(seconds) if seconds <= 0 => Err(invalid(&EXPIRES, "lies in the past")),
        Ok(seconds) if seconds.unsigned_abs() > EXPIRES_SECONDS_MAX => {
            Err(invalid(&EXPIRES, "is at most 604800 (7 days)"))
        }
        Ok(seconds) => Ok(seconds.unsigned_abs()),
        Err(_) => Err(invalid(&EXPIRES, "is a whole number of seconds")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().filter(|value| !value.is_empty()).ok_or(KEY_MISSING)?;
    let visible = value.as_bytes().iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    if !visible || value.len() > KEY_CHARS_MAX || values.next().is_some() {
        return Err(KEY_INVALID.into());
    }
    // All of it is ASCII, so it is text.
    value.to_str().map(str::to_owned).map_err(|_| KEY_INVALID.into())
}

/// The step under way: kit-http wrote it in place of what the caller sent.
pub fn traceparent(headers: &HeaderMap) -> Option<String> {
    headers.get(TRACEPARENT)?.to_str().ok().map(str::to_owned)
}

/// The state that `If-Match` insists on; `*` insists on nothing but that the record is there,
/// which every such request does anyway.
///
/// # Errors
/// It is no ETag that a read gave.
pub fn if_match(headers: &HeaderMap) -> Result<Option<UnitSeq>, Problem> {
    match one(headers, &IF_MATCH)? {
        None => Ok(None),
        Some("*") => Ok(None),
        Some(text) => match text.trim().trim_matches('"').parse() {
            Ok(seq) => Ok(Some(seq)),
            Err(_) => Err(invalid(&IF_MATCH, "is one ETag that a read gave, as \"1-42\"")),
        },
    }
}

/// Whether `If-None-Match` names this state: the caller has it already.
pub fn has_already(headers: &HeaderMap, seq: UnitSeq) -> bool {
    let etag = seq.to_string();
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|one| one.trim().trim_start_matches("W/").trim_matches('"') == etag)
    })
}

/// The number that a read must have reached.
///
/// # Errors
/// It is no `E-S`.
pub fn min_seq(headers: &HeaderMap) -> Result<Option<UnitSeq>, Problem> {
    one(headers, &MIN_SEQ)?
        .map(|text| text.trim().parse().map_err(|_| invalid(&MIN_SEQ, "is E-S, as 1-42")))
        .transpose()
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(name, "stands more than once"));
    }
    value.to_str().map(Some).map_err(|_| invalid(name, "is not plain text"))
}

/// The header as people write it: `Arteria-Expires`.
fn spelt(name: &HeaderName) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.as_str().split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn invalid(name: &HeaderName, reason: &str) -> Problem {
    Problem::from(INVALID_HEADER).field(spelt(name), reason)
}

/// Writes a number as an ETag.
pub fn put_etag(headers: &mut HeaderMap, seq: UnitSeq) {
    put(headers, ETAG, &format!("\"{seq}\""));
}

/// Writes how fresh a read is.
pub fn put_freshness(headers: &mut HeaderMap, freshness: Option<Freshness>, online: bool) {
    if let Some(Freshness { seq, as_of }) = freshness {
        put(headers, UNIT_SEQ, &seq.to_string());
        put(headers, AS_OF, &as_of.to_string());
    }
    headers.insert(UNIT_ONLINE, HeaderValue::from_static(if online { "true" } else { "false" }));
}

/// Writes a header whose value is ours, and so is plain text.
pub fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
