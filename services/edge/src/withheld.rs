//! What stands on the log where a fact's body is refused by its schema, or where a fact cannot be
//! carried as it came: a placeholder under the fact's own number and id, so that no reader sees a
//! hole.
//!
//! The order is the whole of it: the body is parked first, then the placeholder goes to the log,
//! then the number is acknowledged. Whoever dies in between is sent the fact again and begins anew:
//! `parked` may hold a body twice, under one id, and the log holds its number once in effect.

use kit_event::Fact;
use units::{FactWithheld, unit};

/// Why records are parked here, for the counter of them.
pub const BODY_REFUSED: &str = "body-refused";
/// As [`BODY_REFUSED`], of facts whose frames or headers are at fault.
pub const FACT_UNCARRIABLE: &str = "fact-uncarriable";

/// What an agent is told of a fact that was withheld, as the `problem` of an error frame.
pub const FACT_WITHHELD: &str = "fact-withheld";

/// A placeholder that is on its way, for those who must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// What was withheld: number, type and version, and the cause; no value of the body.
    pub detail: String,
}

/// The placeholder of a fact; `cause` is a path and a reason, which never quote a value. What the
/// fact is about, whom it concerns and what caused it stay in its headers, as they are opaque and
/// lead whoever looks for the fact to its place.
///
/// # Errors
/// Never: ids, numbers and text have a JSON form.
pub fn placeholder(fact: &Fact, cause: &str) -> serde_json::Result<Fact> {
    let body = FactWithheld {
        unit_id: fact.unit.clone(),
        type_name: fact.type_name.clone(),
        version: fact.version,
        subject: fact.subject.clone(),
        cause: cause.to_owned(),
    };
    Ok(Fact {
        type_name: FactWithheld::TYPE.to_owned(),
        version: unit::VERSION,
        body: serde_json::to_value(body)?,
        ..fact.clone()
    })
}

#[cfg(test)]
mod tests {
    use kit_event::{Timestamp, UnitSeq};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_placeholder_keeps_number_id_and_subject_and_holds_nothing_of_the_body() {
        let fact = Fact {
            unit: "hcu-0001".parse().unwrap(),
            seq: UnitSeq::new(2, 7),
            id: Uuid::from_u128(9),
            type_name: "voip.call_ended".to_owned(),
            version: 3,
            time: Timestamp::from_unix_ms(5),
            subject: Some("call/1".to_owned()),
            patient_id: Some(Uuid::from_u128(4)),
            causation_id: None,
            traceparent: None,
            body: json!({"number": "+351 210 000 000"}),
        };
        let held = placeholder(&fact, "$.number is not a field of the schema").unwrap();
        assert_eq!((held.seq, held.id, held.time), (fact.seq, fact.id, fact.time));
        assert_eq!((&held.subject, held.patient_id), (&fact.subject, fact.patient_id));
        assert_eq!(held.type_name, "units.fact_withheld");
        assert!(!held.body.to_string().contains("351"), "{}", held.body);
        let said = units::Fact::read(&held.type_name, &held.body).unwrap().unwrap();
        let units::Fact::FactWithheld(said) = said else { panic!("another fact") };
        assert_eq!((said.type_name.as_str(), said.version), ("voip.call_ended", 3));
    }
}
