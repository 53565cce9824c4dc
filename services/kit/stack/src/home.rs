//! The home folder: `run/<name>.pid`, `logs/<name>.log`, and a folder of data for each server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::StackError;

/// A log larger than this is set aside as `<name>.log.1` when its process starts.
const LOG_BYTES: u64 = 32 * 1024 * 1024;

/// The end of a log is looked for in this many last bytes.
const TAIL_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn create(path: &Path) -> Result<Self, StackError> {
        for folder in ["run", "logs"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(StackError::prepare(&folder))?;
        }
        Ok(Self(path.to_path_buf()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    /// Opens a process's log at its end.
    pub(crate) fn open_log(&self, name: &str) -> io::Result<File> {
        let path = self.log(name);
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES) {
            fs::rename(&path, path.with_extension("log.1"))?;
        }
        OpenOptions::new().create(true).append(true).open(path)
    }

    /// Adds a line of the supervisor's own; a log that cannot be written stops nobody.
    pub(crate) fn note(&self, name: &str, line: &str) {
        if let Ok(mut log) = self.open_log(name) {
            let _ = writeln!(log, "--- {line}");
        }
    }

    /// The last lines of a process's log, or nothing if it has none.
    pub(crate) fn log_tail(&self, name: &str, lines: usize) -> String {
        let read = || -> io::Result<String> {
            let mut log = File::open(self.log(name))?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut end = Vec::new();
            log.read_to_end(&mut end)?;
            Ok(String::from_utf8_lossy(&end).into_owned())
        };
        last_lines(&read().unwrap_or_default(), lines)
    }
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A text without the colours that a program gave it for a terminal.
pub(crate) fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or(piece, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_by_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(folder.path()).unwrap();
        assert_eq!(home.log_tail("web", 3), "");
        for line in 0..10 {
            home.note("web", &line.to_string());
        }
        assert_eq!(home.log_tail("web", 2), "--- 8\n--- 9");
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(
            without_colours("\u{1b}[0m[\u{1b}[1;31mERROR\u{1b}[m] no mvn"),
            "[ERROR] no mvn"
        );
        assert_eq!(without_colours("plain"), "plain");
    }
}
