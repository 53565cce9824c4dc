//! Who may see the timeline; domains declare what is theirs.

use kit_policy::{Permission, Reach};
use kit_rest::facts::READ_GENERIC;

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
pub const OWN: &[Permission] = &[READ_EVENTS, READ_PATIENT_EVENTS, READ_GENERIC];

/// Every permission that a route or a fact asks for, those of the domains among them.
pub fn all() -> Vec<Permission> {
    let of_domains = all_rest::ALL.iter().flat_map(|face| face.permissions());
    [Permission::PUBLIC].iter().chain(OWN).chain(of_domains).copied().collect()
}
