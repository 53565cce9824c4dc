//! The domains that have public forms. A new one is a line here.

use kit_event::Domain;

/// Every domain, in no order that matters.
pub static ALL: [&'static dyn Domain; 5] = [
    &patients::Patients,
    &scheduling::Scheduling,
    &billing::Billing,
    &units::Units,
    &requests::Requests,
];
