//! What an operator sees: the fleet in one table, and the life of one request or fact.

use std::time::Instant;

use kit_bus::{Outgoing, Topic};
use kit_clock::Clock;
use kit_event::{Fact, UnitSeq};
use serde_json::Value;
use tests_e2e::{Net, Unit, eventually};
use units::Presence;
use uuid::Uuid;

/// As many units as the reference network has.
const UNITS: usize = 500;

async fn fleet(net: &Net) -> Vec<Value> {
    let text = net.arteria(&["fleet", "--json"]).await;
    let seen: Value = serde_json::from_str(&text).expect("JSON");
    seen["units"].as_array().expect("units").clone()
}

#[tokio::test]
async fn the_fleet_shows_the_sick_first_and_is_quick_with_five_hundred() {
    let net = Net::own("fleet").await;
    let (mut away, well) = (net.unit("away").await, net.unit("well").await);
    let slot = away.slots(1).await.remove(0);
    let body = away.booking(&slot);
    away.cut_off().await;
    let headers = [("prefer", "respond-async")];
    away.rest.post_with(&away.path("appointments"), &headers, body).await.expect(202);
    let seen = eventually("the request that waits", || async {
        let seen = fleet(&net).await;
        (seen[0]["open_requests"] == 1).then_some(seen)
    })
    .await;
    assert_eq!(seen[0]["unit"], away.id.as_str());
    assert_eq!(seen[0]["ails"], serde_json::json!(["away", "awaited"]));
    assert!(seen[0]["oldest_open_at"].is_string());
    assert_eq!((&seen[1]["unit"], &seen[1]["online"]), (&well.id.as_str().into(), &true.into()));
    assert_eq!(seen[1]["ails"], serde_json::json!([]));
    assert!(seen[1]["agent_version"].is_string() && seen[1]["applied_seq"].is_string());

    say_there_are(&net, UNITS).await;
    let begun = Instant::now();
    let table = net.arteria(&["fleet"]).await;
    let took = begun.elapsed();
    let first = table.lines().nth(2).unwrap_or_default();
    assert!(first.starts_with(away.id.as_str()) && first.ends_with("awaited away"), "{first}");
    assert_eq!(table.lines().count(), UNITS + 2 + 2);
    println!("the view of {} units took {} ms", UNITS + 2, took.as_millis());
    assert!(took.as_secs() < 10, "{took:?}");
    let sick = net.arteria(&["fleet", "--sick"]).await;
    assert!(!sick.contains(well.id.as_str()), "{sick}");
}

/// A registration that stands on the log `ahead` numbers above the last one of a unit that is away,
/// as if the log had lost what is between.
async fn registration_ahead(net: &Net, unit: &Unit, ahead: u64) -> Fact {
    // A domain that has nothing to read of a fact moves its numbers on a moment later.
    let (last, event) = eventually("all that the unit said to be read", || async {
        let shown = unit.rest.get(&format!("/v1/units/{}", unit.id)).await.expect(200);
        let path = unit.path("events?limit=1&type=patients.patient_registered");
        let events = unit.rest.get(&path).await.expect(200);
        let last = shown.text("unit_seq");
        (last == events.must("arteria-unit-seq")).then(|| (last, events.items().remove(0)))
    })
    .await;
    let last: UnitSeq = last.parse().unwrap();
    let text = |member: &str| event[member].as_str().unwrap().to_owned();
    let fact = Fact {
        unit: unit.id.clone(),
        seq: UnitSeq::new(last.epoch, last.seq + ahead),
        id: Uuid::new_v4(),
        type_name: text("type"),
        version: 1,
        time: Clock::system().now(),
        subject: Some(text("subject")),
        patient_id: Some(text("patient_id").parse().unwrap()),
        causation_id: None,
        traceparent: None,
        body: event["body"].clone(),
    };
    net.bus().await.publish_fact(&fact).await.expect("the log");
    fact
}

/// Cuts a unit off, and leaves a hole in its numbers on the log; the fact that stands above it.
pub async fn leave_a_hole(net: &Net, unit: &mut Unit) -> Fact {
    unit.desk().register_patient(&practice::Patient::named("Ana", "Before")).unwrap();
    eventually("her registration", || async {
        let path = unit.path("events?limit=1&type=patients.patient_registered");
        (!unit.rest.get(&path).await.expect(200).items().is_empty()).then_some(())
    })
    .await;
    unit.cut_off().await;
    registration_ahead(net, unit, 2).await
}

#[tokio::test]
async fn a_unit_with_a_number_missing_is_on_hold_until_the_number_is_there() {
    let net = Net::own("hold").await;
    let (mut unit, well) = (net.unit("hole").await, net.unit("well").await);
    let late = leave_a_hole(&net, &mut unit).await;
    let held = |seen: &[Value]| seen[0]["on_hold"].as_array().unwrap().len();
    let seen = eventually("every read model to hold the unit", || async {
        let seen = fleet(&net).await;
        (held(&seen) == all_stores::ALL.len()).then_some(seen)
    })
    .await;
    assert_eq!(seen[0]["unit"], unit.id.as_str());
    assert_eq!(seen[0]["ails"], serde_json::json!(["away", "on_hold"]));
    assert_eq!((held(&seen[1..]), &seen[1]["unit"]), (0, &well.id.as_str().into()));
    let sick = net.arteria(&["fleet", "--sick"]).await;
    assert!(sick.contains("timeline") && sick.contains("on-hold away"), "{sick}");
    let seq = late.seq.to_string();
    let told = net.arteria(&["trace", &seq, "--unit", unit.id.as_str()]).await;
    assert!(told.contains("not everywhere visible") && told.contains("timeline (at "), "{told}");

    // What is asked of the log again and again comes at last.
    registration_ahead(&net, &unit, 1).await;
    eventually("the hold to be over", || async {
        let seen = fleet(&net).await;
        seen.iter().all(|unit| unit["on_hold"] == serde_json::json!([])).then_some(())
    })
    .await;
    let told = net.arteria(&["trace", &seq, "--unit", unit.id.as_str()]).await;
    assert!(told.contains("every read model holds"), "{told}");
}

#[tokio::test]
async fn what_does_not_answer_is_a_gap_in_the_fleet_and_never_an_ailment() {
    const NOWHERE: &str = "127.0.0.1:1";
    let net = Net::own("gaps").await;
    let unit = net.unit("u").await;
    let view = async |variables: &[&str]| {
        let mut command = net.command("arteria");
        for name in variables {
            command.env(name, NOWHERE);
        }
        let output = command.args(["fleet", "--json"]).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let view: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        (output.status.success(), view, errors)
    };
    for (variable, gap) in [
        ("ARTERIA_KAFKA", "online"),
        ("ARTERIA_REGISTRY", "online"),
        ("ARTERIA_POSTGRES", "open_requests"),
    ] {
        let begun = Instant::now();
        let (is_fine, view, errors) = view(&[variable]).await;
        assert!(is_fine && begun.elapsed().as_secs() < 30, "{variable}: {errors}");
        let view = view.expect("JSON");
        let of_it = &view["units"][0];
        assert_eq!((&of_it["unit"], &of_it[gap]), (&unit.id.as_str().into(), &Value::Null));
        assert_eq!(of_it["ails"], serde_json::json!([]), "{variable}");
        assert_eq!(view["missing"].as_array().unwrap().len(), 1, "{variable}: {view}");
        assert!(errors.contains("not known: "), "{variable}: {errors}");
    }
    let (is_fine, view, errors) = view(&["ARTERIA_KAFKA", "ARTERIA_POSTGRES"]).await;
    assert!(!is_fine && view.is_none() && errors.contains("not known: "), "{errors}");
}

/// Presence of units that nobody knows otherwise.
async fn say_there_are(net: &Net, count: usize) {
    let (bus, now) = (net.bus().await, Clock::system().now());
    for n in 0..count {
        let unit = format!("many-{n:04}");
        let presence = Presence {
            unit_id: unit.parse().unwrap(),
            edge_id: None,
            conn_epoch: Some(0),
            since: now,
            agent_version: Some("0.1.0".to_owned()),
            applied_next: None,
            durable_seq: None,
            durable_id: None,
            facts_offset: None,
            log: None,
        };
        let record = Outgoing {
            topic: Topic::Presence,
            partition: None,
            key: unit,
            ce_id: Uuid::new_v4().to_string(),
            type_name: Presence::TYPE.to_owned(),
            version: 1,
            time: now,
            headers: Vec::new(),
            body: serde_json::to_value(&presence).unwrap(),
        };
        bus.publish(record).await.expect("the log");
    }
}

#[tokio::test]
async fn the_life_of_a_request_and_of_its_fact_is_told_from_the_log() {
    let net = Net::own("life").await;
    let unit = net.unit("u").await;
    let slot = unit.slots(1).await.remove(0);
    let booking = unit.booking(&slot);
    let patient = booking["patient_id"].as_str().unwrap().to_owned();
    let answer = unit.rest.post(&unit.path("appointments"), booking).await.expect(201);
    let (request, seq) = (answer.must("arteria-request"), answer.must("arteria-unit-seq"));
    let record = format!("appointments/{}", answer.text("appointment_id"));
    unit.rest.record(&unit.path(&record)).await;

    let life: Value = eventually("the delivery to be seen", || async {
        let text = net.arteria(&["trace", &request, "--json"]).await;
        let life: Value = serde_json::from_str(&text).expect("JSON");
        text.contains("\"delivered\"").then_some(life)
    })
    .await;
    let lines = life["lines"].as_array().unwrap();
    let said = |what: &str| lines.iter().filter(|line| line["what"] == what).count();
    assert_eq!((lines[0]["what"].as_str(), said("fact"), said("reply")), (Some("accepted"), 2, 1));
    assert!(lines[0]["place"].as_str().unwrap().starts_with("unit.requests/"));
    assert!(life["now"][0].as_str().unwrap().starts_with("done"), "{life}");

    // Analysts hear of it a moment later: the appointment and the request, each on its own topic.
    let text = eventually("both public events", || async {
        let text = net.arteria(&["trace", &request]).await;
        (text.matches(" published ").count() == 2).then_some(text)
    })
    .await;
    assert!(text.contains("domain.scheduling/") && text.contains("domain.requests/"), "{text}");
    assert!(text.contains("scheduling.appointment_booked") && text.contains(" ms "), "{text}");
    assert!(!text.contains(&patient), "{text}");
    let fact = net.arteria(&["trace", &seq, "--unit", unit.id.as_str()]).await;
    assert!(fact.contains("requests.request_done") && fact.contains(&request), "{fact}");
    assert!(fact.contains("every read model holds"), "{fact}");
}

#[tokio::test]
async fn the_life_of_a_cancelled_request_tells_of_the_cancel() {
    let net = Net::own("cancelled").await;
    let mut unit = net.unit("u").await;
    let slot = unit.slots(1).await.remove(0);
    let booking = unit.booking(&slot);
    unit.cut_off().await;
    let headers = [("prefer", "respond-async")];
    let answer = unit.rest.post_with(&unit.path("appointments"), &headers, booking).await;
    let location = answer.expect(202).must("location");
    let request = location.rsplit('/').next().unwrap().to_owned();
    unit.rest.delete(&location).await.expect(202);
    unit.connect().await;
    unit.rest.settled(&location).await;
    let text = net.arteria(&["trace", &request]).await;
    let order = ["accepted", "cancel ", "requests.request_cancelled", "now: cancelled"];
    let places: Vec<_> = order.iter().map(|word| text.find(word)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
}

#[tokio::test]
async fn what_the_log_does_not_hold_is_said_clearly_and_with_a_status() {
    let net = Net::own("nolife").await;
    let unknown = "hcu-0001.9f86d081884c7d659a2feaa0c55ad015";
    for (args, says) in [
        (vec!["trace", unknown], "holds nothing of"),
        (vec!["trace", "1-42", "--unit", "hcu-0001"], "holds nothing of"),
        (vec!["trace", "1-42"], "name it with --unit"),
        (vec!["trace", "nonsense"], "is no number of a fact"),
        (vec!["trace", unknown, "--unit", "hcu-0002"], "is a request to hcu-0001"),
        (vec!["reemit", "--unit", "nobody", "--seq", "1-2", "--subject", "a/b"], "its name right"),
        (vec!["fleet", "--edge", "http://edge-a"], "a host and a port"),
    ] {
        let output = net.command("arteria").args(&args).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(says), "{args:?}: {errors}");
    }
    let status = net.command("arteria").args(["trace", unknown]).status().await.unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn what_requests_came_to_is_counted_from_zero_and_measured_in_real_buckets() {
    let net = Net::own("counted").await;
    let (_, addr) = net.admin_addrs().iter().find(|(role, _)| *role == "gateway").unwrap();
    let page = |path: &'static str| async move {
        let answer = reqwest::get(format!("http://{addr}{path}")).await.expect("the admin port");
        answer.text().await.expect("text")
    };
    let counted = |page: &str, state: &str| {
        let labels = [r#"type="scheduling.book_appointment""#, &format!("state=\"{state}\"")];
        let of_it = |line: &&str| {
            line.starts_with("arteria_requests_total{") && labels.iter().all(|it| line.contains(it))
        };
        let line = page.lines().find(of_it).unwrap_or_else(|| panic!("no {state} in {page}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(page("/readyz").await, "ready\n");
    let before = page("/metrics").await;
    for state in ["done", "rejected", "expired", "cancelled", "undone", "accepted", "refused"] {
        assert_eq!(counted(&before, state), 0, "{state}");
    }
    assert!(before.contains("# HELP arteria_requests_total "), "{before}");

    let unit = net.unit("u").await;
    let slot = unit.slots(1).await.remove(0);
    let (path, body) = (unit.path("appointments"), unit.booking(&slot));
    unit.rest.post(&path, body.clone()).await.expect(201);
    unit.rest.post(&path, body).await.expect_problem(409, "slot-taken");
    let after = page("/metrics").await;
    assert_eq!((counted(&after, "done"), counted(&after, "rejected")), (1, 1));
    for series in [
        "arteria_request_seconds_bucket{type=\"scheduling.book_appointment\",le=\"60\"} 2",
        "arteria_dependency_up{name=\"kafka\"} 1",
        "# TYPE arteria_http_request_seconds histogram",
    ] {
        assert!(after.contains(series), "no {series} in {after}");
    }
}
