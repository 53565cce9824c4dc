//! Hours against calendars, on the days on which they part.

use kit_event::Timestamp;
use uuid::Uuid;

use super::*;

/// Monday to Sunday, the same hours.
fn every_day(zone: Tz, starts: &str, ends: &str, slot_min: i64) -> Hours {
    let rows: Vec<_> = (1..=7).map(|day| row(day, starts, ends, Some(slot_min))).collect();
    Hours::read(zone, &rows)
}

fn row(weekday: i64, starts: &str, ends: &str, slot_min: Option<i64>) -> WorkingHours {
    WorkingHours {
        working_hours_id: Uuid::nil(),
        practitioner_id: None,
        weekday: Some(weekday),
        starts: Some(starts.to_owned()),
        ends: Some(ends.to_owned()),
        slot_min,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn during(starts: &str, ends: &str) -> Interval {
    Interval::new(at(starts), at(ends))
}

/// The beginnings of the slots that begin in a range, in UTC, as `MM-DDTHH:MM`.
fn begins(hours: &Hours, from: &str, to: &str) -> Vec<String> {
    hours
        .grid(&during(from, to))
        .iter()
        .map(|slot| slot.starts.to_string()[5..16].to_owned())
        .collect()
}

#[test]
fn wall_time_moves_with_summer_time() {
    let hours = every_day(Tz::Europe__Lisbon, "09:00", "10:00", 30);
    let winter = begins(&hours, "2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z");
    assert_eq!(winter, ["03-28T09:00", "03-28T09:30"]);
    let summer = begins(&hours, "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
    assert_eq!(summer, ["03-29T08:00", "03-29T08:30"]);
}

#[test]
fn lisbon_in_spring_has_no_slot_between_one_and_two() {
    // 2026-03-29, 01:00 WET becomes 02:00 WEST.
    let hours = every_day(Tz::Europe__Lisbon, "00:00", "03:00", 30);
    let slots = begins(&hours, "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(slots, ["03-29T00:00", "03-29T00:30", "03-29T01:00", "03-29T01:30"]);
}

#[test]
fn lisbon_in_autumn_has_the_doubled_hour_once_and_first() {
    // 2026-10-25, 02:00 WEST becomes 01:00 WET; 01:00 WEST is 00:00Z.
    let hours = every_day(Tz::Europe__Lisbon, "00:00", "03:00", 30);
    let slots = begins(&hours, "2026-10-24T23:00:00Z", "2026-10-25T12:00:00Z");
    let wanted =
        ["10-24T23:00", "10-24T23:30", "10-25T00:00", "10-25T00:30", "10-25T02:00", "10-25T02:30"];
    assert_eq!(slots, wanted);
    assert!(hours.cover(&during("2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z")), "it is worked");
}

#[test]
fn new_york_in_spring_has_no_slot_between_two_and_three() {
    // 2026-03-08, 02:00 EST becomes 03:00 EDT, at 07:00Z.
    let hours = every_day(Tz::America__New_York, "01:00", "04:00", 60);
    let slots = begins(&hours, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z");
    assert_eq!(slots, ["03-08T06:00", "03-08T07:00"]);
    assert!(hours.cover(&during("2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z")));
    assert!(!hours.cover(&during("2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z")));
}

#[test]
fn new_york_in_autumn_has_the_doubled_hour_once_and_first() {
    // 2026-11-01, 02:00 EDT becomes 01:00 EST, at 06:00Z.
    let hours = every_day(Tz::America__New_York, "01:00", "03:00", 60);
    let slots = begins(&hours, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    assert_eq!(slots, ["11-01T05:00", "11-01T07:00"]);
}

#[test]
fn hours_that_end_within_a_gap_end_at_the_jump() {
    let hours = every_day(Tz::America__New_York, "01:30", "02:30", 60);
    let slots = begins(&hours, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z");
    assert_eq!(slots, [""; 0], "an hour does not fit any more");
    assert!(hours.cover(&during("2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z")));
    assert!(!hours.cover(&during("2026-03-08T06:30:00Z", "2026-03-08T07:01:00Z")));
}

#[test]
fn hours_within_a_gap_are_not_worked_at_all() {
    let hours = every_day(Tz::America__New_York, "02:00", "03:00", 15);
    let day = during("2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z");
    assert_eq!(hours.grid(&day), []);
    assert!(!hours.cover(&during("2026-03-08T06:59:00Z", "2026-03-08T07:01:00Z")));
}

#[test]
fn a_day_that_a_zone_skipped_has_no_hours() {
    // Samoa went from 2011-12-29 to 2011-12-31.
    let hours = every_day(Tz::Pacific__Apia, "09:00", "10:00", 60);
    let slots = begins(&hours, "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z");
    let local = ["12-29T19:00", "12-30T19:00", "12-31T19:00"]; // the 29th, the 31st, the 1st
    assert_eq!(slots, local);
}

#[test]
fn a_day_in_auckland_begins_the_evening_before() {
    // Monday 2026-01-05 in Auckland (UTC+13): 09:00 is Sunday 20:00Z, 17:00 is Monday 04:00Z.
    let hours = Hours::read(Tz::Pacific__Auckland, &[row(1, "09:00", "17:00", Some(120))]);
    let sunday = begins(&hours, "2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z");
    assert_eq!(sunday, ["01-04T20:00", "01-04T22:00"]);
    let monday = begins(&hours, "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
    assert_eq!(monday, ["01-05T00:00", "01-05T02:00"]);
    assert!(hours.cover(&during("2026-01-04T23:30:00Z", "2026-01-05T00:30:00Z")));
    assert!(!hours.cover(&during("2026-01-05T20:00:00Z", "2026-01-05T22:00:00Z")), "Tuesday");
}

#[test]
fn hours_that_touch_count_as_one_also_over_midnight() {
    let rows = [
        row(1, "09:00", "12:00", Some(30)),
        row(1, "12:00", "17:00", Some(30)),
        row(1, "20:00", "24:00", Some(30)),
        row(2, "00:00", "02:00", Some(30)),
    ];
    let hours = Hours::read(Tz::UTC, &rows);
    assert!(hours.cover(&during("2026-01-05T11:45:00Z", "2026-01-05T12:15:00Z")));
    assert!(hours.cover(&during("2026-01-05T23:45:00Z", "2026-01-06T00:15:00Z")));
    assert!(hours.cover(&during("2026-01-05T09:00:00Z", "2026-01-05T17:00:00Z")));
    assert!(!hours.cover(&during("2026-01-05T16:45:00Z", "2026-01-05T20:15:00Z")));
    assert!(!hours.cover(&during("2026-01-05T08:59:00Z", "2026-01-05T09:30:00Z")));
}

#[test]
fn hours_that_somebody_mistyped_open_nothing_and_break_nothing() {
    let day = during("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
    for (weekday, starts, ends) in [
        (0, "09:00", "17:00"),
        (8, "09:00", "17:00"),
        (-1, "09:00", "17:00"),
        (i64::MAX, "09:00", "17:00"),
        (1, "009:00", "17:00"),
        (1, "9:0", "17:00"),
        (1, "09:00:30", "17:00"),
        (1, "09:00:00:00", "17:00"),
        (1, "09:00", "25:00"),
        (1, "09:00", "24:01"),
        (1, "24:00", "24:00"),
        (1, "09:60", "17:00"),
        (1, "09:00", "09:00"),
        (1, "+9:00", "17:00"),
        (1, "", "17:00"),
        (1, "09h00", "noon"),
        (1, "٠٩:00", "17:00"),
    ] {
        let hours = Hours::read(Tz::UTC, &[row(weekday, starts, ends, Some(30))]);
        assert_eq!(hours.grid(&day), [], "{weekday} {starts} {ends}");
        let noon = during("2026-01-05T12:00:00Z", "2026-01-05T12:30:00Z");
        assert!(!hours.cover(&noon), "{weekday} {starts} {ends}");
    }
    let empty = WorkingHours::default();
    assert_eq!(Hours::read(Tz::UTC, &[empty]), Hours::default());
}

#[test]
fn hours_are_read_as_programs_write_them() {
    let plain = Hours::read(Tz::UTC, &[row(1, "08:00", "12:00", Some(30))]);
    for (starts, ends) in
        [("8:00", "12:00"), ("08:00:00", "12:00:00"), ("8:00:00", "12:00"), (" 08:00", "12:00\n")]
    {
        let read = Hours::read(Tz::UTC, &[row(1, starts, ends, Some(30))]);
        assert_eq!(read, plain, "{starts} {ends}");
    }
}

#[test]
fn hours_of_a_night_end_on_the_next_day() {
    // Monday night in Lisbon, over the change of Sunday 29 March too.
    let night = Hours::read(Tz::UTC, &[row(1, "22:00", "06:00", Some(120))]);
    let slots = begins(&night, "2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z");
    assert_eq!(slots, ["01-05T22:00", "01-06T00:00", "01-06T02:00", "01-06T04:00"]);
    assert!(night.cover(&during("2026-01-05T23:30:00Z", "2026-01-06T00:30:00Z")));
    assert!(night.cover(&during("2026-01-06T05:30:00Z", "2026-01-06T06:00:00Z")));
    assert!(!night.cover(&during("2026-01-05T05:30:00Z", "2026-01-05T06:00:00Z")), "Monday dawn");
    assert!(!night.cover(&during("2026-01-06T05:30:00Z", "2026-01-06T06:01:00Z")));
    let to_midnight = Hours::read(Tz::UTC, &[row(1, "20:00", "00:00", Some(30))]);
    let as_usual = Hours::read(Tz::UTC, &[row(1, "20:00", "24:00", Some(30))]);
    assert_eq!(to_midnight, as_usual);
    // A night of nine hours: at 01:00 UTC the clocks of Lisbon go from 01:00 to 02:00.
    let changing = Hours::read(Tz::Europe__Lisbon, &[row(6, "21:00", "07:00", Some(60))]);
    let slots = begins(&changing, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(slots.len(), 9);
    assert!(changing.cover(&during("2026-03-28T21:00:00Z", "2026-03-29T06:00:00Z")));
    assert!(!changing.cover(&during("2026-03-28T21:00:00Z", "2026-03-29T06:01:00Z")));
}

#[test]
fn hours_without_a_slot_length_draw_no_grid_and_still_take_bookings() {
    for slot_min in [None, Some(0), Some(-5), Some(i64::MAX), Some(1_000_000)] {
        let hours = Hours::read(Tz::UTC, &[row(1, "09:00", "17:00", slot_min)]);
        let day = during("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
        assert_eq!(hours.grid(&day), [], "{slot_min:?}");
        assert!(hours.cover(&during("2026-01-05T12:00:00Z", "2026-01-05T12:30:00Z")));
    }
}

#[test]
fn a_slot_that_would_end_after_the_hours_is_none() {
    let hours = Hours::read(Tz::UTC, &[row(1, "09:00", "10:00", Some(25))]);
    let slots = begins(&hours, "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
    assert_eq!(slots, ["01-05T09:00", "01-05T09:25"]);
}

#[test]
fn the_ends_of_time_have_hours_too() {
    let hours = every_day(Tz::Pacific__Auckland, "00:00", "24:00", 60);
    for year in ["0001", "9999"] {
        let edge = during(&format!("{year}-01-01T00:00:00Z"), &format!("{year}-12-31T23:59:59Z"));
        assert!(!hours.grid(&edge).is_empty());
    }
}
