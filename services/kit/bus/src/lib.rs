//! The bus: Kafka as Arteria uses it, and the only crate that knows librdkafka.
//!
//! The log is the record, so this crate promises few things and keeps them. What was published is
//! on the log in the order in which it was enqueued, once, and is acknowledged only after the
//! broker said so. What is read is read from a place that the caller names (there is no group, no
//! committed offset, no silent reset): a place that is not there is reported, never skipped. Bodies
//! are Avro behind one table ([`kit_body`]), sealed and opened at one seam ([`seal`]), and carried
//! in CloudEvents' clothes ([`headers`]).
//!
//! It must never know a domain noun, a socket of a clinic, or a row of a read model; and it logs
//! and counts without a body, a key's owner or a token.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`BusConfig`], [`Topic`] |
//! | [`namespace`] | [`Namespace`], which names a public topic |
//! | [`topics`] | what each topic must be; creating the missing, reporting the different |
//! | [`bus`] | [`Bus`]: connect, metadata, partitions, watermarks |
//! | [`partition`] | Java's murmur2, so that a unit has one partition in every language |
//! | [`headers`] | facts and requests to and from CloudEvents headers |
//! | [`seal`] | the seam where bodies are sealed and opened; the identity for now |
//! | [`produce`] | one idempotent producer, a [`Delivery`] for each message |
//! | [`publish`] | facts, requests and the rest, sealed and enqueued in order |
//! | [`park`] | a fact that its schema refuses, to `parked` |
//! | [`record`] | [`RawRecord`], as it came from the log |
//! | [`open`] | records to facts, requests, and anything else |
//! | [`deferred`] | what of a compacted topic waits for its schema, key by key |
//! | [`redrive`] | a parked record goes on its topic again, or is done with |
//! | `trust` | whom to believe where a record and the registry disagree on a schema |
//! | [`reader`] | [`Reader`]: one consumer, one thread (`polling`), one bounded channel |
//! | [`scan`] | a pool of warm readers that read a stretch of one partition and end |
//! | [`error`] | what fails, and whether it is worth waiting |

#![cfg_attr(test, expect(clippy::cast_possible_wrap, reason = "numbers of a test are small"))]

pub mod bus;
mod client;
pub mod config;
pub mod deferred;
pub mod error;
pub mod headers;
mod metrics;
pub mod namespace;
pub mod open;
pub mod park;
pub mod partition;
mod polling;
pub mod produce;
pub mod publish;
pub mod reader;
pub mod record;
pub mod redrive;
pub mod scan;
pub mod seal;
pub mod topics;
mod trust;

/// The promises: written, checked, registered.
pub mod schemas {
    pub use kit_body::register::Report;
    pub use kit_body::schemas::{Promise, SchemasError, check, derive, read, write};
    use kit_body::{RegistryError, Schemas};

    /// Registers `promises` (sorted, as [`read`] and [`derive`] give them) with the registry at
    /// `registry_url`; repeating it changes nothing.
    ///
    /// # Errors
    /// The registry is away, refuses one, or holds another schema in its place.
    pub async fn apply(registry_url: &str, promises: &[Promise]) -> Result<Report, RegistryError> {
        Schemas::new(registry_url)?.register(promises).await
    }
}

pub use bus::{Bus, Delivering, Watermarks};
pub use config::{BusConfig, Topic};
pub use deferred::Deferred;
pub use error::{BusError, OpenError, PublishError};
pub use namespace::{Namespace, NamespaceError};
pub use open::Opened;
pub use produce::{Delivery, Logged, Placed};
pub use publish::{Outgoing, PublicForm, Sealed};
pub use reader::{Polled, Reader, ReaderOptions};
pub use record::RawRecord;
pub use redrive::{Origin, RedriveError, Settled};
pub use scan::{Scan, ScanError, Scans};
