//! One JSON document: a bundle or a resource that stands alone, its kinds in the order in which
//! they refer to each other.

use serde::Deserialize;
use serde_json::error::Category;

use super::books::Refused;
use super::fhir::{self, Document, Kind};
use super::reference::Aliases;
use super::resources::{NO_ID, Taker};
use super::stage::Stage;
use crate::Table;
use crate::error::PracticeError;

/// Kinds of resources that have a place in a practice, each after those that it refers to.
#[derive(Debug, Clone, Copy)]
enum Placed {
    Role,
    Practitioner,
    Patient,
    Encounter,
    Claim,
    Benefit,
}

impl Placed {
    /// When it is read where a file holds kinds that refer to each other.
    fn stage(self) -> Stage {
        match self {
            Self::Role => Stage::Roles,
            Self::Practitioner => Stage::Practitioners,
            Self::Patient => Stage::Patients,
            Self::Encounter => Stage::Encounters,
            Self::Claim => Stage::Claims,
            Self::Benefit => Stage::Payments,
        }
    }
}

const KINDS: [(&str, Placed); 6] = [
    ("PractitionerRole", Placed::Role),
    ("Practitioner", Placed::Practitioner),
    ("Patient", Placed::Patient),
    ("Encounter", Placed::Encounter),
    ("Claim", Placed::Claim),
    ("ExplanationOfBenefit", Placed::Benefit),
];
const MISSHAPEN: Refused = Refused::Skip("its fields have other types than FHIR's");

/// A resource with a place in a practice, not looked into yet.
struct Found<'a> {
    full_url: Option<String>,
    json: &'a str,
    /// Its number in its bundle; nothing where it stands alone.
    entry: Option<usize>,
}

/// Why a document holds nothing.
#[derive(Debug)]
pub(super) enum Unread {
    /// Somebody's JSON, which does not say that it is a resource.
    Untyped,
    Broken(String),
}

impl Unread {
    pub fn why(&self) -> &str {
        match self {
            Self::Untyped => "JSON, but no FHIR: it has no resourceType",
            Self::Broken(why) => why,
        }
    }
}

/// What a document holds, by kind.
pub(super) struct Contents<'a> {
    found: [Vec<Found<'a>>; KINDS.len()],
    passed_over: Vec<String>,
}

/// Looks through a document; the reason where it is none.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'_>, Unread> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Unread::Broken(format!("not UTF-8 after {} bytes", error.valid_up_to()))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Document<'_> = serde_json::from_str(text).map_err(|error| reason(&error))?;
    let mut contents = Contents { found: Default::default(), passed_over: Vec::new() };
    let kind = document.resource_type.ok_or(Unread::Untyped)?;
    if kind != "Bundle" {
        contents.sort_in(None, None, text, Some(&kind));
        return Ok(contents);
    }
    for (entry, number) in document.entry.unwrap_or_default().into_iter().zip(1..) {
        let Some(resource) = entry.resource else {
            contents.passed_over.push("entry without a resource".to_owned());
            continue;
        };
        let kind = serde_json::from_str::<Kind<'_>>(resource.get()).ok();
        let kind = kind.and_then(|kind| kind.resource_type);
        let full_url = entry.full_url.map(std::borrow::Cow::into_owned);
        contents.sort_in(Some(number), full_url, resource.get(), kind.as_deref());
    }
    Ok(contents)
}

/// What is wrong, and where; never what stands there.
fn reason(error: &serde_json::Error) -> Unread {
    let what = match error.classify() {
        Category::Eof => "JSON, cut short",
        Category::Data => "JSON, but no FHIR",
        Category::Syntax | Category::Io => "no JSON",
    };
    Unread::Broken(format!("{what} (line {}, column {})", error.line(), error.column()))
}

impl<'a> Contents<'a> {
    fn sort_in(
        &mut self,
        entry: Option<usize>,
        full_url: Option<String>,
        json: &'a str,
        kind: Option<&str>,
    ) {
        match KINDS.iter().position(|(name, _)| Some(*name) == kind) {
            Some(at) => self.found[at].push(Found { full_url, json, entry }),
            None => self.passed_over.push(kind.unwrap_or("resource without a type").to_owned()),
        }
    }

    /// Writes what it holds, or the part of it that one stage takes; what has no place is counted
    /// with the patients.
    pub fn take(self, taker: &mut Taker<'_>, only: Option<Stage>) -> Result<(), PracticeError> {
        let takes = |stage: Stage| only.is_none_or(|only| only == stage);
        for kind in self.passed_over.iter().filter(|_| takes(Stage::Patients)) {
            taker.report.pass_over(kind);
        }
        let mut aliases = Aliases::default();
        for ((_, kind), found) in KINDS.into_iter().zip(self.found) {
            for found in found.iter().filter(|_| takes(kind.stage())) {
                found.take(kind, taker, &mut aliases)?;
            }
        }
        Ok(())
    }
}

impl Found<'_> {
    /// Writes one resource, and counts what became of it.
    fn take(
        &self,
        kind: Placed,
        taker: &mut Taker<'_>,
        aliases: &mut Aliases,
    ) -> Result<(), PracticeError> {
        let (table, taken) = match kind {
            Placed::Role => {
                if let Ok(role) = self.parse() {
                    taker.role(&role);
                }
                taker.report.pass_over("PractitionerRole");
                return Ok(());
            }
            Placed::Practitioner => (Table::Practitioners, self.practitioner(taker, aliases)),
            Placed::Patient => (Table::Patients, self.patient(taker, aliases)),
            Placed::Encounter => (Table::Appointments, self.encounter(taker, aliases)),
            Placed::Claim => (Table::Invoices, self.claim(taker, aliases)),
            Placed::Benefit => (Table::Payments, self.benefit(taker, aliases)),
        };
        let place = taker.place;
        let name = || match self.entry {
            Some(number) => format!("{place}, entry {number}"),
            None => place.to_owned(),
        };
        taker.report.count(table, taken, name)
    }

    fn practitioner(&self, taker: &mut Taker<'_>, aliases: &mut Aliases) -> Result<bool, Refused> {
        let of: fhir::Practitioner = self.parse()?;
        let source = self.id(of.id.as_deref(), aliases)?;
        taker.practitioner(&of, source)
    }

    fn patient(&self, taker: &mut Taker<'_>, aliases: &mut Aliases) -> Result<bool, Refused> {
        let of: fhir::Patient = self.parse()?;
        let source = self.id(of.id.as_deref(), aliases)?;
        taker.patient(&of, source)
    }

    fn encounter(&self, taker: &mut Taker<'_>, aliases: &mut Aliases) -> Result<bool, Refused> {
        let of: fhir::Encounter = self.parse()?;
        let source = self.id(of.id.as_deref(), aliases)?;
        taker.encounter(&of, source, aliases)
    }

    fn claim(&self, taker: &mut Taker<'_>, aliases: &mut Aliases) -> Result<bool, Refused> {
        let of: fhir::Claim = self.parse()?;
        let source = self.id(of.id.as_deref(), aliases)?;
        taker.claim(&of, source, aliases)
    }

    fn benefit(&self, taker: &mut Taker<'_>, aliases: &mut Aliases) -> Result<bool, Refused> {
        let of: fhir::Benefit = self.parse()?;
        let source = self.id(of.id.as_deref(), aliases)?;
        taker.benefit(&of, source, aliases)
    }

    fn parse<'j, T: Deserialize<'j>>(&'j self) -> Result<T, Refused> {
        serde_json::from_str(self.json).map_err(|_| MISSHAPEN)
    }

    fn id(&self, own: Option<&str>, aliases: &mut Aliases) -> Result<uuid::Uuid, Refused> {
        aliases.learn(own, self.full_url.as_deref()).ok_or(NO_ID)
    }
}
