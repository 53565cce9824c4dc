//! What records said then.

mod desk;
mod live;

use desk::{Answer, OTHER, PATIENT, UNIT};
use gateway::streams::Bounds;
use kit_event::Timestamp;
use kit_token::Kind;
use live::{Clinic, Live, Told};
use serde_json::json;

/// The hour `hour` of the day of the test.
fn at(hour: i64) -> Timestamp {
    let day: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    day.plus_ms(hour * 3_600_000)
}

fn patient(fact: &str, id: &str, family: &str, hour: i64) -> Told {
    let body = json!({"patient_id": id, "family_name": family, "birth_date": "1980-01-31",
                      "active": true, "mrn": null});
    let told = Told::new(&format!("patients.patient_{fact}"), id.parse().ok(), body);
    Told { time: at(hour), ..told.about(format!("patient/{id}")) }
}

async fn ask(live: &Live, kind: Kind, id: &str, as_of: &str) -> Answer {
    let path = format!("/v1/units/{UNIT}/patients/{id}?as_of={as_of}");
    live.desk.call(kind, "GET", &path, &[], None).await
}

/// 1-1 something else, 1-2 Silva at 8, 1-3 Costa at 9, 1-4 another patient, 1-5 Melo at 10, 1-6
/// removed at 12.
async fn history(clinic: &Clinic) {
    clinic
        .state(&[Told::new("a.b", None, json!({})), patient("registered", PATIENT, "Silva", 8)])
        .await;
    clinic.state(&[patient("amended", PATIENT, "Costa", 9)]).await;
    let withheld = Told::new("units.fact_withheld", PATIENT.parse().ok(), json!({"unit_id": UNIT}));
    clinic
        .state(&[
            patient("registered", OTHER, "Other", 10),
            patient("amended", PATIENT, "Melo", 10),
            patient("removed", PATIENT, "Melo", 12),
            Told { time: at(13), ..withheld.about(format!("patient/{PATIENT}")) },
        ])
        .await;
}

#[tokio::test]
async fn a_record_is_what_its_last_fact_by_then_said() {
    let live = Live::start(Bounds::default()).await;
    live.home(PATIENT).await;
    history(&live.clinic()).await;
    for (as_of, name, seq, hour) in [
        ("1-2", "Silva", "1-2", 8),
        ("1-3", "Costa", "1-3", 9),
        ("1-4", "Costa", "1-3", 9),
        ("1-5", "Melo", "1-5", 10),
        ("2026-03-02T08:00:00Z", "Silva", "1-2", 8),
        ("2026-03-02T10:59:59%2B01:00", "Costa", "1-3", 9),
        ("2026-03-02T10:00:00.000Z", "Melo", "1-5", 10),
    ] {
        for kind in [Kind::Staff, Kind::Patient] {
            let answer = ask(&live, kind, PATIENT, as_of).await;
            assert_eq!(answer.status, 200, "{as_of}: {}", answer.body);
            assert_eq!(answer.body["family_name"], name, "{as_of}");
            assert!(answer.body.get("mrn").is_none(), "as the read model gives it");
            assert_eq!(answer.header("arteria-record-seq"), seq, "{as_of}");
            assert_eq!(answer.header("arteria-record-time"), at(hour).to_string());
            assert_eq!(answer.header("etag"), format!("\"{seq}\""));
            assert_eq!(answer.header("arteria-unit-seq"), "1-7");
        }
    }
    let anywhere = format!("/v1/patients/{PATIENT}?as_of=1-3");
    let answer = live.desk.call(Kind::Patient, "GET", &anywhere, &[], None).await;
    assert_eq!(answer.body["family_name"], "Costa");
    let had = [("if-none-match", "\"1-3\"")];
    assert_eq!(live.desk.call(Kind::Patient, "GET", &anywhere, &had, None).await.status, 304);
}

#[tokio::test]
async fn before_its_first_fact_and_after_its_removal_it_is_told_which() {
    let live = Live::start(Bounds::default()).await;
    history(&live.clinic()).await;
    for early in ["0-0", "1-1", "2026-03-02T07:59:59.999Z", "1999-01-01T00:00:00Z"] {
        let answer = ask(&live, Kind::Staff, PATIENT, early).await;
        assert_eq!(answer.problem(), (404, "not-yet-known"), "{early}");
        let answer = ask(&live, Kind::Patient, PATIENT, early).await;
        assert_eq!(answer.problem(), (404, "not-yet-known"), "{early}");
    }
    for late in ["1-6", "1-7", "2026-03-02T12:00:00Z", "2026-03-03T00:00:00Z"] {
        let answer = ask(&live, Kind::Staff, PATIENT, late).await;
        assert_eq!(answer.problem(), (404, "record-removed"), "{late}");
        assert_eq!(answer.header("arteria-record-seq"), "1-6");
        assert_eq!(answer.header("arteria-record-time"), at(12).to_string());
    }
    let never = "7f4df1a5-3333-4333-8333-333333333333";
    assert_eq!(ask(&live, Kind::Staff, never, "1-5").await.problem(), (404, "not-found"));
    assert_eq!(ask(&live, Kind::Patient, OTHER, "1-5").await.problem(), (404, "not-found"));
}

#[tokio::test]
async fn a_moment_that_does_not_read_or_has_not_come_is_refused() {
    let live = Live::start(Bounds::default()).await;
    history(&live.clinic()).await;
    let far = "9".repeat(3000);
    for bad in ["now", "1", "1-x", "-1-2", "2026-03-02", "1-18446744073709551615", "%00", &far] {
        let answer = ask(&live, Kind::Staff, PATIENT, bad).await;
        assert_eq!(answer.problem(), (400, "invalid-parameter"), "{bad}");
    }
    let future = live.desk.clock.now().plus_ms(3_600_000);
    let answer = ask(&live, Kind::Staff, PATIENT, &future.to_string()).await;
    assert_eq!(answer.problem(), (400, "invalid-parameter"));
    let now = live.desk.clock.now().plus_ms(1_000);
    let answer = ask(&live, Kind::Staff, OTHER, &now.to_string()).await;
    assert_eq!(answer.status, 200, "a caller's clock may be a little ahead");
    let twice = format!("/v1/units/{UNIT}/patients/{PATIENT}?as_of=1-2&as_of=1-3");
    let answer = live.desk.call(Kind::Staff, "GET", &twice, &[], None).await;
    assert_eq!(answer.problem(), (400, "invalid-parameter"));
    let answer = ask(&live, Kind::Staff, PATIENT, "1-8").await;
    assert_eq!(answer.problem(), (503, "read-model-behind"));
    assert_eq!(answer.header("arteria-unit-seq"), "1-7");
}

#[tokio::test]
async fn what_comes_in_time_is_waited_for_and_a_new_epoch_withdraws_what_it_does_not_state() {
    let live = Live::start(Bounds::default()).await;
    let mut clinic = live.clinic();
    clinic.state(&[patient("registered", PATIENT, "Silva", 8)]).await;
    let (answer, ()) = tokio::join!(ask(&live, Kind::Staff, PATIENT, "1-2"), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        clinic.state(&[patient("amended", PATIENT, "Costa", 9)]).await;
    });
    assert_eq!(answer.body["family_name"], "Costa");
    clinic.begin_epoch();
    let seeded = |hour, resources| Told {
        time: at(hour),
        ..Told::new("units.epoch_seeded", None, json!({"things": resources}))
    };
    clinic
        .state(&[Told { time: at(10), ..Told::new("units.epoch_opened", None, json!({})) }])
        .await;
    clinic.state(&[patient("snapshot", OTHER, "Other", 10), seeded(11, json!(["invoice"]))]).await;
    // What an epoch did not set out to state is not withdrawn by it.
    assert_eq!(ask(&live, Kind::Staff, PATIENT, "2-3").await.body["family_name"], "Costa");
    clinic.state(&[seeded(12, json!(["appointment", "patient"]))]).await;
    assert_eq!(ask(&live, Kind::Staff, PATIENT, "2-3").await.body["family_name"], "Costa");
    for as_of in ["2-4", "2026-03-02T12:00:00Z"] {
        let answer = ask(&live, Kind::Staff, PATIENT, as_of).await;
        assert_eq!(answer.problem(), (404, "record-removed"), "{as_of}");
        assert_eq!(answer.header("arteria-record-seq"), "1-2");
        assert_eq!(ask(&live, Kind::Staff, OTHER, as_of).await.body["family_name"], "Other");
    }
    let before = ask(&live, Kind::Staff, PATIENT, "2026-03-02T11:59:00Z").await;
    assert_eq!(before.body["family_name"], "Costa");
}

#[tokio::test]
async fn appointments_have_a_past_too_and_it_is_their_patients() {
    let live = Live::start(Bounds::default()).await;
    let clinic = live.clinic();
    let id = "7f4df1a5-5555-4555-8555-555555555555";
    let fact = |kind: &str, status: &str| {
        let body = json!({"appointment_id": id, "patient_id": OTHER, "practitioner_id": PATIENT,
            "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:30:00Z",
            "status": status});
        Told::new(&format!("scheduling.appointment_{kind}"), OTHER.parse().ok(), body)
            .about(format!("appointment/{id}"))
    };
    clinic.state(&[fact("booked", "booked"), fact("cancelled", "cancelled")]).await;
    let path = |as_of: &str| format!("/v1/units/{UNIT}/appointments/{id}?as_of={as_of}");
    for (as_of, status) in [("1-1", "booked"), ("1-2", "cancelled")] {
        let answer = live.desk.call(Kind::Staff, "GET", &path(as_of), &[], None).await;
        assert_eq!(answer.body["status"], status);
    }
    for as_of in ["0-0", "1-1", "1-2"] {
        let answer = live.desk.call(Kind::Patient, "GET", &path(as_of), &[], None).await;
        assert_eq!(answer.problem(), (404, "not-found"), "another patient's");
    }
}
