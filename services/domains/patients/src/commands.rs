//! What may be asked of a unit about its patients. Each command reads strictly: a field that it
//! does not know, or a date in another form, refuses the whole.

use kit_event::{Date, Rejection, UnitSeq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::MergePatients;

/// Asks the unit to register a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPatient {
    /// Public id of the new registration; derived from the request, so that a retry names the same.
    pub patient_id: Uuid,
    /// Medical record number; unique in the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrn: Option<String>,
    /// Family name.
    pub family_name: String,
    /// Given name or names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Date of birth; not in the future.
    #[schema(value_type = String, format = Date)]
    pub birth_date: Date,
    /// FHIR AdministrativeGender: `male`, `female`, `other` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Street and house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_line: Option<String>,
    /// Town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country, preferably as an ISO 3166 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Date of death; not in the future, not before birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub deceased_on: Option<Date>,
    /// Whether the unit sees this patient; true unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

impl RegisterPatient {
    /// The type on the wire.
    pub const TYPE: &'static str = "patients.register_patient";

    /// Every field of the registration beside its id; null where it stays empty.
    pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("mrn", json!(self.mrn)),
            ("family_name", json!(self.family_name)),
            ("given_name", json!(self.given_name)),
            ("birth_date", json!(self.birth_date)),
            ("sex", json!(self.sex)),
            ("phone", json!(self.phone)),
            ("email", json!(self.email)),
            ("address_line", json!(self.address_line)),
            ("city", json!(self.city)),
            ("postal_code", json!(self.postal_code)),
            ("country", json!(self.country)),
            ("deceased_on", json!(self.deceased_on)),
            ("active", json!(self.active)),
        ]
    }
}

/// Asks the unit to change the named fields of a registration, and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePatient {
    /// Which registration.
    pub patient_id: Uuid,
    /// The `E-S` that the registration must still have, where the asker insists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub if_match: Option<UnitSeq>,
    /// Names of the fields to change; one that is named and has no value is emptied.
    pub fields: Vec<String>,
    /// Medical record number; unique in the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mrn: Option<String>,
    /// Family name; cannot be emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Given name or names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Date of birth; not in the future, cannot be emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub birth_date: Option<Date>,
    /// FHIR AdministrativeGender: `male`, `female`, `other` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Street and house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_line: Option<String>,
    /// Town.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country, preferably as an ISO 3166 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Date of death; not in the future, not before birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub deceased_on: Option<Date>,
    /// Whether the unit sees this patient; cannot be emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

impl UpdatePatient {
    /// The type on the wire.
    pub const TYPE: &'static str = "patients.update_patient";

    /// The fields that a registration lets itself be asked to change.
    pub const FIELDS: &'static [&'static str] = &[
        "mrn",
        "family_name",
        "given_name",
        "birth_date",
        "sex",
        "phone",
        "email",
        "address_line",
        "city",
        "postal_code",
        "country",
        "deceased_on",
        "active",
    ];
    /// Those of [`Self::FIELDS`] that cannot be emptied.
    pub const NEVER_EMPTY: &'static [&'static str] = &["family_name", "birth_date", "active"];

    /// Every field that could be changed; null where the command has no value.
    pub(crate) fn values(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("mrn", json!(self.mrn)),
            ("family_name", json!(self.family_name)),
            ("given_name", json!(self.given_name)),
            ("birth_date", json!(self.birth_date)),
            ("sex", json!(self.sex)),
            ("phone", json!(self.phone)),
            ("email", json!(self.email)),
            ("address_line", json!(self.address_line)),
            ("city", json!(self.city)),
            ("postal_code", json!(self.postal_code)),
            ("country", json!(self.country)),
            ("deceased_on", json!(self.deceased_on)),
            ("active", json!(self.active)),
        ]
    }

    /// Whether the command is to change `field`.
    #[must_use]
    pub fn touches(&self, field: &str) -> bool {
        self.fields.iter().any(|named| named == field)
    }
}

/// Every command of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Register a patient.
    Register(RegisterPatient),
    /// Change a registration.
    Update(UpdatePatient),
    /// Merge a registration into another.
    Merge(MergePatients),
}

impl Command {
    /// The types on the wire.
    pub const TYPES: &'static [&'static str] =
        &[RegisterPatient::TYPE, UpdatePatient::TYPE, MergePatients::TYPE];

    /// Present version of every command schema of this domain.
    pub const VERSION: u32 = 1;

    /// Reads the command that `type_name` names.
    ///
    /// # Errors
    /// The type is none of this domain, or the body does not read as it.
    pub fn read(type_name: &str, body: &Value) -> Result<Self, Rejection> {
        let read = match type_name {
            RegisterPatient::TYPE => RegisterPatient::deserialize(body).map(Self::Register),
            UpdatePatient::TYPE => UpdatePatient::deserialize(body).map(Self::Update),
            MergePatients::TYPE => MergePatients::deserialize(body).map(Self::Merge),
            _ => return Err(Rejection::unknown_type(type_name)),
        };
        read.map_err(|error| Rejection::malformed(type_name, &error))
    }
}
