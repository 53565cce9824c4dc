//! Patients and practitioners: their rows, and how plausible ones are made up.

use chrono::{Days, Months, NaiveDate};
use rand::Rng;
use rand::seq::IndexedRandom;
use rusqlite::{Connection, params};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::error::{PracticeError, during};
use crate::words::{Land, SPECIALTIES, TONGUES, Tongue};

/// A row of `patients`, column by column: text as somebody typed it, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patient {
    /// Key.
    pub patient_id: Uuid,
    /// Medical record number of this unit.
    pub mrn: Option<String>,
    /// Family name.
    pub family_name: String,
    /// Given names, joined by spaces.
    pub given_name: Option<String>,
    /// `YYYY-MM-DD` when typed well.
    pub birth_date: Option<String>,
    /// FHIR administrative gender.
    pub sex: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Email.
    pub email: Option<String>,
    /// Street and number.
    pub address_line: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// Day of death, `YYYY-MM-DD`.
    pub deceased_on: Option<String>,
    /// Whether the registration is in use.
    pub active: bool,
}

impl Patient {
    /// An active patient with a name, a random id and nothing else, for a test to fill.
    #[must_use]
    pub fn named(given_name: &str, family_name: &str) -> Self {
        Self {
            patient_id: Uuid::new_v4(),
            given_name: Some(given_name.to_owned()),
            family_name: family_name.to_owned(),
            active: true,
            ..Self::default()
        }
    }

    /// Writes the row with `verb` (`INSERT`, `REPLACE`).
    pub(crate) fn write(&self, connection: &Connection, verb: &str) -> Result<(), PracticeError> {
        // By position: names would be looked up for each of a clinic's thousands of rows.
        let sql = format!(
            "{verb} INTO patients (patient_id, mrn, family_name, given_name, birth_date, sex, \
             phone, email, address_line, city, postal_code, country, deceased_on, active) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        );
        let act = "writing a patient";
        let mut statement = connection.prepare_cached(&sql).map_err(during(act))?;
        statement
            .execute(params![
                self.patient_id.to_string(),
                self.mrn,
                self.family_name,
                self.given_name,
                self.birth_date,
                self.sex,
                self.phone,
                self.email,
                self.address_line,
                self.city,
                self.postal_code,
                self.country,
                self.deceased_on,
                self.active,
            ])
            .map_err(during(act))?;
        Ok(())
    }
}

/// A row of `practitioners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// Key.
    pub practitioner_id: Uuid,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: Option<String>,
    /// Free text.
    pub specialty: Option<String>,
    /// Whether they still see patients.
    pub active: bool,
}

impl Practitioner {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PracticeError> {
        let sql = "INSERT INTO practitioners (practitioner_id, family_name, given_name, specialty, \
                   active) VALUES (?1, ?2, ?3, ?4, ?5)";
        let id = self.practitioner_id.to_string();
        let row = params![id, self.family_name, self.given_name, self.specialty, self.active];
        connection.execute(sql, row).map_err(during("writing a practitioner"))?;
        Ok(())
    }
}

/// A row of `working_hours`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingHours {
    /// Whose.
    pub practitioner_id: Uuid,
    /// ISO 1 (Monday) to 7.
    pub weekday: u32,
    /// `HH:MM`, wall time of the unit.
    pub starts: String,
    /// `HH:MM`, wall time of the unit.
    pub ends: String,
    /// Length of a slot, in minutes.
    pub slot_min: u32,
}

impl WorkingHours {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PracticeError> {
        let sql = "INSERT INTO working_hours (practitioner_id, weekday, starts, ends, slot_min) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let id = self.practitioner_id.to_string();
        let row = params![id, self.weekday, self.starts, self.ends, self.slot_min];
        connection.execute(sql, row).map_err(during("writing working hours"))?;
        Ok(())
    }
}

/// Ages by decade, in shares of a European practice's register.
const AGE_PYRAMID: &[(u32, u32)] = &[
    (0, 9),
    (10, 10),
    (20, 12),
    (30, 13),
    (40, 14),
    (50, 14),
    (60, 12),
    (70, 10),
    (80, 5),
    (90, 1),
];
/// Of 100 people, those whose family speaks the language of the land.
const AT_HOME_PERCENT: u32 = 65;

pub(crate) fn random_uuid(rng: &mut impl Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

pub(crate) fn chance(rng: &mut impl Rng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}

pub(crate) fn pick<T>(rng: &mut impl Rng, of: &'static [T]) -> &'static T {
    of.choose(rng).expect("the lists of words are not empty")
}

fn tongue(rng: &mut impl Rng, land: &Land) -> &'static Tongue {
    if chance(rng, AT_HOME_PERCENT) { &TONGUES[land.tongue] } else { pick(rng, TONGUES) }
}

/// A plausible patient on the day `today`; `number` becomes the record number.
pub fn patient(rng: &mut impl Rng, land: &Land, today: NaiveDate, number: u32) -> Patient {
    let words = tongue(rng, land);
    let female = chance(rng, 51);
    let given = pick(rng, if female { words.female } else { words.male });
    let mut family = (*pick(rng, words.family)).to_owned();
    if chance(rng, 12) {
        family = format!("{family}-{}", pick(rng, words.family));
    }
    let (birth, age) = birth(rng, today);
    let deceased = age >= 60 && chance(rng, 4);
    let (city, postal) = pick(rng, land.cities);
    let street = pick(rng, land.streets);
    let house = rng.random_range(1..180);
    Patient {
        patient_id: random_uuid(rng),
        mrn: Some(format!("{:07}", 1_000_000 + number)),
        phone: chance(rng, 88).then(|| phone(rng, land)),
        email: chance(rng, 62).then(|| email(given, &family, number)),
        family_name: family,
        given_name: Some((*given).to_owned()),
        birth_date: Some(birth.to_string()),
        sex: sex(rng, female).map(str::to_owned),
        address_line: Some(format!("{street} {house}")),
        city: Some((*city).to_owned()),
        postal_code: Some((*postal).to_owned()),
        country: Some(land.country.to_owned()),
        deceased_on: deceased.then(|| death(rng, today).to_string()),
        active: !deceased && !chance(rng, 3),
    }
}

fn birth(rng: &mut impl Rng, today: NaiveDate) -> (NaiveDate, u32) {
    let all: u32 = AGE_PYRAMID.iter().map(|(_, share)| share).sum();
    let mut at = rng.random_range(0..all);
    let mut decade = 0;
    for (age, share) in AGE_PYRAMID {
        decade = *age;
        if at < *share {
            break;
        }
        at -= share;
    }
    let age = decade + rng.random_range(0..10);
    let back = rng.random_range(0..365);
    (today - Months::new(12 * age) - Days::new(back), age)
}

/// Within two years, so always after a birth sixty years ago.
fn death(rng: &mut impl Rng, today: NaiveDate) -> NaiveDate {
    today - Days::new(rng.random_range(1..730))
}

fn sex(rng: &mut impl Rng, female: bool) -> Option<&'static str> {
    match rng.random_range(0..200) {
        0 => Some("other"),
        1 => Some("unknown"),
        2 => None,
        _ if female => Some("female"),
        _ => Some("male"),
    }
}

pub(crate) fn phone(rng: &mut impl Rng, land: &Land) -> String {
    let (prefix, digits) = land.dial;
    let digits: String = (0..digits).map(|_| char::from(rng.random_range(b'0'..=b'9'))).collect();
    format!("{prefix}{digits}")
}

fn email(given: &str, family: &str, number: u32) -> String {
    let plain = |text: &str| -> String {
        text.nfd().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    format!("{}.{}{number}@example.org", plain(given), plain(family))
}

/// The practitioners of a practice, with their hours.
pub fn staff(
    rng: &mut impl Rng,
    land: &Land,
    count: usize,
) -> Vec<(Practitioner, Vec<WorkingHours>)> {
    (0..count).map(|index| member(rng, land, index)).collect()
}

fn member(rng: &mut impl Rng, land: &Land, index: usize) -> (Practitioner, Vec<WorkingHours>) {
    let words = tongue(rng, land);
    let female = chance(rng, 60);
    let practitioner = Practitioner {
        practitioner_id: random_uuid(rng),
        family_name: (*pick(rng, words.family)).to_owned(),
        given_name: Some((*pick(rng, if female { words.female } else { words.male })).to_owned()),
        specialty: Some(SPECIALTIES[index % SPECIALTIES.len()].to_owned()),
        active: true,
    };
    let hours = week(rng, practitioner.practitioner_id, index);
    (practitioner, hours)
}

/// Mornings and afternoons around a lunch break. The first practitioner works every weekday, so
/// that a practice is never without one; the second has an evening and a Saturday morning.
fn week(rng: &mut impl Rng, practitioner_id: Uuid, index: usize) -> Vec<WorkingHours> {
    let slot_min = *pick(rng, &[15, 20, 30]);
    let morning = *pick(rng, &[("08:00", "12:00"), ("08:30", "12:30"), ("09:00", "13:00")]);
    let afternoon = *pick(rng, &[("13:30", "17:30"), ("14:00", "17:00"), ("14:00", "18:00")]);
    let hours = |weekday, (starts, ends): (&str, &str)| WorkingHours {
        practitioner_id,
        weekday,
        starts: starts.to_owned(),
        ends: ends.to_owned(),
        slot_min,
    };
    let mut week = Vec::new();
    for weekday in 1..=5 {
        let (works, short) = (index == 0 || chance(rng, 85), chance(rng, 20));
        if works {
            week.push(hours(weekday, morning));
        }
        if works && !short {
            week.push(hours(weekday, afternoon));
        }
    }
    if index == 1 {
        week.push(hours(4, ("18:30", "20:30")));
        week.push(hours(6, ("09:00", "12:00")));
    }
    week
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::words::LANDS;

    #[test]
    fn people_are_of_all_ages_and_none_was_born_tomorrow() {
        let today: NaiveDate = "2026-03-01".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let people: Vec<_> = (0..1_000).map(|n| patient(&mut rng, &LANDS[0], today, n)).collect();
        let born = |p: &Patient| p.birth_date.clone().unwrap().parse::<NaiveDate>().unwrap();
        assert!(people.iter().all(|p| born(p) <= today));
        let children = people.iter().filter(|p| born(p) > today - Months::new(12 * 18)).count();
        assert!((100..300).contains(&children), "{children} children of 1,000");
        for dead in people.iter().filter(|p| p.deceased_on.is_some()) {
            assert!(!dead.active && dead.deceased_on > dead.birth_date);
        }
        assert!(people.iter().any(|p| !p.family_name.is_ascii()));
    }
}
