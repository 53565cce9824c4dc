//! The topics, as other people's tools see them.

use std::process::Stdio;
use std::time::Duration;

use kit_bus::{Polled, ReaderOptions, Topic};
use kit_stack::{StackConfig, kafka_tool};
use tests_e2e::{Net, eventually};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Kafka's Java tools take some seconds to start on a busy machine.
const TOOL_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_java_client_chooses_the_same_partition_for_a_unit() {
    let net = Net::shared();
    let bus = net.bus().await;
    // A topic that no role reads, so that foreign records disturb nobody.
    let topic = format!("partitioner-{}", uuid::Uuid::new_v4().simple());
    let mut create = tool("org.apache.kafka.tools.TopicCommand");
    create.args(["--bootstrap-server", &net.kafka, "--create", "--topic", &topic]);
    let partitions = net.partitions.to_string();
    create.args(["--partitions", &partitions, "--replication-factor", "1"]);
    run(create, "").await;

    let keys: Vec<String> = (1..=300).map(|n| format!("hcu-{n:04}")).collect();
    let lines: String = keys.iter().map(|key| format!("{key}\t{key}\n")).collect();
    let mut produce = tool("org.apache.kafka.tools.ConsoleProducer");
    produce.args(["--bootstrap-server", &net.kafka, "--topic", &topic]);
    produce.args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=\t"]);
    run(produce, &lines).await;

    let mut read = Command::new("kcat");
    read.args(["-b", &net.kafka, "-t", &topic, "-C", "-e", "-q", "-f", "%k %p\n"]);
    let text = run(read, "").await;
    let mut seen = 0;
    for line in text.lines() {
        let (key, partition) = line.split_once(' ').expect("a key and a partition");
        assert_eq!(partition.parse::<i32>().unwrap(), bus.partition_of(key), "{key}");
        seen += 1;
    }
    assert_eq!(seen, keys.len());
}

#[tokio::test]
async fn kcat_and_the_console_consumer_read_every_topic() {
    let net = Net::shared();
    let mut unit = net.unit("readers").await;
    // Something on every topic that a working clinic writes to.
    let slot = unit.slots(1).await.remove(0);
    unit.rest.post(&unit.path("appointments"), unit.booking(&slot)).await.expect(201);
    unit.cut_off().await;
    for topic in ["unit.requests", "unit.replies", "unit.facts", "unit.presence"] {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &net.kafka, "-t", topic, "-C", "-e", "-q", "-f", "%k %h\n"]);
        let text = run(kcat, "").await;
        assert!(text.contains("ce_type="), "kcat reads nothing from {topic}");
    }
    let mut console = tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    console.args(["--bootstrap-server", &net.kafka, "--topic", "unit.facts", "--from-beginning"]);
    console.args(["--max-messages", "5", "--timeout-ms", "30000"]);
    console.args(["--formatter-property", "print.headers=true"]);
    let text = run(console, "").await;
    assert!(text.contains("ce_unitseq:"), "{text}");
}

#[tokio::test]
async fn a_fact_carries_cloud_events_headers_and_no_personal_data_in_them() {
    let net = Net::shared();
    let unit = net.unit("headers").await;
    let bus = net.bus().await;
    let partition = bus.partition_of(unit.id.as_str());
    let start = bus.watermarks(Topic::Facts, partition).await.unwrap().high;
    let mut reader = bus.reader("test", ReaderOptions::default()).unwrap();
    reader.assign(Topic::Facts, vec![(partition, start)]).await.unwrap();
    let patient = practice::Patient::named("Canary", "Nightingale");
    let id = unit.desk().register_patient(&patient).unwrap();
    let record = loop {
        let polled = tokio::time::timeout(TOOL_WITHIN, reader.next()).await.expect("a fact");
        if let Some(Polled::Record(record)) = polled
            && record.key.as_deref() == Some(unit.id.as_str())
            && record.header("ce_type") == Some("patients.patient_registered")
        {
            break record;
        }
    };
    for name in ["ce_id", "ce_source", "ce_time", "ce_dataschema", "ce_unitepoch", "ce_unitseq"] {
        assert!(record.header(name).is_some(), "{name} is missing");
    }
    assert_eq!(record.header("ce_specversion"), Some("1.0"));
    assert_eq!(record.header("ce_patientid"), Some(id.to_string().as_str()));
    assert_eq!(record.header("ce_subject"), Some(format!("patient/{id}").as_str()));
    let headers = format!("{:?}", record.headers);
    assert!(!headers.contains("Nightingale") && !headers.contains("Canary"));
    // Confluent wire format: a zero byte, then the schema's id.
    assert_eq!(record.payload.as_ref().map(|payload| payload[0]), Some(0));
    let fact = bus.open_fact(&record).await.unwrap();
    assert_eq!(fact.body["family_name"], "Nightingale");
}

#[tokio::test]
async fn a_partition_count_is_never_changed() {
    let net = Net::shared();
    let other = (net.partitions + 1).to_string();
    let mut apply = net.command("arteria");
    apply.args(["topics", "apply"]).env("ARTERIA_PARTITIONS", other);
    let output = apply.output().await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("64") && said.contains("65"), "{said}");
}

#[tokio::test]
async fn a_record_cut_in_the_middle_disturbs_no_other_unit() {
    let net = Net::own("cut").await;
    let unit = net.unit("whole").await;
    let bus = net.bus().await;
    let topic = format!("{}unit.facts", net.topic_prefix);
    let partition = bus.partition_of(unit.id.as_str());
    // A record of another unit in the same partition, its Avro cut in the middle.
    let mut produce = Command::new("kcat");
    let partition = partition.to_string();
    produce.args(["-b", &net.kafka, "-t", &topic, "-P", "-p", &partition, "-k", "hcu-broken"]);
    produce.args(["-H", "ce_specversion=1.0", "-H", "ce_type=patients.patient_registered"]);
    produce.args(["-H", "ce_id=00000000-0000-4000-8000-000000000001", "-H", "ce_unitepoch=1"]);
    produce.args(["-H", "ce_unitseq=1", "-H", "ce_source=/units/hcu-broken"]);
    run(produce, "\u{0}\u{0}\u{0}\u{0}\u{1}Cut").await;
    let id = unit.desk().register_patient(&practice::Patient::named("After", "Cut")).unwrap();
    unit.rest.record(&unit.path(&format!("patients/{id}"))).await;
    let parked = format!("{}parked", net.topic_prefix);
    eventually("the parked record", || async {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &net.kafka, "-t", &parked, "-C", "-e", "-q", "-f", "%k\n"]);
        run(kcat, "").await.contains("hcu-broken").then_some(())
    })
    .await;
}

fn tool(main_class: &str) -> Command {
    let config = StackConfig::from_env().expect("where the tools are");
    Command::from(kafka_tool(&config, main_class).expect("Kafka's tools"))
}

async fn run(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("starting a tool");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).await.expect("writing its input");
    drop(stdin);
    let ended = tokio::time::timeout(TOOL_WITHIN, child.wait_with_output()).await;
    let output = ended.expect("a tool that ends").expect("a tool's output");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a tool failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
