//! Live streams and the past: the seam under a working day, a patient's app, a projector that was
//! away, and what a record said before it was amended.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kit_clock::Clock;
use kit_event::{Fact, Timestamp, UnitId, UnitSeq};
use kit_token::Kind;
use practice::{Patient, Table};
use serde_json::{Value, json};
use tests_e2e::{Net, Rest, Stream, Unit, eventually};
use uuid::Uuid;

/// How long the desk and the apps work while readers are cut.
const LOAD: Duration = Duration::from_secs(6);
/// Readers of the load.
const READERS: u64 = 6;

/// The patient's own app.
fn app_of(net: &Net, unit: &Unit, patient: Uuid) -> Rest {
    net.rest(Kind::Patient, std::slice::from_ref(&unit.id), Some(patient))
}

/// Passes over what does not concern the test, up to an event of this name.
async fn until(stream: &mut Stream, name: &str) -> tests_e2e::stream::Heard {
    loop {
        let heard = stream.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
        if heard.name == name {
            return heard;
        }
    }
}

/// Every number of the unit's timeline, page by page.
async fn listed(unit: &Unit, filter: &str) -> Vec<UnitSeq> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = unit.path(&format!("events?limit=200{filter}{cursor}"));
        let page = unit.rest.get(&path).await.expect(200);
        let seq = |item: &Value| item["seq"].as_str().unwrap().parse::<UnitSeq>().unwrap();
        all.extend(page.items().iter().map(seq));
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Every number, once the desk and the apps rest and the timeline has stood still for a while.
async fn settled(unit: &Unit) -> Vec<UnitSeq> {
    let mut before = Vec::new();
    loop {
        let now = listed(unit, "").await;
        if now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Takes a unit's stream, cut after some events or after some time without one, until it has come
/// to the last number.
async fn read_with_cuts(
    rest: Rest,
    path: String,
    n: u64,
    whole: Arc<OnceLock<UnitSeq>>,
) -> (Vec<UnitSeq>, u64) {
    let (mut seen, mut cuts): (Vec<UnitSeq>, u64) = (Vec::new(), 0);
    loop {
        let last = seen.last().map(UnitSeq::to_string);
        let mut stream = rest.stream(&path, last.as_deref()).await;
        cuts += 1;
        let most = (cuts * 7 + n * 13) % 60 + 1;
        let quiet = Duration::from_millis(200 + (cuts * 31 + n * 17) % 300);
        for _ in 0..most {
            match stream.next_within(quiet).await {
                Some(heard) => seen.push(heard.id.unwrap()),
                None if whole.get().is_some_and(|last| seen.last() >= Some(last)) => {
                    return (seen, cuts);
                }
                None => break,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_are_cut_while_the_clinic_works_miss_and_double_nothing() {
    let net = Net::shared();
    let unit = net.unit("seam").await;
    let path = unit.path("events");
    let stop = Instant::now() + LOAD;
    // The last number, once nothing more comes.
    let whole: Arc<OnceLock<UnitSeq>> = Arc::default();
    let readers: Vec<_> = (0..READERS)
        .map(|n| {
            let (rest, path, whole) = (unit.rest.clone(), path.clone(), whole.clone());
            tokio::spawn(read_with_cuts(rest, path, n, whole))
        })
        .collect();
    let desk_unit = unit.desk();
    let desk = std::thread::spawn(move || {
        let mut n = 0;
        loop {
            let patient = Patient::named(&format!("Seam{n}"), "Test");
            let id = desk_unit.register_patient(&patient).unwrap();
            desk_unit.amend(Table::Patients, &id, &[("city", &"Porto")]).unwrap();
            if Instant::now() > stop {
                return id;
            }
            n += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    for slot in unit.slots(20).await {
        unit.rest.post(&unit.path("appointments"), unit.booking(&slot)).await.expect(201);
    }
    let last = desk.join().unwrap();
    let city = unit.path(&format!("patients/{last}"));
    eventually("the desk's last amendment", || async {
        (unit.rest.get(&city).await.body["city"] == "Porto").then_some(())
    })
    .await;
    let expected = settled(&unit).await;
    whole.set(expected[expected.len() - 1]).unwrap();
    let mut seen = Vec::new();
    for reader in readers {
        let within = tokio::time::timeout(tests_e2e::eventually::WITHIN, reader).await;
        seen.push(within.expect("a reader that has it all").unwrap());
    }
    assert!(expected.len() > 200, "hardly a load: {}", expected.len());
    for (n, (ids, cuts)) in seen.into_iter().enumerate() {
        println!("reader {n}: {} facts over {cuts} connections", ids.len());
        assert!(ids == expected, "reader {n}: {} of {}", ids.len(), expected.len());
    }
    let types = "&type=patients.patient_amended&type=scheduling.appointment_booked";
    let expected = listed(&unit, types).await;
    let mut filtered = unit.rest.stream(&unit.path(&format!("events?{}", &types[1..])), None).await;
    for seq in &expected {
        assert_eq!(filtered.next().await.unwrap().id, Some(*seq));
    }
    assert_eq!(filtered.next_within(Duration::from_millis(200)).await, None);
}

#[tokio::test]
async fn a_patients_app_hears_how_its_bookings_end_without_asking() {
    let net = Net::shared();
    let mut unit = net.unit("app").await;
    let patient = unit.some_patient();
    let app = app_of(&net, &unit, patient);
    let stream_path = format!("/v1/patients/{patient}/events");
    let mut stream = app.stream(&stream_path, None).await;
    let slots = unit.slots(4).await;
    let path = unit.path("appointments");
    // Granted while it listens.
    app.post(&path, unit.booking(&slots[0])).await.expect(201);
    let booked = until(&mut stream, "scheduling.appointment_booked").await;
    assert_eq!(booked.data["body"]["starts_at"], slots[0].starts_at.as_str());
    until(&mut stream, "requests.request_done").await;
    // The clinic goes away; three bookings wait: one loses to the desk, one runs out of time, and
    // one is taken back.
    unit.cut_off().await;
    let wait = [("prefer", "respond-async")];
    let brief = [("prefer", "respond-async"), ("arteria-expires", "2")];
    let loses = app.post_with(&path, &wait, unit.booking(&slots[1])).await.expect(202);
    let deadline = Clock::system().now().plus_ms(2_000);
    let expires = app.post_with(&path, &brief, unit.booking(&slots[2])).await.expect(202);
    let leaves = app.post_with(&path, &wait, unit.booking(&slots[3])).await.expect(202);
    unit.desk_takes(&slots[1]);
    app.delete(&leaves.must("location")).await.expect(202);
    let overdue = until(&mut stream, "request_overdue").await;
    let late_ms = Clock::system().now().unix_ms() - deadline.unix_ms();
    println!("overdue told {late_ms} ms after the deadline");
    assert!((-50..1_000).contains(&late_ms), "{late_ms} ms");
    assert_eq!((overdue.id, &overdue.data["request_id"]), (None, &expires.body["request_id"]));
    unit.connect().await;
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let heard = stream.next().await.expect("the words on three requests");
        if let Some(end) = heard.name.strip_prefix("requests.request_") {
            let request = heard.data["body"]["request_id"].as_str().unwrap().to_owned();
            ends.push((end.to_owned(), request));
        }
    }
    for (state, asked) in [("rejected", &loses), ("expired", &expires), ("cancelled", &leaves)] {
        let end = (state.to_owned(), asked.text("request_id"));
        assert!(ends.contains(&end), "{end:?} in {ends:?}");
    }
    // Another patient of the same unit hears nothing of it, and cannot listen here.
    let other = unit.desk().register_patient(&Patient::named("Other", "One")).unwrap();
    let others = app_of(&net, &unit, other);
    others.get(&stream_path).await.expect_problem(404, "not-found");
    let other_path = format!("/v1/patients/{other}/events");
    let mut theirs = others.stream(&other_path, None).await;
    until(&mut theirs, "patients.patient_registered").await;
    assert_eq!(theirs.next_within(Duration::from_millis(500)).await, None);
    let listed = app.get(&stream_path).await.expect(200);
    assert!(listed.items().iter().all(|item| item["patient_id"] != other.to_string().as_str()));
}

/// A unit that the test itself plays: it has no agent, and says only what it is told to.
struct Played {
    unit: UnitId,
    bus: kit_bus::Bus,
    last: u64,
}

impl Played {
    async fn say(&mut self, type_name: &str, patient: Option<Uuid>, body: Value) {
        self.last += 1;
        let fact = Fact {
            unit: self.unit.clone(),
            seq: UnitSeq::new(1, self.last),
            id: Uuid::new_v4(),
            type_name: type_name.to_owned(),
            version: 1,
            time: Clock::system().now(),
            subject: patient.map(|id| format!("patient/{id}")),
            patient_id: patient,
            causation_id: None,
            traceparent: None,
            body,
        };
        self.bus.publish_fact(&fact).await.unwrap();
    }
}

#[tokio::test]
async fn a_booking_that_lapsed_is_told_to_its_patient_though_the_fact_names_nobody() {
    let net = Net::shared();
    let unit: UnitId =
        format!("t-lapse-{}", &Uuid::new_v4().simple().to_string()[..8]).parse().unwrap();
    let patient = Uuid::new_v4();
    let mut played = Played { unit: unit.clone(), bus: net.bus().await, last: 0 };
    let opened = json!({"unit_id": unit, "time_zone": "UTC", "agent_version": "0"});
    played.say("units.epoch_opened", None, opened).await;
    let body = json!({"patient_id": patient, "family_name": "Silva", "active": true});
    played.say("patients.patient_registered", Some(patient), body).await;
    let app = net.rest(Kind::Patient, std::slice::from_ref(&unit), Some(patient));
    let stream_path = format!("/v1/patients/{patient}/events");
    let mut stream = app.stream(&stream_path, None).await;
    let wait = [("prefer", "respond-async")];
    let booking = json!({"patient_id": patient, "practitioner_id": Uuid::new_v4(),
        "starts_at": "2099-03-02T09:00:00Z", "ends_at": "2099-03-02T09:30:00Z"});
    let path = format!("/v1/units/{unit}/appointments");
    let asked = app.post_with(&path, &wait, booking).await.expect(202);
    let topic = kit_bus::Topic::Requests;
    let partition = played.bus.partition_of(unit.as_str());
    let high = played.bus.watermarks(topic, partition).await.unwrap().high;
    let log = played.bus.log_identity(topic, partition);
    let range = json!({"from": 0, "to": high, "log": log});
    played.say("requests.range_lapsed", None, range).await;
    let heard = until(&mut stream, "requests.range_lapsed").await;
    assert_eq!(heard.id, Some(UnitSeq::new(1, 3)));
    assert_eq!(heard.data["request_ids"], json!([asked.text("request_id")]));
    let tracked = app.get(&asked.must("location")).await.expect(200);
    assert_eq!(tracked.text("state"), "expired");
}

async fn metrics_of_gateway(net: &Net) -> String {
    let (_, addr) = net.admin_addrs().iter().find(|(role, _)| *role == "gateway").unwrap();
    reqwest::get(format!("http://{addr}/metrics")).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_stream_waits_out_a_projector_that_is_away_and_a_gateway_that_goes() {
    let mut net = Net::own("streams").await;
    let unit = net.unit("s").await;
    let path = unit.path("events");
    let mut stream = unit.rest.stream(&path, None).await;
    let mut seen = Vec::new();
    while let Some(heard) = stream.next_within(Duration::from_secs(2)).await {
        seen.extend(heard.id);
    }
    let told = metrics_of_gateway(&net).await;
    assert!(told.contains("arteria_sse_streams 1\n"), "{told}");
    for reason in ["client-left", "too-slow", "token-expired", "draining", "unavailable"] {
        let line = format!("arteria_sse_closed_total{{reason=\"{reason}\"}} 0");
        assert!(told.contains(&line), "{line} in {told}");
    }
    net.kill9("projector").await;
    for n in 0..50 {
        unit.desk().register_patient(&Patient::named(&format!("Away{n}"), "Test")).unwrap();
    }
    assert_eq!(stream.next_within(Duration::from_secs(1)).await, None);
    net.start_role("projector").await;
    for _ in 0..50 {
        seen.extend(stream.next().await.expect("the stream stays").id);
    }
    // The gateway dies without a word; the next one goes on after the last id.
    net.kill9("gateway").await;
    assert_eq!(stream.next().await, None);
    unit.desk().register_patient(&Patient::named("Between", "Test")).unwrap();
    net.start_role("gateway").await;
    let last = seen.last().map(UnitSeq::to_string);
    let mut stream = unit.rest.stream(&path, last.as_deref()).await;
    seen.extend(stream.next().await.expect("what came between").id);
    assert_eq!(seen, listed(&unit, "").await);
}

#[tokio::test]
async fn a_record_says_what_it_said_before_the_desk_amended_it() {
    let net = Net::shared();
    let unit = net.unit("asof").await;
    let desk = unit.desk();
    let id = desk.register_patient(&Patient::named("Silva", "Ana")).unwrap();
    let path = unit.path(&format!("patients/{id}"));
    let mut told: Vec<(UnitSeq, String)> = Vec::new();
    for city in ["", "Porto", "Braga", "Faro"] {
        if !city.is_empty() {
            desk.amend(Table::Patients, &id, &[("city", &city)]).unwrap();
        }
        let seen = eventually("the amendment", || async {
            let answer = unit.rest.get(&path).await;
            let holds = answer.status == 200 && (city.is_empty() || answer.body["city"] == city);
            holds.then_some(answer)
        })
        .await;
        let seq = seen.must("etag").trim_matches('"').parse().unwrap();
        told.push((seq, seen.body["city"].to_string()));
        // Another moment, by anybody's clock.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut first: Option<Timestamp> = None;
    for (seq, city) in &told {
        let then = unit.rest.get(&format!("{path}?as_of={seq}")).await.expect(200);
        let time: Timestamp = then.must("arteria-record-time").parse().unwrap();
        let by_time = unit.rest.get(&format!("{path}?as_of={time}")).await.expect(200);
        for then in [then, by_time] {
            assert_eq!(then.body["city"].to_string(), *city);
            assert_eq!(then.must("arteria-record-seq"), seq.to_string());
        }
        first.get_or_insert(time);
    }
    let early = format!("{path}?as_of={}", first.unwrap().plus_ms(-1));
    unit.rest.get(&early).await.expect_problem(404, "not-yet-known");
    let now = unit.rest.get(&path).await.expect(200);
    let last = unit.rest.get(&format!("/v1/patients/{id}?as_of={}", told[3].0)).await.expect(200);
    assert_eq!(last.body, now.body, "the same shape as the read model's");
    desk.delete(Table::Patients, &id).unwrap();
    eventually("the removal", || async {
        (unit.rest.get(&path).await.status == 404).then_some(())
    })
    .await;
    let gone = format!("{path}?as_of={}", Clock::system().now());
    let gone = unit.rest.get(&gone).await.expect_problem(404, "record-removed");
    let still = unit.rest.get(&format!("{path}?as_of={}", told[2].0)).await.expect(200);
    assert_eq!(still.body["city"], "Braga");
    let removed: UnitSeq = gone.must("arteria-record-seq").parse().unwrap();
    assert!(removed > told[3].0);
}
