//! The numbers of a run in a monitoring system, while it goes on.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::servers::{free_port, nginx, prometheus};
use crate::support::{Ran, peakhour, peakhour_with};

const REQUESTS: u64 = 100;

fn load(folder: &Path, port: u16, options: &[&str], environment: &[(&str, &str)]) -> Ran {
    let url = format!("http://127.0.0.1:{port}/");
    let mut arguments = vec!["run", "--url", &url, "--rate", "100", "-d", "1s", "-c", "4"];
    arguments.extend(options);
    peakhour_with(folder, &arguments, environment)
}

fn report(folder: &Path) -> Value {
    let run = fs::read_dir(folder.join("reports")).unwrap().flatten().next().unwrap().path();
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

fn target() -> Option<crate::servers::Server> {
    nginx("", "", |port, _| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}")
    })
}

/// What a real Prometheus has of a run after it, by name and labels.
#[test]
fn a_prometheus_holds_the_numbers_of_the_run() {
    let (Some(target), Some(prometheus)) = (target(), prometheus()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = format!("remote-write=http://127.0.0.1:{}/", prometheus.port);
    let options = ["--out", &out, "--label", "git.commit=4f1c2aa"];
    let ran = load(folder.path(), target.port, &options, &[]);
    assert!(ran.stderr.contains("sent to http://127.0.0.1"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("warning: --out"), "{}", ran.stderr);
    let report = report(folder.path());
    let totals = &report["totals"];
    for (name, value) in [
        ("peakhour_arrivals_due_total", &totals["planned"]),
        ("peakhour_requests_sent_total", &totals["sent"]),
        ("peakhour_responses_total", &totals["answered"]),
        ("peakhour_errors_total", &totals["errors"]),
        ("peakhour_run_exit_code", &report["exit_code"]),
    ] {
        let found = query(prometheus.port, name);
        let [found] = &found[..] else { panic!("{name}: {found:?}") };
        assert_eq!(found["value"][1], value.to_string(), "{name}: {found}");
        let labels = &found["metric"];
        assert_eq!(labels["git_commit"], "4f1c2aa");
        assert_eq!(labels["scenario"], report["scenario"]);
        assert!(labels["run"].as_str().unwrap().starts_with("load-of-127.0.0.1"), "{labels}");
    }
    // What goes up and down ended with the run: nothing is drawn beyond it.
    for name in ["peakhour_requests_in_flight", "peakhour_latency_p99_seconds"] {
        assert_eq!(query(prometheus.port, name), Vec::<Value>::new());
    }
    let before = "last_over_time(peakhour_requests_in_flight[5m])";
    assert_eq!(query(prometheus.port, before).len(), 1, "it was there");
}

/// The series that an instant query finds.
fn query(port: u16, name: &str) -> Vec<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let path = format!("/api/v1/query?query={name}");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let answer: Value = serde_json::from_str(body).unwrap();
    answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

/// A receiver of OTLP, which answers with these statuses in turn and then with the last one again.
fn receiver(statuses: &'static [u16]) -> (u16, Receiver<(String, Value)>) {
    receiver_that_says(statuses, "")
}

/// The same with this below each status.
fn receiver_that_says(
    statuses: &'static [u16],
    said: &'static str,
) -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, received) = channel();
    thread::spawn(move || {
        let statuses = statuses.iter().chain(std::iter::repeat(statuses.last().unwrap()));
        for (mut stream, status) in listener.incoming().flatten().zip(statuses) {
            let Some((head, body)) = request(&mut stream) else { return };
            let body = serde_json::from_slice(&body).unwrap();
            // Before the run may go on, and end.
            if send.send((head, body)).is_err() {
                return;
            }
            let length = said.len();
            let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{said}");
        }
    });
    (port, received)
}

fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length: usize =
                head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            let body = bytes[end + 4..].to_vec();
            if body.len() == length {
                return Some((head, body));
            }
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn due(body: &Value) -> f64 {
    let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let due = metrics.iter().find(|metric| metric["name"] == "peakhour_arrivals_due_total");
    let points = due.unwrap()["sum"]["dataPoints"].as_array().unwrap();
    points.last().unwrap()["asDouble"].as_f64().unwrap()
}

#[test]
#[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "a small whole number")]
fn otlp_is_sent_with_its_credentials_which_nobody_reads() {
    let Some(target) = target() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (port, received) = receiver(&[200]);
    let out = format!("otlp=http://127.0.0.1:{port}");
    let token = ("PEAKHOUR_OUT_AUTHORIZATION", "Bearer s3cret-token");
    let ran = load(folder.path(), target.port, &["--out", &out], &[token]);
    let (head, body) = received.try_iter().last().unwrap();
    assert!(head.starts_with("post /v1/metrics http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer s3cret-token"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(due(&body), REQUESTS as f64);
    assert!(!ran.stdout.contains("s3cret") && !ran.stderr.contains("s3cret"));
}

/// The run is what it is, whatever becomes of its numbers; what is lost is told.
#[test]
fn a_system_that_fails_costs_numbers_and_not_the_run() {
    let Some(target) = target() else { return };
    let (refusing, _received) = receiver(&[403]);
    for (url, reason) in [
        (format!("otlp=http://127.0.0.1:{refusing}"), "status 403 (credentials stand in the URL"),
        (format!("remote-write=http://127.0.0.1:{}", free_port()), "refused"),
        (format!("otlp=https://127.0.0.1:{refusing}"), "the run goes on without it"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ran = load(folder.path(), target.port, &["--out", &url], &[]);
        assert!(ran.stderr.contains(reason), "{url}: {}", ran.stderr);
        assert!(ran.stderr.contains(" lost on the way to "), "{url}: {}", ran.stderr);
        let report = report(folder.path());
        assert_eq!(report["totals"]["answered"], REQUESTS);
        assert_eq!(ran.code, i32::try_from(report["exit_code"].as_i64().unwrap()).unwrap());
    }
}

#[test]
fn a_system_that_is_busy_as_the_run_ends_is_asked_again() {
    let Some(target) = target() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (port, received) = receiver(&[503, 503, 200]);
    let out = format!("otlp=http://127.0.0.1:{port}/?token=s3cret");
    let ran = load(folder.path(), target.port, &["--out", &out], &[]);
    let bodies: Vec<Value> = received.try_iter().map(|(_, body)| body).collect();
    assert!(bodies.len() >= 3, "{}", ran.stderr);
    let told = ran.stderr.matches("it answers with status 503").count();
    assert_eq!(told, 1, "once is enough: {}", ran.stderr);
    assert!(!ran.stderr.contains(" lost on the way"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("s3cret") && !ran.stdout.contains("s3cret"));
}

/// Of numbers that were taken and not kept there is no other trace.
#[test]
fn what_a_system_does_not_keep_is_told() {
    let Some(target) = target() else { return };
    let folder = tempfile::tempdir().unwrap();
    let said = r#"{"partialSuccess":{"rejectedDataPoints":"12"}}"#;
    let (port, _received) = receiver_that_says(&[200], said);
    let out = format!("otlp=http://127.0.0.1:{port}");
    let ran = load(folder.path(), target.port, &["--out", &out], &[]);
    assert!(ran.stderr.contains("12 numbers of them not kept by http://127."), "{}", ran.stderr);
}

#[test]
fn one_secret_is_for_one_machine() {
    let Some(target) = target() else { return };
    let folder = tempfile::tempdir().unwrap();
    let token = ("PEAKHOUR_OUT_AUTHORIZATION", "Bearer s3cret-token");
    let outs = ["--out", "otlp=http://127.0.0.1:1", "--out", "remote-write=http://127.0.0.2:1"];
    let ran = load(folder.path(), target.port, &outs, &[token]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1:1 and 127.0.0.2:1"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("s3cret"));
}

#[test]
fn what_cannot_be_a_place_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let tried = |arguments: &[&str]| {
        let ran = peakhour(folder.path(), arguments);
        assert_eq!(ran.code, 104, "{}", ran.stderr);
        assert!(!folder.path().join("reports").exists());
        ran.stderr
    };
    let run = ["run", "--url", "http://127.0.0.1:1/", "--rate", "1", "--out"];
    let wrong = tried(&[&run[..], &["otlp=collector:4318"]].concat());
    assert!(wrong.contains("otlp=http://collector:4318/v1/metrics"), "{wrong}");
    fs::write(folder.path().join("run.json"), sample()).unwrap();
    let late = tried(&["report", "run.json", "--out", "otlp=http://h:4318"]);
    assert!(late.contains("a run that is over"), "{late}");
}

fn sample() -> String {
    peakhour::report::json::render(&crate::report_sample::passing()).unwrap()
}
