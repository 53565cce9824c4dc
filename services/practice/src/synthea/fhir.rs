//! The parts of FHIR R4 resources that a practice's tables have columns for.
//!
//! Everything is optional, as nothing can be relied on; what has another type than FHIR's refuses
//! its resource and no other. Amounts keep the digits of their text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A document: a bundle, or the first look at a resource that stands alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(borrow, default)]
    pub resource_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub entry: Option<Vec<Entry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, default)]
    pub full_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub resource: Option<&'a RawValue>,
}

/// The first look at a resource.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kind<'a> {
    #[serde(borrow, default)]
    pub resource_type: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Coding {
    pub code: Option<String>,
    pub display: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Concept {
    pub text: Option<String>,
    pub coding: Vec<Coding>,
}

impl Concept {
    /// What it is called.
    pub fn name(&self) -> Option<&str> {
        let displays = self.coding.iter().filter_map(|coding| coding.display.as_deref());
        self.text.as_deref().into_iter().chain(displays).next()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Identifier {
    pub r#type: Option<Concept>,
    pub system: Option<String>,
    pub value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "FHIR's own names")]
pub(super) struct Reference {
    pub reference: Option<String>,
    pub identifier: Option<Identifier>,
    pub display: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct HumanName {
    pub r#use: Option<String>,
    pub family: Option<String>,
    pub text: Option<String>,
    pub given: Vec<Option<String>>,
}

impl HumanName {
    /// Given names, joined by spaces.
    pub fn given(&self) -> Option<String> {
        let parts: Vec<&str> = self.given.iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Contact {
    pub system: Option<String>,
    pub value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Address {
    pub line: Vec<Option<String>>,
    pub city: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Patient {
    pub id: Option<String>,
    pub active: Option<bool>,
    pub identifier: Vec<Identifier>,
    pub name: Vec<HumanName>,
    pub telecom: Vec<Contact>,
    pub gender: Option<String>,
    pub birth_date: Option<String>,
    pub deceased_boolean: Option<bool>,
    pub deceased_date_time: Option<String>,
    pub address: Vec<Address>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Practitioner {
    pub id: Option<String>,
    pub active: Option<bool>,
    pub identifier: Vec<Identifier>,
    pub name: Vec<HumanName>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PractitionerRole {
    pub practitioner: Option<Reference>,
    pub code: Vec<Concept>,
    pub specialty: Vec<Concept>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Period {
    pub start: Option<String>,
    pub end: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Participant {
    pub individual: Option<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Encounter {
    pub id: Option<String>,
    pub status: Option<String>,
    pub class: Option<Coding>,
    pub r#type: Vec<Concept>,
    pub subject: Option<Reference>,
    pub participant: Vec<Participant>,
    pub period: Option<Period>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Money {
    pub value: Option<Box<RawValue>>,
    pub currency: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ClaimItem {
    pub encounter: Vec<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Claim {
    pub id: Option<String>,
    pub status: Option<String>,
    pub patient: Option<Reference>,
    pub billable_period: Option<Period>,
    pub created: Option<String>,
    pub item: Vec<ClaimItem>,
    pub total: Option<Money>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Payment {
    pub date: Option<String>,
    pub amount: Option<Money>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Benefit {
    pub id: Option<String>,
    pub status: Option<String>,
    pub claim: Option<Reference>,
    pub billable_period: Option<Period>,
    pub created: Option<String>,
    pub payment: Option<Payment>,
}
