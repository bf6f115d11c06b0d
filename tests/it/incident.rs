//! The incident, cause by cause, on real servers: the healthy release passes, and each fault is
//! found by the act that is made for it, and by nothing else.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::rehearsal::alone;
use crate::servers::pause;
use crate::support::{program, root};

/// What the stack is made of; without it the tests are skipped.
const NEEDS: [&str; 3] = ["nginx", "redis-server", "mariadbd"];

/// A run that this machine made invalid is repeated, but not more often than this.
const ATTEMPTS: usize = 3;

/// The exit code of such a run.
const NOT_VALID: i32 = 98;

/// A rehearsal of the incident, and what was left of it.
struct Rehearsed {
    code: i32,
    shown: String,
    run: Value,
}

impl Rehearsed {
    /// The checks that failed.
    fn failed(&self) -> Vec<&str> {
        let findings = self.run["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let failed = findings.iter().filter(|finding| finding["outcome"] == "fail");
        failed.map(|finding| finding["check"].as_str().unwrap()).collect()
    }

    /// All that the finding of a check says.
    fn said(&self, check: &str) -> String {
        let findings = self.run["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.map(Value::to_string).unwrap_or_default()
    }
}

/// Rehearses with a fault (none: "") in a folder that must be empty afterwards. `None` where the
/// servers are not installed.
fn rehearse(fault: &str) -> Option<Rehearsed> {
    for need in NEEDS {
        program(need)?;
    }
    let _alone = alone();
    let mut rehearsed = rehearse_once(fault);
    for _ in 1..ATTEMPTS {
        if rehearsed.code != NOT_VALID {
            break;
        }
        rehearsed = rehearse_once(fault);
    }
    Some(rehearsed)
}

fn rehearse_once(fault: &str) -> Rehearsed {
    let folder = tempfile::tempdir().unwrap();
    let output = start(folder.path(), fault).wait_with_output().unwrap();
    end(folder.path(), &output)
}

/// Starts a rehearsal whose stack and reports are in this folder.
fn start(folder: &Path, fault: &str) -> Child {
    let stacks = folder.join("stacks");
    fs::create_dir(&stacks).unwrap();
    let scenario = folder.join("incident.yaml");
    fs::write(&scenario, self::scenario(fault)).unwrap();
    Command::new("timeout")
        .args(["--signal=INT", "--kill-after=30", "170"])
        .arg(root().join("stacks/incident/rehearse"))
        .args(Some(fault).filter(|fault| !fault.is_empty()))
        .arg("--yes")
        .env("PEAKHOUR", assert_cmd::cargo::cargo_bin("peakhour"))
        .env("PEAKHOUR_SPEED", "2.5")
        .env("PEAKHOUR_REPORTS", folder.join("reports"))
        .env("NO_COLOR", "1")
        .env("SCENARIO", &scenario)
        .env("TMPDIR", &stacks)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The scenario; without its two long acts where the fault shows in the first ones.
fn scenario(fault: &str) -> String {
    let whole = fs::read_to_string(root().join("scenarios/incident.yaml")).unwrap();
    if !["node-drift", "blank-logs"].contains(&fault) {
        return whole;
    }
    let (first, rest) = whole.split_once("  # Payloads that").unwrap();
    let (_, last) = rest.split_once("  - replay").unwrap();
    format!("{first}  - replay{last}")
}

/// What a rehearsal that has ended yielded; nothing else of it is left.
fn end(folder: &Path, output: &Output) -> Rehearsed {
    let shown = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let report = fs::read_dir(folder.join("reports")).ok().and_then(|mut runs| runs.next());
    let report = report.map(|run| fs::read_to_string(run.unwrap().path().join("run.json")));
    let run: Value = report.map_or(Value::Null, |text| {
        let text = text.unwrap_or_else(|problem| panic!("no run.json: {problem}\n{shown}"));
        serde_json::from_str(&text).unwrap()
    });
    nothing_is_left(&folder.join("stacks"), &run, &shown);
    Rehearsed { code: output.status.code().unwrap_or(-1), shown, run }
}

/// No file, no process and no listening port of the stack outlives the rehearsal.
fn nothing_is_left(stacks: &Path, run: &Value, shown: &str) {
    let files: Vec<_> = fs::read_dir(stacks).unwrap().flatten().map(|file| file.path()).collect();
    assert!(files.is_empty(), "{files:?} are left\n{shown}");
    let marker = stacks.display().to_string();
    let is_ours = |process: &Path| {
        // Every process of the stack has our TMPDIR in its environment.
        let read = |name: &str| fs::read(process.join(name)).unwrap_or_default();
        let told = [read("environ"), read("cmdline")].concat();
        String::from_utf8_lossy(&told).contains(&marker)
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    let left: Vec<_> = processes.filter(|process| is_ours(process)).collect();
    assert!(left.is_empty(), "{left:?} still run\n{shown}");
    let port = run["target"].as_str().and_then(|target| target.rsplit(':').next()?.parse().ok());
    if let Some(port) = port {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port} listens\n{shown}");
    }
}

#[test]
fn the_healthy_release_passes() {
    let Some(rehearsed) = rehearse("") else { return };
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.shown);
    assert_eq!(rehearsed.run["verdict"], "PASS", "{}", rehearsed.shown);
    let acts = rehearsed.run["acts"].as_array().unwrap().iter();
    let acts: Vec<&str> = acts.map(|act| act["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["fingerprint", "canary", "connections", "payloads", "cold"]);
    let sent = rehearsed.run["totals"]["sent"].as_u64().unwrap();
    assert!(sent > 2_000, "the drills are followed by the replay\n{}", rehearsed.shown);
}

/// The release brings a fault along: the run fails by these checks alone, and the first of them
/// says these words.
fn finds(fault: &str, checks: &[&str], words: &[&str]) {
    let Some(rehearsed) = rehearse(fault) else { return };
    assert_eq!(rehearsed.code, 99, "{}", rehearsed.shown);
    assert_eq!(rehearsed.failed(), checks, "{}", rehearsed.shown);
    let broken = rehearsed.run["expectations"].as_array().unwrap().iter();
    let broken = broken.filter(|expectation| expectation["outcome"] == "fail").count();
    assert_eq!(broken, 0, "{}", rehearsed.shown);
    let said = rehearsed.said(checks[0]);
    for word in words {
        assert!(said.contains(word), "{word} is missing in {said}\n{}", rehearsed.shown);
    }
}

#[test]
fn too_few_connections_of_redis_are_found_and_counted() {
    finds("redis-connections", &["connection-demand", "lazy-pools"], &["40 connections", "71"]);
}

#[test]
fn a_cold_cache_that_floods_the_store_is_found() {
    finds("cold-cache", &["cold-start"], &["slower than 120 ms"]);
}

#[test]
fn a_payload_that_blocks_redis_is_found() {
    finds("outlier-payload", &["payload-blocking"], &["/sync", "block the event loop"]);
}

#[test]
fn a_node_that_differs_is_found() {
    finds("node-drift", &["node-drift"], &["b: packages", "ruby", "2.7.8", "3.2.2"]);
}

#[test]
fn a_log_without_lines_is_found() {
    finds("blank-logs", &["log-canary"], &["shop-a", "shop-b"]);
}

#[test]
fn an_unknown_fault_is_an_error_and_starts_nothing() {
    let output = Command::new(root().join("stacks/incident/rehearse"))
        .arg("cold-cash")
        .env("PEAKHOUR", "false")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(104), "{said}");
    assert!(said.contains("unknown fault `cold-cash`; the faults are"), "{said}");
}

#[test]
fn an_interrupted_rehearsal_reports_and_leaves_nothing() {
    if NEEDS.iter().any(|need| program(need).is_none()) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), "");
    let has_begun = || {
        let runs = fs::read_dir(folder.path().join("reports")).ok()?;
        runs.flatten().find(|run| run.path().join("recording.parquet").is_file())
    };
    while has_begun().is_none() && child.try_wait().unwrap().is_none() {
        pause();
    }
    // In the middle of an act.
    (0..100).for_each(|_| pause());
    assert!(
        Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success()
    );
    let rehearsed = end(folder.path(), &child.wait_with_output().unwrap());
    assert_eq!(rehearsed.code, 105, "{}", rehearsed.shown);
    assert_eq!(rehearsed.run["verdict"], "INTERRUPTED", "{}", rehearsed.shown);
}
