//! The settings of a process: every `ARTERIA_*` variable, read in one place, once, at start.
//!
//! A setting has a default for development and a name. In production (`ARTERIA_ENV=production`)
//! nothing that guards data may come from a default: a missing address or key source is an error
//! that names the variable. The crate must never know what a setting is used for, and never prints
//! a value that may hold a password (the Postgres address).
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `ARTERIA_ENV` | `development` | `production` forbids defaults and the development issuer |
//! | `ARTERIA_HOME` | `.local` | where everything that runs keeps its state |
//! | `ARTERIA_GATEWAY_ADDR` | `127.0.0.1:8080` | REST |
//! | `ARTERIA_EDGE_ADDR` | `127.0.0.1:8081` | WebSocket |
//! | `ARTERIA_GATEWAY_ADMIN_ADDR` | `127.0.0.1:8090` | health and metrics |
//! | `ARTERIA_EDGE_ADMIN_ADDR` | `127.0.0.1:8091` | the same of the edge |
//! | `ARTERIA_PROJECTOR_ADMIN_ADDR` | `127.0.0.1:8092` | the same of the projector |
//! | `ARTERIA_PUBLISHER_ADMIN_ADDR` | `127.0.0.1:8093` | the same of the publisher |
//! | `ARTERIA_KAFKA` | `127.0.0.1:9092` | bootstrap servers |
//! | `ARTERIA_REGISTRY` | `127.0.0.1:8085` | schema registry, host and port or URL |
//! | `ARTERIA_POSTGRES` | `127.0.0.1:5433` | Postgres, host and port or URL |
//! | `ARTERIA_DATABASE` | `arteria` | database name where `ARTERIA_POSTGRES` is no URL |
//! | `ARTERIA_TOPIC_PREFIX` | empty | stands before every topic name |
//! | `ARTERIA_PARTITIONS` | `64` | partitions of topics keyed by unit, frozen at creation |
//! | `ARTERIA_REPLICATION` | `1` | replicas of each topic |
//! | `ARTERIA_UNITS` | `5` | clinics of the local network |
//! | `ARTERIA_UNIT_QUEUE_MAX` | `10000` | open requests of a unit before `unit-queue-full` |
//! | `ARTERIA_KEYS` | `$ARTERIA_HOME/keys` | key files of the development issuer |
//! | `ARTERIA_JWKS_<KIND>` | a file under `ARTERIA_KEYS` | JWKS of a kind, file or URL |
//! | `ARTERIA_ISSUER_<KIND>` | the development issuer's | `iss` of a kind's tokens |
//! | `ARTERIA_EDGE_ID`, `ARTERIA_REPLY_PARTITION` | drawn at start | identity of one replica |
//! | `ARTERIA_SYNTHEA` | none | a folder of Synthea's output, for tests |
//! | `ARTERIA_SYNTHEA_ALL` | none | `1`: tests take all of it, and not a sample |

mod source;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use source::{Environment, Source};

/// Why settings could not be read. Never prints a value: it may be a secret typed in a wrong place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The variable does not read as what it must be.
    #[error("{variable} must be {expected}")]
    Unreadable {
        /// Its name.
        variable: String,
        /// What it must be, in words.
        expected: &'static str,
    },
    /// Production asks for it to be named.
    #[error("{variable} must be set when ARTERIA_ENV=production")]
    MissingInProduction {
        /// Its name.
        variable: String,
    },
    /// A variable of ours that nobody reads is mostly a slip of the pen.
    #[error("{variable} is no setting of Arteria; is it misspelt?")]
    Unknown {
        /// Its name.
        variable: String,
    },
}

/// Where tokens of one kind come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// `staff`, `patient`, `partner`, `admin` or `agent`.
    pub kind: &'static str,
    /// A file path, or an URL.
    pub jwks: String,
    /// The `iss` that its tokens must carry.
    pub issuer: String,
}

/// Kinds of tokens that a process may have to verify.
pub const TOKEN_KINDS: [&str; 5] = ["staff", "patient", "partner", "admin", "agent"];

/// The settings of a process.
#[derive(Clone)]
pub struct Settings {
    /// Whether `ARTERIA_ENV` is `production`.
    pub production: bool,
    /// Where state is kept.
    pub home: PathBuf,
    /// REST.
    pub gateway_addr: SocketAddr,
    /// WebSocket.
    pub edge_addr: SocketAddr,
    /// Health and metrics of the gateway.
    pub gateway_admin_addr: SocketAddr,
    /// Health and metrics of the edge.
    pub edge_admin_addr: SocketAddr,
    /// Health and metrics of the projector.
    pub projector_admin_addr: SocketAddr,
    /// Health and metrics of the publisher.
    pub publisher_admin_addr: SocketAddr,
    /// Bootstrap servers, `host:port[,host:port]`.
    pub kafka: String,
    /// Base URL of the Confluent API of the schema registry.
    pub registry_url: String,
    /// `postgres://...`; may hold a password, so it is never printed.
    pub postgres_url: String,
    /// Stands before every topic name.
    pub topic_prefix: String,
    /// Partitions of every topic keyed by unit.
    pub partitions: i32,
    /// Replicas of each topic.
    pub replication: i32,
    /// Clinics of the local network.
    pub units: u32,
    /// Open requests of a unit before new ones are refused.
    pub unit_queue_max: u32,
    /// Key files of the development issuer and the agents' JWKS.
    pub keys_dir: PathBuf,
    /// One source for each of [`TOKEN_KINDS`].
    pub key_sources: Vec<KeySource>,
    /// Identity of this edge; drawn at start where none is given.
    pub edge_id: Option<String>,
    /// The partition of `unit.replies` that this gateway reads; drawn at start where none is given.
    pub reply_partition: Option<i32>,
}

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// The first setting that does not read, is missing in production, or is unknown.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&Environment::of_process())
    }

    /// Reads settings from any source; tests give their own.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn read(source: &impl Source) -> Result<Self, ConfigError> {
        source::refuse_unknown(source)?;
        let production = match source.get("ARTERIA_ENV").as_deref() {
            None | Some("development") => false,
            Some("production") => true,
            Some(_) => return Err(unreadable("ARTERIA_ENV", "development or production")),
        };
        let from = Reader { source, production };
        let home = PathBuf::from(from.or("ARTERIA_HOME", ".local"));
        let keys_dir = match source.get("ARTERIA_KEYS") {
            Some(dir) => PathBuf::from(dir),
            None => home.join("keys"),
        };
        let key_sources = TOKEN_KINDS
            .iter()
            .map(|&kind| from.key_source(kind, &keys_dir))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            production,
            gateway_addr: from.address("ARTERIA_GATEWAY_ADDR", "127.0.0.1:8080")?,
            edge_addr: from.address("ARTERIA_EDGE_ADDR", "127.0.0.1:8081")?,
            gateway_admin_addr: from.address("ARTERIA_GATEWAY_ADMIN_ADDR", "127.0.0.1:8090")?,
            edge_admin_addr: from.address("ARTERIA_EDGE_ADMIN_ADDR", "127.0.0.1:8091")?,
            projector_admin_addr: from.address("ARTERIA_PROJECTOR_ADMIN_ADDR", "127.0.0.1:8092")?,
            publisher_admin_addr: from.address("ARTERIA_PUBLISHER_ADMIN_ADDR", "127.0.0.1:8093")?,
            kafka: from.guarded("ARTERIA_KAFKA", "127.0.0.1:9092")?,
            registry_url: registry_url(&from.guarded("ARTERIA_REGISTRY", "127.0.0.1:8085")?),
            postgres_url: from.postgres_url()?,
            topic_prefix: from.or("ARTERIA_TOPIC_PREFIX", ""),
            partitions: from.number("ARTERIA_PARTITIONS", 64, 1, 10_000)?,
            replication: from.number("ARTERIA_REPLICATION", 1, 1, 100)?,
            units: from.number("ARTERIA_UNITS", 5, 1, 100_000)?,
            unit_queue_max: from.number("ARTERIA_UNIT_QUEUE_MAX", 10_000, 1, 10_000_000)?,
            key_sources,
            edge_id: source.get("ARTERIA_EDGE_ID"),
            reply_partition: match source.get("ARTERIA_REPLY_PARTITION") {
                None => None,
                Some(_) => Some(from.number("ARTERIA_REPLY_PARTITION", 0, 0, 9_999)?),
            },
            home,
            keys_dir,
        })
    }

    /// The key source of `kind`, one of [`TOKEN_KINDS`].
    #[must_use]
    pub fn key_source(&self, kind: &str) -> Option<&KeySource> {
        self.key_sources.iter().find(|source| source.kind == kind)
    }
}

/// The base URL of the registry's Confluent API, from host and port or a whole URL.
#[must_use]
pub fn registry_url(text: &str) -> String {
    if text.contains("://") {
        text.trim_end_matches('/').to_owned()
    } else {
        format!("http://{text}/apis/ccompat/v7")
    }
}

struct Reader<'a, S> {
    source: &'a S,
    production: bool,
}

impl<S: Source> Reader<'_, S> {
    fn or(&self, variable: &str, default: &str) -> String {
        self.source.get(variable).unwrap_or_else(|| default.to_owned())
    }

    /// A setting that production must name.
    fn guarded(&self, variable: &str, default: &str) -> Result<String, ConfigError> {
        match self.source.get(variable) {
            Some(text) => Ok(text),
            None if self.production => {
                Err(ConfigError::MissingInProduction { variable: variable.to_owned() })
            }
            None => Ok(default.to_owned()),
        }
    }

    fn address(&self, variable: &str, default: &str) -> Result<SocketAddr, ConfigError> {
        let text = self.or(variable, default);
        text.parse().map_err(|_| unreadable(variable, "an address and a port, as 127.0.0.1:8080"))
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers")]
    fn number<N>(&self, variable: &str, default: N, least: N, most: N) -> Result<N, ConfigError>
    where
        N: std::str::FromStr + PartialOrd,
    {
        let number = match self.source.get(variable) {
            None => return Ok(default),
            Some(text) => text.parse().ok(),
        };
        number
            .filter(|n| *n >= least && *n <= most)
            .ok_or_else(|| unreadable(variable, "a whole number within its range"))
    }

    fn postgres_url(&self) -> Result<String, ConfigError> {
        let text = self.guarded("ARTERIA_POSTGRES", "127.0.0.1:5433")?;
        if text.contains("://") {
            return Ok(text);
        }
        let database = self.or("ARTERIA_DATABASE", "arteria");
        Ok(format!("postgres://arteria@{text}/{database}"))
    }

    fn key_source(
        &self,
        kind: &'static str,
        keys_dir: &std::path::Path,
    ) -> Result<KeySource, ConfigError> {
        let upper = kind.to_uppercase();
        // The agents' keys are one file of many units; the others hold one issuer each.
        let name = if kind == "agent" { "agents" } else { kind };
        let file = keys_dir.join(format!("{name}.jwks.json"));
        let issuer = match kind {
            "agent" => "urn:arteria:agents".to_owned(),
            other => format!("urn:arteria:dev:{other}"),
        };
        Ok(KeySource {
            kind,
            jwks: self.guarded(&format!("ARTERIA_JWKS_{upper}"), &file.to_string_lossy())?,
            issuer: self.or(&format!("ARTERIA_ISSUER_{upper}"), &issuer),
        })
    }
}

fn unreadable(variable: &str, expected: &'static str) -> ConfigError {
    ConfigError::Unreadable { variable: variable.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Environment {
        Environment::of(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn development_needs_nothing() {
        let settings = Settings::read(&with(&[])).unwrap();
        assert_eq!(settings.gateway_addr.port(), 8080);
        assert_eq!(settings.registry_url, "http://127.0.0.1:8085/apis/ccompat/v7");
        assert_eq!(settings.postgres_url, "postgres://arteria@127.0.0.1:5433/arteria");
        assert_eq!(settings.key_source("agent").unwrap().jwks, ".local/keys/agents.jwks.json");
    }

    #[test]
    fn production_names_what_guards_data() {
        let error = Settings::read(&with(&[("ARTERIA_ENV", "production")])).err().unwrap();
        assert!(matches!(error, ConfigError::MissingInProduction { .. }), "{error}");
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let error = Settings::read(&with(&[("ARTERIA_PARTITIONS", "many")])).err().unwrap();
        assert_eq!(error.to_string(), "ARTERIA_PARTITIONS must be a whole number within its range");
        let error = Settings::read(&with(&[("ARTERIA_GATEWAY_ADR", "x")])).err().unwrap();
        assert!(error.to_string().contains("ARTERIA_GATEWAY_ADR"), "{error}");
    }
}
