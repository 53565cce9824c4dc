//! What was fetched is what was fetched when this version was made: each file's SHA-256 stands in
//! `servers.sha256`, in the format of `sha256sum`. Maven only checks that a file is what its
//! server says it is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::StackError;

/// Checks `folders` of `whole` against `sums`: no file differs, is missing or is there in addition.
pub fn check(whole: &Path, folders: &[&str], sums: &str) -> Result<(), StackError> {
    let mut wanted: BTreeMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(sum, path)| (path, sum)))
        .collect();
    let mut found = Vec::new();
    for folder in folders {
        files(&whole.join(folder), &mut found)?;
    }
    for path in found {
        let name = path.strip_prefix(whole).unwrap_or(&path).display().to_string();
        let sum = wanted.remove(name.as_str());
        if sum != Some(sha256(&path).map_err(StackError::prepare(&path))?.as_str()) {
            return Err(StackError::CheckFetched { name });
        }
    }
    match wanted.into_keys().next() {
        Some(missing) => Err(StackError::CheckFetched { name: missing.to_owned() }),
        None => Ok(()),
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) -> Result<(), StackError> {
    for entry in fs::read_dir(folder).map_err(StackError::prepare(folder))? {
        let path = entry.map_err(StackError::prepare(folder))?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: &str = "\
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  a/hello.jar\n\
        486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7  a/b/world.jar\n";

    fn fetched() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/hello.jar"), "hello").unwrap();
        fs::write(dir.path().join("a/b/world.jar"), "world").unwrap();
        dir
    }

    fn refused(dir: &tempfile::TempDir) -> String {
        check(dir.path(), &["a"], SUMS).unwrap_err().to_string()
    }

    #[test]
    fn files_with_the_known_sums_are_taken() {
        check(fetched().path(), &["a"], SUMS).unwrap();
    }

    #[test]
    fn a_changed_a_missing_and_an_additional_file_are_refused_by_name() {
        let changed = fetched();
        fs::write(changed.path().join("a/b/world.jar"), "w0rld").unwrap();
        assert!(refused(&changed).contains("a/b/world.jar"));
        let missing = fetched();
        fs::remove_file(missing.path().join("a/hello.jar")).unwrap();
        assert!(refused(&missing).contains("a/hello.jar"));
        let additional = fetched();
        fs::write(additional.path().join("a/more.jar"), "").unwrap();
        assert!(refused(&additional).contains("a/more.jar"));
    }

    #[test]
    fn every_server_of_the_pom_has_its_sum() {
        let sums = include_str!("../servers.sha256");
        let pom = include_str!("../pom.xml");
        let version = |name: &str| {
            let begin = pom.split_once(&format!("<{name}>")).unwrap().1;
            begin.split_once('<').unwrap().0.to_owned()
        };
        let jars = [
            format!("kafka/kafka_2.13-{}.jar", version("kafka.version")),
            format!("kafka-tools/kafka-tools-{}.jar", version("kafka-tools.version")),
            format!("registry/apicurio-registry-app-{}", version("registry.version")),
        ];
        for jar in jars {
            assert!(sums.contains(&jar), "{jar}: make servers.sha256 anew, its README says how");
        }
    }
}
