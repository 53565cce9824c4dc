//! Measurements, run by hand: what a load costs the projector, live and from nothing.
//!
//! `cargo test -p projector --test projector -- --ignored --nocapture load`

use std::time::{Duration, Instant};

use kit_event::Fact;
use patients::PatientFact;
use scheduling::facts::AppointmentFact;

use crate::unit::{appointment, appointment_fact, patient, patient_fact, registered};
use crate::{Network, Unit};

/// Units of the load.
const UNITS: usize = 40;
/// Facts between two waits for the broker.
const WINDOW: usize = 500;

/// CPU seconds of this process so far, all threads.
fn cpu_s() -> f64 {
    cpu_of("self")
}

/// CPU seconds of Postgres for each domain's connection so far.
async fn postgres_cpu(network: &Network) -> String {
    let rows: Vec<(i32, String)> = sqlx::query_as(
        "select pid, substr(application_name, 19) from pg_stat_activity
         where datname = current_database() and application_name like 'arteria-projector-%'
         order by 2",
    )
    .fetch_all(&network.admin)
    .await
    .unwrap();
    let each = rows.iter().map(|(pid, name)| format!("{name} {:.2}", cpu_of(&pid.to_string())));
    each.collect::<Vec<_>>().join(", ")
}

fn cpu_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// Patients and their appointments, `count` facts of each unit, in rounds over the units.
async fn facts(network: &Network, count: usize) -> Vec<Fact> {
    let mut units = Vec::new();
    for n in 0..UNITS {
        units.push(Unit::open(&network.bus, &format!("hcu-{n:04}")).await);
    }
    let mut facts = Vec::new();
    for round in 0..count {
        for (n, unit) in units.iter_mut().enumerate() {
            let resource = (n * 1_000_000 + round) as u128;
            facts.push(match round % 3 {
                0 => unit.next(registered(resource)),
                1 => {
                    let booked = appointment(resource, "2026-03-02T10:00:00Z");
                    unit.next(appointment_fact(AppointmentFact::Booked, &booked))
                }
                _ => {
                    let amended = patient(resource - 2, "Amended", "Given");
                    unit.next(patient_fact(PatientFact::Amended, &amended))
                }
            });
        }
    }
    facts
}

async fn publish(network: &Network, facts: &[Fact], pause: Duration) {
    for window in facts.chunks(WINDOW) {
        let mut sent = Vec::new();
        for fact in window {
            let sealed = network.bus.seal_fact(fact).await.unwrap();
            sent.push(network.bus.enqueue(sealed).unwrap());
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn load_from_nothing() {
    let network = Network::bare(16).await;
    let facts = facts(&network, 750).await;
    publish(&network, &facts, Duration::ZERO).await;
    let (cpu, since) = (cpu_s(), Instant::now());
    network.start(None);
    network.ready().await;
    network.settle().await;
    let (cpu, took) = (cpu_s() - cpu, since.elapsed().as_secs_f64());
    let rate = facts.len() as f64 / took;
    println!("from nothing: {} facts, {took:.2} s, {rate:.0}/s, cpu {cpu:.2} s", facts.len());
    println!("postgres cpu s: {}", postgres_cpu(&network).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn load_live() {
    let network = Network::bare(16).await;
    let facts = facts(&network, 200).await;
    network.start(None);
    network.ready().await;
    network.settle().await;
    let (cpu, since) = (cpu_s(), Instant::now());
    for some in facts.chunks(20) {
        publish(&network, some, Duration::from_millis(40)).await;
    }
    network.settle().await;
    let (cpu, took) = (cpu_s() - cpu, since.elapsed().as_secs_f64());
    println!("live: {} facts in {took:.2} s, cpu {cpu:.2} s", facts.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn load_idle() {
    let network = Network::bare(16).await;
    network.start(None);
    network.ready().await;
    let cpu = cpu_s();
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("idle: 20 s, cpu {:.2} s", cpu_s() - cpu);
}
