//! A fact before it has a number, and why it came to be.

use kit_event::{Observed, RequestId};
use serde_json::Value;
use uuid::Uuid;

/// Why a fact came to be.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    /// The request.
    pub request_id: Option<RequestId>,
    /// Its trace.
    pub traceparent: Option<String>,
}

/// A fact before it has a number, of whichever type: one that a domain named, or a generic one.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// `<domain>.<thing>_<past>`.
    pub type_name: String,
    /// Version of its schema.
    pub version: u32,
    /// `<thing>/<id>`.
    pub subject: String,
    /// The one patient it concerns.
    pub patient_id: Option<Uuid>,
    /// The full state after it.
    pub body: Value,
}

impl From<Observed> for Named {
    fn from(observed: Observed) -> Self {
        Self {
            type_name: observed.type_name.to_owned(),
            version: observed.version,
            subject: observed.subject,
            patient_id: observed.patient_id,
            body: observed.body,
        }
    }
}
