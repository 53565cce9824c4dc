//! Apache Kafka as one KRaft node that is broker and controller in one.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::StackConfig;
use crate::error::StackError;
use crate::fetch::{artefacts, find_java};
use crate::ports::free_addr;
use crate::probe::Probe;
use crate::process::{ProcessSpec, confine, run_to_end};
use crate::servers::KAFKA;

/// A log of some gigabytes is recovered within this after a kill -9.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// A clean end takes about a second; one without it costs a recovery at the next start, and nothing
/// else.
const GRACE: Duration = Duration::from_secs(5);

/// Settings that do not depend on the stack.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER

# One node: every internal topic has one replica, and few partitions to open at each start.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
min.insync.replicas=1

# A topic that nobody declared is a typing error, and must not come to life.
auto.create.topics.enable=false

# A consumer group of a test or a demo is complete with its first member.
group.initial.rebalance.delay.ms=0

# Compacted topics are small here: look often, and take 16 MiB of the heap for it instead of 128.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=5000
log.retention.check.interval.ms=60000

# A restarted broker is let in when the session of its dead predecessor has ended.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
";

/// Formats the data folder where that was not yet done, writes the settings, and names the process.
pub(crate) fn prepare(config: &StackConfig) -> Result<ProcessSpec, StackError> {
    let jars = artefacts(&config.cache)?.kafka.join("*");
    let java = find_java()?;
    let folder = config.home.join(KAFKA);
    fs::create_dir_all(&folder).map_err(StackError::prepare(&folder))?;
    let controller = free_addr();
    let data = folder.join("data");
    if !data.join("meta.properties").is_file() {
        format(&java, &jars, &folder, &data, config.kafka_addr, controller)?;
    }
    let settings = folder.join("server.properties");
    write_settings(&settings, &data, config.kafka_addr, controller)?;
    Ok(ProcessSpec::new(KAFKA, java)
        .args(["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"])
        .args(["-XX:InitiatingHeapOccupancyPercent=35", "-Djava.awt.headless=true"])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
        .args(["-Dorg.slf4j.simpleLogger.showDateTime=true"])
        .args(["-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX"])
        .arg("-cp")
        .arg(jars)
        .arg("kafka.Kafka")
        .arg(settings)
        .working_dir(folder)
        .ready(Probe::Kafka(config.kafka_addr))
        .ready_within(READY_WITHIN)
        .grace(GRACE))
}

/// Formats in a folder of its own and renames it, so that a data folder with its proper name is
/// whole.
fn format(
    java: &Path,
    jars: &Path,
    folder: &Path,
    data: &Path,
    client: SocketAddr,
    controller: SocketAddr,
) -> Result<(), StackError> {
    let part = folder.join("data.partial");
    for stale in [&part, data] {
        if stale.is_dir() {
            fs::remove_dir_all(stale).map_err(StackError::prepare(stale))?;
        }
    }
    let settings = folder.join("format.properties");
    write_settings(&settings, &part, client, controller)?;
    #[expect(clippy::disallowed_methods, reason = "a cluster's id, drawn once")]
    let cluster = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    // One id in 64 begins with a hyphen; joined to its name it is never read as an option.
    let cluster_id = format!("--cluster-id={cluster}");
    let mut command = Command::new(java);
    command
        .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
        .arg("-cp")
        .arg(jars)
        .args(["kafka.tools.StorageTool", "format", &cluster_id, "--config"])
        .arg(&settings);
    confine(&mut command, None);
    run_to_end("formatting Kafka's data folder", command)?;
    fs::rename(&part, data).map_err(StackError::prepare(data))
}

fn write_settings(
    file: &Path,
    data: &Path,
    client: SocketAddr,
    controller: SocketAddr,
) -> Result<(), StackError> {
    let settings = format!(
        "{SETTINGS}\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=CLIENT://{client},CONTROLLER://{controller}\n\
         advertised.listeners=CLIENT://{client}\n\
         log.dirs={}\n",
        data.display()
    );
    fs::write(file, settings).map_err(StackError::prepare(file))
}

/// One of Kafka's official command line tools, by the name of its class, such as
/// `org.apache.kafka.tools.consumer.ConsoleConsumer`.
pub fn kafka_tool(config: &StackConfig, main_class: &str) -> Result<Command, StackError> {
    let found = artefacts(&config.cache)?;
    let mut path = found.kafka_tools.join("*").into_os_string();
    path.push(":");
    path.push(found.kafka.join("*"));
    let mut command = Command::new(find_java()?);
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error")
        .arg("-cp")
        .arg(path)
        .arg(main_class);
    Ok(command)
}
