//! Events go around no permission: what a caller may not read as a resource it does not meet among
//! events, in pages and in streams, and what it does meet shows no more than the resource does.

mod desk;
mod live;

use std::time::Duration;

use desk::{OTHER, PATIENT, UNIT};
use gateway::streams::Bounds;
use kit_event::{RequestId, UnitSeq};
use kit_token::Kind;
use live::reader::Reader;
use live::{Live, Told};
use serde_json::{Value, json};

const QUIET: Duration = Duration::from_millis(300);
/// More than one page looks at.
const HIDDEN: usize = 1_200;

fn of_unit() -> String {
    format!("/v1/units/{UNIT}/events")
}

fn of_patient() -> String {
    format!("/v1/patients/{PATIENT}/events")
}

fn outcome() -> Value {
    let id = RequestId::derive(&Live::unit(), "i", "s", "k").to_string();
    json!({
        "request_id": id, "type": "patients.update_patient", "state": "done",
        "command_hash": "c0ffee", "actor": "staff:eva", "record_thing": "patient",
        "record_id": PATIENT, "record_json": "{\"family_name\":\"Silva\"}", "position": 7,
        "patient_id": PATIENT, "delivery": "queue", "decided_at": "2026-03-02T09:00:00Z",
    })
}

fn withheld(type_name: &str) -> Told {
    let body = json!({"unit_id": UNIT, "type": type_name, "version": 1, "subject": "call/1",
                      "cause": "number"});
    Told::new("units.fact_withheld", PATIENT.parse().ok(), body).about("call/1".to_owned())
}

async fn started() -> Live {
    let live = Live::start(Bounds::default()).await;
    live.home(PATIENT).await;
    live
}

/// 1-1 a patient, 1-2 a generic type that names it, 1-3 the outcome of a request, 1-4 an
/// appointment, 1-5 and 1-6 placeholders, 1-7 the unit.
async fn history(live: &Live) {
    let own = PATIENT.parse().ok();
    live.clinic()
        .state(&[
            Told::new("patients.patient_registered", own, json!({"patient_id": PATIENT})),
            Told::new("voip.call_ended", own, json!({"number": "+351"})).about("call/1".into()),
            Told::new("requests.request_done", own, outcome()),
            Told::new("scheduling.appointment_booked", own, json!({})),
            withheld("voip.call_ended"),
            withheld("patients.patient_amended"),
            Told::new("units.unit_amended", None, json!({"unit_id": UNIT})),
        ])
        .await;
    sqlx::query("update timeline.fact set causation_id = $1 where seq in (1, 3, 4)")
        .bind(RequestId::derive(&Live::unit(), "i", "s", "k").to_string())
        .execute(&live.pool)
        .await
        .unwrap();
}

async fn page(live: &Live, kind: Kind, path: &str) -> Value {
    let answer = live.desk.call(kind, "GET", path, &[], None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn numbers(page: &Value) -> Vec<u64> {
    let seq = |item: &Value| item["seq"].as_str().unwrap().parse::<UnitSeq>().unwrap().seq;
    page["items"].as_array().unwrap().iter().map(seq).collect()
}

async fn heard(live: &Live, kind: Kind, path: &str) -> Vec<u64> {
    let token = live.desk.token(kind, UNIT);
    let mut reader = Reader::open(live.addr, &token, path, None).await;
    while !reader.is_quiet(QUIET).await {}
    reader.whole().iter().map(|event| event.id.unwrap().seq).collect()
}

#[tokio::test]
async fn who_may_not_read_a_resource_does_not_meet_it_among_events() {
    let live = started().await;
    history(&live).await;
    for (kind, path, seen) in [
        (Kind::Staff, of_unit(), &[1, 2, 3, 4, 5, 6, 7][..]),
        (Kind::Partner, of_unit(), &[1, 4, 5, 6, 7]),
        (Kind::Staff, of_patient(), &[1, 2, 3, 4, 5, 6]),
        (Kind::Partner, of_patient(), &[1, 4, 6]),
        (Kind::Patient, of_patient(), &[1, 3, 4, 6]),
    ] {
        assert_eq!(numbers(&page(&live, kind, &path).await), seen, "{kind} {path}");
        assert_eq!(heard(&live, kind, &path).await, seen, "{kind} {path} as a stream");
    }
}

#[tokio::test]
async fn a_type_that_may_not_be_seen_is_asked_for_as_one_that_nobody_ever_stated() {
    let live = started().await;
    history(&live).await;
    for (kind, path) in [(Kind::Partner, of_unit()), (Kind::Patient, of_patient())] {
        let ask = |types: &str| format!("{path}?limit=1&{types}");
        let none = page(&live, kind, &ask("type=voip.nothing")).await;
        assert_eq!(none, json!({"items": []}));
        assert_eq!(page(&live, kind, &ask("type=voip.call_ended")).await, none, "{kind}");
        assert!(heard(&live, kind, &ask("type=voip.call_ended")).await.is_empty(), "{kind}");
        let both = ask("type=voip.call_ended,scheduling.appointment_booked");
        assert_eq!(numbers(&page(&live, kind, &both).await), [4], "{kind}");
    }
    let requests = format!("{}?type=requests.request_done", of_unit());
    assert_eq!(page(&live, Kind::Partner, &requests).await, json!({"items": []}));
}

#[tokio::test]
async fn a_fact_shows_no_more_than_its_resource_does() {
    let live = started().await;
    history(&live).await;
    for (kind, path) in [(Kind::Staff, of_unit()), (Kind::Patient, of_patient())] {
        let page = page(&live, kind, &path).await;
        let items = page["items"].as_array().unwrap();
        let told = items.iter().find(|item| item["type"] == "requests.request_done").unwrap();
        assert_eq!(
            (&told["body"]["state"], &told["body"]["record_id"]),
            (&json!("done"), &json!(PATIENT))
        );
        for hidden in ["actor", "command_hash", "record_json", "position"] {
            assert!(told["body"].get(hidden).is_none(), "{kind}: {hidden} in {told}");
        }
        assert!(items[0]["causation_id"].is_string(), "{kind}");
    }
    let page = page(&live, Kind::Partner, &of_unit()).await;
    let items = page["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item.get("causation_id").is_none()), "{items:?}");
    // Of a placeholder for what it may not see it learns only that the number is taken.
    let [hidden, shown] = [&items[2], &items[3]];
    assert_eq!(hidden["body"], json!({"unit_id": UNIT}));
    assert!(hidden.get("subject").is_none() && hidden.get("patient_id").is_none(), "{hidden}");
    assert_eq!(shown["body"]["type"], "patients.patient_amended");
}

#[tokio::test]
async fn what_is_hidden_is_passed_and_never_holds_a_reader_up() {
    let live = started().await;
    let clinic = live.clinic();
    let call = || Told::new("voip.call_ended", OTHER.parse().ok(), json!({}));
    clinic.state(&(0..HIDDEN).map(|_| call()).collect::<Vec<_>>()).await;
    clinic.state(&[Told::new("patients.patient_registered", None, json!({}))]).await;
    let (mut path, mut pages, mut seen) = (of_unit(), 0, Vec::new());
    loop {
        let page = page(&live, Kind::Partner, &path).await;
        (pages, seen) = (pages + 1, [seen, numbers(&page)].concat());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{}?cursor={next}", of_unit());
    }
    assert_eq!((pages, &seen[..]), (2, &[HIDDEN as u64 + 1][..]));
    let token = live.desk.token(Kind::Partner, UNIT);
    let mut reader = Reader::open(live.addr, &token, &of_unit(), None).await;
    assert_eq!(reader.next().await.unwrap().id, Some(UnitSeq::new(1, HIDDEN as u64 + 1)));
    assert!(reader.text().contains("id: 1-1000\n\n"), "the cursor moves: {}", reader.text());
    // A patient's page is filled whatever the patient may not see, and its cursor names no such
    // number.
    let own = PATIENT.parse().ok();
    let mut facts: Vec<_> = (0..5).map(|_| Told::new("voip.call_ended", own, json!({}))).collect();
    facts.insert(0, Told::new("patients.patient_registered", own, json!({})));
    clinic.state(&facts).await;
    let first = page(&live, Kind::Patient, &format!("{}?limit=1", of_patient())).await;
    assert_eq!(numbers(&first).len(), 1);
    let next = format!("{}?limit=1&cursor={}", of_patient(), first["next"].as_str().unwrap());
    assert_eq!(page(&live, Kind::Patient, &next).await, json!({"items": []}));
}
