//! `agent.toml`: what `init` was told, and what somebody may change by hand.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use kit_event::UnitId;
use serde::{Deserialize, Serialize};

use crate::setup::files;

/// The agent's settings. A key that nobody reads is a slip of the pen, and is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The unit.
    pub unit: UnitId,
    /// The edge, as `wss://edge.example`.
    pub edge: String,
    /// Whether `edge` may be `ws://` to another machine: what goes over such a link can be read on
    /// the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unencrypted: bool,
    /// The unit's IANA time zone, in which working hours are wall time.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The mapping file, where it is not `mapping.toml` in this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<PathBuf>,
    /// Where steps of traces go, where no `OTEL_` variable says it; nowhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
}

/// The collector of traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Its base address, as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// Of the traces that begin here, one in so many is recorded; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<NonZeroU32>,
}

impl Traces {
    /// The part of the traces that begin here which is recorded.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.one_in.map(|many| 1.0 / f64::from(many.get()))
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {path}; was `arteria-agent init` run here?")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("writing {path}")]
    Write {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is not the TOML that it should be.
    #[error("{path} does not read")]
    Parse {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: toml::de::Error,
    },
    /// It has no text.
    #[error("settings have no text")]
    Print(#[source] toml::ser::Error),
    /// No such zone.
    #[error("{zone} is no IANA time zone, as Europe/Lisbon")]
    TimeZone {
        /// What was given.
        zone: String,
    },
    /// Patients' data would go over the network for everybody to read.
    #[error(
        "{edge} is not encrypted: take wss://, or set unencrypted = true in agent.toml if the way \
         to the edge is encrypted otherwise"
    )]
    Unencrypted {
        /// What was given.
        edge: String,
    },
    /// No such address.
    #[error("{edge} is no address of an edge, as wss://edge.example")]
    Edge {
        /// What was given.
        edge: String,
    },
}

impl Config {
    /// Reads the settings of a clinic's folder.
    ///
    /// # Errors
    /// They are missing, do not read, or cannot be meant.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let file = dir.join(files::CONFIG);
        let path = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source })?;
        config.check()?;
        Ok(config)
    }

    /// Writes the settings, whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn store(&self, dir: &Path) -> Result<(), ConfigError> {
        let file = dir.join(files::CONFIG);
        let draft = dir.join(format!("{}.draft", files::CONFIG));
        let text = toml::to_string(self).map_err(ConfigError::Print)?;
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &file))
            .map_err(|source| ConfigError::Write { path: file.display().to_string(), source })
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// A zone or an address that is none.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.time_zone.parse::<chrono_tz::Tz>().is_err() {
            return Err(ConfigError::TimeZone { zone: self.time_zone.clone() });
        }
        if !["ws://", "wss://"].iter().any(|scheme| self.edge.starts_with(scheme)) {
            return Err(ConfigError::Edge { edge: self.edge.clone() });
        }
        if let Some(address) = self.edge.strip_prefix("ws://")
            && !self.unencrypted
            && !is_loopback(address)
        {
            return Err(ConfigError::Unencrypted { edge: self.edge.clone() });
        }
        Ok(())
    }
}

/// Whether an address without its scheme is this machine's own. Names other than `localhost` are
/// not looked up: they may lead elsewhere tomorrow.
fn is_loopback(address: &str) -> bool {
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    // Whatever stands before an @ is no host.
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(time_zone: &str, edge: &str) -> Config {
        let unit = "hcu-0001".parse().unwrap();
        Config {
            unit,
            edge: edge.to_owned(),
            unencrypted: false,
            time_zone: time_zone.to_owned(),
            mapping: None,
            traces: None,
        }
    }

    #[test]
    fn settings_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config("Europe/Lisbon", "wss://edge.example");
        config.traces = Some(Traces {
            endpoint: "http://127.0.0.1:4318".to_owned(),
            one_in: NonZeroU32::new(100),
        });
        config.store(dir.path()).unwrap();
        assert_eq!(Config::load(dir.path()).unwrap(), config);
    }

    #[test]
    fn what_nobody_reads_or_nobody_can_mean_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Config::load(dir.path()), Err(ConfigError::Read { .. })));
        let file = dir.path().join(files::CONFIG);
        std::fs::write(&file, "unit='hcu-0001'\nedge='ws://x'\ntimezone='UTC'").unwrap();
        assert!(matches!(Config::load(dir.path()), Err(ConfigError::Parse { .. })));
        std::fs::write(&file, "unit='HCU 1'\nedge='ws://x'").unwrap();
        assert!(matches!(Config::load(dir.path()), Err(ConfigError::Parse { .. })));
        std::fs::write(
            &file,
            "unit='hcu-0001'\nedge='ws://x'\n[traces]\nendpoint='http://x'\none_in=0",
        )
        .unwrap();
        assert!(matches!(Config::load(dir.path()), Err(ConfigError::Parse { .. })));
        assert!(matches!(config("Moon/Sea", "ws://x").check(), Err(ConfigError::TimeZone { .. })));
        assert!(matches!(config("UTC", "http://x").check(), Err(ConfigError::Edge { .. })));
    }

    #[test]
    fn without_encryption_a_link_stays_on_its_machine_unless_people_say_otherwise() {
        let here =
            ["ws://127.0.0.1:8081", "ws://localhost/unit/v1", "ws://[::1]:8081/", "ws://127.9.9.9"];
        for edge in here.into_iter().chain(["wss://edge.example", "wss://10.0.0.7:443"]) {
            config("UTC", edge).check().unwrap();
        }
        for edge in [
            "ws://edge.example",
            "ws://10.0.0.7:8081",
            "ws://localhost.example",
            "ws://127.0.0.1@edge.example",
            "ws://edge.example/127.0.0.1",
            "ws://[2001:db8::1]:80",
            "ws://",
        ] {
            let mut config = config("UTC", edge);
            assert!(matches!(config.check(), Err(ConfigError::Unencrypted { .. })), "{edge}");
            config.unencrypted = true;
            config.check().unwrap();
        }
    }
}
