//! `arteria-agent init`: makes a clinic's folder, or finds it made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kit_event::UnitId;
use kit_token::{AgentKey, add_agent_key};
use rusqlite::Connection;

use crate::config::Config;
use crate::identity::Ids;
use crate::setup::files;

/// The reference schema, for a unit without practice software of its own.
const REFERENCE_SCHEMA: &str = include_str!("../../practice/schema/reference.sql");
/// The agents' key set.
const AGENTS_JWKS: &str = "agents.jwks.json";

/// What `init` is told.
#[derive(Debug, Clone)]
pub struct Init {
    /// The clinic's folder.
    pub dir: PathBuf,
    /// The unit.
    pub unit: UnitId,
    /// The edge.
    pub edge: String,
    /// Its time zone; an existing folder keeps its own where none is given.
    pub time_zone: Option<String>,
    /// The folder of the agents' key set.
    pub keys: Option<PathBuf>,
}

/// Makes what is missing and says what it found.
///
/// # Errors
/// A file cannot be made, or the folder is another unit's.
pub fn init(init: &Init) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let dir = &init.dir;
    std::fs::create_dir_all(dir.join(files::LOGS))
        .with_context(|| format!("making {}", dir.display()))?;
    said.push(settings(init)?);
    let key_path = dir.join(files::KEY);
    let had_key = key_path.exists();
    let key = AgentKey::generate(&init.unit, &key_path)?;
    said.push(format!("{} {}", if had_key { "kept" } else { "made" }, key_path.display()));
    let secret = dir.join(files::IDS_SECRET);
    let had_secret = secret.exists();
    Ids::open(init.unit.clone(), &secret)?;
    said.push(format!("{} {}", if had_secret { "kept" } else { "made" }, secret.display()));
    let jwks = keys_dir(init).join(AGENTS_JWKS);
    add_agent_key(&jwks, &init.unit, &key.public_jwk())?;
    said.push(format!("the public key stands in {}", jwks.display()));
    said.push(clinic(dir)?);
    crate::spool::Spool::open(&dir.join(files::SPOOL))?;
    Ok(said)
}

fn settings(init: &Init) -> Result<String> {
    let path = init.dir.join(files::CONFIG);
    let found = path.exists().then(|| Config::load(&init.dir)).transpose()?;
    if let Some(found) = found.as_ref().filter(|found| found.unit != init.unit) {
        bail!("{} belongs to unit {}, not to {}", init.dir.display(), found.unit, init.unit);
    }
    let time_zone = init
        .time_zone
        .clone()
        .or_else(|| found.as_ref().map(|found| found.time_zone.clone()))
        .unwrap_or_else(|| "UTC".to_owned());
    // Where traces go and what maps the tables is nobody's but the settings' own to say.
    let traces = found.as_ref().and_then(|config| config.traces.clone());
    let mapping = found.as_ref().and_then(|config| config.mapping.clone());
    let unencrypted = found.as_ref().is_some_and(|config| config.unencrypted);
    let (unit, edge) = (init.unit.clone(), init.edge.clone());
    let config = Config { unit, edge, unencrypted, time_zone, mapping, traces };
    config.check()?;
    if found.as_ref() == Some(&config) {
        return Ok(format!("kept {}", path.display()));
    }
    config.store(&init.dir)?;
    let did = if found.is_some() { "changed" } else { "made" };
    Ok(format!("{did} {}", path.display()))
}

/// A clinic database that is there belongs to the practice and is not touched.
fn clinic(dir: &Path) -> Result<String> {
    let path = dir.join(files::CLINIC);
    if path.exists() {
        return Ok(format!("found the clinic database {}", path.display()));
    }
    let conn = Connection::open(&path).with_context(|| format!("making {}", path.display()))?;
    // A database of our own making may have the journal that lets its writers and readers work at
    // the same time; one that is there keeps its own.
    conn.execute_batch("PRAGMA journal_mode = WAL")
        .and_then(|()| conn.execute_batch(REFERENCE_SCHEMA))
        .with_context(|| format!("making the tables of {}", path.display()))?;
    Ok(format!("made {} with the reference schema", path.display()))
}

/// Where the agents' key set stands: as told, as the environment says, beside `units/`, or here.
fn keys_dir(init: &Init) -> PathBuf {
    let named =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    init.keys
        .clone()
        .or_else(|| named("ARTERIA_KEYS"))
        .or_else(|| named("ARTERIA_HOME").map(|home| home.join("keys")))
        .or_else(|| home_of(&init.dir).map(|home| home.join("keys")))
        .unwrap_or_else(|| PathBuf::from("./.local/keys"))
}

/// `X` of `X/units/<unit>`.
fn home_of(dir: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(dir).ok()?;
    let units = absolute.parent()?;
    (units.file_name()? == "units").then(|| units.parent().map(Path::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(dir: &Path) -> Init {
        Init {
            dir: dir.join("units/hcu-0001"),
            unit: "hcu-0001".parse().unwrap(),
            edge: "ws://127.0.0.1:8081".to_owned(),
            time_zone: Some("Europe/Lisbon".to_owned()),
            keys: Some(dir.join("keys")),
        }
    }

    #[test]
    fn a_folder_is_made_once_and_then_found() {
        let home = tempfile::tempdir().unwrap();
        let asked = asked(home.path());
        init(&asked).unwrap();
        let key = std::fs::read(asked.dir.join(files::KEY)).unwrap();
        let clinic = Connection::open(asked.dir.join(files::CLINIC)).unwrap();
        clinic
            .execute(
                "INSERT INTO practitioners (practitioner_id, family_name) VALUES ('p','x')",
                [],
            )
            .unwrap();
        let again = Init { time_zone: None, ..asked.clone() };
        let said = init(&again).unwrap().join("\n");
        assert!(said.contains("kept") && said.contains("found the clinic database"), "{said}");
        assert_eq!(std::fs::read(asked.dir.join(files::KEY)).unwrap(), key);
        assert_eq!(Config::load(&asked.dir).unwrap().time_zone, "Europe/Lisbon");
        let rows: i64 =
            clinic.query_row("SELECT count(*) FROM practitioners", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_folder_of_another_unit_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let asked = asked(home.path());
        init(&asked).unwrap();
        let other = Init { unit: "hcu-0002".parse().unwrap(), ..asked };
        assert!(init(&other).unwrap_err().to_string().contains("belongs to unit hcu-0001"));
    }

    #[test]
    fn keys_stand_beside_the_units() {
        assert_eq!(home_of(Path::new("/x/units/hcu-0001")), Some(PathBuf::from("/x")));
        assert_eq!(home_of(Path::new("/x/clinics/hcu-0001")), None);
    }
}
