//! What an agent is told once: its unit, its folder, its mapping, its clock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use kit_clock::Clock;
use kit_event::{Timestamp, UnitId};

use crate::error::StationError;
use crate::failpoints::Failpoints;
use crate::identity::Ids;
use crate::mapping::Mapping;

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
    /// Held while an agent runs on the folder.
    pub const LOCK: &str = "agent.lock";
    /// Daily logs by category.
    pub const LOGS: &str = "logs";
}

/// Everything that stays the same while the agent runs.
pub struct Setup {
    /// The clinic's folder.
    pub dir: PathBuf,
    /// The unit.
    pub unit: UnitId,
    /// Its IANA time zone.
    pub time_zone: String,
    /// Every mapped table.
    pub mapping: Mapping,
    /// Makes public ids.
    pub ids: Ids,
    /// The network's time.
    pub clock: NetworkClock,
    /// Armed only in tests.
    pub failpoints: Failpoints,
}

impl Setup {
    /// The set-up of `unit` in the folder `dir`.
    ///
    /// # Errors
    /// The secret behind derived ids cannot be read or made.
    pub fn new(dir: &Path, unit: UnitId, time_zone: &str) -> Result<Self, StationError> {
        let ids = Ids::open(unit.clone(), &dir.join(files::IDS_SECRET))?;
        Ok(Self {
            dir: dir.to_owned(),
            unit,
            time_zone: time_zone.to_owned(),
            mapping: Mapping::reference()?,
            ids,
            clock: NetworkClock::new(Clock::system()),
            failpoints: Failpoints::none(),
        })
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
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(RwLock::new(clock)))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).now()
    }

    /// The edge said in passing that it is `at` now. A frame's way through the network is not worth
    /// a step; a computer that slept is.
    pub fn hear(&self, at: Timestamp) {
        if (at.unix_ms() - self.now().unix_ms()).abs() > STEP_MS {
            self.tell(at);
        }
    }

    /// The edge said that it is `at` now.
    pub fn tell(&self, at: Timestamp) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Clock::told(at);
    }
}
