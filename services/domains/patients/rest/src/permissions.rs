//! Who may do what with registrations.

use kit_policy::{Permission, Reach};

/// See the list of a unit's patients.
pub const LIST_PATIENTS: Permission = Permission {
    name: "patients.list",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// See one patient.
pub const READ_PATIENT: Permission = Permission {
    name: "patients.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// Register patients and change registrations.
pub const WRITE_PATIENTS: Permission = Permission {
    name: "patients.write",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// All of them.
pub const ALL: &[Permission] = &[LIST_PATIENTS, READ_PATIENT, WRITE_PATIENTS];
