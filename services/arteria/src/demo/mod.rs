//! `make demo`: the product at work, in plain lines with the time that each step took.
//!
//! Nothing is staged. The steps are those of an app with a token, of a desk that writes plain SQL,
//! and of somebody who pulls a clinic's plug; each line is printed only after what it says was
//! seen, and the first one that cannot be seen ends the demo with an error.

mod facts;
mod live;
mod money;
mod script;
mod stage;
mod voip;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::UnitId;
use kit_lifecycle::Lifecycle;
use kit_stack::StackConfig;
use kit_token::{Issuer, Kind};

use crate::network::Network;
use crate::up::say_down_first;
use stage::Stage;

/// The token that the demo prints lives for a working day.
const TOKEN_TTL: Duration = Duration::from_hours(8);

pub async fn run(settings: Settings, once: bool) -> Result<()> {
    let life = Lifecycle::start()?;
    let soft = life.soft();
    let stack = StackConfig::from_env()?;
    say_down_first(&stack.home)?;
    let begun = Instant::now();
    println!("Arteria, on this machine: {} clinics and the network between them", settings.units);
    println!();
    let say = |line: &str| line_after(begun, line);
    let starting = Network::start(settings, stack, &say);
    let network = tokio::select! {
        network = starting => network?,
        // Dropping what had started ends it.
        () = soft.cancelled() => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = show(&network) => outcome,
        () = soft.cancelled() => Ok(()),
    };
    if outcome.is_ok() && !once && !soft.is_cancelled() {
        println!("Ctrl-C stops everything.");
        soft.cancelled().await;
        println!();
    }
    let ended = Instant::now();
    let killed = network.supervisor.shutdown().await;
    line_after(ended, "everything is stopped; the data stays for the next start");
    for name in killed {
        println!("  {name} did not end by itself and was killed");
    }
    outcome
}

async fn show(network: &Network) -> Result<()> {
    let settings = &network.settings;
    let issuer = Issuer::open(&settings.keys_dir, settings.production)?;
    let units = network.units()?;
    let now = Clock::system().now();
    let token = issuer.issue(Kind::Staff, "demo-app", &units, None, TOKEN_TTL, now)?;
    let mut stage = Stage::set(network, units[0].clone(), token.clone()).await?;
    let shown = script::play(&mut stage).await;
    if let Err(error) = &shown {
        println!();
        println!("This step was not observed: {error:#}");
        stage.print_last_lines();
        return shown;
    }
    epilogue(settings, &units[0], &token, stage.patient_id());
    shown
}

fn epilogue(settings: &Settings, unit: &UnitId, token: &str, patient_id: &str) {
    let base = format!("http://{}", settings.gateway_addr);
    let at = format!("{base}/v1/units/{unit}");
    println!();
    println!("REST       {base}/v1      description {base}/openapi.json");
    println!("clinics    {}", settings.home.join("units").display());
    println!("Kafka      {}   kcat -b {} -L", settings.kafka, settings.kafka);
    println!("registry   {}", settings.registry_url);
    println!();
    println!("A staff token of every clinic, good for eight hours:");
    println!();
    println!("export T={token}");
    println!();
    println!("curl -s -H \"Authorization: Bearer $T\" {base}/v1/units");
    println!("curl -s -H \"Authorization: Bearer $T\" '{at}/patients?limit=3'");
    println!("curl -si -H \"Authorization: Bearer $T\" {at}/patients/{patient_id}");
    println!("curl -s -H \"Authorization: Bearer $T\" {at}/practitioners");
    println!("curl -s -H \"Authorization: Bearer $T\" '{at}/appointments?patient_id={patient_id}'");
    println!(
        "curl -si -H \"Authorization: Bearer $T\" -H \"Idempotency-Key: $(date +%s%N)\" \
         -H 'Content-Type: application/json' -X PATCH {at}/patients/{patient_id} \
         -d '{{\"phone\": \"+351 210 000 000\"}}'"
    );
    println!();
}

/// Prints one line with the time passed since `since`.
fn line_after(since: Instant, line: &str) {
    println!("  [{:>6.2} s] {line}", since.elapsed().as_secs_f64());
    // A pipe would hold lines back until the end; a demo is watched while it goes on.
    let _ = std::io::stdout().flush();
}
