//! Medical records: what the desk writes is told at REST, what REST records stands in the clinic's
//! table, and nobody sees whom they may not.

use kit_token::Kind;
use serde_json::{Value, json};
use tests_e2e::{Answer, Net, Rest, Unit, eventually};
use uuid::Uuid;

const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";

/// A heart rate, written by the practice's own program.
pub(crate) fn heart_rate(unit: &Unit, patient: &Uuid, rate: &str, at: &str) -> Uuid {
    let id = Uuid::new_v4();
    let sql = "INSERT INTO observations (observation_id, patient_id, category, code_system, code,
                   display, value_number, value_unit, status, effective_at)
               VALUES (?1, ?2, 'vital-signs', ?3, '8867-4', 'Heart rate', ?4, '/min', 'final', ?5)";
    let (key, whose) = (id.to_string(), patient.to_string());
    unit.desk().execute(sql, &[&key, &whose, &LOINC, &rate, &at]).unwrap();
    id
}

fn allergy() -> Value {
    json!({"code_system": SNOMED, "code": "91936005", "display": "Allergy to penicillin",
           "category": "medication", "criticality": "high"})
}

async fn recorded(unit: &Unit, patient: &Uuid, list: &str, body: Value) -> Answer {
    unit.rest.post(&unit.path(&format!("patients/{patient}/{list}")), body).await
}

async fn listed(rest: &Rest, unit: &Unit, patient: &Uuid, query: &str) -> Vec<Value> {
    let path = unit.path(&format!("patients/{patient}/observations?{query}"));
    rest.get(&path).await.expect(200).items()
}

#[tokio::test]
async fn what_the_desk_measures_appears_in_the_chart_and_is_found_by_its_code() {
    let net = Net::shared();
    let unit = net.unit("charts").await;
    let patient = unit.some_patient();
    let old = heart_rate(&unit, &patient, "61", "2025-01-02T08:00:00Z");
    let new = heart_rate(&unit, &patient, "a hundred", "2025-06-02T08:00:00Z");
    let shown = unit.rest.record(&unit.path(&format!("observations/{new}"))).await;
    assert_eq!(shown.body["value_number_raw"], "a hundred");
    assert_eq!((&shown.body["components"], shown.body.get("value_number")), (&json!([]), None));
    unit.rest.record(&unit.path(&format!("observations/{old}"))).await;
    let codes = |items: Vec<Value>| items.iter().map(|it| it["observation_id"].clone()).collect();
    let ids: Vec<Value> = codes(listed(&unit.rest, &unit, &patient, "code=8867-4").await);
    assert_eq!(ids, [json!(new), json!(old)], "the newest first");
    for (query, found) in [
        ("code=http://loinc.org%7C8867-4&to=2025-02", 1),
        ("code=http://snomed.info/sct%7C8867-4", 0),
        ("from=2025-06-02&status=final&category=vital-signs", 1),
        ("category=laboratory", 0),
    ] {
        let query = format!("{query}&limit=200");
        assert_eq!(listed(&unit.rest, &unit, &patient, &query).await.len(), found, "{query}");
    }
    let sql = "UPDATE observations SET value_number = '99.50' WHERE observation_id = ?1";
    unit.desk().execute(sql, &[&new.to_string()]).unwrap();
    eventually("the corrected value", || async {
        let answer = unit.rest.get(&unit.path(&format!("observations/{new}"))).await;
        (answer.body["value_number"] == "99.50").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_rest_records_stands_in_the_clinics_table_and_can_be_taken_back() {
    let net = Net::shared();
    let unit = net.unit("charts").await;
    let patient = unit.some_patient();
    let made = recorded(&unit, &patient, "allergies", allergy()).await.expect(201);
    let id = made.text("allergy_id");
    assert_eq!(made.body["verification_status"], "confirmed");
    let path = unit.path(&format!("allergies/{id}"));
    let etag = unit.rest.record(&path).await.must("etag");
    let change = json!({"verification_status": "entered-in-error"});
    let stale = unit.rest.patch(&path, &[("if-match", "\"1-1\"")], change.clone()).await;
    stale.expect_problem(409, "changed-meanwhile");
    let taken = unit.rest.patch(&path, &[("if-match", &etag)], change).await.expect(200);
    assert_eq!(
        (&taken.body["criticality"], &taken.body["code"]),
        (&json!("high"), &json!("91936005"))
    );
    let again = unit.rest.patch(&path, &[], json!({"reaction": "rash"})).await;
    again.expect_problem(409, "record-retracted");
    let nobodys = recorded(&unit, &Uuid::new_v4(), "allergies", allergy()).await;
    nobodys.expect_problem(404, "patient-unknown");
    let mut future = json!({"code_system": "http://hl7.org/fhir/sid/cvx", "code": "207"});
    future["occurred_at"] = json!("2999-01-01T00:00:00Z");
    let refused = recorded(&unit, &patient, "immunizations", future).await;
    refused.expect_problem(409, "in-the-future");
    // No table of the reference practice holds the parts of an observation yet.
    let parts = json!([{"code_system": LOINC, "code": "8480-6", "value_number": "120"}]);
    let pressure = json!({"code_system": LOINC, "code": "85354-9", "components": parts});
    let refused = recorded(&unit, &patient, "observations", pressure).await;
    refused.expect_problem(409, "not-writable-at-unit");
    assert!(
        listed(&unit.rest, &unit, &patient, "code=8480-6").await.is_empty(),
        "nothing is half done"
    );
    let bad = json!({"code_system": "loinc", "code": "8867-4"});
    recorded(&unit, &patient, "observations", bad).await.expect(422);
}

#[tokio::test]
async fn an_encounter_begins_ends_and_stands_on_the_charts_first_page() {
    let net = Net::shared();
    let unit = net.unit("charts").await;
    let patient = unit.some_patient();
    let body = json!({"patient_id": patient, "reason": "cough"});
    let begun = unit.rest.post(&unit.path("encounters"), body).await.expect(201);
    let id = begun.text("encounter_id");
    assert_eq!(
        (&begun.body["class"], &begun.body["status"]),
        (&json!("AMB"), &json!("in-progress"))
    );
    let finding = json!({"code_system": SNOMED, "code": "49727002", "display": "Cough",
                         "encounter_id": id, "onset_on": "2026-02"});
    recorded(&unit, &patient, "conditions", finding).await.expect(201);
    let finish = unit.path(&format!("encounters/{id}/finish"));
    let over = unit.rest.post(&finish, json!({})).await.expect(200);
    assert_eq!(over.body["status"], "finished");
    unit.rest.post(&finish, json!({})).await.expect_problem(409, "encounter-status");
    let path = unit.path(&format!("patients/{patient}/summary"));
    let seq = over.must("arteria-unit-seq");
    let page = unit.rest.get_with(&path, &[("arteria-min-seq", &seq)]).await.expect(200);
    assert_eq!(page.body["patient"]["patient_id"], json!(patient));
    assert_eq!(page.body["encounters"][0]["encounter_id"], json!(id));
    assert_eq!(page.body["conditions"][0]["onset_on"], "2026-02");
    for member in ["allergies", "vitals", "results", "immunizations"] {
        assert!(page.body[member].is_array(), "{member}");
    }
    assert!(page.body["balance"]["items"].is_array());
    assert!(page.body.as_object().unwrap().contains_key("next_appointment"));
    let nobody = unit.path(&format!("patients/{}/summary", Uuid::new_v4()));
    unit.rest.get(&nobody).await.expect(404);
}

#[tokio::test]
async fn a_patient_sees_the_own_chart_only_and_a_partner_none() {
    let net = Net::shared();
    let unit = net.unit("charts").await;
    let patients: Vec<Uuid> = unit
        .desk()
        .patients()
        .unwrap()
        .take(2)
        .map(|row| row["patient_id"].as_str().unwrap().parse().unwrap())
        .collect();
    let [own, other] = patients.as_slice() else { panic!("two patients") };
    let theirs = heart_rate(&unit, other, "70", "2025-01-02T08:00:00Z");
    let mine = heart_rate(&unit, own, "71", "2025-01-02T08:00:00Z");
    for id in [mine, theirs] {
        unit.rest.record(&unit.path(&format!("observations/{id}"))).await;
    }
    let me = net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(*own));
    me.get(&unit.path(&format!("observations/{mine}"))).await.expect(200);
    me.get(&unit.path(&format!("patients/{own}/summary"))).await.expect(200);
    assert_eq!(listed(&me, &unit, own, "code=8867-4").await.len(), 1);
    me.get(&unit.path(&format!("observations/{theirs}"))).await.expect_problem(404, "not-found");
    let foreign = unit.path(&format!("patients/{other}/observations"));
    me.get(&foreign).await.expect_problem(404, "not-found");
    me.post(&unit.path(&format!("patients/{own}/allergies")), allergy()).await.expect(404);
    let events = format!("/v1/patients/{own}/events?limit=500");
    let seen = me.get(&events).await.expect(200).items();
    let about = |id: &Uuid| seen.iter().any(|event| event.to_string().contains(&id.to_string()));
    assert!(about(&mine) && !about(&theirs));
    let partner = net.rest(Kind::Partner, std::slice::from_ref(&unit.id), None);
    partner.get(&unit.path(&format!("observations/{mine}"))).await.expect(404);
    partner.get(&unit.path(&format!("patients/{own}/summary"))).await.expect(404);
    let told = partner.get(&unit.path("events?limit=500")).await.expect(200).items();
    let is_record = |event: &Value| event["type"].as_str().unwrap().starts_with("records.");
    assert!(!told.iter().any(is_record));
}
