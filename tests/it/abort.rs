//! Rules that end a run early, against a real nginx that fails and one that does not, and with a
//! probe of a real Redis.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::nginx::{self, Nginx};
use crate::servers::redis;
use crate::support::{Ran, peakhour};

/// Starts nginx on a free port; it answers all with a status, and logs a line a request.
fn start(folder: &Path, status: u16) -> Option<(Nginx, u16)> {
    nginx::start_answering(folder, "$status", &format!("{status} 'told'"))
}

/// The saved report of the only run below a folder.
fn saved(folder: &Path) -> Value {
    let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

fn logged(folder: &Path) -> u64 {
    fs::read_to_string(folder.join("access.log")).unwrap().lines().count() as u64
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Each arrival has one fate, the totals agree with them, and nginx has seen what was sent.
fn assert_reconciles(report: &Value, folder: &Path, planned: u64) {
    let fates = report["fates"].as_object().unwrap();
    let (totals, sum) = (&report["totals"], fates.values().map(count).sum::<u64>());
    assert_eq!((count(&totals["planned"]), sum), (planned, planned), "{report:#}");
    let unsent = fates.iter().filter(|(name, _)| name.starts_with("unsent")).map(|(_, n)| count(n));
    assert_eq!(count(&totals["unsent"]), unsent.sum::<u64>());
    assert_eq!(count(&totals["sent"]) + count(&totals["unsent"]), planned, "{report:#}");
    assert_eq!(logged(folder), count(&totals["sent"]), "{report:#}");
}

/// Requests at equal distances in nanoseconds, dealt to the connections in turn.
fn record(folder: &Path, (requests, apart): (u64, u64), connections: u64) {
    let lines: Vec<String> = (0..requests)
        .map(|index| {
            let (at, connection) = (index * apart, index % connections);
            format!(r#"{{"at_ns":{at},"connection":{connection},"method":"GET","status":200,"#)
                + r#""authority":"production.example","target":"/"}"#
        })
        .collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
}

fn run(folder: &Path, line: &str) -> Ran {
    peakhour(folder, &line.split('|').collect::<Vec<_>>())
}

#[test]
fn a_target_that_fails_ends_the_run_and_a_healthy_one_does_not() {
    for (status, length) in [(500, "5m"), (200, "3s")] {
        let folder = tempfile::tempdir().unwrap();
        let Some((server, port)) = start(folder.path(), status) else { return };
        let load = format!("run|--url|http://127.0.0.1:{port}/|--rate|50|-c|5|-d|{length}");
        let rules = "--tolerance|ci|--abort|errors > 10% over 1s|--abort|latency p99 > 30s over 1s";
        let ran = run(folder.path(), &format!("{load}|{rules}"));
        let report = saved(folder.path());
        drop(server);
        let told = format!("{}\n{}", ran.stdout, ran.stderr);
        if status == 200 {
            assert!(matches!(ran.code, 0 | 98 | 99), "{told}");
            assert_reconciles(&report, folder.path(), 150);
            assert_eq!(report["fates"]["answered"], 150);
            assert!(!told.contains("aborting") && !told.contains("aborted"), "{told}");
            let findings = report["findings"].as_array().unwrap();
            let found = findings.iter().find(|each| each["check"] == "abort").unwrap();
            assert_eq!(found["outcome"], "pass", "{found}");
            continue;
        }
        assert_eq!(ran.code, 99, "{told}");
        assert_reconciles(&report, folder.path(), 15_000);
        assert!(count(&report["totals"]["sent"]) < 7_500, "it was to end early: {told}");
        assert_eq!(report["verdict"], "FAIL");
        let headline = report["headline"].as_str().unwrap();
        assert!(headline.starts_with("aborted after "), "{headline}");
        assert!(headline.contains("`errors > 10% over 1s` holds (100 % of "), "{headline}");
        assert_eq!(report["findings"][0]["check"], "abort");
        assert!(ran.stderr.contains("aborting: `errors > 10% over 1s` holds"), "{told}");
    }
}

#[test]
fn a_recorded_load_ends_by_a_rule_of_its_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = start(folder.path(), 503) else { return };
    record(folder.path(), (6_000, 10_000_000), 10);
    let scenario = format!(
        "recording: r.jsonl\ntolerance: ci\ntarget: {{ url: 'http://127.0.0.1:{port}', allow: \
         [127.0.0.1] }}\nabort: ['errors >= 50% over 1s']\n"
    );
    fs::write(folder.path().join("s.yaml"), &scenario).unwrap();
    let ran = run(folder.path(), "run|s.yaml");
    let report = saved(folder.path());
    drop(server);
    assert_eq!(ran.code, 99, "{}\n{}", ran.stdout, ran.stderr);
    assert_reconciles(&report, folder.path(), 6_000);
    assert!(count(&report["totals"]["sent"]) < 3_000, "{}", ran.stdout);
    assert!(ran.words().contains("aborted after "), "{}", ran.stdout);

    let wrong = scenario.replace("over 1s", "over 1");
    fs::write(folder.path().join("s.yaml"), wrong).unwrap();
    let ran = run(folder.path(), "run|s.yaml");
    assert_eq!(ran.code, 104);
    assert!(ran.stderr.contains("s.yaml:4:29: `1` has no unit"), "{}", ran.stderr);
    let ran = run(folder.path(), "run|--url|http://127.0.0.1:9/|--rate|5|--abort|a.b > 1");
    assert!(ran.code == 104 && ran.stderr.contains("watches nothing"), "{}", ran.stderr);
}

#[test]
fn a_probe_of_a_real_redis_ends_the_run() {
    let Some(dependency) = redis(&[]) else { return };
    for (rule, planned, is_aborted) in [
        ("redis.connected_clients >= 1", 6_000, true),
        ("redis.connected_clients > 900", 60, false),
        // What nobody ever saw ends nothing, and is said.
        ("redis.no_such_figure > 0", 60, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let Some((server, port)) = start(folder.path(), 200) else { return };
        record(folder.path(), (planned, 20_000_000), 1);
        let scenario = format!(
            "recording: r.jsonl\ntolerance: ci\ntarget: {{ url: 'http://127.0.0.1:{port}', allow: \
             [127.0.0.1] }}\nwatch: {{ redis: {{ url: 'redis://127.0.0.1:{}', every: 100ms }} }}\n",
            dependency.port
        );
        fs::write(folder.path().join("s.yaml"), scenario).unwrap();
        let ran = run(folder.path(), &format!("run|s.yaml|--abort|{rule}"));
        let report = saved(folder.path());
        drop(server);
        let told = format!("{rule}: {}\n{}", ran.stdout, ran.stderr);
        assert_reconciles(&report, folder.path(), planned);
        assert_eq!(ran.words().contains("aborted after "), is_aborted, "{told}");
        assert!(ran.code == 99 || !is_aborted, "{told}");
        assert_eq!(count(&report["totals"]["sent"]) < planned, is_aborted, "{told}");
        let is_blind = rule.contains("no_such");
        assert_eq!(ran.words().contains("was never judged: no data"), is_blind, "{told}");
    }
}
