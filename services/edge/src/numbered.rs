//! A numbered fact that cannot be carried as it came, and what is kept of it.
//!
//! An agent gives a number and an id once and sends the same frame until it is acknowledged. If the
//! edge closed the link over what else stands in such a frame, the unit would come back with it for
//! ever. So all that a fact needs is a number that reads: whatever else is wrong with it, the edge
//! withholds the fact, and the numbering goes on.

use std::fmt;

use kit_event::{RequestId, Timestamp, UnitId, UnitSeq, type_name};
use kit_link::FactFrame;
use serde::Deserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::limits::{KEPT_TEXT_BYTES_MAX, SUBJECT_BYTES_MAX};

/// The members of a frame that are read one by one, as they stand in it.
#[derive(Debug, Default)]
struct Members {
    frame: Option<String>,
    seq: Option<UnitSeq>,
    id: Option<String>,
    type_name: Option<String>,
    version: Option<u32>,
    time: Option<Timestamp>,
    subject: Option<String>,
    patient_id: Option<Uuid>,
    causation_id: Option<RequestId>,
    traceparent: Option<String>,
    body: Option<Value>,
}

/// Reads what can be read of the fact in `text`, whose frame does not read as a whole. None where
/// not even its number does.
#[must_use]
pub fn in_part(text: &str, unit: &UnitId, now: Timestamp) -> Option<FactFrame> {
    let mut members = Members::default();
    // Whatever breaks off the reading, a later member or the end, what came before it was read.
    let mut json = serde_json::Deserializer::from_str(text);
    let _broken_off = json.deserialize_map(Collect(&mut members));
    let seq = members.seq.filter(|_| members.frame.as_deref() == Some("fact"))?;
    Some(FactFrame {
        seq,
        id: members.id.as_deref().map_or_else(|| made_id(unit, seq, ""), |id| id_of(unit, seq, id)),
        type_name: members.type_name.unwrap_or_default(),
        version: members.version.unwrap_or_default(),
        time: members.time.unwrap_or(now),
        subject: members.subject,
        patient_id: members.patient_id,
        causation_id: members.causation_id,
        traceparent: members.traceparent,
        body: members.body.unwrap_or_else(|| Value::String(kept(text))),
    })
}

/// Why a fact cannot be carried under its own headers.
#[must_use]
pub fn uncarriable(fact: &FactFrame, unit: &UnitId) -> Option<String> {
    if let Err(error) = type_name::split(&fact.type_name) {
        return Some(format!("type: {error}").chars().filter(|c| !c.is_control()).collect());
    }
    if fact.version == 0 {
        return Some("version: a schema's versions begin at 1".to_owned());
    }
    if fact.subject.as_deref().is_some_and(|subject| !is_subject(subject)) {
        return Some(format!(
            "subject: it is <thing>/<id>, without spaces, of at most {SUBJECT_BYTES_MAX} bytes"
        ));
    }
    if fact.causation_id.as_ref().is_some_and(|cause| cause.unit() != *unit) {
        return Some(format!("causation_id: it is no request of unit {unit}"));
    }
    None
}

/// Leaves out of a fact's headers what cannot stand there.
pub fn made_carriable(fact: &mut FactFrame, unit: &UnitId) {
    if type_name::split(&fact.type_name).is_err() {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let kept = fact.type_name.chars().filter(plain);
        fact.type_name = kept.take(type_name::TYPE_NAME_BYTES_MAX).collect();
    }
    fact.subject = fact.subject.take().filter(|subject| is_subject(subject));
    fact.causation_id = fact.causation_id.take().filter(|cause| cause.unit() == *unit);
}

fn is_subject(text: &str) -> bool {
    text.len() <= SUBJECT_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once('/').is_some_and(|(thing, id)| !thing.is_empty() && !id.is_empty())
}

/// An agent's own id where it is one, else one that is the same each time the fact comes.
fn id_of(unit: &UnitId, seq: UnitSeq, text: &str) -> Uuid {
    Uuid::parse_str(text).unwrap_or_else(|_| made_id(unit, seq, text))
}

fn made_id(unit: &UnitId, seq: UnitSeq, text: &str) -> Uuid {
    let digest = Sha256::digest(format!("unit.v1/{unit}/{seq}/{text}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

/// A frame's text as it is put aside.
fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(KEPT_TEXT_BYTES_MAX)].to_owned()
}

struct Collect<'a>(&'a mut Members);

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let members = &mut *self.0;
            match name.as_str() {
                "frame" => members.frame = member(&mut map)?,
                "seq" => members.seq = member(&mut map)?,
                "id" => {
                    let raw: &RawValue = map.next_value()?;
                    let text = serde_json::from_str(raw.get());
                    members.id = Some(text.unwrap_or_else(|_| kept(raw.get())));
                }
                "type" => members.type_name = member(&mut map)?,
                "version" => members.version = member(&mut map)?,
                "time" => members.time = member(&mut map)?,
                "subject" => members.subject = member(&mut map)?,
                "patient_id" => members.patient_id = member(&mut map)?,
                "causation_id" => members.causation_id = member(&mut map)?,
                "traceparent" => members.traceparent = member(&mut map)?,
                "body" => members.body = member(&mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A member's value, where it reads as its type.
fn member<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    let raw: &RawValue = map.next_value()?;
    Ok(serde_json::from_str(raw.get()).ok())
}
