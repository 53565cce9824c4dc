//! Facts of invoices and payments become rows.

use billing::{Fact, Invoice, InvoiceFact, Payment, PaymentFact};
use kit_store::rows::{ResourceTable, Stated, last_of_each};
use kit_store::{Entry, Projection, Step, StoreError, Unapplied, Work};
use sqlx::PgConnection;

use crate::write;

/// The domain's projection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Billing;

impl Billing {
    /// The name of the schema.
    pub const SCHEMA: &'static str = "billing";
}

const STEPS: &[Step] = &[
    Step { version: 1001, name: "invoice", sql: include_str!("../migrations/1001_invoice.sql") },
    Step { version: 1002, name: "payment", sql: include_str!("../migrations/1002_payment.sql") },
];

const RESOURCES: &[ResourceTable] = &[write::INVOICE, write::PAYMENT];

impl Projection for Billing {
    fn schema(&self) -> &'static str {
        Self::SCHEMA
    }

    fn steps(&self) -> &'static [Step] {
        STEPS
    }

    fn resources(&self) -> &'static [ResourceTable] {
        RESOURCES
    }

    fn reads(&self, type_name: &str) -> bool {
        InvoiceFact::parse(type_name).is_some() || PaymentFact::parse(type_name).is_some()
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        entries: &'a [Entry],
    ) -> Work<'a, Vec<Unapplied>> {
        Box::pin(apply(connection, entries))
    }
}

/// What a batch states, table by table.
#[derive(Default)]
struct Sorted<'a> {
    invoices: Vec<Stated<'a, Invoice>>,
    payments: Vec<Stated<'a, Payment>>,
    refused: Vec<Unapplied>,
}

impl<'a> Sorted<'a> {
    fn add(&mut self, index: usize, entry: &'a Entry) {
        let fact = match Fact::read(&entry.fact.type_name, &entry.fact.body) {
            Ok(Some(fact)) => fact,
            // A type of a later version of this domain: the timeline has it.
            Ok(None) => return,
            Err(_) => {
                // The parser's own words may quote the body.
                let cause = "the body does not read as its type".to_owned();
                self.refused.push(Unapplied { index, cause });
                return;
            }
        };
        let removed = fact.removes();
        match fact {
            Fact::Invoice(_, resource) => {
                let id = resource.invoice_id;
                self.invoices.push(Stated { entry, id, removed, resource });
            }
            Fact::Payment(_, resource) => {
                let id = resource.payment_id;
                self.payments.push(Stated { entry, id, removed, resource });
            }
        }
    }
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<Vec<Unapplied>, StoreError> {
    let mut sorted = Sorted::default();
    for (index, entry) in entries.iter().enumerate() {
        sorted.add(index, entry);
    }
    if !sorted.invoices.is_empty() {
        write::invoices(connection, &last_of_each(sorted.invoices)).await?;
    }
    if !sorted.payments.is_empty() {
        write::payments(connection, &last_of_each(sorted.payments)).await?;
    }
    Ok(sorted.refused)
}
