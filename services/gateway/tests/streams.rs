//! Live streams on real read models: the seam, cuts, bounds, ends, and what they refuse.

mod desk;
mod live;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use desk::{OTHER, PATIENT, UNIT};
use gateway::streams::Bounds;
use kit_event::UnitSeq;
use kit_token::Kind;
use live::reader::Reader;
use live::{Clinic, Live, SOON, Told};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

/// Facts that are committed while readers are cut.
const FACTS: usize = 3_000;
const KINDS: [&str; 4] = ["patients.one", "patients.two", "billing.one", "billing.rare"];

fn events() -> String {
    format!("/v1/units/{UNIT}/events")
}

fn of_patient(id: &str) -> String {
    format!("/v1/patients/{id}/events")
}

fn some_fact(random: &mut StdRng) -> Told {
    let kind = match random.random_range(0..100) {
        0 => KINDS[3],
        n => KINDS[n % 3],
    };
    let patient = match random.random_range(0..4) {
        0 => Some(PATIENT.parse().unwrap()),
        1 => Some(OTHER.parse().unwrap()),
        _ => None,
    };
    let size = if random.random_ratio(1, 50) { 20_000 } else { random.random_range(0..300) };
    Told::new(kind, patient, json!({"text": "x".repeat(size)}))
}

/// Commits facts in batches, with pauses, and gives their numbers with what filters go by.
async fn commit(clinic: Clinic, seed: u64) -> Vec<(UnitSeq, Told)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut stated = Vec::new();
    while stated.len() < FACTS {
        let batch: Vec<_> =
            (0..random.random_range(1..40)).map(|_| some_fact(&mut random)).collect();
        let numbers = clinic.state(&batch).await;
        stated.extend(numbers.into_iter().zip(batch));
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
    }
    stated
}

/// How many facts each reader must have seen in the end, once that is known.
type Expected = Arc<OnceLock<Vec<usize>>>;

/// Reads with cuts at random bytes until it has what it must have, and then a last time, for what
/// would be too much.
async fn read_with_cuts(
    addr: std::net::SocketAddr,
    (token, path): (String, String),
    reader: usize,
    expected: Expected,
) -> (Vec<UnitSeq>, u32) {
    let mut random = StdRng::seed_from_u64(reader as u64);
    let (mut seen, mut cuts): (Vec<UnitSeq>, u32) = (Vec::new(), 0);
    loop {
        let whole = expected.get().is_some_and(|counts| seen.len() >= counts[reader]);
        let last = seen.last().map(UnitSeq::to_string);
        let mut stream = Reader::open(addr, &token, &path, last.as_deref()).await;
        assert_eq!(stream.status, 200, "{}", stream.head);
        // Now and then only a byte or two; mostly some events.
        let bytes = 1 + random.random_range(0_usize..300).pow(2);
        let within = Duration::from_millis(random.random_range(50..800));
        let _ = tokio::time::timeout(within, stream.take_bytes(bytes)).await;
        seen.extend(stream.whole().iter().map(|event| event.id.unwrap()));
        cuts += 1;
        if whole {
            return (seen, cuts);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_are_cut_at_any_byte_see_every_fact_once_and_in_order() {
    let live = Live::start(Bounds::default()).await;
    live.home(PATIENT).await;
    let clinic = live.clinic();
    let history: Vec<_> =
        (0..300).map(|n| Told::new(KINDS[n % 3], None, json!({"n": n}))).collect();
    let before = clinic.state(&history).await;
    let views = [
        (live.staff(), events()),
        (live.staff(), events()),
        (live.staff(), format!("{}?type=billing.one&type=billing.rare", events())),
        (live.staff(), format!("{}?type=billing.rare", events())),
        (live.patient(), of_patient(PATIENT)),
        (live.staff(), format!("{}?type=patients.one", of_patient(PATIENT))),
    ];
    let counts = Expected::default();
    let readers: Vec<_> = (0..)
        .zip(views)
        .map(|(n, view)| tokio::spawn(read_with_cuts(live.addr, view, n, counts.clone())))
        .collect();
    let stated = commit(clinic, 7).await;
    let stated: Vec<_> = before.into_iter().zip(history).chain(stated).collect();
    let expected = |wanted: &dyn Fn(&Told) -> bool| -> Vec<UnitSeq> {
        stated.iter().filter(|(_, told)| wanted(told)).map(|(seq, _)| *seq).collect()
    };
    let own = |told: &Told| told.patient.is_some_and(|id| id.to_string() == PATIENT);
    let expected = [
        expected(&|_| true),
        expected(&|_| true),
        expected(&|told| told.type_name.starts_with("billing.")),
        expected(&|told| told.type_name == "billing.rare"),
        expected(&own),
        expected(&|told| own(told) && told.type_name == "patients.one"),
    ];
    counts.set(expected.iter().map(Vec::len).collect()).unwrap();
    for (n, (reader, expected)) in readers.into_iter().zip(expected).enumerate() {
        let (seen, cuts) = tokio::time::timeout(SOON, reader).await.unwrap().unwrap();
        println!("reader {n}: {} facts over {cuts} connections", seen.len());
        assert!(cuts > 5 && !expected.is_empty(), "reader {n} was hardly cut: {cuts}");
        assert!(seen == expected, "reader {n}: {} of {}", seen.len(), expected.len());
    }
}

#[tokio::test]
async fn a_stream_goes_on_across_epochs_and_says_what_a_page_says() {
    let live = Live::start(Bounds::default()).await;
    let mut clinic = live.clinic();
    let fact = |n: u32| Told::new("patients.one", None, json!({"n": n, "text": "ü\n\"\u{2028}"}));
    clinic.state(&[fact(1), fact(2)]).await;
    let mut reader = Reader::open(live.addr, &live.staff(), &events(), None).await;
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "connection: close",
    ] {
        assert!(reader.head.contains(header), "{header} in {}", reader.head);
    }
    let first = reader.next().await.unwrap();
    assert!(reader.text().starts_with("retry: "), "{}", reader.text());
    reader.next().await.unwrap();
    clinic.begin_epoch();
    let begun = Instant::now();
    clinic.state(&[fact(3)]).await;
    let third = reader.next().await.unwrap();
    println!("committed to heard: {:?}", begun.elapsed());
    assert_eq!((third.id, third.name.as_str()), (Some(UnitSeq::new(2, 1)), "patients.one"));
    let path = events();
    let page = live.desk.call(Kind::Staff, "GET", &path, &[], None).await;
    let items = page.body["items"].as_array().unwrap();
    assert_eq!([&first.data, &third.data], [&items[0], &items[2]]);
    // What wants no stream gets the page, as before.
    for accept in ["*/*", "application/json", "text/event-stream;q=0, */*"] {
        let headers = [("accept", accept)];
        let page = live.desk.call(Kind::Staff, "GET", &path, &headers, None).await;
        assert_eq!(page.body["items"].as_array().unwrap().len(), 3, "{accept}");
    }
    let headers = [("accept", "text/event-stream")];
    let head = live.desk.call(Kind::Staff, "HEAD", &path, &headers, None).await;
    assert_eq!((head.status.as_u16(), head.header("content-type")), (200, "application/json"));
}

#[tokio::test]
async fn a_cursor_that_names_no_fact_is_told_so() {
    let live = Live::start(Bounds::default()).await;
    let mut clinic = live.clinic();
    clinic.state(&[Told::new("patients.one", None, json!({}))]).await;
    clinic.begin_epoch();
    clinic.state(&[Told::new("patients.one", None, json!({}))]).await;
    let path = events();
    let stream = |last: &'static str| {
        let headers = [("accept", "text/event-stream"), ("last-event-id", last)];
        let (desk, path) = (&live.desk, path.clone());
        async move { desk.call(Kind::Staff, "GET", &path, &headers, None).await }
    };
    for bad in ["x", "1", "-1", "1-2-3", "1-99999999999999999999", "1-18446744073709551615"] {
        assert_eq!(stream(bad).await.problem(), (400, "last-event-id-invalid"), "{bad}");
    }
    assert_eq!(stream("2-7").await.problem(), (409, "event-ahead"));
    for unknown in ["1-2", "3-1", "0-4", "2-0"] {
        assert_eq!(stream(unknown).await.problem(), (409, "event-unknown"), "{unknown}");
    }
    let headers = [("accept", "text/event-stream")];
    let bad = format!("{path}?after=x");
    let answer = live.desk.call(Kind::Staff, "GET", &bad, &headers, None).await;
    assert_eq!(answer.problem(), (400, "invalid-parameter"));
    // The header is the newer of the two, and an empty one is none.
    let after = format!("{path}?after=2-1");
    let mut reader = Reader::open(live.addr, &live.staff(), &after, Some("1-1")).await;
    assert_eq!(reader.next().await.unwrap().id, Some(UnitSeq::new(2, 1)));
    let mut reader = Reader::open(live.addr, &live.staff(), &after, Some("")).await;
    assert!(reader.is_quiet(Duration::from_millis(200)).await);
    // A number that a write told a moment ago may be ahead of the read model for a while.
    let token = live.staff();
    let ahead = Reader::open(live.addr, &token, &path, Some("2-2"));
    let (mut reader, ()) = tokio::join!(ahead, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        clinic.state(&[Told::new("a", None, json!({})), Told::new("b", None, json!({}))]).await;
    });
    assert_eq!(reader.next().await.unwrap().id, Some(UnitSeq::new(2, 3)));
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_goes_on_exactly_where_it_was() {
    let cut_after = Duration::from_secs(4);
    let bounds = Bounds { slow_after: Duration::from_secs(1), cut_after, ..Bounds::default() };
    let live = Live::start(bounds).await;
    let clinic = live.clinic();
    let large = || Told::new("patients.one", None, json!({"text": "x".repeat(10_000)}));
    let batch: Vec<_> = (0..200).map(|_| large()).collect();
    for _ in 0..6 {
        clinic.state(&batch).await;
    }
    let (token, path) = (live.staff(), events());
    let accept = "text/event-stream";
    // One reader takes nothing and then reads on within the grace: it is told.
    let mut told = Reader::ask(live.addr, &token, &path, accept, None, Some(4096)).await;
    // Another never reads: its connection is cut, and its place is free again.
    let mut cut = Reader::ask(live.addr, &token, &path, accept, None, Some(4096)).await;
    live::eventually(|| live.desk.streams.open_places() == (0, 0)).await;
    let mut seen = Vec::new();
    let closing = loop {
        let event = told.next().await.expect("a last event");
        match event.id {
            Some(id) => seen.push(id),
            None => break event,
        }
    };
    assert_eq!((closing.name.as_str(), &closing.data["reason"]), ("closed", &json!("too-slow")));
    assert_eq!(closing.data["after"], json!(seen.last().unwrap()));
    assert!(told.next().await.is_none() && seen.len() < 1200, "{}", seen.len());
    tokio::time::sleep(cut_after).await;
    while !cut.ended {
        let _ = cut.next().await;
    }
    let held = cut.whole();
    assert!(held.iter().all(|event| event.name != "closed"), "it could not be written");
    // Both go on with the last whole id, and between them nothing is lost or doubled.
    for last in [*seen.last().unwrap(), held.last().unwrap().id.unwrap()] {
        let mut reader = Reader::open(live.addr, &token, &path, Some(&last.to_string())).await;
        for seq in last.seq + 1..=1200 {
            assert_eq!(reader.next().await.unwrap().id, Some(UnitSeq::new(1, seq)));
        }
        assert!(reader.is_quiet(Duration::from_millis(100)).await);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_the_gateway() {
    let live = Live::start(Bounds::default()).await;
    let clinic = live.clinic();
    clinic.state(&[Told::new("patients.one", None, json!({}))]).await;
    let (unit, now) = (Live::unit(), live.desk.clock.now());
    let ttl = Duration::from_secs(2);
    let short = live.desk.issuer.issue(Kind::Staff, "eva", &[unit], None, ttl, now).unwrap();
    let mut expiring = Reader::open(live.addr, &short, &events(), None).await;
    let mut staying = Reader::open(live.addr, &live.staff(), &events(), None).await;
    expiring.next().await.unwrap();
    staying.next().await.unwrap();
    let closed = expiring.next().await.unwrap();
    assert_eq!((closed.name.as_str(), &closed.data["reason"]), ("closed", &json!("token-expired")));
    assert_eq!(closed.data["after"], "1-1");
    assert!(expiring.next().await.is_none());
    assert!(staying.is_quiet(Duration::from_millis(100)).await);
    live.desk.soft.cancel();
    let closed = staying.next().await.unwrap();
    assert_eq!((closed.name.as_str(), &closed.data["reason"]), ("closed", &json!("draining")));
    assert!(staying.text().matches("retry: ").count() == 2, "{}", staying.text());
    assert!(staying.next().await.is_none());
}

#[tokio::test]
async fn signs_of_life_and_many_streams_and_their_bounds() {
    let heartbeat_every = Duration::from_millis(300);
    let bounds = Bounds { per_caller_max: 40, total_max: 60, heartbeat_every, ..Bounds::default() };
    let live = Live::start(bounds).await;
    live.home(PATIENT).await;
    let clinic = live.clinic();
    clinic.state(&[Told::new("patients.one", None, json!({}))]).await;
    let mut readers = Vec::new();
    for _ in 0..40 {
        readers.push(Reader::open(live.addr, &live.staff(), &events(), Some("1-1")).await);
    }
    let (path, headers) = (events(), [("accept", "text/event-stream")]);
    let one_more = live.desk.call(Kind::Staff, "GET", &path, &headers, None).await;
    assert_eq!(one_more.problem(), (429, "too-many-streams"));
    assert_eq!(one_more.header("retry-after"), "5");
    for _ in 0..20 {
        let path = of_patient(PATIENT);
        readers.push(Reader::open(live.addr, &live.patient(), &path, Some("1-1")).await);
    }
    let full = live.desk.call(Kind::Partner, "GET", &path, &headers, None).await;
    assert_eq!(full.problem(), (503, "streams-full"));
    let own = PATIENT.parse().ok();
    let begun = Instant::now();
    clinic.state(&[Told::new("patients.one", own, json!({}))]).await;
    for reader in &mut readers {
        assert_eq!(reader.next().await.unwrap().id, Some(UnitSeq::new(1, 2)));
    }
    println!("60 streams heard after {:?}", begun.elapsed());
    tokio::time::sleep(heartbeat_every * 2).await;
    assert!(readers[0].is_quiet(heartbeat_every).await);
    assert!(readers[0].text().contains("\n\n:\n\n"), "{}", readers[0].text());
    drop(readers);
    live::eventually(|| live.desk.streams.open_places() == (0, 0)).await;
    Reader::open(live.addr, &live.staff(), &events(), Some("1-1")).await;
}
