//! Fetching the servers that are Java: Maven brings them once into the shared cache and checks
//! their checksums; [`sums`] checks that they are the files that this version was made with.
//!
//! The folder's name holds a hash of the pom, so another version of this crate fetches beside it
//! and never under the feet of a running server. A fetch works in a folder of its own and renames
//! it at the end, so what bears the final name is whole, and a lock lets only one process fetch at
//! a time.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StackError;
use crate::process::run_to_end;
use crate::sums;

const POM: &str = include_str!("../pom.xml");
const SUMS: &str = include_str!("../servers.sha256");
/// What Maven makes, of which [`SUMS`] names every file.
const FOLDERS: [&str; 3] = ["kafka", "kafka-tools", "registry"];

/// Maven keeps what it has, so a second try after a broken connection is cheap.
const FETCH_TRIES: usize = 2;

/// Folders of what was fetched.
#[derive(Debug, Clone)]
pub struct Artefacts {
    /// The broker's jars.
    pub kafka: PathBuf,
    /// The jar of Kafka's command line tools, which the broker never loads.
    pub kafka_tools: PathBuf,
    /// The registry, unpacked.
    pub registry: PathBuf,
}

/// Finds the fetched servers, fetching them first where that was not yet done.
pub fn artefacts(cache: &Path) -> Result<Artefacts, StackError> {
    let mut hasher = DefaultHasher::new();
    POM.hash(&mut hasher);
    let whole = cache.join(format!("servers-{:016x}", hasher.finish()));
    if !whole.is_dir() {
        fs::create_dir_all(cache).map_err(StackError::prepare(cache))?;
        let lock_path = cache.join("fetch.lock");
        let lock = File::create(&lock_path).map_err(StackError::prepare(&lock_path))?;
        lock.lock().map_err(StackError::prepare(&lock_path))?;
        // Whoever held the lock before us may have brought everything.
        if !whole.is_dir() {
            fetch(&whole)?;
        }
    }
    Ok(Artefacts {
        kafka: whole.join("kafka"),
        kafka_tools: whole.join("kafka-tools"),
        registry: whole.join("registry"),
    })
}

fn fetch(whole: &Path) -> Result<(), StackError> {
    let mvn = find_program("mvn").ok_or(StackError::FindProgram {
        program: "mvn (Maven)",
        hint: "type `apt-get install maven`, or run scripts/prerequisites.sh",
    })?;
    let part = whole.with_extension("partial");
    if part.is_dir() {
        fs::remove_dir_all(&part).map_err(StackError::prepare(&part))?;
    }
    fs::create_dir_all(&part).map_err(StackError::prepare(&part))?;
    let pom = part.join("pom.xml");
    fs::write(&pom, POM).map_err(StackError::prepare(&pom))?;
    let cache = whole.display();
    tracing::info!(%cache, "fetching Kafka and the schema registry (about 200 MB, once)");
    let mut tried = 0;
    loop {
        tried += 1;
        let mut command = Command::new(&mvn);
        command
            // A wrong checksum is an error; Maven alone would only warn.
            .args([
                "--batch-mode",
                "--quiet",
                "--strict-checksums",
                "-Dstyle.color=never",
                "--file",
            ])
            .arg(&pom)
            .arg(format!("-Dinto={}", part.display()))
            .arg("generate-resources");
        match run_to_end("Maven's fetch of Kafka and the schema registry", command) {
            Ok(()) => break,
            Err(failed) if tried >= FETCH_TRIES => return Err(failed),
            Err(failed) => tracing::warn!(error = %failed, "the fetch failed, trying once more"),
        }
    }
    sums::check(&part, &FOLDERS, SUMS)?;
    fs::rename(&part, whole).map_err(StackError::prepare(whole))
}

/// Finds a program in PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Finds the Java runtime: `JAVA_HOME`'s, else the one in PATH.
pub(crate) fn find_java() -> Result<PathBuf, StackError> {
    std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin").join("java"))
        .filter(|java| java.is_file())
        .or_else(|| find_program("java"))
        .ok_or(StackError::FindProgram {
            program: "java (17 or later)",
            hint: "type `apt-get install default-jre-headless`, or run scripts/prerequisites.sh",
        })
}
