//! Who may see what.

use kit_token::Kind;
use serde_json::json;
use tests_e2e::Net;
use uuid::Uuid;

#[tokio::test]
async fn without_a_good_token_there_is_only_401() {
    let net = Net::shared();
    let unit = net.unit("unauth").await;
    let path = unit.path("patients?limit=1");
    let none = unit.rest.with_token(None).get(&path).await.expect(401);
    assert!(none.header("www-authenticate").is_some());
    let good = net.token(Kind::Staff, "s", std::slice::from_ref(&unit.id), None);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped: String = signature.chars().rev().collect();
    for bad in
        ["x".to_owned(), format!("{head}.{flipped}"), format!("{head}."), good.replace('.', "")]
    {
        unit.rest.with_token(Some(bad)).get(&path).await.expect(401);
    }
}

#[tokio::test]
async fn a_foreign_unit_is_not_there_at_all() {
    let net = Net::shared();
    let (mine, theirs) = (net.unit("mine").await, net.unit("theirs").await);
    let patient = theirs.some_patient();
    let foreign = mine.rest.get(&theirs.path(&format!("patients/{patient}"))).await;
    let unknown = mine.rest.get("/v1/units/no-such-unit/patients?limit=1").await;
    assert_eq!((foreign.status, unknown.status), (404, 404));
    mine.rest.get(&format!("/v1/patients/{patient}")).await.expect(404);
    let body = json!({"family_name": "X", "birth_date": "1990-01-01"});
    mine.rest.post(&theirs.path("patients"), body).await.expect(404);
    let units = mine.rest.get("/v1/units").await.expect(200).items();
    assert_eq!(units.len(), 1);
}

#[tokio::test]
async fn a_patient_sees_their_own_records_only() {
    let net = Net::shared();
    let unit = net.unit("own").await;
    let desk = unit.desk();
    let ids: Vec<Uuid> = desk
        .patients()
        .unwrap()
        .take(2)
        .map(|row| row["patient_id"].as_str().unwrap().parse().unwrap())
        .collect();
    let own = net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(ids[0]));
    own.get(&unit.path(&format!("patients/{}", ids[0]))).await.expect(200);
    own.get(&unit.path(&format!("patients/{}", ids[1]))).await.expect(404);
    let listed = own.get(&unit.path(&format!("appointments?patient_id={}", ids[1]))).await;
    assert!(listed.status == 404 || listed.items().is_empty(), "{listed:?}");
    for appointment in
        own.get(&unit.path("appointments")).await.body["items"].as_array().into_iter().flatten()
    {
        assert_eq!(appointment["patient_id"], ids[0].to_string().as_str());
    }
}

#[tokio::test]
async fn a_token_of_another_kind_or_audience_does_not_pass() {
    let net = Net::shared();
    let unit = net.unit("kinds").await;
    let partner = net.rest(Kind::Partner, std::slice::from_ref(&unit.id), None);
    let body = json!({"family_name": "X", "birth_date": "1990-01-01"});
    let refused = partner.post(&unit.path("patients"), body).await;
    assert!([403, 404].contains(&refused.status), "{refused:?}");
}
