//! What is read when: files by their names, in an order in which nothing is named before it is
//! known.
//!
//! A patient's bundle names practitioners by conditional reference, and Synthea writes those into
//! files of their own; its bulk export and its CSV have a file for each kind. So an import goes
//! through all of its files once for each stage, and a file takes part in the stages of its name.

/// A step of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Specialties, which rows of practitioners hold.
    Roles,
    /// Practitioners, before anybody names one.
    Practitioners,
    /// Patients, and whole bundles.
    Patients,
    /// Encounters in files of their own.
    Encounters,
    /// What the lines of claims add up to: the total of a CSV claim stands nowhere else.
    Charges,
    /// Claims in files of their own.
    Claims,
    /// Payments in files of their own.
    Payments,
}

impl Stage {
    pub(super) const ALL: [Self; 7] = [
        Self::Roles,
        Self::Practitioners,
        Self::Patients,
        Self::Encounters,
        Self::Charges,
        Self::Claims,
        Self::Payments,
    ];
}

/// The stages in which resources are read kind by kind.
const MIXED: &[Stage] = &[
    Stage::Roles,
    Stage::Practitioners,
    Stage::Patients,
    Stage::Encounters,
    Stage::Claims,
    Stage::Payments,
];
/// Other kinds that Synthea's bulk export has files for.
const BULK_KINDS: &[&str] = &[
    "allergyintolerance",
    "basic",
    "careplan",
    "careteam",
    "claimresponse",
    "condition",
    "coverage",
    "device",
    "diagnosticreport",
    "documentreference",
    "goal",
    "imagingstudy",
    "immunization",
    "location",
    "media",
    "medication",
    "medicationadministration",
    "medicationrequest",
    "observation",
    "organization",
    "patient",
    "procedure",
    "provenance",
    "servicerequest",
    "supplydelivery",
];

/// A table of Synthea's CSV that a practice has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sheet {
    Providers,
    Patients,
    Encounters,
    Claims,
    Transactions,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One document: a bundle or a resource.
    Document,
    /// A document in each line.
    Lines,
    /// A document in each line, of kinds that refer to each other in any order.
    MixedLines,
    /// A table.
    Sheet(Sheet),
    /// A table for which a practice has no place.
    OtherSheet,
}

/// Whether a path leads through a folder of Synthea's for another version of FHIR. Its resources
/// look much like R4's, and tell of the same people with other ids.
pub(super) fn is_of_another_version(path: &str) -> bool {
    path.split(['/', '\\']).any(|folder| ["fhir_stu3", "fhir_dstu2"].contains(&folder))
}

/// Whether JSON of no kind is to be expected at a path: Synthea notes there how it was run
/// (`metadata`), or writes people in a form of its own (`json`).
pub(super) fn is_beside_fhir(path: &str) -> bool {
    let folder = path.rsplit(['/', '\\']).nth(1);
    folder.is_some_and(|folder| ["metadata", "json"].contains(&folder))
}

/// A file's form and the stages that it takes part in; nothing for a file of another kind.
pub(super) fn part(path: &str) -> Option<(Form, &'static [Stage])> {
    if is_of_another_version(path) {
        return None;
    }
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        "json" => Some((Form::Document, stages_of_document(stem))),
        "ndjson" => Some(lines(stem)),
        "csv" => Some(sheet(stem)),
        _ => None,
    }
}

/// Synthea names what patients refer to `hospitalInformation<time>` and
/// `practitionerInformation<time>`.
fn stages_of_document(stem: &str) -> &'static [Stage] {
    if stem.contains("practitionerinformation") || stem.contains("hospitalinformation") {
        &[Stage::Practitioners]
    } else {
        &[Stage::Patients]
    }
}

/// A bulk export names its files after the kind of resource in them. Of another file of lines
/// nobody knows what stands in it, so that every stage looks for its kinds.
fn lines(stem: &str) -> (Form, &'static [Stage]) {
    let of_kind: &[(&str, &'static [Stage])] = &[
        ("practitionerrole", &[Stage::Roles]),
        ("practitioner", &[Stage::Practitioners]),
        ("encounter", &[Stage::Encounters]),
        ("claim", &[Stage::Claims]),
        ("explanationofbenefit", &[Stage::Payments]),
    ];
    let kind = stem.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if let Some((_, stages)) = of_kind.iter().find(|(name, _)| *name == kind) {
        (Form::Lines, stages)
    } else if BULK_KINDS.contains(&kind) {
        (Form::Lines, &[Stage::Patients])
    } else {
        (Form::MixedLines, MIXED)
    }
}

fn sheet(stem: &str) -> (Form, &'static [Stage]) {
    match stem {
        "providers" => (Form::Sheet(Sheet::Providers), &[Stage::Practitioners]),
        "patients" => (Form::Sheet(Sheet::Patients), &[Stage::Patients]),
        "encounters" => (Form::Sheet(Sheet::Encounters), &[Stage::Encounters]),
        "claims" => (Form::Sheet(Sheet::Claims), &[Stage::Claims]),
        "claims_transactions" => {
            (Form::Sheet(Sheet::Transactions), &[Stage::Charges, Stage::Payments])
        }
        _ => (Form::OtherSheet, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_a_file_is_read() {
        let stages = |name| part(name).map(|(_, stages)| stages);
        assert_eq!(stages("fhir/Ann_Lee.json"), Some(&[Stage::Patients][..]));
        assert_eq!(stages("0-practitionerInformation16.json"), Some(&[Stage::Practitioners][..]));
        assert_eq!(stages("a/PractitionerRole.000.ndjson"), Some(&[Stage::Roles][..]));
        assert_eq!(stages("Practitioner.ndjson"), Some(&[Stage::Practitioners][..]));
        assert_eq!(stages("csv\\claims.CSV"), Some(&[Stage::Claims][..]));
        assert_eq!(part("observations.csv"), Some((Form::OtherSheet, &[][..])));
        assert!(["README.md", "json", "", "x.json.part"].iter().all(|name| part(name).is_none()));
    }
}
