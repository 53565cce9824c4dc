//! The claim on a home folder: one supervisor at a time, and nothing left of an earlier one.
//!
//! A pid alone is no proof: it may by now belong to somebody innocent. Beside each `run/<name>.pid`
//! stands `run/<name>.born`, with the boot and the start time at which the kernel gave that pid
//! away; only a process that agrees in all three is ours to end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::error::StackError;
use crate::home::Home;

/// A question by [`running_supervisor`] holds the lock for a moment; this is much longer.
const CLAIM_WITHIN: Duration = Duration::from_millis(200);
/// A process that got SIGKILL and is still there after this hangs in the kernel.
const LEFTOVER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Held as long as the supervisor lives; the kernel gives the lock back however it ends.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: File,
}

impl Claim {
    /// Takes the home, then ends what an earlier supervisor left.
    pub(crate) fn take(home: &Home) -> Result<Self, StackError> {
        let path = lock_path(home.path());
        let mut lock = open_lock(&path).map_err(StackError::prepare(&path))?;
        let since = Instant::now();
        while let Err(refused) = lock.try_lock() {
            match refused {
                TryLockError::Error(source) => return Err(StackError::prepare(&path)(source)),
                TryLockError::WouldBlock if since.elapsed() < CLAIM_WITHIN => {
                    thread::sleep(LOOK_EVERY);
                }
                TryLockError::WouldBlock => {
                    let home = home.path().to_path_buf();
                    return Err(StackError::HomeInUse {
                        home,
                        pid: read_pid(&mut lock).unwrap_or(0),
                    });
                }
            }
        }
        write_pid(&mut lock).map_err(StackError::prepare(&path))?;
        end_leftovers(home)?;
        Ok(Self { _lock: lock })
    }
}

/// The process that supervises this home now, if there is one.
#[must_use]
pub fn running_supervisor(home: &Path) -> Option<u32> {
    let mut lock = File::open(lock_path(home)).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read_pid(&mut lock),
        _ => None,
    }
}

fn lock_path(home: &Path) -> PathBuf {
    home.join("run").join("supervisor.lock")
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0)).ok()?;
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())
}

/// The two files that say which process bears a name.
#[derive(Debug)]
pub(crate) struct PidFile {
    pid: PathBuf,
    born: PathBuf,
}

impl PidFile {
    pub(crate) fn of(home: &Home, name: &str) -> Self {
        let file = |end| home.run().join(format!("{name}.{end}"));
        Self { pid: file("pid"), born: file("born") }
    }

    /// Says who bears the name now. The birth is written first: a pid without one is never trusted.
    pub(crate) fn write(&self, pid: u32) -> io::Result<()> {
        fs::write(&self.born, birth(pid).unwrap_or_default())?;
        fs::write(&self.pid, format!("{pid}\n"))
    }

    pub(crate) fn remove(&self) {
        for file in [&self.pid, &self.born] {
            let _ = fs::remove_file(file);
        }
    }

    /// The process that was written down, if it is still that same one.
    fn living(&self) -> Option<u32> {
        let pid = fs::read_to_string(&self.pid).ok()?.trim().parse().ok()?;
        let born = fs::read_to_string(&self.born).ok()?;
        (birth(pid)? == born).then_some(pid)
    }
}

/// What tells this bearer of a pid from every other: the boot, and its start in ticks since
/// (`proc_pid_stat(5)`).
fn birth(pid: u32) -> Option<String> {
    const STATE: usize = 0;
    const START_TIME: usize = 19;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second column is the program's name in brackets, which may hold spaces and brackets
    // itself.
    let columns: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(columns.get(STATE), Some(&("Z" | "X"))) {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{} {}\n", boot.trim(), columns.get(START_TIME)?))
}

fn end_leftovers(home: &Home) -> Result<(), StackError> {
    let run = home.run();
    let entries = fs::read_dir(&run).map_err(StackError::prepare(&run))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_pid = path.extension().is_some_and(|end| end == "pid");
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_pid) else {
            continue;
        };
        let file = PidFile::of(home, name);
        if let Some(pid) = file.living() {
            tracing::warn!(name, pid, "ending a process that an earlier run left");
            end(&file, name, pid)?;
        }
        file.remove();
    }
    Ok(())
}

fn end(file: &PidFile, name: &str, pid: u32) -> Result<(), StackError> {
    let target = Pid::from_raw(pid.cast_signed());
    // The group may hold its children; the process itself may have left the group.
    let _ = killpg(target, Signal::SIGKILL);
    let _ = kill(target, Signal::SIGKILL);
    let since = Instant::now();
    while file.living().is_some() {
        if since.elapsed() > LEFTOVER_WITHIN {
            return Err(StackError::EndLeftover { name: name.to_owned(), pid });
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path()).unwrap();
        (folder, home)
    }

    #[test]
    fn a_home_has_one_supervisor() {
        let (folder, home) = home();
        assert_eq!(running_supervisor(folder.path()), None);
        let claim = Claim::take(&home).unwrap();
        assert_eq!(running_supervisor(folder.path()), Some(std::process::id()));
        let refused = Claim::take(&home).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(claim);
        assert_eq!(running_supervisor(folder.path()), None);
        Claim::take(&home).unwrap();
    }

    #[test]
    fn what_an_earlier_run_left_is_ended() {
        let (_folder, home) = home();
        let mut left = Command::new("sleep").arg("600").spawn().unwrap();
        let file = PidFile::of(&home, "web");
        file.write(left.id()).unwrap();
        let _claim = Claim::take(&home).unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(!home.run().join("web.pid").exists());
    }

    #[test]
    fn a_process_that_only_has_the_same_pid_is_left_alone() {
        let (_folder, home) = home();
        let mut innocent = Command::new("sleep").arg("600").spawn().unwrap();
        fs::write(home.run().join("web.pid"), innocent.id().to_string()).unwrap();
        fs::write(home.run().join("web.born"), "another boot 1\n").unwrap();
        fs::write(home.run().join("bare.pid"), innocent.id().to_string()).unwrap();
        let _claim = Claim::take(&home).unwrap();
        assert!(innocent.try_wait().unwrap().is_none(), "it was killed");
        assert!(!home.run().join("web.pid").exists());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
    }
}
