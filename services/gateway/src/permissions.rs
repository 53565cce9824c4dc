//! Who may do what with the network itself; domains declare theirs.

use kit_policy::{Permission, Reach};
use kit_rest::facts::READ_GENERIC;

/// See tracked requests.
pub const READ_REQUESTS: Permission = Permission {
    name: "requests.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Envelope,
};

/// Cancel requests; who is confined to the own records, only those that it made.
pub const CANCEL_REQUESTS: Permission = Permission {
    name: "requests.cancel",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// See units, their presence and freshness.
pub const READ_UNITS: Permission = Permission {
    name: "units.read",
    staff: Reach::Units,
    patient: Reach::Units,
    partner: Reach::Units,
    admin: Reach::Units,
};

/// See a unit's facts, about anybody: of each type that the caller may read as a resource.
pub const READ_EVENTS: Permission = Permission {
    name: "events.read",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// See the facts that tell one patient something: of each type that the caller may read as a
/// resource.
pub const READ_PATIENT_EVENTS: Permission = Permission {
    name: "patients.events",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// All of them.
pub const OWN: &[Permission] =
    &[READ_REQUESTS, CANCEL_REQUESTS, READ_UNITS, READ_EVENTS, READ_PATIENT_EVENTS, READ_GENERIC];

/// Every permission that a route or a fact asks for, those of the domains among them.
pub fn all() -> Vec<Permission> {
    let of_domains = all_rest::ALL.iter().flat_map(|face| face.permissions());
    [Permission::PUBLIC].iter().chain(OWN).chain(of_domains).copied().collect()
}
