//! A numbered event of a unit.

use serde_json::Value;
use uuid::Uuid;

use crate::{RequestId, Timestamp, UnitId, UnitSeq};

/// Something that happened in a unit, numbered by it. The same value is an agent's frame, a record
/// on `unit.facts` and a line of the timeline; only the clothes differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Whose fact it is; always from the credential, never from a body.
    pub unit: UnitId,
    /// Its number.
    pub seq: UnitSeq,
    /// Random; tells a repeat (the same) from a fork (another under the same number).
    pub id: Uuid,
    /// `<domain>.<thing>_<past>`, as `scheduling.appointment_booked`.
    pub type_name: String,
    /// Version of the type's schema, from 1.
    pub version: u32,
    /// When it happened: the moment of the row's change at the clinic, by the network's time, and
    /// never later than its numbering. A snapshot has the moment at which it was stated.
    pub time: Timestamp,
    /// The thing it is about, `<thing>/<id>`; opaque.
    pub subject: Option<String>,
    /// The one patient it concerns, where it concerns one; opaque.
    pub patient_id: Option<Uuid>,
    /// The request that caused it, where one did.
    pub causation_id: Option<RequestId>,
    /// W3C trace context of that request.
    pub traceparent: Option<String>,
    /// The full state after it of the thing it is about, as plain JSON.
    pub body: Value,
}

impl Fact {
    /// The domain that the type belongs to: `scheduling` of `scheduling.appointment_booked`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.type_name.split('.').next().unwrap_or_default()
    }
}
