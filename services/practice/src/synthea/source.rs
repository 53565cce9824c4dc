//! Where the bytes come from: files of a folder, packed or plain, and what lies in archives.
//!
//! Nothing is unpacked to disk, so a name within an archive is only ever read. Every reader here is
//! rationed: somebody's archive decides neither how much memory nor how much time we spend.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::stage::{Form, Stage, is_beside_fhir, is_of_another_version, part};
use crate::error::PracticeError;

/// The largest window of the archives, as a power of two: they are packed with `zstd --long=27`.
/// It is also the memory that an archive may claim.
const WINDOW_LOG_MAX: u32 = 27;
/// What one file or archive may unpack to: ten times the output of a state's worth of patients.
const SOURCE_BYTES_MAX: u64 = 64 << 30;
/// What the extended header before an entry may hold: a name of a few kilobytes at most.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// Stands between an archive and a folder within it where both make a scope: no name holds it.
pub(super) const ARCHIVE_ENDS: char = '\0';
/// A tar pads each entry to this.
const TAR_BLOCK_BYTES: u64 = 512;
/// Files of one import. A Synthea run of a million patients is imported in parts.
const FILES_MAX: usize = 200_000;
/// Folders below the given one that are looked into: `output/fhir/d6/d64` and some more.
const DEPTH_MAX: usize = 8;
/// Endings of what must be unpacked by somebody else.
const UNOPENED: &[&str] = &["7z", "bz2", "rar", "tar", "tgz", "xz", "zip", "zst"];

/// A reader that gives no more bytes than it is allowed.
pub(super) struct Rationed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R> Rationed<R> {
    /// The reader, and its allowance, which the caller may renew.
    pub(super) fn new(inner: R, bytes: u64) -> (Self, Rc<Cell<u64>>) {
        let left = Rc::new(Cell::new(bytes));
        (Self { inner, left: Rc::clone(&left) }, left)
    }
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left.get()).unwrap_or(usize::MAX));
        if wanted == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(&mut buffer[..wanted])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

/// Why a source stopped giving bytes, in the report's words.
pub(super) fn why(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "cut short",
        io::ErrorKind::FileTooLarge => "unpacks to more than an import takes",
        io::ErrorKind::PermissionDenied => "not permitted",
        _ => "damaged",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    TarZstd,
}

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    /// Below the folder.
    name: String,
    packing: Packing,
    /// The stages in which it has something to give.
    stages: BTreeSet<Stage>,
}

/// One file, or one entry of an archive.
pub(super) struct Item<'a> {
    /// As the report names it.
    pub name: &'a str,
    /// What its references look into: its folder.
    pub scope: &'a str,
    pub form: Form,
    /// JSON of no kind is nothing to wonder at here.
    pub beside_fhir: bool,
}

/// What [`find`] saw.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub found: Vec<Source>,
    /// Tables and other files that no stage reads, as the report counts them.
    pub passed_over: Vec<String>,
    pub unreadable: Vec<(String, &'static str)>,
}

/// Everything in a folder that an import reads, in the order of names; or a single file.
pub(super) fn find(dir: &Path) -> Result<Sources, PracticeError> {
    let unreadable = |source| PracticeError::ReadFile { path: dir.to_owned(), source };
    let mut sources = Sources::default();
    let told = dir.canonicalize().map_err(unreadable)?;
    if told.file_name().is_some_and(|name| is_of_another_version(&name.to_string_lossy())) {
        sources.unreadable.push((dir.display().to_string(), "FHIR of another version than R4"));
        return Ok(sources);
    }
    let data = std::fs::metadata(dir).map_err(unreadable)?;
    if !data.is_dir() && !data.is_file() {
        // A pipe would be waited for, and a device has no end.
        sources.unreadable.push((dir.display().to_string(), "neither a file nor a folder"));
    } else if data.is_dir() {
        let mut paths = Vec::new();
        sources.list(dir, &mut paths, (dir, 0)).map_err(unreadable)?;
        paths.sort();
        if paths.len() > FILES_MAX {
            sources.unreadable.push((dir.display().to_string(), "more files than an import takes"));
            paths.truncate(FILES_MAX);
        }
        for path in paths {
            let name = below(dir, &path);
            sources.add(path, name);
        }
        // FHIR tells more of a person than a table does, and what is read first stands.
        sources.found.sort_by_key(Source::is_sheet);
    } else {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sources.add(dir.to_owned(), name);
    }
    Ok(sources)
}

/// A path as the report names it.
fn below(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// What a file is counted as that no stage reads.
fn label(name: &str) -> String {
    if is_of_another_version(name) {
        return "file of FHIR's other versions".to_owned();
    }
    match name.rsplit_once('.') {
        Some((_, ending)) => format!("file .{ending}"),
        None => "file without an ending".to_owned(),
    }
}

/// A name without an ending, however that is spelt.
fn without_ending<'n>(name: &'n str, ending: &str) -> Option<&'n str> {
    let (stem, last) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    last.eq_ignore_ascii_case(ending).then_some(stem)
}

impl Sources {
    /// Regular files below a folder, `depth` folders down. Linked folders are not entered: they may
    /// lead in circles. Nothing is left out unnamed.
    fn list(
        &mut self,
        top: &Path,
        into: &mut Vec<PathBuf>,
        (dir, depth): (&Path, usize),
    ) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let (entry, full) = (entry?, into.len() > FILES_MAX);
            let path = entry.path();
            let mut not_read = |why| self.unreadable.push((below(top, &path), why));
            if full {
                return Ok(());
            } else if entry.file_type()?.is_dir() {
                if depth >= DEPTH_MAX {
                    not_read("a folder within more folders than an import looks into");
                } else if let Err(error) = self.list(top, into, (&path, depth + 1)) {
                    self.unreadable.push((below(top, &path), why(&error)));
                }
                continue;
            }
            match std::fs::metadata(&path) {
                Ok(data) if data.is_file() => into.push(path),
                Ok(data) if data.is_dir() => not_read("a link to a folder, which is not followed"),
                Ok(_) => not_read("neither a file nor a folder"),
                Err(_) => not_read("a link that leads nowhere"),
            }
        }
        Ok(())
    }

    /// Whether there is nothing to import.
    pub fn is_empty(&self) -> bool {
        self.found.iter().all(|source| source.stages.is_empty())
    }

    fn add(&mut self, path: PathBuf, name: String) {
        if without_ending(&name, ".tar.zst").is_some() {
            let mut source =
                Source { path, name, packing: Packing::TarZstd, stages: BTreeSet::new() };
            let mut stages = BTreeSet::new();
            let passed_over = &mut self.passed_over;
            let listed = source.each_entry(|name, _| {
                match part(name) {
                    Some((_, [])) | None => passed_over.push(label(name)),
                    Some((_, more)) => stages.extend(more),
                }
                Ok(())
            });
            if let Err(Halt::Read(error)) = listed {
                self.unreadable.push((source.name.clone(), why(&error)));
            }
            source.stages = stages;
            self.found.push(source);
            return;
        }
        let (inner, packing) = match without_ending(&name, ".gz") {
            Some(inner) => (inner, Packing::Gzip),
            None => (name.as_str(), Packing::Plain),
        };
        match part(inner) {
            Some((_, stages)) if !stages.is_empty() => {
                let stages = stages.iter().copied().collect();
                self.found.push(Source { path, name, packing, stages });
            }
            None if inner.rsplit_once('.').is_some_and(|(_, ending)| {
                UNOPENED.iter().any(|unopened| ending.eq_ignore_ascii_case(unopened))
            }) =>
            {
                let why = "packed in a way that is not opened here: unpack it first";
                self.unreadable.push((name, why));
            }
            Some(_) | None => self.passed_over.push(label(&name)),
        }
    }
}

/// Why going through a source ended early.
pub(super) enum Halt {
    /// Its bytes do not read.
    Read(io::Error),
    /// The clinic's database does not take what was read.
    Clinic(PracticeError),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<PracticeError> for Halt {
    fn from(error: PracticeError) -> Self {
        Self::Clinic(error)
    }
}

impl Source {
    /// As the report names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn is_sheet(&self) -> bool {
        let inner = without_ending(&self.name, ".gz").unwrap_or(&self.name);
        matches!(part(inner), Some((Form::Sheet(_), _)))
    }

    /// Gives `take` each item that this source has for a stage. A source whose bytes end badly has
    /// given what came before; its error is the answer.
    pub(super) fn visit(
        &self,
        stage: Stage,
        mut take: impl FnMut(&Item<'_>, &mut dyn Read) -> Result<(), PracticeError>,
    ) -> Result<(), Halt> {
        if !self.stages.contains(&stage) {
            return Ok(());
        }
        if self.packing == Packing::TarZstd {
            return self.each_entry(|name, bytes| {
                let Some((form, _)) = part(name).filter(|(_, stages)| stages.contains(&stage))
                else {
                    return Ok(());
                };
                let scope = format!("{}{ARCHIVE_ENDS}{}", self.name, folder(name));
                let beside_fhir = is_beside_fhir(name);
                let name = format!("{}: {name}", self.name);
                Ok(take(&Item { name: &name, scope: &scope, form, beside_fhir }, bytes)?)
            });
        }
        let inner = without_ending(&self.name, ".gz").unwrap_or(&self.name);
        let Some((form, _)) = part(inner) else { return Ok(()) };
        let beside_fhir = is_beside_fhir(inner);
        let item = Item { name: &self.name, scope: folder(inner), form, beside_fhir };
        let file = BufReader::new(File::open(&self.path)?);
        let plain: Box<dyn Read> = match self.packing {
            Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
            Packing::Plain | Packing::TarZstd => Box::new(file),
        };
        let (mut rationed, _) = Rationed::new(plain, SOURCE_BYTES_MAX);
        Ok(take(&item, &mut rationed)?)
    }

    /// Every regular entry of the archive. The allowance is renewed at each, so that an extended
    /// header, which the tar reader keeps in memory, can be no larger than one should be.
    fn each_entry(
        &self,
        mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut plain = zstd::Decoder::new(File::open(&self.path)?)?;
        plain.window_log_max(WINDOW_LOG_MAX)?;
        let (whole, _) = Rationed::new(plain, SOURCE_BYTES_MAX);
        let (rationed, left) = Rationed::new(whole, HEADER_BYTES_MAX);
        let mut archive = tar::Archive::new(rationed);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let regular = entry.header().entry_type().is_file();
            let size = if regular { entry.size() } else { entry.header().entry_size()? };
            // What nobody takes is read past on the way to the next header.
            left.set(size.saturating_add(TAR_BLOCK_BYTES + HEADER_BYTES_MAX));
            if regular {
                let name = entry.path()?.to_string_lossy().into_owned();
                take(&name, &mut entry)?;
            }
        }
        Ok(())
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ration_ends_with_an_error_and_not_with_an_end() {
        let (mut reader, left) = Rationed::new(&b"0123456789"[..], 4);
        let mut four = [0; 4];
        reader.read_exact(&mut four).unwrap();
        let error = reader.read(&mut four).unwrap_err();
        assert_eq!(why(&error), "unpacks to more than an import takes");
        left.set(100);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"456789");
    }
}
