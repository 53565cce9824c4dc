//! Who may do what with tracked requests.

use kit_policy::{Permission, Reach};

/// See tracked requests.
pub const READ_REQUESTS: Permission = Permission {
    name: "requests.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Envelope,
};

/// Cancel requests: those that the caller made, and where it reaches further those of a type that
/// the caller could ask for itself.
pub const CANCEL_REQUESTS: Permission = Permission {
    name: "requests.cancel",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// All of them.
pub const ALL: &[Permission] = &[READ_REQUESTS, CANCEL_REQUESTS];
