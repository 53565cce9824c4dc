//! Records to facts, requests, and anything else.

use kit_event::{Delivery, Fact, Request, Timestamp, UnitId, UnitSeq};
use serde_json::Value;
use uuid::Uuid;

use kit_body::name;

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::OpenError;
use crate::headers::{self, DataSchema};
use crate::record::RawRecord;
use crate::seal::{self, SealContext};

/// The magic byte of the Confluent wire format, before four bytes of schema id.
const MAGIC: u8 = 0;

/// A record that has been looked into.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// `<domain>.<name>`.
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// Its id.
    pub id: String,
    /// When it was said.
    pub time: Timestamp,
    /// The record's key.
    pub key: String,
    /// All its headers.
    pub headers: Vec<(String, String)>,
    /// The body, as plain JSON.
    pub body: Value,
}

impl Bus {
    /// Looks into a record.
    ///
    /// # Errors
    /// It is not what its headers say, or its schema is not at hand.
    pub async fn open(&self, record: &RawRecord) -> Result<Opened, OpenError> {
        let payload = record.payload.as_deref().ok_or(OpenError::Empty)?;
        let (id, avro) = framed(payload).ok_or(OpenError::NotFramed)?;
        let type_name = text(record, headers::TYPE)?;
        let named = text(record, headers::DATA_SCHEMA)?;
        let named = DataSchema::parse(named).ok_or(malformed(headers::DATA_SCHEMA))?;
        let key = record.key.as_deref().ok_or(OpenError::Key)?;
        self.check_home(record, key)?;
        let schema = self.agreed_schema(id, &named).await?;
        let ce_id = text(record, headers::ID)?;
        let context = SealContext {
            topic: record.topic,
            key,
            patient_id: record.header(headers::PATIENT_ID),
            type_name,
            id: ce_id,
            seq: record.unit_seq().map(|seq| seq.to_string()),
        };
        let avro = seal::open(&context, schema.name(), avro)?;
        // On a public topic a fact's type stands before its public form.
        let promise = match record.topic {
            Topic::Domain(_) => name::public(type_name),
            Topic::Requests | Topic::Replies | Topic::Facts | Topic::Presence | Topic::Parked => {
                type_name.to_owned()
            }
        };
        if name::record_name(&promise).ok().as_deref() != Some(schema.name()) {
            return Err(malformed(headers::TYPE));
        }
        let body = schema
            .decode(avro)
            .map_err(|source| OpenError::Body { schema: schema.name().to_owned(), source })?;
        Ok(Opened {
            type_name: type_name.to_owned(),
            version: named.version,
            id: ce_id.to_owned(),
            time: parsed(record, headers::TIME)?,
            key: key.to_owned(),
            headers: record.headers.clone(),
            body,
        })
    }

    /// Looks into a record of `unit.facts`.
    ///
    /// # Errors
    /// As [`Bus::open`]; or what makes it a fact is absent or malformed.
    pub async fn open_fact(&self, record: &RawRecord) -> Result<Fact, OpenError> {
        let unit = unit(record)?;
        let seq =
            UnitSeq::new(parsed(record, headers::UNIT_EPOCH)?, parsed(record, headers::UNIT_SEQ)?);
        let id: Uuid = parsed(record, headers::ID)?;
        let opened = self.open(record).await?;
        Ok(Fact {
            unit,
            seq,
            id,
            type_name: opened.type_name,
            version: opened.version,
            time: opened.time,
            subject: record.header(headers::SUBJECT).map(str::to_owned),
            patient_id: optional(record, headers::PATIENT_ID)?,
            causation_id: optional(record, headers::CAUSATION_ID)?,
            traceparent: record.header(headers::TRACEPARENT).map(str::to_owned),
            body: opened.body,
        })
    }

    /// Looks into a record of `unit.requests`.
    ///
    /// # Errors
    /// As [`Bus::open`]; or what makes it a request is absent or malformed.
    pub async fn open_request(&self, record: &RawRecord) -> Result<Request, OpenError> {
        let unit = unit(record)?;
        let delivery = Delivery::parse(text(record, headers::DELIVERY)?);
        let opened = self.open(record).await?;
        Ok(Request {
            unit,
            id: parsed(record, headers::ID)?,
            type_name: opened.type_name,
            version: opened.version,
            accepted_at: opened.time,
            expires_at: parsed(record, headers::EXPIRY_TIME)?,
            delivery: delivery.ok_or(malformed(headers::DELIVERY))?,
            command_hash: text(record, headers::COMMAND_HASH)?.to_owned(),
            actor: text(record, headers::ACTOR)?.to_owned(),
            reply_partition: optional(record, headers::REPLY_PARTITION)?,
            traceparent: record.header(headers::TRACEPARENT).map(str::to_owned),
            body: opened.body,
        })
    }
}

impl Bus {
    /// A key that is given its partition by its hash has no other.
    fn check_home(&self, record: &RawRecord, key: &str) -> Result<(), OpenError> {
        let (partition, home) = (record.partition, self.partition_of(key));
        match record.topic {
            Topic::Facts | Topic::Requests | Topic::Presence if partition != home => {
                Err(OpenError::ForeignPartition { partition, home })
            }
            Topic::Facts | Topic::Requests | Topic::Presence => Ok(()),
            // Their partition is named by whoever writes.
            Topic::Replies | Topic::Parked | Topic::Domain(_) => Ok(()),
        }
    }
}

/// The schema id and the Avro bytes of a value.
pub(crate) fn framed(payload: &[u8]) -> Option<(u32, &[u8])> {
    let ([MAGIC, id @ ..], avro) = payload.split_first_chunk::<5>()? else { return None };
    Some((u32::from_be_bytes(*id), avro))
}

fn unit(record: &RawRecord) -> Result<UnitId, OpenError> {
    record.key.as_deref().and_then(|key| key.parse().ok()).ok_or(OpenError::Key)
}

fn text<'a>(record: &'a RawRecord, name: &'static str) -> Result<&'a str, OpenError> {
    record.header(name).ok_or(malformed(name))
}

fn parsed<T: std::str::FromStr>(record: &RawRecord, name: &'static str) -> Result<T, OpenError> {
    text(record, name)?.parse().map_err(|_| malformed(name))
}

fn optional<T: std::str::FromStr>(
    record: &RawRecord,
    name: &'static str,
) -> Result<Option<T>, OpenError> {
    record.header(name).map(|_| parsed(record, name)).transpose()
}

const fn malformed(name: &'static str) -> OpenError {
    OpenError::Header { name }
}
