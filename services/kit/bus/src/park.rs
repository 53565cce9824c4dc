//! A fact to `parked`: what its unit said and its schema refuses.
//!
//! It has never been on the log, so there is no record to copy, and no Avro form of it either: its
//! value is the plain JSON as the unit sent it, behind the same seam as every body, and its headers
//! are those that the fact would have had.

use kit_event::Fact;

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::PublishError;
use crate::headers::{self, DataSchema};
use crate::produce::Placed;
use crate::publish::{PARKED_CAUSE_CHARS_MAX, Sealed, owned};
use crate::seal::{self, SealContext};

/// Where a parked fact came from, before its unit.
pub const ORIGIN_LINK: &str = "unit.v1";

impl Bus {
    /// Puts a fact that its schema refuses on `parked`, with the cause, and waits for the broker's
    /// word. The cause must be free of personal data: errors of this house are.
    ///
    /// # Errors
    /// As [`Bus::enqueue`] and [`crate::Delivery`].
    pub async fn park_fact(&self, fact: &Fact, cause: &str) -> Result<Placed, PublishError> {
        let id = fact.id.to_string();
        let patient_id = fact.patient_id.map(|id| id.to_string());
        let context = SealContext {
            topic: Topic::Parked,
            key: fact.unit.as_str(),
            patient_id: patient_id.as_deref(),
            type_name: &fact.type_name,
            id: &id,
            seq: Some(fact.seq.to_string()),
        };
        let value = seal::seal(&context, fact.body.to_string().into_bytes());
        self.enqueue(Sealed {
            topic: Topic::Parked,
            partition: None,
            key: fact.unit.to_string(),
            headers: self.parked_headers(fact, &id, cause),
            value: Some(value),
            type_name: "parked".into(),
        })?
        .await
    }

    fn parked_headers(&self, fact: &Fact, id: &str, cause: &str) -> Vec<(String, String)> {
        let mut all = vec![
            (headers::SPEC_VERSION, "1.0".to_owned()),
            (headers::ID, id.to_owned()),
            (headers::TYPE, fact.type_name.clone()),
            (headers::TIME, fact.time.to_string()),
            (headers::SOURCE, format!("/units/{}", fact.unit)),
            (headers::CONTENT_TYPE, headers::JSON.to_owned()),
        ];
        if let Some(refused_by) = self.schemas().held(&fact.type_name, fact.version) {
            let schema = &refused_by.schema;
            let (name, fingerprint) = (schema.name(), schema.fingerprint());
            let data_schema = DataSchema { name, version: fact.version, fingerprint };
            all.push((headers::DATA_SCHEMA, data_schema.to_string()));
        }
        all.extend(headers::of_fact(fact));
        let cause: String = cause.chars().take(PARKED_CAUSE_CHARS_MAX).collect();
        all.push((headers::PARKED_CAUSE, cause));
        all.push((headers::PARKED_ORIGIN, format!("{ORIGIN_LINK}/{}/{}", fact.unit, fact.seq)));
        owned(all)
    }
}
