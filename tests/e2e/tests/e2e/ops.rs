//! Alert rules and dashboards ask for metrics that exist: every expression is parsed as Prometheus
//! parses it, and every metric and label in it is looked for in what roles at work really tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use promql_parser::label::Matchers;
use promql_parser::parser::{Expr, LabelModifier, parse};
use serde_json::Value;
use tests_e2e::{Net, eventually};

/// Labels that a histogram's buckets have, and those that Prometheus adds.
const LABELS_OF_PROMETHEUS: [&str; 3] = ["le", "job", "instance"];

#[tokio::test]
async fn every_alert_and_panel_asks_for_metrics_that_exist() {
    let net = Net::own("ops").await;
    let unit = net.unit("ops").await;
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

/// What one expression asks for and nobody tells.
fn missing(place: &str, expr: &str, told: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let parsed = match parse(expr) {
        Ok(parsed) => parsed,
        Err(error) => return vec![format!("{place}: does not parse: {error}")],
    };
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    walk(&parsed, &mut metrics, &mut labels);
    let mut missing: Vec<String> = metrics
        .iter()
        .filter(|name| !told.contains_key(*name))
        .map(|name| format!("{place}: nobody tells {name}"))
        .collect();
    let known: BTreeSet<&str> = metrics
        .iter()
        .filter_map(|name| told.get(name))
        .flatten()
        .map(String::as_str)
        .chain(LABELS_OF_PROMETHEUS)
        .collect();
    if missing.is_empty() {
        let strange = labels.iter().filter(|label| !known.contains(label.as_str()));
        missing.extend(strange.map(|label| format!("{place}: no series has the label {label}")));
    }
    missing
}

fn walk(expr: &Expr, metrics: &mut BTreeSet<String>, labels: &mut BTreeSet<String>) {
    let named = |matchers: &Matchers, labels: &mut BTreeSet<String>| {
        labels.extend(matchers.matchers.iter().map(|matcher| matcher.name.clone()));
    };
    match expr {
        Expr::VectorSelector(selector) => {
            metrics.extend(selector.name.clone());
            named(&selector.matchers, labels);
        }
        Expr::MatrixSelector(matrix) => {
            metrics.extend(matrix.vs.name.clone());
            named(&matrix.vs.matchers, labels);
        }
        Expr::Aggregate(aggregate) => {
            if let Some(LabelModifier::Include(by) | LabelModifier::Exclude(by)) =
                &aggregate.modifier
            {
                labels.extend(by.labels.iter().cloned());
            }
            walk(&aggregate.expr, metrics, labels);
        }
        Expr::Binary(binary) => {
            walk(&binary.lhs, metrics, labels);
            walk(&binary.rhs, metrics, labels);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|arg| walk(arg, metrics, labels)),
        Expr::Paren(paren) => walk(&paren.expr, metrics, labels),
        Expr::Unary(unary) => walk(&unary.expr, metrics, labels),
        Expr::Subquery(subquery) => walk(&subquery.expr, metrics, labels),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
