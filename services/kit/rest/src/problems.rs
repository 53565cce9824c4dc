//! The problems that every face may give.

use http::header::{HeaderValue, RETRY_AFTER};
use kit_http::{Problem, ProblemKind};

/// What a caller should wait while a part of the service is away, in seconds.
pub const AWAY_RETRY_SECONDS: &str = "1";

/// Tells when to come again.
pub fn retry(problem: Problem, seconds: &'static str) -> Problem {
    problem.header(RETRY_AFTER, HeaderValue::from_static(seconds))
}

macro_rules! kinds {
    ($($name:ident = $status:literal $slug:literal $title:literal $meaning:literal;)+) => {
        $(#[doc = $title]
        pub const $name: ProblemKind =
            ProblemKind { slug: $slug, status: $status, title: $title, meaning: $meaning };)+

        /// All of them.
        pub const ALL: &[ProblemKind] = &[$($name),+];
    };
}
kinds! {
    TOKEN_MISSING = 401 "token-missing" "A token is needed"
        "Send a header `Authorization` with the word `Bearer` and your token.";
    TOKEN_INVALID = 401 "token-invalid" "The token is not accepted"
        "The token is forged, expired, not valid yet, for another audience, or does not say all \
         that it must. The detail names the first rule that it breaks.";
    KEY_MISSING = 400 "idempotency-key-missing" "A write needs an Idempotency-Key"
        "Send a header `Idempotency-Key` with a text of your own, as a random UUID. Use the same \
         key again when you repeat the request, and it will not be carried out twice.";
    KEY_INVALID = 400 "idempotency-key-invalid" "The Idempotency-Key does not read"
        "A key has 1 to 255 visible ASCII characters, and stands in one header.";
    KEY_REUSED = 422 "idempotency-key-reused" "The Idempotency-Key was used before for another \
         request"
        "The same key with the same command is a retry and gets the stored outcome. With another \
         command it is refused, and the first request stands.";
    UNIT_QUEUE_FULL = 429 "unit-queue-full" "Too many requests wait for this unit"
        "Open requests of a unit are bounded. Wait as long as `Retry-After` says.";
    TOO_MANY_REQUESTS = 429 "too-many-requests" "This caller asks for too much at once"
        "Open requests, live queries and the rate of both are bounded for each caller, so that no \
         one takes all of a unit. Nothing was sent. Wait as long as `Retry-After` says.";
    GATEWAY_BUSY = 503 "gateway-busy" "Too many callers wait here"
        "This gateway holds as many waiting callers as it may. Nothing was sent; try again.";
    UNIT_NOT_CONNECTED = 503 "unit-not-connected" "The unit is not connected"
        "An online-only request or a live query needs the unit's agent to be connected now. \
         Nothing was sent.";
    UNIT_TIMEOUT = 504 "unit-timeout" "The unit did not answer in time"
        "A live query changes nothing in the unit, so it may simply be asked again.";
    READ_MODEL_BEHIND = 503 "read-model-behind" "What you asked to see has not arrived yet"
        "`Arteria-Min-Seq` named a fact that the read model has not reached within two seconds. \
         The answer's headers say how far it is. After a long absence of a unit this takes as \
         long as its backlog.";
    LAST_EVENT_ID_INVALID = 400 "last-event-id-invalid" "The Last-Event-ID does not read"
        "It is the `id` of an event that a stream gave, as 1-42, in one header.";
    EVENT_AHEAD = 409 "event-ahead" "No fact of this number is known yet"
        "`Last-Event-ID` or `after` names a number beyond what the timeline holds, and it did not \
         come within two seconds. Where a stream gave it, the read model was set back: try again. \
         Else begin from an event that you have, or without a cursor.";
    EVENT_UNKNOWN = 409 "event-unknown" "The unit never stated a fact of this number"
        "`Last-Event-ID` or `after` names an epoch or a number that the unit's timeline does not \
         have. Begin from an event that you have, or without a cursor.";
    TOO_MANY_STREAMS = 429 "too-many-streams" "This caller has too many live streams"
        "Streams of one caller are bounded. Close one, or wait as long as `Retry-After` says.";
    STREAMS_FULL = 503 "streams-full" "This gateway has no place for another live stream"
        "Try again after as long as `Retry-After` says; another gateway may have one.";
    NOT_YET_KNOWN = 404 "not-yet-known" "Nothing was known of this record at that moment"
        "The unit stated the record for the first time after the moment that `as_of` names. What \
         it was before, in the unit's own books, nobody here can tell.";
    RECORD_REMOVED = 404 "record-removed" "The record was gone at that moment"
        "The unit had removed the record before the moment that `as_of` names, or had stated all \
         that it had without it. `Arteria-Record-Seq` and `Arteria-Record-Time` say when it was \
         last spoken of.";
    TOO_LATE = 409 "too-late" "The unit had decided before the cancel came"
        "Whichever reaches the unit first counts. The request keeps the outcome that it has; what \
         it did can be taken back only by another request.";
}

/// The status of a unit's rejection: 409, but for those that say that the request itself is wrong.
#[must_use]
pub fn rejection_status(slug: &str) -> http::StatusCode {
    match slug {
        "idempotency-key-reused" | "field-rules" | "request-malformed" => {
            http::StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => http::StatusCode::CONFLICT,
    }
}
