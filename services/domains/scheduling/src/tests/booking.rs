//! What is granted, and what is refused.

use kit_event::RowOperation;
use proptest::prelude::*;

use super::*;
use crate::interval::Interval;

fn booking(starts_at: &str, ends_at: &str) -> Value {
    json!({"appointment_id": NEW, "patient_id": PATIENT, "practitioner_id": DOCTOR,
        "starts_at": starts_at, "ends_at": ends_at})
}

fn at_nine() -> Value {
    booking("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z")
}

fn book(clinic: &Clinic, body: &Value) -> Result<Granted, Rejection> {
    clinic.decide(BookAppointment::TYPE, body)
}

fn refused(clinic: &Clinic, body: &Value) -> &'static str {
    book(clinic, body).map_or_else(|rejection| rejection.slug, |_| "granted")
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn a_booking_is_one_new_row_that_is_booked() {
    let body = with(at_nine(), "modality", json!("video"));
    let granted = book(&Clinic::open(), &body).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!(change.operation, RowOperation::Insert);
    assert_eq!((change.record.resource, change.record.id), ("appointment", NEW));
    let row = json!({"patient_id": PATIENT, "practitioner_id": DOCTOR, "status": "booked",
        "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
        "modality": "video"});
    assert_eq!(Value::Object(change.fields.clone()), row);
}

#[test]
fn everybody_named_is_there_and_active() {
    let gone = |id: &str, whose: Uuid| json!({id: whose, "active": false});
    let no_patient = with(at_nine(), "patient_id", json!(DOCTOR));
    assert_eq!(refused(&Clinic::open(), &no_patient), "patient-unknown");
    let no_doctor = with(at_nine(), "practitioner_id", json!(PATIENT));
    assert_eq!(refused(&Clinic::open(), &no_doctor), "practitioner-unknown");
    let clinic = Clinic::open().with("patient", gone("patient_id", PATIENT));
    assert_eq!(refused(&clinic, &at_nine()), "patient-inactive");
    let clinic = Clinic::open().with("practitioner", gone("practitioner_id", DOCTOR));
    assert_eq!(refused(&clinic, &at_nine()), "practitioner-inactive");
    let clinic = Clinic::open().with("patient", json!({"patient_id": PATIENT}));
    assert_eq!(refused(&clinic, &at_nine()), "granted", "nobody said no");
}

#[test]
fn whoever_has_died_or_is_registered_elsewhere_is_not_booked() {
    let other = Uuid::from_u128(77);
    let chain = |field: &str, value: Value| {
        let row =
            |id: Uuid, into: u128| json!({"patient_id": id, "merged_into": Uuid::from_u128(into)});
        Clinic::open()
            .with("patient", row(other, 78))
            .with("patient", row(Uuid::from_u128(78), 79))
            .with("patient", row(Uuid::from_u128(79), 77))
            .with("patient", json!({"patient_id": Uuid::from_u128(80)}))
            .with("patient", json!({"patient_id": PATIENT, "active": true, field: value}))
    };
    for (field, value, slug) in [
        ("deceased_on", json!("2026-02-01"), "patient-deceased"),
        ("deceased_on_raw", json!("March 2026"), "patient-deceased"),
        ("deceased_on_raw", json!("2026"), "patient-deceased"),
        ("deceased_on_raw", json!("0000-00-00"), "granted"),
        ("deceased_on_raw", json!(" - "), "granted"),
        ("merged_into", json!(Uuid::from_u128(80)), "patient-merged"),
        ("merged_into", json!(Uuid::from_u128(81)), "patient-merged"),
        ("merged_into", json!(other), "patient-merged"),
        ("merged_into", json!(PATIENT), "granted"),
    ] {
        assert_eq!(refused(&chain(field, value.clone()), &at_nine()), slug, "{field} {value}");
    }
    let of_chain = chain("merged_into", json!(other)).with(
        "patient",
        json!({"patient_id": Uuid::from_u128(79), "merged_into": Uuid::from_u128(80)}),
    );
    let detail = book(&of_chain, &at_nine()).unwrap_err().detail;
    assert!(detail.ends_with(&Uuid::from_u128(80).to_string()), "the one that stays: {detail}");
}

#[test]
fn a_visit_moves_unless_its_patient_is_seen_no_more() {
    for (field, value, word) in [
        ("deceased_on", json!("2026-02-01"), "patient-deceased"),
        ("active", json!(false), "patient-inactive"),
        ("merged_into", json!(Uuid::from_u128(80)), "granted"),
        ("active", json!(true), "granted"),
    ] {
        let patient = json!({"patient_id": Uuid::from_u128(99), field: value});
        let clinic = Clinic::open().with("patient", patient).visit(
            "2026-03-02T09:00:00Z",
            "2026-03-02T09:30:00Z",
            "booked",
        );
        let to = json!({"appointment_id": VISIT, "starts_at": "2026-03-02T10:00:00Z",
            "ends_at": "2026-03-02T10:30:00Z"});
        let moved = clinic.decide(RescheduleAppointment::TYPE, &to);
        let said = moved.map_or_else(|rejection| rejection.slug, |_| "granted");
        assert_eq!(said, word, "{field} {value}");
        let cancel = json!({"appointment_id": VISIT});
        assert!(clinic.decide(CancelAppointment::TYPE, &cancel).is_ok(), "{field} {value}");
    }
}

#[test]
fn a_booking_lies_in_the_future_and_within_hours_but_not_on_the_grid() {
    let open = Clinic::open();
    let ask = |starts: &str, ends: &str| refused(&open, &booking(starts, ends));
    assert_eq!(ask("2026-03-02T09:07:00Z", "2026-03-02T09:19:00Z"), "granted");
    assert_eq!(ask("2026-03-02T11:45:00Z", "2026-03-02T12:15:00Z"), "granted");
    let early = ask("2026-03-02T08:59:00Z", "2026-03-02T09:29:00Z");
    assert_eq!(early, "outside-working-hours");
    let tuesday = ask("2026-03-03T09:00:00Z", "2026-03-03T09:30:00Z");
    assert_eq!(tuesday, "outside-working-hours");
    assert_eq!(ask("2026-02-23T09:00:00Z", "2026-02-23T09:30:00Z"), "in-the-past");
    assert_eq!(ask("2026-03-01T12:00:00Z", "2026-03-01T12:30:00Z"), "in-the-past");
}

#[test]
fn a_slot_that_the_desk_has_taken_is_taken() {
    let desk = |starts: &str, ends: &str, status: &str| {
        refused(&Clinic::open().visit(starts, ends, status), &at_nine())
    };
    let (nine, half_past) = ("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z");
    for status in ["booked", "arrived", "fulfilled", "Checked-In", ""] {
        assert_eq!(desk(nine, half_past, status), "slot-taken", "{status}");
    }
    for status in ["cancelled", "noshow"] {
        assert_eq!(desk(nine, half_past, status), "granted", "{status}");
    }
    assert_eq!(desk(half_past, "2026-03-02T10:00:00Z", "booked"), "granted");
    assert_eq!(desk("2026-03-02T08:30:00Z", nine, "booked"), "granted");
    assert_eq!(desk("2026-03-02T09:29:00Z", "2026-03-02T10:00:00Z", "booked"), "slot-taken");
    assert_eq!(desk("2026-03-02T08:00:00Z", "2026-03-02T17:00:00Z", "booked"), "slot-taken");
}

#[test]
fn times_of_any_written_form_take_their_time() {
    for (starts, ends) in [
        ("2026-03-02T22:00:00+13:00", "2026-03-02T22:30:00+13:00"),
        ("2026-03-01T21:00:00-12:00", "2026-03-01T21:30:00-12:00"),
        ("2026-03-03T08:30:00+23:30", "2026-03-03T09:00:00+23:30"),
        ("2026-03-01T10:00:00Z", "2026-03-02T09:01:00Z"),
        ("2026-02-20T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("2026-02-02T00:00:00Z", "2026-03-04T00:00:00Z"),
        ("2019-01-01T00:00:00Z", "2031-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    ] {
        let clinic = Clinic::open().visit(starts, ends, "booked");
        assert_eq!(refused(&clinic, &at_nine()), "slot-taken", "{starts} {ends}");
    }
}

#[test]
fn an_end_that_is_missing_takes_the_beginning_and_no_beginning_takes_nothing() {
    let row = |starts: &str| {
        json!({"appointment_id": VISIT, "practitioner_id": DOCTOR, "status": "booked",
            "starts_at": starts, "ends_at_raw": "half past"})
    };
    let clinic = Clinic::open().with("appointment", row("2026-03-02T09:10:00Z"));
    assert_eq!(refused(&clinic, &at_nine()), "slot-taken");
    let clinic = Clinic::open().with("appointment", row("2026-03-02T08:59:00Z"));
    assert_eq!(refused(&clinic, &at_nine()), "granted");
    let typed = json!({"appointment_id": VISIT, "practitioner_id": DOCTOR, "status": "booked",
        "starts_at_raw": "2026-03-02 9.00", "ends_at": "2026-03-02T10:00:00Z"});
    let clinic = Clinic::open().with("appointment", typed);
    assert_eq!(refused(&clinic, &at_nine()), "granted");
}

#[test]
fn a_patient_may_be_in_two_places_and_a_refusal_never_says_who_is() {
    let mut own = Clinic::open().visit("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z", "booked");
    let rejection = book(&own, &at_nine()).unwrap_err();
    assert!(!rejection.detail.contains(&Uuid::from_u128(99).to_string()));
    own.rows.last_mut().unwrap().1["practitioner_id"] = json!(NEW);
    own.rows.last_mut().unwrap().1["patient_id"] = json!(PATIENT);
    assert_eq!(refused(&own, &at_nine()), "granted");
}

#[test]
fn an_id_that_is_taken_is_refused_and_not_overwritten() {
    let clinic = Clinic::open().visit("2026-03-02T15:00:00Z", "2026-03-02T16:00:00Z", "booked");
    let body = with(at_nine(), "appointment_id", json!(VISIT));
    assert_eq!(refused(&clinic, &body), "appointment-exists");
}

#[test]
fn fields_obey_their_rules_by_themselves() {
    let long = "x".repeat(rules::REASON_CHARS_MAX + 1);
    for (field, value, at_fault) in [
        ("ends_at", json!("2026-03-02T09:00:00Z"), "ends_at"),
        ("ends_at", json!("2026-03-02T08:00:00Z"), "ends_at"),
        ("ends_at", json!("2026-03-03T09:01:00Z"), "ends_at"),
        ("modality", json!("By Pigeon"), "modality"),
        ("reason", json!(long), "reason"),
        ("reason", json!("a\u{0}b"), "reason"),
    ] {
        let body = with(at_nine(), field, value);
        let command = Command::read(BookAppointment::TYPE, &body).unwrap();
        let problems = command.validate().unwrap_err();
        assert_eq!(problems.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [at_fault]);
        assert_eq!(refused(&Clinic::open(), &body), "field-rules");
    }
    for body in [
        with(at_nine(), "starts_at", json!("tomorrow 9:00")),
        with(at_nine(), "colour", json!("red")),
        json!([]),
    ] {
        assert_eq!(refused(&Clinic::open(), &body), "request-malformed");
    }
    for type_name in Command::TYPES {
        assert_eq!(Command::read(type_name, &json!({})).unwrap_err().slug, "request-malformed");
    }
}

#[test]
fn a_unit_without_a_zone_books_nothing() {
    let clinic = Clinic { zone: "Mars/Olympus", ..Clinic::open() };
    assert_eq!(refused(&clinic, &at_nine()), "agent-failed");
}

fn held(status: &str) -> Clinic {
    Clinic::open().visit("2026-03-02T15:00:00Z", "2026-03-02T16:00:00Z", status)
}

fn turn(clinic: &Clinic, type_name: &str) -> Result<String, &'static str> {
    let granted = clinic.decide(type_name, &json!({"appointment_id": VISIT}));
    let granted = granted.map_err(|rejection| rejection.slug)?;
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!(change.operation, RowOperation::Update);
    assert_eq!(change.fields.len(), 1, "only the status is touched");
    Ok(change.fields["status"].as_str().unwrap().to_owned())
}

#[test]
fn an_appointment_lives_as_the_table_says() {
    let commands = [
        (ArriveAppointment::TYPE, "arrived"),
        (FulfilAppointment::TYPE, "fulfilled"),
        (CancelAppointment::TYPE, "cancelled"),
        (NoshowAppointment::TYPE, "noshow"),
    ];
    for (from, allowed) in [
        ("booked", &["arrived", "cancelled", "noshow"][..]),
        ("arrived", &["fulfilled", "cancelled"]),
        ("fulfilled", &[]),
        ("cancelled", &[]),
        ("noshow", &[]),
        ("Checked-In", &[]),
    ] {
        for (type_name, to) in commands {
            let wanted =
                if allowed.contains(&to) { Ok(to.to_owned()) } else { Err("appointment-status") };
            assert_eq!(turn(&held(from), type_name), wanted, "{from} to {to}");
        }
    }
    assert_eq!(turn(&Clinic::open(), CancelAppointment::TYPE), Err("appointment-unknown"));
}

#[test]
fn a_record_changed_meanwhile_is_left_as_it_is() {
    let ask = |type_name: &str, seq: &str, clinic: &Clinic| {
        let mut body = json!({"appointment_id": VISIT, "if_match": seq});
        if type_name == RescheduleAppointment::TYPE {
            body["starts_at"] = json!("2026-03-02T10:00:00Z");
            body["ends_at"] = json!("2026-03-02T10:30:00Z");
        }
        clinic.decide(type_name, &body).map_or_else(|rejection| rejection.slug, |_| "granted")
    };
    let unnumbered = Clinic { seq: None, ..held("booked") };
    for type_name in [CancelAppointment::TYPE, RescheduleAppointment::TYPE] {
        assert_eq!(ask(type_name, "1-7", &held("booked")), "granted");
        assert_eq!(ask(type_name, "1-6", &held("booked")), "changed-meanwhile");
        assert_eq!(ask(type_name, "1-7", &unnumbered), "changed-meanwhile");
    }
}

fn move_to(clinic: &Clinic, starts_at: &str, ends_at: &str) -> Result<Granted, &'static str> {
    let body = json!({"appointment_id": VISIT, "starts_at": starts_at, "ends_at": ends_at});
    clinic.decide(RescheduleAppointment::TYPE, &body).map_err(|rejection| rejection.slug)
}

#[test]
fn an_appointment_may_move_over_its_own_time() {
    let granted = move_to(&held("booked"), "2026-03-02T15:30:00Z", "2026-03-02T16:30:00Z").unwrap();
    let fields = json!({"starts_at": "2026-03-02T15:30:00Z", "ends_at": "2026-03-02T16:30:00Z"});
    assert_eq!(Value::Object(granted.changes[0].fields.clone()), fields);
}

#[test]
fn a_move_obeys_the_diary_and_only_the_booked_move() {
    let other = json!({"appointment_id": NEW, "practitioner_id": DOCTOR, "status": "booked",
        "starts_at": "2026-03-02T10:00:00Z", "ends_at": "2026-03-02T10:30:00Z"});
    let clinic = held("booked").with("appointment", other);
    let (from, to) = ("2026-03-02T10:15:00Z", "2026-03-02T10:45:00Z");
    assert_eq!(move_to(&clinic, from, to).unwrap_err(), "slot-taken");
    let evening = move_to(&clinic, "2026-03-02T17:00:00Z", "2026-03-02T17:30:00Z");
    assert_eq!(evening.unwrap_err(), "outside-working-hours");
    for status in ["arrived", "fulfilled", "cancelled", "noshow", "odd"] {
        assert_eq!(move_to(&held(status), from, to).unwrap_err(), "appointment-status");
    }
}

#[test]
fn a_move_to_another_practitioner_asks_their_diary() {
    let body = json!({"appointment_id": VISIT, "practitioner_id": NEW,
        "starts_at": "2026-03-02T15:00:00Z", "ends_at": "2026-03-02T16:00:00Z"});
    let ask = |clinic: &Clinic| clinic.decide(RescheduleAppointment::TYPE, &body);
    assert_eq!(ask(&held("booked")).unwrap_err().slug, "practitioner-unknown");
    let joined = held("booked").with("practitioner", json!({"practitioner_id": NEW}));
    assert_eq!(ask(&joined).unwrap_err().slug, "outside-working-hours");
    let hours = json!({"working_hours_id": NEW, "practitioner_id": NEW, "weekday": 1,
        "starts": "15:00", "ends": "16:00", "slot_min": 20});
    let granted = ask(&joined.with("working_hours", hours)).unwrap();
    assert_eq!(granted.changes[0].fields["practitioner_id"], json!(NEW));
}

proptest! {
    /// However many ask, in whatever order, the diary never holds two at the same time.
    #[test]
    fn no_two_bookings_overlap(asked in prop::collection::vec((0i64..600, 1i64..90), 1..25)) {
        let mut clinic = Clinic::open();
        let mut held: Vec<Interval> = vec![];
        for (n, (minute, minutes)) in asked.into_iter().enumerate() {
            let starts = at("2026-03-02T08:00:00Z").plus_ms(minute * 60_000);
            let command = Interval::new(starts, starts.plus_ms(minutes * 60_000));
            let id = Uuid::from_u128(1000 + n as u128);
            let mut body = booking(&command.starts.to_string(), &command.ends.to_string());
            body["appointment_id"] = json!(id);
            match book(&clinic, &body) {
                Ok(granted) => {
                    prop_assert!(!held.iter().any(|it| it.overlaps(&command)));
                    held.push(command);
                    let mut row = Value::Object(granted.changes[0].fields.clone());
                    row["appointment_id"] = json!(id);
                    clinic = clinic.with("appointment", row);
                }
                Err(rejection) => {
                    let taken = held.iter().any(|it| it.overlaps(&command));
                    let reasons: &[_] =
                        if taken { &["slot-taken", "outside-working-hours"] } else {
                            &["outside-working-hours"] };
                    prop_assert!(reasons.contains(&rejection.slug), "{}", rejection.slug);
                }
            }
        }
    }
}
