//! A publisher as a process of its own, which a test may kill at any step: this very program, told
//! to run one test that is otherwise ignored.

use std::process::Stdio;
use std::time::Duration;

use kit_bus::{Bus, BusConfig, Delivering};
use kit_clock::Clock;
use kit_lifecycle::Lifecycle;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use publisher::Host;
use publisher::failpoints::{Failpoints, Step};
use serde_json::{Value, json};

use crate::{Network, SOON};

/// Tells the process what to publish, and where to die.
const TOLD: &str = "ARTERIA_TEST_PUBLISHER";

/// A running process; dropped, it is killed.
pub struct Child(tokio::process::Child);

impl Child {
    /// Starts one that runs until it is killed.
    #[must_use]
    pub fn spawn(network: &Network) -> Self {
        Self::spawn_armed(network, None)
    }

    /// Starts one that kills itself with SIGKILL at `step`, after it was passed some times.
    pub fn spawn_armed(network: &Network, armed: Option<(Step, u32)>) -> Self {
        let step = armed.map(|(step, passes)| {
            let number = Step::ALL.iter().position(|one| *one == step).unwrap();
            json!([number, passes])
        });
        let told = json!({
            "brokers": network.config.brokers,
            "registry": network.config.registry_url,
            "prefix": network.config.topic_prefix,
            "partitions": network.config.partitions,
            "postgres": network.postgres_url,
            "armed": step,
        });
        let log = std::fs::OpenOptions::new().create(true).append(true).open(network.log());
        let child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::publishes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(TOLD, told.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.map_or_else(|_| Stdio::null(), Stdio::from))
            .kill_on_drop(true)
            .spawn();
        Self(child.unwrap())
    }

    /// Waits for its end by SIGKILL at the step that was armed.
    pub async fn killed(&mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        let ended = tokio::time::timeout(SOON, self.0.wait()).await;
        let status = ended.expect("the armed step is reached").unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
    }

    /// Waits for its end by itself, and says whether that was a fault.
    pub async fn failed(&mut self) -> bool {
        let ended = tokio::time::timeout(SOON, self.0.wait()).await;
        !ended.expect("an end").unwrap().success()
    }

    /// Seconds of work that it has done so far.
    pub fn cpu_seconds(&self) -> f64 {
        let pid = self.0.id().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let ticks = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Kills it wherever it is.
    pub async fn kill(&mut self) {
        self.0.kill().await.unwrap();
    }
}

fn strike() {
    kill(Pid::this(), Signal::SIGKILL).unwrap();
    // The signal is on its way, and nothing more may happen until it comes.
    std::thread::sleep(Duration::from_mins(1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of the other tests"]
async fn publishes_until_it_is_killed() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let config = BusConfig {
        brokers: text("brokers"),
        registry_url: text("registry"),
        topic_prefix: text("prefix"),
        partitions: told["partitions"].as_i64().unwrap() as i32,
    };
    let failpoints = match told["armed"].as_array() {
        None => Failpoints::none(),
        Some(armed) => {
            let step = Step::ALL[armed[0].as_u64().unwrap() as usize];
            Failpoints::armed(step, armed[1].as_u64().unwrap() as u32, strike)
        }
    };
    let life = Lifecycle::start().unwrap();
    let bus = Bus::connect_with(&config, Delivering::Gapless).await.unwrap();
    let host = Host::new(bus, text("postgres"), 1, Clock::system()).killed_at(failpoints);
    host.start(&life);
    life.drain().await.unwrap();
}
