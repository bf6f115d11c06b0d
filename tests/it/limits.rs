//! Ceilings of a run, as options of the program: what lies above is refused or not sent.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::Value;

use crate::support::{Ran, peakhour};

/// A server that answers, or that reads and never does.
fn start(answers: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    if answers && stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// 40 requests, so many milliseconds apart and on a connection each, whose answers took one.
fn scenario(folder: &Path, port: u16, apart_ms: u64, limits: &str) {
    let lines: Vec<String> = (0..40)
        .map(|index| {
            let at = index * apart_ms * 1_000_000;
            format!(r#"{{"at_ns":{at},"connection":{index},"method":"GET","target":"/","#)
                + r#""authority":"production.example","status":204,"#
                + &format!(r#""first_byte_ns":{0},"last_byte_ns":{0}}}"#, 1_000_000)
        })
        .collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
    let text = format!(
        "recording: r.jsonl\ntolerance: ci\ntarget: {{ url: 'http://127.0.0.1:{port}', allow: \
         [127.0.0.1] }}\nlimits: {{ response_timeout: 2s, {limits} }}\n"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

fn run(folder: &Path, options: &str) -> Ran {
    let options = options.split_whitespace();
    let arguments: Vec<&str> = ["run", "s.yaml"].into_iter().chain(options).collect();
    peakhour(folder, &arguments)
}

/// The fates in the only report below a folder.
fn fates(folder: &Path) -> Value {
    let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
    let report = fs::read_to_string(run.join("run.json")).unwrap();
    serde_json::from_str::<Value>(&report).unwrap()["fates"].clone()
}

#[test]
fn a_plan_above_a_ceiling_is_refused_with_its_peak_and_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path(), start(true), 10, "max_rate: 1000");
    let ran = run(folder.path(), "--max-rate 39");
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    let told = "the plan reaches 40 requests/s at second 0, above `limits.max_rate` of 39; lower";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(run(folder.path(), "--max-rate 0").code, 104);
    let ran = run(folder.path(), "--max-rate 40");
    assert!(matches!(ran.code, 0 | 98 | 99), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(fates(folder.path()), serde_json::json!({ "answered": 40 }));
}

#[test]
fn a_target_that_stalls_gets_no_more_than_the_ceilings() {
    for (options, fate) in [
        ("--max-connections 2", "unsent: connection limit"),
        ("--max-in-flight 2", "unsent: in-flight limit"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        scenario(folder.path(), start(false), 10, "max_connections: 100");
        let ran = run(folder.path(), options);
        assert!(matches!(ran.code, 98 | 99), "{options}: {}\n{}", ran.stdout, ran.stderr);
        let expected = serde_json::json!({ "timed out": 2, fate: 38 });
        assert_eq!(fates(folder.path()), expected, "{options}: {}", ran.stdout);
        assert!(ran.words().contains(fate), "{options}: {}", ran.stdout);
        // The healthy twin needs one at a time, and a machine that is busy has time for it.
        let folder = tempfile::tempdir().unwrap();
        scenario(folder.path(), start(true), 100, "max_connections: 100");
        let ran = run(folder.path(), options);
        let answered = fates(folder.path())["answered"].as_u64();
        assert!(answered > Some(30), "{options}: {}\n{}", ran.stdout, ran.stderr);
    }
}
