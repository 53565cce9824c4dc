//! The domains that this agent links, and who of them speaks for a thing, a command or a query.

use std::collections::BTreeMap;

pub use all_domains::ALL;
use kit_event::Domain;
use serde_json::Value;

/// The domain that observes rows of this thing.
pub fn of_resource(resource: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.resources().contains(&resource))
}

/// Every thing that a domain knows.
pub fn resources() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().flat_map(kit_event::Domain::resources).copied()
}

/// What a domain expects in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promised {
    /// Any text.
    Text,
    /// A day.
    Date,
    /// An instant.
    Instant,
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// An id.
    Id,
    /// Something else, which only the domain can judge.
    Other,
}

impl Promised {
    fn of(schema: &Value) -> Self {
        let is = |word: &str| match &schema["type"] {
            Value::Array(types) => types.iter().any(|it| it == word),
            one => one == word,
        };
        match schema["format"].as_str() {
            Some("date") => Self::Date,
            Some("date-time") => Self::Instant,
            Some("uuid") => Self::Id,
            _ if is("boolean") => Self::Bool,
            _ if is("integer") => Self::Integer,
            _ if is("string") => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The fields of a thing, as its domain's snapshot promises them; none where it promises nothing.
#[must_use]
pub fn fields_of(resource: &str) -> Option<BTreeMap<String, Promised>> {
    let domain = of_resource(resource)?;
    let snapshot = format!("{}.{resource}_snapshot", domain.name());
    let source = domain.schemas().into_iter().find(|source| source.type_name == snapshot)?;
    let schema = serde_json::to_value(&source.schema).ok()?;
    let fields = schema.get("properties")?.as_object()?;
    Some(fields.iter().map(|(name, field)| (name.clone(), Promised::of(field))).collect())
}

/// The domain that decides this command.
pub fn of_command(type_name: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.commands().contains(&type_name))
}

/// The domain that answers this query.
pub fn of_query(type_name: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.queries().contains(&type_name))
}

/// Every type of command and query that the agent reads, for HELLO.
pub fn request_types() -> Vec<String> {
    ALL.into_iter()
        .flat_map(|domain| domain.commands().iter().chain(domain.queries()))
        .map(|&name| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    #[test]
    fn every_mapped_resource_has_a_domain() {
        for table in Mapping::reference().unwrap().tables {
            assert!(of_resource(&table.resource).is_some(), "{}", table.resource);
        }
        assert!(of_resource("moon").is_none());
    }

    #[test]
    fn a_domain_tells_the_fields_of_its_things() {
        let fields = fields_of("patient").unwrap();
        assert_eq!(fields["family_name"], Promised::Text);
        assert_eq!((fields["birth_date"], fields["active"]), (Promised::Date, Promised::Bool));
        assert_eq!((fields["patient_id"], fields["merged_into"]), (Promised::Id, Promised::Id));
        assert_eq!(fields_of("appointment").unwrap()["starts_at"], Promised::Instant);
        assert_eq!(fields_of("payment").unwrap()["amount_minor"], Promised::Integer);
        assert!(fields.contains_key("birth_date_raw"));
        assert!(resources().all(|resource| resource == "request" || fields_of(resource).is_some()));
        let all = resources().filter_map(fields_of).flatten();
        let other = all.filter(|(_, promised)| *promised == Promised::Other);
        // The parts of an observation are rows of their own.
        assert_eq!(other.map(|(field, _)| field).collect::<Vec<_>>(), ["components"]);
    }

    #[test]
    fn no_two_domains_take_the_same_command() {
        let mut types = request_types();
        types.sort();
        let count = types.len();
        types.dedup();
        assert_eq!(types.len(), count);
        assert!(of_command("scheduling.book_appointment").is_some());
        assert!(of_query("scheduling.free_slots").is_some());
    }
}
