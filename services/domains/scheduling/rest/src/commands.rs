//! The commands of scheduling, as they are submitted at REST.

use kit_event::UnitId;
use kit_request::ports::Later;
use kit_rest::command::{Creates, read};
use kit_rest::read::patient_of;
use kit_rest::{CommandDef, Whose};
use kit_store::StoreError;
use scheduling::{
    ArriveAppointment, BookAppointment, CancelAppointment, Command, FulfilAppointment,
    NoshowAppointment, RescheduleAppointment,
};
use sqlx::PgPool;
use uuid::Uuid;

/// Fields of the command to book that the server sets.
pub const BOOK_SET: &[&str] = &["appointment_id"];
/// Fields of every command about a booked appointment that the server sets.
pub const CHANGE_SET: &[&str] = &["appointment_id", "if_match"];

/// Book.
pub static BOOK: CommandDef = CommandDef {
    type_name: BookAppointment::TYPE,
    version: Command::VERSION,
    collection: "appointments",
    creates: Some(Creates { field: "appointment_id", kind: "appointment" }),
    addressed: None,
    if_match: false,
    names_fields: false,
    not_found: None,
    set_by_server: BOOK_SET,
    whose: Whose::Field("patient_id"),
    read: |fields| read(fields, |it: &BookAppointment| Command::Book(it.clone()).validate()),
};

macro_rules! changes {
    ($($(#[$doc:meta])* $name:ident = $command:ident as $variant:ident;)+) => {
        $($(#[$doc])*
        pub static $name: CommandDef = CommandDef {
            type_name: $command::TYPE,
            version: Command::VERSION,
            collection: "appointments",
            creates: None,
            addressed: Some("appointment_id"),
            if_match: true,
            names_fields: false,
            not_found: Some("appointment-unknown"),
            set_by_server: CHANGE_SET,
            whose: Whose::Record(patient),
            read: |fields| {
                read(fields, |it: &$command| Command::$variant(it.clone()).validate())
            },
        };)+
    };
}
changes! {
    /// Cancel.
    CANCEL = CancelAppointment as Cancel;
    /// Move to another time.
    RESCHEDULE = RescheduleAppointment as Reschedule;
    /// The patient has come.
    ARRIVE = ArriveAppointment as Arrive;
    /// The visit has taken place.
    FULFIL = FulfilAppointment as Fulfil;
    /// The patient has not come.
    NOSHOW = NoshowAppointment as Noshow;
}

/// Whom an appointment concerns: no row, a row that names nobody, or a patient.
#[expect(clippy::option_option, reason = "three answers, as `CommandDef` asks for them")]
fn patient<'a>(
    pool: &'a PgPool,
    unit: &'a UnitId,
    id: Uuid,
) -> Later<'a, Result<Option<Option<Uuid>>, StoreError>> {
    Box::pin(async move {
        let found = scheduling_store::appointment(pool, unit, id).await?;
        Ok(found.value.map(|row| patient_of(&row)))
    })
}
