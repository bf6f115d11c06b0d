//! This machine: what a plan needs of it is told before, and what it could do stands in the report.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use crate::support::peakhour;

/// 200 connections that all stay open for two seconds, with a request of each.
fn scenario(folder: &Path) {
    let lines: Vec<String> = (0..200)
        .map(|index| {
            let at = index * 5_000_000_u64;
            format!(r#"{{"at_ns":{at},"connection":{index},"method":"GET","target":"/","#)
                + r#""authority":"production.example","status":200,"response_body_bytes":1000,"#
                + &format!(r#""first_byte_ns":{0},"last_byte_ns":{0}}}"#, 2_000_000_000_u64)
        })
        .collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
    let text = "recording: r.jsonl\ntolerance: ci\ntarget: { url: stage }\nacts: [replay]\n";
    fs::write(folder.join("s.yaml"), text).unwrap();
}

/// What `plan` says where this many files may be opened.
fn planned(folder: &Path, files: u32) -> String {
    let line = format!("ulimit -n {files} && exec \"$0\" plan s.yaml");
    let program = env!("CARGO_BIN_EXE_peakhour");
    let ran = Command::new("sh").args(["-c", &line, program]).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn a_plan_tells_what_it_needs_and_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path());
    let told = planned(folder.path(), 464);
    for line in ["local ports        200 at once", "195 KiB/s of bodies back", "memory"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("ulimit"), "{told}");
    let told = planned(folder.path(), 463);
    assert!(told.contains("may open 463 files: raise the hard limit"), "{told}");
}

#[test]
fn a_run_tells_what_its_machine_could_do_and_that_its_books_are_right() {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path());
    let ran = peakhour(folder.path(), &["run", "s.yaml"]);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().flatten().next();
    let report = fs::read_to_string(run.unwrap().path().join("run.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let health = &report["health"];
    assert_eq!(health["calibration"]["asked_rate"], 400, "{}", ran.stderr);
    assert!(health["calibration"]["sent"].as_u64().unwrap() > 0, "{health}");
    assert!(health["in_flight_seconds"].as_f64().unwrap() > 0.0, "{health}");
    let evidence = report["findings"].to_string();
    assert!(evidence.contains("Little's law"), "{evidence}");
    assert!(evidence.contains("before the run this machine sent"), "{evidence}");
}

/// Read by the library that reads such logs, which did not write it here.
#[test]
fn latencies_are_logged_by_window_route_and_class() {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path());
    peakhour(folder.path(), &["run", "s.yaml"]);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().flatten().next().unwrap();
    let log = fs::read(run.path().join("latency.hlog")).unwrap();
    let (mut told, mut reader) = (Vec::new(), Deserializer::new());
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let encoded = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let times: Histogram<u64> = reader.deserialize(&mut &encoded[..]).unwrap();
            let tag = interval.tag().unwrap().as_str().to_owned();
            told.push((interval.start_timestamp(), interval.duration(), tag, times.len()));
        }
    }
    let window = Duration::from_secs(10);
    assert_eq!(told, [(Duration::ZERO, window, "GET_/|2xx".to_owned(), 200)]);
}
