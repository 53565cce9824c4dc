//! Controls: what the centre tells a unit's agent beside the commands of people. They travel on
//! `unit.requests`, ahead of commands and again in their place, and change no record.

use kit_event::{RequestId, SchemaSource, UnitSeq};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

/// Ends a request that the unit has not yet come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Which request.
    #[schema(value_type = String)]
    pub request_id: RequestId,
}

/// Asks for facts again that a reader found missing in the log; both ends are included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resend {
    /// The first missing fact, as `E-S`.
    #[schema(value_type = String)]
    pub from: UnitSeq,
    /// The last, of the same epoch.
    #[schema(value_type = String)]
    pub to: UnitSeq,
}

/// Tells the unit to open an epoch above `above`, unless it already has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEpoch {
    /// The epoch that is over.
    pub above: u32,
    /// Why, as `fork`.
    pub reason: String,
}

/// Asks for the present state of what a withheld fact spoke of, as a new fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reemit {
    /// The fact that was withheld, as `E-S`.
    #[schema(value_type = String)]
    pub seq: UnitSeq,
    /// What it spoke of, `<thing>/<id>`, for a unit whose spool does not hold it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Cancel {
    /// The type on the wire.
    pub const TYPE: &'static str = "control.cancel";
}

impl Resend {
    /// The type on the wire.
    pub const TYPE: &'static str = "control.resend";
}

impl NewEpoch {
    /// The type on the wire.
    pub const TYPE: &'static str = "control.new_epoch";
}

impl Reemit {
    /// The type on the wire.
    pub const TYPE: &'static str = "control.reemit";
}

/// Every control.
pub const TYPES: &[&str] = &[Cancel::TYPE, Resend::TYPE, NewEpoch::TYPE, Reemit::TYPE];

/// What the controls promise.
pub(crate) fn schemas() -> Vec<SchemaSource> {
    let promise = |type_name, doc, schema| SchemaSource { type_name, version: 1, doc, schema };
    vec![
        promise(
            Cancel::TYPE,
            "Ends a request that the unit has not yet come to.",
            Cancel::schema(),
        ),
        promise(
            Resend::TYPE,
            "Asks for facts again that a reader found missing.",
            Resend::schema(),
        ),
        promise(
            NewEpoch::TYPE,
            "Tells the unit to open an epoch above the one named.",
            NewEpoch::schema(),
        ),
        promise(
            Reemit::TYPE,
            "Asks for the present state of what a withheld fact spoke of.",
            Reemit::schema(),
        ),
    ]
}
