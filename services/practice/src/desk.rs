//! The desk: what people there do to the clinic database, one operation at a time.
//!
//! Every operation is one transaction of its own, as a click in practice software is. What programs
//! do in bulk stands in [`crate::disturbances`].

use std::path::Path;

use chrono_tz::Tz;
use kit_event::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, params_from_iter};
use uuid::Uuid;

use crate::bills::{Invoice, Payment};
use crate::error::{PracticeError, during};
use crate::free::Interval;
use crate::people::{Patient, Practitioner, WorkingHours};
use crate::seed::BUSY_WAIT;
use crate::tables::{Row, Table};

/// One program with the clinic database open.
pub struct Desk {
    connection: Connection,
    time_zone: Tz,
}

impl Desk {
    /// Opens a clinic database that exists. Wall times are UTC's until [`Desk::in_zone`].
    ///
    /// # Errors
    /// The file is missing or is no database.
    pub fn open(path: &Path) -> Result<Self, PracticeError> {
        let failed = |source| PracticeError::Open { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
        // The library enforces foreign keys by default; SQLite, and most practices, do not.
        connection.pragma_update(None, "foreign_keys", false).map_err(failed)?;
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(failed)?;
        Ok(Self { connection, time_zone: Tz::UTC })
    }

    /// The same desk, keeping the unit's wall time.
    #[must_use]
    pub fn in_zone(self, time_zone: Tz) -> Self {
        Self { time_zone, ..self }
    }

    /// The unit's zone.
    pub fn time_zone(&self) -> Tz {
        self.time_zone
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    // === Patients ===

    /// Writes a new patient.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn register_patient(&self, patient: &Patient) -> Result<Uuid, PracticeError> {
        patient.write(&self.connection, "INSERT")?;
        Ok(patient.patient_id)
    }

    /// Takes a registration out of use.
    ///
    /// # Errors
    /// There is no such patient, or the database does not take it.
    pub fn deactivate_patient(&self, patient: &Uuid) -> Result<(), PracticeError> {
        self.amend(Table::Patients, patient, &[("active", &false)])
    }

    /// Takes a registration into use again.
    ///
    /// # Errors
    /// There is no such patient, or the database does not take it.
    pub fn reactivate_patient(&self, patient: &Uuid) -> Result<(), PracticeError> {
        self.amend(Table::Patients, patient, &[("active", &true)])
    }

    // === Practitioners ===

    /// Writes a new practitioner with their hours, in one transaction.
    ///
    /// # Errors
    /// The database refuses a row.
    pub fn hire(
        &mut self,
        practitioner: &Practitioner,
        hours: &[WorkingHours],
    ) -> Result<Uuid, PracticeError> {
        self.transaction(|connection| {
            practitioner.write(connection)?;
            hours.iter().try_for_each(|hours| hours.write(connection))?;
            Ok(practitioner.practitioner_id)
        })
    }

    /// Every practitioner who sees patients.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn practitioners(&self) -> Result<Vec<Uuid>, PracticeError> {
        self.ids("SELECT practitioner_id FROM practitioners WHERE active <> 0 ORDER BY rowid")
    }

    // === The diary ===

    /// Writes an appointment into the diary. The desk asks nobody: whether the slot is free, the
    /// patient known and the practitioner at work is what the people there looked at.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn take_slot(
        &self,
        practitioner: &Uuid,
        interval: Interval,
        patient: &Uuid,
    ) -> Result<Uuid, PracticeError> {
        let id = Uuid::new_v4();
        let sql = "INSERT INTO appointments (appointment_id, patient_id, practitioner_id, \
                   starts_at, ends_at, status, modality, reason) \
                   VALUES (?1, ?2, ?3, ?4, ?5, 'booked', 'in-person', 'At the desk')";
        let row = [
            id.to_string(),
            patient.to_string(),
            practitioner.to_string(),
            interval.starts_at.to_string(),
            interval.ends_at.to_string(),
        ];
        self.execute(sql, &[&row[0], &row[1], &row[2], &row[3], &row[4]])?;
        Ok(id)
    }

    /// Moves an appointment to another time.
    ///
    /// # Errors
    /// There is no such appointment, or the database does not take it.
    pub fn move_appointment(
        &self,
        appointment: &Uuid,
        interval: Interval,
    ) -> Result<(), PracticeError> {
        let (starts, ends) = (interval.starts_at.to_string(), interval.ends_at.to_string());
        self.amend(Table::Appointments, appointment, &[("starts_at", &starts), ("ends_at", &ends)])
    }

    /// Cancels an appointment.
    ///
    /// # Errors
    /// As [`Desk::set_status`].
    pub fn cancel(&self, appointment: &Uuid) -> Result<(), PracticeError> {
        self.set_status(appointment, "cancelled")
    }

    /// Notes that the patient is in the waiting room.
    ///
    /// # Errors
    /// As [`Desk::set_status`].
    pub fn arrive(&self, appointment: &Uuid) -> Result<(), PracticeError> {
        self.set_status(appointment, "arrived")
    }

    /// Notes that the patient was seen.
    ///
    /// # Errors
    /// As [`Desk::set_status`].
    pub fn fulfil(&self, appointment: &Uuid) -> Result<(), PracticeError> {
        self.set_status(appointment, "fulfilled")
    }

    /// Notes that nobody came.
    ///
    /// # Errors
    /// As [`Desk::set_status`].
    pub fn noshow(&self, appointment: &Uuid) -> Result<(), PracticeError> {
        self.set_status(appointment, "noshow")
    }

    /// Writes any status, known or not.
    ///
    /// # Errors
    /// There is no such appointment, or the database does not take it.
    pub fn set_status(&self, appointment: &Uuid, status: &str) -> Result<(), PracticeError> {
        self.amend(Table::Appointments, appointment, &[("status", &status)])
    }

    // === The till ===

    /// Writes an invoice; the desk asks nobody whether the visit took place.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn issue_invoice(
        &self,
        patient: &Uuid,
        appointment: Option<&Uuid>,
        total_minor: i64,
        currency: &str,
        at: Timestamp,
    ) -> Result<Uuid, PracticeError> {
        let invoice = Invoice {
            invoice_id: Uuid::new_v4(),
            patient_id: *patient,
            appointment_id: appointment.copied(),
            issued_at: at.to_string(),
            currency: currency.to_owned(),
            total_minor,
            status: "issued".to_owned(),
        };
        invoice.write(&self.connection)?;
        Ok(invoice.invoice_id)
    }

    /// Writes a payment, or with an amount below zero one that is given back; the desk asks nobody
    /// what is still owed.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn pay(
        &self,
        invoice: &Uuid,
        amount_minor: i64,
        currency: &str,
        at: Timestamp,
    ) -> Result<Uuid, PracticeError> {
        let payment = Payment {
            payment_id: Uuid::new_v4(),
            invoice_id: *invoice,
            paid_at: at.to_string(),
            currency: currency.to_owned(),
            amount_minor,
            method: Some("cash".to_owned()),
            reference: None,
        };
        payment.write(&self.connection)?;
        Ok(payment.payment_id)
    }

    /// Takes an invoice back.
    ///
    /// # Errors
    /// There is no such invoice, or the database does not take it.
    pub fn void(&self, invoice: &Uuid) -> Result<(), PracticeError> {
        self.amend(Table::Invoices, invoice, &[("status", &"voided")])
    }

    // === Any row ===

    /// Changes columns of the rows with this key.
    ///
    /// # Errors
    /// No such column or row, or the database does not take it.
    pub fn amend(
        &self,
        table: Table,
        key: &Uuid,
        changes: &[(&str, &dyn ToSql)],
    ) -> Result<(), PracticeError> {
        for (column, _) in changes {
            if !table.columns().contains(column) {
                let column = (*column).to_owned();
                return Err(PracticeError::UnknownColumn { table: table.name(), column });
            }
        }
        let sets: Vec<_> = changes.iter().map(|(column, _)| format!("{column} = ?")).collect();
        let sql =
            format!("UPDATE {} SET {} WHERE {} = ?", table.name(), sets.join(", "), table.key());
        let key = key.to_string();
        let mut values: Vec<&dyn ToSql> = changes.iter().map(|(_, value)| *value).collect();
        values.push(&key);
        match self.execute(&sql, &values)? {
            0 => Err(PracticeError::NoSuchRow { table: table.name(), key }),
            _ => Ok(()),
        }
    }

    /// Deletes the rows with this key.
    ///
    /// # Errors
    /// No such row, or the database does not take it.
    pub fn delete(&self, table: Table, key: &Uuid) -> Result<(), PracticeError> {
        let key = key.to_string();
        let sql = format!("DELETE FROM {} WHERE {} = ?1", table.name(), table.key());
        match self.execute(&sql, &[&key])? {
            0 => Err(PracticeError::NoSuchRow { table: table.name(), key }),
            _ => Ok(()),
        }
    }

    /// Runs one statement of any kind; the number of rows that it changed.
    ///
    /// # Errors
    /// The database refuses it.
    pub fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, PracticeError> {
        let act = "running a statement at the desk";
        let mut statement = self.connection.prepare_cached(sql).map_err(during(act))?;
        statement.execute(params_from_iter(values)).map_err(during(act))
    }

    // === The oracle ===

    /// The row with this key, in REST's names.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn row(&self, table: Table, key: &Uuid) -> Result<Option<Row>, PracticeError> {
        let act = "reading a row";
        let sql = format!("{} WHERE {} = ?1", table.select(), table.key());
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        let row = statement.query_row([key.to_string()], |row| table.read(row));
        row.optional().map_err(during(act))
    }

    /// Every row of a table, in REST's names, in the order of its keys.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn rows(&self, table: Table) -> Result<Vec<Row>, PracticeError> {
        let columns = table.columns();
        let order =
            if table == Table::WorkingHours { columns.join(", ") } else { table.key().into() };
        self.rows_where(table, &format!("1 ORDER BY {order}"), &[])
    }

    /// The rows of a table that pass a condition in SQL.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn rows_where(
        &self,
        table: Table,
        condition: &str,
        values: &[&dyn ToSql],
    ) -> Result<Vec<Row>, PracticeError> {
        let act = "reading rows";
        let sql = format!("{} WHERE {condition}", table.select());
        let mut statement = self.connection.prepare_cached(&sql).map_err(during(act))?;
        let rows = statement
            .query_map(params_from_iter(values), |row| table.read(row))
            .map_err(during(act))?;
        rows.collect::<Result<_, _>>().map_err(during(act))
    }

    /// Every patient, in REST's names, one after the other; read whole, so that no lock is held
    /// while the caller asks REST about each.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn patients(&self) -> Result<impl Iterator<Item = Row>, PracticeError> {
        Ok(self.rows(Table::Patients)?.into_iter())
    }

    /// The names of the practice's own tables; an agent's are not among them.
    pub(crate) fn tables(&self) -> Result<std::collections::HashSet<String>, PracticeError> {
        let act = "reading the names of tables";
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'arteria\\_%' ESCAPE '\\'";
        let mut statement = self.connection.prepare(sql).map_err(during(act))?;
        let names = statement.query_map([], |row| row.get(0)).map_err(during(act))?;
        names.collect::<Result<_, _>>().map_err(during(act))
    }

    /// How many rows a table holds.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn count(&self, table: Table) -> Result<u64, PracticeError> {
        let sql = format!("SELECT count(*) FROM {}", table.name());
        let count: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(during("counting rows"))?;
        Ok(count.unsigned_abs())
    }

    /// The ids that a query of one column gives; text that is no UUID is passed over.
    pub(crate) fn ids(&self, sql: &str) -> Result<Vec<Uuid>, PracticeError> {
        let act = "reading ids";
        let mut statement = self.connection.prepare_cached(sql).map_err(during(act))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(during(act))?;
        let texts: Vec<String> = rows.collect::<Result<_, _>>().map_err(during(act))?;
        Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
    }
}
