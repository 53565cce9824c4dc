//! How read models stand in Postgres: connections, migrations, a reader's progress, and the rules
//! by which a reader takes a unit's facts off the log.
//!
//! The rules ([`Reading`]) are pure, and the same for every domain; the progress they lead to lives
//! in the domain's own schema and moves in the same transaction as the domain's rows. So a crash at
//! any point loses rows and position together, and the log gives both again: at-least-once delivery
//! with an effect of exactly once.
//!
//! The crate knows no domain noun, no Kafka client and no HTTP. A domain's store offers a
//! [`Projection`]; the projector is the only caller of those, and the gateway the only user of
//! [`read_pool`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`connect`] | [`read_pool`], [`writer`], and every time-out |
//! | [`migrate`] | [`migrate()`]: a schema with its own history, safe when several start at once |
//! | [`reading`] | [`Reading`], [`Verdict`]: repeat, fork, hold, new epoch |
//! | [`progress`] | the tables `offsets`, `applied`, `held` |
//! | [`projection`] | [`Projection`], the port of a domain's tables |
//! | [`rows`] | what tables of things share when they are written |
//! | [`read`] | [`Row`], [`Page`], [`Fresh`]: what reads share |
//! | [`mod@positions`] | how far domains have come with many units at once |
//! | [`mod@standing`] | how a domain stands with every unit |
//! | [`copies`] | the copies of a domain: live, next, previous |
//! | [`mod@compare`] | two copies, row by row, without a value on the way |
//! | [`switch`] | [`Switch`]: another copy becomes the live one |
//! | [`number`], [`json`] | numbers and bodies as Postgres can hold them |

pub mod compare;
pub mod connect;
pub mod copies;
pub mod error;
pub mod json;
pub mod migrate;
pub mod number;
pub mod positions;
pub mod progress;
pub mod projection;
pub mod read;
pub mod reading;
pub mod rows;
pub mod standing;
pub mod switch;

pub use compare::{TableReport, compare};
pub use connect::{READ_CONNECTIONS_MAX, operator, read_pool, writer};
pub use copies::Place;
pub use error::{Act, StoreError};
pub use migrate::{Step, migrate};
pub use positions::positions;
pub use progress::{Advance, HeldRecord};
pub use projection::{
    Asked, EPOCH_SEEDED, Entry, FACT_WITHHELD, Gap, Projection, Seeded, Stale, Unapplied, Work,
};
pub use read::{Fresh, Freshness, PAGE_ITEMS_MAX, Page, Row, freshness};
pub use reading::{HELD_MAX, Hole, Reading, Verdict};
pub use standing::{Standing, standings};
pub use switch::Switch;
