//! Rules that a field obeys by itself, whatever the chart says. The gateway checks them before a
//! request is sent (422), the unit once more as the last word.
//!
//! They bind what the network itself asks for. What a practice's own programs write is shown as it
//! is.

use chrono::NaiveDate;
use kit_event::{Date, FieldProblem};
use serde_json::Value;

use crate::commands::Command;
use crate::facts::Resource;
use crate::recordings::{Amending, Recording};
use crate::resources::{Allergy, Condition, Encounter, Immunization, Observation};

/// FHIR wants a URI; no registered one comes near.
pub const CODE_SYSTEM_CHARS_MAX: usize = 255;
/// The longest codes in use have fewer than 40 characters.
pub const CODE_CHARS_MAX: usize = 64;
/// A code in words is a line.
pub const DISPLAY_CHARS_MAX: usize = 300;
/// A short code: a category, an interpretation.
pub const WORD_CHARS_MAX: usize = 32;
/// Digits, a sign and a point: more than any instrument tells.
pub const NUMBER_CHARS_MAX: usize = 40;
/// UCUM units are short.
pub const UNIT_CHARS_MAX: usize = 40;
/// A finding in words, a reaction, a reason: some sentences, not a letter.
pub const PROSE_CHARS_MAX: usize = 1_000;
/// A lot number.
pub const LOT_CHARS_MAX: usize = 64;
/// The parts of one observation: a blood pressure has 2, a full blood count about 20.
pub const COMPONENTS_MAX: usize = 100;

/// HL7 ActCode, the classes of encounters that the network knows.
pub const CLASSES: &[&str] = &["AMB", "IMP", "EMER", "VR", "HH"];
/// FHIR R4 EncounterStatus.
pub const ENCOUNTER_STATUSES: &[&str] = &[
    "planned",
    "arrived",
    "triaged",
    "in-progress",
    "onleave",
    "finished",
    "cancelled",
    "entered-in-error",
    "unknown",
];
/// FHIR R4 condition-clinical.
pub const CONDITION_CLINICAL: &[&str] =
    &["active", "recurrence", "relapse", "inactive", "remission", "resolved"];
/// FHIR R4 condition-ver-status.
pub const CONDITION_VERIFICATION: &[&str] =
    &["unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"];
/// FHIR R4 allergyintolerance-clinical.
pub const ALLERGY_CLINICAL: &[&str] = &["active", "inactive", "resolved"];
/// FHIR R4 allergyintolerance-verification.
pub const ALLERGY_VERIFICATION: &[&str] =
    &["unconfirmed", "confirmed", "refuted", "entered-in-error"];
/// FHIR R4 AllergyIntoleranceCategory.
pub const ALLERGY_CATEGORIES: &[&str] = &["food", "medication", "environment", "biologic"];
/// FHIR R4 AllergyIntoleranceCriticality.
pub const CRITICALITIES: &[&str] = &["low", "high", "unable-to-assess"];
/// FHIR R4 ObservationStatus.
pub const OBSERVATION_STATUSES: &[&str] = &[
    "registered",
    "preliminary",
    "final",
    "amended",
    "corrected",
    "cancelled",
    "entered-in-error",
    "unknown",
];
/// FHIR R4 EventStatus, of procedures.
pub const PROCEDURE_STATUSES: &[&str] = &[
    "preparation",
    "in-progress",
    "not-done",
    "on-hold",
    "stopped",
    "completed",
    "entered-in-error",
    "unknown",
];
/// FHIR R4 Immunization status.
pub const IMMUNIZATION_STATUSES: &[&str] = &["completed", "entered-in-error", "not-done"];

/// The words that a field of a resource may be; none where it is open.
#[must_use]
pub fn closed(resource: &str, field: &str) -> Option<&'static [&'static str]> {
    Some(match (resource, field) {
        (Encounter::RESOURCE, "class") => CLASSES,
        (Encounter::RESOURCE, "status") => ENCOUNTER_STATUSES,
        (Condition::RESOURCE, "clinical_status") => CONDITION_CLINICAL,
        (Condition::RESOURCE, "verification_status") => CONDITION_VERIFICATION,
        (Allergy::RESOURCE, "clinical_status") => ALLERGY_CLINICAL,
        (Allergy::RESOURCE, "verification_status") => ALLERGY_VERIFICATION,
        (Allergy::RESOURCE, "category") => ALLERGY_CATEGORIES,
        (Allergy::RESOURCE, "criticality") => CRITICALITIES,
        (Observation::RESOURCE, "status") => OBSERVATION_STATUSES,
        ("procedure", "status") => PROCEDURE_STATUSES,
        (Immunization::RESOURCE, "status") => IMMUNIZATION_STATUSES,
        _ => return None,
    })
}

impl Command {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        match self {
            Self::Record(command) => command.validate(),
            Self::Amend(command) => command.validate(),
            Self::Finish(_) => Ok(()),
        }
    }
}

impl Recording {
    fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = vec![];
        values(self.resource, &self.values, &mut problems);
        none_or(problems)
    }
}

impl Amending {
    fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = vec![];
        for named in &self.named {
            if !self.known.contains(&named.as_str()) {
                problems.push(FieldProblem::new(named, "is no field that can be changed"));
            }
        }
        for (field, value) in &self.values {
            let named = self.touches(field);
            if named && value.is_null() && self.never_empty.contains(field) {
                problems.push(FieldProblem::new(field, "cannot be emptied"));
            }
            if !named && !value.is_null() {
                problems.push(FieldProblem::new(field, "has a value and is not named in fields"));
            }
        }
        values(self.resource, &self.values, &mut problems);
        none_or(problems)
    }
}

fn none_or(problems: Vec<FieldProblem>) -> Result<(), Vec<FieldProblem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn values(resource: &str, values: &[(&'static str, Value)], problems: &mut Vec<FieldProblem>) {
    for (field, value) in values {
        if let Value::Array(parts) = value {
            components(field, parts, problems);
        }
        let Some(text) = value.as_str() else { continue };
        let broken = match closed(resource, field) {
            Some(words) => {
                (!words.contains(&text)).then(|| format!("is one of {}", words.join(", ")))
            }
            None => open(field, text),
        };
        problems.extend(broken.map(|reason| FieldProblem::new(field, reason)));
    }
}

fn components(field: &str, parts: &[Value], problems: &mut Vec<FieldProblem>) {
    if parts.len() > COMPONENTS_MAX {
        problems.push(FieldProblem::new(field, format!("has at most {COMPONENTS_MAX} items")));
    }
    for (index, part) in parts.iter().take(COMPONENTS_MAX).enumerate() {
        for (name, value) in part.as_object().into_iter().flatten() {
            let broken = value.as_str().and_then(|text| open(name, text));
            let at = format!("{field}[{index}].{name}");
            problems.extend(broken.map(|reason| FieldProblem::new(&at, reason)));
        }
    }
}

/// The rule of a field whose words are not a closed set.
fn open(field: &str, text: &str) -> Option<String> {
    match field {
        "code_system" => plain(text, CODE_SYSTEM_CHARS_MAX)
            .or_else(|| (!is_uri(text)).then(|| "is a URI, as http://loinc.org".to_owned())),
        "code" => plain(text, CODE_CHARS_MAX)
            .or_else(|| (!is_code(text)).then(|| "is a code, without spaces around".to_owned())),
        "display" => plain(text, DISPLAY_CHARS_MAX),
        "category" | "interpretation" => plain(text, WORD_CHARS_MAX)
            .or_else(|| (!is_code(text)).then(|| "is a short code".to_owned())),
        "value_number" => (!is_decimal(text)).then(|| "is a decimal number, as 37.2".to_owned()),
        "value_unit" => plain(text, UNIT_CHARS_MAX),
        "lot" => plain(text, LOT_CHARS_MAX),
        "value_text" | "reaction" | "reason" => prose(text),
        "onset_on" | "abated_on" => {
            (!is_partial_date(text)).then(|| "is YYYY, YYYY-MM or YYYY-MM-DD".to_owned())
        }
        _ => None,
    }
}

/// Text that is there is not blank, not too long, and of characters that print.
fn plain(value: &str, chars_max: usize) -> Option<String> {
    if value.trim().is_empty() {
        Some("must not be blank".to_owned())
    } else if value.chars().count() > chars_max {
        Some(format!("has at most {chars_max} characters"))
    } else if value.chars().any(char::is_control) {
        Some("must not hold control characters".to_owned())
    } else {
        None
    }
}

fn prose(text: &str) -> Option<String> {
    let lines: String = text.chars().filter(|c| !['\n', '\r', '\t'].contains(c)).collect();
    if text.chars().count() > PROSE_CHARS_MAX {
        Some(format!("has at most {PROSE_CHARS_MAX} characters"))
    } else {
        plain(&lines, PROSE_CHARS_MAX)
    }
}

/// Whether a text names a system of codes: a scheme, a colon, no blanks.
#[must_use]
pub fn is_uri(text: &str) -> bool {
    let scheme = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    text.len() <= CODE_SYSTEM_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text.split_once(':').is_some_and(|(first, rest)| scheme(first) && !rest.is_empty())
}

/// Whether a text is a code as FHIR writes one: no blanks at its ends, no two in a row.
#[must_use]
pub fn is_code(text: &str) -> bool {
    (1..=CODE_CHARS_MAX).contains(&text.chars().count())
        && text.split(' ').all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
        && !text.chars().any(char::is_control)
}

/// Whether a text is a decimal number: a sign, digits, a point with digits behind it.
#[must_use]
pub fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    text.len() <= NUMBER_CHARS_MAX
        && match unsigned.split_once('.') {
            Some((whole, part)) => digits(whole) && digits(part),
            None => digits(unsigned),
        }
}

/// Whether a text is a date that may leave out its day, or month and day.
#[must_use]
pub fn is_partial_date(text: &str) -> bool {
    first_day(text).is_some()
}

/// The first day of a date that may leave out its day, or month and day.
#[must_use]
pub fn first_day(text: &str) -> Option<Date> {
    let full = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.to_owned(),
    };
    full.parse().ok()
}

/// The last day of such a date.
#[must_use]
pub fn last_day(text: &str) -> Option<Date> {
    let first = first_day(text)?.to_naive();
    let after = match text.len() {
        4 => first.checked_add_months(chrono::Months::new(12)),
        7 => first.checked_add_months(chrono::Months::new(1)),
        _ => return Date::from_naive(first),
    };
    after.and_then(|day: NaiveDate| day.pred_opt()).and_then(Date::from_naive)
}
