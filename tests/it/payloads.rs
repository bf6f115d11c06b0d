//! The act `payloads` through the program: the stage's twins, a server of threads, and real
//! servers. How long something takes is never compared tightly: what is planted is far above what
//! a busy machine does by itself.

mod http;
mod refusals;
mod stores;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::schema;
use crate::support::{Ran, peakhour};

/// A recording with bodies of one client on `/sync` up to `max`, which is a multiple of four, and
/// with small reads.
fn recording(max: u64) -> String {
    let body = |index: u64| match index % 10 {
        0 => max,
        each => max / 16 + each,
    };
    let lines = (0..60).map(|index: u64| {
        let at = index * 10_000_000;
        if index.is_multiple_of(2) {
            let bytes = body(index / 2);
            format!(r#"{{"at_ns":{at},"connection":1,"method":"POST","authority":"shop.example","#)
                + &format!(r#""target":"/sync","request_body_bytes":{bytes},"#)
                + r#""status":200,"response_body_bytes":20}"#
        } else {
            format!(r#"{{"at_ns":{at},"connection":2,"method":"GET","authority":"shop.example","#)
                + r#""target":"/ping","status":200,"response_body_bytes":20}"#
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs the act, and nothing else, on a recording with bodies up to `max`.
fn run(folder: &Path, max: u64, scenario: &str) -> (Ran, Value) {
    run_on(folder, &recording(max), scenario)
}

/// The same on any recording.
fn run_on(folder: &Path, recording: &str, scenario: &str) -> (Ran, Value) {
    prepare(folder, recording, scenario);
    let ran = peakhour(folder, &["run", "s.yaml", "--out", "json=run.json"]);
    let report = fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    let report = serde_json::from_str(&report).unwrap_or(Value::Null);
    schema::holds(&report);
    (ran, report)
}

fn prepare(folder: &Path, recording: &str, scenario: &str) {
    fs::write(folder.join("bodies.jsonl"), recording).unwrap();
    let head = "# Large bodies.\nname: payloads\nrecording: bodies.jsonl\n";
    fs::write(folder.join("s.yaml"), format!("{head}{scenario}")).unwrap();
}

/// The finding of a check whose title begins with this.
fn finding<'a>(report: &'a Value, check: &str, begins: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| {
        finding["check"] == check && finding["title"].as_str().unwrap().starts_with(begins)
    });
    found.unwrap_or_else(|| panic!("no `{check}: {begins}` in {findings:#?}"))
}

/// The sweep of this kind, as run.json has it.
fn sweep<'a>(report: &'a Value, what: &str) -> &'a Value {
    let acts = report["acts"].as_array().unwrap();
    let payloads = acts.iter().find(|act| act["act"] == "payloads").unwrap();
    let sweeps = payloads["evidence"]["payloads"]["sweeps"].as_array().unwrap();
    sweeps.iter().find(|sweep| sweep["what"] == what).unwrap()
}
