//! The places of connections: so many in all, and so many of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    per_address_max: usize,
    of_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    places: Places,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(in_all_max: usize, per_address_max: usize) -> Self {
        let free = Arc::new(Semaphore::new(in_all_max));
        Self { free, per_address_max, of_address: Arc::default() }
    }

    /// Waits until a place is free, for whoever comes next.
    pub(crate) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// Gives the place to `address`, unless that has too many.
    pub(crate) fn take(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut of_address = self.of_address.lock().unwrap_or_else(PoisonError::into_inner);
        let held = of_address.entry(address).or_default();
        if *held >= self.per_address_max {
            return None;
        }
        *held += 1;
        Some(Place { _permit: permit, places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let of_address = &self.places.of_address;
        let mut of_address = of_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = of_address.get_mut(&self.address) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                of_address.remove(&self.address);
            }
        }
    }
}

/// Whoever has one address of IPv6 has the 2^64 around it too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_places_and_its_neighbours_of_ipv6_share_them() {
        let places = Places::new(10, 2);
        let mut held = Vec::new();
        for (address, fits) in [
            ("2001:db8::1", true),
            ("2001:db8::ffff:2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.1", false),
            ("192.0.2.2", true),
        ] {
            let permit = places.free().await.unwrap();
            let place = places.take(permit, address.parse().unwrap());
            assert_eq!(place.is_some(), fits, "{address}");
            held.extend(place);
        }
        held.clear();
        assert!(places.of_address.lock().unwrap().is_empty());
        assert_eq!(places.free.available_permits(), 10);
    }
}
