//! Answers beside the recorded ones, over real runs: what differs is found by name, what differs by
//! itself is not.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::record::{end, start};
use crate::rehearsal::alone;
use crate::servers::{self, Server};
use crate::support::{Ran, peakhour, root};

/// A machine that is busy with other tests makes a run invalid; it may be repeated so often.
const ATTEMPTS: usize = 4;

/// Runs a scenario of this text; its report.
fn run(folder: &Path, scenario: &str) -> (Ran, Value) {
    let _alone = alone();
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    for attempt in 1.. {
        let reports = format!("reports-{attempt}");
        let ran = peakhour(folder, &["run", "s.yaml", "--reports", &reports]);
        if ran.code != 98 || attempt == ATTEMPTS {
            let run = fs::read_dir(folder.join(reports)).unwrap().next().unwrap().unwrap();
            let json = fs::read_to_string(run.path().join("run.json")).unwrap();
            fs::remove_dir_all(run.path().parent().unwrap()).unwrap();
            return (ran, serde_json::from_str(&json).unwrap());
        }
    }
    unreachable!("the last attempt is returned")
}

fn finding<'a>(run: &'a Value, check: &str) -> &'a Value {
    let findings = run["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == check).unwrap()
}

/// The capture of the repository against the stage, whose answers are as recorded but for one knob.
#[test]
fn the_stage_answers_as_recorded_and_its_broken_twins_are_found() {
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let twins = [
        ("", "", 0, "pass", "pass"),
        ("stage: { answers: redirected }\n", "", 99, "fail", "pass"),
        ("stage: { answers: halved }\n", "", 0, "pass", "unknown"),
        ("stage: { answers: halved }\n", ", size-changes < 1%", 99, "pass", "unknown"),
        ("", ", size-changes < 1%, status-changes < 1% for route /*", 0, "pass", "pass"),
    ];
    for (knob, expectation, code, status, size) in twins {
        let folder = tempfile::tempdir().unwrap();
        let scenario = format!(
            "# Answers beside the recorded ones.\nname: answers\nrecording: {}\nspeed: 2\n\
             tolerance: ci\ntarget: {{ url: stage }}\n{knob}\
             expect: [ completeness >= 99%{expectation} ]\n",
            capture.display()
        );
        let (ran, run) = run(folder.path(), &scenario);
        let shown = format!("{knob}{expectation}\n{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, code, "{shown}");
        assert_eq!(finding(&run, "response-status")["outcome"], status, "{shown}");
        assert_eq!(finding(&run, "response-size")["outcome"], size, "{shown}");
        let title = finding(&run, "response-size")["title"].as_str().unwrap();
        assert_eq!(title.contains("are smaller than recorded"), size == "unknown", "{shown}");
        let differs = ran.words().contains("Responses beside the recorded ones");
        assert_eq!(differs, !knob.is_empty(), "{shown}");
        // A capture without `--contents` tells nothing of them, and nobody asked for it.
        let findings = run["findings"].as_array().unwrap();
        assert!(findings.iter().all(|it| it["check"] != "response-content"), "{shown}");
        assert_eq!(run["responses"]["contents_kept"], 0, "{shown}");
    }
}

/// A server that answers with JSON, in which two values are others each time.
fn json(fields: &str) -> Option<Server> {
    servers::nginx("", "", |port, _| {
        format!(
            "server {{ listen 127.0.0.1:{port}; keepalive_requests 100000;\n\
             location / {{ default_type application/json;\n\
             return 200 '{{\"id\":\"$request_id\",\"at\":$msec{fields}}}'; }} }}"
        )
    })
}

/// One that answers with a page, and says that all is well.
fn page() -> Option<Server> {
    servers::nginx("", "", |port, _| {
        format!(
            "server {{ listen 127.0.0.1:{port}; keepalive_requests 100000;\n\
             location / {{ default_type text/html; return 200 '<html>Back soon</html>'; }} }}"
        )
    })
}

/// Recorded with `--contents` in front of a real nginx, and replayed against the same and against
/// one whose answers lack a field.
#[test]
fn a_field_that_the_new_release_lacks_is_named_and_values_that_change_are_not() {
    let folder = tempfile::tempdir().unwrap();
    // The recorded server itself is never replayed into; another one of its kind is.
    let Some(recorded) = json(",\"items\":[{\"price\":1}]") else { return };
    let Some(old) = json(",\"items\":[{\"price\":1}]") else { return };
    let Some(new) = json(",\"items\":[{}]") else { return };
    let Some(page) = page() else { return };
    let (proxy, port) = start(folder.path(), recorded.port, &["--contents"]);
    let url = format!("http://127.0.0.1:{port}/cart/7");
    let load = ["--rate", "200", "-c", "4", "-d", "3s", "--tolerance", "ci", "--quiet"];
    peakhour(folder.path(), &[&["run", "--url", &url][..], &load].concat());
    end(proxy);
    let field = "`items[].price: number` is in 0 of";
    for (server, differs) in [(&old, ""), (&new, field), (&page, "are no JSON, which all")] {
        let scenario = format!(
            "# The same, or a field less.\nname: fields\nrecording: live.parquet\n\
             tolerance: ci\ntarget: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\n",
            server.port
        );
        let (ran, run) = run(folder.path(), &scenario);
        let shown = format!("{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.code == 0 || ran.code == 98, "{shown}");
        let found = finding(&run, "response-content");
        // Also where this machine made the run invalid, what was seen is told.
        let told = format!("{} {}", found["title"], found["evidence"]);
        assert!(told.contains(differs), "{told}\n{shown}");
        assert_eq!(told.contains("items"), differs == field, "{told}\n{shown}");
        assert!(!told.contains("`at:") && !told.contains("differ from those"), "{told}\n{shown}");
        if differs.is_empty() && ran.code == 0 {
            assert_eq!(found["outcome"], "pass", "{told}\n{shown}");
        }
    }
}
