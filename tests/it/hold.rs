//! A run that is held by a signal and goes on by another, and one that is stopped long before its
//! end: every arrival is accounted for.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;

use serde_json::Value;

use crate::servers::pause;

/// A server that answers, and counts what it has answered.
fn counting() -> (Arc<AtomicU64>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, answered) = (listener.local_addr().unwrap().port(), Arc::<AtomicU64>::default());
    let count = Arc::clone(&answered);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    count.fetch_add(1, SeqCst);
                    if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    (answered, port)
}

/// A run that does not outlive its test, and what it says.
struct Running {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(folder: &Path, line: &str) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
            .args(line.split_whitespace())
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// Reads on until it says this.
    fn says(&mut self, wanted: &str) {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it never said {wanted}");
        }
    }

    /// The exit code and the saved report.
    fn finish(mut self, folder: &Path) -> (Option<i32>, Value) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
        let report = fs::read_to_string(run.join("run.json")).unwrap();
        (code, serde_json::from_str(&report).unwrap())
    }
}

fn wait_for(count: &AtomicU64, wanted: u64) {
    let is_there = (0..3_000).any(|_| {
        pause();
        count.load(SeqCst) >= wanted
    });
    assert!(is_there, "{} of {wanted} were answered", count.load(SeqCst));
}

#[test]
fn what_is_due_while_a_run_is_held_is_not_sent_and_the_rest_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (answered, port) = counting();
    let load = format!("run --url http://127.0.0.1:{port}/ --rate 50 -d 4s -c 5 --tolerance ci");
    let mut run = Running::start(folder.path(), &load);
    wait_for(&answered, 10);
    run.signal("USR1");
    run.says("held (SIGUSR1)");
    for _ in 0..50 {
        pause();
    }
    // What was released just before may still have been on its way.
    let held_at = answered.load(SeqCst);
    for _ in 0..10 {
        pause();
    }
    assert_eq!(answered.load(SeqCst), held_at, "nothing is sent");
    run.signal("USR2");
    run.says("going on (SIGUSR2)");
    let (code, report) = run.finish(folder.path());
    let (fates, shown) = (&report["fates"], format!("{:#}", report["findings"]));
    let fate = |name: &str| fates[name].as_u64().unwrap_or(0);
    assert_eq!(fate("answered") + fate("unsent: held"), 200, "{fates}");
    assert_eq!(answered.load(SeqCst), fate("answered"));
    assert!(fate("unsent: held") > 0 && fate("answered") > held_at, "{fates}");
    assert_eq!(report["totals"]["planned"], 200);
    // The shape of what was not held is judged, and its connections are those that were planned.
    assert!(matches!(code, Some(0 | 98 | 99)), "{code:?} {shown}");
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|each| each["check"] == "hold").unwrap();
    assert!(found["title"].as_str().unwrap().starts_with("the run was held 1 time: "), "{shown}");
    assert!(found["evidence"][0].as_str().unwrap().starts_with("held from "), "{shown}");
    let metric = report["shape"]["metrics"].as_array().unwrap().iter();
    let complete = metric.clone().find(|metric| metric["name"] == "completeness").unwrap();
    assert_eq!(complete["value"], 100.0, "{complete}");
}

/// An hour of 10 000 a second, stopped at once: what was never read is counted, not gone through.
#[test]
fn a_long_load_that_is_stopped_counts_what_was_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let (answered, port) = counting();
    let load = format!("run --url http://127.0.0.1:{port}/ --rate 1000 -d 20m -c 5");
    let run = Running::start(folder.path(), &load);
    wait_for(&answered, 10);
    run.signal("INT");
    let (code, report) = run.finish(folder.path());
    assert_eq!(code, Some(105));
    let fates = report["fates"].as_object().unwrap();
    let sum: u64 = fates.values().filter_map(Value::as_u64).sum();
    assert_eq!((sum, &report["totals"]["planned"]), (1_200_000, &1_200_000.into()), "{fates:?}");
    let sent = report["totals"]["sent"].as_u64().unwrap();
    assert_eq!(sent + report["totals"]["unsent"].as_u64().unwrap(), 1_200_000, "{fates:?}");
    let of_routes = report["routes"].as_array().unwrap().iter();
    let of_routes: u64 = of_routes.filter_map(|route| route["arrivals"].as_u64()).sum();
    assert_eq!(of_routes, 1_200_000, "the routes add up, too");
    let headline = report["headline"].as_str().unwrap();
    assert!(headline.contains("of 1\u{202f}200\u{202f}000 requests sent"), "{headline}");
}
