//! Alert rules and dashboards ask for metrics that exist: every expression is parsed as Prometheus
//! parses it, and every metric and label in it is looked for in what roles at work really tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use promql_parser::parser::{Call, Expr, LabelModifier, VectorSelector, parse};
use serde_json::Value;
use tests_e2e::{Net, eventually};

use crate::fleet;

/// Labels that a histogram's buckets have, and those that Prometheus adds.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["le", "job", "instance"];
/// What Prometheus tells of each process that it asks.
const METRICS_OF_PROMETHEUS: [&str; 1] = ["up"];
/// Functions that mean nothing over a gauge, and how names of what they are for end.
const OVER_COUNTERS: [&str; 3] = ["rate", "irate", "increase"];
const COUNTERS_END: [&str; 4] = ["_total", "_bucket", "_count", "_sum"];

#[tokio::test]
async fn every_alert_and_panel_asks_for_metrics_that_exist() {
    let net = Net::own("ops").await;
    let (unit, mut held) = (net.unit("ops").await, net.unit("held").await);
    fleet::leave_a_hole(&net, &mut held).await;
    let slot = unit.slots(1).await.remove(0);
    unit.rest.post(&unit.path("appointments"), unit.booking(&slot)).await.expect(201);
    unit.desk().register_patient(&practice::Patient::named("Ana", "Ops")).unwrap();
    let asked = questions();
    assert!(asked.len() > 40, "only {} expressions", asked.len());
    eventually("every metric that ops/ asks for", || async {
        let told = told(&net).await;
        let missing: Vec<String> =
            asked.iter().flat_map(|(place, expr)| missing(place, expr, &told)).collect();
        if missing.is_empty() {
            return Some(());
        }
        eprintln!("ops: {}", missing.join("; "));
        None
    })
    .await;
}

#[test]
fn every_alert_has_a_severity_and_a_runbook_that_exists() {
    let operations = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let headings: BTreeSet<String> = operations
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .collect();
    for rule in rules() {
        let alert = rule["alert"].as_str().expect("a name");
        assert!(["page", "inform"].contains(&rule["labels"]["severity"].as_str().unwrap_or("")));
        assert!(rule["annotations"]["summary"].is_string(), "{alert}");
        let runbook = rule["annotations"]["runbook"].as_str().expect("a runbook");
        assert_eq!(runbook, format!("docs/operations.md#{}", alert.to_lowercase()));
        assert!(headings.contains(&alert.to_lowercase()), "docs/operations.md lacks {alert}");
    }
}

#[test]
fn a_metric_that_nobody_tells_is_missed() {
    let told = BTreeMap::from([("a_total".to_owned(), BTreeSet::from(["state".to_owned()]))]);
    assert!(missing("here", "sum by (state) (rate(a_total[5m]))", &told).is_empty());
    assert_eq!(missing("here", "rate(b_total[5m])", &told).len(), 1);
    assert_eq!(missing("here", "sum by (mood) (a_total)", &told).len(), 1);
    assert_eq!(missing("here", "a_total{mood=\"x\"}", &told).len(), 1);
    assert_eq!(missing("here", "sum by (", &told).len(), 1);
    assert!(missing("here", "sum by (job) (up)", &told).is_empty());
    let gauge = BTreeMap::from([("a_gauge".to_owned(), BTreeSet::new())]);
    assert!(missing("here", "max_over_time(a_gauge[5m])", &gauge).is_empty());
    assert_eq!(missing("here", "sum(rate(a_gauge[5m]))", &gauge).len(), 1);
    let buckets = BTreeMap::from([("a_bucket".to_owned(), BTreeSet::from(["le".to_owned()]))]);
    let quantile = |of: &str| missing("here", &format!("histogram_quantile(0.5, {of})"), &buckets);
    assert!(quantile("sum by (le) (rate(a_bucket[5m]))").is_empty());
    assert_eq!(quantile("sum(rate(a_bucket[5m]))").len(), 1);
}

/// Every expression of ops/, and where it stands.
fn questions() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("an expression").trim().to_owned();
    let mut all: Vec<(String, String)> =
        rules().iter().map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect();
    let folder = root().join("ops/grafana");
    let mut boards = 0;
    for entry in std::fs::read_dir(folder).expect("dashboards").flatten() {
        let board = std::fs::read_to_string(entry.path()).expect("a dashboard");
        let board: Value = serde_json::from_str(&board).expect("JSON");
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let place = format!("{}: {}", board["title"], panel["title"]);
                all.push((place, text(&target["expr"])));
            }
        }
        boards += 1;
    }
    assert_eq!(boards, 4);
    all
}

fn rules() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("ops/alerts.yml")).expect("alerts.yml");
    let file: Value = serde_yaml_ng::from_str(&text).expect("alerts.yml");
    let groups = file["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// Metrics of all roles together, each with the labels that some series of it has.
async fn told(net: &Net) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, addr) in net.admin_addrs() {
        let answer = reqwest::get(format!("http://{addr}/metrics")).await.expect("metrics");
        for line in answer.text().await.expect("text").lines().filter(|l| !l.starts_with('#')) {
            let Some((series, _)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let known = told.entry(name.to_owned()).or_default();
            let labels = labels.trim_end_matches('}').split("\",");
            known.extend(labels.filter_map(|l| Some(l.split_once('=')?.0.trim().to_owned())));
        }
    }
    told
}

/// What one expression asks for and nobody tells, and what it asks in a way that means nothing.
fn missing(place: &str, expr: &str, told: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let parsed = match parse(expr) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("{place}: does not parse: {error}")],
    };
    let mut asked = Asked::default();
    asked.walk(&parsed);
    let is_told = |name: &str| told.contains_key(name) || METRICS_OF_PROMETHEUS.contains(&name);
    let unknown = asked.metrics.iter().filter(|name| !is_told(name));
    let mut wrong: Vec<String> = unknown.map(|name| format!("nobody tells {name}")).collect();
    if wrong.is_empty() {
        let of_it = asked.metrics.iter().filter_map(|name| told.get(name)).flatten();
        let known: BTreeSet<&str> = of_it.map(String::as_str).chain(LABELS_OF_PROMETHEUS).collect();
        let strange = asked.labels.iter().filter(|label| !known.contains(label.as_str()));
        wrong.extend(strange.map(|label| format!("no series has the label {label}")));
    }
    wrong.extend(asked.wrong);
    wrong.into_iter().map(|what| format!("{place}: {what}")).collect()
}

/// What stands in an expression.
#[derive(Default)]
struct Asked {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Asked {
    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::VectorSelector(selector) => self.selects(selector),
            Expr::MatrixSelector(matrix) => self.selects(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                self.labels.extend(labels_of(aggregate.modifier.as_ref()));
                self.walk(&aggregate.expr);
            }
            Expr::Binary(binary) => {
                self.walk(&binary.lhs);
                self.walk(&binary.rhs);
            }
            Expr::Call(call) => {
                self.wrong.extend(wrong_call(call));
                call.args.args.iter().for_each(|arg| self.walk(arg));
            }
            Expr::Paren(paren) => self.walk(&paren.expr),
            Expr::Unary(unary) => self.walk(&unary.expr),
            Expr::Subquery(subquery) => self.walk(&subquery.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }

    fn selects(&mut self, selector: &VectorSelector) {
        self.metrics.extend(selector.name.clone());
        let matchers = selector.matchers.matchers.iter();
        self.labels.extend(matchers.map(|matcher| matcher.name.clone()));
    }
}

fn labels_of(modifier: Option<&LabelModifier>) -> Vec<String> {
    match modifier {
        Some(LabelModifier::Include(by) | LabelModifier::Exclude(by)) => by.labels.clone(),
        None => Vec::new(),
    }
}

/// A rate of what is no counter, or a quantile of what has lost its buckets.
fn wrong_call(call: &Call) -> Option<String> {
    let name = call.func.name;
    for arg in &call.args.args {
        if let (true, Expr::MatrixSelector(matrix)) = (OVER_COUNTERS.contains(&name), &**arg) {
            let metric = matrix.vs.name.as_deref().unwrap_or_default();
            if !COUNTERS_END.iter().any(|end| metric.ends_with(end)) {
                return Some(format!("{name} of {metric}, which is no counter"));
            }
        }
        if let ("histogram_quantile", Expr::Aggregate(aggregate)) = (name, &**arg)
            && !labels_of(aggregate.modifier.as_ref()).contains(&"le".to_owned())
        {
            return Some("a quantile of buckets without their bounds".to_owned());
        }
    }
    None
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
