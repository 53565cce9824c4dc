//! Running a process as another user. Postgres refuses root; where we are root, it runs as a user
//! of the system.
//!
//! A home may lie below a folder that only root may enter, such as /root itself. Opening that
//! folder to others would be worse than this: the process then keeps one capability, to walk
//! through folders and read files, and none else.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::libc;
use nix::unistd::{Gid, Uid, User, getgrouplist};

/// System users that may own Postgres' data, best first.
const SYSTEM_USERS: [&str; 2] = ["postgres", "nobody"];

/// Numbers of `capability.h`, the weaker one first; a container often has only the second.
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_DAC_OVERRIDE: u32 = 1;

/// A user to become between fork and exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    keeps: Option<u32>,
}

impl RunAs {
    /// The system user for a server that must not be root.
    #[must_use]
    pub fn system_user() -> Option<Self> {
        SYSTEM_USERS.iter().find_map(|name| Self::of(User::from_name(name).ok()??))
    }

    /// The user with this id.
    #[must_use]
    pub fn uid(uid: u32) -> Option<Self> {
        Self::of(User::from_uid(Uid::from_raw(uid)).ok()??)
    }

    fn of(user: User) -> Option<Self> {
        let name = std::ffi::CString::new(user.name).ok()?;
        let groups = getgrouplist(&name, user.gid).ok()?;
        Some(Self { uid: user.uid, gid: user.gid, groups, keeps: None })
    }

    /// The same user, able to reach a folder even if one above it is closed to them.
    #[must_use]
    pub fn reaching(mut self, folder: &Path) -> Self {
        let closed = folder.ancestors().skip(1).any(|above| !self.may_enter(above));
        if closed {
            self.keeps =
                [CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE].into_iter().find(|cap| we_hold(*cap));
        }
        self
    }

    fn may_enter(&self, folder: &Path) -> bool {
        let Ok(found) = fs::metadata(folder) else { return true };
        let bit = if found.uid() == self.uid.as_raw() {
            0o100
        } else if self.groups.contains(&Gid::from_raw(found.gid())) {
            0o010
        } else {
            0o001
        };
        found.mode() & bit != 0
    }

    /// Hands a folder and all in it to this user.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        Ok(())
    }

    /// Becomes this user. Runs between fork and exec, so it only makes system calls and takes no
    /// memory.
    pub(crate) fn become_now(&self) -> io::Result<()> {
        nix::unistd::setgroups(&self.groups)?;
        nix::unistd::setgid(self.gid)?;
        if self.keeps.is_some() {
            nix::sys::prctl::set_keepcaps(true)?;
        }
        nix::unistd::setuid(self.uid)?;
        self.keeps.map_or(Ok(()), keep_only)
    }
}

fn we_hold(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    held.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << capability) != 0)
}

/// Narrows this process to one capability, and lets the program that it becomes inherit it.
fn keep_only(capability: u32) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let mask = 1_u32 << capability;
    // Effective, permitted and inheritable for capabilities 0 to 31, then the same for 32 to 63.
    let sets: [u32; 6] = [mask, mask, mask, 0, 0, 0];
    #[expect(unsafe_code, reason = "no safe wrapper of capset is among our dependencies")]
    // SAFETY: both pointers are to live arrays of the sizes that version 3 of capset asks for.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "nix has no wrapper of the ambient set")]
    // SAFETY: this prctl takes plain numbers.
    let raised = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            libc::c_ulong::from(capability),
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    if raised == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
