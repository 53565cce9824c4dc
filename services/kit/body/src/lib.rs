//! Bodies: the one table between plain JSON and Avro, and the promises (schemas) behind it.
//!
//! Inside Arteria a body is plain JSON: the REST body, the frame's body and the `jsonb` are the
//! same text. On Kafka it is Avro in the Confluent wire format, because analysts and other
//! languages read it by schema. The table between the two is the same for any schema, so a new
//! event type needs a schema and no code: a null union is the bare value or null,
//! `timestamp-millis` is RFC 3339 UTC text, `date` is `YYYY-MM-DD`, `bytes` is base64, a missing
//! nullable field is null (and a null one is left out on reading), and a field that the schema
//! does not have refuses the body. Other unions, maps, decimals, enums and the other logical types
//! have no place in it and are refused when the schema is loaded.
//!
//! The bytes are written and read here and not by `apache_avro`, whose reader takes a record that
//! was cut in the middle of its last nullable fields for a whole one with nulls. Reading never
//! trusts a length: nothing is allocated that the bytes at hand do not hold. `apache_avro` parses
//! schemas, names their canonical form, and judges compatibility.
//!
//! The crate must never know a topic, a header, a unit or a domain noun, and no error of it ever
//! carries a value of a body: only the path (`$.starts_at`) and the reason.
//!
//! | module | what it holds |
//! |---|---|
//! | [`name`] | `scheduling.appointment_booked` <-> `arteria.scheduling.AppointmentBooked` |
//! | [`schema`] | [`BodySchema`], a loaded schema: encode, decode, fingerprint |
//! | [`shape`] | what of Avro the table takes |
//! | [`derive`] | the Avro schema of a struct, from its OpenAPI schema |
//! | [`schemas`] | the files under `proto-schemas/`: written, checked, compared with each other |
//! | [`public`] | the public form of a type that is only a schema |
//! | [`registry`] | [`Schemas`], the client of the schema registry: finding |
//! | [`versions`] | the same client: every version of a type |
//! | [`register`] | the same client: registering |
//! | [`candidate`] | a schema that an operator offers: checked before the registry hears of it |
//! | [`offer`] | the same client: a candidate as the next version of its type; what is there |

pub mod candidate;
mod decode;
pub mod derive;
mod encode;
pub mod error;
pub mod name;
pub mod offer;
pub mod public;
pub mod register;
pub mod registry;
pub mod schema;
pub mod schemas;
pub mod shape;
pub mod versions;

pub use candidate::{Candidate, CandidateError};
pub use error::{BodyError, Reason};
pub use offer::{Listed, OfferError, Offered};
pub use registry::{Registered, RegistryError, Schemas};
pub use schema::{BodySchema, SchemaError};
pub use schemas::Promise;
pub use versions::Version;
