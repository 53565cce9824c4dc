//! What can have happened in a chart, and how it is named.

use kit_event::Observed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::PartialSchema;
use uuid::Uuid;

use crate::resources::{
    Allergy, Condition, ENTERED_IN_ERROR, Encounter, Immunization, Observation, Procedure,
};

kit_event::fact_kinds! {
    /// What happened to an encounter.
    EncounterFact {
        #[doc = "A patient and the unit's people met, or will."]
        Started = "records.encounter_started",
        #[doc = "The encounter is over."]
        Finished = "records.encounter_finished",
        #[doc = "Some other field changed."]
        Amended = "records.encounter_amended",
        #[doc = "The encounter should not have been recorded."]
        EnteredInError = "records.encounter_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.encounter_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the encounter."]
        Snapshot = "records.encounter_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to a condition.
    ConditionFact {
        #[doc = "A problem or diagnosis was recorded."]
        Recorded = "records.condition_recorded",
        #[doc = "The condition is over."]
        Resolved = "records.condition_resolved",
        #[doc = "Some other field changed."]
        Amended = "records.condition_amended",
        #[doc = "The condition should not have been recorded."]
        EnteredInError = "records.condition_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.condition_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the condition."]
        Snapshot = "records.condition_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to an allergy or intolerance.
    AllergyFact {
        #[doc = "An allergy or intolerance was recorded."]
        Recorded = "records.allergy_recorded",
        #[doc = "Some field of the allergy changed."]
        Amended = "records.allergy_amended",
        #[doc = "The allergy should not have been recorded."]
        EnteredInError = "records.allergy_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.allergy_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the allergy."]
        Snapshot = "records.allergy_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to an observation.
    ObservationFact {
        #[doc = "An observation was recorded."]
        Recorded = "records.observation_recorded",
        #[doc = "Some field of the observation changed."]
        Amended = "records.observation_amended",
        #[doc = "The observation should not have been recorded."]
        EnteredInError = "records.observation_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.observation_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the observation."]
        Snapshot = "records.observation_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to a procedure.
    ProcedureFact {
        #[doc = "A procedure was recorded."]
        Recorded = "records.procedure_recorded",
        #[doc = "Some field of the procedure changed."]
        Amended = "records.procedure_amended",
        #[doc = "The procedure should not have been recorded."]
        EnteredInError = "records.procedure_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.procedure_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the procedure."]
        Snapshot = "records.procedure_snapshot",
    }
}

kit_event::fact_kinds! {
    /// What happened to an immunization.
    ImmunizationFact {
        #[doc = "An immunization was recorded."]
        Recorded = "records.immunization_recorded",
        #[doc = "Some field of the immunization changed."]
        Amended = "records.immunization_amended",
        #[doc = "The immunization should not have been recorded."]
        EnteredInError = "records.immunization_entered_in_error",
        #[doc = "The row is gone, or is now another patient's; the state is the last one it had."]
        Removed = "records.immunization_removed",
        #[doc = "The state as a new epoch found it; nothing has happened to the immunization."]
        Snapshot = "records.immunization_snapshot",
    }
}

/// A resource of a chart: what the facts, the read model and the routes of all six share.
pub trait Resource:
    Clone + PartialEq + Serialize + DeserializeOwned + PartialSchema + Send + Sync + 'static
{
    /// Its name in mapping files and subjects, as `observation`.
    const RESOURCE: &'static str;
    /// How the types of its facts begin.
    const TYPES: &'static str;

    /// Its public id.
    fn id(&self) -> Uuid;

    /// The one patient whom it concerns.
    fn patient_id(&self) -> Option<Uuid>;

    /// Names what happened to it between two committed versions of its row, oldest first.
    ///
    /// Two facts only where the row became another resource (its id or its patient changed): the
    /// old one is gone, the new one is seen for the first time. So every fact concerns one patient.
    #[must_use]
    fn observe(before: Option<&Self>, after: Option<&Self>) -> Vec<Fact> {
        match (before, after) {
            (None, None) => vec![],
            (None, Some(new)) => vec![new.first_seen()],
            (Some(old), None) => vec![old.removed()],
            (Some(old), Some(new))
                if old.id() != new.id() || old.patient_id() != new.patient_id() =>
            {
                vec![old.removed(), new.first_seen()]
            }
            (Some(old), Some(new)) if old == new => vec![],
            (Some(old), Some(new)) => vec![new.changed_from(old)],
        }
    }

    /// The fact of a row that was not there before.
    fn first_seen(&self) -> Fact;

    /// The fact of a row that was there before, in another state.
    fn changed_from(&self, old: &Self) -> Fact;

    /// The fact of a row that is gone.
    fn removed(&self) -> Fact;

    /// The fact of a row that a new epoch found.
    fn snapshot(&self) -> Fact;
}

/// What a change of the status by which a record is taken back, or ended, says.
macro_rules! resource {
    ($name:ident, $kind:ident, $id:ident, $resource:literal, $first:ident, $status:ident
        $(, $ended:ident when $end_status:ident is $words:expr)?) => {
        impl Resource for $name {
            const RESOURCE: &'static str = $resource;
            const TYPES: &'static str = concat!("records.", $resource, "_");

            fn id(&self) -> Uuid {
                self.$id
            }

            fn patient_id(&self) -> Option<Uuid> {
                self.patient_id
            }

            fn first_seen(&self) -> Fact {
                let retracted = self.$status.as_deref() == Some(ENTERED_IN_ERROR);
                let kind = if retracted { $kind::EnteredInError } else { $kind::$first };
                Fact::$name(kind, self.clone())
            }

            fn changed_from(&self, old: &Self) -> Fact {
                let now = self.$status.as_deref();
                if now != old.$status.as_deref() && now == Some(ENTERED_IN_ERROR) {
                    return Fact::$name($kind::EnteredInError, self.clone());
                }
                $({
                    let ended = |of: &Self| {
                        of.$end_status.as_deref().is_some_and(|word| $words.contains(&word))
                    };
                    if ended(self) && !ended(old) {
                        return Fact::$name($kind::$ended, self.clone());
                    }
                })?
                Fact::$name($kind::Amended, self.clone())
            }

            fn removed(&self) -> Fact {
                Fact::$name($kind::Removed, self.clone())
            }

            fn snapshot(&self) -> Fact {
                Fact::$name($kind::Snapshot, self.clone())
            }
        }
    };
}
resource!(Encounter, EncounterFact, encounter_id, "encounter", Started, status,
    Finished when status is ["finished"]);
resource!(Condition, ConditionFact, condition_id, "condition", Recorded, verification_status,
    Resolved when clinical_status is ["resolved", "remission", "inactive"]);
resource!(Allergy, AllergyFact, allergy_id, "allergy", Recorded, verification_status);
resource!(Observation, ObservationFact, observation_id, "observation", Recorded, status);
resource!(Procedure, ProcedureFact, procedure_id, "procedure", Recorded, status);
resource!(Immunization, ImmunizationFact, immunization_id, "immunization", Recorded, status);

/// One line for each resource: everything that has an arm for each of them.
macro_rules! facts {
    ($($name:ident($kind:ident),)+) => {
        /// A fact of this domain: what happened, and the state after it.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Fact {
            $(#[doc = concat!("About this resource: ", stringify!($name), ".")]
            $name($kind, $name),)+
        }

        impl Fact {
            /// Reads a fact from its type and body; none for a type that is not of this domain.
            ///
            /// # Errors
            /// The body does not read as the resource that the type is about.
            pub fn read(type_name: &str, body: &Value) -> Result<Option<Self>, serde_json::Error> {
                $(if let Some(kind) = $kind::parse(type_name) {
                    return Ok(Some(Self::$name(kind, $name::deserialize(body)?)));
                })+
                Ok(None)
            }

            /// Its type on the wire.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$name(kind, _) => kind.type_name(),)+
                }
            }

            /// Present version of its schema.
            #[must_use]
            pub const fn version(&self) -> u32 {
                match self {
                    $(Self::$name(kind, _) => kind.version(),)+
                }
            }

            /// Whether the resource is gone after it.
            #[must_use]
            pub fn removes(&self) -> bool {
                match self {
                    $(Self::$name(kind, _) => *kind == $kind::Removed,)+
                }
            }

            /// The fact as hosts carry it, before it has a number.
            ///
            /// # Errors
            /// Never for a state that was read from JSON.
            pub fn observed(&self) -> Result<Observed, serde_json::Error> {
                let (subject, patient_id, body) = match self {
                    $(Self::$name(_, it) => (
                        format!("{}/{}", $name::RESOURCE, it.id()),
                        it.patient_id,
                        serde_json::to_value(it)?,
                    ),)+
                };
                let (type_name, version) = (self.type_name(), self.version());
                Ok(Observed { type_name, version, subject, patient_id, body })
            }
        }

        /// What facts are: their types, versions, sentences, and the schema of their state.
        pub(crate) fn schemas() -> Vec<kit_event::SchemaSource> {
            let mut all = vec![];
            $(all.extend($kind::ALL.iter().map(|kind| kit_event::SchemaSource {
                type_name: kind.type_name(),
                version: kind.version(),
                doc: kind.doc(),
                schema: $name::schema(),
            }));)+
            all
        }

        /// The names of all resources.
        pub const RESOURCES: &[&str] = &[$($name::RESOURCE),+];

        /// Names what happened between two versions of a row of the resource called `resource`.
        pub(crate) fn observe(
            resource: &str,
            before: Option<&Value>,
            after: Option<&Value>,
        ) -> Result<Vec<Fact>, serde_json::Error> {
            match resource {
                $($name::RESOURCE => {
                    let before = before.map($name::deserialize).transpose()?;
                    let after = after.map($name::deserialize).transpose()?;
                    Ok($name::observe(before.as_ref(), after.as_ref()))
                })+
                _ => Ok(vec![]),
            }
        }

        /// The `_snapshot` fact of a state of the resource called `resource`.
        pub(crate) fn snapshot(resource: &str, state: &Value) -> Result<Fact, serde_json::Error> {
            match resource {
                $($name::RESOURCE => Ok($name::deserialize(state)?.snapshot()),)+
                other => {
                    let unknown = format!("records knows no resource {other}");
                    Err(serde::de::Error::custom(unknown))
                }
            }
        }
    };
}
facts! {
    Encounter(EncounterFact),
    Condition(ConditionFact),
    Allergy(AllergyFact),
    Observation(ObservationFact),
    Procedure(ProcedureFact),
    Immunization(ImmunizationFact),
}
