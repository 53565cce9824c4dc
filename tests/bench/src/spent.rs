//! Processor time for each round trip, of every process that has a part in it.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio::process::Child;

use crate::growth::sizes;
use crate::place::Place;

/// This program: the client, and in rounds of the floor the floor too.
pub const OURS: &str = "this program";
/// The floor's far end.
pub const PEER: &str = "peer";
/// The agents of every clinic.
const AGENTS: &str = "agents";
/// The only server that the floor needs.
const KAFKA: &str = "kafka";

/// Processor seconds until some moment, or of a span, by process.
#[derive(Clone, Default)]
pub struct Spent(BTreeMap<String, f64>);

impl Spent {
    /// The account until now.
    pub fn until_now(place: &Place, peer: &Child) -> Result<Self> {
        let mut all = sizes::cpu(place)?.0;
        all.insert(AGENTS.to_owned(), sizes::agents_cpu(place)?);
        all.insert(OURS.to_owned(), sizes::own_cpu()?);
        all.insert(PEER.to_owned(), sizes::cpu_of_child(peer)?);
        Ok(Self(all))
    }

    /// Adds what was spent between two accounts.
    pub fn add(&mut self, before: &Self, after: &Self) {
        for (name, now) in &after.0 {
            let earlier = before.0.get(name).copied().unwrap_or_default();
            *self.0.entry(name.clone()).or_default() += now - earlier;
        }
    }

    fn ms(&self, name: &str, trips: usize) -> f64 {
        self.0.get(name).copied().unwrap_or_default() * 1_000.0 / trips as f64
    }
}

/// Prints the table and gives the ratio: every process of the path over those of the floor. The
/// client is in both. Roles that idle while the floor is measured are no part of it.
pub fn table(path: &Spent, floor: &Spent, trips: usize) -> f64 {
    println!("{:<34} {:>8} {:>8}", "processor ms for each", "booking", "floor");
    let (mut of_path, mut of_floor) = (0.0, 0.0);
    for name in path.0.keys() {
        let in_floor = [KAFKA, OURS, PEER].contains(&name.as_str());
        if name != PEER {
            of_path += path.ms(name, trips);
        }
        if in_floor {
            of_floor += floor.ms(name, trips);
        }
        let floor_ms =
            if in_floor { format!("{:>8.2}", floor.ms(name, trips)) } else { String::new() };
        let path_ms = if name == PEER { 0.0 } else { path.ms(name, trips) };
        println!("{:<34} {path_ms:>8.2} {floor_ms:>8}", format!("  {name}"));
    }
    println!("{:<34} {of_path:>8.2} {of_floor:>8.2}", "  all");
    of_path / of_floor
}
