//! The commands of billing, as they are submitted at REST.

use billing::{Command, RecordPayment, RefundPayment};
use kit_rest::command::{Creates, read};
use kit_rest::{CommandDef, Whose};

/// Fields of the command to pay that the server sets.
pub const PAY_SET: &[&str] = &["payment_id", "patient_id"];
/// Fields of the command to give back that the server sets.
pub const REFUND_SET: &[&str] = &["refund_id", "payment_id"];

/// Enter a payment.
pub static PAY: CommandDef = CommandDef {
    type_name: RecordPayment::TYPE,
    version: Command::VERSION,
    collection: "payments",
    creates: Some(Creates { field: "payment_id", kind: "payment" }),
    addressed: None,
    if_match: false,
    names_fields: false,
    not_found: None,
    set_by_server: PAY_SET,
    whose: Whose::Unit,
    read: |fields| read(fields, |it: &RecordPayment| Command::Record(it.clone()).validate()),
};

/// Enter that a payment was given back, as a payment of its own.
pub static REFUND: CommandDef = CommandDef {
    type_name: RefundPayment::TYPE,
    version: Command::VERSION,
    collection: "payments",
    creates: Some(Creates { field: "refund_id", kind: "payment" }),
    addressed: Some("payment_id"),
    if_match: false,
    names_fields: false,
    not_found: Some("payment-unknown"),
    set_by_server: REFUND_SET,
    whose: Whose::Unit,
    read: |fields| read(fields, |it: &RefundPayment| Command::Refund(it.clone()).validate()),
};
