//! To `parked`: records that do not read, and facts that their schema refuses.
//!
//! Such a fact has never been on the log, so there is no record to copy, and no Avro form of it
//! either: its value is the plain JSON as the unit sent it, behind the same seam as every body, and
//! its headers are those that the fact would have had.

use kit_event::Fact;

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::PublishError;
use crate::headers::{self, DataSchema};
use crate::produce::Placed;
use crate::publish::{PARKED_CAUSE_CHARS_MAX, Sealed, owned};
use crate::record::RawRecord;
use crate::seal::{self, SealContext};

/// Where a parked fact came from, before its unit.
pub const ORIGIN_LINK: &str = "unit.v1";

/// Longest header of a record whose value is not copied.
const HEADER_CHARS_MAX: usize = 200;
/// What is kept of such a record's headers.
const KEPT: [&str; 6] = [
    headers::ID,
    headers::TYPE,
    headers::UNIT_EPOCH,
    headers::UNIT_SEQ,
    headers::SUBJECT,
    headers::DATA_SCHEMA,
];

impl Bus {
    /// Copies a record that could not be read to `parked`, byte for byte, with cause and origin.
    /// Where the copy would be larger than a record may be, its value stays where it is, and what
    /// is parked only says so. The cause must be free of personal data: errors of this house are.
    ///
    /// # Errors
    /// As [`Bus::enqueue`] and [`crate::Delivery`].
    pub async fn park(&self, origin: &RawRecord, cause: &str) -> Result<Placed, PublishError> {
        let all = origin.headers.clone();
        let whole = parked(origin, all, origin.payload.clone(), cause);
        crate::metrics::PARKED.of([origin.topic.as_str()]).increment(1);
        let placed = match self.enqueue(whole) {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        };
        let Err(PublishError::Refused { .. }) = placed else { return placed };
        let kept = origin.headers.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
        let short = |(name, text): &(String, String)| {
            (name.clone(), text.chars().take(HEADER_CHARS_MAX).collect())
        };
        let bytes = origin.payload.as_ref().map_or(0, Vec::len);
        let cause = format!("{cause} (its {bytes} bytes are too large to be copied)");
        self.enqueue(parked(origin, kept.map(short).collect(), None, &cause))?.await
    }

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

fn parked(
    origin: &RawRecord,
    mut headers: Vec<(String, String)>,
    value: Option<Vec<u8>>,
    cause: &str,
) -> Sealed {
    let place = format!("{}/{}/{}", origin.topic.as_str(), origin.partition, origin.offset);
    let cause: String = cause.chars().take(PARKED_CAUSE_CHARS_MAX).collect();
    // Whoever wrote the record may have given it any.
    headers.retain(|(name, _)| !headers::PARKED.contains(&name.as_str()));
    headers.push((headers::PARKED_CAUSE.to_owned(), cause));
    headers.push((headers::PARKED_ORIGIN.to_owned(), place));
    Sealed {
        topic: Topic::Parked,
        partition: Some(origin.partition),
        key: origin.key.clone().unwrap_or_default(),
        headers,
        value,
        type_name: "parked".into(),
    }
}
