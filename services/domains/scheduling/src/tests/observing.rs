//! What is said to have happened.

use proptest::prelude::*;

use super::*;

fn visit(status: Option<&str>) -> Appointment {
    Appointment {
        appointment_id: VISIT,
        patient_id: Some(PATIENT),
        practitioner_id: Some(DOCTOR),
        starts_at: Some(at("2026-03-02T09:00:00Z")),
        ends_at: Some(at("2026-03-02T09:30:00Z")),
        status: status.map(str::to_owned),
        ..Appointment::default()
    }
}

fn names(before: Option<&Appointment>, after: Option<&Appointment>) -> Vec<String> {
    let short = |fact: &Fact| fact.type_name().replace("scheduling.appointment_", "");
    appointment::observe(before, after).iter().map(short).collect()
}

#[test]
fn a_row_first_seen_gives_the_fact_of_its_status() {
    for status in ["booked", "arrived", "fulfilled", "cancelled", "noshow"] {
        assert_eq!(names(None, Some(&visit(Some(status)))), [status]);
    }
    assert_eq!(names(None, Some(&visit(Some("waitlist")))), ["amended"]);
    assert_eq!(names(None, Some(&visit(None))), ["amended"]);
}

#[test]
fn a_change_of_status_is_the_fact_of_the_new_one() {
    let booked = visit(Some("booked"));
    for status in ["arrived", "fulfilled", "cancelled", "noshow"] {
        let after = visit(Some(status));
        assert_eq!(names(Some(&booked), Some(&after)), [status]);
        assert_eq!(names(Some(&after), Some(&booked)), ["reinstated"]);
    }
}

#[test]
fn a_status_that_nobody_knows_survives_and_is_an_amendment() {
    let odd = visit(Some("Checked-In"));
    let facts = appointment::observe(Some(&visit(Some("booked"))), Some(&odd));
    let observed = facts[0].observed().unwrap();
    assert_eq!(observed.type_name, "scheduling.appointment_amended");
    assert_eq!(observed.body["status"], "Checked-In");
    assert_eq!(names(Some(&odd), Some(&visit(Some("booked")))), ["reinstated"]);
    assert_eq!(names(Some(&odd), Some(&visit(Some("checked in")))), ["amended"]);
    assert_eq!(names(Some(&odd), Some(&visit(None))), ["amended"]);
}

#[test]
fn status_comes_before_time_and_time_before_the_rest() {
    let old = visit(Some("booked"));
    let mut new = Appointment { reason: Some("cough".into()), ..old.clone() };
    assert_eq!(names(Some(&old), Some(&new)), ["amended"]);
    new.ends_at = Some(at("2026-03-02T10:00:00Z"));
    assert_eq!(names(Some(&old), Some(&new)), ["rescheduled"]);
    new.status = Some("arrived".into());
    assert_eq!(names(Some(&old), Some(&new)), ["arrived"]);
}

#[test]
fn another_practitioner_or_a_mistyped_time_is_a_rescheduling() {
    let old = visit(Some("booked"));
    let other = Appointment { practitioner_id: Some(NEW), ..old.clone() };
    assert_eq!(names(Some(&old), Some(&other)), ["rescheduled"]);
    let typed = Appointment { starts_at_raw: Some("9 Uhr".into()), ..old.clone() };
    assert_eq!(names(Some(&old), Some(&typed)), ["rescheduled"]);
}

#[test]
fn another_patient_means_one_visit_gone_and_another_seen() {
    let old = visit(Some("arrived"));
    let new = Appointment { patient_id: Some(NEW), ..old.clone() };
    let facts = appointment::observe(Some(&old), Some(&new));
    let observed: Vec<_> = facts.iter().map(|fact| fact.observed().unwrap()).collect();
    assert_eq!(observed[0].type_name, "scheduling.appointment_removed");
    assert_eq!(observed[0].patient_id, Some(PATIENT));
    assert_eq!(observed[1].type_name, "scheduling.appointment_arrived");
    assert_eq!(observed[1].patient_id, Some(NEW));
}

#[test]
fn a_row_that_is_gone_leaves_its_last_state() {
    let old = visit(Some("booked"));
    let facts = appointment::observe(Some(&old), None);
    assert_eq!(facts, [Fact::Appointment(AppointmentFact::Removed, old.clone())]);
    assert_eq!(names(Some(&old), Some(&old)), [""; 0]);
    assert_eq!(names(None, None), [""; 0]);
}

#[test]
fn practitioners_come_leave_and_come_back() {
    let names = |before: Option<Value>, after: Option<Value>| {
        let seen = Scheduling.observe("practitioner", before.as_ref(), after.as_ref()).unwrap();
        seen.iter()
            .map(|it| it.type_name.replace("scheduling.practitioner_", ""))
            .collect::<Vec<_>>()
    };
    let row = |active: bool| Some(json!({"practitioner_id": DOCTOR, "active": active}));
    assert_eq!(names(None, row(true)), ["added"]);
    assert_eq!(names(row(true), row(false)), ["deactivated"]);
    assert_eq!(names(row(false), row(true)), ["reactivated"]);
    assert_eq!(names(row(true), None), ["removed"]);
    let named = Some(json!({"practitioner_id": DOCTOR, "active": true, "specialty": "GP"}));
    assert_eq!(names(row(true), named), ["amended"]);
}

#[test]
fn hours_whose_identity_changes_are_gone_and_new() {
    let names = |before: Value, after: Value| {
        let seen = Scheduling.observe("working_hours", Some(&before), Some(&after)).unwrap();
        seen.iter().map(|it| it.type_name).collect::<Vec<_>>()
    };
    let row = |n: u128, ends: &str| json!({"working_hours_id": Uuid::from_u128(n), "ends": ends});
    assert_eq!(names(row(1, "12:00"), row(1, "13:00")), ["scheduling.working_hours_amended"]);
    let replaced = ["scheduling.working_hours_removed", "scheduling.working_hours_added"];
    assert_eq!(names(row(1, "12:00"), row(2, "12:00")), replaced);
}

#[test]
fn a_snapshot_says_that_nothing_happened() {
    let row = serde_json::to_value(visit(Some("booked"))).unwrap();
    let snapshot = Scheduling.snapshot("appointment", &row).unwrap();
    assert_eq!(snapshot.type_name, "scheduling.appointment_snapshot");
    assert_eq!((snapshot.body, snapshot.patient_id), (row, Some(PATIENT)));
    assert!(Scheduling.snapshot("patient", &json!({})).is_err());
}

fn any_visit() -> impl Strategy<Value = Option<Appointment>> {
    let status = prop::sample::select(vec!["booked", "arrived", "cancelled", "odd"]);
    let fields = (3u128..5, 1u128..3, prop::option::of(0i64..3), prop::option::of(status));
    prop::option::of(fields.prop_map(|(id, patient, starts, status)| Appointment {
        appointment_id: Uuid::from_u128(id),
        patient_id: Some(Uuid::from_u128(patient)),
        starts_at: starts.map(|ms| now().plus_ms(ms)),
        status: status.map(str::to_owned),
        ..Appointment::default()
    }))
}

proptest! {
    /// Whoever applies the facts of a change has exactly the rows of the clinic, and no fact tells
    /// one patient of another.
    #[test]
    fn facts_applied_in_order_give_the_state(before in any_visit(), after in any_visit()) {
        let mut rows: std::collections::BTreeMap<Uuid, Appointment> =
            before.iter().map(|it| (it.appointment_id, it.clone())).collect();
        for fact in appointment::observe(before.as_ref(), after.as_ref()) {
            let removes = fact.removes();
            let observed = fact.observed().unwrap();
            prop_assert_eq!(&Fact::read(observed.type_name, &observed.body).unwrap(), &Some(fact));
            let visit = Appointment::deserialize(&observed.body).unwrap();
            prop_assert_eq!(observed.patient_id, visit.patient_id);
            if removes { rows.remove(&visit.appointment_id); }
            else { rows.insert(visit.appointment_id, visit); }
        }
        let wanted: Vec<_> = after.into_iter().collect();
        prop_assert_eq!(rows.into_values().collect::<Vec<_>>(), wanted);
    }
}
