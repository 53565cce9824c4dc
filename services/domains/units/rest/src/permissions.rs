//! Who may do what with units.

use kit_policy::{Permission, Reach};

/// See units, their presence and freshness.
pub const READ_UNITS: Permission = Permission {
    name: "units.read",
    staff: Reach::Units,
    patient: Reach::Units,
    partner: Reach::Units,
    admin: Reach::Units,
};

/// All of them.
pub const ALL: &[Permission] = &[READ_UNITS];
