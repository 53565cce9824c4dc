//! What a reference refers to, in each of the forms that Synthea writes.

use std::collections::HashMap;

use uuid::Uuid;

use super::fhir::{Identifier, Reference};

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The resource with this id (`urn:uuid:...`, `Patient/...`, an absolute address).
    Id(Uuid),
    /// Whatever resource has this identifier, as `system|value` (a conditional reference).
    Identifier(String),
}

/// What a reference to a resource of `kind` names; nothing where it names none of that kind.
pub(super) fn target(reference: &Reference, kind: &str) -> Option<Target> {
    let text = reference.reference.as_deref().unwrap_or_default();
    if let Some(id) = text.strip_prefix("urn:uuid:") {
        return id.parse().ok().map(Target::Id);
    }
    if let Some((path, query)) = text.split_once('?') {
        let named = path.rsplit('/').next() == Some(kind);
        let token = query.strip_prefix("identifier=").filter(|token| !token.is_empty());
        let token = token.filter(|_| named)?;
        return Some(Target::Identifier(token.replace("%7C", "|").replace("%7c", "|")));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let id = parts.iter().rposition(|part| *part == kind).and_then(|at| parts.get(at + 1));
    if let Some(id) = id {
        return id.parse().ok().map(Target::Id);
    }
    // Text that refers to something else outweighs an identifier beside it.
    let identifier = reference.identifier.as_ref().filter(|_| text.is_empty())?;
    token(identifier).map(Target::Identifier)
}

/// An identifier as conditional references spell it.
pub(super) fn token(identifier: &Identifier) -> Option<String> {
    let value = identifier.value.as_deref().filter(|value| !value.is_empty())?;
    Some(format!("{}|{value}", identifier.system.as_deref().unwrap_or_default()))
}

/// Ids within one document: a `fullUrl` may have another UUID than the resource it stands for.
#[derive(Debug, Default)]
pub(super) struct Aliases(HashMap<Uuid, Uuid>);

impl Aliases {
    /// The id of a resource: its own, or that of its `fullUrl`.
    pub fn learn(&mut self, id: Option<&str>, full_url: Option<&str>) -> Option<Uuid> {
        let own = id.and_then(|id| id.parse().ok());
        let outer = full_url.and_then(|url| url.strip_prefix("urn:uuid:")?.parse().ok());
        if let (Some(own), Some(outer)) = (own, outer)
            && own != outer
        {
            self.0.insert(outer, own);
        }
        own.or(outer)
    }

    /// The resource's own id.
    pub fn own(&self, id: Uuid) -> Uuid {
        self.0.get(&id).copied().unwrap_or(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "43b6ae50-2cca-4934-ad38-282f8934b770";

    fn of(reference: &str) -> Option<Target> {
        let reference = Reference { reference: Some(reference.to_owned()), ..Reference::default() };
        target(&reference, "Practitioner")
    }

    #[test]
    fn every_form_of_reference_is_understood() {
        let id = Some(Target::Id(ID.parse().unwrap()));
        for text in [
            format!("urn:uuid:{ID}"),
            format!("Practitioner/{ID}"),
            format!("https://a.example/fhir/Practitioner/{ID}/_history/1"),
        ] {
            assert_eq!(of(&text), id, "{text}");
        }
        let npi = Some(Target::Identifier("http://npi|99".to_owned()));
        assert_eq!(of("Practitioner?identifier=http://npi|99"), npi);
        assert_eq!(of("Practitioner?identifier=http://npi%7C99"), npi);
        let logical = Identifier {
            system: Some("http://npi".into()),
            value: Some("99".into()),
            ..Identifier::default()
        };
        let reference = Reference { identifier: Some(logical), ..Reference::default() };
        assert_eq!(target(&reference, "Practitioner"), npi);
    }

    #[test]
    fn what_refers_to_nothing_of_the_kind_names_nothing() {
        for text in [
            "",
            "#referral",
            "Practitioner/7",
            "Practitioner/",
            "Organization?identifier=a|b",
            "Practitioner?name=x",
            "Practitioner?identifier=",
            "urn:uuid:../../etc/passwd",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        let other = format!("Organization/{ID}");
        assert_eq!(of(&other), None);
    }
}
