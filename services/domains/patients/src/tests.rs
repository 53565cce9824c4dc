//! Promises of the domain, kept against a clinic in memory.

mod merging;

use kit_event::{Filter, Records, RecordsError, RowOperation, Stored, UnitSeq};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;

const NOW: i64 = 1_772_366_400_000; // 2026-03-01T12:00:00Z

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW)
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A clinic that holds some patients.
#[derive(Default)]
struct Clinic(Vec<(Value, Option<UnitSeq>)>);

impl Clinic {
    fn with(patient: Value) -> Self {
        Self(vec![(patient, Some(UnitSeq::new(1, 7)))])
    }
}

impl Records for Clinic {
    fn get(&self, resource: &str, id: &Uuid) -> Result<Option<Stored>, RecordsError> {
        assert_eq!(resource, Patient::RESOURCE);
        let found = self.0.iter().find(|(state, _)| state["patient_id"] == json!(id));
        Ok(found.map(|(state, seq)| Stored { state: state.clone(), seq: *seq }))
    }

    fn find(&self, resource: &str, filters: &[Filter]) -> Result<Vec<Value>, RecordsError> {
        assert_eq!(resource, Patient::RESOURCE);
        let passes = |state: &Value| filters.iter().all(|filter| filter.passes(state));
        Ok(self.0.iter().map(|(state, _)| state.clone()).filter(passes).collect())
    }

    fn time_zone(&self) -> &'static str {
        "UTC"
    }
}

fn registration() -> Value {
    json!({"patient_id": id(1), "family_name": "Sousa", "birth_date": "1980-12-31", "mrn": "77"})
}

fn register(body: &Value, clinic: &Clinic) -> Result<Granted, Rejection> {
    Patients.decide(RegisterPatient::TYPE, body, clinic, now())
}

fn update(body: &Value, clinic: &Clinic) -> Result<Granted, Rejection> {
    Patients.decide(UpdatePatient::TYPE, body, clinic, now())
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[test]
fn a_registration_is_one_new_row_that_is_active() {
    let granted = register(&registration(), &Clinic::default()).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!(change.operation, RowOperation::Insert);
    assert_eq!(change.record, granted.record);
    assert_eq!((granted.record.resource, granted.record.id), ("patient", id(1)));
    let row = json!({"mrn": "77", "family_name": "Sousa", "birth_date": "1980-12-31",
        "active": true});
    assert_eq!(Value::Object(change.fields.clone()), row);
}

#[test]
fn an_mrn_is_given_once_in_a_unit_even_to_the_inactive() {
    let clinic = Clinic::with(json!({"patient_id": id(2), "mrn": "77", "active": false}));
    let rejection = register(&registration(), &clinic).unwrap_err();
    assert_eq!(rejection.slug, "duplicate-mrn");
    assert!(!rejection.detail.contains(&id(2).to_string()), "never whose it is");
    let other = with(registration(), "mrn", json!("78"));
    assert!(register(&other, &clinic).is_ok());
    let without = with(registration(), "mrn", Value::Null);
    assert!(register(&without, &clinic).is_ok());
}

#[test]
fn a_patient_keeps_the_mrn_it_has() {
    let clinic = Clinic::with(registration());
    let same = json!({"patient_id": id(1), "fields": ["mrn"], "mrn": "77"});
    assert!(update(&same, &clinic).is_ok());
}

#[test]
fn nobody_is_born_tomorrow_but_today_began_first_in_the_pacific() {
    let born = |date: &str| with(registration(), "birth_date", json!(date));
    assert!(register(&born("2026-03-01"), &Clinic::default()).is_ok());
    assert!(register(&born("2026-03-02"), &Clinic::default()).is_ok(), "Kiritimati has it");
    let rejection = register(&born("2026-03-03"), &Clinic::default()).unwrap_err();
    assert_eq!(rejection.slug, "birth-date-in-future");
}

#[test]
fn an_id_that_is_taken_is_refused_and_not_overwritten() {
    let rejection = register(&registration(), &Clinic::with(registration())).unwrap_err();
    assert_eq!(rejection.slug, "patient-exists");
}

#[test]
fn an_update_touches_only_the_fields_that_it_names() {
    let body = json!({"patient_id": id(1), "fields": ["phone", "email"], "phone": "555-1234"});
    let granted = update(&body, &Clinic::with(registration())).unwrap();
    let [change] = granted.changes.as_slice() else { panic!("one row") };
    assert_eq!(change.operation, RowOperation::Update);
    let fields = json!({"phone": "555-1234", "email": null});
    assert_eq!(Value::Object(change.fields.clone()), fields);
}

#[test]
fn an_update_that_names_nothing_writes_nothing_and_answers_the_record() {
    let body = json!({"patient_id": id(1), "fields": []});
    let granted = update(&body, &Clinic::with(registration())).unwrap();
    assert_eq!((granted.changes, granted.record.id), (vec![], id(1)));
}

#[test]
fn an_update_of_nobody_is_refused() {
    let body = json!({"patient_id": id(9), "fields": ["city"], "city": "Porto"});
    assert_eq!(update(&body, &Clinic::default()).unwrap_err().slug, "patient-unknown");
}

#[test]
fn a_record_changed_meanwhile_is_left_as_it_is() {
    let ask = |seq: &str| {
        let command = json!({"patient_id": id(1), "fields": ["city"], "city": "Porto"});
        with(command, "if_match", json!(seq))
    };
    let mut clinic = Clinic::with(registration());
    assert!(update(&ask("1-7"), &clinic).is_ok());
    assert_eq!(update(&ask("1-6"), &clinic).unwrap_err().slug, "changed-meanwhile");
    clinic.0[0].1 = None;
    assert_eq!(update(&ask("1-7"), &clinic).unwrap_err().slug, "changed-meanwhile");
}

#[test]
fn death_does_not_come_before_birth_as_either_stands() {
    let die =
        |date: &str| json!({"patient_id": id(1), "fields": ["deceased_on"], "deceased_on": date});
    let clinic = Clinic::with(registration());
    assert!(update(&die("1980-12-31"), &clinic).is_ok());
    assert_eq!(update(&die("1980-12-30"), &clinic).unwrap_err().slug, "deceased-before-birth");
    assert_eq!(update(&die("2027-01-01"), &clinic).unwrap_err().slug, "deceased-on-in-future");
    let typed = json!({"patient_id": id(1), "birth_date_raw": "31/12/1980"});
    assert!(update(&die("1970-01-01"), &Clinic::with(typed)).is_ok(), "nobody can tell");
}

#[test]
fn a_command_names_every_field_that_breaks_a_rule() {
    let long = "x".repeat(rules::CITY_CHARS_MAX + 1);
    for (field, value) in [
        ("family_name", json!(" ")),
        ("given_name", json!("a\u{0}b")),
        ("sex", json!("M")),
        ("phone", json!("call me")),
        ("email", json!("nowhere")),
        ("city", json!(long)),
        ("deceased_on", json!("1970-01-01")),
    ] {
        let body = with(registration(), field, value);
        let command = Command::read(RegisterPatient::TYPE, &body).unwrap();
        let problems = command.validate().unwrap_err();
        assert_eq!(problems.len(), 1, "{field}");
        assert_eq!(problems[0].field, field);
        let rejection = register(&body, &Clinic::default()).unwrap_err();
        assert_eq!(rejection.slug, "field-rules");
        assert!(rejection.detail.contains(field));
    }
}

#[test]
fn an_update_names_what_it_changes_and_empties_no_name() {
    let problems = |body: Value| {
        let command = Command::read(UpdatePatient::TYPE, &body).unwrap();
        command.validate().err().into_iter().flatten().map(|it| it.field).collect::<Vec<_>>()
    };
    let id = id(1);
    assert_eq!(problems(json!({"patient_id": id, "fields": ["blood"]})), ["blood"]);
    assert_eq!(problems(json!({"patient_id": id, "fields": ["active"]})), ["active"]);
    assert_eq!(problems(json!({"patient_id": id, "fields": [], "city": "x"})), ["city"]);
    assert!(problems(json!({"patient_id": id, "fields": ["mrn", "mrn"]})).is_empty());
}

#[test]
fn commands_are_read_strictly() {
    let read = |body: Value| Command::read(RegisterPatient::TYPE, &body).unwrap_err().slug;
    assert_eq!(read(with(registration(), "shoe_size", json!(43))), "request-malformed");
    assert_eq!(read(with(registration(), "family_name", json!(5))), "request-malformed");
    assert_eq!(read(with(registration(), "birth_date", json!("31/12/1980"))), "request-malformed");
    assert_eq!(
        Command::read("patients.sing", &json!({})).unwrap_err().slug,
        "request-type-unknown"
    );
}

#[test]
fn every_command_that_is_listed_is_read_and_every_field_can_be_named() {
    for type_name in Command::TYPES {
        let slug = Command::read(type_name, &json!({})).unwrap_err().slug;
        assert_eq!(slug, "request-malformed", "{type_name}");
    }
    let all = json!({"patient_id": id(1), "fields": []});
    let Ok(Command::Update(command)) = Command::read(UpdatePatient::TYPE, &all) else { panic!() };
    let names: Vec<_> = command.values().into_iter().map(|(field, _)| field).collect();
    assert_eq!(names, UpdatePatient::FIELDS);
}

#[test]
fn a_row_that_anybody_wrote_reads_as_a_patient() {
    let state = json!({"patient_id": id(1), "birth_date_raw": "31.12.80", "sex": "W",
        "nickname": "Zé", "active": null});
    let seen = Patients.observe("patient", None, Some(&state)).unwrap();
    assert_eq!(seen[0].type_name, "patients.patient_registered");
    assert_eq!(seen[0].subject, format!("patient/{}", id(1)));
    assert_eq!(seen[0].patient_id, Some(id(1)));
    let body = json!({"patient_id": id(1), "birth_date_raw": "31.12.80", "sex": "W"});
    assert_eq!(seen[0].body, body);
}

#[test]
fn what_happened_is_named_once_by_precedence() {
    let base = Patient { patient_id: id(1), ..Patient::default() };
    let moved = Patient { city: Some("Porto".into()), ..base.clone() };
    let gone = Patient { active: Some(false), city: Some("Faro".into()), ..base.clone() };
    let said = Patient { active: Some(true), ..base.clone() };
    let other = Patient { patient_id: id(2), ..base.clone() };
    let names = |before: Option<&Patient>, after: Option<&Patient>| {
        observe(before, after).iter().map(Fact::type_name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, Some(&gone)), ["patients.patient_registered"]);
    assert_eq!(names(Some(&base), Some(&base)), [""; 0]);
    assert_eq!(names(Some(&base), Some(&moved)), ["patients.patient_amended"]);
    assert_eq!(names(Some(&base), Some(&said)), ["patients.patient_amended"]);
    assert_eq!(names(Some(&moved), Some(&gone)), ["patients.patient_deactivated"]);
    assert_eq!(names(Some(&gone), Some(&moved)), ["patients.patient_reactivated"]);
    assert_eq!(names(Some(&moved), None), ["patients.patient_removed"]);
    let merged = Patient { merged_into: Some(id(3)), ..gone.clone() };
    assert_eq!(names(Some(&moved), Some(&merged)), ["patients.patient_merged"]);
    assert_eq!(names(Some(&merged), Some(&gone)), ["patients.patient_amended"], "taken back");
    let replaced = ["patients.patient_removed", "patients.patient_registered"];
    assert_eq!(names(Some(&base), Some(&other)), replaced);
    assert_eq!(names(None, None), [""; 0]);
}

#[test]
fn every_promise_is_an_object_of_documented_fields_in_order() {
    let promises = Patients.schemas();
    assert_eq!(promises.len(), PatientFact::ALL.len() + Command::TYPES.len());
    for promise in promises {
        let schema = serde_json::to_value(&promise.schema).unwrap();
        let fields = schema["properties"].as_object().unwrap();
        let text = serde_json::to_string(&promise.schema).unwrap();
        let is_merge = promise.type_name == MergePatients::TYPE;
        let place = |field: &str| text.find(&format!("\"{field}\":")).unwrap();
        let all = ["patient_id", "mrn", "family_name", "birth_date", "active"];
        let both = ["patient_id", "into_patient_id"];
        let wanted = if is_merge { &both[..] } else { &all[..] };
        let in_order: Vec<_> = wanted.iter().map(|field| place(field)).collect();
        assert!(in_order.is_sorted(), "{}", promise.type_name);
        for (name, field) in fields {
            assert!(field["description"].is_string(), "{}.{name}: {field}", promise.type_name);
            assert!(field["type"].is_string() || field["type"].is_array(), "{name}: {field}");
        }
    }
}

#[test]
fn every_refusal_has_its_page() {
    let mut slugs: Vec<_> = PROBLEMS.iter().map(|(slug, _, _)| *slug).collect();
    assert!(PROBLEMS.iter().all(|(slug, title, page)| {
        let plain = slug.bytes().all(|b| b == b'-' || b.is_ascii_lowercase());
        plain && !title.is_empty() && !page.is_empty()
    }));
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!(slugs.len(), PROBLEMS.len());
}

fn any_patient() -> impl Strategy<Value = Option<Patient>> {
    let active = prop::option::of(any::<bool>());
    let text = || prop::option::of("[a-b]{0,2}");
    let fields = (0u128..3, text(), text(), active);
    prop::option::of(fields.prop_map(|(n, mrn, birth_date_raw, active)| Patient {
        patient_id: id(n),
        mrn,
        birth_date_raw,
        active,
        ..Patient::default()
    }))
}

proptest! {
    /// Whoever applies the facts of a change has exactly the rows of the clinic.
    #[test]
    fn facts_applied_in_order_give_the_state(before in any_patient(), after in any_patient()) {
        let mut rows: std::collections::BTreeMap<Uuid, Patient> =
            before.iter().map(|it| (it.patient_id, it.clone())).collect();
        for fact in observe(before.as_ref(), after.as_ref()) {
            let removes = fact.removes();
            let Fact::Patient(_, patient) = fact;
            if removes { rows.remove(&patient.patient_id); }
            else { rows.insert(patient.patient_id, patient); }
        }
        let wanted: Vec<_> = after.into_iter().collect();
        prop_assert_eq!(rows.into_values().collect::<Vec<_>>(), wanted);
    }

    /// A fact's body reads back as the fact.
    #[test]
    fn facts_survive_the_wire(before in any_patient(), after in any_patient()) {
        for fact in observe(before.as_ref(), after.as_ref()) {
            let observed = fact.observed().unwrap();
            prop_assert_eq!(Fact::read(observed.type_name, &observed.body).unwrap(), Some(fact));
        }
    }
}
