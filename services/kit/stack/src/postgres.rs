//! PostgreSQL: the one that is installed, on a data folder of our own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;

use crate::config::{POSTGRES_NAME, StackConfig};
use crate::error::StackError;
use crate::fetch::find_program;
use crate::probe::Probe;
use crate::process::{ProcessSpec, confine, run_to_end};
use crate::run_as::RunAs;
use crate::servers::POSTGRES;
use nix::sys::signal::Signal;

/// The oldest version whose behaviour we rely on.
const OLDEST: u32 = 15;

const READY_WITHIN: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(4);

/// Settings, given at each start so that an older data folder has them too. Durability stays as it
/// is by default: `fsync`, `full_page_writes` and `synchronous_commit` are on.
const SETTINGS: [&str; 11] = [
    // No socket file: a path below a deep home is soon longer than a socket's name may be.
    "unix_socket_directories=",
    // Each role's pool takes a few; a test run starts many roles.
    "max_connections=200",
    // Compiling a plan costs more than any of our statements runs.
    "jit=off",
    "max_wal_size=4GB",
    "checkpoint_timeout=15min",
    "wal_compression=lz4",
    // Read models are updated in place all day.
    "autovacuum_vacuum_scale_factor=0.02",
    // A role that died in the middle of a transaction must not hold its locks.
    "idle_in_transaction_session_timeout=60s",
    "log_min_messages=warning",
    "log_line_prefix=%m [%p] %q%a ",
    "timezone=UTC",
];

/// Makes the data folder where there is none, and names the process.
pub(crate) fn prepare(config: &StackConfig) -> Result<ProcessSpec, StackError> {
    let folder = config.home.join(POSTGRES);
    let data = folder.join("data");
    let (bin, version) = find_programs(made_by(&data))?;
    if let Some(made_by) = made_by(&data).filter(|made_by| *made_by != version) {
        return Err(StackError::PostgresVersion { path: data, data: made_by, found: version });
    }
    if !folder.is_dir() {
        fs::create_dir_all(&config.home).map_err(StackError::prepare(&config.home))?;
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).create(&folder).map_err(StackError::prepare(&folder))?;
    }
    let user = owner(&folder)?;
    if made_by(&data).is_none() {
        initialise(&bin, &folder, &data, user.as_ref())?;
    }
    let addr = config.postgres_addr;
    let mut spec = ProcessSpec::new(POSTGRES, bin.join("postgres")).arg("-D").arg(data).args([
        "-h",
        &addr.ip().to_string(),
        "-p",
        &addr.port().to_string(),
    ]);
    for setting in SETTINGS {
        spec = spec.args(["-c", setting]);
    }
    Ok(spec
        .args(["-c", &format!("shared_buffers={}", config.postgres_cache)])
        .working_dir(folder)
        .run_as(user)
        .ready(probe(config))
        .ready_within(READY_WITHIN)
        // SIGTERM would wait for every client to leave; this ends their sessions.
        .stop_signal(Signal::SIGINT)
        .grace(GRACE))
}

pub(crate) fn probe(config: &StackConfig) -> Probe {
    Probe::Postgres {
        addr: config.postgres_addr,
        user: POSTGRES_NAME.to_owned(),
        database: POSTGRES_NAME.to_owned(),
    }
}

/// Who runs the server: ourselves, unless we are root; then the owner of the data, for whom it may
/// have to be made theirs first.
fn owner(folder: &Path) -> Result<Option<RunAs>, StackError> {
    let owner = fs::metadata(folder).map_err(StackError::prepare(folder))?.uid();
    let us = geteuid();
    if !us.is_root() {
        return if owner == us.as_raw() {
            Ok(None)
        } else {
            let path = folder.to_path_buf();
            Err(StackError::PostgresOwner { path, owner, us: us.as_raw() })
        };
    }
    let user = if owner == us.as_raw() { RunAs::system_user() } else { RunAs::uid(owner) };
    let user = user.ok_or(StackError::FindProgram {
        program: "a user for Postgres, which refuses to run as root",
        hint: "type `useradd --system postgres`, or run as another user",
    })?;
    if owner == us.as_raw() {
        user.give(folder).map_err(StackError::prepare(folder))?;
    }
    Ok(Some(user.reaching(&folder.join("data"))))
}

/// Makes the data under another name and renames it at the end, so that a data folder with its
/// proper name is whole.
fn initialise(
    bin: &Path,
    folder: &Path,
    data: &Path,
    user: Option<&RunAs>,
) -> Result<(), StackError> {
    let part = folder.join("data.partial");
    if part.is_dir() {
        fs::remove_dir_all(&part).map_err(StackError::prepare(&part))?;
    }
    let mut initdb = Command::new(bin.join("initdb"));
    initdb
        .arg("-D")
        .arg(&part)
        // Only loopback is listened on, so whoever is on this machine may come in.
        .args(["-U", POSTGRES_NAME, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
        .current_dir(folder);
    confine(&mut initdb, user.cloned());
    run_to_end("initdb, which makes Postgres' data folder,", initdb)?;
    // The server's single-user mode reads statements from its standard input; `-j` is not given, so
    // a line is one.
    let statement = folder.join("first.sql");
    fs::write(&statement, format!("CREATE DATABASE {POSTGRES_NAME};\n"))
        .map_err(StackError::prepare(&statement))?;
    let mut single = Command::new("sh");
    single
        .args(["-c", r#"exec "$0" --single -D "$1" postgres < "$2""#])
        .arg(bin.join("postgres"))
        .arg(&part)
        .arg(&statement)
        .current_dir(folder);
    confine(&mut single, user.cloned());
    run_to_end("making the first database", single)?;
    fs::rename(&part, data).map_err(StackError::prepare(data))
}

/// The major version that made a data folder, if it is one.
fn made_by(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Finds the folder of `postgres` and `initdb`, and their version: the wanted one if the data asks
/// for it, else the one in PATH, else the newest that Debian's packages brought.
fn find_programs(wanted: Option<u32>) -> Result<(PathBuf, u32), StackError> {
    let in_path = find_program("initdb").and_then(|initdb| Some(initdb.parent()?.to_path_buf()));
    let mut packaged: Vec<(PathBuf, u32)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((entry.path().join("bin"), version))
        })
        .collect();
    packaged.sort_by_key(|(_, version)| std::cmp::Reverse(*version));
    let found: Vec<(PathBuf, u32)> = in_path
        .and_then(|bin| version_of(&bin).map(|version| (bin, version)))
        .into_iter()
        .chain(packaged)
        .filter(|(bin, version)| *version >= OLDEST && bin.join("postgres").is_file())
        .filter(|(bin, _)| bin.join("initdb").is_file())
        .collect();
    found.iter().find(|(_, version)| Some(*version) == wanted).or(found.first()).cloned().ok_or(
        StackError::FindProgram {
            program: "postgres and initdb (15 or later)",
            hint: "type `apt-get install postgresql`, or run scripts/prerequisites.sh",
        },
    )
}

/// Asks a Postgres outside of Debian's folders for its version: `postgres (PostgreSQL) 17.2`.
fn version_of(bin: &Path) -> Option<u32> {
    let said = Command::new(bin.join("postgres")).arg(OsString::from("--version")).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let number =
        said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
