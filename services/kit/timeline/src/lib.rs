//! The timeline: every fact of every unit, of whatever type, and what is wrong with a unit's
//! numbering.
//!
//! It knows no type: a new one needs a schema and nothing here. It is the one reader that keeps
//! every id, so it alone can tell a fork from a repeat, and it alone asks units for what is missing
//! ([`repair`]); otherwise each domain's reader would ask for itself.
//!
//! It is also the one place from which a unit's facts are read in order, as pages after a number.
//! A unit's facts are committed in the order of their numbers, so such a page has no hole behind
//! it, and a reader that goes on from its last number misses nothing and meets nothing twice,
//! whether the fact is a year old or was committed a moment ago. Each statement reads one index
//! from a place in it onwards, as many entries as it shows: a page costs the same whatever the
//! unit's history (a test counts the rows that are touched).
//!
//! | module | what it holds |
//! |---|---|
//! | [`read_model`] | [`Timeline`], the writer of the table `fact`, and [`events`] |
//! | [`mod@of_patient`] | what tells a patient something, and whom new facts tell something |
//! | [`visible`] | which types a reader may see, and its pages |
//! | [`as_of`] | what a record said at some moment |
//! | [`repair`] | holes asked for and forks found |

pub mod as_of;
pub mod of_patient;
pub mod read_model;
pub mod repair;
pub mod visible;

pub use as_of::{EverSaid, Moment, Said, Subject, ever_said, said};
pub use of_patient::{Concerned, PatientFilter, concerned, of_patient};
pub use read_model::{EventFilter, Timeline, TimelineRow, events, holds};
pub use visible::{VisiblePage, VisibleTypes, visible_events};
