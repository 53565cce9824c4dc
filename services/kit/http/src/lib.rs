//! HTTP as every host of the house speaks it: problems, request ids, bounded bodies, pages, drain.
//!
//! An error is `application/problem+json` (RFC 9457) whose `type` is a page, whose `errors` name
//! each field and the reason, and whose `instance` is the request id that the log line carries
//! too. Everything a caller may send has a bound with a name. What goes wrong inside stays inside:
//! a 500 says only that it is one.
//!
//! The crate must never know a route, a token or a record, and it never writes a path, a query or
//! a body into a log line or a metric: only the route's template, so that no id of a patient ends
//! up there.
//!
//! | module | what it holds |
//! |---|---|
//! | [`problem`] | [`Problem`], [`ProblemKind`] and the kinds that HTTP itself gives |
//! | [`body`] | [`JsonObject`]: a bounded body, read strictly into a struct |
//! | `members` | a body's members as they stood in it: none twice, none of an odd name |
//! | [`query`] | [`QueryText`]: parameters taken by name, none left over |
//! | [`page`] | limits and cursors of lists |
//! | [`observe`] | request id, access line, metrics, caught panics around every route |
//! | `places`, `stall` | what one address may hold; readers that take nothing |
//! | [`serve`] | the accept loop and its drain; [`serve::Cut`] drops one connection |

#![cfg_attr(test, expect(clippy::needless_pass_by_value, reason = "a test asks once"))]

pub mod body;
pub mod observe;
pub mod page;
pub mod problem;
pub mod query;
pub mod serve;

mod members;
mod places;
mod stall;

pub use body::{JsonObject, read_fields};
pub use observe::{CallId, dress};
pub use page::{Limit, PageQuery, cursor_text};
pub use problem::{FieldError, Problem, ProblemKind};
pub use query::QueryText;
pub use serve::serve;
