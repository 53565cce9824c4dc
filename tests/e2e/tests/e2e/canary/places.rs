//! Where the canary must not be, and how each place is searched.

use std::path::Path;
use std::process::Stdio;

use tests_e2e::{Answer, Net, Unit};
use tokio::process::Command;

use super::words::found_in;

/// What was searched, and where a word was found.
#[derive(Default)]
pub struct Places {
    looked_at: usize,
    found: Vec<String>,
}

impl Places {
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    pub fn found(&self) -> Vec<String> {
        self.found.clone()
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        self.looked_at += 1;
        if let Some(word) = found_in(bytes) {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            let at = text.find(word).unwrap_or_default();
            let from = text.floor_char_boundary(at.saturating_sub(120));
            let to = text.ceil_char_boundary((at + 80).min(text.len()));
            self.found.push(format!("{place}: {word}: …{}…", &text[from..to]));
        }
    }

    /// Headers always; the body where it is a problem.
    pub fn look_at_answer(&mut self, what: &str, answer: &Answer) {
        for (name, value) in &answer.headers {
            self.look(&format!("{what}: header {name}"), value.as_bytes());
        }
        if answer.status >= 400 {
            let body = answer.body.to_string();
            self.look(&format!("{what}: problem {}", answer.status), body.as_bytes());
        }
    }

    /// Every file that a role or an agent logs into.
    pub fn look_at_logs(&mut self, net: &Net, unit: &Unit) {
        let mut files = Vec::new();
        collect(&net.home.join("logs"), &mut files);
        collect(&unit.dir.join("logs"), &mut files);
        files.push(unit.dir.join("agent.log"));
        assert!(files.len() > 4, "too few log files: {files:?}");
        for file in files {
            let bytes = std::fs::read(&file).expect("a log");
            self.look(&file.display().to_string(), &bytes);
        }
    }

    /// What every role tells Prometheus.
    pub async fn look_at_metrics(&mut self, net: &Net) {
        for (role, addr) in net.admin_addrs() {
            let url = format!("http://{addr}/metrics");
            let text = reqwest::get(&url).await.expect("metrics").text().await.expect("text");
            assert!(text.contains("arteria_"), "{role} tells no metrics");
            self.look(&format!("metrics of {role}"), text.as_bytes());
        }
    }

    /// Keys and headers of every topic; on public topics and presence also what is inside.
    pub async fn look_at_topics(&mut self, net: &Net) {
        let listed = output(Command::new("kcat").args(["-b", &net.kafka, "-L", "-J"])).await;
        let listed: serde_json::Value = serde_json::from_slice(&listed).expect("kcat's list");
        let topics = listed["topics"].as_array().expect("topics");
        let names = topics.iter().filter_map(|topic| topic["topic"].as_str());
        let ours: Vec<&str> = names.filter(|name| name.starts_with(&net.topic_prefix)).collect();
        assert!(ours.iter().any(|name| name.contains("domain.patients")), "{ours:?}");
        for topic in ours {
            let is_open = topic.contains("domain.") || topic.contains("presence");
            let format = if is_open { "%k %h %s\n" } else { "%k %h\n" };
            let mut kcat = Command::new("kcat");
            kcat.args(["-b", &net.kafka, "-t", topic, "-C", "-e", "-q", "-f", format]);
            for line in output(&mut kcat).await.split(|byte| *byte == b'\n') {
                self.look(topic, line);
            }
        }
    }

    /// What operators are shown.
    pub async fn look_at_commands(&mut self, net: &Net, unit: &Unit) {
        let id = unit.id.as_str();
        for args in [
            vec!["fleet"],
            vec!["fleet", "--json"],
            vec!["parked", "--unit", id],
            vec!["trace", "1-60", "--unit", id],
        ] {
            let mut command = net.command("arteria");
            let said = command.args(&args).output().await.expect("running arteria");
            let text = [said.stdout, said.stderr].concat();
            self.look(&format!("arteria {args:?}"), &text);
        }
        let mut status = net.command("arteria-agent");
        let said = status.arg("status").arg("--dir").arg(&unit.dir).output().await.expect("status");
        self.look("arteria-agent status", &[said.stdout, said.stderr].concat());
    }
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder of logs").flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

async fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().await.expect("a tool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
