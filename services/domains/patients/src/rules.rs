//! Rules that a field obeys by itself, whatever the unit's records say. The gateway checks them
//! before a request is sent (422), the unit once more as the last word.
//!
//! They are lenient about how people write, and strict about size and about what would break a
//! reader: text without control characters, dates that are dates.

use kit_event::{Date, FieldProblem};
use serde_json::Value;

use crate::commands::{Command, RegisterPatient, UpdatePatient};

/// Names are longer than forms think; 200 characters hold every one that we have met.
pub const NAME_CHARS_MAX: usize = 200;
/// A record number is a number or a short code.
pub const MRN_CHARS_MAX: usize = 64;
/// E.164 has 15 digits; the rest is room for spaces, brackets and an extension.
pub const PHONE_CHARS_MAX: usize = 40;
/// RFC 5321 allows no longer path.
pub const EMAIL_CHARS_MAX: usize = 254;
/// A street, a house, a floor, a door.
pub const ADDRESS_CHARS_MAX: usize = 300;
/// The longest town names have fewer than 100 letters.
pub const CITY_CHARS_MAX: usize = 120;
/// No country's postal code comes near.
pub const POSTAL_CODE_CHARS_MAX: usize = 20;
/// A code of two or three letters, or the name as written.
pub const COUNTRY_CHARS_MAX: usize = 80;

/// FHIR R4 AdministrativeGender.
pub const SEXES: &[&str] = &["male", "female", "other", "unknown"];

impl Command {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        match self {
            Self::Register(command) => command.validate(),
            Self::Update(command) => command.validate(),
            // Two ids: nothing that a rule by itself could say.
            Self::Merge(_) => Ok(()),
        }
    }
}

impl RegisterPatient {
    /// Checks every field by itself.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = vec![];
        texts(&self.values(), &mut problems);
        dates(Some(self.birth_date), self.deceased_on, &mut problems);
        none_or(problems)
    }
}

impl UpdatePatient {
    /// Checks every field by itself, and that names and values agree.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn validate(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = vec![];
        for named in &self.fields {
            if !Self::FIELDS.contains(&named.as_str()) {
                problems.push(FieldProblem::new(named, "is no field that can be changed"));
            }
        }
        let values = self.values();
        for (field, value) in &values {
            let named = self.touches(field);
            if named && value.is_null() && Self::NEVER_EMPTY.contains(field) {
                problems.push(FieldProblem::new(field, "cannot be emptied"));
            }
            if !named && !value.is_null() {
                problems.push(FieldProblem::new(field, "has a value and is not named in fields"));
            }
        }
        texts(&values, &mut problems);
        dates(self.birth_date, self.deceased_on, &mut problems);
        none_or(problems)
    }
}

/// Checks every text that is there.
fn texts(values: &[(&str, Value)], problems: &mut Vec<FieldProblem>) {
    for (field, value) in values {
        let Some(value) = value.as_str() else { continue };
        let broken = match *field {
            "mrn" => plain(value, MRN_CHARS_MAX),
            "family_name" | "given_name" => plain(value, NAME_CHARS_MAX),
            "sex" if !SEXES.contains(&value) => {
                Some("is male, female, other or unknown".to_owned())
            }
            "phone" => plain(value, PHONE_CHARS_MAX).or_else(|| phone(value)),
            "email" => plain(value, EMAIL_CHARS_MAX).or_else(|| email(value)),
            "address_line" => plain(value, ADDRESS_CHARS_MAX),
            "city" => plain(value, CITY_CHARS_MAX),
            "postal_code" => plain(value, POSTAL_CODE_CHARS_MAX),
            "country" => plain(value, COUNTRY_CHARS_MAX),
            _ => None,
        };
        problems.extend(broken.map(|reason| FieldProblem::new(field, reason)));
    }
}

fn none_or(problems: Vec<FieldProblem>) -> Result<(), Vec<FieldProblem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
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

/// Only what can be seen without the records: both dates are in the command.
fn dates(birth: Option<Date>, death: Option<Date>, problems: &mut Vec<FieldProblem>) {
    if let (Some(birth), Some(death)) = (birth, death)
        && death < birth
    {
        problems.push(FieldProblem::new("deceased_on", "is not before birth_date"));
    }
}

/// Numbers are written in many ways; three digits and nothing strange is all we ask.
fn phone(value: &str) -> Option<String> {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let usual = |c: char| c.is_ascii_digit() || " +-().,/#*xext:".contains(c);
    let fits = digits >= 3 && value.chars().all(usual);
    (!fits).then(|| "is no telephone number".to_owned())
}

/// Something before the last `@`, something behind it, no space: only a mail tells more.
fn email(value: &str) -> Option<String> {
    let whole = value.rsplit_once('@').is_some_and(|(to, at)| !to.is_empty() && !at.is_empty());
    let fits = whole && !value.chars().any(char::is_whitespace);
    (!fits).then(|| "is no e-mail address".to_owned())
}
