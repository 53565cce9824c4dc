//! Facts become rows, and rows are found.

use std::time::Instant;

use kit_event::{UnitId, UnitSeq};
use patients::PatientFact;
use patients_store::PatientFilter;
use scheduling::facts::AppointmentFact;
use scheduling_store::AppointmentFilter;
use serde_json::Value;
use uuid::Uuid;

use crate::unit::{appointment, appointment_fact, patient, patient_fact, registered, result_filed};
use crate::{Network, Unit, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_is_a_row_with_its_number_a_moment_later() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut slowest_ms = 0;
    for n in 1..=20 {
        let fact = unit.say(registered(n)).await;
        let since = Instant::now();
        eventually("the row", || async {
            let read = patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(n)).await;
            read.unwrap().value.is_some()
        })
        .await;
        slowest_ms = slowest_ms.max(since.elapsed().as_millis());
        let read =
            patients_store::patient(&network.reads, &unit.id, Uuid::from_u128(n)).await.unwrap();
        let row = read.value.unwrap();
        assert_eq!((row.state, row.seq, row.stale_since), (fact.body, fact.seq, None));
        let freshness = read.freshness.unwrap();
        assert_eq!((freshness.seq, freshness.as_of), (fact.seq, fact.time));
    }
    // A batch that waited to be filled would take its time with each of them.
    assert!(slowest_ms < 5_000, "{slowest_ms} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_found_by_the_beginning_of_any_name_without_case_and_accents() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let names = [("da Silva", "João"), ("Silvestre", "Ana"), ("Moreira", "Sílvia"), ("Zé", "Rui")];
    for (n, (family, given)) in (1..).zip(names) {
        unit.say(patient_fact(PatientFact::Registered, &patient(n, family, given))).await;
    }
    let mut other = Unit::open(&network.bus, "hcu-0002").await;
    other.say(patient_fact(PatientFact::Registered, &patient(99, "Silva", "Foreign"))).await;
    network.settle().await;
    let id = unit.id.clone();
    let found = async |filter| patients_found(&network, &id, filter).await;
    let named = |name: &str| PatientFilter { name: Some(name.to_owned()), ..Default::default() };
    assert_eq!(found(PatientFilter::default()).await, [1, 3, 2, 4]);
    assert_eq!(found(named("SILV")).await, [1, 3, 2]);
    assert_eq!(found(named("joao sil")).await, [1]);
    assert_eq!(found(named("ZE")).await, [4]);
    assert_eq!(found(named("ilva")).await, []);
    assert_eq!(found(named("-")).await, []);
    let mrn = Some("M-3".to_owned());
    assert_eq!(found(PatientFilter { mrn, ..Default::default() }).await, [3]);
    let birth_date = "1980-12-31".parse().ok();
    assert_eq!(found(PatientFilter { birth_date, ..named("ana") }).await, [2]);
    let birth_date = "1980-12-30".parse().ok();
    assert_eq!(found(PatientFilter { birth_date, ..Default::default() }).await, []);

    unit.say(patient_fact(PatientFact::Amended, &patient(1, "Costa", "João"))).await;
    unit.say(patient_fact(PatientFact::Removed, &patient(3, "Moreira", "Sílvia"))).await;
    network.settle().await;
    assert_eq!(found(named("silv")).await, [2]);
    assert_eq!(found(named("costa")).await, [1]);
    // The same words in another order: found as before, listed elsewhere.
    unit.say(patient_fact(PatientFact::Amended, &patient(2, "Ana", "Silvestre"))).await;
    unit.say(patient_fact(PatientFact::Amended, &patient(1, "Silva", "Costa"))).await;
    unit.say(patient_fact(PatientFact::Amended, &patient(1, "Costa", "Silva"))).await;
    network.settle().await;
    assert_eq!(found(named("sil")).await, [2, 1]);
    let keys = "select count(*) from patients.patient_word w
                where not exists (select from patients.patient p where p.unit = w.unit
                      and p.patient_id = w.patient_id and p.sort_name = w.sort_name)";
    assert_eq!(network.count(keys).await, 0);
    assert_eq!(network.count("select count(*) from patients.patient where removed").await, 1);
    let all = PatientFilter::default();
    let bad = patients_store::patients(&network.reads, &unit.id, &all, Some("mine"), 1).await;
    assert!(matches!(bad, Err(kit_store::StoreError::BadCursor)));
    let home = patients_store::unit_of_patient(&network.reads, Uuid::from_u128(99)).await.unwrap();
    assert_eq!(home, Some(other.id));
}

/// Patients of a clinic that joins.
const JOINING: u128 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn patients_of_a_clinic_that_joins_lie_beside_their_neighbours_of_the_list() {
    let network = Network::bare(2).await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    for n in 1..=JOINING {
        // A stride without a common factor: no neighbours by id are neighbours by name.
        let family = format!("Family {:03}", n * 89 % JOINING);
        unit.say(patient_fact(PatientFact::Snapshot, &patient(n, &family, "Given"))).await;
    }
    network.start(None);
    network.ready().await;
    network.settle().await;
    let backwards = "select count(*) from (
                         select ctid, lag(ctid) over (order by sort_name, patient_id) as before
                         from patients.patient) listed where ctid < before";
    // Once where the batch ends; in the order of ids it is every second time.
    let turns = network.count(backwards).await;
    assert!(turns <= 10, "the list turns back {turns} times in {JOINING}");
}

#[tokio::test(flavor = "multi_thread")]
async fn appointments_are_listed_by_time_and_those_without_one_come_last() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let starts =
        ["2026-03-02T10:00:00Z", "tomorrow", "2026-03-01T10:00:00Z", "2026-03-03T09:00:00Z"];
    for (n, starts_at) in (1..).zip(starts) {
        let booked = appointment(n, starts_at);
        unit.say(appointment_fact(AppointmentFact::Booked, &booked)).await;
    }
    let mut cancelled = appointment(4, starts[3]);
    cancelled.status = Some("cancelled".to_owned());
    unit.say(appointment_fact(AppointmentFact::Cancelled, &cancelled)).await;
    network.settle().await;
    let found = async |filter| appointments_found(&network, &unit.id, filter).await;
    let all = AppointmentFilter::default();
    assert_eq!(found(all.clone()).await, [3, 1, 4, 2]);
    let from = "2026-03-02T10:00:00Z".parse().ok();
    assert_eq!(found(AppointmentFilter { from, ..all.clone() }).await, [1, 4]);
    assert_eq!(found(AppointmentFilter { to: from, ..all.clone() }).await, [3]);
    let status = Some("booked".to_owned());
    assert_eq!(found(AppointmentFilter { status, ..all.clone() }).await, [3, 1, 2]);
    let practitioner_id = Some(Uuid::from_u128(2));
    assert_eq!(found(AppointmentFilter { practitioner_id, from, ..all.clone() }).await, [1, 4]);
    let patient_id = Some(Uuid::from_u128(7));
    assert_eq!(found(AppointmentFilter { patient_id, ..all }).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_no_domain_knows_goes_to_the_timeline_and_moves_all_numbers() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    unit.say(registered(1)).await;
    let filed = unit.say(result_filed(1)).await;
    unit.say(registered(2)).await;
    network.settle().await;
    let filter = kit_timeline::EventFilter {
        after: UnitSeq::new(1, 1),
        types: vec![filed.type_name.clone()],
        patient_id: None,
    };
    let lines = kit_timeline::events(&network.reads, &unit.id, &filter, 10).await.unwrap();
    assert_eq!(lines.value.len(), 1);
    assert_eq!((lines.value[0].id, &lines.value[0].body), (filed.id, &filed.body));
    let patient_id = Some(Uuid::from_u128(2));
    let filter = kit_timeline::EventFilter { patient_id, ..Default::default() };
    let lines = kit_timeline::events(&network.reads, &unit.id, &filter, 10).await.unwrap();
    assert_eq!(lines.value.iter().map(|line| line.seq).collect::<Vec<_>>(), [unit.at]);
    let schemas = projector::domains::ALL.map(kit_store::Projection::schema);
    let freshness = kit_store::freshness(&network.reads, &unit.id, &schemas).await.unwrap();
    assert_eq!(freshness.unwrap().seq, unit.at);
    let unknown = "hcu-9999".parse().unwrap();
    assert_eq!(kit_store::freshness(&network.reads, &unknown, &schemas).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn units_tell_of_themselves() {
    let network = Network::running().await;
    let mut one = Unit::open(&network.bus, "hcu-0001").await;
    let two = Unit::open(&network.bus, "hcu-0002").await;
    one.say(one.seeded(&["patient"])).await;
    one.say(registered(1)).await;
    network.settle().await;
    let row = units_store::unit(&network.reads, &one.id).await.unwrap().unwrap();
    assert_eq!((row.time_zone.as_str(), row.epoch, row.seeded), ("Europe/Lisbon", 1, true));
    assert_eq!(row.last.unwrap().seq, one.at);
    assert!(!units_store::unit(&network.reads, &two.id).await.unwrap().unwrap().seeded);
    let page = units_store::units(&network.reads, None, None, 1).await.unwrap();
    assert_eq!(page.items[0].unit, one.id);
    let page = units_store::units(&network.reads, None, page.next.as_deref(), 1).await.unwrap();
    assert_eq!((page.items[0].unit.clone(), page.next), (two.id.clone(), None));
    let only = [two.id.clone()];
    let page = units_store::units(&network.reads, Some(&only), None, 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

/// The ids of a search, a page of one at a time.
async fn patients_found(network: &Network, unit: &UnitId, filter: PatientFilter) -> Vec<u128> {
    let mut ids = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let pool = &network.reads;
        let read =
            patients_store::patients(pool, unit, &filter, after.as_deref(), 1).await.unwrap();
        ids.extend(read.value.items.iter().map(|row| id_in(&row.state, "patient_id")));
        after = read.value.next;
        if after.is_none() {
            return ids;
        }
    }
}

/// The ids of a list, a page of two at a time.
async fn appointments_found(
    network: &Network,
    unit: &UnitId,
    filter: AppointmentFilter,
) -> Vec<u128> {
    let mut ids = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let pool = &network.reads;
        let read =
            scheduling_store::appointments(pool, unit, &filter, after.as_deref(), 2).await.unwrap();
        ids.extend(read.value.items.iter().map(|row| id_in(&row.state, "appointment_id")));
        after = read.value.next;
        if after.is_none() {
            return ids;
        }
    }
}

fn id_in(state: &Value, field: &str) -> u128 {
    state[field].as_str().unwrap().parse::<Uuid>().unwrap().as_u128()
}
