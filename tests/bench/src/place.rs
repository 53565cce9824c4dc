//! Where everything of the network is, as `arteria with-network` tells.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Addresses and folders of one network.
pub struct Place {
    pub home: PathBuf,
    pub keys: PathBuf,
    pub kafka: String,
    pub gateway: String,
    pub edge: String,
    pub projector_admin: String,
}

impl Place {
    pub fn told() -> Result<Self> {
        Ok(Self {
            home: variable("ARTERIA_TEST_HOME")?.into(),
            keys: variable("ARTERIA_TEST_KEYS")?.into(),
            kafka: variable("ARTERIA_TEST_KAFKA")?,
            gateway: variable("ARTERIA_TEST_GATEWAY")?,
            edge: variable("ARTERIA_TEST_EDGE")?,
            projector_admin: variable("ARTERIA_TEST_PROJECTOR_ADMIN")?,
        })
    }
}

/// One of those variables.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; this runs in `make bench`"))
}
