//! Lines in the order of time.

use kit_bus::RawRecord;
use kit_event::Timestamp;
use serde::Serialize;

/// One record of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub at: Timestamp,
    /// What happened, in a word: `accepted`, `fact`, `reply`.
    pub what: &'static str,
    /// `<topic>/<partition>/<offset>`.
    pub place: String,
    /// Types, numbers, states.
    pub says: String,
}

impl Line {
    /// A line of what stands at a record.
    pub fn of(record: &RawRecord, what: &'static str, says: String) -> Self {
        let topic = record.topic.as_str();
        Self {
            at: Timestamp::from_unix_ms(record.timestamp_ms),
            what,
            place: format!("{topic}/{}/{}", record.partition, record.offset),
            says,
        }
    }
}

/// A life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Whose.
    pub of: String,
    /// Its records.
    pub lines: Vec<Line>,
    /// What is true of it by now and stands in no one record.
    pub now: Vec<String>,
}

impl Story {
    /// A life whose records may come in any order.
    pub fn new(of: String, mut lines: Vec<Line>, now: Vec<String>) -> Self {
        // Records of one millisecond keep the order in which they were looked for: that of causes.
        lines.sort_by_key(|line| line.at);
        Self { of, lines, now }
    }

    /// The life for people.
    pub fn text(&self) -> String {
        let place = self.lines.iter().map(|line| line.place.len()).max().unwrap_or_default();
        let mut text = format!("{}\n", self.of);
        let mut before: Option<Timestamp> = None;
        for line in &self.lines {
            let passed_ms = before.map(|before| line.at.unix_ms() - before.unix_ms());
            let passed = passed_ms.map_or_else(String::new, |ms| format!("+{ms} ms"));
            let (at, what) = (line.at.to_string(), line.what);
            let row = format!("  {at:<24} {passed:>12}  {what:<10} {:<place$}", line.place);
            text.push_str(format!("{row}  {}", line.says).trim_end());
            text.push('\n');
            before = Some(line.at);
        }
        for fact in &self.now {
            text.push_str(&format!("  now: {fact}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_in_the_order_of_time_with_what_passed_between() {
        let line = |ms: i64, what| Line {
            at: Timestamp::from_unix_ms(1_772_366_400_000 + ms),
            what,
            place: "unit.facts/3/77".to_owned(),
            says: "x".to_owned(),
        };
        let story = Story::new(
            "hcu-0001 1-2".to_owned(),
            vec![line(12, "fact"), line(0, "accepted"), line(12, "reply")],
            vec!["visible".to_owned()],
        );
        let text = story.text();
        let whats: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().filter(|w| !w.contains("2026")).collect::<Vec<_>>())
            .collect();
        assert_eq!(whats[0][0], "accepted");
        assert_eq!(whats[1][..3], ["+12", "ms", "fact"]);
        assert_eq!(whats[2][..3], ["+0", "ms", "reply"]);
        assert!(text.ends_with("  now: visible\n"), "{text}");
    }
}
