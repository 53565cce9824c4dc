//! What a patient hears: its own facts and the ends of its requests, whoever names them; and
//! nothing of anybody else.

mod desk;
mod live;

use std::time::{Duration, Instant};

use desk::{FOREIGN, OTHER, PATIENT, UNIT};
use gateway::streams::Bounds;
use kit_event::{RequestId, UnitSeq};
use kit_token::Kind;
use live::reader::Reader;
use live::{Live, Told};
use serde_json::json;
use sqlx::Executor;

const QUIET: Duration = Duration::from_millis(300);

fn path() -> String {
    format!("/v1/patients/{PATIENT}/events")
}

fn request(key: &str) -> String {
    RequestId::derive(&Live::unit(), "i", "s", key).to_string()
}

async fn started() -> Live {
    let live = Live::start(Bounds::default()).await;
    live.home(PATIENT).await;
    live.home(OTHER).await;
    live
}

/// The reader of requests takes a word on a request, as it does beside the timeline.
async fn word(live: &Live, id: &str, state: &str, at: UnitSeq) {
    let sql = "update requests.request set state = $2, epoch = $3, seq = $4,
                   outcome = jsonb_build_object('request_id', $1::text, 'state', $2::text)
               where request_id = $1";
    let query = sqlx::query(sql).bind(id).bind(state).bind(i64::from(at.epoch));
    live.pool.execute(query.bind(at.seq.cast_signed())).await.unwrap();
}

#[tokio::test]
async fn a_patient_hears_its_own_facts_and_nobody_elses() {
    let live = started().await;
    let clinic = live.clinic();
    let [own, other] = [PATIENT, OTHER].map(|id| id.parse().ok());
    let facts = [
        Told::new("patients.patient_registered", own, json!({"n": 1})),
        Told::new("patients.patient_registered", other, json!({"n": 2})),
        Told::new("units.unit_amended", None, json!({"n": 3})),
        Told::new("scheduling.appointment_booked", own, json!({"n": 4})),
        // Somebody else's, whatever the book of requests says.
        Told::new("requests.request_rejected", other, json!({"n": 5})),
    ];
    live.asked(&request("a"), Some(PATIENT), live.desk.clock.now().plus_ms(60_000), 1).await;
    let numbers = clinic.state_in_timeline(&facts).await;
    word(&live, &request("a"), "rejected", numbers[4]).await;
    clinic.others_follow().await;
    for token in [live.patient(), live.staff()] {
        let mut reader = Reader::open(live.addr, &token, &path(), None).await;
        assert_eq!(reader.next().await.unwrap().data["body"]["n"], 1);
        assert_eq!(reader.next().await.unwrap().data["body"]["n"], 4);
        assert!(reader.is_quiet(QUIET).await);
    }
    let (_, base) = (0, path());
    let page = live.desk.call(Kind::Patient, "GET", &format!("{base}?limit=1"), &[], None).await;
    assert_eq!(page.body["items"][0]["body"]["n"], 1);
    let next = page.body["next"].as_str().unwrap();
    let rest = format!("{base}?cursor={next}");
    let rest = live.desk.call(Kind::Patient, "GET", &rest, &[], None).await;
    assert_eq!(rest.body["items"][0]["body"]["n"], 4);
    assert_eq!(rest.header("arteria-unit-seq"), "1-5");
    // Another patient's address, a foreign unit's staff and an admin find nothing there.
    let stream = [("accept", "text/event-stream")];
    let others = format!("/v1/patients/{OTHER}/events");
    let answer = live.desk.call(Kind::Patient, "GET", &others, &stream, None).await;
    assert_eq!(answer.problem(), (404, "not-found"));
    let answer = live.desk.call(Kind::Admin, "GET", &base, &stream, None).await;
    assert_eq!(answer.problem(), (404, "not-found"));
    let foreign = live.desk.token(Kind::Staff, FOREIGN);
    let answer = live.desk.call_with(Some(&foreign), "GET", &base, &stream, None).await;
    assert_eq!(answer.problem(), (404, "not-found"));
    let unit = format!("/v1/units/{UNIT}/events");
    let answer = live.desk.call(Kind::Patient, "GET", &unit, &stream, None).await;
    assert_eq!(answer.problem(), (404, "not-found"));
    let unknown = "/v1/patients/7f4df1a5-3333-4333-8333-333333333333/events";
    let answer = live.desk.call(Kind::Staff, "GET", unknown, &stream, None).await;
    assert_eq!(answer.problem(), (404, "not-found"));
}

#[tokio::test]
async fn a_fact_that_names_nobody_is_told_to_those_of_whose_requests_it_speaks() {
    let live = started().await;
    let clinic = live.clinic();
    let later = live.desk.clock.now().plus_ms(60_000);
    for (key, patient, position) in
        [("a", Some(PATIENT), 4), ("b", Some(PATIENT), 6), ("c", Some(OTHER), 5), ("d", None, 7)]
    {
        live.asked(&request(key), patient, later, position).await;
    }
    sqlx::query("update requests.request set actor = 'staff:eva' where patient_id = $1::uuid")
        .bind(OTHER)
        .execute(&live.pool)
        .await
        .unwrap();
    let mut own = Reader::open(live.addr, &live.patient(), &path(), None).await;
    let mut staff = Reader::open(live.addr, &live.staff(), &path(), None).await;
    // A stretch lapses; the reader of requests comes to it a little later.
    let range = json!({"from": 3, "to": 8, "log": "cluster/unit.requests/0"});
    let lapsed = [Told::new("requests.range_lapsed", None, range)];
    let at = clinic.state_in_timeline(&lapsed).await[0];
    assert!(own.is_quiet(QUIET).await, "nobody knows yet whose they are");
    for key in ["a", "b", "c"] {
        word(&live, &request(key), "expired", at).await;
    }
    clinic.others_follow().await;
    let heard = own.next().await.unwrap();
    assert_eq!((heard.id, heard.name.as_str()), (Some(at), "requests.range_lapsed"));
    let mut both = [request("a"), request("b")];
    both.sort_unstable();
    assert_eq!(heard.data["request_ids"], json!(both));
    assert_eq!(staff.next().await.unwrap().data["request_ids"], json!(both));
    // A cancel that came before the unit saw the request names nobody, and the command neither: who
    // made the request hears of it.
    let cancelled = [Told::new("requests.request_cancelled", None, json!({}))];
    let at = clinic.state_in_timeline(&cancelled).await[0];
    word(&live, &request("d"), "cancelled", at).await;
    clinic.others_follow().await;
    let heard = own.next().await.unwrap();
    assert_eq!((heard.id, &heard.data["request_ids"]), (Some(at), &json!([request("d")])));
    assert!(staff.is_quiet(QUIET).await);
    // Heard again from the beginning, and from between.
    let mut again = Reader::open(live.addr, &live.patient(), &path(), Some("1-1")).await;
    assert_eq!(again.next().await.unwrap(), heard);
}

#[tokio::test]
async fn a_stretch_is_not_passed_before_its_requests_were_read() {
    let live = started().await;
    let clinic = live.clinic();
    let insert = |topic: &'static str, next: i64| {
        sqlx::query(
            "insert into requests.offsets (topic, partition, next_offset) values ($1, 0, $2)
             on conflict (topic, partition) do update set next_offset = excluded.next_offset",
        )
        .bind(topic)
        .bind(next)
        .execute(&live.pool)
    };
    insert("unit.requests", 5).await.unwrap();
    insert("unit.facts", 1).await.unwrap();
    let own = PATIENT.parse().ok();
    let range = json!({"from": 3, "to": 8, "log": "cluster/unit.requests/0"});
    let facts = [
        Told::new("patients.before", own, json!({})),
        Told::new("requests.range_lapsed", None, range),
        Told::new("patients.after", own, json!({})),
    ];
    clinic.state_in_timeline(&facts).await;
    sqlx::query(
        "insert into requests.lapsed (unit, log, from_position, to_position, epoch, seq, time)
         values ($1, 'cluster/unit.requests/0', 3, 8, 1, 2, now()),
                ($1, 'another/unit.requests/0', 3, 800, 1, 2000, now())",
    )
    .bind(UNIT)
    .execute(&live.pool)
    .await
    .unwrap();
    clinic.others_follow().await;
    let mut reader = Reader::open(live.addr, &live.patient(), &path(), None).await;
    assert_eq!(reader.next().await.unwrap().name, "patients.before");
    assert!(reader.is_quiet(QUIET).await, "a request in the stretch may still come");
    live.asked(&request("a"), Some(PATIENT), live.desk.clock.now(), 6).await;
    word(&live, &request("a"), "expired", UnitSeq::new(1, 2)).await;
    insert("unit.requests", 8).await.unwrap();
    let heard = reader.next().await.unwrap();
    assert_eq!(heard.data["request_ids"], json!([request("a")]));
    assert_eq!(reader.next().await.unwrap().name, "patients.after");
}

#[tokio::test]
async fn a_deadline_that_passes_in_silence_is_told_within_a_second() {
    let live = started().await;
    let clinic = live.clinic();
    clinic.state(&[Told::new("patients.one", PATIENT.parse().ok(), json!({}))]).await;
    let now = live.desk.clock.now();
    live.asked(&request("old"), Some(PATIENT), now.plus_ms(-5_000), 1).await;
    let mut reader = Reader::open(live.addr, &live.patient(), &path(), None).await;
    assert_eq!(reader.next().await.unwrap().name, "patients.one");
    // A partner may see the patient's facts, and no requests.
    let partner = live.desk.token(Kind::Partner, UNIT);
    let mut partner = Reader::open(live.addr, &partner, &path(), Some("1-1")).await;
    assert!(partner.is_quiet(QUIET).await);
    let heard = reader.next().await.unwrap();
    assert_eq!((heard.id, heard.name.as_str()), (None, "request_overdue"));
    assert_eq!(
        (&heard.data["request_id"], &heard.data["state"]),
        (&json!(request("old")), &json!("overdue"))
    );
    // One that runs out while the stream is open; another's and an answered one do not count.
    let deadline = live.desk.clock.now().plus_ms(700);
    live.asked(&request("a"), Some(PATIENT), deadline, 2).await;
    live.asked(&request("b"), Some(OTHER), deadline, 3).await;
    sqlx::query("update requests.request set actor = 'staff:eva' where patient_id = $1::uuid")
        .bind(OTHER)
        .execute(&live.pool)
        .await
        .unwrap();
    live.asked(&request("c"), Some(PATIENT), deadline, 4).await;
    let done = Told::new("requests.request_done", PATIENT.parse().ok(), json!({}));
    let at = clinic.state(&[done]).await;
    word(&live, &request("c"), "done", at[0]).await;
    assert_eq!(reader.next().await.unwrap().name, "requests.request_done");
    let heard = reader.next().await.unwrap();
    let late_ms = live.desk.clock.now().unix_ms() - deadline.unix_ms();
    println!("told {late_ms} ms after the deadline");
    assert_eq!(heard.data["request_id"], json!(request("a")));
    assert!((0..1_000).contains(&late_ms), "{late_ms} ms");
    let begun = Instant::now();
    assert!(reader.is_quiet(Duration::from_secs(1)).await, "once each: {:?}", begun.elapsed());
    // One that the read model hears of after its deadline is told as well.
    live.asked(&request("e"), None, live.desk.clock.now().plus_ms(-10), 9).await;
    assert_eq!(reader.next().await.unwrap().data["request_id"], json!(request("e")));
}
