//! Publishing: a [`Delivery`] for each message, in the order in which they were enqueued.
//!
//! librdkafka keeps the order of a partition and retries by itself within its delivery time-out, so
//! nothing here retries: a message that fails has failed, and whoever pipelines stops at the first
//! failed delivery. Enqueuing is immediate and keeps the caller's order; only finding a schema for
//! the first time waits, and that is a step of its own ([`Bus::seal_fact`]).

use std::sync::Arc;

use kit_body::{Registered, name};
use kit_event::{Fact, Request, Timestamp};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use serde_json::Value;

use crate::bus::Bus;
use crate::config::Topic;
use crate::error::PublishError;
use crate::headers::{self, DataSchema};
use crate::namespace::Namespace;
use crate::produce::{self, Delivery, Logged, Placed};
use crate::seal::{self, SealContext};

/// The longest cause that is written beside a parked record.
pub(crate) const PARKED_CAUSE_CHARS_MAX: usize = 500;

/// Anything that is neither a fact nor a request.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub topic: Topic,
    /// Which partition; the key's own where none is named.
    pub partition: Option<i32>,
    /// The record's key.
    pub key: String,
    /// Its id.
    pub ce_id: String,
    /// `<domain>.<name>`.
    pub type_name: String,
    /// Version of the type's schema.
    pub version: u32,
    /// When it was said.
    pub time: Timestamp,
    /// More headers; one of them may be `ce_source`.
    pub headers: Vec<(String, String)>,
    /// The body, as plain JSON.
    pub body: Value,
}

/// The public form of a fact, and where it is told.
#[derive(Debug, Clone, Copy)]
pub struct PublicForm<'a> {
    /// Whose topic it goes to.
    pub namespace: Namespace,
    /// The partition that the fact stands on.
    pub partition: i32,
    /// The offset of the record that let it be told.
    pub source_offset: i64,
    /// Version of its public schema.
    pub version: u32,
    /// That schema.
    pub schema: &'a Registered,
    /// What is told, as plain JSON.
    pub body: &'a Value,
}

/// Who put a request on the log: controls come from services of ours and from operators too.
fn source_of(request: &Request) -> &'static str {
    match request.actor.split_once(':') {
        Some(("service", _)) => "/projector",
        Some(("operator", _)) => "/cli",
        Some(_) | None => "/gateway",
    }
}

/// A record ready to be enqueued: its body fits its schema, and nothing about it waits any more.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub(crate) topic: Topic,
    pub(crate) partition: Option<i32>,
    pub(crate) key: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) type_name: Arc<str>,
}

impl Sealed {
    /// The bytes of the value, for those who count what is in flight.
    pub fn value_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Vec::len)
    }
}

/// What every event has, before its body is sealed.
struct Event<'a> {
    topic: Topic,
    partition: Option<i32>,
    key: &'a str,
    id: &'a str,
    type_name: &'a str,
    version: u32,
    time: Timestamp,
    source: Option<String>,
    patient_id: Option<String>,
    seq: Option<String>,
    headers: Vec<(String, String)>,
    body: &'a Value,
}

impl Bus {
    /// Makes a fact ready to be enqueued; waits for the registry only where the schema is new.
    ///
    /// # Errors
    /// The schema is not at hand, or refuses the body.
    pub async fn seal_fact(&self, fact: &Fact) -> Result<Sealed, PublishError> {
        // The public form of a type has a schema too, and is no type of a fact.
        name::split(&fact.type_name).map_err(|error| PublishError::Schema {
            type_name: fact.type_name.clone(),
            version: fact.version,
            source: error.into(),
        })?;
        self.hold_schema(&fact.type_name, fact.version).await?;
        self.sealed_fact(fact)
    }

    /// Puts a sealed record on its way. Records enqueued one after another stand on their partition
    /// in that order.
    ///
    /// # Errors
    /// The producer's queue is full, or it is gone.
    #[expect(clippy::needless_pass_by_value, reason = "a record is put on its way once")]
    pub fn enqueue(&self, sealed: Sealed) -> Result<Delivery, PublishError> {
        self.put(&sealed)
    }

    /// As [`Bus::enqueue`], for who tries again while the queue is full.
    ///
    /// # Errors
    /// As [`Bus::enqueue`].
    pub fn put(&self, sealed: &Sealed) -> Result<Delivery, PublishError> {
        let (waiting, delivery) = produce::awaited(sealed.topic, &sealed.type_name);
        let mut headers = OwnedHeaders::new_with_capacity(sealed.headers.len());
        for (key, value) in &sealed.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let topic_name = self.topic_name(sealed.topic);
        let mut record = BaseRecord::with_opaque_to(&topic_name, waiting)
            .key(sealed.key.as_str())
            .headers(headers);
        record.partition = sealed.partition;
        record.payload = sealed.value.as_deref();
        match self.producer().send(record) {
            Ok(()) => Ok(delivery),
            Err((error, _)) => Err(PublishError::delivery(&sealed.type_name, error)),
        }
    }

    /// Puts a fact whose schema is held on its way.
    ///
    /// # Errors
    /// As [`Bus::seal_fact`] and [`Bus::enqueue`]; [`PublishError::SchemaNotHeld`] where the schema
    /// was never asked for.
    pub fn enqueue_fact(&self, fact: &Fact) -> Result<Delivery, PublishError> {
        self.enqueue(self.sealed_fact(fact)?)
    }

    /// Publishes a fact and waits for the broker's word.
    ///
    /// # Errors
    /// As [`Bus::seal_fact`] and [`Delivery`].
    pub async fn publish_fact(&self, fact: &Fact) -> Result<Placed, PublishError> {
        let sealed = self.seal_fact(fact).await?;
        self.enqueue(sealed)?.await
    }

    /// Publishes a request and waits for the broker's word.
    ///
    /// # Errors
    /// As [`Bus::publish_fact`].
    pub async fn publish_request(&self, request: &Request) -> Result<Placed, PublishError> {
        self.hold_schema(&request.type_name, request.version).await?;
        let event = Event {
            topic: Topic::Requests,
            partition: None,
            key: request.unit.as_str(),
            id: request.id.as_str(),
            type_name: &request.type_name,
            version: request.version,
            time: request.accepted_at,
            source: Some(source_of(request).to_owned()),
            patient_id: None,
            seq: None,
            headers: owned(headers::of_request(request)),
            body: &request.body,
        };
        let sealed = self.sealed(event)?;
        self.enqueue(sealed)?.await
    }

    /// Makes anything else ready to be enqueued.
    ///
    /// # Errors
    /// As [`Bus::seal_fact`].
    pub async fn seal(&self, out: Outgoing) -> Result<Sealed, PublishError> {
        self.hold_schema(&out.type_name, out.version).await?;
        self.sealed(Event {
            topic: out.topic,
            partition: out.partition,
            key: &out.key,
            id: &out.ce_id,
            type_name: &out.type_name,
            version: out.version,
            time: out.time,
            source: None,
            patient_id: None,
            seq: None,
            headers: out.headers,
            body: &out.body,
        })
    }

    /// Publishes anything else and waits for the broker's word.
    ///
    /// # Errors
    /// As [`Bus::publish_fact`].
    pub async fn publish(&self, out: Outgoing) -> Result<Placed, PublishError> {
        let sealed = self.seal(out).await?;
        self.enqueue(sealed)?.await
    }

    /// As [`Bus::publish`]; also tells the time that the broker gave the record.
    ///
    /// # Errors
    /// As [`Bus::publish_fact`].
    pub async fn publish_logged(&self, out: Outgoing) -> Result<Logged, PublishError> {
        let sealed = self.seal(out).await?;
        self.enqueue(sealed)?.logged().await
    }

    async fn hold_schema(&self, type_name: &str, version: u32) -> Result<(), PublishError> {
        let found = self.schemas().by_version(type_name, version).await;
        found.map(|_| ()).map_err(|source| PublishError::Schema {
            type_name: type_name.to_owned(),
            version,
            source,
        })
    }

    fn sealed_fact(&self, fact: &Fact) -> Result<Sealed, PublishError> {
        self.sealed(Event {
            topic: Topic::Facts,
            partition: None,
            key: fact.unit.as_str(),
            id: &fact.id.to_string(),
            type_name: &fact.type_name,
            version: fact.version,
            time: fact.time,
            source: Some(format!("/units/{}", fact.unit)),
            patient_id: fact.patient_id.map(|id| id.to_string()),
            seq: Some(fact.seq.to_string()),
            headers: owned(headers::of_fact(fact)),
            body: &fact.body,
        })
    }

    /// Makes the public form of a fact ready to be enqueued. It waits for nothing.
    ///
    /// # Errors
    /// The schema refuses the body.
    pub fn seal_public(&self, fact: &Fact, form: &PublicForm<'_>) -> Result<Sealed, PublishError> {
        let mut headers = owned(headers::of_fact(fact));
        headers.push((headers::SOURCE_OFFSET.to_owned(), form.source_offset.to_string()));
        let event = Event {
            topic: Topic::Domain(form.namespace),
            partition: Some(form.partition),
            key: fact.unit.as_str(),
            id: &fact.id.to_string(),
            type_name: &fact.type_name,
            version: form.version,
            time: fact.time,
            source: Some(format!("/units/{}", fact.unit)),
            patient_id: fact.patient_id.map(|id| id.to_string()),
            seq: Some(fact.seq.to_string()),
            headers,
            body: form.body,
        };
        sealed_with(event, form.schema)
    }

    fn sealed(&self, event: Event<'_>) -> Result<Sealed, PublishError> {
        let (type_name, version) = (event.type_name, event.version);
        let registered = self.schemas().held(type_name, version);
        let registered = registered.ok_or_else(|| PublishError::SchemaNotHeld {
            type_name: type_name.to_owned(),
            version,
        })?;
        sealed_with(event, &registered)
    }
}

fn sealed_with(event: Event<'_>, registered: &Registered) -> Result<Sealed, PublishError> {
    let (type_name, version) = (event.type_name, event.version);
    let mut framed = vec![0];
    framed.extend_from_slice(&registered.id.to_be_bytes());
    registered.schema.encode_into(event.body, &mut framed).map_err(|source| {
        PublishError::Body { type_name: type_name.to_owned(), version, source }
    })?;
    let context = SealContext {
        topic: event.topic,
        key: event.key,
        patient_id: event.patient_id.as_deref(),
        type_name,
        id: event.id,
        seq: event.seq.clone(),
    };
    let value = seal::seal(&context, framed);
    let schema = &registered.schema;
    let data_schema =
        DataSchema { name: schema.name(), version, fingerprint: schema.fingerprint() };
    Ok(Sealed {
        topic: event.topic,
        partition: event.partition,
        key: event.key.to_owned(),
        value: Some(value),
        type_name: type_name.into(),
        headers: cloud_event(event, &data_schema),
    })
}

fn cloud_event(event: Event<'_>, data_schema: &DataSchema<'_>) -> Vec<(String, String)> {
    let mut all = owned(vec![
        (headers::SPEC_VERSION, "1.0".to_owned()),
        (headers::ID, event.id.to_owned()),
        (headers::TYPE, event.type_name.to_owned()),
        (headers::TIME, event.time.to_string()),
        (headers::DATA_SCHEMA, data_schema.to_string()),
        (headers::CONTENT_TYPE, headers::AVRO.to_owned()),
    ]);
    let named = event.headers.iter().any(|(key, _)| key == headers::SOURCE);
    if !named {
        let (domain, _) = name::split(event.type_name).unwrap_or((name::NAMESPACE, ""));
        let source = event.source.unwrap_or_else(|| format!("/{domain}"));
        all.push((headers::SOURCE.to_owned(), source));
    }
    all.extend(event.headers);
    all
}

pub(crate) fn owned(headers: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    headers.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
