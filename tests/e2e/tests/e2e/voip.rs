//! A clinic's telephone calls: a table, a mapping entry and a schema make a new event type, and
//! nothing is built or restarted. Every test has a domain of its own, for the registry is shared.

use std::path::Path;
use std::time::{Duration, Instant};

use kit_bus::{Bus, Namespace, RawRecord, Topic};
use practice::Patient;
use serde_json::Value;
use tests_e2e::gate::Gate;
use tests_e2e::{Net, Unit, eventually};
use uuid::Uuid;

const WITHHELD: &str = "units.fact_withheld";
/// It may stand in the clinic, on the unit's own log and in `parked`, and nowhere else.
const NUMBER: &str = "+351 210 555 019";
/// What a table without a schema is given to go wrong in.
const QUIET: Duration = Duration::from_millis(1_500);

/// One clinic's calls, under a domain of the test's own.
struct Calls {
    unit: Unit,
    domain: String,
}

fn example(name: &str, domain: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/voip");
    let text = std::fs::read_to_string(dir.join(name)).expect("the example");
    text.replace("voip", domain)
}

fn fresh_domain() -> String {
    format!("voip{}", &Uuid::new_v4().simple().to_string()[..8])
}

impl Calls {
    /// A clinic with the telephone system's table, which nothing maps yet.
    async fn of(net: &Net, name: &str) -> Self {
        let unit = net.unit(name).await;
        unit.desk().execute(&example("table.sql", "voip"), &[]).expect("the table");
        Self { unit, domain: fresh_domain() }
    }

    fn type_name(&self) -> String {
        format!("{}.call_ended", self.domain)
    }

    /// The mapping entry of the example, changed as `change` says.
    async fn map(&self, net: &Net, change: impl Fn(String) -> String) {
        let reference = net.command("arteria-agent").args(["mapping", "reference"]).output();
        let reference = String::from_utf8(reference.await.expect("the agent").stdout).unwrap();
        let entry = change(example("mapping.toml", &self.domain));
        let path = self.unit.dir.join("mapping.toml");
        let draft = path.with_extension("draft");
        let text = format!("{reference}\n{entry}");
        std::fs::write(&draft, &text).expect("writing the mapping");
        std::fs::rename(&draft, &path).expect("writing the mapping");
        let applied = self.unit.dir.join("mapping.applied.toml");
        let clinic = rusqlite::Connection::open(self.unit.clinic_db()).expect("clinic.db");
        let triggers = "SELECT count(*) FROM sqlite_master
                        WHERE type = 'trigger' AND tbl_name = 'phone_calls'";
        eventually("the agent's obedience to the mapping", || async {
            let is_read = std::fs::read_to_string(&applied).is_ok_and(|read| read == text);
            let count: i64 = clinic.query_row(triggers, [], |row| row.get(0)).ok()?;
            (is_read && count > 0).then_some(())
        })
        .await;
    }

    async fn register(&self, net: &Net, version: u32) -> String {
        let file = format!("call_ended.v{version}.avsc");
        let path = self.unit.dir.join(&file);
        std::fs::write(&path, example(&file, &self.domain)).expect("writing the schema");
        net.arteria(&["schemas", "register", path.to_str().expect("a path")]).await
    }

    /// A call is over: the telephone system writes a row, and more columns where `more` names any.
    fn call(&self, duration: &str, more: &[(&str, &str)]) -> String {
        let id = Uuid::new_v4().to_string();
        let desk = self.unit.desk();
        let patient = self.unit.some_patient().to_string();
        let names: String = more.iter().map(|(name, _)| format!(", {name}")).collect();
        let values: String = more.iter().map(|(_, value)| format!(", '{value}'")).collect();
        let sql = format!(
            "INSERT INTO phone_calls (call_id, patient_id, number, direction, started_at, ended_at,
                 duration_s, outcome{names})
             VALUES (?1, ?2, ?3, 'in', '2026-03-01T09:30:00Z', '2026-03-01T09:31:23Z', ?4,
                 'answered'{values})"
        );
        desk.execute(&sql, &[&id, &patient, &NUMBER, &duration]).expect("a call");
        id
    }

    /// Everything of the timeline that is of these types, in order.
    async fn timeline(&self, types: &[&str]) -> Vec<Value> {
        let types: String = types.iter().map(|name| format!("&type={name}")).collect();
        let path = self.unit.path(&format!("events?limit=200{types}"));
        self.unit.rest.get(&path).await.expect(200).items()
    }

    /// Waits until the timeline holds so many of a type, and gives them.
    async fn wait_for(&self, type_name: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} {type_name}"), || async {
            let found = self.timeline(&[type_name]).await;
            assert!(found.len() <= count, "more than {count}: {found:?}");
            (found.len() == count).then_some(found)
        })
        .await
    }

    /// The public form of an event.
    async fn public(&self, bus: &Bus, event: &Value) -> RawRecord {
        let namespace: Namespace = self.domain.parse().expect("a namespace");
        let topic = Topic::Domain(namespace);
        let partition = bus.partition_of(self.unit.id.as_str());
        let scans = bus.scans(1);
        eventually("the public form of a call", || async {
            // A client that asks for the ends of a topic before it is there believes so for long.
            bus.namespaces().await.ok()?.contains(&namespace).then_some(())?;
            let ends = bus.watermarks(topic, partition).await.ok()?;
            let mut scan = scans.scan(topic, partition, ends.low, ends.high).await.ok()?;
            while let Some(record) = scan.next().await {
                let record = record.ok()?;
                if record.ce_id() == event["id"].as_str() {
                    return Some(record);
                }
            }
            None
        })
        .await
    }
}

async fn registered_at_the_desk(unit: &Unit) -> String {
    let patient = unit.desk().register_patient(&Patient::named("Ana", "Behind")).unwrap();
    unit.path(&format!("patients/{patient}"))
}

#[tokio::test]
async fn a_table_an_entry_and_a_schema_make_a_new_event_type_without_a_restart() {
    let net = Net::shared();
    let (calls, other) = (Calls::of(&net, "voip").await, net.unit("novoip").await);
    let type_name = calls.type_name();
    calls.map(&net, |entry| entry).await;
    let events = calls.unit.path("events");
    let seq = calls.unit.rest.get(&calls.unit.path("patients?limit=1")).await;
    let mut stream = calls.unit.rest.stream(&events, Some(&seq.must("arteria-unit-seq"))).await;

    // No schema yet: this unit waits, and nothing is lost; another unit notices nothing.
    let telephone_id = calls.call("83", &[]);
    tokio::time::sleep(QUIET).await;
    let behind = registered_at_the_desk(&calls.unit).await;
    other.rest.record(&registered_at_the_desk(&other).await).await;
    tokio::time::sleep(QUIET).await;
    calls.unit.rest.get(&behind).await.expect(404);

    let said = calls.register(&net, 1).await;
    let registered_at = Instant::now();
    assert!(said.starts_with(&format!("registered {type_name} v1")), "{said}");
    let found = calls.wait_for(&type_name, 1).await.remove(0);
    let took = registered_at.elapsed();
    println!("in the timeline {took:?} after it was registered");
    // A second or two; the bound leaves room for a machine that is busy with other tests.
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    calls.unit.rest.record(&behind).await;

    assert_eq!(found["body"]["direction"], "inbound");
    assert_eq!((&found["body"]["duration_s"], &found["version"]), (&83.into(), &1.into()));
    assert_eq!(found["body"]["number"], NUMBER);
    assert_ne!(found["body"]["call_id"], telephone_id.as_str(), "ids outside are opaque");
    let subject = format!("call/{}", found["body"]["call_id"].as_str().unwrap());
    assert_eq!(found["subject"], subject.as_str());
    let heard = loop {
        let heard = stream.next().await.expect("a stream that goes on");
        if heard.name == type_name {
            break heard;
        }
    };
    assert_eq!(heard.data["seq"], found["seq"]);
    let bus = net.bus().await;
    let public = calls.public(&bus, &found).await;
    let opened = bus.open(&public).await.expect("a public form that opens");
    assert_eq!(opened.body["outcome"], "answered");
    assert_eq!(opened.body["call_id"], found["body"]["call_id"]);
    let text = format!("{:?} {:?} {:?}", opened, public.headers, public.payload);
    assert!(!text.contains(NUMBER) && !text.contains(&telephone_id), "{text}");

    let again = calls.register(&net, 1).await;
    assert!(again.starts_with("as it is"), "{again}");
    let listed = net.arteria(&["schemas", "list"]).await;
    assert!(listed.lines().any(|line| line.starts_with(&type_name)), "{listed}");
}

#[tokio::test]
async fn a_refused_body_is_withheld_and_a_mended_row_is_stated_anew() {
    let net = Net::shared();
    let calls = Calls::of(&net, "refused").await;
    let type_name = calls.type_name();
    calls.register(&net, 1).await;
    calls.map(&net, |entry| entry).await;
    let bad = calls.call("four minutes", &[]);
    calls.call("12", &[]);
    let withheld = calls.wait_for(WITHHELD, 1).await.remove(0);
    calls.wait_for(&type_name, 1).await;
    let (seq, body) = (withheld["seq"].as_str().unwrap(), &withheld["body"]);
    assert_eq!((&body["type"], &body["version"]), (&type_name.as_str().into(), &1.into()));
    assert_eq!(body["cause"], "$.duration_s is missing");
    assert_eq!(withheld["subject"], body["subject"]);

    let unit = calls.unit.id.as_str();
    let parked = net.arteria(&["parked", "--unit", unit]).await;
    let line = parked.lines().next().unwrap();
    assert!(line.contains(seq) && line.contains(&type_name), "{parked}");
    assert!(parked.contains("$.duration_s is missing") && parked.ends_with("1 parked\n"));
    assert!(!parked.contains(NUMBER) && !parked.contains("four minutes"), "{parked}");
    let life = net.arteria(&["trace", seq, "--unit", unit]).await;
    let line = life.lines().find(|line| line.contains(" parked ")).expect("the parked record");
    assert!(line.contains("$.duration_s is missing") && life.contains(WITHHELD), "{life}");
    assert!(!life.contains(NUMBER) && !life.contains("four minutes"), "{life}");

    // Mended, the row is an event of its own; an operator may have it stated once more.
    let mended = "UPDATE phone_calls SET duration_s = 240 WHERE call_id = ?1";
    calls.unit.desk().execute(mended, &[&bad]).unwrap();
    let found = calls.wait_for(&type_name, 2).await.remove(1);
    assert_eq!((&found["body"]["duration_s"], &found["subject"]), (&240.into(), &body["subject"]));
    let said = net.arteria(&["reemit", "--unit", unit, "--seq", seq]).await;
    assert!(said.contains(body["subject"].as_str().unwrap()), "{said}");
    let again = calls.wait_for(&type_name, 3).await.remove(2);
    assert_eq!(again["body"], found["body"]);
    assert_ne!(again["seq"], found["seq"]);
    tokio::time::sleep(QUIET).await;
    calls.wait_for(&type_name, 3).await;

    let mut refused = net.command("arteria");
    refused.args(["reemit", "--unit", unit, "--seq", "1-999999"]);
    let refused = refused_output(&mut refused).await;
    assert!(refused.contains("nothing of"), "{refused}");
}

async fn refused_output(command: &mut tokio::process::Command) -> String {
    let output = command.output().await.expect("running arteria");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_new_version_is_waited_for_and_states_anew_what_the_old_one_refused() {
    let net = Net::shared();
    let calls = Calls::of(&net, "version").await;
    let type_name = calls.type_name();
    calls.register(&net, 1).await;
    let column = "ALTER TABLE phone_calls ADD COLUMN queue TEXT";
    calls.unit.desk().execute(column, &[]).unwrap();
    calls.map(&net, |entry| entry + "queue = \"text\"\n").await;
    calls.call("83", &[("queue", "front desk")]);
    let withheld = calls.wait_for(WITHHELD, 1).await.remove(0);
    assert_eq!(withheld["body"]["cause"], "$.queue is not a field of the schema");

    // The mapping names version 2, which nobody has registered yet: the unit waits for it.
    let v2 = |entry: String| entry.replace("version = 1", "version = 2") + "queue = \"text\"\n";
    calls.map(&net, v2).await;
    tokio::time::sleep(QUIET).await;
    calls.call("12", &[]);
    let behind = registered_at_the_desk(&calls.unit).await;
    tokio::time::sleep(QUIET).await;
    calls.unit.rest.get(&behind).await.expect(404);
    let said = calls.register(&net, 2).await;
    assert!(said.starts_with(&format!("registered {type_name} v2")), "{said}");
    let found = calls.wait_for(&type_name, 1).await.remove(0);
    assert_eq!((&found["version"], &found["body"]["duration_s"]), (&2.into(), &12.into()));
    calls.unit.rest.record(&behind).await;

    let (unit, seq) = (calls.unit.id.as_str(), withheld["seq"].as_str().unwrap());
    net.arteria(&["reemit", "--unit", unit, "--seq", seq]).await;
    let again = calls.wait_for(&type_name, 2).await.remove(1);
    assert_eq!((&again["body"]["queue"], &again["version"]), (&"front desk".into(), &2.into()));
    assert_eq!(again["subject"], withheld["body"]["subject"]);
    calls.wait_for(WITHHELD, 1).await;
}

/// What a role's admin port says of a metric, by the beginning of its line.
async fn metric(net: &Net, role: &str, begins: &str) -> Option<f64> {
    let (_, addr) = net.admin_addrs().iter().find(|(name, _)| *name == role).expect("a role");
    let text = reqwest::get(format!("http://{addr}/metrics")).await.ok()?.text().await.ok()?;
    let line = text.lines().find(|line| line.starts_with(begins))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn while_the_registry_is_away_what_is_known_flows_and_what_is_new_waits_and_is_told() {
    let gate = Gate::before(&Net::shared().registry).await;
    let registry = gate.url();
    let net = Net::own_with("regaway", &[("ARTERIA_REGISTRY", registry.as_str())]).await;
    let (calls, other) = (Calls::of(&net, "away").await, net.unit("flows").await);
    // Types that the network has met: what these desks do from here on needs no registry.
    for unit in [&calls.unit, &other] {
        unit.rest.record(&registered_at_the_desk(unit).await).await;
    }
    calls.register(&net, 1).await;
    calls.map(&net, |entry| entry).await;
    tokio::time::sleep(QUIET).await;
    gate.shut();
    calls.call("83", &[]);
    tokio::time::sleep(QUIET).await;
    let behind = registered_at_the_desk(&calls.unit).await;
    for _ in 0..5 {
        other.rest.record(&registered_at_the_desk(&other).await).await;
    }
    calls.unit.rest.get(&behind).await.expect(404);
    let waiting = format!("arteria_edge_acks_waiting{{unit=\"{}\"}}", calls.unit.id);
    assert_eq!(metric(&net, "edge", &waiting).await, Some(1.0), "an alarm says so");
    assert_eq!(metric(&net, "edge", "arteria_edge_units_waiting").await, Some(1.0));
    every_role_finds_the_registry(&net, false).await;
    gate.open();
    let opened_at = Instant::now();
    calls.wait_for(&calls.type_name(), 1).await;
    println!("in the timeline {:?} after the registry was back", opened_at.elapsed());
    calls.unit.rest.record(&behind).await;
    eventually("the end of the alarm", || async {
        (metric(&net, "edge", &waiting).await == Some(0.0)).then_some(())
    })
    .await;
    assert_eq!(metric(&net, "edge", "arteria_edge_placeholders_total").await, Some(0.0));
    every_role_finds_the_registry(&net, true).await;
}

/// Waits until each role's gauge says so; none is less ready for it.
async fn every_role_finds_the_registry(net: &Net, is_there: bool) {
    let wanted = if is_there { 1.0 } else { 0.0 };
    for (role, addr) in net.admin_addrs() {
        eventually(&format!("{role} finds the registry there: {is_there}"), || async {
            let found = metric(net, role, "arteria_dependency_up{name=\"registry\"}").await;
            (found == Some(wanted)).then_some(())
        })
        .await;
        let ready = reqwest::get(format!("http://{addr}/readyz")).await.unwrap();
        assert_eq!(ready.status(), 200, "{role}");
        let said = ready.text().await.unwrap();
        assert_eq!(said.contains("without registry"), !is_there, "{role}: {said}");
    }
}

/// Calls of the load; every third has a body that its schema refuses.
const LOAD: usize = 60;
const REFUSED_EVERY: usize = 3;

#[tokio::test]
async fn killing_the_edge_amid_refused_bodies_leaves_no_hole_and_no_double() {
    let mut net = Net::own("killwithheld").await;
    let calls = Calls::of(&net, "kill").await;
    let type_name = calls.type_name();
    calls.register(&net, 1).await;
    calls.map(&net, |entry| entry).await;
    calls.call("1", &[]);
    calls.wait_for(&type_name, 1).await;
    for round in 0..4 {
        for n in 0..LOAD / 4 {
            let refused = (round * LOAD / 4 + n).is_multiple_of(REFUSED_EVERY);
            calls.call(if refused { "long" } else { "7" }, &[]);
        }
        // Somewhere amid parking, the placeholder and the ACK; each round somewhere else.
        tokio::time::sleep(Duration::from_millis(40 * (round as u64 + 1))).await;
        net.kill9("edge").await;
        net.start_role("edge").await;
        net.wait_ready("edge").await;
    }
    let refused = LOAD / REFUSED_EVERY;
    calls.wait_for(&type_name, 1 + LOAD - refused).await;
    let withheld = calls.wait_for(WITHHELD, refused).await;
    let all = calls.timeline(&[&type_name, WITHHELD]).await;
    let numbers: Vec<u64> = all.iter().map(number).collect();
    let first = numbers[0];
    let whole: Vec<u64> = (first..first + numbers.len() as u64).collect();
    assert_eq!(numbers, whole, "the unit's numbers have neither hole nor double");
    let subjects: std::collections::BTreeSet<_> =
        all.iter().map(|event| event["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects.len(), 1 + LOAD, "every call once");
    let parked = net.arteria(&["parked", "--unit", calls.unit.id.as_str()]).await;
    assert!(parked.ends_with(&format!("{refused} parked\n")), "{parked}");
    for event in withheld {
        assert!(parked.contains(event["seq"].as_str().unwrap()), "{event}");
    }
}

fn number(event: &Value) -> u64 {
    let seq = event["seq"].as_str().unwrap();
    seq.split_once('-').unwrap().1.parse().unwrap()
}
