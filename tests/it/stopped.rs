//! Whose fault it is when something stands still: a process is stopped in the middle of a run, for
//! so long that no machine is slow enough to hide it, and quick enough to do it by itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::rehearsal::alone;
use crate::servers::pause;
use crate::support::root;

/// What the shell does to a process: it lets the load begin, and stops the process for a while.
const STOP: &str = "sleep 3; kill -STOP \"$0\"; sleep 2; kill -CONT \"$0\"";

#[test]
fn a_generator_that_is_stopped_is_at_fault_and_says_nothing_about_the_target() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let scenario = "target: { url: stage }\nexpect: [ latency p99 < 250ms ]\n";
    let run = start(folder.path(), scenario);
    stop(run.0.id());
    let (code, run) = finish(run, folder.path());
    let shown = format!("{:#}", run["findings"]);
    assert_eq!((code, &run["verdict"]), (Some(98), &Value::from("INVALID")), "{shown}");
    assert_eq!(run["shape"]["verdict"]["fault"], "generator", "{shown}");
    let findings = run["findings"].as_array().unwrap();
    assert_eq!(
        (&findings[0]["check"], &findings[0]["outcome"]),
        (&"generator".into(), &"fail".into())
    );
    assert!(findings[1..].iter().all(|finding| finding["outcome"] == "unknown"), "{shown}");
    assert_eq!(run["expectations"][0]["outcome"], "unknown");
}

#[test]
fn a_target_that_is_stopped_has_stalled() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Running(
        Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
            .args(["stage", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = String::new();
    BufReader::new(stage.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let url = said.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let scenario = format!("methods: all\ntarget: {{ url: \"{url}\", allow: [127.0.0.1] }}\n");
    let run = start(folder.path(), &scenario);
    stop(stage.0.id());
    let (code, run) = finish(run, folder.path());
    let shown = format!("{:#}", run["findings"]);
    assert_eq!((code, &run["verdict"]), (Some(99), &Value::from("FAIL")), "{shown}");
    assert_eq!(run["findings"][0]["check"], "stall", "{shown}");
    let generator = run["findings"].as_array().unwrap().iter().find(|f| f["check"] == "generator");
    assert_eq!(generator.unwrap()["outcome"], "pass", "{shown}");
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a rehearsal and waits until its load is about to begin.
fn start(folder: &Path, scenario: &str) -> Running {
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let head = format!("# Stopped.\nname: stopped\nrecording: {}\n", capture.display());
    fs::write(folder.join("s.yaml"), format!("{head}speed: 2\ntolerance: ci\n{scenario}")).unwrap();
    let mut run = Running(
        Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
            .args(["run", "s.yaml", "--quiet"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    // Its own copy of the recording stands once everything is read; the load follows at once.
    let begun = || run_folder(folder).is_some_and(|run| run.join("recording.parquet").is_file());
    while !begun() && run.0.try_wait().unwrap().is_none() {
        pause();
    }
    run
}

fn stop(process: u32) {
    let stopped = Command::new("sh").args(["-c", STOP]).arg(process.to_string()).status().unwrap();
    assert!(stopped.success());
}

/// The exit code of a run and its `run.json`.
fn finish(mut run: Running, folder: &Path) -> (Option<i32>, Value) {
    let code = run.0.wait().unwrap().code();
    let saved = run_folder(folder).unwrap().join("run.json");
    (code, serde_json::from_str(&fs::read_to_string(saved).unwrap()).unwrap())
}

fn run_folder(folder: &Path) -> Option<PathBuf> {
    Some(fs::read_dir(folder.join("reports")).ok()?.next()?.ok()?.path())
}
