//! REST as every domain's face speaks it: routes with their permission, one handler for every
//! command, reads that say how fresh they are, problems with a page.
//!
//! A domain declares ([`face::Face`]); what is declared is served and described. Nothing here
//! decides about a record, and no line knows a domain: a path, a field or a type name of one comes
//! from its declaration.
//!
//! | module | what it holds |
//! |---|---|
//! | [`face`], [`route`] | what a domain declares; a route and what is said of it |
//! | [`declared`] | what all of them declare, as data |
//! | [`guard`] | who calls, from which unit, with which reach |
//! | [`command`], [`present`] | the one handler of commands; an outcome as an answer |
//! | [`headers`] | the headers of the contract |
//! | [`fields`], [`own`] | fields of a command; whether a command about a record is within reach |
//! | [`facts`] | which facts a caller may see among events |
//! | [`chart`], [`chart_page`] | the first page of a chart, of every domain's parts |
//! | [`read`], [`as_of`] | freshness, pages, bodies; what a record said then |
//! | [`reached`] | waiting until a read model holds a fact |
//! | [`problems`] | what every face may answer |

pub mod as_of;
pub mod chart;
pub mod chart_page;
pub mod command;
pub mod declared;
pub mod face;
pub mod facts;
pub mod fields;
pub mod guard;
pub mod headers;
pub mod own;
pub mod present;
pub mod problems;
pub mod reached;
pub mod read;
pub mod route;

use std::sync::Arc;

use kit_event::UnitId;
use kit_http::Problem;
use kit_http::problem::NOT_FOUND;
use kit_policy::Caller;
use kit_request::Requests;
use kit_token::Verifier;
use sqlx::PgPool;

use crate::declared::Declared;
use crate::reached::Reached;

pub use command::{CommandDef, Whose};
pub use face::Face;
pub use guard::InUnit;
pub use route::Route;

/// What handlers share.
pub struct Rest {
    /// Who calls.
    pub verifier: Verifier,
    /// How units are asked.
    pub requests: Requests,
    /// The read models.
    pub pool: PgPool,
    /// What all faces declare.
    pub declared: Declared,
    /// Who waits for which read model.
    pub reached: Reached,
}

/// State of every handler.
pub type App = Arc<Rest>;

impl Rest {
    /// The unit of that name, where it exists for this caller.
    ///
    /// # Errors
    /// 404.
    pub async fn visible(&self, caller: &Caller, name: &str) -> Result<UnitId, Problem> {
        let unit: UnitId = name.parse().map_err(|_| NOT_FOUND)?;
        if !caller.verified.sees(&unit) {
            return Err(NOT_FOUND.into());
        }
        if self.requests.presence.knows(&unit) {
            return Ok(unit);
        }
        let registered = self.requests.records.has_unit(&unit).await;
        if registered.map_err(|error| self.store_away(&error))? {
            Ok(unit)
        } else {
            Err(NOT_FOUND.into())
        }
    }
}
