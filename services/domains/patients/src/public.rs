//! What analysts and integrators learn of a registration.
//!
//! A person must not be found again in it, not even by somebody who knows a little about them. So
//! names, contact data, the unit's own number and everything that a person typed freely stay in the
//! house; closed words pass only where they are such a word. Of the birth date there is a band of
//! five years, the last of them open at ninety, since few people are that old; of the address there
//! is the country and a postal area that holds more than [`PEOPLE_OF_AREA_MIN`] people, by a table
//! of countries whose codes are known to be so ordered, and no area elsewhere. Of a death there is
//! only that it happened. Times of events are the log's own, in the headers.

use kit_event::{Date, SchemaSource, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::facts::{Fact, PatientFact};
use crate::patient::Patient;

/// An area with fewer people might point at a few; the same bound as in the Safe Harbor rule of
/// HIPAA (45 CFR 164.514), which also ends ages at ninety.
pub const PEOPLE_OF_AREA_MIN: u32 = 20_000;
/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// A patient's registration in one unit, without anything that names a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicPatient {
    /// Opaque id of the registration; the same in every event about this patient.
    pub patient_id: Uuid,
    /// FHIR AdministrativeGender: `male`, `female`, `other` or `unknown`; absent where the unit's
    /// record says none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    /// Age in whole years at the time of the event (or at death), as a band of five: `0-4` to
    /// `85-89`, then `90+`; absent where the birth date is unknown or lies ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_band: Option<String>,
    /// Country of residence, as an ISO 3166-1 code of two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// First characters of the postal code, one or two: an area of the country that holds more than
    /// 20,000 people; absent for countries whose codes are not known to be so ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_area: Option<String>,
    /// Whether the unit has noted the patient's death.
    pub deceased: bool,
    /// Whether the unit still sees this patient.
    pub active: bool,
    /// Opaque id of the registration of the same person that stays, where this one was merged into
    /// it: people are counted once without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<Uuid>,
}

impl PublicPatient {
    /// What may be told of `patient` in an event of the time `at`.
    pub fn of(patient: &Patient, at: Timestamp) -> Self {
        let country = patient.country.as_deref().and_then(country);
        let postal_code = patient.postal_code.as_deref();
        let area = country.as_deref().zip(postal_code);
        Self {
            patient_id: patient.patient_id,
            sex: patient.sex.as_deref().and_then(sex),
            age_band: age_band(patient, at),
            postal_area: area.and_then(|(country, code)| postal_area(country, code)),
            country,
            deceased: patient.deceased_on.is_some() || patient.deceased_on_raw.is_some(),
            active: patient.is_active(),
            merged_into: patient.merged_into,
        }
    }
}

/// What may be told of a fact.
pub(crate) fn of(fact: &Fact, at: Timestamp) -> PublicPatient {
    let Fact::Patient(_, patient) = fact;
    PublicPatient::of(patient, at)
}

/// What the public forms promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let form = |kind: &PatientFact| SchemaSource {
        type_name: kind.public_type(),
        version: VERSION,
        doc: kind.doc(),
        schema: PublicPatient::schema(),
    };
    PatientFact::ALL.iter().map(form).collect()
}

fn sex(word: &str) -> Option<String> {
    let known = ["male", "female", "other", "unknown"];
    known.contains(&word).then(|| word.to_owned())
}

fn age_band(patient: &Patient, at: Timestamp) -> Option<String> {
    let today = at.to_utc().date_naive();
    let last = patient.deceased_on.map(Date::to_naive).filter(|death| *death < today);
    let years = last.unwrap_or(today).years_since(patient.birth_date?.to_naive())?;
    Some(match years {
        90.. => "90+".to_owned(),
        younger => format!("{}-{}", younger / 5 * 5, younger / 5 * 5 + 4),
    })
}

/// A code of two letters, in capitals; whatever else people write there is not told.
fn country(text: &str) -> Option<String> {
    let text = text.trim();
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| text.to_ascii_uppercase())
}

/// How the postal codes of a country are written, and how much of one names a large area.
struct Codes {
    country: &'static str,
    /// Digits of a whole code; 0 where it begins with letters that are the area.
    digits: usize,
    /// How many characters are told.
    told: usize,
}

/// Countries whose codes are known to be ordered by area. The smallest areas that these tell:
/// Lozère (FR 48) with 76,000 people, Ceuta (ES 51) with 83,000, Shetland (GB ZE) with 23,000.
const CODES: [Codes; 18] = [
    Codes { country: "AT", digits: 4, told: 1 },
    Codes { country: "AU", digits: 4, told: 1 },
    Codes { country: "BE", digits: 4, told: 1 },
    Codes { country: "CH", digits: 4, told: 1 },
    Codes { country: "CZ", digits: 5, told: 1 },
    Codes { country: "DE", digits: 5, told: 2 },
    Codes { country: "DK", digits: 4, told: 1 },
    Codes { country: "ES", digits: 5, told: 2 },
    Codes { country: "FI", digits: 5, told: 1 },
    Codes { country: "FR", digits: 5, told: 2 },
    Codes { country: "GB", digits: 0, told: 2 },
    Codes { country: "IE", digits: 0, told: 1 },
    Codes { country: "IT", digits: 5, told: 2 },
    Codes { country: "NL", digits: 4, told: 1 },
    Codes { country: "NO", digits: 4, told: 1 },
    Codes { country: "PT", digits: 4, told: 1 },
    Codes { country: "SE", digits: 5, told: 1 },
    Codes { country: "US", digits: 5, told: 2 },
];

fn postal_area(country: &str, code: &str) -> Option<String> {
    let codes = CODES.iter().find(|codes| codes.country == country)?;
    let code = code.trim();
    if codes.digits == 0 {
        let letters = code.chars().take_while(char::is_ascii_alphabetic).count();
        let is_code = (1..=2).contains(&letters)
            && code.chars().nth(letters).is_some_and(|next| next.is_ascii_digit());
        let area = code.get(..letters.min(codes.told)).filter(|_| is_code)?;
        return Some(area.to_ascii_uppercase());
    }
    // A code may be followed by more (`1100-148`, `02139-4307`, `1011 AB`) and parted (`114 55`).
    let digits: String = code.chars().filter(|one| *one != ' ').take(codes.digits).collect();
    let is_code = digits.len() == codes.digits && digits.bytes().all(|one| one.is_ascii_digit());
    is_code.then(|| digits[..codes.told].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-21T10:00:00Z";

    fn told(patient: &Patient) -> PublicPatient {
        PublicPatient::of(patient, AT.parse().unwrap())
    }

    #[test]
    fn nothing_that_a_person_typed_freely_is_told() {
        let canary = || Some("Canary Nightingale 7".to_owned());
        let patient = Patient {
            patient_id: Uuid::from_u128(7),
            mrn: canary(),
            family_name: canary(),
            given_name: canary(),
            birth_date: "1980-11-22".parse().ok(),
            birth_date_raw: canary(),
            sex: canary(),
            phone: canary(),
            email: canary(),
            address_line: canary(),
            city: canary(),
            postal_code: canary(),
            country: canary(),
            deceased_on: None,
            deceased_on_raw: canary(),
            active: Some(true),
            ..Patient::default()
        };
        let text = serde_json::to_string(&told(&patient)).unwrap();
        assert!(!text.contains("anary") && !text.contains("1980"), "{text}");
        assert!(text.contains("\"age_band\":\"45-49\""), "{text}");
        assert!(told(&patient).deceased);
    }

    #[test]
    fn an_age_is_of_the_day_of_the_event_or_of_death_and_ends_at_ninety() {
        let band = |born: &str, died: Option<&str>| {
            let patient = Patient {
                birth_date: born.parse().ok(),
                deceased_on: died.and_then(|day| day.parse().ok()),
                ..Patient::default()
            };
            told(&patient).age_band
        };
        for (born, died, expected) in [
            ("2026-11-21", None, Some("0-4")),
            ("2021-11-22", None, Some("0-4")),
            ("2021-11-21", None, Some("5-9")),
            ("1936-11-22", None, Some("85-89")),
            ("1936-11-21", None, Some("90+")),
            ("1901-01-01", None, Some("90+")),
            ("1980-01-01", Some("1999-12-31"), Some("15-19")),
            ("1980-01-01", Some("2030-01-01"), Some("45-49")),
            ("2026-11-22", None, None),
            ("not a day", None, None),
        ] {
            assert_eq!(band(born, died).as_deref(), expected, "{born} {died:?}");
        }
    }

    #[test]
    fn a_postal_area_is_large_or_absent() {
        for (country, code, expected) in [
            ("PT", "1100-148", Some("1")),
            ("de", "02826", Some("02")),
            ("FR", "48000", Some("48")),
            ("US", "02139-4307", Some("02")),
            ("NL", "1011 AB", Some("1")),
            ("SE", "114 55", Some("1")),
            ("IE", "D02 X285", Some("D")),
            ("GB", "SW1A 1AA", Some("SW")),
            ("GB", "N1 9GU", Some("N")),
            ("GB", "Nightingale", None),
            ("PT", "Canary", None),
            ("DE", "123", None),
            ("DE", "1234é", None),
            ("FR", "", None),
            ("IS", "400", None),
            ("XX", "12345", None),
        ] {
            let patient = Patient {
                country: Some(country.to_owned()),
                postal_code: Some(code.to_owned()),
                ..Patient::default()
            };
            assert_eq!(told(&patient).postal_area.as_deref(), expected, "{country} {code}");
        }
    }

    #[test]
    fn every_public_field_is_documented() {
        for source in schemas() {
            assert!(source.type_name.starts_with("public.patients."), "{}", source.type_name);
            let schema = serde_json::to_value(&source.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", source.type_name);
            }
        }
    }
}
