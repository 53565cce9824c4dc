//! The mapping file in a clinic's folder: found, read, and read again when it changes.
//!
//! A file with mistakes stops nothing: the agent goes on with the last mapping that had none, which
//! it keeps beside its other files, and says so. A file that vanishes while the agent runs may be
//! an editor at work; only a start without one falls back to the reference schema.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use chrono_tz::Tz;

use crate::mapping::file::FILE_BYTES_MAX;
use crate::mapping::tree::Mistake;
use crate::mapping::{Mapping, MappingError};
use crate::setup::files;

/// A clinic's mapping file.
pub struct MappingFile {
    path: PathBuf,
    last_good: PathBuf,
    /// Whether the settings name it, so that it must be there.
    is_named: bool,
    zone: Tz,
    seen: Mutex<Seen>,
}

/// What was last read.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    text: Option<String>,
    trouble: Option<String>,
}

/// By what a changed file shows without being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl MappingFile {
    /// The file of the folder `dir`, or the one that its settings name.
    #[must_use]
    pub fn of(dir: &Path, named: Option<&Path>, time_zone: &str) -> Self {
        Self {
            // A path of the settings is as seen from the clinic's folder.
            path: dir.join(named.unwrap_or_else(|| Path::new(files::MAPPING))),
            last_good: dir.join(files::MAPPING_APPLIED),
            is_named: named.is_some(),
            zone: time_zone.parse().unwrap_or(Tz::UTC),
            seen: Mutex::new(Seen::default()),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text; none where the reference schema is meant.
    ///
    /// # Errors
    /// It cannot be read, or settings name it and it is not there.
    pub fn text(&self) -> Result<Option<String>, MappingError> {
        let failed = |source| MappingError::Read { path: self.path.display().to_string(), source };
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.is_named => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
            Ok(meta) if meta.len() > FILE_BYTES_MAX as u64 => {
                let problem = format!("the file has more than {FILE_BYTES_MAX} bytes");
                return Err(MappingError::Mistakes(vec![Mistake { line: 1, problem }]));
            }
            Ok(_) => {}
        }
        let bytes = std::fs::read(&self.path).map_err(failed)?;
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.split(|&byte| byte == b'\n').count();
            let problem = "the file is no UTF-8 text from here on".to_owned();
            MappingError::Mistakes(vec![Mistake { line, problem }])
        })
    }

    /// The mapping that it says.
    ///
    /// # Errors
    /// It cannot be read, or has mistakes.
    pub fn load(&self) -> Result<Mapping, MappingError> {
        match self.text()? {
            Some(text) => Mapping::parse(&text, self.zone),
            None => Mapping::reference(),
        }
    }

    /// The mapping to begin with: the file's, or the last one without mistakes.
    ///
    /// # Errors
    /// The file has mistakes, and there was none before.
    pub fn load_or_last(&self) -> Result<Mapping, MappingError> {
        let stamp = self.stamp();
        let text = self.text();
        let loaded = match &text {
            Ok(Some(text)) => Mapping::parse(text, self.zone),
            Ok(None) => Mapping::reference(),
            Err(_) => self.load(),
        };
        let mut seen = self.seen();
        seen.stamp = stamp;
        match loaded {
            Ok(mapping) => {
                seen.text = text.ok().flatten();
                self.keep(seen.text.as_deref());
                Ok(mapping)
            }
            Err(error) => {
                seen.trouble = Some(trouble(&error));
                let last = std::fs::read_to_string(&self.last_good).ok();
                last.and_then(|text| Mapping::parse(&text, self.zone).ok()).ok_or(error)
            }
        }
    }

    /// The new mapping, where the file has changed and has no mistakes.
    pub fn reread(&self) -> Option<Mapping> {
        let stamp = self.stamp()?;
        let mut seen = self.seen();
        if seen.stamp == Some(stamp) {
            return None;
        }
        seen.stamp = Some(stamp);
        let read = self.text().and_then(|text| {
            let text = text.unwrap_or_default();
            Mapping::parse(&text, self.zone).map(|mapping| (mapping, text))
        });
        match read {
            Ok((mapping, text)) => {
                seen.trouble = None;
                if seen.text.as_ref() == Some(&text) {
                    return None;
                }
                self.keep(Some(&text));
                seen.text = Some(text);
                Some(mapping)
            }
            Err(error) => {
                seen.trouble = Some(trouble(&error));
                None
            }
        }
    }

    /// What is wrong with the file; none while it is the one that is obeyed.
    pub fn trouble(&self) -> Option<String> {
        self.seen().trouble.clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn stamp(&self) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(&self.path).ok()?;
        let changed = (meta.mtime(), meta.mtime_nsec());
        Some(Stamp { inode: meta.ino(), bytes: meta.len(), changed })
    }

    /// Keeps what had no mistakes, whole or not at all. A disk that refuses takes away only this
    /// safety, so nothing more is made of it.
    fn keep(&self, text: Option<&str>) {
        let Some(text) = text else {
            let _ = std::fs::remove_file(&self.last_good);
            return;
        };
        let draft = self.last_good.with_extension("draft");
        let _ =
            std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &self.last_good));
    }
}

/// A trouble in one line.
fn trouble(error: &MappingError) -> String {
    format!("{error}; `arteria-agent mapping check` tells all")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "[[table]]\nname='p'\nthing='patient'\nkey=['n']\n[table.columns]\nv='text'\n";

    fn good() -> String {
        ONE.replace("v='text'", "v={type='text',field='family_name'}")
    }

    #[test]
    fn a_file_with_mistakes_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(files::MAPPING);
        let file = || MappingFile::of(dir.path(), None, "UTC");
        assert_eq!(file().load_or_last().unwrap().tables[0].name, "patients");
        std::fs::write(&path, ONE).unwrap();
        assert!(file().load_or_last().is_err());
        std::fs::write(&path, good()).unwrap();
        let running = file();
        assert_eq!(running.load_or_last().unwrap().tables[0].name, "p");
        std::fs::write(&path, good() + "mood='fine'").unwrap();
        assert!(running.reread().is_none());
        assert!(running.trouble().unwrap().contains("mapping check"));
        let restarted = file();
        assert_eq!(restarted.load_or_last().unwrap().tables[0].name, "p");
        assert!(restarted.trouble().is_some());
    }

    #[test]
    fn a_changed_file_is_read_once_and_a_vanished_one_is_an_editor_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(files::MAPPING);
        std::fs::write(&path, good()).unwrap();
        let running = MappingFile::of(dir.path(), None, "UTC");
        running.load_or_last().unwrap();
        assert!(running.reread().is_none());
        std::fs::write(&path, good().replace("name='p'", "name='q'")).unwrap();
        assert_eq!(running.reread().unwrap().tables[0].name, "q");
        assert!(running.reread().is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(running.reread().is_none() && running.trouble().is_none());
    }

    #[test]
    fn what_is_no_text_or_too_long_is_told_and_a_named_file_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(files::MAPPING);
        let file = MappingFile::of(dir.path(), None, "UTC");
        std::fs::write(&path, b"# one\n# two\n\xff\xfe").unwrap();
        let Err(MappingError::Mistakes(mistakes)) = file.load() else { panic!("it read") };
        assert_eq!(mistakes[0].line, 3);
        std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(file.load(), Err(MappingError::Mistakes(_))));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(file.load(), Err(MappingError::Mistakes(_))));
        let named = MappingFile::of(dir.path(), Some(Path::new("other.toml")), "UTC");
        assert!(matches!(named.load(), Err(MappingError::Read { .. })));
    }
}
