//! Practitioners that were met, so that a reference to one finds them, and their specialties.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::books::{Books, Refused};
use super::fhir::Reference;
use super::reference::{Aliases, Target, target};
use super::report::Report;
use super::source::ARCHIVE_ENDS;
use super::text::cleaned;
use crate::Table;

/// Practitioners and roles that are remembered. Beyond it references are followed by what they say
/// of themselves; a country has fewer.
const REMEMBERED_MAX: usize = 1_000_000;

/// What one folder or archive calls a practitioner. Two runs of Synthea give the same provider
/// numbers to different people, so that an identifier means something only where it stands: there,
/// or in a folder above, since Synthea writes patients into folders of their own if told to.
type Named = (String, String);

/// Kinds of rows that FHIR tells of a patient, by the clinic's id: what its tables need not tell.
pub(super) type Told = HashSet<(Table, Uuid)>;

/// Practitioners by identifier, and specialties by identifier or id.
#[derive(Debug, Default)]
pub(super) struct Practitioners {
    by_identifier: HashMap<Named, Uuid>,
    specialties: HashMap<Named, String>,
}

impl Practitioners {
    /// Remembers that `token` of `scope` means the practitioner with this id in the clinic.
    pub fn remember(&mut self, scope: &str, token: String, id: Uuid) {
        if self.by_identifier.len() < REMEMBERED_MAX {
            self.by_identifier.entry((scope.to_owned(), token)).or_insert(id);
        }
    }

    /// Remembers what a role says; `key` is an identifier or an id of the source.
    pub fn specialise(&mut self, scope: &str, key: String, specialty: String) {
        if self.specialties.len() < REMEMBERED_MAX {
            self.specialties.entry((scope.to_owned(), key)).or_insert(specialty);
        }
    }

    /// The specialty under the first of these keys that has one.
    pub fn specialty(&self, scope: &str, keys: &[String]) -> Option<String> {
        let of = |key: &String| self.specialties.get(&(scope.to_owned(), key.clone())).cloned();
        keys.iter().find_map(of)
    }

    /// The practitioner whom `token` means in `scope`: the one of the nearest folder.
    fn named(&self, scope: &str, token: &str) -> Option<Uuid> {
        let mut folders = std::iter::successors(Some(scope), |scope| above(scope));
        folders.find_map(|of| self.by_identifier.get(&(of.to_owned(), token.to_owned())).copied())
    }

    /// The practitioner whom a reference names: one of the clinic's, or one made of what the
    /// reference itself says where it comes with a name.
    pub fn find(
        &self,
        books: &Books<'_>,
        scope: &str,
        reference: &Reference,
        aliases: &Aliases,
        report: &mut Report,
        waits: &mut bool,
    ) -> Result<Option<Uuid>, Refused> {
        let Some(target) = target(reference, "Practitioner") else { return Ok(None) };
        let (named, source) = match target {
            Target::Id(id) => {
                let source = aliases.own(id).to_string();
                (Some(books.id(Table::Practitioners, &source)), source)
            }
            Target::Identifier(token) => (self.named(scope, &token), token),
        };
        if let Some(id) = named
            && books.holds(Table::Practitioners, &id)?
        {
            return Ok(Some(id));
        }
        *waits = true;
        let Some(display) = cleaned(reference.display.as_deref()) else { return Ok(None) };
        let id = match named {
            Some(id) => id,
            None => books.id(Table::Practitioners, &format!("{source}\n{display}")),
        };
        let (given, family) = split(&display);
        let row: [&dyn rusqlite::ToSql; 5] =
            [&id.to_string(), &family, &given, &None::<String>, &true];
        if books.put(Table::Practitioners, &row)? {
            report.lessen(Table::Practitioners, "known by a reference alone");
        }
        Ok(Some(id))
    }
}

/// The folder that holds this one, within its archive.
fn above(scope: &str) -> Option<&str> {
    let archive = scope.find(ARCHIVE_ENDS).map_or(0, |at| at + 1);
    let folder = &scope[archive..];
    let kept = folder.rfind('/').unwrap_or(0);
    (!folder.is_empty()).then(|| &scope[..archive + kept])
}

/// Given and family name of a name in one piece, as `Dr. Paz9 Herman763`.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    let name = name.strip_prefix("Dr. ").unwrap_or(name).trim();
    match name.rsplit_once(' ') {
        Some((given, family)) => (Some(given), family),
        None => (None, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_left_for_the_folder_above_and_never_for_another_archive() {
        let ways = |scope: &'static str| {
            std::iter::successors(Some(scope), |scope| above(scope)).collect::<Vec<_>>()
        };
        assert_eq!(ways("fhir/d6/d64"), ["fhir/d6/d64", "fhir/d6", "fhir", ""]);
        assert_eq!(ways("a.tar.zst\0run/p"), ["a.tar.zst\0run/p", "a.tar.zst\0run", "a.tar.zst\0"]);
        assert_eq!(ways("x/a.tar.zst\0"), ["x/a.tar.zst\0"]);
    }

    #[test]
    fn a_name_in_one_piece_is_taken_apart() {
        assert_eq!(split("Dr. Paz9 Herman763"), (Some("Paz9"), "Herman763"));
        assert_eq!(split("Ana María Núñez"), (Some("Ana María"), "Núñez"));
        assert_eq!(split("Plato"), (None, "Plato"));
    }
}
