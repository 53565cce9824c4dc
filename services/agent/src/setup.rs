//! What an agent is told once: its unit, its folder, its mapping, its clock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use kit_clock::Clock;
use kit_event::{Timestamp, UnitId};

use crate::error::WorkerError;
use crate::failpoints::Failpoints;
use crate::identity::Ids;
use crate::mapping::Mapping;
use crate::mapping::source::MappingFile;

/// This agent's version, in HELLO and in epoch facts.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names of files in a clinic's folder.
pub mod files {
    /// The practice's database.
    pub const CLINIC: &str = "clinic.db";
    /// The spool.
    pub const SPOOL: &str = "agent.db";
    /// What `init` was told.
    pub const CONFIG: &str = "agent.toml";
    /// The agent's private key.
    pub const KEY: &str = "agent.key";
    /// The secret behind derived ids.
    pub const IDS_SECRET: &str = "ids.secret";
    /// The mapping of the practice's tables, where they are not the reference schema's.
    pub const MAPPING: &str = "mapping.toml";
    /// The last mapping that had no mistakes.
    pub const MAPPING_APPLIED: &str = "mapping.applied.toml";
    /// Held while an agent runs on the folder.
    pub const LOCK: &str = "agent.lock";
    /// Daily logs by category.
    pub const LOGS: &str = "logs";
}

/// A practice that writes nothing for so long is between two patients.
pub const QUIET: Duration = Duration::from_secs(20);

/// What the agent is told; all but the mapping stays the same while it runs.
pub struct Setup {
    /// The clinic's folder.
    pub dir: PathBuf,
    /// The unit.
    pub unit: UnitId,
    /// Its IANA time zone.
    pub time_zone: String,
    /// The mapping, which may change while the agent runs.
    mapping: RwLock<Arc<Mapping>>,
    /// Its file, where the practice has one.
    pub mapping_file: MappingFile,
    /// Makes public ids.
    pub ids: Ids,
    /// The network's time.
    pub clock: NetworkClock,
    /// Armed only in tests.
    pub failpoints: Failpoints,
    /// How long nobody may have written before drained rows leave the outbox.
    pub quiet: Duration,
}

impl Setup {
    /// The set-up of `unit` in the folder `dir`, with the mapping file that lies there, else the
    /// reference mapping.
    ///
    /// # Errors
    /// The secret behind derived ids cannot be read or made; the mapping has mistakes, and there is
    /// none from before.
    pub fn new(dir: &Path, unit: UnitId, time_zone: &str) -> Result<Self, WorkerError> {
        Self::with_mapping(dir, unit, time_zone, MappingFile::of(dir, None, time_zone))
    }

    /// The set-up with a mapping file of its own place.
    ///
    /// # Errors
    /// As [`Setup::new`].
    pub fn with_mapping(
        dir: &Path,
        unit: UnitId,
        time_zone: &str,
        mapping_file: MappingFile,
    ) -> Result<Self, WorkerError> {
        let ids = Ids::open(unit.clone(), &dir.join(files::IDS_SECRET))?;
        Ok(Self {
            dir: dir.to_owned(),
            unit,
            time_zone: time_zone.to_owned(),
            mapping: RwLock::new(Arc::new(mapping_file.load_or_last()?)),
            mapping_file,
            ids,
            clock: NetworkClock::new(Clock::system()),
            failpoints: Failpoints::none(),
            quiet: QUIET,
        })
    }

    /// The mapping as it is now.
    pub fn mapping(&self) -> Arc<Mapping> {
        self.mapping.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// From now on this is the mapping.
    pub fn set_mapping(&self, mapping: Mapping) -> Arc<Mapping> {
        let mapping = Arc::new(mapping);
        *self.mapping.write().unwrap_or_else(std::sync::PoisonError::into_inner) = mapping.clone();
        mapping
    }

    /// The path of a file in the clinic's folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }
}

/// Difference from the edge's time that is worth a step of ours.
const STEP_MS: i64 = 2_000;

/// The network's time as WELCOME and pings tell it, carried on by our monotonic clock; until the
/// first of them, the machine's own. Clones share it.
#[derive(Clone)]
pub struct NetworkClock(Arc<RwLock<Clock>>);

impl NetworkClock {
    /// Begins with `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(RwLock::new(clock)))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).now()
    }

    /// A moment of the machine's own clock as the network's; never later than now. None is now.
    #[must_use]
    pub fn of_machine(&self, at_ms: Option<i64>) -> Timestamp {
        let now = self.now();
        let Some(at_ms) = at_ms else { return now };
        let machine_ms = Clock::system().now().unix_ms();
        let ago_ms = machine_ms.saturating_sub(at_ms).max(0);
        now.plus_ms(-ago_ms)
    }

    /// The edge said in passing that it is `at` now. A frame's way through the network is not worth
    /// a step; a computer that slept is.
    pub fn receive(&self, at: Timestamp) {
        if (at.unix_ms() - self.now().unix_ms()).abs() > STEP_MS {
            self.tell(at);
        }
    }

    /// The edge said that it is `at` now.
    pub fn tell(&self, at: Timestamp) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Clock::told(at);
    }
}
