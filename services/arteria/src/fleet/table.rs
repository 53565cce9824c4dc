//! The view for people, and for programs.

use kit_event::Timestamp;
use serde::Serialize;

use super::health::UnitView;

/// Not known, or nothing.
const NONE: &str = "-";

#[derive(Serialize)]
struct Fleet<'a> {
    at: Timestamp,
    /// What did not answer: a program must not take its gap for health.
    missing: &'a [String],
    units: &'a [UnitView],
}

/// The view as JSON.
pub fn json(units: &[UnitView], missing: &[String], at: Timestamp) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Fleet { at, missing, units })
}

const HEAD: [&str; 13] = [
    "UNIT", "ONLINE", "SINCE", "AGENT", "SEQ", "LAG", "SPOOL", "UNSENT", "PAUSED", "HOLDS", "OPEN",
    "OLDEST", "AILS",
];

/// The view as a table: a line of sums over all, a head, a line for each unit that is shown.
pub fn text(units: &[UnitView], only_sick: bool, now: Timestamp) -> String {
    let shown = units.iter().filter(|unit| !(only_sick && unit.ails.is_empty()));
    let rows: Vec<[String; HEAD.len()]> = shown.map(|unit| row(unit, now)).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_known = units.iter().any(|unit| unit.online.is_some()) || units.is_empty();
    let online = if is_known {
        units.iter().filter(|unit| unit.online == Some(true)).count().to_string()
    } else {
        "?".to_owned()
    };
    let sick = units.iter().filter(|unit| !unit.ails.is_empty()).count();
    let mut text = format!("{} units, {online} online, {sick} ailing\n", units.len());
    text.push_str(&line(&HEAD.map(str::to_owned), &widths));
    for row in &rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn row(unit: &UnitView, now: Timestamp) -> [String; HEAD.len()] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let number = |number: Option<u64>| or_none(number.map(|number| number.to_string()));
    let since = |at: Option<Timestamp>| or_none(at.map(|at| age(seconds_between(at, now))));
    let unsent = unit.oldest_unsent_seconds.filter(|seconds| *seconds > 0.0);
    let ails: Vec<_> = unit.ails.iter().rev().map(|ail| ail.as_str()).collect();
    [
        unit.unit.to_string(),
        or_none(unit.online.map(|online| if online { "yes" } else { "no" }.to_owned())),
        since(unit.since),
        or_none(unit.agent_version.clone()),
        or_none(unit.applied_seq.map(|seq| seq.to_string())),
        number(unit.lag_facts),
        number(unit.spool_facts),
        or_none(unsent.map(|seconds| age(whole(seconds)))),
        number(unit.paused_tables),
        or_none(Some(unit.on_hold.join(",")).filter(|domains| !domains.is_empty())),
        number(unit.open_requests),
        since(unit.oldest_open_at),
        or_none(Some(ails.join(" ")).filter(|ails| !ails.is_empty())),
    ]
    .map(|cell| shown(&cell))
}

/// A cell as a terminal may show it. Some of it comes from clinics; none of it may move a cursor.
fn shown(cell: &str) -> String {
    cell.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
}

fn line(cells: &[String; HEAD.len()], widths: &[usize; HEAD.len()]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
}

fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.unix_ms() - from.unix_ms()) / 1_000).unwrap_or_default()
}

/// A time that people read at a glance: its greatest unit only.
fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::health::Ail;
    use super::*;

    #[test]
    fn a_unit_is_one_line_and_what_is_not_known_a_dash() {
        let now = Timestamp::from_unix_ms(1_772_366_400_000);
        let unit = UnitView {
            unit: "hcu-0001".parse().unwrap(),
            online: Some(false),
            since: Some(now.plus_ms(-7_200_000)),
            agent_version: None,
            durable_seq: None,
            applied_seq: Some(kit_event::UnitSeq::new(1, 42)),
            as_of: None,
            lag_facts: None,
            spool_facts: None,
            oldest_unsent_seconds: None,
            paused_tables: None,
            on_hold: vec!["billing", "timeline"],
            open_requests: Some(3),
            overdue_requests: None,
            oldest_open_at: Some(now.plus_ms(-90_000)),
            ails: BTreeSet::from([Ail::Away, Ail::OnHold]),
        };
        let hostile = Some("1.0\u{1b}[2J\u{9b}2J\r\n\u{202e}".to_owned());
        let hostile = text(&[UnitView { agent_version: hostile, ..unit.clone() }], false, now);
        assert!(hostile.lines().nth(2).unwrap().contains(" 1.0[2J2J "), "{hostile}");
        assert!(hostile.chars().all(|c| c == '\n' || !c.is_control()), "{hostile:?}");
        let well = UnitView { ails: BTreeSet::new(), ..unit.clone() };
        let sums = text(&[well], true, now);
        assert_eq!(sums.lines().next(), Some("1 units, 0 online, 0 ailing"));
        assert_eq!(sums.lines().count(), 2, "a head and nobody");
        let text = text(std::slice::from_ref(&unit), true, now);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("1 units, 0 online, 1 ailing"));
        let words: Vec<_> = lines.nth(1).unwrap().split_whitespace().collect();
        let expected = [
            "hcu-0001",
            "no",
            "2h",
            "-",
            "1-42",
            "-",
            "-",
            "-",
            "-",
            "billing,timeline",
            "3",
            "90s",
            "on-hold",
            "away",
        ];
        assert_eq!(words, expected);
        let missing = ["not known: x".to_owned()];
        let json = json(&[unit], &missing, now).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["missing"], serde_json::json!(["not known: x"]));
        assert_eq!(json["units"][0]["ails"], serde_json::json!(["away", "on_hold"]));
        assert_eq!(json["units"][0]["applied_seq"], "1-42");
    }
}
