//! What analysts and integrators learn of a unit itself: its epochs, its zone, its agent. None of
//! it concerns a person. Texts that an agent states pass only in the shape that they should have.

use kit_event::{SchemaSource, UnitId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::unit::{EpochOpened, EpochSeeded, Fact, FactWithheld, UnitAmended};

/// Present version of every public schema of this domain.
pub const VERSION: u32 = 1;

/// The longest word that passes: names of zones, versions, types and things are shorter.
const WORD_BYTES_MAX: usize = 64;

/// Why epochs open.
const REASONS: [&str; 3] = ["first", "restored", "fork"];

/// The unit numbers its facts anew. Snapshots of all its things follow until `epoch_seeded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicEpochOpened {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone, in which working hours are wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Version of its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The epoch that is over; absent for a unit's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// Why: `first`, `restored` or `fork`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every thing of the unit has been stated in this epoch: what a reader holds of the kinds named
/// here and has not seen in it, no longer exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicEpochSeeded {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Version of its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The epoch that is now whole.
    pub epoch: u32,
    /// Kinds of things that were stated, as `patient`.
    pub things: Vec<String>,
}

/// The unit's time zone or its agent's version changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicUnitAmended {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// Its IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Version of its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
}

/// A fact of the unit stands here that could not be told, because its body does not fit its schema.
/// Once that is mended, another event states the thing anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicFactWithheld {
    /// The unit.
    #[schema(value_type = String)]
    pub unit_id: UnitId,
    /// The type of the fact that was withheld, as `voip.call_ended`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The version of its schema.
    pub version: u32,
}

/// What may be told of a fact.
pub(crate) fn of(fact: Fact) -> Result<Value, serde_json::Error> {
    match fact {
        Fact::EpochOpened(it) => serde_json::to_value(PublicEpochOpened {
            unit_id: it.unit_id,
            time_zone: word(it.time_zone),
            agent_version: word(it.agent_version),
            previous: it.previous,
            reason: it.reason.filter(|reason| REASONS.contains(&reason.as_str())),
        }),
        Fact::EpochSeeded(it) => serde_json::to_value(PublicEpochSeeded {
            unit_id: it.unit_id,
            time_zone: word(it.time_zone),
            agent_version: word(it.agent_version),
            epoch: it.epoch,
            things: it.things.into_iter().filter_map(word).collect(),
        }),
        Fact::UnitAmended(it) => serde_json::to_value(PublicUnitAmended {
            unit_id: it.unit_id,
            time_zone: word(it.time_zone),
            agent_version: word(it.agent_version),
        }),
        Fact::FactWithheld(it) => serde_json::to_value(PublicFactWithheld {
            unit_id: it.unit_id,
            type_name: word(it.type_name),
            version: it.version,
        }),
    }
}

/// What the public forms promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let form = |type_name, doc, schema| SchemaSource { type_name, version: VERSION, doc, schema };
    vec![
        form(
            EpochOpened::PUBLIC_TYPE,
            "The unit numbers its facts anew; seq 1 of every epoch.",
            PublicEpochOpened::schema(),
        ),
        form(
            EpochSeeded::PUBLIC_TYPE,
            "Every thing of the unit has been stated in this epoch.",
            PublicEpochSeeded::schema(),
        ),
        form(
            UnitAmended::PUBLIC_TYPE,
            "The unit's time zone or its agent's version changed.",
            PublicUnitAmended::schema(),
        ),
        form(
            FactWithheld::PUBLIC_TYPE,
            "A fact stands here that could not be told; its body does not fit its schema.",
            PublicFactWithheld::schema(),
        ),
    ]
}

/// One word of letters, digits and what joins them, as `Europe/Lisbon`, `0.1.0`, `voip.call_ended`.
fn word(text: String) -> Option<String> {
    let joins = |byte: u8| matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+');
    let fits = (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || joins(byte));
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_in_the_place_of_words_are_not_told() {
        let canary = || "Canary Nightingale".to_owned();
        let unit_id: UnitId = "hcu-0001".parse().unwrap();
        let facts = [
            Fact::EpochOpened(EpochOpened {
                unit_id: unit_id.clone(),
                time_zone: canary(),
                agent_version: canary(),
                previous: Some(1),
                reason: Some(canary()),
            }),
            Fact::EpochSeeded(EpochSeeded {
                unit_id: unit_id.clone(),
                time_zone: canary(),
                agent_version: canary(),
                epoch: 2,
                things: vec![canary(), "patient".to_owned()],
            }),
            Fact::FactWithheld(FactWithheld {
                unit_id: unit_id.clone(),
                type_name: canary(),
                version: 1,
                subject: Some(canary()),
                cause: canary(),
            }),
        ];
        for fact in facts {
            let told = of(fact).unwrap();
            assert_eq!(told["unit_id"], "hcu-0001");
            assert!(!told.to_string().contains("anary"), "{told}");
        }
        let amended = Fact::UnitAmended(UnitAmended {
            unit_id,
            time_zone: "America/Port-au-Prince".to_owned(),
            agent_version: "0.1.0+7".to_owned(),
        });
        assert_eq!(of(amended).unwrap()["time_zone"], "America/Port-au-Prince");
    }

    #[test]
    fn every_public_field_is_documented() {
        for source in schemas() {
            assert!(source.type_name.starts_with("public.units."), "{}", source.type_name);
            let schema = serde_json::to_value(&source.schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{}.{name}", source.type_name);
            }
        }
    }
}
