//! What analysts and integrators learn of a tracked request: what was asked, when, and what became
//! of it.
//!
//! Who asked, the record that came out of it and every sentence stay in the house; so does the hash
//! of the command, against which somebody could try out guesses. The id of a request is a hash
//! already, of which the caller's key is a part.

use kit_event::{RequestId, SchemaSource, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::facts::{Fact, RangeLapsed, RequestFact};
use crate::outcome::RequestOutcome;

/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// The longest word that passes: names of types, rejections and things are shorter.
const WORD_BYTES_MAX: usize = 64;

/// How requests are delivered; other words are not told.
const DELIVERIES: [&str; 2] = ["queue", "online-only"];

/// The word for a state that this version does not know.
const OTHER: &str = "other";

/// The unit's word on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicRequest {
    /// Opaque id of the request.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// What was asked, as `scheduling.book_appointment`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// `done`, `rejected`, `expired`, `cancelled` or `undone`; `other` for a word of a later
    /// version.
    pub state: String,
    /// Name of the refusal, as `slot-taken`; absent when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The kind of thing that was written, as `appointment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_thing: Option<String>,
    /// Opaque id of that thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<Uuid>,
    /// Opaque id of the patient whom it concerns, as in `domain.patients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// When the request was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub accepted_at: Option<Timestamp>,
    /// Its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When the unit spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// `queue` or `online-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
}

/// A stretch of requests never reached the unit: those that waited there have expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicRangeLapsed {
    /// The first position that is missing.
    pub from: i64,
    /// The first position that is there again.
    pub to: i64,
}

/// What may be told of a fact.
pub(crate) fn of(fact: Fact) -> Result<Value, serde_json::Error> {
    match fact {
        Fact::Request(_, outcome) => serde_json::to_value(request(outcome)),
        Fact::RangeLapsed(RangeLapsed { from, to, .. }) => {
            serde_json::to_value(PublicRangeLapsed { from, to })
        }
    }
}

/// What the public forms promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let form = |type_name, doc, schema| SchemaSource { type_name, version: VERSION, doc, schema };
    let mut all: Vec<_> = RequestFact::ALL
        .iter()
        .map(|kind| form(kind.public_type(), kind.doc(), PublicRequest::schema()))
        .collect();
    all.push(form(RangeLapsed::PUBLIC_TYPE, RangeLapsed::DOC, PublicRangeLapsed::schema()));
    all
}

fn request(of: RequestOutcome) -> PublicRequest {
    let state = of.state().map_or(OTHER, |known| known.as_str()).to_owned();
    PublicRequest {
        request_id: of.request_id,
        type_name: word(of.type_name),
        state,
        refusal: word(of.reason),
        record_thing: word(of.record_thing),
        record_id: of.record_id,
        patient_id: of.patient_id,
        accepted_at: of.accepted_at,
        expires_at: of.expires_at,
        decided_at: of.decided_at,
        delivery: of.delivery.filter(|word| DELIVERIES.contains(&word.as_str())),
    }
}

/// The name of a type, a rejection or a thing, as this house writes them: `slot-taken`.
fn word(text: Option<String>) -> Option<String> {
    let joins = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || joins(byte);
    text.filter(|text| (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FinalState;

    #[test]
    fn who_asked_and_every_sentence_stay_in_the_house() {
        let canary = || Some("Canary Nightingale".to_owned());
        let id: RequestId = format!("hcu-0001.{}", "0".repeat(32)).parse().unwrap();
        let at: Timestamp = "2026-03-01T09:30:00Z".parse().unwrap();
        let outcome = RequestOutcome {
            type_name: canary(),
            command_hash: canary(),
            state: "Canary Nightingale".to_owned(),
            reason: canary(),
            title: canary(),
            detail: canary(),
            record_thing: canary(),
            record_json: canary(),
            delivery: canary(),
            actor: canary(),
            ..RequestOutcome::new(id.clone(), FinalState::Done, at)
        };
        let told = of(Fact::Request(RequestFact::Snapshot, outcome)).unwrap();
        assert!(!told.to_string().contains("anary"), "{told}");
        assert_eq!(told["state"], OTHER);
        let refused = RequestOutcome {
            type_name: Some("scheduling.book_appointment".to_owned()),
            reason: Some("slot-taken".to_owned()),
            ..RequestOutcome::new(id, FinalState::Rejected, at)
        };
        let told = of(Fact::Request(RequestFact::Rejected, refused)).unwrap();
        assert_eq!((&told["state"], &told["refusal"]), (&"rejected".into(), &"slot-taken".into()));
        assert_eq!(told["type"], "scheduling.book_appointment");
    }

    #[test]
    fn every_public_field_is_documented() {
        for source in schemas() {
            assert!(source.type_name.starts_with("public.requests."), "{}", source.type_name);
            let schema = serde_json::to_value(&source.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", source.type_name);
            }
        }
    }
}
