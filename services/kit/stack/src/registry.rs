//! Apicurio Registry, which speaks the Confluent API, on an H2 file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::StackConfig;
use crate::error::StackError;
use crate::fetch::{artefacts, find_java};
use crate::probe::Probe;
use crate::process::ProcessSpec;
use crate::servers::REGISTRY;

/// Asks for the list of subjects: it needs the database behind it, as every real question does.
pub(crate) const READY_PATH: &str = "/apis/ccompat/v7/subjects";

const READY_WITHIN: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(4);

/// Names the process; the registry makes its own database at its first start.
pub(crate) fn prepare(config: &StackConfig) -> Result<ProcessSpec, StackError> {
    let jar = find_jar(&artefacts(&config.cache)?.registry)?;
    let folder = config.home.join(REGISTRY);
    fs::create_dir_all(&folder).map_err(StackError::prepare(&folder))?;
    // Without WRITE_DELAY=0 a schema id that was already given out may be forgotten by a kill -9.
    let database = format!("jdbc:h2:file:{};WRITE_DELAY=0", folder.join("registry").display());
    let addr = config.registry_addr;
    Ok(ProcessSpec::new(REGISTRY, find_java()?)
        // It is asked once for each schema and process, so a small heap and a cheap compiler do.
        .args(["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args(["-Djava.awt.headless=true", "-Dquarkus.log.level=WARN"])
        .arg(format!("-Dquarkus.http.host={}", addr.ip()))
        .arg(format!("-Dquarkus.http.port={}", addr.port()))
        .arg(format!("-Dquarkus.datasource.jdbc.url={database}"))
        .arg("-jar")
        .arg(jar)
        .working_dir(folder)
        .ready(Probe::Http(addr, READY_PATH.to_owned()))
        .ready_within(READY_WITHIN)
        .grace(GRACE))
}

fn find_jar(folder: &Path) -> Result<PathBuf, StackError> {
    let entries = fs::read_dir(folder).map_err(StackError::prepare(folder))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.to_str().is_some_and(|path| path.ends_with("-runner.jar")))
        .ok_or(StackError::FindProgram {
            program: "the registry's -runner.jar",
            hint: "remove the cache folder (ARTERIA_CACHE), so that it is fetched again",
        })
}
