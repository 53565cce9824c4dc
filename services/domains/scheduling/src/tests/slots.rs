//! What is said to be free.

use proptest::prelude::*;

use super::*;
use crate::slots::SLOTS_MAX;

fn ask(clinic: &Clinic, from: &str, to: &str, now: Timestamp) -> Result<Slots, &'static str> {
    let body = json!({"practitioner_id": DOCTOR, "from": from, "to": to});
    let answer = Scheduling.answer(FreeSlots::TYPE, &body, clinic, now);
    answer.map(|it| serde_json::from_value(it).unwrap()).map_err(|rejection| rejection.slug)
}

fn monday(clinic: &Clinic, now: Timestamp) -> Vec<String> {
    let slots = ask(clinic, "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", now).unwrap();
    assert_eq!(slots.next, None);
    slots.items.iter().map(|slot| slot.starts_at.to_string()[11..16].to_owned()).collect()
}

#[test]
fn a_free_monday_is_the_grid_of_the_hours() {
    let slots = monday(&Clinic::open(), now());
    assert_eq!(slots.len(), 16);
    assert_eq!((slots[0].as_str(), slots[15].as_str()), ("09:00", "16:30"));
}

#[test]
fn the_diary_and_the_past_are_not_free() {
    let clinic = Clinic::open().visit("2026-03-02T10:10:00Z", "2026-03-02T11:30:00Z", "booked");
    let slots = monday(&clinic, at("2026-03-02T09:30:00Z"));
    assert_eq!(slots[..3], ["11:30", "12:00", "12:30"]);
    let cancelled = clinic.visit("2026-03-02T10:10:00Z", "2026-03-02T11:30:00Z", "cancelled");
    assert_eq!(monday(&cancelled, at("2026-03-02T09:30:00Z"))[..2], ["10:00", "10:30"]);
}

#[test]
fn an_answer_is_plain_times_in_utc() {
    let body = json!({"practitioner_id": DOCTOR, "from": "2026-03-02T10:00:00+01:00",
        "to": "2026-03-02T09:30:00Z"});
    let answer = Scheduling.answer(FreeSlots::TYPE, &body, &Clinic::open(), now()).unwrap();
    let slot = json!({"starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z"});
    assert_eq!(answer, json!({"items": [slot]}));
}

#[test]
fn a_slot_belongs_to_the_range_in_which_it_begins() {
    let begin = |from: &str, to: &str| ask(&Clinic::open(), from, to, now()).unwrap().items.len();
    assert_eq!(begin("2026-03-02T09:00:00Z", "2026-03-02T09:01:00Z"), 1);
    assert_eq!(begin("2026-03-02T09:01:00Z", "2026-03-02T09:30:00Z"), 0);
    let clinic = Clinic::open().visit("2026-03-02T09:20:00Z", "2026-03-02T09:40:00Z", "booked");
    let cut = ask(&clinic, "2026-03-02T09:00:00Z", "2026-03-02T09:01:00Z", now()).unwrap();
    assert_eq!(cut.items, [], "what comes after the range still takes the slot");
}

#[test]
fn a_query_is_bounded_and_names_somebody() {
    let ask_until = |to: &str| ask(&Clinic::open(), "2026-03-02T00:00:00Z", to, now());
    assert!(ask_until("2026-04-02T00:00:00Z").is_ok());
    assert_eq!(ask_until("2026-04-02T00:00:01Z").unwrap_err(), "field-rules");
    assert_eq!(ask_until("2026-03-02T00:00:00Z").unwrap_err(), "field-rules");
    assert_eq!(ask_until("2026-03-01T00:00:00Z").unwrap_err(), "field-rules");
    let nobody = json!({"practitioner_id": NEW, "from": "2026-03-02T00:00:00Z",
        "to": "2026-03-03T00:00:00Z"});
    let answer = Scheduling.answer(FreeSlots::TYPE, &nobody, &Clinic::open(), now());
    assert_eq!(answer.unwrap_err().slug, "practitioner-unknown");
    let malformed = Scheduling.answer(FreeSlots::TYPE, &json!({}), &Clinic::open(), now());
    assert_eq!(malformed.unwrap_err().slug, "request-malformed");
    let unknown = Scheduling.answer("scheduling.weather", &json!({}), &Clinic::open(), now());
    assert_eq!(unknown.unwrap_err().slug, "request-type-unknown");
}

#[test]
fn who_takes_no_bookings_has_no_slots() {
    let away = json!({"practitioner_id": DOCTOR, "active": false});
    assert_eq!(monday(&Clinic::open().with("practitioner", away), now()), [""; 0]);
}

#[test]
fn a_month_of_five_minutes_comes_in_parts_that_miss_and_repeat_nothing() {
    let mut clinic = Clinic::open();
    for weekday in 1..=7 {
        let id = Uuid::from_u128(500 + weekday);
        let hours = json!({"working_hours_id": id, "practitioner_id": DOCTOR,
            "weekday": weekday as i64, "starts": "06:00", "ends": "18:00", "slot_min": 5});
        clinic = clinic.with("working_hours", hours);
    }
    let (mut from, mut all) = ("2026-03-02T00:00:00Z".to_owned(), vec![]);
    loop {
        let part = ask(&clinic, &from, "2026-04-01T00:00:00Z", now()).unwrap();
        assert!(part.items.len() <= SLOTS_MAX);
        assert!(serde_json::to_string(&part).unwrap().len() < 60 * 1024, "it fits into a frame");
        all.extend(part.items);
        let Some(next) = part.next else { break };
        from = next.to_string();
    }
    let mut once = all.clone();
    once.dedup();
    assert_eq!((all.len(), all.is_sorted()), (once.len(), true));
    // 30 days of 144 slots, and on five Mondays the 16 half hours that end elsewhere.
    assert_eq!(all.len(), 30 * 144 + 5 * 16);
}

proptest! {
    /// Every free slot can be booked as it stands, and none overlaps the diary.
    #[test]
    fn every_free_slot_can_be_booked(
        zone in prop::sample::select(vec!["UTC", "Europe/Lisbon", "America/New_York",
            "Pacific/Auckland", "Asia/Kathmandu"]),
        day in 0i64..400,
        taken in (0i64..2_880, 1i64..600),
        hours in (0u32..24, 0u32..60, 1u32..25, 1i64..120),
    ) {
        let midnight = at("2026-03-02T00:00:00Z").plus_ms(day * 86_400_000);
        let busy = midnight.plus_ms(taken.0 * 60_000);
        let mut clinic = Clinic { zone, ..Clinic::open() }.visit(
            &busy.to_string(), &busy.plus_ms(taken.1 * 60_000).to_string(), "booked");
        for weekday in 1..=7 {
            let row = json!({"working_hours_id": Uuid::from_u128(500 + weekday),
                "practitioner_id": DOCTOR, "weekday": weekday as i64, "slot_min": hours.3,
                "starts": format!("{:02}:{:02}", hours.0, hours.1),
                "ends": format!("{:02}:00", hours.2)});
            clinic = clinic.with("working_hours", row);
        }
        let to = midnight.plus_ms(2 * 86_400_000).to_string();
        for slot in ask(&clinic, &midnight.to_string(), &to, now()).unwrap().items {
            prop_assert!(slot.starts_at >= busy.plus_ms(taken.1 * 60_000) || slot.ends_at <= busy);
            let body = json!({"appointment_id": NEW, "patient_id": PATIENT,
                "practitioner_id": DOCTOR, "starts_at": slot.starts_at, "ends_at": slot.ends_at});
            let booked = clinic.decide(BookAppointment::TYPE, &body);
            prop_assert!(booked.is_ok(), "{slot:?}: {booked:?}");
        }
    }
}
