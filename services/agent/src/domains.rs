//! The domains that this agent links, and who of them speaks for a thing, a wish or a query.

use std::collections::BTreeSet;

use kit_event::Domain;

/// Every domain, in one list.
pub static ALL: [&dyn Domain; 5] = [
    &patients::Patients,
    &scheduling::Scheduling,
    &billing::Billing,
    &units::Units,
    &requests::Requests,
];

/// The domain that observes rows of this thing.
pub fn of_thing(thing: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.things().contains(&thing))
}

/// Every thing that a domain knows.
pub fn things() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().flat_map(|domain| domain.things()).copied()
}

/// The fields of a thing, as its domain's snapshot promises them; none where it promises nothing.
pub fn fields_of(thing: &str) -> Option<BTreeSet<String>> {
    let domain = of_thing(thing)?;
    let snapshot = format!("{}.{thing}_snapshot", domain.name());
    let source = domain.schemas().into_iter().find(|source| source.type_name == snapshot)?;
    let schema = serde_json::to_value(&source.schema).ok()?;
    Some(schema.get("properties")?.as_object()?.keys().cloned().collect())
}

/// The domain that decides this wish.
pub fn of_wish(type_name: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.wishes().contains(&type_name))
}

/// The domain that answers this query.
pub fn of_query(type_name: &str) -> Option<&'static dyn Domain> {
    ALL.into_iter().find(|domain| domain.queries().contains(&type_name))
}

/// Every type of wish and query that the agent reads, for HELLO.
pub fn request_types() -> Vec<String> {
    ALL.into_iter()
        .flat_map(|domain| domain.wishes().iter().chain(domain.queries()))
        .map(|&name| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;

    #[test]
    fn every_mapped_thing_has_a_domain() {
        for table in Mapping::reference().unwrap().tables {
            assert!(of_thing(&table.thing).is_some(), "{}", table.thing);
        }
        assert!(of_thing("moon").is_none());
    }

    #[test]
    fn a_domain_tells_the_fields_of_its_things() {
        let fields = fields_of("patient").unwrap();
        assert!(fields.contains("family_name") && fields.contains("birth_date_raw"));
        assert!(things().all(|thing| thing == "request" || fields_of(thing).is_some()));
    }

    #[test]
    fn no_two_domains_take_the_same_wish() {
        let mut types = request_types();
        types.sort();
        let count = types.len();
        types.dedup();
        assert_eq!(types.len(), count);
        assert!(of_wish("scheduling.book_appointment").is_some());
        assert!(of_query("scheduling.free_slots").is_some());
    }
}
