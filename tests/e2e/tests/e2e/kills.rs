//! Each role is killed once in the middle of a load; afterwards nothing is lost, doubled,
//! reordered or left behind.

use std::collections::BTreeMap;

use practice::{Patient, Table, differences};
use serde_json::Value;
use tests_e2e::{Net, Unit, eventually};

/// Bookings of each load.
const BOOKINGS: usize = 24;

#[tokio::test]
async fn killing_the_gateway_loses_and_doubles_nothing() {
    let mut net = Net::own("killgw").await;
    let unit = net.unit("g").await;
    let load = Load::begin(&unit).await;
    net.kill9("gateway").await;
    net.start_role("gateway").await;
    load.end(&unit).await;
}

#[tokio::test]
async fn killing_the_edge_loses_and_doubles_nothing() {
    let mut net = Net::own("killedge").await;
    let unit = net.unit("e").await;
    let load = Load::begin(&unit).await;
    net.kill9("edge").await;
    net.start_role("edge").await;
    load.end(&unit).await;
}

#[tokio::test]
async fn killing_the_projector_loses_and_doubles_nothing() {
    let mut net = Net::own("killproj").await;
    let unit = net.unit("p").await;
    let load = Load::begin(&unit).await;
    net.kill9("projector").await;
    net.start_role("projector").await;
    load.end(&unit).await;
}

#[tokio::test]
async fn killing_the_agent_loses_and_doubles_nothing() {
    let net = Net::own("killagent").await;
    let mut unit = net.unit("a").await;
    let load = Load::begin(&unit).await;
    unit.kill9_agent().await;
    unit.start_agent();
    load.end(&unit).await;
}

/// Bookings through REST and patients at the desk, both going on while something dies.
struct Load {
    apps: tokio::task::JoinHandle<Vec<(u16, Value)>>,
    desk: std::thread::JoinHandle<Vec<uuid::Uuid>>,
}

impl Load {
    async fn begin(unit: &Unit) -> Self {
        let slots = unit.slots(BOOKINGS).await;
        let (rest, path) = (unit.rest.clone(), unit.path("appointments"));
        let bodies: Vec<Value> = slots.iter().map(|slot| unit.booking(slot)).collect();
        let apps = tokio::spawn(async move {
            let mut answers = Vec::new();
            for (n, body) in bodies.into_iter().enumerate() {
                // The key is the app's own, so a try after a broken connection is the same request.
                let key = format!("load-{n}");
                let headers = [("idempotency-key", key.as_str()), ("prefer", "wait=30")];
                let answer = rest.post_with(&path, &headers, body).await;
                answers.push((answer.status, answer.body));
            }
            answers
        });
        let desk = unit.desk();
        let desk = std::thread::spawn(move || {
            let mut ids = Vec::new();
            for n in 0..60 {
                let patient = Patient::named("Load", &format!("Number-{n}"));
                ids.push(desk.register_patient(&patient).unwrap());
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            ids
        });
        // Some of the load is through before anything dies.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Self { apps, desk }
    }

    async fn end(self, unit: &Unit) {
        let answers = self.apps.await.unwrap();
        let ids = tokio::task::spawn_blocking(|| self.desk.join().unwrap()).await.unwrap();
        for (status, body) in &answers {
            // 202 is honest where the wait ran out; the request then settles below.
            assert!([201, 202].contains(status), "{status} {body}");
        }
        eventually("every request's final fact", || async {
            let done = unit.rest.get(&unit.path("requests?state=done&limit=200")).await;
            (done.status == 200 && done.items().len() == BOOKINGS).then_some(())
        })
        .await;
        for id in ids {
            unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
        }
        assert_consistent(unit).await;
    }
}

/// Nothing lost, doubled, reordered, left behind: the read models equal the clinic's rows, and the
/// timeline's numbers have no hole.
async fn assert_consistent(unit: &Unit) {
    let desk = unit.desk();
    let rows = desk.rows(Table::Appointments).unwrap();
    let mut starts = BTreeMap::new();
    for row in rows.iter().filter(|row| row["status"] == "booked") {
        let at = (row["practitioner_id"].to_string(), row["starts_at"].to_string());
        assert!(starts.insert(at, row["appointment_id"].clone()).is_none(), "a slot holds two");
    }
    for row in &rows {
        let id = row["appointment_id"].as_str().unwrap();
        let answer = unit.rest.record(&unit.path(&format!("appointments/{id}"))).await;
        assert_eq!(differences(Table::Appointments, row, &answer.body), Vec::<String>::new());
    }
    let (mut after, mut expected) = ("1-0".to_owned(), 1_u64);
    loop {
        let page = unit.rest.get(&unit.path(&format!("events?limit=200&after={after}"))).await;
        let Some(last) = page.items().last().cloned() else { break };
        for fact in page.items() {
            assert_eq!(fact["seq"], format!("1-{expected}"), "a hole or a double in the timeline");
            expected += 1;
        }
        last["seq"].as_str().unwrap().clone_into(&mut after);
    }
}
