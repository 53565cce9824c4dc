//! The present version of every schema that the domain promises.

use kit_event::SchemaSource;
use utoipa::PartialSchema;

use crate::commands::{Command, RecordPayment, RefundPayment};
use crate::facts::{InvoiceFact, PaymentFact};
use crate::{Invoice, Payment};

pub(crate) fn all() -> Vec<SchemaSource> {
    let fact = |type_name, version, doc, schema| SchemaSource { type_name, version, doc, schema };
    let invoices = InvoiceFact::ALL
        .iter()
        .map(|kind| fact(kind.type_name(), kind.version(), kind.doc(), Invoice::schema()));
    let payments = PaymentFact::ALL
        .iter()
        .map(|kind| fact(kind.type_name(), kind.version(), kind.doc(), Payment::schema()));
    invoices.chain(payments).chain(asked()).collect()
}

fn asked() -> [SchemaSource; 2] {
    let command =
        |type_name, doc, schema| SchemaSource { type_name, version: Command::VERSION, doc, schema };
    [
        command(
            RecordPayment::TYPE,
            "Asks the unit to enter a payment for an invoice.",
            RecordPayment::schema(),
        ),
        command(
            RefundPayment::TYPE,
            "Asks the unit to enter that a payment was given back.",
            RefundPayment::schema(),
        ),
    ]
}
