//! Disk, memory and processor time, as the kernel counts them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::process::Child;

use crate::place::Place;

/// Clock ticks of `/proc/<pid>/stat` in a second; Linux has had 100 on every machine for decades.
const TICKS_A_SECOND: f64 = 100.0;
/// Bytes of a page on the machines that this runs on.
const PAGE_BYTES: u64 = 4_096;

/// Processor seconds of each process of the network.
pub struct Cpu(pub BTreeMap<String, f64>);

impl Cpu {
    /// What was spent since an earlier account.
    pub fn since(&self, earlier: &Self) -> Self {
        let spent = self.0.iter().map(|(name, now)| {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), now - before)
        });
        Self(spent.collect())
    }
}

/// Processor seconds of each server and role until now.
pub fn cpu(place: &Place) -> Result<Cpu> {
    let mut all = BTreeMap::new();
    for (name, pid) in processes(place)? {
        all.insert(name, tree_cpu(pid)?);
    }
    Ok(Cpu(all))
}

/// Processor seconds of this process and its children until now.
pub fn own_cpu() -> Result<f64> {
    process_cpu(std::process::id())
}

/// Processor seconds of every agent that the network started.
pub fn agents_cpu(place: &Place) -> Result<f64> {
    named(place, |name| name.starts_with("agent-"))?.into_iter().map(|(_, pid)| tree_cpu(pid)).sum()
}

/// Processor seconds of a process that we started.
pub fn cpu_of_child(child: &Child) -> Result<f64> {
    child.id().map_or(Ok(0.0), process_cpu)
}

/// Processor seconds of processes that we started.
pub fn cpu_of_children(children: &[Child]) -> Result<f64> {
    children.iter().filter_map(Child::id).map(process_cpu).sum()
}

/// Resident bytes of each server and role.
pub fn memory(place: &Place) -> Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for (name, pid) in processes(place)? {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or_default();
        all.insert(name, pages * PAGE_BYTES);
    }
    Ok(all)
}

/// The roles and servers: whoever has a pid file, agents excepted.
fn processes(place: &Place) -> Result<Vec<(String, u32)>> {
    named(place, |name| !name.starts_with("agent-"))
}

fn named(place: &Place, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, u32)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place.home.join("run")).context("reading the pid files")? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|end| end == "pid") && wanted(name) {
            let pid = fs::read_to_string(&path)?;
            if let Ok(pid) = pid.trim().parse() {
                found.push((name.to_owned(), pid));
            }
        }
    }
    Ok(found)
}

/// A process and its children: Postgres answers each connection in a process of its own.
fn tree_cpu(pid: u32) -> Result<f64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let mut sum = process_cpu(pid)?;
    for child in children.unwrap_or_default().split_whitespace() {
        sum += process_cpu(child.parse()?)?;
    }
    Ok(sum)
}

fn process_cpu(pid: u32) -> Result<f64> {
    // One that ended meanwhile has no account any more.
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Ok(0.0) };
    // The program's name stands in brackets and may hold spaces; fields count from after it.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    // utime, stime, and what children that ended have used.
    let ticks = fields.split_whitespace().skip(11).take(4);
    Ok(ticks.filter_map(|tick| tick.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND)
}

/// Bytes of all files below a folder, as the disk holds them.
pub fn folder_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Bytes that the disk of this folder has left.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path).context("asking for the free disk")?;
    Ok(stat.blocks_available() * stat.fragment_size())
}
