//! Who has said something, where two could have: ids of patients, and of callers.

use patients::PatientFact;
use uuid::Uuid;

use crate::poison::{is_there, put, record_of_next};
use crate::unit::{patient, patient_fact, registered};
use crate::{Network, Unit};

/// As a rebuild reads partitions: in no order between them.
#[tokio::test(flavor = "multi_thread")]
async fn a_patient_id_is_the_units_that_claimed_it_first_on_the_log_whichever_is_read_first() {
    let network = Network::running().await;
    let mut owner = Unit::open(&network.bus, "hcu-0001").await;
    let mut thief = Unit::open(&network.bus, "hcu-0002").await;
    thief.say(registered(1)).await;
    thief.say(registered(2)).await;
    network.settle().await;
    assert!(is_there(&network, &thief, 1).await);
    let mut earlier = record_of_next(&network, &mut owner, 1).await;
    earlier.timestamp_ms -= 60_000;
    put(&network, &earlier).await;
    network.settle().await;
    assert!(is_there(&network, &owner, 1).await && !is_there(&network, &thief, 1).await);
    assert!(is_there(&network, &thief, 2).await);
    let home = patients_store::unit_of_patient(&network.reads, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(home, Some(owner.id.clone()));
    let words = "select count(*) from patients.patient_word where unit = 'hcu-0002'
                 and patient_id <> '00000000-0000-0000-0000-000000000002'";
    assert_eq!(network.count(words).await, 0);
    // Once removed it is still the owner's: nobody else's statement takes the id over.
    let removed = patient_fact(PatientFact::Removed, &patient(1, "Family 1", "Given"));
    owner.say(removed).await;
    network.settle().await;
    thief.say(registered(1)).await;
    network.settle().await;
    assert!(!is_there(&network, &thief, 1).await);
    let home = patients_store::unit_of_patient(&network.reads, Uuid::from_u128(1)).await.unwrap();
    assert_eq!(home, Some(owner.id));
}

/// An index entry has a greatest size, which a caller's id must not reach.
#[tokio::test(flavor = "multi_thread")]
async fn an_actor_without_end_is_kept_and_told_from_another_by_all_of_it() {
    let network = Network::running().await;
    let unit = Unit::open(&network.bus, "hcu-0001").await;
    let actors: Vec<String> = ["a", "b"].map(|end| format!("patient:{}{end}", noise(9_000))).into();
    for (n, actor) in actors.iter().enumerate() {
        let mut request = unit.request(&format!("r{n}"), 1);
        request.actor = actor.clone();
        network.bus.publish_request(&request).await.unwrap();
    }
    network.settle().await;
    let nobody = Uuid::from_u128(77);
    for actor in &actors {
        let filter = requests_store::RequestFilter {
            actor_or_patient: Some((actor.clone(), nobody)),
            ..Default::default()
        };
        let now = kit_event::Timestamp::from_unix_ms(0);
        let found =
            requests_store::requests(&network.reads, &unit.id, &filter, now, None, 10).await;
        assert_eq!(found.unwrap().value.items.len(), 1);
    }
}

/// Text that no compression makes small.
fn noise(chars: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..chars).map(|_| char::from(b'!' + (next() % 90) as u8)).collect()
}
