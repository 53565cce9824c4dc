//! `arteria schemas`: the promises as files, checked against the structs, registered.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kit_body::registry::Schemas;
use kit_body::schemas::{self, Promise};
use kit_config::Settings;
use kit_event::{Domain, SchemaSource};

use crate::schema_files;

include!(concat!(env!("OUT_DIR"), "/promises.rs"));

#[derive(clap::Subcommand)]
pub enum Act {
    /// Writes the schemas of new types and versions, openapi.json and asyncapi.yaml.
    Write {
        /// The folder of the schemas.
        #[arg(long, default_value = "proto-schemas")]
        dir: PathBuf,
    },
    /// Reports files that differ from the code; ends with status 1 if one does.
    Check {
        /// The folder of the schemas.
        #[arg(long, default_value = "proto-schemas")]
        dir: PathBuf,
    },
    /// Registers every schema of this release.
    Apply,
    /// Registers your own event types; repeating it changes nothing.
    Register(schema_files::Register),
    /// Lists the schemas in the registry.
    List,
}

pub async fn run(act: Act, settings: Settings) -> Result<()> {
    match act {
        Act::Write { dir } => {
            for path in schemas::write(&dir, &sources())? {
                println!("wrote {}", path.display());
            }
            for (path, text) in documents(&dir)? {
                std::fs::write(&path, text)
                    .with_context(|| format!("writing {}", path.display()))?;
                println!("wrote {}", path.display());
            }
            Ok(())
        }
        Act::Check { dir } => check(&dir),
        Act::Apply => {
            println!("schemas: {}", apply(&settings).await?);
            Ok(())
        }
        Act::Register(args) => schema_files::register(&args, &settings, &domain_names()).await,
        Act::List => schema_files::list(&settings, &domain_names()).await,
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
    for (path, text) in documents(dir)? {
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            complaints.push(format!("{} differs from the code (make schemas)", path.display()));
        }
    }
    if complaints.is_empty() {
        println!("every promise stands as the code makes it");
        return Ok(());
    }
    bail!("promises differ from the code:\n  {}", complaints.join("\n  "))
}

/// The names of the domains, each of which has a public topic.
pub fn domain_names() -> Vec<&'static str> {
    all_domains::names().collect()
}

/// What is generated beside the schemas, and where it stands.
fn documents(dir: &Path) -> Result<[(PathBuf, String); 2]> {
    let asyncapi = publisher::asyncapi::document().context("describing the public topics")?;
    Ok([(dir.join("openapi.json"), gateway::openapi()), (dir.join("asyncapi.yaml"), asyncapi)])
}

fn sources() -> Vec<SchemaSource> {
    let of = |domain: &&dyn Domain| domain.schemas().into_iter().chain(domain.public_schemas());
    all_domains::ALL.iter().flat_map(of).collect()
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
    let (folders, file) = path.rsplit_once('/').unwrap_or_default();
    let version = file.strip_prefix('v').and_then(|file| file.strip_suffix(".avsc"));
    let type_name = folders.replace('/', ".");
    let (Some(version), Ok(_)) = (version, kit_body::name::split_promise(&type_name)) else {
        bail!("a promise is [public/]<domain>/<name>/v<version>.avsc");
    };
    Ok(Promise {
        type_name,
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
        let public = super::promise("public/units/unit_amended/v1.avsc", "{}").unwrap();
        assert_eq!(public.type_name, "public.units.unit_amended");
        for bad in ["a/b.avsc", "v1.avsc", "a/b/c/v1.avsc", "a/b/1.avsc", "public/a/v1.avsc"] {
            assert!(super::promise(bad, "{}").is_err(), "{bad}");
        }
    }
}
