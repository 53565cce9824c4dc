//! The list of domains, as whoever needs all of them holds it: agent, publisher, schemas, tests.
//!
//! The crate is pure, for a clinic's agent links it: it names the domains and nothing of theirs. A
//! new domain is a line here; a law of `tests/tidy` forbids a list anywhere else.

use kit_event::Domain;

/// Every domain, in no order that matters.
pub static ALL: [&'static dyn Domain; 6] = [
    &patients::Patients,
    &scheduling::Scheduling,
    &billing::Billing,
    &records::MedicalRecords,
    &units::Units,
    &requests::Requests,
];

/// The names of all domains, each of which has a public topic.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|domain| domain.name())
}
