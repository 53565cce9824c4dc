//! What visits cost, and what was paid of it.
//!
//! Bills are made up after the diary, from a chance of their own: so a clinic's people and visits
//! stay what they were before it wrote bills.

use kit_event::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::diary::Appointment;
use crate::error::{PracticeError, during};
use crate::people::{chance, pick, random_uuid};

/// A row of `invoices`; text as somebody typed it, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Key.
    pub invoice_id: Uuid,
    /// Who is asked to pay.
    pub patient_id: Uuid,
    /// For which visit.
    pub appointment_id: Option<Uuid>,
    /// RFC 3339 when typed well.
    pub issued_at: String,
    /// ISO 4217 when typed well.
    pub currency: String,
    /// In minor units.
    pub total_minor: i64,
    /// `issued` or `voided`.
    pub status: String,
}

/// A row of `payments`; text as somebody typed it, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Key.
    pub payment_id: Uuid,
    /// For which invoice.
    pub invoice_id: Uuid,
    /// RFC 3339 when typed well.
    pub paid_at: String,
    /// ISO 4217 when typed well.
    pub currency: String,
    /// In minor units; below zero when it is given back.
    pub amount_minor: i64,
    /// How it was paid.
    pub method: Option<String>,
    /// A receipt's number, a remark.
    pub reference: Option<String>,
}

impl Invoice {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PracticeError> {
        let act = "writing an invoice";
        let mut statement = connection
            .prepare_cached(
                "INSERT INTO invoices (invoice_id, patient_id, appointment_id, issued_at, \
                 currency, total_minor, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .map_err(during(act))?;
        statement
            .execute(params![
                self.invoice_id.to_string(),
                self.patient_id.to_string(),
                self.appointment_id.map(|id| id.to_string()),
                self.issued_at,
                self.currency,
                self.total_minor,
                self.status,
            ])
            .map_err(during(act))?;
        Ok(())
    }
}

impl Payment {
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), PracticeError> {
        let act = "writing a payment";
        let mut statement = connection
            .prepare_cached(
                "INSERT INTO payments (payment_id, invoice_id, paid_at, currency, amount_minor, \
                 method, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .map_err(during(act))?;
        statement
            .execute(params![
                self.payment_id.to_string(),
                self.invoice_id.to_string(),
                self.paid_at,
                self.currency,
                self.amount_minor,
                self.method,
                self.reference,
            ])
            .map_err(during(act))?;
        Ok(())
    }
}

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// Of 100 visits, those that the patient pays for; an insurer pays the others.
const SELF_PAID_PERCENT: u32 = 60;
/// Of 100 visits that nobody came to, those that cost a fee, and the fee.
const FEE_PERCENT: u32 = 30;
const FEE_MINOR: i64 = 2_000;
/// Of 100 invoices, those that were a mistake.
const VOIDED_PERCENT: u32 = 3;
/// Of 100 invoices, those that are paid on the spot.
const AT_ONCE_PERCENT: u32 = 55;
/// Of 100 others, those of which a part is paid on the spot.
const DEPOSIT_PERCENT: u32 = 15;
/// The rest comes by transfer within so many days, where the patient is not late.
const TRANSFER_DAYS_MAX: i64 = 40;
/// Of 100 transfers, those that never come: a few balances stay open.
const NEVER_PERCENT: u32 = 8;

/// Every land of [`crate::words`] pays in euros.
const CURRENCY: &str = "EUR";
/// Keeps the chance of bills apart from that of people, who follow from the same seed.
const BILLS: u64 = 0xb111_5000;

/// What visits of a clinic cost, in minor units.
const PRICES_MINOR: &[i64] = &[2_500, 3_500, 4_500, 4_500, 6_000, 8_500, 12_050];

/// The bills of one clinic.
pub(crate) struct BillsOf {
    rng: StdRng,
    now: Timestamp,
    receipt: u32,
}

impl BillsOf {
    /// The bills of the clinic that is born of `seed`, as they stand at `now`.
    pub(crate) fn new(seed: u64, now: Timestamp) -> Self {
        Self { rng: StdRng::seed_from_u64(seed ^ BILLS), now, receipt: 0 }
    }

    /// The bill of a visit, if it has one, and its payments.
    pub(crate) fn of(&mut self, visit: &Appointment) -> Option<(Invoice, Vec<Payment>)> {
        let total_minor = match visit.status {
            "fulfilled" if chance(&mut self.rng, SELF_PAID_PERCENT) => {
                *pick(&mut self.rng, PRICES_MINOR)
            }
            "noshow" if chance(&mut self.rng, FEE_PERCENT) => FEE_MINOR,
            _ => return None,
        };
        let ended = visit.interval.ends_at;
        let voided = chance(&mut self.rng, VOIDED_PERCENT);
        let invoice = Invoice {
            invoice_id: random_uuid(&mut self.rng),
            patient_id: visit.patient_id,
            appointment_id: Some(visit.appointment_id),
            issued_at: ended.to_string(),
            currency: CURRENCY.to_owned(),
            total_minor,
            status: if voided { "voided" } else { "issued" }.to_owned(),
        };
        let mut payments = Vec::new();
        if chance(&mut self.rng, AT_ONCE_PERCENT) {
            payments.extend(self.on_the_spot(&invoice, ended, total_minor));
            if voided {
                payments.extend(self.given_back(&invoice, ended, total_minor));
            }
        } else if !voided {
            let deposit = chance(&mut self.rng, DEPOSIT_PERCENT).then_some(total_minor / 4);
            payments.extend(deposit.and_then(|part| self.on_the_spot(&invoice, ended, part)));
            let rest = total_minor - payments.iter().map(|paid| paid.amount_minor).sum::<i64>();
            payments.extend(self.transferred(&invoice, ended, rest));
        }
        Some((invoice, payments))
    }

    fn on_the_spot(&mut self, of: &Invoice, ended: Timestamp, minor: i64) -> Option<Payment> {
        let at = ended.plus_ms(self.rng.random_range(1..15) * MINUTE_MS);
        let method = *pick(&mut self.rng, &["card", "card", "cash"]);
        self.receipt += 1;
        let receipt = format!("receipt {}", self.receipt);
        self.paid(of, at, minor, method, Some(receipt))
    }

    fn transferred(&mut self, of: &Invoice, ended: Timestamp, minor: i64) -> Option<Payment> {
        let days = self.rng.random_range(2..TRANSFER_DAYS_MAX);
        let comes = !chance(&mut self.rng, NEVER_PERCENT);
        let at = ended.plus_ms(days * DAY_MS);
        comes.then(|| self.paid(of, at, minor, "transfer", None)).flatten()
    }

    fn given_back(&mut self, of: &Invoice, ended: Timestamp, minor: i64) -> Option<Payment> {
        let at = ended.plus_ms(DAY_MS);
        self.paid(of, at, -minor, "transfer", Some("given back".to_owned()))
    }

    /// A payment that was made by now.
    fn paid(
        &mut self,
        of: &Invoice,
        at: Timestamp,
        amount_minor: i64,
        method: &str,
        reference: Option<String>,
    ) -> Option<Payment> {
        let payment_id = random_uuid(&mut self.rng);
        (at <= self.now).then(|| Payment {
            payment_id,
            invoice_id: of.invoice_id,
            paid_at: at.to_string(),
            currency: of.currency.clone(),
            amount_minor,
            method: Some(method.to_owned()),
            reference,
        })
    }
}
