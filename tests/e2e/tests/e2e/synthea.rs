//! Real variety: patients of Synthea's bundles, put into a clinic by SQL and read back at REST.

use std::path::Path;

use practice::{Table, differences};
use tests_e2e::{Net, Unit};

#[tokio::test]
async fn synthea_patients_are_read_back_equal_at_rest() {
    let Ok(dir) = std::env::var("ARTERIA_SYNTHEA") else {
        println!("ARTERIA_SYNTHEA names no folder of bundles: patients of Synthea were not tried");
        return;
    };
    let found = practice::synthea::patients(Path::new(&dir)).expect("reading the bundles");
    assert!(!found.patients.is_empty(), "no patient in {dir}");
    let net = Net::shared();
    let mut unit = Unit::prepare(&net, "synthea", 0).await;
    unit.desk().register_all(&found.patients).expect("one transaction of patients");
    unit.connect().await;
    unit.wait_seeded().await;
    let desk = unit.desk();
    let mut equal = 0;
    for row in desk.patients().unwrap() {
        let id = row["patient_id"].as_str().unwrap();
        let answer = unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
        assert_eq!(differences(Table::Patients, &row, &answer.body), Vec::<String>::new());
        equal += 1;
    }
    assert_eq!(equal, found.patients.len());
    println!("{equal} patients of Synthea read back equal; skipped: {:?}", found.skipped);
}
