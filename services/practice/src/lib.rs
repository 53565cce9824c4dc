//! The clinic's own software, played in plain SQL.
//!
//! A practice has patients, a diary and a desk long before it has an agent, and its software knows
//! nothing of networks. This crate is that software for the demonstration, the tests and the load:
//! it owns the reference practice schema ([`SCHEMA`]), fills a clinic with a plausible population
//! ([`seed`]), and does at the [`Desk`] what people at a desk do, well and badly.
//!
//! It is also the oracle: what [`Desk::row`] reads is what REST must show. So it reads the tables
//! with SQL of its own and finds free slots by a way of its own ([`free`]), and must never know the
//! agent, a domain crate, Kafka or the read model: an oracle that shares a reader with what it
//! judges can only agree with it. Time and the seeds of chance are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`tables`] | the tables of the schema, and their rows as JSON in REST's names |
//! | [`words`] | names, places and reasons that people are made of |
//! | [`people`] | patients and practitioners, and their rows |
//! | [`diary`] | a past and a coming diary within working hours |
//! | [`bills`] | what visits cost, and what was paid of it |
//! | [`mod@seed`] | fills an empty clinic |
//! | [`desk`] | what the desk does, one operation at a time |
//! | [`disturbances`] | what imports, upgrades and other programs do to a database |
//! | [`free`] | free slots, found minute by minute |
//! | [`mod@day`] | a random day at the desk |
//! | [`second`] | a deliberately different practice: its own schema, words and desk |
//! | [`synthea`] | imports of Synthea's FHIR bundles and CSV |

pub mod bills;
pub mod day;
pub mod desk;
pub mod diary;
pub mod disturbances;
pub mod error;
pub mod free;
pub mod people;
pub mod second;
pub mod seed;
pub mod synthea;
pub mod tables;
pub mod words;

pub use bills::{Invoice, Payment};
pub use day::{Day, day};
pub use desk::Desk;
pub use disturbances::HeldLock;
pub use error::PracticeError;
pub use free::Interval;
pub use people::{Patient, Practitioner, WorkingHours};
pub use seed::{Population, Seeded, seed, seed_clinic, seed_of};
pub use tables::{Row, Table, differences};

/// The reference practice schema; running it twice changes nothing.
pub const SCHEMA: &str = include_str!("../schema/reference.sql");

/// The name of the clinic database within a clinic's folder.
pub const CLINIC_DB: &str = "clinic.db";
