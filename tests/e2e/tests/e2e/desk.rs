//! What the desk writes appears at REST: captured, numbered, projected, served.

use practice::{Patient, Table, differences};
use serde_json::Value;
use tests_e2e::{Net, eventually};

#[tokio::test]
async fn the_desks_patient_appears_at_rest_as_it_was_written() {
    let net = Net::shared();
    let unit = net.unit("desk").await;
    let patient = Patient::named("Inês", "Álvares");
    let id = unit.desk().register_patient(&patient).unwrap();

    let answer = unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    let row = unit.desk().row(Table::Patients, &id).unwrap().unwrap();
    assert_eq!(differences(Table::Patients, &row, &answer.body), Vec::<String>::new());
    assert_eq!(answer.must("arteria-unit-online"), "true");
    assert!(answer.must("arteria-unit-seq").starts_with("1-"));
    assert!(answer.header("arteria-as-of").is_some());
    assert!(answer.header("etag").is_some());

    let by_id = unit.rest.get(&format!("/v1/patients/{id}")).await.expect(200);
    assert_eq!(by_id.body, answer.body);
}

#[tokio::test]
async fn every_kind_of_change_is_captured_once_and_in_order() {
    let net = Net::shared();
    let unit = net.unit("changes").await;
    let mut desk = unit.desk();
    let id = desk.register_patient(&Patient::named("Rui", "Prado")).unwrap();
    desk.amend(Table::Patients, &id, &[("phone", &"1")]).unwrap();
    desk.amend(Table::Patients, &id, &[("phone", &"2")]).unwrap();
    desk.deactivate_patient(&id).unwrap();
    desk.reactivate_patient(&id).unwrap();
    // What is rolled back never happened.
    let rolled = Patient::named("Nobody", "Ever");
    practice_rolled_back(&mut desk, &rolled);
    desk.delete(Table::Patients, &id).unwrap();

    let path = unit.path("events?limit=200&after=1-0");
    let subject = format!("patient/{id}");
    let types = eventually("the patient's removal", || async {
        let facts = all_events(&unit.rest, &path).await;
        let of: Vec<String> = facts
            .iter()
            .filter(|fact| fact["subject"] == subject.as_str())
            .map(|fact| fact["type"].as_str().unwrap_or_default().to_owned())
            .collect();
        (of.last().is_some_and(|last| last.ends_with("_removed"))).then_some(of)
    })
    .await;
    assert_eq!(
        types,
        [
            "patients.patient_registered",
            "patients.patient_amended",
            "patients.patient_amended",
            "patients.patient_deactivated",
            "patients.patient_reactivated",
            "patients.patient_removed",
        ]
    );
    let facts = all_events(&unit.rest, &path).await;
    let nobody = format!("patient/{}", rolled.patient_id);
    assert!(facts.iter().all(|fact| fact["subject"] != nobody.as_str()));
    // Numbers without a gap, each once.
    let seqs: Vec<u64> = facts
        .iter()
        .map(|fact| fact["seq"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    unit.rest.get(&unit.path(&format!("patients/{id}"))).await.expect(404);
}

#[tokio::test]
async fn ten_thousand_rows_in_one_transaction_all_arrive() {
    let net = Net::shared();
    let unit = net.unit("bulk").await;
    let mut desk = unit.desk();
    let made = desk.import_made_up(7, 50_000, 10_000).unwrap();
    let wanted = desk.count(Table::Patients).unwrap();
    let id = made.last().unwrap().patient_id;
    unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    assert_eq!(count_patients(&unit).await, wanted);
}

#[tokio::test]
async fn dates_as_people_type_them_travel_as_they_were_typed() {
    let net = Net::shared();
    let unit = net.unit("typed").await;
    let patient = Patient { birth_date: Some("31/12/1980".into()), ..Patient::named("Ana", "Sá") };
    let id = unit.desk().register_patient(&patient).unwrap();
    let answer = unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    assert_eq!(answer.body["birth_date"], Value::Null);
    assert_eq!(answer.body["birth_date_raw"], "31/12/1980");
}

#[tokio::test]
async fn names_are_found_by_prefix_without_case_or_accents() {
    let net = Net::shared();
    let unit = net.unit("names").await;
    let id = unit.desk().register_patient(&Patient::named("Çelina", "Ångström-Müller")).unwrap();
    unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    for name in ["angst", "ANGSTROM", "celina", "Ång"] {
        let found = unit.rest.get(&unit.path(&format!("patients?name={name}"))).await.expect(200);
        assert!(found.items().iter().any(|p| p["patient_id"] == id.to_string().as_str()), "{name}");
    }
    let none = unit.rest.get(&unit.path("patients?name=ngstrom")).await.expect(200);
    assert!(none.items().iter().all(|p| p["patient_id"] != id.to_string().as_str()));
}

#[tokio::test]
async fn the_seeded_clinic_reads_back_equal() {
    let net = Net::shared();
    let unit = net.unit("oracle").await;
    let desk = unit.desk();
    for row in desk.patients().unwrap() {
        let id = row["patient_id"].as_str().unwrap();
        let answer = unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
        assert_eq!(differences(Table::Patients, &row, &answer.body), Vec::<String>::new());
    }
    for row in desk.rows(Table::Appointments).unwrap() {
        let id = row["appointment_id"].as_str().unwrap();
        let answer = unit.rest.record(&unit.path(&format!("appointments/{id}"))).await;
        assert_eq!(differences(Table::Appointments, &row, &answer.body), Vec::<String>::new());
    }
    for row in desk.rows(Table::Practitioners).unwrap() {
        let id = row["practitioner_id"].as_str().unwrap();
        let answer = unit.rest.record(&unit.path(&format!("practitioners/{id}"))).await;
        assert_eq!(differences(Table::Practitioners, &row, &answer.body), Vec::<String>::new());
    }
}

fn practice_rolled_back(desk: &mut practice::Desk, patient: &Patient) {
    desk.rolled_back(|connection| {
        let id = patient.patient_id.to_string();
        let sql = "INSERT INTO patients (patient_id, family_name) VALUES (?1, ?2)";
        connection.execute(sql, [&id, &patient.family_name]).unwrap();
        Ok(())
    })
    .unwrap();
}

async fn count_patients(unit: &tests_e2e::Unit) -> u64 {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let path = unit.path(&format!("patients?limit=200{cursor}"));
        let page = unit.rest.get(&path).await.expect(200);
        count += page.items().len() as u64;
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

async fn all_events(rest: &tests_e2e::Rest, path: &str) -> Vec<Value> {
    let (base, _) = path.split_once("&after=").unwrap_or((path, ""));
    let (mut all, mut after) = (Vec::new(), "1-0".to_owned());
    loop {
        let page = rest.get(&format!("{base}&after={after}")).await.expect(200).items();
        let Some(last) = page.last() else { return all };
        last["seq"].as_str().unwrap().clone_into(&mut after);
        all.extend(page);
    }
}
