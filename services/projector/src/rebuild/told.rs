//! What a rebuild tells while it goes on. Ids and numbers only: no row's value is ever shown.

use std::fmt;
use std::time::Duration;

use kit_store::TableReport;

/// Both copies side by side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Each table.
    pub tables: Vec<TableReport>,
    /// Partitions in which the two did not stand at the same place of the log: the live copy stands
    /// still, or at a place that this log never had.
    pub partitions_apart: usize,
}

impl Comparison {
    /// Whether every row is the same, at the same place.
    pub fn is_equal(&self) -> bool {
        self.partitions_apart == 0 && self.tables.iter().all(TableReport::is_equal)
    }
}

/// A step of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// So many records of so many were read.
    Read {
        /// Of which domain.
        domain: &'static str,
        /// Read in this stretch.
        done: i64,
        /// The stretch's length.
        of: i64,
    },
    /// The copies were compared.
    Compared {
        /// Of which domain.
        domain: &'static str,
        /// What was found.
        comparison: Comparison,
    },
    /// Somebody holds the tables; the switch is tried again.
    Waits {
        /// Of which domain.
        domain: &'static str,
    },
    /// The other copy is live.
    Switched {
        /// Of which domain.
        domain: &'static str,
        /// The longest that a read may have waited.
        waited: Duration,
    },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { domain, done, of } => {
                let percent = (done * 100).checked_div(*of).unwrap_or(100);
                write!(f, "{domain}: read {done} of {of} records ({percent}%)")
            }
            Self::Compared { domain, comparison } => show(f, domain, comparison),
            Self::Waits { domain } => {
                write!(f, "{domain}: its tables are in use; the switch is tried again")
            }
            Self::Switched { domain, waited } => {
                let waited_ms = waited.as_millis();
                write!(f, "{domain}: switched; reads waited {waited_ms} ms at most")
            }
        }
    }
}

fn show(f: &mut fmt::Formatter<'_>, domain: &str, found: &Comparison) -> fmt::Result {
    for table in &found.tables {
        let (name, live, next) = (&table.table, table.live_rows, table.next_rows);
        write!(f, "{domain}.{name}: {live} rows live, {next} rows here: ")?;
        if table.is_equal() {
            write!(f, "equal")?;
        } else {
            write!(
                f,
                "{} only live, {} only here, {} differ; keys hash {:016x}",
                table.only_live, table.only_next, table.differing, table.keys_hash
            )?;
            for key in table.examples.iter().filter(|key| !key.is_empty()) {
                write!(f, "\n  key {key}")?;
            }
        }
        if !table.columns_apart.is_empty() {
            write!(f, "; only one copy has {}", table.columns_apart.join(", "))?;
        }
        writeln!(f)?;
    }
    match found.partitions_apart {
        0 => write!(f, "{domain}: compared at the same place of the log"),
        apart => write!(f, "{domain}: {apart} partitions were not at the same place of the log"),
    }
}
