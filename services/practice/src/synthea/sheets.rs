//! Synthea's CSV: one table for each kind, joined by ids.
//!
//! A claim's row has no total. What its lines charge stands in `claims_transactions.csv`, beside
//! payments and transfers between payers, so that table is read twice: first for the charges, then,
//! when the invoices are there, for the payments.

use std::io::Read;

use rusqlite::ToSql;
use uuid::Uuid;

use super::amount::minor;
use super::books::{Books, Form, Refused};
use super::charges::Charges;
use super::people::{Told, split};
use super::report::Report;
use super::resources::{
    LOOSE, NO_AMOUNT, NO_DATE, NO_ID, NO_INVOICE, NO_LENGTH, NO_NAME, NO_PATIENT, NO_PRACTITIONER,
    NO_TIME, NOTHING_PAID, PAID_OTHERWISE, ROUNDED, UNBORN,
};
use super::rows::{Halt, Row, Rows};
use super::stage::{Sheet, Stage};
use super::text::{cleaned, first_instant, instant};
use crate::Table;

/// What Synthea's CSV is in; it has no column for it.
pub(super) const CURRENCY: &str = "USD";
/// Where Synthea's people live; its CSV has no column for it.
const COUNTRY: &str = "US";
const RAGGED: Refused = Refused::Skip("its row has not as many cells as the table has columns");
const TOLD: Refused = Refused::Skip("FHIR beside this table tells the like of its patient");

/// What the rows of tables are taken with.
pub(super) struct Clerk<'w> {
    pub books: &'w Books<'w>,
    /// What this import has met in FHIR.
    pub told: &'w Told,
    pub charges: &'w mut Charges,
    pub report: &'w mut Report,
    /// The table, as the report names it.
    pub name: &'w str,
}

impl Clerk<'_> {
    /// Writes a whole table, or adds up its charges.
    pub fn take<R: Read>(&mut self, sheet: Sheet, stage: Stage, bytes: R) -> Result<(), Halt> {
        let needs: &[&str] = match sheet {
            Sheet::Providers => &["ID", "NAME"],
            Sheet::Patients => &["ID", "LAST"],
            Sheet::Encounters => &["ID", "START", "STOP", "PATIENT", "PROVIDER"],
            Sheet::Claims => &["ID", "PATIENTID"],
            Sheet::Transactions => &["ID", "CLAIMID", "TYPE"],
        };
        let mut rows = Rows::open(sheet, needs, bytes)?;
        if stage == Stage::Charges {
            return self.charges.gather(rows);
        }
        while let Some(row) = rows.next()? {
            let (table, taken) = match sheet {
                Sheet::Providers => (Table::Practitioners, self.fitting(&row, Self::provider)),
                Sheet::Patients => (Table::Patients, self.fitting(&row, Self::patient)),
                Sheet::Encounters => (Table::Appointments, self.fitting(&row, Self::encounter)),
                Sheet::Claims => (Table::Invoices, self.fitting(&row, Self::claim)),
                Sheet::Transactions => match row.cell("TYPE") {
                    Some("PAYMENT") => (Table::Payments, self.fitting(&row, Self::payment)),
                    Some("CHARGE") => continue,
                    other => {
                        let kind = other.unwrap_or("without a type");
                        self.report.pass_over(&format!("transaction {kind}"));
                        continue;
                    }
                },
            };
            let place = || format!("{}, line {}", self.name, row.line());
            self.report.count(table, taken, place)?;
        }
        Ok(())
    }

    fn fitting(
        &mut self,
        row: &Row<'_>,
        take: fn(&mut Self, &Row<'_>) -> Result<bool, Refused>,
    ) -> Result<bool, Refused> {
        if row.fits() { take(self, row) } else { Err(RAGGED) }
    }

    /// The patient whom a column names.
    fn patient_of(&self, row: &Row<'_>, column: &str) -> Result<Uuid, Refused> {
        let id = row.id(column).ok_or(NO_PATIENT)?;
        let id = self.books.id_of(Table::Patients, id);
        self.books.known(Table::Patients, id)?.ok_or(NO_PATIENT)
    }

    /// Refuses what FHIR has told of this patient: where Synthea writes both, the ids of visits and
    /// of payments differ, and each would be there twice.
    fn once(&self, table: Table, patient: Uuid) -> Result<(), Refused> {
        if self.told.contains(&(table, patient)) { Err(TOLD) } else { Ok(()) }
    }

    fn provider(&mut self, row: &Row<'_>) -> Result<bool, Refused> {
        let source = row.id("ID").ok_or(NO_ID)?;
        let name = row.text("NAME").ok_or(NO_NAME)?;
        let (given, family) = split(&name);
        let row: [&dyn ToSql; 5] = [
            &self.books.id_of(Table::Practitioners, source).to_string(),
            &family,
            &given,
            &row.text("SPECIALITY")
                .or_else(|| row.text("SPECIALTY"))
                .map(|name| name.to_lowercase()),
            &true,
        ];
        Ok(self.books.put(Table::Practitioners, &row)?)
    }

    fn patient(&mut self, row: &Row<'_>) -> Result<bool, Refused> {
        let source = row.id("ID").ok_or(NO_ID)?;
        let given = [row.text("FIRST"), row.text("MIDDLE")];
        let given = given.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let sex = match row.cell("GENDER") {
            Some("M") => Some("male".to_owned()),
            Some("F") => Some("female".to_owned()),
            other => cleaned(other),
        };
        let birth_date = row.text("BIRTHDATE");
        let cells: [&dyn ToSql; 14] = [
            &self.books.id_of(Table::Patients, source).to_string(),
            &source.to_string(),
            &row.text("LAST").ok_or(NO_NAME)?,
            &cleaned(Some(&given)),
            &birth_date,
            &sex,
            &None::<String>,
            &None::<String>,
            &row.text("ADDRESS"),
            &row.text("CITY"),
            &row.text("ZIP"),
            &COUNTRY,
            &row.text("DEATHDATE"),
            &true,
        ];
        let new = self.books.put(Table::Patients, &cells)?;
        if new && birth_date.is_none() {
            self.report.lessen(Table::Patients, UNBORN);
        }
        Ok(new)
    }

    fn encounter(&mut self, row: &Row<'_>) -> Result<bool, Refused> {
        let source = row.id("ID").ok_or(NO_ID)?;
        let id = self.books.id_of(Table::Appointments, source);
        if self.books.holds(Table::Appointments, &id)? {
            return Ok(false);
        }
        let patient = self.patient_of(row, "PATIENT")?;
        self.once(Table::Appointments, patient)?;
        let practitioner = row.id("PROVIDER").ok_or(NO_PRACTITIONER)?;
        let practitioner = self.books.id_of(Table::Practitioners, practitioner);
        let practitioner =
            self.books.known(Table::Practitioners, practitioner)?.ok_or(NO_PRACTITIONER)?;
        let time = |column| row.cell(column).and_then(instant).ok_or(NO_TIME);
        let (starts_at, ends_at) = (time("START")?, time("STOP")?);
        if ends_at <= starts_at {
            return Err(NO_LENGTH);
        }
        let modality =
            if row.cell("ENCOUNTERCLASS") == Some("virtual") { "video" } else { "in-person" };
        let row: [&dyn ToSql; 8] = [
            &id.to_string(),
            &patient.to_string(),
            &practitioner.to_string(),
            &starts_at.to_string(),
            &ends_at.to_string(),
            &"fulfilled",
            &modality,
            &row.text("DESCRIPTION"),
        ];
        Ok(self.books.put(Table::Appointments, &row)?)
    }

    fn claim(&mut self, row: &Row<'_>) -> Result<bool, Refused> {
        let source = row.id("ID").ok_or(NO_ID)?;
        let id = self.books.id_of(Table::Invoices, source);
        if self.books.holds(Table::Invoices, &id)? {
            return Ok(false);
        }
        let patient = self.patient_of(row, "PATIENTID")?;
        self.once(Table::Invoices, patient)?;
        let visit = row.id("APPOINTMENTID").map(|id| self.books.id_of(Table::Appointments, id));
        let appointment = match visit {
            Some(id) => self.books.known(Table::Appointments, id)?,
            None => None,
        };
        let times =
            ["LASTBILLEDDATE1", "LASTBILLEDDATEP", "SERVICEDATE"].map(|column| row.cell(column));
        let issued_at = first_instant(&times).ok_or(NO_DATE)?;
        let total = self.charges.of(source).ok_or(NO_AMOUNT)?;
        let row: [&dyn ToSql; 7] = [
            &id.to_string(),
            &patient.to_string(),
            &appointment.map(|id| id.to_string()),
            &issued_at.to_string(),
            &CURRENCY,
            &total.minor,
            &"issued",
        ];
        let new = self.books.put(Table::Invoices, &row)?;
        if new && total.rounded {
            self.report.lessen(Table::Invoices, ROUNDED);
        }
        if new && visit.is_some() && appointment.is_none() {
            self.report.lessen(Table::Invoices, LOOSE);
        }
        Ok(new)
    }

    fn payment(&mut self, row: &Row<'_>) -> Result<bool, Refused> {
        let source = row.id("ID").ok_or(NO_ID)?;
        let invoice = row.id("CLAIMID").map(|id| self.books.id_of(Table::Invoices, id));
        let invoice =
            self.books.known(Table::Invoices, invoice.ok_or(NO_INVOICE)?)?.ok_or(NO_INVOICE)?;
        let id = self.books.id_of(Table::Payments, source);
        if self.books.holds(Table::Payments, &id)? {
            return Ok(false);
        }
        if let Some(patient) = self.books.patient_of(invoice)? {
            self.once(Table::Payments, patient)?;
        }
        if self.books.paid_by(invoice, Form::Benefits)? {
            return Err(PAID_OTHERWISE);
        }
        let text = row.cell("PAYMENTS").or_else(|| row.cell("AMOUNT")).ok_or(NO_AMOUNT)?;
        let amount = minor(text, CURRENCY).ok_or(NO_AMOUNT)?;
        if amount.minor == 0 {
            return Err(NOTHING_PAID);
        }
        let times = ["TODATE", "FROMDATE"].map(|column| row.cell(column));
        let paid_at = first_instant(&times).ok_or(NO_DATE)?;
        let method = match row.cell("METHOD") {
            Some("CC") => Some("card".to_owned()),
            other => cleaned(other).map(|word| word.to_lowercase()),
        };
        let row: [&dyn ToSql; 7] = [
            &id.to_string(),
            &invoice.to_string(),
            &paid_at.to_string(),
            &CURRENCY,
            &amount.minor,
            &method,
            &source.to_string(),
        ];
        let new = self.books.put(Table::Payments, &row)?;
        if new && amount.rounded {
            self.report.lessen(Table::Payments, ROUNDED);
        }
        Ok(new)
    }
}
