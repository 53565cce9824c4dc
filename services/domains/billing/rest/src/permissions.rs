//! Who may do what with money.

use kit_policy::{Permission, Reach};

/// See invoices, balances and payments.
pub const READ_INVOICES: Permission = Permission {
    name: "invoices.read",
    staff: Reach::Units,
    patient: Reach::Own,
    partner: Reach::Units,
    admin: Reach::Nothing,
};

/// Say that an invoice was paid. A patient does not: that money came is for those to say who took
/// it.
pub const PAY: Permission = Permission {
    name: "payments.make",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// Say that a payment was given back.
pub const REFUND: Permission = Permission {
    name: "payments.refund",
    staff: Reach::Units,
    patient: Reach::Nothing,
    partner: Reach::Nothing,
    admin: Reach::Nothing,
};

/// All of them.
pub const ALL: &[Permission] = &[READ_INVOICES, PAY, REFUND];
