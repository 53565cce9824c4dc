//! Facts of charts become rows.

use kit_store::rows::{ResourceTable, Stated, last_of_each};
use kit_store::{Entry, Projection, Step, StoreError, Unapplied, Work};
use records::{
    Allergy, AllergyFact, Condition, ConditionFact, Encounter, EncounterFact, Fact, Immunization,
    ImmunizationFact, Observation, ObservationFact, Procedure, ProcedureFact,
};
use sqlx::PgConnection;

use crate::tables::{self, Charted};

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct MedicalRecords;

impl MedicalRecords {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "records";
}

macro_rules! steps {
    ($($version:literal $name:literal,)+) => {
        const STEPS: &[Step] = &[$(Step {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../migrations/", $version, "_", $name, ".sql")),
        }),+];
    };
}
steps! {
    1001 "encounter",
    1002 "condition",
    1003 "allergy",
    1004 "observation",
    1005 "procedure",
    1006 "immunization",
}

/// One line for each resource.
macro_rules! resources {
    ($($name:ident($kind:ident) in $states:ident,)+) => {
        const RESOURCES: &[ResourceTable] = &[$($name::TABLE),+];

        fn reads(type_name: &str) -> bool {
            $($kind::parse(type_name).is_some())||+
        }

        /// What a batch states, table by table.
        #[derive(Default)]
        struct Sorted<'a> {
            $($states: Vec<Stated<'a, $name>>,)+
            refused: Vec<Unapplied>,
        }

        impl<'a> Sorted<'a> {
            fn put(&mut self, entry: &'a Entry, fact: Fact) {
                let removed = fact.removes();
                match fact {
                    $(Fact::$name(_, resource) => {
                        let id = records::Resource::id(&resource);
                        self.$states.push(Stated { entry, id, removed, resource });
                    })+
                }
            }

            async fn write(self, connection: &mut PgConnection) -> Result<(), StoreError> {
                $(tables::write(connection, &last_of_each(self.$states)).await?;)+
                Ok(())
            }
        }
    };
}
resources! {
    Encounter(EncounterFact) in encounters,
    Condition(ConditionFact) in conditions,
    Allergy(AllergyFact) in allergies,
    Observation(ObservationFact) in observations,
    Procedure(ProcedureFact) in procedures,
    Immunization(ImmunizationFact) in immunizations,
}

impl Projection for MedicalRecords {
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
        reads(type_name)
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut sorted = Sorted::default();
    for (index, entry) in entries.iter().enumerate() {
        match Fact::read(&entry.fact.type_name, &entry.fact.body) {
            Ok(Some(fact)) => sorted.put(entry, fact),
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => {}
            Err(_) => {
                // The parser's own words may quote the body.
                let cause = "the body does not read as its type".to_owned();
                sorted.refused.push(Unapplied { index, cause });
            }
        }
    }
    let refused = std::mem::take(&mut sorted.refused);
    sorted.write(connection).await?;
    Ok(refused)
}
