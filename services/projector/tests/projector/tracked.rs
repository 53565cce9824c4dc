//! The tracked life of requests, whichever of its two logs is read first.

use kit_bus::Topic;
use kit_event::{Rejection, Request, Timestamp};
use requests::control::Cancel;
use requests::{FinalState, RangeLapsed, RequestFact, RequestOutcome, RequestRejection};
use requests_store::{
    ACCEPTED, Admission, Applied, Asking, DELIVERED, OVERDUE, RequestFilter, RequestRow,
};
use serde_json::json;
use uuid::Uuid;

use crate::{Network, Unit};

const DECIDED_MS: i64 = 1_772_357_500_000;

fn outcome(request: &Request, state: FinalState) -> RequestOutcome {
    RequestOutcome::new(request.id.clone(), state, Timestamp::from_unix_ms(DECIDED_MS))
}

async fn say(unit: &mut Unit, kind: RequestFact, outcome: RequestOutcome) -> kit_event::Fact {
    unit.say(requests::Fact::Request(kind, outcome).observed().unwrap()).await
}

async fn row(network: &Network, request: &Request) -> RequestRow {
    requests_store::request(&network.reads, &request.id).await.unwrap().unwrap()
}

async fn admit(network: &Network, request: &Request, unseen: &[Request], max: u32) -> Admission {
    let unseen: Vec<_> = unseen.iter().map(|request| request.id.clone()).collect();
    let (pool, now) = (&network.reads, Timestamp::from_unix_ms(DECIDED_MS));
    let (id, actor) = (&request.id, request.actor.as_str());
    let asking = Asking { id, actor, unseen: &unseen, unseen_own: &unseen, open_max: max };
    let admission = requests_store::admit(pool, asking, now).await.unwrap();
    let other = Asking { actor: "patient:other", unseen_own: &[], ..asking };
    let of_other = requests_store::admit(pool, other, now).await.unwrap();
    assert_eq!((of_other.open, of_other.open_own), (admission.open, 0));
    admission
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_open_until_its_unit_has_spoken() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let request = unit.request("one", 7);
    let placed = network.bus.publish_request(&request).await.unwrap();
    network.settle().await;
    let open = row(&network, &request).await;
    assert!(open.is_open() && open.word().is_none() && open.seq.is_none());
    assert_eq!(open.position, Some(placed.offset));
    assert_eq!(open.log, Some(network.bus.log_identity(Topic::Requests, placed.partition)));
    assert_eq!(open.command_hash.as_ref(), Some(&request.command_hash));
    assert_eq!(open.patient_id, Some(Uuid::from_u128(7)));
    assert_eq!(admit(&network, &request, &[], 10).await.open, 1);

    let rejection = Rejection::from(RequestRejection::Cancelled);
    let said = say(
        &mut unit,
        RequestFact::Rejected,
        outcome(&request, FinalState::Rejected).because(&rejection),
    )
    .await;
    network.settle().await;
    let ended = row(&network, &request).await;
    assert_eq!((ended.word(), ended.seq), (Some(FinalState::Rejected), Some(said.seq)));
    assert_eq!(ended.reason.as_deref(), Some("cancelled"));
    assert_eq!(ended.decided_at, Some(Timestamp::from_unix_ms(DECIDED_MS)));
    assert_eq!(ended.expires_at, Some(request.expires_at), "what the log told stays");
    let admission = admit(&network, &request, &[], 10).await;
    assert_eq!((admission.open, admission.known), (0, Some(ended)));

    // A snapshot says it again, and a restored clinic undoes it.
    say(&mut unit, RequestFact::Undone, outcome(&request, FinalState::Undone)).await;
    network.settle().await;
    assert_eq!(row(&network, &request).await.word(), Some(FinalState::Undone));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_units_word_may_be_read_before_the_request() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let request = unit.request("one", 7);
    say(&mut unit, RequestFact::Done, outcome(&request, FinalState::Done)).await;
    network.settle().await;
    let known_by_its_fact = row(&network, &request).await;
    assert_eq!((known_by_its_fact.position, known_by_its_fact.actor), (None, None));
    let placed = network.bus.publish_request(&request).await.unwrap();
    // The same id with another command: the first in log order stands.
    let mut other = request.clone();
    other.command_hash = "another".to_owned();
    network.bus.publish_request(&other).await.unwrap();
    network.settle().await;
    let ended = row(&network, &request).await;
    assert_eq!(ended.word(), Some(FinalState::Done));
    assert_eq!(ended.position, Some(placed.offset));
    assert_eq!(ended.command_hash.as_ref(), Some(&request.command_hash));
    assert_eq!(admit(&network, &request, &[], 10).await.open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lapsed_range_expires_what_it_names_whenever_that_is_read() {
    let network = Network::running().await;
    let mut unit = Unit::open(&network.bus, "hcu-0001").await;
    let all: Vec<_> = (0..4).map(|n| unit.request(&format!("key {n}"), 7)).collect();
    let partition = network.bus.partition_of(unit.id.as_str());
    network.bus.publish_request(&all[0]).await.unwrap();
    network.bus.publish_request(&all[1]).await.unwrap();
    network.settle().await;
    say(&mut unit, RequestFact::Done, outcome(&all[0], FinalState::Done)).await;
    let log = network.bus.log_identity(Topic::Requests, partition);
    let elsewhere = RangeLapsed { from: 0, to: 100, log: format!("other{log}") };
    unit.say(requests::Fact::RangeLapsed(elsewhere).observed().unwrap()).await;
    let lapsed = RangeLapsed { from: 0, to: 3, log };
    let said = unit.say(requests::Fact::RangeLapsed(lapsed).observed().unwrap()).await;
    network.settle().await;
    network.bus.publish_request(&all[2]).await.unwrap();
    network.bus.publish_request(&all[3]).await.unwrap();
    network.settle().await;
    let words =
        [Some(FinalState::Done), Some(FinalState::Expired), Some(FinalState::Expired), None];
    for (request, word) in all.iter().zip(words) {
        assert_eq!(row(&network, request).await.word(), word);
    }
    let expired = row(&network, &all[2]).await;
    assert_eq!((expired.seq, expired.reason.as_deref()), (Some(said.seq), Some("expired")));
    assert_eq!(expired.decided_at, Some(said.time));
    assert_eq!(admit(&network, &all[3], &[], 10).await.open, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_nothing_and_queries_leave_no_trace() {
    let network = Network::running().await;
    let unit = Unit::open(&network.bus, "hcu-0001").await;
    let request = unit.request("one", 7);
    network.bus.publish_request(&request).await.unwrap();
    let mut cancel = unit.request("cancel", 7);
    cancel.type_name = Cancel::TYPE.to_owned();
    cancel.body = json!({"request_id": request.id});
    network.bus.publish_request(&cancel).await.unwrap();
    let mut query = unit.request("query", 7);
    query.delivery = kit_event::Delivery::Query;
    network.bus.publish_request(&query).await.unwrap();
    network.settle().await;
    let open = row(&network, &request).await;
    assert!(open.is_open() && open.cancel_asked);
    for none in [&cancel, &query] {
        assert_eq!(requests_store::request(&network.reads, &none.id).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_counted_and_listed() {
    let network = Network::running().await;
    let unit = Unit::open(&network.bus, "hcu-0001").await;
    let mut all: Vec<_> = (0..6).map(|n| unit.request(&format!("key {n}"), 7)).collect();
    for (n, request) in (0..).zip(&mut all) {
        request.accepted_at = request.accepted_at.plus_ms(n);
    }
    all[0].expires_at = Timestamp::from_unix_ms(DECIDED_MS - 1);
    all[1].actor = "patient:zoe".to_owned();
    for request in &all[..5] {
        network.bus.publish_request(request).await.unwrap();
    }
    network.settle().await;
    // One is somebody else's, one is past its deadline; of the unseen, the table holds one already.
    assert_eq!(
        admit(&network, &all[5], &all[4..], 10).await,
        Admission { known: None, open: 5, open_own: 4 }
    );
    assert_eq!(admit(&network, &all[5], &[], 2).await.open, 3, "one more than allowed is enough");

    let now = Timestamp::from_unix_ms(DECIDED_MS);
    let listed = async |filter: RequestFilter, after: Option<String>, limit| {
        let (pool, unit) = (&network.reads, &unit.id);
        let read = requests_store::requests(pool, unit, &filter, now, after.as_deref(), limit);
        let page = read.await.unwrap().value;
        let ids = page.items.iter().map(|row| row.request_id.clone());
        let at = |id| all.iter().position(|request| request.id == id).unwrap();
        (ids.map(at).collect::<Vec<_>>(), page.next)
    };
    let state = |state: &str| RequestFilter { state: Some(state.to_owned()), ..Default::default() };
    let (first, next) = listed(RequestFilter::default(), None, 3).await;
    assert_eq!(first, [4, 3, 2], "the newest first");
    assert_eq!(listed(RequestFilter::default(), next, 3).await, (vec![1, 0], None));
    assert_eq!(listed(state(OVERDUE), None, 10).await.0, [0]);
    assert_eq!(listed(state(ACCEPTED), None, 10).await.0, [4, 3, 2, 1], "one is overdue");
    assert_eq!(listed(state(DELIVERED), None, 10).await.0, [] as [usize; 0], "nobody knows");
    // The unit has passed the first three; a page holds what was asked for, and no less.
    let place = requests_store::request(&network.reads, &all[3].id).await.unwrap().unwrap();
    let applied = Applied { log: place.log.unwrap(), next: place.position.unwrap() };
    let passed = |name: &str| RequestFilter { applied: Some(applied.clone()), ..state(name) };
    assert_eq!(listed(passed(DELIVERED), None, 1).await.0, [2]);
    assert_eq!(listed(passed(DELIVERED), None, 10).await, (vec![2, 1], None));
    assert_eq!(listed(passed(ACCEPTED), None, 10).await, (vec![4, 3], None));
    let elsewhere = Applied { log: "elsewhere".to_owned(), ..applied };
    let filter = RequestFilter { applied: Some(elsewhere), ..state(DELIVERED) };
    assert_eq!(listed(filter, None, 10).await.0, [] as [usize; 0]);
    assert_eq!(listed(state("done"), None, 10).await.0, [] as [usize; 0]);
    let mine = Some(("patient:zoe".to_owned(), Uuid::from_u128(1)));
    let filter = RequestFilter { actor_or_patient: mine, ..Default::default() };
    assert_eq!(listed(filter, None, 10).await.0, [1]);
}
