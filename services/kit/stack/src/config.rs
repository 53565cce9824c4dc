//! Where a stack lives: its home folder, the cache that all stacks share, and three addresses.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::error::StackError;
use crate::ports::free_addr;

/// The user, the database and the only login of the Postgres that we start.
pub(crate) const POSTGRES_NAME: &str = "arteria";

/// What Postgres keeps in its own memory where nobody says otherwise: enough for a network of a few
/// clinics on a developer's machine.
const POSTGRES_CACHE: &str = "256MB";

/// Where the Confluent-compatible API of Apicurio Registry begins.
const REGISTRY_API: &str = "/apis/ccompat/v7";

/// What a client needs in order to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// `host:port` of the broker.
    pub kafka: String,
    /// Base URL of the Confluent-compatible API, without a slash at its end.
    pub registry: String,
    /// A `postgres://` URL.
    pub postgres: String,
}

/// Where a stack keeps its state and where its servers answer.
#[derive(Debug, Clone)]
pub struct StackConfig {
    pub home: PathBuf,
    /// Fetched artefacts, outside of every home: several homes and test runs share one download.
    pub cache: PathBuf,
    pub kafka_addr: SocketAddr,
    pub registry_addr: SocketAddr,
    pub postgres_addr: SocketAddr,
    /// What Postgres keeps in its own memory, as it writes sizes itself.
    pub(crate) postgres_cache: String,
    addresses: Addresses,
}

impl StackConfig {
    /// Reads `ARTERIA_HOME`, `ARTERIA_CACHE`, `ARTERIA_KAFKA`, `ARTERIA_REGISTRY`,
    /// `ARTERIA_POSTGRES` and `ARTERIA_POSTGRES_CACHE`.
    ///
    /// The three servers are `host:port`; the registry and Postgres may also be whole URLs, which
    /// are then handed on as they are, with their path, user and password.
    pub fn from_env() -> Result<Self, StackError> {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(read: impl Fn(&'static str) -> Option<String>) -> Result<Self, StackError> {
        let server = |variable: &'static str, default: &str| {
            let value = read(variable).unwrap_or_else(|| default.to_owned());
            resolve(variable, &value).map(|addr| (value, addr))
        };
        let home = read("ARTERIA_HOME").unwrap_or_else(|| ".local".to_owned());
        let cache = read("ARTERIA_CACHE").map_or_else(|| default_cache(&read), PathBuf::from);
        let (_, kafka_addr) = server("ARTERIA_KAFKA", "127.0.0.1:9092")?;
        let (registry, registry_addr) = server("ARTERIA_REGISTRY", "127.0.0.1:8085")?;
        let (postgres, postgres_addr) = server("ARTERIA_POSTGRES", "127.0.0.1:5433")?;
        let mut config = Self::at(
            absolute(Path::new(&home))?,
            absolute(&cache)?,
            kafka_addr,
            registry_addr,
            postgres_addr,
        );
        if let Some((_, rest)) = registry.split_once("://") {
            let base = registry.trim_end_matches('/');
            let has_path = rest.trim_end_matches('/').contains('/');
            config.addresses.registry =
                if has_path { base.to_owned() } else { format!("{base}{REGISTRY_API}") };
        }
        if postgres.contains("://") {
            config.addresses.postgres = postgres;
        }
        config.postgres_cache = postgres_cache(&read)?;
        Ok(config)
    }

    /// A stack of its own for a test: three addresses that nobody holds at this moment.
    pub fn on_free_ports(home: impl Into<PathBuf>) -> Result<Self, StackError> {
        let read = |name: &'static str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = read("ARTERIA_CACHE").map_or_else(|| default_cache(&read), PathBuf::from);
        let home = absolute(&home.into())?;
        let mut config = Self::at(home, absolute(&cache)?, free_addr(), free_addr(), free_addr());
        config.postgres_cache = postgres_cache(&read)?;
        Ok(config)
    }

    fn at(
        home: PathBuf,
        cache: PathBuf,
        kafka_addr: SocketAddr,
        registry_addr: SocketAddr,
        postgres_addr: SocketAddr,
    ) -> Self {
        let addresses = Addresses {
            kafka: kafka_addr.to_string(),
            registry: format!("http://{registry_addr}{REGISTRY_API}"),
            postgres: format!("postgres://{POSTGRES_NAME}@{postgres_addr}/{POSTGRES_NAME}"),
        };
        let postgres_cache = POSTGRES_CACHE.to_owned();
        Self { home, cache, kafka_addr, registry_addr, postgres_addr, postgres_cache, addresses }
    }

    /// What clients of this stack connect to, whether or not it runs yet.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// Folders are handed to processes with other working directories, so every path is made absolute
/// at the border.
fn absolute(path: &Path) -> Result<PathBuf, StackError> {
    std::path::absolute(path).map_err(StackError::prepare(path))
}

fn postgres_cache(read: &impl Fn(&'static str) -> Option<String>) -> Result<String, StackError> {
    let variable = "ARTERIA_POSTGRES_CACHE";
    let Some(value) = read(variable) else { return Ok(POSTGRES_CACHE.to_owned()) };
    let number = value.strip_suffix("MB").or_else(|| value.strip_suffix("GB"));
    if number.is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number > 0)) {
        return Ok(value);
    }
    Err(StackError::ReadVariable { variable, value, expected: "a size, as 256MB or 6GB" })
}

fn default_cache(read: &impl Fn(&'static str) -> Option<String>) -> PathBuf {
    if let Some(cache) = read("XDG_CACHE_HOME") {
        return Path::new(&cache).join("arteria");
    }
    let home = read("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    home.join(".cache").join("arteria")
}

/// Finds the address within `host:port` or a URL; IPv4 first, because that is where our own servers
/// listen.
fn resolve(variable: &'static str, value: &str) -> Result<SocketAddr, StackError> {
    let refused = || StackError::ReadVariable {
        variable,
        value: without_password(value),
        expected: "host:port",
    };
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let found: Vec<SocketAddr> = host_port.to_socket_addrs().map_err(|_| refused())?.collect();
    found.iter().find(|addr| addr.is_ipv4()).or(found.first()).copied().ok_or_else(refused)
}

/// The value as it may be shown: an error is often pasted into a ticket.
fn without_password(value: &str) -> String {
    match value.split_once("://").zip(value.rsplit_once('@')) {
        Some(((scheme, _), (_, host))) => format!("{scheme}://***@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&'static str, &str)]) -> Result<StackConfig, StackError> {
        StackConfig::from_variables(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_the_documented_addresses_stand() {
        let config = config(&[]).unwrap();
        assert_eq!(config.addresses().kafka, "127.0.0.1:9092");
        assert_eq!(config.addresses().registry, "http://127.0.0.1:8085/apis/ccompat/v7");
        assert_eq!(config.addresses().postgres, "postgres://arteria@127.0.0.1:5433/arteria");
        assert!(config.home.ends_with(".local") && config.home.is_absolute());
    }

    #[test]
    fn an_address_may_be_a_host_and_port_or_a_url() {
        let config = config(&[
            ("ARTERIA_KAFKA", "localhost:19092"),
            ("ARTERIA_REGISTRY", "http://127.0.0.1:18085/"),
            ("ARTERIA_POSTGRES", "postgres://me:secret@127.0.0.1:15432/mine?sslmode=disable"),
        ])
        .unwrap();
        assert_eq!(config.addresses().kafka, "127.0.0.1:19092");
        assert_eq!(config.addresses().registry, "http://127.0.0.1:18085/apis/ccompat/v7");
        assert_eq!(config.postgres_addr.port(), 15432);
        assert!(config.addresses().postgres.contains("me:secret@"));
    }

    #[test]
    fn an_address_without_a_port_is_refused_by_the_name_of_its_variable() {
        let refused =
            config(&[("ARTERIA_POSTGRES", "postgres://me:secret@nowhere/mine")]).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("ARTERIA_POSTGRES"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn what_postgres_keeps_in_memory_is_a_size() {
        let cache = |value| config(&[("ARTERIA_POSTGRES_CACHE", value)]);
        assert_eq!(config(&[]).unwrap().postgres_cache, "256MB");
        assert_eq!(cache("6GB").unwrap().postgres_cache, "6GB");
        for wrong in ["6", "GB", "0MB", "-1GB", "6 GB", "6gb", "99999GB", "6GB; x"] {
            let said = cache(wrong).unwrap_err().to_string();
            assert!(said.contains("ARTERIA_POSTGRES_CACHE"), "{said}");
        }
    }

    #[test]
    fn the_cache_is_never_inside_a_home() {
        let config = config(&[("HOME", "/var/someone")]).unwrap();
        assert_eq!(config.cache, Path::new("/var/someone/.cache/arteria"));
    }
}
