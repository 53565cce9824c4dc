//! Ports: finding free ones for a stack beside others, and saying who holds a taken one.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports given to tests. They lie below the range from which Linux takes ports for outgoing
/// connections (32768 and up), so no client can sit on a server's port while that server is being
/// restarted.
const FIRST_PORT: u16 = 18_000;
const PORT_COUNT: u16 = 14_000;

/// Ports between the starting points of two processes with neighbouring ids: a test process rarely
/// wants more.
const PORTS_FOR_A_PROCESS: u32 = 16;

/// A loopback address that nobody listens on at this moment.
///
/// Every process begins its search at a place that follows from its id, so test processes that
/// start at the same time do not race for the same ports.
///
/// # Panics
///
/// If all ports of the range are taken.
pub fn free_addr() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let home = std::process::id().wrapping_mul(PORTS_FOR_A_PROCESS) % u32::from(PORT_COUNT);
    for _ in 0..PORT_COUNT {
        let step = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
        let offset = (home + step) % u32::from(PORT_COUNT);
        let port = FIRST_PORT + u16::try_from(offset).expect("an offset is less than PORT_COUNT");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port from {FIRST_PORT} on, {PORT_COUNT} were tried")
}

/// Who listens on a port, as far as we may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder(Option<(u32, String)>);

impl PortHolder {
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.as_ref().map(|(pid, _)| *pid)
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((pid, name)) => write!(f, "process {pid} ({name})"),
            None => write!(f, "a process that this user may not see"),
        }
    }
}

/// Finds the process that listens on this port, by way of the socket's inode.
#[must_use]
pub fn holder_of(addr: SocketAddr) -> PortHolder {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, addr.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let Ok(processes) = fs::read_dir("/proc") else { return PortHolder(None) };
    let holder = processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        holds_any(&entry.path(), &inodes).then_some(pid)
    });
    PortHolder(holder.map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        (pid, name.trim().to_owned())
    }))
}

/// The inodes of listening sockets on a port; the columns are those of `proc_net_tcp(5)`.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| {
            columns.len() > 9 && columns[1].ends_with(&wanted) && columns[3] == LISTEN
        })
        .map(|columns| columns[9].to_owned())
        .collect()
}

fn holds_any(process: &Path, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files.flatten().any(|file| {
        fs::read_link(file.path())
            .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_differ_and_can_be_bound() {
        let (first, second) = (free_addr(), free_addr());
        assert_ne!(first, second);
        assert!(TcpListener::bind(first).is_ok() && TcpListener::bind(second).is_ok());
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = TcpListener::bind(free_addr()).unwrap();
        let holder = holder_of(listener.local_addr().unwrap());
        assert_eq!(holder.pid(), Some(std::process::id()));
        assert!(holder.to_string().contains(&std::process::id().to_string()));
    }

    #[test]
    fn nobody_is_named_for_a_port_that_is_free() {
        assert_eq!(holder_of(free_addr()).pid(), None);
    }
}
