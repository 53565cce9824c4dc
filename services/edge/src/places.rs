//! Who may hold a socket here: a small pool for newcomers, whose token nobody has read yet, and the
//! places of links, which only a token opens.
//!
//! A newcomer costs its sender nothing, so no number of them may keep a clinic out. The pool never
//! refuses: where it is full, the oldest newcomer of the address that holds the most makes room. An
//! agent proves who it is within a few round trips; a socket that sits there is what goes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::limits::{LINKS_MAX, NEWCOMERS_MAX};

/// The places of an edge.
#[derive(Clone)]
pub struct Places {
    links: Arc<Semaphore>,
    newcomers: Newcomers,
}

/// A link's place. While it is held, the edge counts the link.
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Default for Places {
    fn default() -> Self {
        Self::of(LINKS_MAX, NEWCOMERS_MAX)
    }
}

impl Places {
    /// Places for so many links, and for so many sockets before their token is verified.
    #[must_use]
    pub fn of(links: usize, newcomers: usize) -> Self {
        let newcomers = Newcomers { pool: Arc::default(), places: newcomers.max(1) };
        Self { links: Arc::new(Semaphore::new(links)), newcomers }
    }

    /// A place for a socket from `peer` until its agent is known.
    #[must_use]
    pub fn newcomer(&self, peer: IpAddr) -> Newcomer {
        self.newcomers.enter(peer)
    }

    /// A place for a link, whose agent is known; none when all are taken.
    #[must_use]
    pub fn link(&self) -> Option<Place> {
        let permit = self.links.clone().try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }
}

#[derive(Default)]
struct Pool {
    /// Who came when, by address; numbers grow.
    present: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
    count: usize,
    numbers: u64,
}

impl Pool {
    /// Sends away the oldest newcomer of the address that holds the most.
    fn make_room(&mut self) {
        let heaviest = self.present.iter().max_by_key(|(_, newcomers)| newcomers.len());
        let oldest =
            heaviest.and_then(|(addr, newcomers)| Some((*addr, *newcomers.keys().next()?)));
        if let Some((addr, number)) = oldest
            && let Some(evicted) = self.leave(addr, number)
        {
            evicted.cancel();
        }
    }

    fn leave(&mut self, addr: IpAddr, number: u64) -> Option<CancellationToken> {
        let newcomers = self.present.get_mut(&addr)?;
        let left = newcomers.remove(&number)?;
        if newcomers.is_empty() {
            self.present.remove(&addr);
        }
        self.count -= 1;
        Some(left)
    }
}

#[derive(Clone)]
struct Newcomers {
    pool: Arc<Mutex<Pool>>,
    places: usize,
}

impl Newcomers {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn enter(&self, peer: IpAddr) -> Newcomer {
        let (addr, evicted) = (sender(peer), CancellationToken::new());
        let mut pool = self.pool();
        pool.numbers += 1;
        pool.count += 1;
        let number = pool.numbers;
        pool.present.entry(addr).or_default().insert(number, evicted.clone());
        if pool.count > self.places {
            crate::metrics::SOCKETS_DROPPED.get().increment(1);
            pool.make_room();
        }
        drop(pool);
        Newcomer { newcomers: self.clone(), addr, number, evicted }
    }
}

/// A socket's place before its agent is known; given back when it is dropped.
pub struct Newcomer {
    newcomers: Newcomers,
    addr: IpAddr,
    number: u64,
    evicted: CancellationToken,
}

impl Newcomer {
    /// Waits until the place is needed for another socket.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.newcomers.pool().leave(self.addr, self.number);
    }
}

/// Who is counted as one sender: an IPv4 address, or the network that one customer of an IPv6
/// provider has.
fn sender(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(addr) => IpAddr::V4(addr),
        IpAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(places: &Places, addr: &str) -> Newcomer {
        places.newcomer(addr.parse().unwrap())
    }

    fn is_evicted(newcomer: &Newcomer) -> bool {
        newcomer.evicted.is_cancelled()
    }

    #[test]
    fn a_full_pool_sends_away_the_oldest_of_the_address_that_holds_the_most() {
        let places = Places::of(1, 4);
        let clinic = from(&places, "192.0.2.7");
        let flood: Vec<_> = (0..6).map(|_| from(&places, "203.0.113.9")).collect();
        assert!(!is_evicted(&clinic), "another address's flood is not the clinic's");
        let evicted: Vec<_> = flood.iter().map(is_evicted).collect();
        assert_eq!(evicted, [true, true, true, false, false, false]);
        let other = from(&places, "192.0.2.8");
        assert!(!is_evicted(&other) && is_evicted(&flood[3]));
    }

    #[test]
    fn within_one_address_the_newest_is_let_in() {
        let places = Places::of(1, 3);
        let held: Vec<_> = (0..50).map(|_| from(&places, "127.0.0.1")).collect();
        assert_eq!(held.iter().filter(|newcomer| !is_evicted(newcomer)).count(), 3);
        assert!(!is_evicted(held.last().unwrap()));
    }

    #[test]
    fn a_place_comes_back_once_whether_its_holder_left_or_was_sent_away() {
        let places = Places::of(1, 2);
        let (one, two) = (from(&places, "192.0.2.1"), from(&places, "192.0.2.2"));
        let three = from(&places, "192.0.2.3");
        drop((one, two, three));
        assert_eq!(places.newcomers.pool().count, 0);
        assert!(places.newcomers.pool().present.is_empty());
        let held = [from(&places, "192.0.2.1"), from(&places, "192.0.2.2")];
        assert!(!held.iter().any(is_evicted));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_sender() {
        let of = |addr: &str| sender(addr.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    }

    #[test]
    fn links_have_places_of_their_own() {
        let places = Places::of(1, 1);
        let _flood = [from(&places, "192.0.2.1"), from(&places, "192.0.2.1")];
        let link = places.link().unwrap();
        assert!(places.link().is_none());
        drop(link);
        assert!(places.link().is_some());
    }
}
