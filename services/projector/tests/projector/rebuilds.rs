//! A domain is rebuilt beside its live copy, switched to, gone back from; readers notice nothing.

use std::sync::Mutex;
use std::time::Duration;

use kit_store::Place;
use patients::PatientFact;
use projector::domains;
use projector::rebuild::{Comparison, How, Outcome, Rebuild, RebuildError, Told};
use requests::control::Resend;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::readers::Readers;
use crate::replays::history;
use crate::unit::{patient, patient_fact, registered, result_filed};
use crate::{Network, Unit, eventually};

/// What a rebuild told.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<Told>>);

impl Heard {
    fn comparison(&self) -> Comparison {
        let told = self.0.lock().unwrap();
        let found = told.iter().rev().find_map(|one| match one {
            Told::Compared { comparison, .. } => Some(comparison.clone()),
            Told::Read { .. } | Told::Waits { .. } | Told::Switched { .. } => None,
        });
        found.unwrap()
    }
}

pub(crate) async fn rebuild(network: &Network, name: &str, how: How) -> (Outcome, Heard) {
    let (host, heard) = (network.host(), Heard::default());
    let domain = domains::chosen(Some(name)).unwrap()[0];
    let tell = |told: &Told| heard.0.lock().unwrap().push(told.clone());
    let outcome = Rebuild::claim(&host, domain, &tell).await.unwrap().run(how).await.unwrap();
    (outcome, heard)
}

pub(crate) async fn go_back(network: &Network, name: &str) -> Outcome {
    let host = network.host();
    let domain = domains::chosen(Some(name)).unwrap()[0];
    Rebuild::claim(&host, domain, &|_| {}).await.unwrap().go_back().await.unwrap()
}

async fn copy(network: &Network, name: &str) -> Uuid {
    let sql = format!("select id from {name}.copy");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&network.admin).await.unwrap()
}

async fn stands(network: &Network, name: &str, place: Place) -> bool {
    let sql = format!("select count(*) from pg_namespace where nspname = '{}'", place.schema(name));
    network.count(&sql).await == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_domain_is_rebuilt_to_the_same_rows_while_it_is_read_and_written() {
    let network = Network::running().await;
    history(&network).await;
    let mut unit = Unit::open(&network.bus, "hcu-0009").await;
    for n in 1..=20 {
        unit.say(registered(n)).await;
    }
    network.settle().await;
    let readers = Readers::start(&network, &unit.id);
    let writing = tokio::spawn(async move {
        for n in 21..=400 {
            unit.say(registered(n)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unit
    });
    for domain in domains::ALL {
        let name = domain.schema();
        let before = copy(&network, name).await;
        let (outcome, heard) = rebuild(&network, name, How::default()).await;
        assert_eq!(outcome, Outcome::Switched);
        assert!(heard.comparison().is_equal(), "{:?}", heard.comparison());
        assert_ne!(copy(&network, name).await, before);
        assert!(stands(&network, name, Place::Previous).await);
        assert!(!stands(&network, name, Place::Next).await);
    }
    let mut unit = writing.await.unwrap();
    network.settle().await;
    let asked = readers.end().await;
    assert!(asked > 100, "{asked} reads");
    // The projector followed by itself, and what comes now is written to the new copies alone.
    for _ in 0..3 {
        unit.say(result_filed(1)).await;
    }
    network.settle().await;
    assert_eq!(
        network.count("select max(seq) from timeline.applied where unit = 'hcu-0009'").await,
        404
    );
    let kept = "select max(seq) from timeline__previous.applied where unit = 'hcu-0009'";
    assert!(network.count(kept).await < 404);
    assert!(!network.life.soft().is_cancelled(), "the process goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_over_prepared_statements_survive_a_switch_back_and_forth() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=50 {
        unit.say(registered(n)).await;
    }
    network.settle().await;
    let readers = Readers::start(&network, &unit.id);
    for name in ["patients", "timeline"] {
        let (outcome, _) = rebuild(&network, name, How::default()).await;
        assert_eq!(outcome, Outcome::Switched);
    }
    for n in 51..=60 {
        unit.say(registered(n)).await;
        for name in ["patients", "timeline"] {
            assert_eq!(go_back(&network, name).await, Outcome::Switched);
        }
    }
    network.settle().await;
    let asked = readers.end().await;
    assert!(asked > 100, "{asked} reads");
    assert_eq!(network.count("select count(*) from patients.patient").await, 60);
    assert_eq!(network.count("select count(*) from timeline.fact").await, 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_differs_is_not_switched_to_before_somebody_says_so() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=40 {
        unit.say(registered(n)).await;
    }
    network.settle().await;
    let tamper = "update patients.patient set mrn = 'nobody said so'
                  where patient_id = any(array(select patient_id from patients.patient limit 3));
                  delete from patients.patient_word where word = '7'";
    sqlx::raw_sql(tamper).execute(&network.admin).await.unwrap();
    let before = copy(&network, "patients").await;
    let (outcome, heard) = rebuild(&network, "patients", How::default()).await;
    assert_eq!(outcome, Outcome::Differs);
    assert_eq!(copy(&network, "patients").await, before);
    let found = heard.comparison();
    let table = |name: &str| found.tables.iter().find(|one| one.table == name).unwrap().clone();
    let (rows, words) = (table("patient"), table("patient_word"));
    assert_eq!((rows.differing, rows.only_live, rows.only_next), (3, 0, 0));
    assert_eq!((words.differing, words.only_live, words.only_next), (0, 0, 1));
    assert!(table("applied").is_equal() && table("home").is_equal());
    let shown = heard.0.lock().unwrap().iter().map(Told::to_string).collect::<String>();
    assert!(shown.contains("key 00000000-0000-0000-0000-"), "{shown}");
    assert!(!shown.contains("nobody") && !shown.contains("Family"), "{shown}");

    let how = How { resume: true, accept_differences: true, ..How::default() };
    let (outcome, _) = rebuild(&network, "patients", how).await;
    assert_eq!(outcome, Outcome::Switched);
    let wrong = "select count(*) from patients.patient where mrn = 'nobody said so'";
    assert_eq!(network.count(wrong).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_killed_at_any_moment_harms_nothing_and_is_run_again() {
    let network = Network::running().await;
    history(&network).await;
    network.settle().await;
    let expected = network.dump().await;
    let readers = Readers::start_quiet(&network);
    let mut switched = 0;
    for life_ms in (0..900).step_by(45) {
        let (host, domain) = (network.host(), domains::chosen(Some("requests")).unwrap()[0]);
        let how = How { resume: life_ms % 2 == 1, ..How::default() };
        let work = tokio::spawn(async move {
            let claimed = loop {
                // The connection of the one killed before may live a moment longer.
                match Rebuild::claim(&host, domain, &|_| {}).await {
                    Err(RebuildError::Claimed { .. }) => {}
                    other => break other,
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            claimed.unwrap().run(how).await
        });
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        work.abort();
        switched += u32::from(work.await.is_ok());
    }
    let (outcome, heard) = rebuild_again(&network, "requests").await;
    assert_eq!(outcome, Outcome::Switched, "after {switched} that had time enough");
    assert!(heard.comparison().is_equal());
    network.settle().await;
    assert_eq!(network.dump().await, expected);
    readers.end().await;
}

async fn rebuild_again(network: &Network, name: &str) -> (Outcome, Heard) {
    eventually("the claim", || async {
        let (host, domain) = (network.host(), domains::chosen(Some(name)).unwrap()[0]);
        Rebuild::claim(&host, domain, &|_| {}).await.is_ok()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    rebuild(network, name, How::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_timeline_asks_parks_and_alarms_nobody_again() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let twice = unit.say(registered(1)).await;
    let mut other = twice.clone();
    other.id = Uuid::new_v4();
    network.bus.publish_fact(&other).await.unwrap();
    let mut holed = Unit::open(&network.bus, "hcu-0002").await;
    let _missing = holed.next(registered(3));
    holed.say(registered(4)).await;
    eventually("the resends and the new epoch", || async {
        network.controls(Resend::TYPE).await.len() == 1
            && network.count("select count(*) from timeline.fork where told").await == 1
    })
    .await;
    network.settle().await;
    let parked = network.records(kit_bus::Topic::Parked).await.len();
    let controls = network.records(kit_bus::Topic::Requests).await.len();
    assert_eq!((parked, controls), (1, 2));
    let (outcome, _) = rebuild(&network, "timeline", How::default()).await;
    assert_eq!(outcome, Outcome::Switched);
    unit.say(registered(2)).await;
    network.settle().await;
    // The silent unit was asked once; its hole is known to the new copy, and that it was asked.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(network.records(kit_bus::Topic::Parked).await.len(), parked);
    assert_eq!(network.controls(Resend::TYPE).await.len(), 1);
    assert_eq!(network.records(kit_bus::Topic::Requests).await.len(), controls);
    assert_eq!(network.count("select count(*) from timeline.fork where told").await, 1);
    assert_eq!(network.count("select count(*) from timeline.repair where asked = 1").await, 1);
    assert_eq!(network.count("select count(*) from timeline.held").await, 1);
}

/// Makes the patients' tables such that nothing more may be read into them, and goes on as an
/// operator does who has looked into it.
async fn halted_and_rebuilt(make: &'static str) {
    let mut network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    network.settle().await;
    network.stop().await;
    sqlx::query(make).execute(&network.admin).await.unwrap();
    network.start(None);
    unit.say(registered(2)).await;
    eventually("the others are ready", || async {
        network.life.readiness().waiting_for() == ["patients"]
    })
    .await;
    let (outcome, heard) = rebuild(&network, "patients", How::default()).await;
    assert_eq!(outcome, Outcome::Differs);
    assert!(heard.comparison().partitions_apart > 0);
    let patients = "select count(*) from patients.patient";
    assert_eq!(network.count(patients).await, 1, "nothing was read meanwhile");
    let how = How { resume: true, accept_differences: true, drop_previous: true };
    let (outcome, _) = rebuild(&network, "patients", how).await;
    assert_eq!(outcome, Outcome::Switched);
    assert!(!stands(&network, "patients", Place::Previous).await);
    network.ready().await;
    unit.say(registered(3)).await;
    network.settle().await;
    assert_eq!(network.count(patients).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_domain_goes_on_by_itself_once_it_is_rebuilt() {
    halted_and_rebuilt("update patients.offsets set next_offset = next_offset + 1000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_whose_rows_came_from_another_cluster_takes_none_of_this_one() {
    halted_and_rebuilt("update patients.log set cluster = 'of another network'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rebuilds_keep_each_other_out_and_what_is_not_there_is_said() {
    let network = Network::running().await;
    let (host, domain) = (network.host(), domains::chosen(Some("units")).unwrap()[0]);
    let one = Rebuild::claim(&host, domain, &|_| {}).await.unwrap();
    let two = Rebuild::claim(&host, domain, &|_| {}).await.err().unwrap();
    assert!(matches!(two, RebuildError::Claimed { domain: "units" }));
    let nothing = one.go_back().await.unwrap_err();
    assert!(matches!(nothing, RebuildError::NoCopy { place: Place::Previous, .. }));
    rebuild_again(&network, "units").await;
    let (host, domain) = (network.host(), domains::chosen(Some("units")).unwrap()[0]);
    eventually("the claim", || async { Rebuild::claim(&host, domain, &|_| {}).await.is_ok() })
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let again = Rebuild::claim(&host, domain, &|_| {}).await.unwrap();
    assert_eq!(again.drop_others().await.unwrap(), [Place::Previous]);
    assert!(!stands(&network, "units", Place::Previous).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_the_log_has_forgotten_are_taken_over_from_the_live_copy() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 0..6 {
        network.bus.publish_request(&unit.request(&format!("old {n}"), 1)).await.unwrap();
    }
    network.settle().await;
    let ended = unit.request("old 3", 1);
    let decided_at = kit_event::Timestamp::from_unix_ms(1_772_357_500_000);
    let word = requests::RequestOutcome::new(ended.id, requests::FinalState::Done, decided_at);
    let fact = requests::Fact::Request(requests::RequestFact::Done, word);
    unit.say(fact.observed().unwrap()).await;
    network.forget_requests().await;
    for n in 0..3 {
        network.bus.publish_request(&unit.request(&format!("new {n}"), 1)).await.unwrap();
    }
    network.settle().await;
    let before = network.dump().await;
    let (outcome, heard) = rebuild(&network, "requests", How::default()).await;
    assert_eq!(outcome, Outcome::Switched);
    assert!(heard.comparison().is_equal(), "{:?}", heard.comparison());
    assert_eq!(network.dump().await, before);
    assert_eq!(network.count("select count(*) from requests.request").await, 9);
    // The way back leads over a gap too: what the previous copy never read is gone by then.
    for n in 3..5 {
        network.bus.publish_request(&unit.request(&format!("new {n}"), 1)).await.unwrap();
    }
    network.settle().await;
    network.forget_requests().await;
    unit.say(patient_fact(PatientFact::Registered, &patient(1, "One", "Given"))).await;
    network.settle().await;
    let before = network.dump().await;
    assert_eq!(go_back(&network, "requests").await, Outcome::Switched);
    network.settle().await;
    assert_eq!(network.dump().await, before);
    assert_eq!(network.count("select count(*) from requests.request").await, 11);
}
