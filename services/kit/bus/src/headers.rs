//! CloudEvents 1.0 in binary mode, and our extensions: facts and requests as headers.
//!
//! Kafka's binding names an attribute `ce_<name>`. Headers never hold personal data: ids in them
//! are opaque.

use kit_event::{Fact, Request};

/// CloudEvents' own version.
pub const SPEC_VERSION: &str = "ce_specversion";
/// Id of the event; for a fact its random id.
pub const ID: &str = "ce_id";
/// `<domain>.<name>`.
pub const TYPE: &str = "ce_type";
/// Who says it, as `/units/hcu-0001`.
pub const SOURCE: &str = "ce_source";
/// When.
pub const TIME: &str = "ce_time";
/// The thing it is about, `<thing>/<id>`.
pub const SUBJECT: &str = "ce_subject";
/// Name, version and fingerprint of the schema ([`DataSchema`]).
pub const DATA_SCHEMA: &str = "ce_dataschema";
/// How the value is written.
pub const CONTENT_TYPE: &str = "content-type";
/// The epoch of a fact's number.
pub const UNIT_EPOCH: &str = "ce_unitepoch";
/// The seq of a fact's number.
pub const UNIT_SEQ: &str = "ce_unitseq";
/// The request that caused it.
pub const CAUSATION_ID: &str = "ce_causationid";
/// The one patient it concerns.
pub const PATIENT_ID: &str = "ce_patientid";
/// A request's deadline.
pub const EXPIRY_TIME: &str = "ce_expirytime";
/// A request's delivery.
pub const DELIVERY: &str = "ce_delivery";
/// A request's command hash.
pub const COMMAND_HASH: &str = "ce_commandhash";
/// Who asked.
pub const ACTOR: &str = "ce_actor";
/// Where the asking gateway listens.
pub const REPLY_PARTITION: &str = "ce_replypartition";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// On a public topic: the offset on `unit.facts` of the record that let this one be told. It never
/// falls along a partition.
pub const SOURCE_OFFSET: &str = "arteria_sourceoffset";
/// Why a record was parked.
pub const PARKED_CAUSE: &str = "arteria_parked_cause";
/// Where a parked record came from, `<topic>/<partition>/<offset>`.
pub const PARKED_ORIGIN: &str = "arteria_parked_origin";
/// On a mark of `parked`: how what came from that origin was settled.
pub const PARKED_SETTLED: &str = "arteria_parked_settled";
/// The headers that only records of `parked` have.
pub const PARKED: [&str; 3] = [PARKED_CAUSE, PARKED_ORIGIN, PARKED_SETTLED];

/// The value's media type.
pub const AVRO: &str = "application/avro";
/// As [`AVRO`], for what has no Avro form: a body that its schema refuses.
pub const JSON: &str = "application/json";

/// What `ce_dataschema` says: which schema the writer had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSchema<'a> {
    /// Full record name.
    pub name: &'a str,
    /// Version of the type.
    pub version: u32,
    /// Fingerprint of the schema.
    pub fingerprint: &'a str,
}

impl<'a> DataSchema<'a> {
    /// Reads the header's text.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut pieces = text.strip_prefix("urn:arteria:schema:")?.split(':');
        let data_schema = Self {
            name: pieces.next()?,
            version: pieces.next()?.parse().ok()?,
            fingerprint: pieces.next()?,
        };
        pieces.next().is_none().then_some(data_schema)
    }
}

impl std::fmt::Display for DataSchema<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "urn:arteria:schema:{}:{}:{}", self.name, self.version, self.fingerprint)
    }
}

/// The headers of a fact beyond those that every event has.
pub(crate) fn of_fact(fact: &Fact) -> Vec<(&'static str, String)> {
    let mut headers =
        vec![(UNIT_EPOCH, fact.seq.epoch.to_string()), (UNIT_SEQ, fact.seq.seq.to_string())];
    headers.extend(fact.subject.clone().map(|subject| (SUBJECT, subject)));
    headers.extend(fact.causation_id.as_ref().map(|id| (CAUSATION_ID, id.to_string())));
    headers.extend(fact.patient_id.map(|id| (PATIENT_ID, id.to_string())));
    headers.extend(fact.traceparent.clone().map(|trace| (TRACEPARENT, trace)));
    headers
}

/// The headers of a request beyond those that every event has.
pub(crate) fn of_request(request: &Request) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (EXPIRY_TIME, request.expires_at.to_string()),
        (DELIVERY, request.delivery.as_str().to_owned()),
        (COMMAND_HASH, request.command_hash.clone()),
        (ACTOR, request.actor.clone()),
    ];
    headers.extend(request.reply_partition.map(|number| (REPLY_PARTITION, number.to_string())));
    headers.extend(request.traceparent.clone().map(|trace| (TRACEPARENT, trace)));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_schema_names_name_version_and_fingerprint() {
        let text = "urn:arteria:schema:arteria.scheduling.AppointmentBooked:2:00ff00ff00ff00ff";
        let parsed = DataSchema::parse(text).unwrap();
        assert_eq!((parsed.name, parsed.version), ("arteria.scheduling.AppointmentBooked", 2));
        assert_eq!(parsed.to_string(), text);
        for bad in ["", "urn:arteria:schema:a:1", "urn:arteria:schema:a:x:f", "a:1:f"] {
            assert_eq!(DataSchema::parse(bad), None, "{bad}");
        }
    }
}
