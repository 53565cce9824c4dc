//! The three real servers: they start in an empty home, survive kill -9 with their data, end
//! without a trace, and start again on what they left.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Instant;

use kit_stack::{
    Answer, KAFKA, POSTGRES, Probe, REGISTRY, Stack, StackConfig, StackError, Supervisor,
    free_addr, kafka_tool, server_processes,
};

const SERVERS: [&str; 3] = [KAFKA, REGISTRY, POSTGRES];

fn said(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} ended with {status}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

fn topics(config: &StackConfig, args: &[&str]) -> String {
    let mut command = kafka_tool(config, "org.apache.kafka.tools.TopicCommand").unwrap();
    command.args(["--bootstrap-server", &config.addresses().kafka]).args(args);
    said(command)
}

fn produce(config: &StackConfig, line: &str) {
    let mut command = Command::new("sh");
    let script = r#"printf '%s\n' "$1" | kcat -P -b "$0" -t notes -X acks=all"#;
    command.args(["-c", script, &config.addresses().kafka, line]);
    said(command);
}

fn consume(config: &StackConfig) -> String {
    let mut command = Command::new("kcat");
    command.args([
        "-C",
        "-b",
        &config.addresses().kafka,
        "-t",
        "notes",
        "-o",
        "beginning",
        "-e",
        "-q",
    ]);
    said(command)
}

fn sql(config: &StackConfig, statement: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["-qtAX", "-v", "ON_ERROR_STOP=1", &config.addresses().postgres, "-c", statement]);
    said(command).trim().to_owned()
}

fn registry(addr: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(
        stream,
        "{method} /apis/ccompat/v7{path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_start_survive_kills_and_end_without_a_trace() {
    let home = tempfile::tempdir().unwrap();
    let config = StackConfig::on_free_ports(home.path()).unwrap();
    let cold = Instant::now();
    let stack = Stack::up(&config).await.unwrap();
    println!("an empty home was up after {:.1?}", cold.elapsed());

    // Usable at once, each by its own client.
    topics(&config, &["--create", "--topic", "notes", "--partitions", "3"]);
    produce(&config, "before the kill");
    let schema = r#"{"schema": "{\"type\":\"record\",\"name\":\"Note\",\"fields\":[]}"}"#;
    let id = registry(config.registry_addr, "POST", "/subjects/Note/versions", schema);
    sql(&config, "CREATE TABLE notes (line text); INSERT INTO notes VALUES ('before the kill')");
    assert_eq!(sql(&config, "SHOW fsync"), "on");
    assert_eq!(sql(&config, "SHOW jit"), "off");

    for name in SERVERS {
        let before = stack.supervisor.pid(name).unwrap();
        let killed = Instant::now();
        stack.supervisor.kill9(name).await.unwrap();
        stack.supervisor.wait_ready(name).await.unwrap();
        println!("{name} was back {:.1?} after kill -9", killed.elapsed());
        assert_ne!(stack.supervisor.pid(name), Some(before));
    }
    produce(&config, "after the kill");
    assert_eq!(consume(&config).lines().count(), 2);
    assert_eq!(registry(config.registry_addr, "POST", "/subjects/Note/versions", schema), id);
    assert_eq!(sql(&config, "SELECT line FROM notes"), "before the kill");

    let pids: Vec<u32> = SERVERS.iter().map(|name| stack.supervisor.pid(name).unwrap()).collect();
    let leaving = Instant::now();
    let killed = stack.supervisor.shutdown().await;
    println!("all had ended after {:.1?}", leaving.elapsed());
    assert!(killed.is_empty(), "had to be killed: {killed:?}");
    for pid in pids {
        assert!(!fs::exists(format!("/proc/{pid}")).unwrap(), "process {pid} is left");
    }
    for addr in [config.kafka_addr, config.registry_addr, config.postgres_addr] {
        assert_eq!(Probe::Tcp(addr).ask().await, Answer::Away);
    }
    drop(stack);

    let warm = Instant::now();
    let stack = Stack::up(&config).await.unwrap();
    println!("the same home was up again after {:.1?}", warm.elapsed());
    assert_eq!(consume(&config).lines().count(), 2);
    assert_eq!(registry(config.registry_addr, "GET", "/subjects", ""), r#"["Note"]"#);
    assert_eq!(sql(&config, "SELECT count(*) FROM notes"), "1");

    // A second stack, configured with the same addresses, uses these servers instead of its own.
    assert!(server_processes(&config).await.unwrap().is_empty());
    stack.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_stranger_on_a_port_is_named_with_its_pid() {
    let home = tempfile::tempdir().unwrap();
    let stranger = TcpListener::bind(free_addr()).unwrap();
    let mut config = StackConfig::on_free_ports(home.path()).unwrap();
    config.kafka_addr = stranger.local_addr().unwrap();
    let refused = server_processes(&config).await.unwrap_err();
    assert!(matches!(refused, StackError::ForeignServer { .. }), "{refused:?}");
    let said = refused.to_string();
    assert!(said.contains(&config.kafka_addr.to_string()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    assert!(said.contains("ARTERIA_KAFKA"), "{said}");
}

#[tokio::test]
async fn a_home_in_use_is_refused_with_the_pid_of_its_user() {
    let home = tempfile::tempdir().unwrap();
    let _first = Supervisor::open(home.path()).unwrap();
    let refused = Supervisor::open(home.path()).unwrap_err();
    assert!(matches!(refused, StackError::HomeInUse { pid, .. } if pid == std::process::id()));
}
