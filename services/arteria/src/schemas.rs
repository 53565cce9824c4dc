//! `arteria schemas`: the promises as files, checked against the structs, registered.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kit_body::registry::Schemas;
use kit_body::schemas::{self, Promise};
use kit_config::Settings;
use kit_event::{Domain, SchemaSource};

include!(concat!(env!("OUT_DIR"), "/promises.rs"));

/// Every domain of the network; the one list of this binary.
const DOMAINS: [&dyn Domain; 4] =
    [&patients::Patients, &scheduling::Scheduling, &units::Units, &requests::Requests];

#[derive(clap::Subcommand)]
pub enum Act {
    /// Writes the schemas of new types and versions, and openapi.json.
    Write {
        /// The folder of promises.
        #[arg(long, default_value = "proto-schemas")]
        dir: PathBuf,
    },
    /// Says what differs between the structs and the files; status 1 when something does.
    Check {
        /// The folder of promises.
        #[arg(long, default_value = "proto-schemas")]
        dir: PathBuf,
    },
    /// Registers every promise that this binary carries.
    Apply,
}

pub async fn run(act: Act, settings: Settings) -> Result<()> {
    match act {
        Act::Write { dir } => {
            for path in schemas::write(&dir, &sources())? {
                println!("wrote {}", path.display());
            }
            let path = openapi_file(&dir);
            std::fs::write(&path, gateway::openapi())
                .with_context(|| format!("writing {}", path.display()))?;
            println!("wrote {}", path.display());
            Ok(())
        }
        Act::Check { dir } => check(&dir),
        Act::Apply => {
            println!("schemas: {}", apply(&settings).await?);
            Ok(())
        }
    }
}

/// Registers every promise and gives a word on it.
pub async fn apply(settings: &Settings) -> Result<String> {
    let registry = Schemas::new(&settings.registry_url)?;
    let report = registry.register(&carried()?).await.context("registering schemas")?;
    Ok(format!("{} registered, {} there", report.registered.len(), report.already_there))
}

fn check(dir: &Path) -> Result<()> {
    let mut complaints = schemas::check(dir, &sources())?;
    let path = openapi_file(dir);
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    if held != gateway::openapi() {
        complaints.push(format!("{} differs from the code (make schemas)", path.display()));
    }
    if complaints.is_empty() {
        println!("every promise stands as the code makes it");
        return Ok(());
    }
    bail!("promises differ from the code:\n  {}", complaints.join("\n  "))
}

fn openapi_file(dir: &Path) -> PathBuf {
    dir.join("openapi.json")
}

fn sources() -> Vec<SchemaSource> {
    DOMAINS.iter().flat_map(|domain| domain.schemas()).collect()
}

/// The promises built into this binary, in the order of their versions.
fn carried() -> Result<Vec<Promise>> {
    let mut promises = PROMISES
        .iter()
        .map(|(path, text)| promise(path, text).with_context(|| format!("reading the name {path}")))
        .collect::<Result<Vec<_>>>()?;
    promises.sort();
    Ok(promises)
}

/// `scheduling/appointment_booked/v1.avsc` is version 1 of `scheduling.appointment_booked`.
fn promise(path: &str, text: &str) -> Result<Promise> {
    let mut parts = path.split('/');
    let (domain, name, file) = (parts.next(), parts.next(), parts.next());
    let version = file.and_then(|file| file.strip_prefix('v')?.strip_suffix(".avsc"));
    let (Some(domain), Some(name), Some(version)) = (domain, name, version) else {
        bail!("a promise is <domain>/<name>/v<version>.avsc");
    };
    Ok(Promise {
        type_name: format!("{domain}.{name}"),
        version: version.parse().context("a version is a number")?,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carried_promise_has_a_name() {
        assert!(!carried().unwrap().is_empty());
    }

    #[test]
    fn a_promise_is_named_by_its_path() {
        let promise = promise("scheduling/appointment_booked/v2.avsc", "{}").unwrap();
        assert_eq!(promise.type_name, "scheduling.appointment_booked");
        assert_eq!(promise.version, 2);
        assert!(super::promise("a/b.avsc", "{}").is_err());
    }
}
