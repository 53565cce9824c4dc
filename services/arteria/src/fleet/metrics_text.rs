//! Gauges of units out of a page of metrics, as an edge's admin port shows it.

use std::collections::HashMap;

use kit_event::UnitId;

/// The longest page that is read: 50,000 units with three gauges of a hundred bytes.
pub const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What an agent last told of its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Vitals {
    pub spool_facts: f64,
    pub oldest_unsent_seconds: f64,
    pub paused_tables: f64,
}

/// Adds what a page tells. Lines that are no gauge of a unit are passed over.
pub fn read(page: &str, into: &mut HashMap<UnitId, Vitals>) {
    for (name, unit, value) in page.lines().filter_map(line) {
        let member: fn(&mut Vitals) -> &mut f64 = match name {
            "arteria_unit_spool_facts" => |vitals| &mut vitals.spool_facts,
            "arteria_unit_oldest_unsent_seconds" => |vitals| &mut vitals.oldest_unsent_seconds,
            "arteria_unit_capture_paused_tables" => |vitals| &mut vitals.paused_tables,
            _ => continue,
        };
        let told = member(into.entry(unit).or_default());
        // A unit that moved reads 0 at the edge that it left.
        *told = told.max(value);
    }
}

/// `name{unit="hcu-0001"} 3`.
fn line(text: &str) -> Option<(&str, UnitId, f64)> {
    let (name, rest) = text.split_once("{unit=\"")?;
    let (unit, value) = rest.split_once("\"} ")?;
    let value: f64 = value.trim().parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((name, unit.parse().ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_found_between_everything_else() {
        let page = "# HELP x y\narteria_unit_spool_facts{unit=\"hcu-0001\"} 3\n\
                    arteria_unit_oldest_unsent_seconds{unit=\"hcu-0001\"} 1.5\n\
                    arteria_other{unit=\"hcu-0002\"} 9\nup 1\n";
        let mut found = HashMap::new();
        read(page, &mut found);
        read("arteria_unit_spool_facts{unit=\"hcu-0001\"} 0\n", &mut found);
        let expected = Vitals { spool_facts: 3.0, oldest_unsent_seconds: 1.5, ..Vitals::default() };
        assert_eq!(found, HashMap::from([("hcu-0001".parse().unwrap(), expected)]));
    }

    #[test]
    fn a_page_that_is_none_tells_nothing() {
        let mut found = HashMap::new();
        for bad in [
            "",
            "<html>",
            "arteria_unit_spool_facts{unit=\"A B\"} 3",
            "arteria_unit_spool_facts{unit=\"hcu-0001\"} NaN",
            "arteria_unit_spool_facts{unit=\"hcu-0001\"} -1",
            "arteria_unit_spool_facts{unit=\"hcu-0001\"",
            "arteria_unit_spool_facts{unit=\"hcu-0001\",x=\"y\"} 3",
            &"{unit=\"".repeat(100_000),
        ] {
            read(bad, &mut found);
        }
        assert!(found.is_empty(), "{found:?}");
    }
}
