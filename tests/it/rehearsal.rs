//! The first rehearsal from end to end: a capture goes in, a verdict with an exit code comes out.
//!
//! The faults are twins of the healthy run: they differ by one knob. Runs are one after another,
//! since each is a load of its own on the machine.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::servers::pause;
use crate::support::{Ran, peakhour, root};

/// Held by a rehearsal: one at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other tests run beside these, and what makes this machine late makes a run invalid: it says
/// so itself, and asks to be repeated. It must not take more than this many.
const ATTEMPTS: usize = 4;

/// The exit code of such a run.
const NOT_VALID: i32 = 98;

/// The repository's capture, twice as fast, under the tolerances of shared machines: what is
/// tested here is what is found, not how quick the machine is.
fn rehearse(folder: &Path, arguments: &[&str]) -> (Ran, Value) {
    let _alone = alone();
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let scenario = format!(
        "# The first rehearsal, shortened.\nname: twin\nrecording: {}\nspeed: 2\n\
         tolerance: ci\ntarget: {{ url: stage }}\n\
         expect: [ errors < 0.1%, completeness >= 99.5% ]\n",
        capture.display()
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let mut ran = peakhour(folder, &[&["run", "s.yaml"], arguments].concat());
    for _ in 1..ATTEMPTS {
        if ran.code != NOT_VALID {
            break;
        }
        fs::remove_dir_all(folder.join("reports")).unwrap();
        ran = peakhour(folder, &[&["run", "s.yaml"], arguments].concat());
    }
    let report = fs::read_dir(folder.join("reports"))
        .ok()
        .and_then(|mut runs| runs.next())
        .map(|run| fs::read_to_string(run.unwrap().path().join("run.json")).unwrap());
    let json = report.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    (ran, json)
}

#[test]
fn the_healthy_stage_passes_and_leaves_its_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, run) = rehearse(folder.path(), &[]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0, "{shown}");
    assert!(ran.stdout.trim_start().starts_with("PASS"), "{shown}");
    assert_eq!(run["verdict"], "PASS");
    assert_eq!(run["exit_code"], 0);
    let totals = &run["totals"];
    let planned = totals["planned"].as_u64().unwrap();
    assert!(planned > 1_000, "{totals}");
    assert_eq!(run["fates"]["answered"].as_u64().unwrap(), planned, "{totals}");
    let fates = run["fates"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(fates.sum::<u64>(), planned, "every arrival has one fate");
    assert_eq!(
        totals["connections_opened"], run["facts"]["connections"],
        "connections as recorded"
    );
    let run = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap().path();
    assert!(run.join("report.html").is_file() && run.join("recording.parquet").is_file());
}

#[test]
fn each_fault_of_the_stage_is_found_first_by_its_own_detector() {
    let twins = [
        ("cold-cache", "cold-cache"),
        ("connection-limit", "connection-limit"),
        ("connection-hang", "connection-limit"),
        ("body-limit", "body-limit"),
        ("event-loop", "event-loop-blocked"),
        ("stall", "stall"),
        ("other-status", "response-status"),
    ];
    for (fault, check) in twins {
        let folder = tempfile::tempdir().unwrap();
        let (ran, run) = rehearse(folder.path(), &["--stage-fault", fault]);
        let shown = format!("{fault}\n{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 99, "{shown}");
        assert_eq!(run["findings"][0]["check"], check, "{shown}");
        assert_eq!(run["findings"][0]["outcome"], "fail", "{shown}");
    }
}

/// A run of `s.yaml` under way.
fn started(folder: &Path) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .args(["run", "s.yaml", "--reports", "reports"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_interrupted_run_writes_its_report_and_ends_in_105() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let scenario = format!(
        "# Stopped half-way.\nname: stopped\nrecording: {}\ntarget: {{ url: stage }}\n",
        capture.display()
    );
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let mut child = started(folder.path());
    // The run has begun once its own copy of the recording stands; the load follows at once.
    let begun = || {
        let runs = fs::read_dir(folder.path().join("reports")).ok()?;
        runs.flatten().find(|run| run.path().join("recording.parquet").is_file())
    };
    while begun().is_none() && child.try_wait().unwrap().is_none() {
        pause();
    }
    // Twice, as `timeout` and terminals do that signal a process and its whole group.
    let kill = ["-c", "sleep 3; kill -INT \"$0\"; kill -TERM \"$0\""];
    let pid = child.id().to_string();
    assert!(Command::new("sh").args(kill).arg(&pid).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(105), "{shown}");
    let run = begun().unwrap().path().join("run.json");
    let run: Value = serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap();
    assert_eq!(run["verdict"], "INTERRUPTED");
    let planned = run["totals"]["planned"].as_u64().unwrap();
    let fates = run["fates"].as_object().unwrap();
    assert!(fates["unsent: interrupted"].as_u64().unwrap() > 0, "{fates:?}");
    let all = fates.values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert_eq!((all, planned), (planned, run["facts"]["arrivals"].as_u64().unwrap()));
}

/// The answers never come, so that there is always something in flight to wait for.
#[test]
fn a_later_interruption_ends_a_run_at_once() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "name: silent\nrecording: {}\ntarget: {{ url: 'http://{}', allow: [127.0.0.1] }}\n",
        root().join("captures/nginx-first/peak.pcap.gz").display(),
        silent.local_addr().unwrap()
    );
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let mut child = started(folder.path());
    // The first asks whether anybody is there, the second is of the load.
    let _accepted = [silent.accept().unwrap(), silent.accept().unwrap()];
    let pid = child.id().to_string();
    let kill = |script: &str| {
        let script = ["-c", script, &pid];
        assert!(Command::new("sh").args(script).status().unwrap().success());
    };
    kill("kill -INT \"$0\"");
    let mut said = String::new();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("interrupted: finishing") {
        assert!(errors.read_line(&mut said).unwrap() > 0, "{said}");
    }
    kill("sleep 1; kill -INT \"$0\"");
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    assert!(said.contains("interrupted again: ending at once"), "{said}");
}
