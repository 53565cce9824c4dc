//! Who may do what with appointments.

use kit_policy::{Permission, Reach};

/// See practitioners.
pub const READ_PRACTITIONERS: Permission = Permission {
    name: "practitioners.read",
    staff: Reach::Units,
    patient: Reach::Units,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// Ask for free slots.
pub const ASK_SLOTS: Permission = Permission {
    name: "slots.ask",
    staff: Reach::Units,
    patient: Reach::Units,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// See appointments.
pub const READ_APPOINTMENTS: Permission = Permission {
    name: "appointments.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// Book, move and cancel appointments.
pub const BOOK_APPOINTMENTS: Permission = Permission {
    name: "appointments.book",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// Say that a patient came, was seen, or did not come.
pub const CONDUCT_VISITS: Permission = Permission {
    name: "appointments.conduct",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// All of them.
pub const ALL: &[Permission] =
    &[READ_PRACTITIONERS, ASK_SLOTS, READ_APPOINTMENTS, BOOK_APPOINTMENTS, CONDUCT_VISITS];
