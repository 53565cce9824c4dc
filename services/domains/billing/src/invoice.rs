//! An invoice, its status, and what happened between two versions of it.

use kit_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::facts::{Fact, InvoiceFact};

/// What a patient is asked to pay. Any program may have written it, so that only the id is certain.
/// Names follow the reference practice schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Invoice {
    /// Public id.
    pub invoice_id: Uuid,
    /// Who is asked to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<Uuid>,
    /// The visit that it is for, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment_id: Option<Uuid>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub issued_at: Option<Timestamp>,
    /// The moment of issue as somebody typed it, where it is no instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at_raw: Option<String>,
    /// ISO 4217 code of its currency, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What is asked for, in minor units of the currency; below zero on a credit note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<i64>,
    /// The total as somebody typed it, where it is no whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_minor_raw: Option<String>,
    /// `issued` or `voided`; a practice's software may use others. Without one it is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// What a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The total is owed.
    Issued,
    /// Nothing is owed; what was paid is to be given back.
    Voided,
    /// A word that we do not know: nobody here can say what is owed.
    Unknown,
}

impl Status {
    /// What the word in a row means, letter by letter.
    #[must_use]
    pub fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("issued") => Self::Issued,
            Some("voided") => Self::Voided,
            Some(_) => Self::Unknown,
        }
    }
}

impl Invoice {
    /// The thing's name in mapping files and subjects.
    pub const RESOURCE: &'static str = "invoice";

    /// What its status means.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self.status.as_deref())
    }
}

/// Names what happened to an invoice between two committed versions of its row: one fact, by
/// precedence status, then any other field.
///
/// Two facts only where the row became another invoice (its id or its patient changed): the old one
/// is gone, the new one is seen for the first time. So every fact concerns one patient. A patient
/// who is only now known was nobody else before.
#[must_use]
pub fn observe(before: Option<&Invoice>, after: Option<&Invoice>) -> Vec<Fact> {
    let fact = |kind, of: &Invoice| Fact::Invoice(kind, of.clone());
    match (before, after) {
        (None, None) => vec![],
        (None, Some(new)) => vec![fact(first_seen(new), new)],
        (Some(old), None) => vec![fact(InvoiceFact::Removed, old)],
        (Some(old), Some(new)) if is_another(old, new) => {
            vec![fact(InvoiceFact::Removed, old), fact(first_seen(new), new)]
        }
        (Some(old), Some(new)) if old == new => vec![],
        (Some(old), Some(new)) => vec![fact(between(old.status(), new.status()), new)],
    }
}

fn is_another(old: &Invoice, new: &Invoice) -> bool {
    old.invoice_id != new.invoice_id
        || (old.patient_id.is_some() && old.patient_id != new.patient_id)
}

/// A status that we do not know claims nothing.
fn first_seen(new: &Invoice) -> InvoiceFact {
    match new.status() {
        Status::Issued => InvoiceFact::Issued,
        Status::Voided => InvoiceFact::Voided,
        Status::Unknown => InvoiceFact::Amended,
    }
}

const fn between(old: Status, new: Status) -> InvoiceFact {
    match (old, new) {
        (Status::Issued | Status::Unknown, Status::Voided) => InvoiceFact::Voided,
        (Status::Voided | Status::Unknown, Status::Issued) => InvoiceFact::Reinstated,
        (_, Status::Unknown)
        | (Status::Issued, Status::Issued)
        | (Status::Voided, Status::Voided) => InvoiceFact::Amended,
    }
}
