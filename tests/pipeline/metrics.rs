//! Metrics: the rules, the Grafana dashboard and docs/OBSERVABILITY.md name only metrics that exist, and promtool has nothing to say against it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::corner::Corner;
use crate::support::github::GitHub;
use crate::support::program::Program;
use crate::support::status::Status;
use crate::support::wait::eventually;

const PREFIX: &str = "github_etl_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every metric that a text names.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_of_name(c)).filter(|word| word.starts_with(PREFIX)).map(str::to_owned).collect()
}

/// Every metric of an answer of `/metrics` that has a sample.
fn exposed(metrics: &str) -> BTreeSet<String> {
    let names = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names: BTreeSet<_> = names.map(|(name, _)| name.to_owned()).collect();
    let samples: BTreeSet<_> = metrics.lines().filter(|line| !line.starts_with('#')).map(family).collect();
    names.into_iter().filter(|name| samples.contains(name)).collect()
}

/// The metric that a sample, or a name in a query, belongs to.
fn family(sample: &str) -> String {
    let name = sample.split(['{', ' ']).next().unwrap_or_default();
    let series = ["_bucket", "_sum", "_count"];
    series.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
}

/// The queries of the Grafana dashboard.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/dashboards/github-event-etl.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool (scripts/ensure-promtool.sh installs it): {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// A fetcher, a loader and a dashboard at work, and what each of them tells.
fn metrics_of_a_working_pipeline() -> Vec<(&'static str, String)> {
    let corner = Corner::new("metrics");
    let github = GitHub::generated(&["--rate", "50", "--poll-interval", "0"]);
    let [fetching, loading, watching] = [Status::new(), Status::new(), Status::new()];
    let _fetcher = corner.fetcher(&github.url, &["--metrics-listen", &fetching.address]);
    let _loader = corner.loader(&["--stream-maxlen", "0", "--metrics-listen", &loading.address]);
    let page = Status::new();
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
        ("DASHBOARD_LISTEN", &page.address),
        ("METRICS_LISTEN", &watching.address),
    ];
    let _dashboard = Program::start("dashboard", &variables, &[]);
    eventually("events are loaded", || corner.try_loaded().is_ok_and(|loaded| loaded > 50));
    eventually("the fetcher has told its first poll", || {
        fetching.get("/metrics").is_ok_and(|told| told.contains("github_etl_fetcher_polls_total{"))
    });
    eventually("the dashboard, nobody watching it, has looked into the queues", || {
        watching.get("/metrics").is_ok_and(|told| told.contains(r#"github_etl_queue_messages_ready{"#))
    });
    let told = |status: &Status| {
        let answer = status.get("/metrics").unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    vec![("fetcher", told(&fetching)), ("loader", told(&loading)), ("dashboard", told(&watching))]
}

#[test]
fn every_metric_that_is_named_exists_and_every_one_that_exists_is_documented() {
    let metrics = metrics_of_a_working_pipeline();
    let all: BTreeSet<_> = metrics.iter().flat_map(|(_, text)| exposed(text)).collect();
    let documented = named_in(&read("docs/OBSERVABILITY.md"));
    let used = named_in(&[read("deploy/prometheus/alerts.yml"), queries().join("\n")].concat());
    let used: BTreeSet<_> = used.iter().map(|name| family(name)).collect();
    assert!(used.len() > 10 && all.len() > 10, "{used:?} {all:?}");
    let missing: Vec<_> = used.union(&documented).filter(|name| !all.contains(*name)).collect();
    assert!(missing.is_empty(), "named in deploy/ or docs/OBSERVABILITY.md, told by no program: {missing:?}");
    let untold: Vec<_> = all.difference(&documented).collect();
    assert!(untold.is_empty(), "not in docs/OBSERVABILITY.md: {untold:?}");
    for (program, text) in &metrics {
        promtool(&["check", "metrics"], text);
        let labels = format!(r#"program="{program}",version="{}""#, env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&format!("github_etl_build_info{{{labels}}} 1\n")), "{text}");
        assert!(text.contains("github_etl_ready 1\n"), "{text}");
    }
    let [_, (_, loader), _] = metrics.as_slice() else { unreachable!() };
    // Of a closed set, there from the start; the lag is a histogram, so that loaders can be added up.
    for sample in [
        r#"events_loaded_total{type="other"} 0"#,
        r#"redeliveries_total 0"#,
        r#"lag_seconds_bucket{le="60"}"#,
    ] {
        assert!(loader.contains(&format!("{PREFIX}loader_{sample}")), "no {sample} in {loader}");
    }
}

#[test]
fn the_alert_rules_are_good_and_each_fires_and_stays_silent_when_it_should() {
    promtool(&["check", "config", "deploy/prometheus/prometheus.yml"], "");
    promtool(&["test", "rules", "deploy/prometheus/alerts_test.yml"], "");
    let (rules, tests) = (read("deploy/prometheus/alerts.yml"), read("deploy/prometheus/alerts_test.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 8, "{alerts:?}");
    for alert in alerts {
        // What is expected follows the name.
        let name = format!("alertname: {alert}\n");
        let cases = tests.split(&name).skip(1).map(str::trim_start);
        let (silent, fires): (Vec<_>, Vec<_>) = cases.partition(|case| case.starts_with("exp_alerts: []"));
        assert!(!silent.is_empty() && !fires.is_empty(), "{alert}: {} / {}", silent.len(), fires.len());
    }
}

#[test]
fn the_queries_of_the_grafana_dashboard_are_understood() {
    let mut rules = "groups:\n- name: queries\n  rules:\n".to_owned();
    for (number, query) in queries().iter().enumerate() {
        let query = query.replace("$__rate_interval", "1m");
        rules += &format!("  - record: query:{number}\n    expr: |\n      {query}\n");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), rules).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
}
