//! What imports, upgrades and other programs do to a clinic database.
//!
//! The agent must survive each of these without losing a change: they are ordinary in practices,
//! and each passes by some trigger, trips some lock, or does ten thousand things at once.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{PracticeError, during};
use crate::people::{self, Patient};
use crate::words::land_of;
use crate::{Desk, Table};

const LOCKING: &str = "locking the database";

/// A lock on a clinic database; it ends with [`HeldLock::release`] or when it is dropped.
pub struct HeldLock<'a> {
    connection: &'a Connection,
}

impl HeldLock<'_> {
    /// Lets the others in again.
    ///
    /// # Errors
    /// The database does not let go.
    pub fn release(self) -> Result<(), PracticeError> {
        let ended = self.connection.execute_batch("ROLLBACK");
        std::mem::forget(self);
        ended.map_err(during("releasing the lock"))
    }
}

impl Drop for HeldLock<'_> {
    fn drop(&mut self) {
        // The connection ends the transaction when it closes, whatever happens here.
        drop(self.connection.execute_batch("ROLLBACK"));
    }
}

impl Desk {
    /// Does several things in one transaction; all of them or, on an error, none.
    ///
    /// # Errors
    /// What `work` gives, or the database does not commit.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, PracticeError>,
    ) -> Result<T, PracticeError> {
        let transaction = self
            .connection_mut()
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(during("beginning a transaction"))?;
        let done = work(&transaction)?;
        transaction.commit().map_err(during("committing a transaction"))?;
        Ok(done)
    }

    /// Does several things in one transaction and then takes all of them back.
    ///
    /// # Errors
    /// What `work` gives.
    pub fn rolled_back<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, PracticeError>,
    ) -> Result<T, PracticeError> {
        let transaction = self
            .connection_mut()
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(during("beginning a transaction"))?;
        let done = work(&transaction)?;
        transaction.rollback().map_err(during("rolling a transaction back"))?;
        Ok(done)
    }

    /// Registers `count` made-up patients in one transaction, as an import does. Record numbers
    /// follow from `first_number`, so two imports need not collide.
    ///
    /// # Errors
    /// The database refuses a row; then none is there.
    pub fn import_made_up(
        &mut self,
        seed: u64,
        first_number: u32,
        count: u32,
    ) -> Result<Vec<Patient>, PracticeError> {
        let mut rng = StdRng::seed_from_u64(seed);
        let land = land_of(self.time_zone());
        let today = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day of the calendar");
        let numbers = first_number..first_number + count;
        let patients: Vec<_> =
            numbers.map(|number| people::patient(&mut rng, land, today, number)).collect();
        self.register_all(&patients)?;
        Ok(patients)
    }

    /// Registers all of these in one transaction.
    ///
    /// # Errors
    /// The database refuses a row; then none is there.
    pub fn register_all(&mut self, patients: &[Patient]) -> Result<(), PracticeError> {
        self.transaction(|connection| {
            patients.iter().try_for_each(|patient| patient.write(connection, "INSERT"))
        })
    }

    /// `REPLACE`: to the database a delete and an insert, but no delete trigger fires.
    ///
    /// # Errors
    /// The database refuses the row.
    pub fn replace_patient(&self, patient: &Patient) -> Result<(), PracticeError> {
        patient.write(self.connection(), "REPLACE")
    }

    /// Rebuilds a table as upgrade tools do that alter by copy: a new table under another name,
    /// all rows copied, the old one dropped (and with it every trigger), the new one renamed.
    ///
    /// # Errors
    /// The database refuses a step; then nothing has changed.
    pub fn rebuild(&mut self, table: Table) -> Result<(), PracticeError> {
        self.rebuild_after(table, "")
    }

    /// [`Desk::rebuild`] that also runs SQL within the transaction, after the copy and the rename:
    /// an upgrade that moves data while no trigger looks.
    ///
    /// # Errors
    /// The database refuses a step; then nothing has changed.
    pub fn rebuild_after(&mut self, table: Table, sql: &str) -> Result<(), PracticeError> {
        let act = "rebuilding a table";
        let name = table.name();
        self.transaction(|connection| {
            let made: Vec<(String, String)> = connection
                .prepare(
                    "SELECT type, sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL \
                     AND type IN ('table', 'index') ORDER BY type DESC",
                )
                .and_then(|mut statement| {
                    statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
                })
                .map_err(during(act))?;
            let mut steps = String::new();
            for (kind, made) in &made {
                if kind == "table" {
                    let copy = made.replacen(name, &format!("{name}_new"), 1);
                    steps.push_str(&format!(
                        "{copy}; INSERT INTO {name}_new SELECT * FROM {name}; DROP TABLE {name}; \
                         ALTER TABLE {name}_new RENAME TO {name};"
                    ));
                } else {
                    steps.push_str(&format!("{made};"));
                }
            }
            connection.execute_batch(&steps).map_err(during(act))?;
            connection.execute_batch(sql).map_err(during(act))
        })
    }

    /// Takes the whole database for itself until the lock is let go.
    ///
    /// # Errors
    /// Another program holds it for longer than the desk waits.
    pub fn lock(&self) -> Result<HeldLock<'_>, PracticeError> {
        self.connection().execute_batch("BEGIN EXCLUSIVE").map_err(during(LOCKING))?;
        Ok(HeldLock { connection: self.connection() })
    }

    /// Holds [`Desk::lock`] for a time, on the calling thread.
    ///
    /// # Errors
    /// As [`Desk::lock`].
    pub fn hold_lock(&self, length: Duration) -> Result<(), PracticeError> {
        let lock = self.lock()?;
        std::thread::sleep(length);
        lock.release()
    }

    /// Takes the lock of another program on the database at `path`, and lets it go after a time;
    /// returns once the lock is held. Joining the thread waits for the end of it.
    ///
    /// # Errors
    /// As [`Desk::open`] and [`Desk::lock`].
    pub fn lock_elsewhere(
        path: &Path,
        length: Duration,
    ) -> Result<JoinHandle<Result<(), PracticeError>>, PracticeError> {
        let desk = Self::open(path)?;
        desk.connection().execute_batch("BEGIN EXCLUSIVE").map_err(during(LOCKING))?;
        Ok(std::thread::spawn(move || {
            let lock = HeldLock { connection: desk.connection() };
            std::thread::sleep(length);
            lock.release()
        }))
    }

    /// Puts the database into another journal mode (`delete`, `truncate`, `wal`), as a program with
    /// its own opinion does at its start; the mode that the database then has.
    ///
    /// # Errors
    /// Another program has the database open in a way that forbids it.
    pub fn journal_mode(&self, mode: &str) -> Result<String, PracticeError> {
        self.connection()
            .pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))
            .map_err(during("setting the journal mode"))
    }
}
