//! The present version of every schema that the domain promises.

use kit_event::SchemaSource;
use utoipa::PartialSchema;

use crate::commands::{
    ArriveAppointment, BookAppointment, CancelAppointment, Command, FreeSlots, FulfilAppointment,
    NoshowAppointment, RescheduleAppointment,
};
use crate::facts::{AppointmentFact, PractitionerFact, WorkingHoursFact};
use crate::{Appointment, Practitioner, WorkingHours};

pub(crate) fn all() -> Vec<SchemaSource> {
    let fact = |type_name, version, doc, schema| SchemaSource { type_name, version, doc, schema };
    let appointments = AppointmentFact::ALL
        .iter()
        .map(|kind| fact(kind.type_name(), kind.version(), kind.doc(), Appointment::schema()));
    let practitioners = PractitionerFact::ALL
        .iter()
        .map(|kind| fact(kind.type_name(), kind.version(), kind.doc(), Practitioner::schema()));
    let hours = WorkingHoursFact::ALL
        .iter()
        .map(|kind| fact(kind.type_name(), kind.version(), kind.doc(), WorkingHours::schema()));
    appointments.chain(practitioners).chain(hours).chain(asked()).collect()
}

fn asked() -> [SchemaSource; 7] {
    let command =
        |type_name, doc, schema| SchemaSource { type_name, version: Command::VERSION, doc, schema };
    [
        command(
            BookAppointment::TYPE,
            "Asks the unit to put an appointment into a practitioner's diary.",
            BookAppointment::schema(),
        ),
        command(
            RescheduleAppointment::TYPE,
            "Asks the unit to move a booked appointment.",
            RescheduleAppointment::schema(),
        ),
        command(
            CancelAppointment::TYPE,
            "Asks the unit to cancel an appointment.",
            CancelAppointment::schema(),
        ),
        command(
            ArriveAppointment::TYPE,
            "Says that the patient has come.",
            ArriveAppointment::schema(),
        ),
        command(
            FulfilAppointment::TYPE,
            "Says that the visit has taken place.",
            FulfilAppointment::schema(),
        ),
        command(
            NoshowAppointment::TYPE,
            "Says that the patient has not come.",
            NoshowAppointment::schema(),
        ),
        command(
            FreeSlots::TYPE,
            "Asks for the free slots of a practitioner that begin in a range.",
            FreeSlots::schema(),
        ),
    ]
}
