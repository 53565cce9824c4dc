//! Facts of a unit about itself: its epochs, its time zone, its agent.

use kit_event::{Observed, SchemaSource, UnitId};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

/// The thing's name in subjects.
pub const RESOURCE: &str = "unit";
/// Present version of every fact schema of this domain.
pub const VERSION: u32 = 1;

/// The unit numbers its facts anew: seq 1 of every epoch, and nothing else. Snapshots of all its
/// things follow, between live facts, until [`EpochSeeded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochOpened {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone, in which working hours are wall time.
    pub time_zone: String,
    /// Version of its agent.
    pub agent_version: String,
    /// The epoch that is over; none for a unit's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// Why, as `first`, `restored` or `fork`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every thing of the unit has been stated in this epoch: what a reader holds of the things named
/// here and has not seen in it, is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochSeeded {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Version of its agent.
    pub agent_version: String,
    /// The epoch that is now whole.
    pub epoch: u32,
    /// Names of the things that were stated, as `patient`.
    pub things: Vec<String>,
}

/// The unit's time zone or its agent's version changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnitAmended {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Version of its agent.
    pub agent_version: String,
}

/// A fact of the unit stands here whose body its schema refuses. The edge writes it under the
/// fact's own number and id, so that the numbering stays whole, after the body went to `parked`; an
/// operator has the thing stated anew once the schema or the clinic's row is mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FactWithheld {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// The type of the fact that was withheld, as `voip.call_ended`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The version of its schema.
    pub version: u32,
    /// What it spoke of, `<thing>/<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Which field does not fit, and why; never what stood in it.
    pub cause: String,
}

/// A fact of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A new epoch began.
    EpochOpened(EpochOpened),
    /// The new epoch is whole.
    EpochSeeded(EpochSeeded),
    /// Zone or agent changed.
    UnitAmended(UnitAmended),
    /// A fact whose body its schema refuses.
    FactWithheld(FactWithheld),
}

impl EpochOpened {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.epoch_opened";
    /// The promise of its public form.
    pub const PUBLIC_TYPE: &'static str = "public.units.epoch_opened";
}

impl EpochSeeded {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.epoch_seeded";
    /// The promise of its public form.
    pub const PUBLIC_TYPE: &'static str = "public.units.epoch_seeded";
}

impl UnitAmended {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.unit_amended";
    /// The promise of its public form.
    pub const PUBLIC_TYPE: &'static str = "public.units.unit_amended";
}

impl FactWithheld {
    /// The type on the wire.
    pub const TYPE: &'static str = "units.fact_withheld";
    /// The promise of its public form.
    pub const PUBLIC_TYPE: &'static str = "public.units.fact_withheld";
}

impl Fact {
    /// The types on the wire.
    pub const TYPES: &'static [&'static str] =
        &[EpochOpened::TYPE, EpochSeeded::TYPE, UnitAmended::TYPE, FactWithheld::TYPE];

    /// Reads a fact from its type and body; none for a type that is not of this domain.
    ///
    /// # Errors
    /// The body does not read as its type.
    pub fn read(
        type_name: &str,
        body: &serde_json::Value,
    ) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match type_name {
            EpochOpened::TYPE => Self::EpochOpened(EpochOpened::deserialize(body)?),
            EpochSeeded::TYPE => Self::EpochSeeded(EpochSeeded::deserialize(body)?),
            UnitAmended::TYPE => Self::UnitAmended(UnitAmended::deserialize(body)?),
            FactWithheld::TYPE => Self::FactWithheld(FactWithheld::deserialize(body)?),
            _ => return Ok(None),
        }))
    }

    /// Its type on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::EpochOpened(_) => EpochOpened::TYPE,
            Self::EpochSeeded(_) => EpochSeeded::TYPE,
            Self::UnitAmended(_) => UnitAmended::TYPE,
            Self::FactWithheld(_) => FactWithheld::TYPE,
        }
    }

    /// The fact as hosts carry it, before it has a number. It concerns no patient.
    ///
    /// # Errors
    /// Never: ids, numbers and text have a JSON form.
    pub fn observed(&self) -> Result<Observed, serde_json::Error> {
        let (unit, body) = match self {
            Self::EpochOpened(it) => (&it.unit_id, serde_json::to_value(it)?),
            Self::EpochSeeded(it) => (&it.unit_id, serde_json::to_value(it)?),
            Self::UnitAmended(it) => (&it.unit_id, serde_json::to_value(it)?),
            Self::FactWithheld(it) => (&it.unit_id, serde_json::to_value(it)?),
        };
        Ok(Observed {
            type_name: self.type_name(),
            version: VERSION,
            subject: format!("{RESOURCE}/{unit}"),
            patient_id: None,
            body,
        })
    }
}

/// Names what changed of a unit between two starts of its agent, where anything did.
#[must_use]
pub fn observe(before: &UnitAmended, after: &UnitAmended) -> Option<Fact> {
    (before != after).then(|| Fact::UnitAmended(after.clone()))
}

/// What the facts promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let schema = |type_name, doc, schema| SchemaSource { type_name, version: VERSION, doc, schema };
    vec![
        schema(
            EpochOpened::TYPE,
            "The unit numbers its facts anew; seq 1 of every epoch.",
            EpochOpened::schema(),
        ),
        schema(
            EpochSeeded::TYPE,
            "Every thing of the unit has been stated in this epoch.",
            EpochSeeded::schema(),
        ),
        schema(
            UnitAmended::TYPE,
            "The unit's time zone or its agent's version changed.",
            UnitAmended::schema(),
        ),
        schema(
            FactWithheld::TYPE,
            "A fact stands here whose body its schema refuses; the body is parked.",
            FactWithheld::schema(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use kit_event::Domain;

    use super::*;

    fn unit(time_zone: &str) -> UnitAmended {
        UnitAmended {
            unit_id: "hcu-0001".parse().unwrap(),
            time_zone: time_zone.to_owned(),
            agent_version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_unit_speaks_only_when_its_zone_or_its_agent_changed() {
        assert_eq!(observe(&unit("UTC"), &unit("UTC")), None);
        let fact = observe(&unit("UTC"), &unit("Europe/Lisbon")).unwrap();
        let observed = fact.observed().unwrap();
        assert_eq!(observed.type_name, "units.unit_amended");
        assert_eq!(observed.subject, "unit/hcu-0001");
        assert_eq!(observed.body["time_zone"], "Europe/Lisbon");
        assert_eq!(Fact::read(observed.type_name, &observed.body).unwrap(), Some(fact));
    }

    #[test]
    fn every_fact_and_record_is_promised_with_plain_documented_fields() {
        let promises = crate::Units.schemas();
        let names: Vec<_> = promises.iter().map(|it| it.type_name).collect();
        for type_name in Fact::TYPES.iter().chain(&["units.presence", "units.edge_liveness"]) {
            assert!(names.contains(type_name), "{type_name}");
        }
        for promise in promises {
            let schema = serde_json::to_value(&promise.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", promise.type_name);
                assert!(field.get("$ref").is_none(), "{}.{name}", promise.type_name);
            }
        }
    }
}
