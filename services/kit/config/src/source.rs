//! Where settings come from: the process's environment, or a list that a test gives.

use std::collections::BTreeMap;

use crate::{ConfigError, TOKEN_KINDS};

/// A source of settings by name. An empty value counts as not set.
pub trait Source {
    /// The value of `variable`.
    fn get(&self, variable: &str) -> Option<String>;
    /// Every name that begins with `ARTERIA_`.
    fn names(&self) -> Vec<String>;
}

/// Variables as they stood when the process started.
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own environment; the one place that reads it.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))
    }

    /// A given list.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

impl Source for Environment {
    fn get(&self, variable: &str) -> Option<String> {
        self.0.get(variable).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().filter(|name| name.starts_with("ARTERIA_")).cloned().collect()
    }
}

/// Every name that some part of Arteria reads.
const NAMES: &[&str] = &[
    "ARTERIA_CACHE",
    "ARTERIA_DATABASE",
    "ARTERIA_EDGE_ADDR",
    "ARTERIA_EDGE_ADMIN_ADDR",
    "ARTERIA_EDGE_ID",
    "ARTERIA_ENV",
    "ARTERIA_GATEWAY_ADDR",
    "ARTERIA_GATEWAY_ADMIN_ADDR",
    "ARTERIA_HOME",
    "ARTERIA_KAFKA",
    "ARTERIA_KEYS",
    "ARTERIA_LOG",
    "ARTERIA_LOG_FORMAT",
    "ARTERIA_PARTITIONS",
    "ARTERIA_POSTGRES",
    "ARTERIA_POSTGRES_CACHE",
    "ARTERIA_PROJECTOR_ADMIN_ADDR",
    "ARTERIA_PUBLISHER_ADMIN_ADDR",
    "ARTERIA_REGISTRY",
    "ARTERIA_REPLICATION",
    "ARTERIA_REPLY_PARTITION",
    "ARTERIA_SYNTHEA",
    "ARTERIA_SYNTHEA_ALL",
    "ARTERIA_TOPIC_PREFIX",
    "ARTERIA_UNITS",
    "ARTERIA_UNIT_QUEUE_MAX",
];

/// Prefixes under which other names are free: key sources, and what tests and benchmarks give.
const FREE_PREFIXES: &[&str] = &["ARTERIA_TEST_", "ARTERIA_BENCH_"];

pub(crate) fn refuse_unknown(source: &impl Source) -> Result<(), ConfigError> {
    let of_kind = |name: &str, prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|kind| TOKEN_KINDS.iter().any(|k| k.to_uppercase() == kind))
    };
    let known = |name: &str| {
        NAMES.contains(&name)
            || FREE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || of_kind(name, "ARTERIA_JWKS_")
            || of_kind(name, "ARTERIA_ISSUER_")
    };
    match source.names().into_iter().find(|name| !known(name)) {
        Some(variable) => Err(ConfigError::Unknown { variable }),
        None => Ok(()),
    }
}
