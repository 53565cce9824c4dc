//! Read models are rebuilt under an app that reads and books all the time, and it notices nothing.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tests_e2e::{Net, Unit, eventually};
use tokio::task::JoinHandle;

/// An app that reads everything it can, again and again; each answer must be right.
struct Reading {
    stop: Arc<AtomicBool>,
    apps: Vec<JoinHandle<u32>>,
}

impl Reading {
    fn start(unit: &Unit) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let patient = unit.some_patient();
        let paths = [
            unit.path(&format!("patients/{patient}")),
            unit.path("patients?limit=5"),
            unit.path("practitioners"),
            unit.path(&format!("invoices?patient_id={patient}")),
            unit.path("requests?limit=5"),
            unit.path("events?limit=20"),
            format!("/v1/units/{}", unit.id),
            format!("/v1/patients/{patient}"),
        ];
        let one = |path: &String| {
            let (rest, path, stop) = (unit.rest.clone(), path.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut count, mut last) = (0, (0, 0));
                while !stop.load(Ordering::SeqCst) {
                    let answer = rest.get(&path).await.expect(200);
                    if let Some(seq) = answer.header("arteria-unit-seq") {
                        let (epoch, seq) = seq.split_once('-').unwrap();
                        let at: (u32, u64) = (epoch.parse().unwrap(), seq.parse().unwrap());
                        assert!(at >= last, "{path} went back from {last:?} to {at:?}");
                        last = at;
                    }
                    count += 1;
                }
                count
            })
        };
        let apps = paths.iter().map(one).collect();
        Self { stop, apps }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for app in self.apps {
            assert!(app.await.unwrap() > 20, "an app that hardly read proves nothing");
        }
    }
}

#[tokio::test]
async fn no_read_fails_or_goes_back_while_every_domain_is_rebuilt_and_rolled_back() {
    let net = Net::own("rebuild").await;
    let unit = net.unit("r").await;
    let slots = unit.slots(all_stores::ALL.len() + 2).await;
    let reading = Reading::start(&unit);
    let mut booked = Vec::new();
    for (n, domain) in all_stores::names().enumerate() {
        let told = net.arteria(&["projector", "rebuild", "--domain", domain]).await;
        assert!(told.contains("compared at the same place of the log"), "{told}");
        assert!(told.contains(&format!("{domain}: switched")), "{told}");
        booked.push(book_and_read(&unit, &slots[n]).await);
    }
    for domain in ["scheduling", "timeline"] {
        let told = net.arteria(&["projector", "rollback", "--domain", domain]).await;
        assert!(told.contains(&format!("{domain}: switched")), "{told}");
    }
    booked.push(book_and_read(&unit, &slots[all_stores::ALL.len()]).await);
    for id in &booked {
        unit.rest.get(&unit.path(&format!("appointments/{id}"))).await.expect(200);
    }
    let copies = net.arteria(&["projector", "copies"]).await;
    assert_eq!(
        copies.lines().filter(|line| line.contains("previous")).count(),
        all_stores::ALL.len()
    );
    tells_how_it_fares(&net).await;
    net.arteria(&["projector", "drop", "--domain", "patients"]).await;
    let copies = net.arteria(&["projector", "copies"]).await;
    assert_eq!(
        copies.lines().filter(|line| line.contains("previous")).count(),
        all_stores::ALL.len() - 1
    );
    reading.end().await;
}

/// The projector's series are there from the start, and count what became visible.
async fn tells_how_it_fares(net: &Net) {
    let (_, addr) = net.admin_addrs().iter().find(|(role, _)| *role == "projector").unwrap();
    let told = reqwest::get(format!("http://{addr}/metrics")).await.unwrap().text().await.unwrap();
    for series in [
        "arteria_log_lag_records{role=\"projector\",domain=\"billing\"}",
        "arteria_projector_units_on_hold{domain=\"timeline\"} 0",
        "arteria_parked_total{cause_kind=\"fork\"} 0",
        "arteria_projector_feed_joined{domain=\"patients\"}",
        "arteria_clinic_to_visible_seconds_bucket{domain=\"scheduling\"",
    ] {
        assert!(told.contains(series), "no {series} in\n{told}");
    }
}

/// Books, and reads the own write at its number.
async fn book_and_read(unit: &Unit, slot: &tests_e2e::unit::Slot) -> String {
    let made = unit.rest.post(&unit.path("appointments"), unit.booking(slot)).await.expect(201);
    let (id, seq) = (made.text("appointment_id"), made.must("arteria-unit-seq"));
    let path = unit.path(&format!("appointments/{id}"));
    let headers = [("arteria-min-seq", seq.as_str())];
    let read = eventually("the own write", || async {
        let read = unit.rest.get_with(&path, &headers).await;
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!(read.body, made.body);
    id
}

#[tokio::test]
async fn a_rebuild_killed_at_any_moment_is_run_again_under_load() {
    let net = Net::own("rebuildkill").await;
    let unit = net.unit("k").await;
    let slots = unit.slots(2).await;
    let reading = Reading::start(&unit);
    for life_ms in [50, 150, 250, 350, 500, 700] {
        let mut child = net
            .command("arteria")
            .args(["projector", "rebuild", "--domain", "scheduling"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(life_ms)).await;
        // SIGKILL; one that was quicker has ended by itself, which is as good.
        let _ = child.kill().await;
    }
    book_and_read(&unit, &slots[0]).await;
    let told = eventually("a rebuild that is let through", || async {
        let args = ["projector", "rebuild", "--domain", "scheduling"];
        let output = net.command("arteria").args(args).output().await.unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    })
    .await;
    assert!(told.contains("scheduling: switched"), "{told}");
    book_and_read(&unit, &slots[1]).await;
    reading.end().await;
}

#[tokio::test]
async fn commands_on_copies_say_what_is_not_there() {
    let net = Net::own("rebuildbad").await;
    let unit = net.unit("b").await;
    for args in [
        &["projector", "rollback", "--domain", "units"][..],
        &["projector", "rebuild", "--domain", "units", "--resume"],
        &["projector", "rebuild", "--domain", "nothing"],
        &["projector", "rebuild", "--domain", "units; drop schema units"],
        &["projector", "rebuild"],
    ] {
        let output = net.command("arteria").args(args).output().await.unwrap();
        assert!(!output.status.success(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let answer = unit.rest.get(&format!("/v1/units/{}", unit.id)).await.expect(200);
    assert_eq!(answer.body["seeded"], json!(true));
}
