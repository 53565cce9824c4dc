//! The list of read models: every domain's, and the timeline, which holds facts of any type.
//!
//! Whoever needs all of them (projector, rebuild, health, tests) takes them from here. A new read
//! model is a line here; a law of `tests/tidy` forbids a list anywhere else. It never names a
//! table.

use kit_store::Projection;

/// Every read model, in no order that matters.
pub static ALL: [&'static dyn Projection; 7] = [
    &patients_store::Patients,
    &scheduling_store::Scheduling,
    &billing_store::Billing,
    &records_store::MedicalRecords,
    &requests_store::Requests,
    &units_store::Units,
    &kit_timeline::Timeline,
];

/// The schemas of all read models.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|read_model| read_model.schema())
}
