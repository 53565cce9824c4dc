//! `arteria practice import`: fills a clinic with people of another system's making.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use kit_event::UnitId;

/// Exit status of an import that could not read everything (BSD's `EX_DATAERR`).
const EXIT_UNREADABLE: u8 = 65;

#[derive(Subcommand)]
pub enum Act {
    /// Writes records of another system into a clinic's database.
    Import {
        #[command(subcommand)]
        from: Origin,
    },
}

#[derive(Subcommand)]
pub enum Origin {
    /// Synthea: FHIR R4 bundles (.json, .ndjson), CSV, each also as .gz or within .tar.zst.
    ///
    /// Prints what was read, written and skipped, and why. Ends with status 65 where something
    /// could not be read. Importing again changes nothing.
    Synthea {
        /// A folder of Synthea's output, or one file of it.
        dir: PathBuf,
        /// The clinic's folder, as `arteria-agent init` made it.
        #[arg(long)]
        unit_dir: PathBuf,
    },
}

/// Imports, and prints the report.
pub fn run(act: &Act) -> Result<ExitCode> {
    let Act::Import { from: Origin::Synthea { dir, unit_dir } } = act;
    let unit = unit_of(unit_dir)?;
    let clinic = unit_dir.join(practice::CLINIC_DB);
    let report = practice::synthea::import(dir, &clinic, &unit)?;
    print!("{report}");
    Ok(if report.complete() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNREADABLE) })
}

/// The unit whose folder this is: as its agent is told, else by the folder's own name.
fn unit_of(unit_dir: &Path) -> Result<UnitId> {
    let settings = unit_dir.join("agent.toml");
    let name = if let Ok(text) = std::fs::read_to_string(&settings) {
        let read: toml::Table =
            text.parse().with_context(|| format!("reading {}", settings.display()))?;
        read.get("unit").and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    } else {
        let folder = unit_dir.canonicalize();
        let folder =
            folder.with_context(|| format!("opening the clinic {}", unit_dir.display()))?;
        folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    name.parse().with_context(|| format!("{} names no unit", unit_dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: &str = r#"{"resourceType": "Patient", "name": [{"family": "Lee"}],
        "id": "43b6ae50-2cca-4934-ad38-282f8934b770"}"#;

    fn import(dir: &Path, unit_dir: &Path) -> Result<ExitCode> {
        let (dir, unit_dir) = (dir.to_owned(), unit_dir.to_owned());
        run(&Act::Import { from: Origin::Synthea { dir, unit_dir } })
    }

    #[test]
    fn the_status_says_whether_something_could_not_be_read() {
        let (input, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clinic = home.path().join("hcu-0007");
        std::fs::create_dir(&clinic).unwrap();
        std::fs::write(input.path().join("a.json"), PATIENT).unwrap();
        assert_eq!(import(input.path(), &clinic).unwrap(), ExitCode::SUCCESS);
        std::fs::write(input.path().join("b.json"), "{").unwrap();
        let status = ExitCode::from(EXIT_UNREADABLE);
        assert_eq!(import(input.path(), &clinic).unwrap(), status);
        let desk = practice::Desk::open(&clinic.join(practice::CLINIC_DB)).unwrap();
        assert_eq!(desk.count(practice::Table::Patients).unwrap(), 1);
        assert!(import(&input.path().join("nowhere"), &clinic).is_err());
    }

    #[test]
    fn a_clinic_is_the_unit_that_its_agent_is_told_or_that_its_folder_is_named_after() {
        let home = tempfile::tempdir().unwrap();
        let clinic = home.path().join("hcu-0007");
        assert!(unit_of(&clinic).is_err(), "no such folder");
        std::fs::create_dir(&clinic).unwrap();
        assert_eq!(unit_of(&clinic).unwrap().as_str(), "hcu-0007");
        let settings = clinic.join("agent.toml");
        std::fs::write(&settings, "unit = \"hcu-0008\"\nedge = \"ws://x\"\n").unwrap();
        assert_eq!(unit_of(&clinic).unwrap().as_str(), "hcu-0008");
        for bad in ["unit = 7", "", "unit = \"No Unit\"", "unit = "] {
            std::fs::write(&settings, bad).unwrap();
            assert!(unit_of(&clinic).is_err(), "{bad}");
        }
    }
}
