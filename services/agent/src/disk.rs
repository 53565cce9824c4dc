//! The clinic database as files on a disk: what changed in them, who holds them, and that what they
//! say is on the disk. Nothing here takes a lock or writes.
//!
//! Descriptors of the database and of its shared memory stay open as long as the process lives:
//! closing one would drop every lock that SQLite holds on that file for this process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The first byte of the locks in the write-ahead log's shared memory: the writer's, and behind
/// those of checkpoint and recovery the five of readers (SQLite's file format, "WAL-index").
const WAL_WRITER: i64 = 120;
const WAL_READERS: (i64, i64) = (123, 5);
/// The locks in a database without a write-ahead log: pending, reserved, and 510 shared bytes.
const ROLLBACK_LOCKS: (i64, i64) = (0x4000_0000, 512);
/// The database's header, and the part of the shared memory that every commit changes.
const HEADER_BYTES: usize = 100;
const INDEX_BYTES: usize = 48;
/// Where the header says whether there is a write-ahead log, and the word for it.
const WRITE_VERSION_AT: usize = 18;
const WAL_VERSION: u8 = 2;

/// Open descriptors by device and inode. Locks belong to the process, and so does this.
static KEPT: Mutex<BTreeMap<(u64, u64), Arc<File>>> = Mutex::new(BTreeMap::new());

/// The files of a clinic database.
#[derive(Debug)]
pub struct Disk {
    database: Arc<File>,
    path: PathBuf,
}

/// What every commit to the database changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    header: Vec<u8>,
    index: Vec<u8>,
}

impl Disk {
    /// The files of the database at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { database: kept(path)?, path: path.to_owned() })
    }

    /// Whether commits go into a write-ahead log.
    #[must_use]
    pub fn has_wal(&self) -> bool {
        self.header().get(WRITE_VERSION_AT) == Some(&WAL_VERSION)
    }

    /// The change counters as they stand.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let index = kept(&self.beside("-shm")).map(|file| beginning(&file, INDEX_BYTES));
        Stamp { header: self.header(), index: index.unwrap_or_default() }
    }

    /// The database's header.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        beginning(&self.database, HEADER_BYTES)
    }

    /// Whether another program stands in a transaction that a commit of ours would hurt: it would
    /// refuse to write after what it read, or find the file locked.
    #[must_use]
    pub fn is_held(&self) -> bool {
        if !self.has_wal() {
            return is_locked(&self.database, ROLLBACK_LOCKS, WRITE_LOCK);
        }
        let Ok(shared) = kept(&self.beside("-shm")) else { return false };
        is_locked(&shared, WAL_READERS, WRITE_LOCK)
            || is_locked(&shared, (WAL_WRITER, 1), WRITE_LOCK)
    }

    /// Whether another program writes into a database without a write-ahead log, or is about to.
    #[must_use]
    pub fn is_written(&self) -> bool {
        is_locked(&self.database, ROLLBACK_LOCKS, READ_LOCK)
    }

    /// Whether a journal stands that a commit has not ended.
    #[must_use]
    pub fn has_journal(&self) -> bool {
        let journal = File::open(self.beside("-journal"));
        journal.is_ok_and(|file| beginning(&file, 1).first().is_some_and(|byte| *byte != 0))
    }

    /// Brings everything that was committed onto the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&self) -> io::Result<()> {
        let has_wal = self.has_wal();
        for end in ["-wal", "-journal"] {
            match File::open(self.beside(end)) {
                Ok(file) => file.sync_data()?,
                Err(none) if none.kind() == io::ErrorKind::NotFound => {}
                Err(failed) => return Err(failed),
            }
        }
        self.database.sync_data()?;
        // Without a write-ahead log a commit is the end of the journal: a change of the folder.
        match self.path.parent() {
            Some(folder) if !has_wal => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(end);
        path.into()
    }
}

/// The kept descriptor of the file that `path` leads to now.
fn kept(path: &Path) -> io::Result<Arc<File>> {
    let meta = std::fs::metadata(path)?;
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = all.get(&(meta.dev(), meta.ino())) {
        return Ok(file.clone());
    }
    let file = Arc::new(File::open(path)?);
    let meta = file.metadata()?;
    // Replaced a moment ago by a file that is kept already: this one must stay open too.
    let known = all.insert((meta.dev(), meta.ino()), file.clone());
    std::mem::forget(known);
    Ok(file)
}

fn beginning(file: &File, bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    match file.read_at(&mut buffer, 0) {
        Ok(read) => buffer.truncate(read),
        Err(_) => buffer.clear(),
    }
    buffer
}

/// The kinds of locks and the start of a file, in the width that the call takes.
#[expect(clippy::cast_possible_truncation, reason = "0, 1 and 2 in every libc")]
const READ_LOCK: libc::c_short = libc::F_RDLCK as libc::c_short;
#[expect(clippy::cast_possible_truncation, reason = "0, 1 and 2 in every libc")]
const WRITE_LOCK: libc::c_short = libc::F_WRLCK as libc::c_short;
#[expect(clippy::cast_possible_truncation, reason = "0, 1 and 2 in every libc")]
const WHENCE: libc::c_short = libc::SEEK_SET as libc::c_short;

/// Whether another process holds a lock on these bytes that excludes one of `kind`.
fn is_locked(file: &File, (start, bytes): (i64, i64), kind: libc::c_short) -> bool {
    let mut asked =
        libc::flock { l_type: kind, l_whence: WHENCE, l_start: start, l_len: bytes, l_pid: 0 };
    let told = fcntl(file, FcntlArg::F_GETLK(&mut asked));
    told.is_ok() && i32::from(asked.l_type) != libc::F_UNLCK
}
