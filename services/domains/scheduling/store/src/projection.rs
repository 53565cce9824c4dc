//! Facts of the diary become rows.

use kit_store::rows::{ResourceTable, Stated, last_of_each};
use kit_store::{Entry, Projection, Step, StoreError, Unapplied, Work};
use scheduling::facts::{AppointmentFact, Fact, PractitionerFact, WorkingHoursFact};
use scheduling::{Appointment, Practitioner, WorkingHours};
use sqlx::PgConnection;

use crate::write;

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduling;

impl Scheduling {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "scheduling";
}

const STEPS: &[Step] = &[
    Step {
        version: 1001,
        name: "appointment",
        sql: include_str!("../migrations/1001_appointment.sql"),
    },
    Step {
        version: 1002,
        name: "practitioner",
        sql: include_str!("../migrations/1002_practitioner.sql"),
    },
];

const RESOURCES: &[ResourceTable] =
    &[write::APPOINTMENT, write::PRACTITIONER, write::WORKING_HOURS];

impl Projection for Scheduling {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn resources(&self) -> &'static [ResourceTable] {
        RESOURCES
    }

    fn reads(&self, type_name: &str) -> bool {
        AppointmentFact::parse(type_name).is_some()
            || PractitionerFact::parse(type_name).is_some()
            || WorkingHoursFact::parse(type_name).is_some()
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }
}

/// What a batch states, table by table.
#[derive(Default)]
struct Sorted<'a> {
    appointments: Vec<Stated<'a, Appointment>>,
    practitioners: Vec<Stated<'a, Practitioner>>,
    working_hours: Vec<Stated<'a, WorkingHours>>,
    refused: Vec<Unapplied>,
}

impl<'a> Sorted<'a> {
    fn add(&mut self, index: usize, entry: &'a Entry) {
        let fact = match Fact::read(&entry.fact.type_name, &entry.fact.body) {
            Ok(Some(fact)) => fact,
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => return,
            Err(_) => {
                // The parser's own words may quote the body.
                let cause = "the body does not read as its type".to_owned();
                self.refused.push(Unapplied { index, cause });
                return;
            }
        };
        let removed = fact.removes();
        match fact {
            Fact::Appointment(_, resource) => {
                let id = resource.appointment_id;
                self.appointments.push(Stated { entry, id, removed, resource });
            }
            Fact::Practitioner(_, resource) => {
                let id = resource.practitioner_id;
                self.practitioners.push(Stated { entry, id, removed, resource });
            }
            Fact::WorkingHours(_, resource) => {
                let id = resource.working_hours_id;
                self.working_hours.push(Stated { entry, id, removed, resource });
            }
        }
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut sorted = Sorted::default();
    for (index, entry) in entries.iter().enumerate() {
        sorted.add(index, entry);
    }
    if !sorted.appointments.is_empty() {
        write::appointments(connection, &last_of_each(sorted.appointments)).await?;
    }
    if !sorted.practitioners.is_empty() {
        write::practitioners(connection, &last_of_each(sorted.practitioners)).await?;
    }
    if !sorted.working_hours.is_empty() {
        write::working_hours(connection, &last_of_each(sorted.working_hours)).await?;
    }
    Ok(sorted.refused)
}
