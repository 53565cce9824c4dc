//! A clinic of one test: its folder, its desk, its agent's process.

use std::path::PathBuf;

use kit_clock::Clock;
use kit_event::{Timestamp, UnitId};
use kit_token::Kind;
use practice::{Desk, Interval, Population};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::net::{Net, tail};
use crate::{Rest, eventually};

/// Patients of a test's clinic: enough for pages and names, few enough to be quick.
const PATIENTS: u32 = 40;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A clinic.
pub struct Unit {
    pub id: UnitId,
    pub dir: PathBuf,
    pub rest: Rest,
    remembered_patient: Uuid,
    agent: Option<Child>,
    agent_command: Box<dyn Fn() -> Command + Send + Sync>,
}

/// A free interval of a practitioner.
#[derive(Debug, Clone)]
pub struct Slot {
    pub practitioner_id: String,
    pub starts_at: String,
    pub ends_at: String,
}

impl Unit {
    pub(crate) async fn open(net: &Net, name: &str) -> Self {
        let unit = Self::prepare(net, name, PATIENTS).await;
        let mut unit = unit;
        unit.connect().await;
        unit.wait_seeded().await;
        unit
    }

    /// A clinic whose agent does not run yet.
    pub async fn prepare(net: &Net, name: &str, patients: u32) -> Self {
        let tag = &Uuid::new_v4().simple().to_string()[..8];
        let id: UnitId = format!("t-{name}-{tag}").parse().expect("a unit's name");
        let dir = net.home.join("units").join(id.as_str());
        let mut init = net.command("arteria-agent");
        init.args(["init", "--dir"]).arg(&dir).args(["--unit", id.as_str(), "--edge", &net.edge]);
        init.arg("--keys").arg(&net.keys);
        let output = init.output().await.expect("running arteria-agent init");
        assert!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
        // The coming diary is the test's own, so that a row in it is one that the test made.
        let population =
            Population { patients, past_days: 5, coming_days: 0, ..Population::default() };
        practice::seed_clinic(&dir, &id, &population, Clock::system().now()).expect("a population");
        let rest = net.rest(Kind::Staff, std::slice::from_ref(&id), None);
        let (program, folder) = (crate::net::beside_tests("arteria-agent"), dir.clone());
        let agent_command = move || {
            let mut command = Command::new(&program);
            let log = folder.join("agent.log");
            let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
            let file = file.expect("the agent's log");
            command.args(["run", "--dir"]).arg(&folder).kill_on_drop(true);
            command.stdin(std::process::Stdio::null()).stdout(file.try_clone().expect("a log"));
            command.stderr(file);
            command
        };
        let mut unit = Self {
            id,
            dir,
            rest,
            remembered_patient: Uuid::nil(),
            agent: None,
            agent_command: Box::new(agent_command),
        };
        if patients > 0 {
            unit.remembered_patient = unit.some_patient();
        }
        unit
    }

    /// Starts the agent and waits until the network sees the clinic.
    pub async fn connect(&mut self) {
        self.agent = Some((self.agent_command)().spawn().expect("starting the agent"));
        self.wait_online(true).await;
    }

    /// Starts the agent and waits for nothing.
    pub fn start_agent(&mut self) {
        self.agent = Some((self.agent_command)().spawn().expect("starting the agent"));
    }

    /// Kills the agent without a word, and waits until the network sees the clinic as away.
    pub async fn cut_off(&mut self) {
        self.kill9_agent().await;
        self.wait_online(false).await;
    }

    /// Kills the agent without a word.
    pub async fn kill9_agent(&mut self) {
        let mut agent = self.agent.take().expect("a running agent");
        agent.kill().await.expect("killing the agent");
    }

    pub async fn wait_online(&self, online: bool) {
        eventually(&format!("{} online={online}", self.id), || async {
            let answer = self.rest.get(&format!("/v1/units/{}", self.id)).await;
            (answer.body["online"] == online).then_some(())
        })
        .await;
    }

    pub async fn wait_seeded(&self) {
        eventually(&format!("the opening of {}", self.id), || async {
            let answer = self.rest.get(&format!("/v1/units/{}", self.id)).await;
            (answer.body["seeded"] == true).then_some(())
        })
        .await;
    }

    /// A path below the unit's own.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/units/{}/{rest}", self.id)
    }

    pub fn clinic_db(&self) -> PathBuf {
        self.dir.join("clinic.db")
    }

    /// The practice's own software.
    pub fn desk(&self) -> Desk {
        Desk::open(&self.clinic_db()).expect("opening clinic.db")
    }

    /// Some patient of the clinic.
    pub fn some_patient(&self) -> Uuid {
        let desk = self.desk();
        let mut patients = desk.patients().expect("patients");
        let row = patients.find(|row| row["active"] == true).expect("an active patient");
        row["patient_id"].as_str().expect("an id").parse().expect("a UUID")
    }

    /// Free slots, asked of the unit.
    pub async fn slots(&self, wanted: usize) -> Vec<Slot> {
        let practitioners = self.rest.get(&self.path("practitioners?limit=50")).await.expect(200);
        let from = Clock::system().now().plus_ms(DAY_MS);
        let to = from.plus_ms(14 * DAY_MS);
        let mut found = Vec::new();
        for practitioner in practitioners.items() {
            let id = practitioner["practitioner_id"].as_str().expect("an id").to_owned();
            let query = format!("slots?practitioner_id={id}&from={from}&to={to}");
            for slot in self.rest.get(&self.path(&query)).await.expect(200).items() {
                let text = |member: &str| slot[member].as_str().expect("a time").to_owned();
                let (starts_at, ends_at) = (text("starts_at"), text("ends_at"));
                found.push(Slot { practitioner_id: id.clone(), starts_at, ends_at });
                if found.len() == wanted {
                    return found;
                }
            }
        }
        panic!("only {} free slots of {wanted}", found.len());
    }

    /// The body of a booking.
    pub fn booking(&self, slot: &Slot) -> Value {
        self.booking_of(self.some_patient(), slot)
    }

    /// The body of a booking, without a look into a database that may be locked.
    pub fn some_booking_body(&self, slot: &Slot) -> Value {
        let mut body = self.booking_of(self.remembered_patient, slot);
        body["reason"] = json!("while locked");
        body
    }

    fn booking_of(&self, patient: Uuid, slot: &Slot) -> Value {
        json!({
            "patient_id": patient,
            "practitioner_id": slot.practitioner_id,
            "starts_at": slot.starts_at,
            "ends_at": slot.ends_at,
        })
    }

    /// The desk writes this slot into the diary.
    pub fn desk_takes(&self, slot: &Slot) -> Uuid {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let interval = Interval::new(time(&slot.starts_at), time(&slot.ends_at));
        let practitioner = slot.practitioner_id.parse().expect("a UUID");
        self.desk().take_slot(&practitioner, interval, &self.some_patient()).expect("the slot")
    }

    /// Rows of the diary at this start, cancelled ones included.
    pub fn rows_at(&self, slot: &Slot) -> Vec<practice::Row> {
        let rows = self.desk().rows(practice::Table::Appointments).expect("the diary");
        rows.into_iter()
            .filter(|row| {
                row["practitioner_id"] == slot.practitioner_id.as_str()
                    && row["starts_at"] == slot.starts_at.as_str()
            })
            .collect()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- last lines of agent {}\n{}", self.id, tail(&self.dir.join("agent.log")));
        }
    }
}
