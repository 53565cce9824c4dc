//! What time it is for the network, where this machine's own clock may be wrong.
//!
//! Deadlines are set by gateways and judged by what an edge tells its agents. An edge that is an
//! hour ahead would have them refuse for good what has an hour left. So the edge looks at two more
//! clocks: the broker's, which answers each of its records of liveness with the time at which it
//! took it, and the gateways', in the live requests that it hands out. Of the three the middle one
//! counts, so that none of them, and no record that comes late, can be wrong alone.

use std::sync::Mutex;

use kit_clock::Clock;
use kit_event::Timestamp;

use crate::limits::{CLOCK_OFF_MS_ALARM, CLOCK_STEP_MS_MIN};

/// How far other clocks are from this machine's, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Others {
    broker: Option<i64>,
    gateways: Option<i64>,
}

impl Others {
    /// How far the network's time is from this machine's.
    fn middle(self) -> i64 {
        match (self.broker, self.gateways) {
            (None, None) => 0,
            // Two clocks that differ: servers of a log are kept on time, or their log is of no use.
            (Some(broker), None) => broker,
            // A request may have waited; what it says of its gateway's clock is not enough alone.
            (None, Some(_)) => 0,
            (Some(broker), Some(gateways)) => {
                let mut three = [0, broker, gateways];
                three.sort_unstable();
                three[1]
            }
        }
    }
}

#[derive(Debug, Default)]
struct Known {
    others: Others,
    /// How far the clock that is shown is from this machine's.
    shown: i64,
}

/// The network's time as this edge knows it.
pub struct NetworkTime {
    own: Clock,
    network: Clock,
    known: Mutex<Known>,
}

impl NetworkTime {
    /// Begins with the time of this machine, `own`.
    #[must_use]
    pub fn new(own: Clock) -> Self {
        let network = Clock::shifted(own.clone());
        Self { own, network, known: Mutex::default() }
    }

    /// A clock that shows it.
    pub fn clock(&self) -> Clock {
        self.network.clone()
    }

    /// The broker took a record of ours at `at`, by its clock, just now.
    pub fn broker_says(&self, at: Timestamp) {
        let off = at.unix_ms() - self.own.now().unix_ms();
        self.learn(|others| others.broker = Some(off));
    }

    /// A gateway wrote a live request at `at`, by its clock, which came just now.
    pub fn gateway_says(&self, at: Timestamp) {
        let off = at.unix_ms() - self.own.now().unix_ms();
        self.learn(|others| others.gateways = Some(off));
    }

    fn learn(&self, what: impl FnOnce(&mut Others)) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        what(&mut known.others);
        let (off, before) = (known.others.middle(), known.shown);
        if (off - before).abs() < CLOCK_STEP_MS_MIN {
            return;
        }
        known.shown = off;
        drop(known);
        self.network.shift(off);
        crate::metrics::CLOCK_OFF_SECONDS.get().set(off as f64 / 1_000.0);
        if off.abs() >= CLOCK_OFF_MS_ALARM && before.abs() < CLOCK_OFF_MS_ALARM {
            tracing::error!(off_ms = off, "this machine's clock is wrong; the network's is used");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn time(own_off: i64) -> (Clock, NetworkTime) {
        let own = Clock::fixed(Timestamp::from_unix_ms(100 * HOUR + own_off));
        (own.clone(), NetworkTime::new(own))
    }

    fn at(off: i64) -> Timestamp {
        Timestamp::from_unix_ms(100 * HOUR + off)
    }

    #[test]
    fn any_one_of_three_clocks_may_be_wrong() {
        for wrong in [-24 * HOUR, -HOUR, -61_000, 61_000, HOUR, 24 * HOUR] {
            for (own, broker, gateway) in [(wrong, 0, 0), (0, wrong, 0), (0, 0, wrong)] {
                let (_, network) = time(own);
                network.broker_says(at(broker));
                network.gateway_says(at(gateway));
                assert_eq!(network.clock().now(), at(0), "{own} {broker} {gateway}");
            }
        }
    }

    #[test]
    fn a_request_that_came_late_moves_nothing_while_the_others_agree() {
        let (_, network) = time(0);
        network.broker_says(at(-3));
        network.gateway_says(at(-8 * HOUR));
        assert_eq!(network.clock().now(), at(0));
        let (_, alone) = time(0);
        alone.gateway_says(at(-8 * HOUR));
        assert_eq!(alone.clock().now(), at(0));
    }

    #[test]
    fn before_the_first_request_the_broker_is_believed() {
        let (own, network) = time(HOUR);
        network.broker_says(at(0));
        assert_eq!(network.clock().now(), at(0));
        own.set(at(HOUR + 5_000));
        assert_eq!(network.clock().now(), at(5_000), "it goes on between two answers");
    }
}
