//! Who may do what with charts.

use kit_policy::{Permission, Reach};

/// See charts. Patients see their own; partners see none until a unit and its patients let them.
pub const READ_CHARTS: Permission = Permission {
    name: "charts.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// Record, amend and take back what stands in charts.
pub const WRITE_CHARTS: Permission = Permission {
    name: "charts.write",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// Begin and end encounters.
pub const CONDUCT_ENCOUNTERS: Permission = Permission {
    name: "encounters.conduct",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// All of them.
pub const ALL: &[Permission] = &[READ_CHARTS, WRITE_CHARTS, CONDUCT_ENCOUNTERS];
