//! Metrics as types: each is declared once, with its name, meaning and label names, and used
//! through its declaration, so that a name is typed once and no label is forgotten.
//!
//! Names follow Prometheus: `arteria_<part>_<what>_<unit>`, counters end in `_total`. A declaration
//! that does not is refused by the compiler. A label's value is a word that the code chose, or an
//! id; never a name, a token, or text that a caller typed.
//!
//! ```
//! use kit_metric::{Counter, Gauge};
//!
//! const FACTS: Counter<1> =
//!     Counter::new("arteria_demo_facts_total", "Facts taken, by unit.", ["unit"]);
//! const WAITING: Gauge = Gauge::new("arteria_demo_units_waiting", "Units that wait.", []);
//!
//! FACTS.describe();
//! FACTS.of(["hcu-0001"]).increment(1);
//! WAITING.get().set(0.0);
//! ```
//!
//! Who collects them is another crate's business.

mod of_roles;

use metrics::{Label, SharedString, Unit};

pub use of_roles::{LOG_LAG, PARKED};

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident, $handle:ident, $macro:ident, $describe:ident, $ends:expr) => {
        $(#[$doc])*
        pub struct $kind<const LABELS: usize = 0> {
            name: &'static str,
            help: &'static str,
            labels: [&'static str; LABELS],
        }

        impl<const LABELS: usize> $kind<LABELS> {
            /// Declares it; a name against the rules does not compile in a constant.
            pub const fn new(
                name: &'static str,
                help: &'static str,
                labels: [&'static str; LABELS],
            ) -> Self {
                assert!(begins(name, "arteria_"), "a metric's name begins with arteria_");
                assert!(ends_in_one(name, $ends), "a metric's name ends in its unit");
                Self { name, help, labels }
            }

            /// Its name, as scraped.
            pub const fn name(&self) -> &'static str {
                self.name
            }

            /// Tells the recorder what it means.
            pub fn describe(&self) {
                match unit_of(self.name) {
                    Some(unit) => metrics::$describe!(self.name, unit, self.help),
                    None => metrics::$describe!(self.name, self.help),
                }
            }

            /// The series with these label values, in the order of the declaration.
            pub fn of<V: Into<SharedString>>(&self, values: [V; LABELS]) -> metrics::$handle {
                let named = self.labels.iter().zip(values);
                let labels: Vec<Label> =
                    named.map(|(name, value)| Label::new(*name, value)).collect();
                metrics::$macro!(self.name, labels)
            }
        }

        impl $kind<0> {
            /// Its one series.
            pub fn get(&self) -> metrics::$handle {
                metrics::$macro!(self.name)
            }
        }
    };
}

kind!(
    /// Counts events; only grows.
    Counter,
    Counter,
    counter,
    describe_counter,
    &["_total"]
);
kind!(
    /// How something stands now.
    Gauge,
    Gauge,
    gauge,
    describe_gauge,
    &[]
);
kind!(
    /// How long or how large, spread over buckets.
    Histogram,
    Histogram,
    histogram,
    describe_histogram,
    &["_seconds", "_bytes", "_records"]
);

fn unit_of(name: &str) -> Option<Unit> {
    if name.ends_with("_seconds") {
        return Some(Unit::Seconds);
    }
    name.ends_with("_bytes").then_some(Unit::Bytes)
}

const fn begins(text: &str, start: &str) -> bool {
    is_at(text.as_bytes(), start.as_bytes(), 0)
}

const fn ends_in_one(text: &str, ends: &[&str]) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while at < ends.len() {
        let end = ends[at].as_bytes();
        if end.len() <= text.len() && is_at(text, end, text.len() - end.len()) {
            return true;
        }
        at += 1;
    }
    ends.is_empty()
}

const fn is_at(text: &[u8], part: &[u8], from: usize) -> bool {
    if text.len() < from + part.len() {
        return false;
    }
    let mut at = 0;
    while at < part.len() {
        if text[from + at] != part[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_in_its_unit() {
        assert!(ends_in_one("arteria_facts_total", &["_total"]));
        assert!(!ends_in_one("total", &["_total"]));
        assert!(ends_in_one("arteria_ack_seconds", &["_bytes", "_seconds"]));
        assert!(ends_in_one("arteria_units_connected", &[]));
        assert!(begins("arteria_x", "arteria_") && !begins("unit_queue_full", "arteria_"));
    }

    #[test]
    #[should_panic(expected = "begins with arteria_")]
    fn another_name_is_refused() {
        let _ = Counter::<0>::new("publish_failed_total", "", []);
    }

    #[test]
    #[should_panic(expected = "ends in its unit")]
    fn a_counter_without_total_is_refused() {
        let _ = Counter::<0>::new("arteria_publish_failed", "", []);
    }

    #[test]
    fn seconds_and_bytes_have_a_unit() {
        assert_eq!(unit_of("arteria_ack_seconds"), Some(Unit::Seconds));
        assert_eq!(unit_of("arteria_body_bytes"), Some(Unit::Bytes));
        assert_eq!(unit_of("arteria_facts_total"), None);
    }
}
