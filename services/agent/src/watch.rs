//! Wakes the clinic thread when the database's files change, so that it need not ask.
//!
//! The system tells of writes to the database, its write-ahead log and its journal. Where it cannot
//! (a network share, no descriptors left), the clinic thread looks at the change counters often.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tracing::warn;

use crate::inbox::Inbox;

/// What the clinic thread knows of the watch.
#[derive(Debug, Clone, Default)]
pub struct Watched(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    works: AtomicBool,
    waits: AtomicBool,
}

impl Watched {
    /// Whether the system tells of changes.
    #[must_use]
    pub fn works(&self) -> bool {
        self.0.works.load(Ordering::Relaxed)
    }

    /// The clinic thread has received; the next change is worth another message.
    pub fn received(&self) {
        self.0.waits.store(false, Ordering::Release);
    }
}

/// Begins to watch the database at `path` for the clinic thread behind `inbox`.
pub fn start(path: PathBuf, inbox: SyncSender<Inbox>) -> Watched {
    let watched = Watched::default();
    let told = watched.clone();
    let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
        if let Err(cause) = watch(&path, &inbox, &told) {
            warn!(target: "error", %cause, "the system tells of no changes to files");
        }
        told.0.works.store(false, Ordering::Relaxed);
    });
    if let Err(cause) = thread {
        warn!(target: "error", %cause, "no thread watches the files");
    }
    watched
}

fn watch(path: &Path, inbox: &SyncSender<Inbox>, told: &Watched) -> nix::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let names = names_of(path);
    // Writes are asked of the files only: the spool lies in the same folder.
    let comings = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM;
    let whole = inotify.add_watch(folder, comings | AddWatchFlags::IN_ONLYDIR)?;
    let mut files: HashMap<OsString, WatchDescriptor> = HashMap::new();
    for name in &names {
        watch_file(&inotify, folder, name, &mut files);
    }
    told.0.works.store(true, Ordering::Relaxed);
    loop {
        let events = inotify.read_events()?;
        let mut touched = false;
        for event in events {
            if event.wd != whole {
                touched |= event.mask.contains(AddWatchFlags::IN_MODIFY);
                continue;
            }
            let Some(name) = event.name.filter(|name| names.contains(name)) else {
                touched |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                continue;
            };
            touched = true;
            watch_file(&inotify, folder, &name, &mut files);
        }
        if touched && !told.0.waits.swap(true, Ordering::AcqRel) {
            match inbox.try_send(Inbox::Touched) {
                Ok(()) => {}
                // Its next turn looks at the files anyway.
                Err(TrySendError::Full(_)) => told.received(),
                Err(TrySendError::Disconnected(_)) => return Ok(()),
            }
        }
    }
}

fn names_of(path: &Path) -> Vec<OsString> {
    let name = path.file_name().unwrap_or_default();
    let beside = |end: &str| {
        let mut name = name.to_owned();
        name.push(end);
        name
    };
    ["", "-wal", "-journal"].map(beside).to_vec()
}

/// Watches the file that has this name now; none is no fault.
fn watch_file(
    inotify: &Inotify,
    folder: &Path,
    name: &OsString,
    files: &mut HashMap<OsString, WatchDescriptor>,
) {
    if let Ok(new) = inotify.add_watch(&folder.join(name), AddWatchFlags::IN_MODIFY) {
        let old = files.insert(name.clone(), new);
        // A watch of a file that lost its name would tell of it as long as anybody holds it open.
        if let Some(old) = old.filter(|old| *old != new) {
            let _ = inotify.rm_watch(old);
        }
    }
}
