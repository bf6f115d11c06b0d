//! Aim: two loads are set side by side, whatever they were recorded with, and what differs is told.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, peakhour, root};

/// Requests as JSON Lines: the moment in milliseconds, the session, the resource.
fn lines(requests: impl Iterator<Item = (u64, u64, u64)>) -> String {
    let mut text = String::new();
    for (ms, session, item) in requests {
        let ns = ms * 1_000_000 + item * 1_000;
        let _ = writeln!(
            text,
            "{{\"at_ns\":{ns},\"connection\":{session},\"method\":\"GET\",\"status\":200,\
             \"authority\":\"a\",\"target\":\"/item/{item}\",\"first_byte_ns\":100,\
             \"last_byte_ns\":200}}"
        );
    }
    text
}

/// 40 s of bursts: every 100 ms a page of one to eight requests, of sessions that last 5 s.
fn bursts() -> impl Iterator<Item = (u64, u64, u64)> {
    (0..400_u64).flat_map(|page| {
        (0..=page * page % 8).map(move |place| {
            let session = page / 50 * 5 + page % 5;
            (page * 100 + place * 3, session, (page * 7 + place) % 23)
        })
    })
}

fn validate(folder: &Path, other: &str, options: &[&str]) -> Ran {
    peakhour(folder, &[&["validate", "peak.jsonl", other], options].concat())
}

fn of_json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{} {}", ran.stdout, ran.stderr))
}

#[test]
fn a_load_is_itself_and_a_faulty_replay_of_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("peak.jsonl"), lines(bursts())).unwrap();
    // By another clock, and half a millisecond late now and then.
    let replay = bursts().map(|(ms, session, item)| (ms + 9_000, session, item));
    fs::write(folder.join("replay.jsonl"), lines(replay)).unwrap();
    let ran = validate(folder, "replay.jsonl", &["--json", "-"]);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    let json = of_json(&ran);
    assert_eq!((&json["verdict"]["kind"], &json["paired"]), (&"faithful".into(), &true.into()));
    assert_eq!(json["exit_code"], 0);

    let lacking = bursts().enumerate().filter(|(n, _)| n % 50 != 9).map(|(_, each)| each);
    fs::write(folder.join("lacking.jsonl"), lines(lacking)).unwrap();
    let flat = (0..bursts().count() as u64).map(|n| (n * 40_000 / 1_400, n % 4, 0));
    fs::write(folder.join("flat.jsonl"), lines(flat)).unwrap();
    for (other, says) in [("lacking.jsonl", "are missing (2"), ("flat.jsonl", "evenly spaced")] {
        let ran = validate(folder, other, &[]);
        assert_eq!(ran.code, 99, "{} {}", ran.stdout, ran.stderr);
        let text = ran.words();
        assert!(text.starts_with("DEGRADED"), "{text}");
        assert!(text.contains(says), "{says}: {text}");
        assert!(text.contains("Requests a second: ░ the reference, ● the second"), "{text}");
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{}", ran.stdout);
    }
    let quiet = validate(folder, "flat.jsonl", &["--quiet"]);
    assert_eq!(quiet.stdout.lines().count(), 1, "{}", quiet.stdout);
}

#[test]
fn a_page_and_json_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("peak.jsonl"), lines(bursts())).unwrap();
    let ran = validate(folder, "peak.jsonl", &["--html", "page.html", "--json", "likeness.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("likeness.json")).unwrap()).unwrap();
    let names: Vec<&str> = json["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| metric["name"].as_str().unwrap())
        .collect();
    for name in [
        "completeness",
        "lateness p99.9",
        "WAPE 1 s",
        "nRMSE 1 s",
        "max cumulative lag",
        "peak ratio 1 s",
        "gaps KS",
        "gaps Wasserstein-1",
        "gaps SCV ratio",
        "IDC ratio 10 ms",
        "IDC ratio 10 s",
        "ACF difference 1 s lags 1–10",
        "Hurst difference",
        "Hurst difference by R/S",
        "mix TVD",
        "mix JSD",
        "mix Cramér's V",
        "request body ratio p99.9",
        "request bytes ratio",
        "sessions above the largest body",
        "request tail index difference",
        "response tail index difference",
        "connection opens WAPE 1 s",
        "requests per connection ratio p50",
        "TLS resumption difference",
        "concurrency ratio mean",
        "dependency difference",
        "Zipf exponent difference",
        "top-100 overlap",
        "miss-ratio curve MAE",
        "overtaken requests",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("FAITHFUL") && page.len() < 6_000_000);
    crate::browser::draws(&page, &["chart-rate", "chart-dispersion", "chart-gaps"]);
}

/// The capture that the repository carries, as a capture and as a recording made from it; and the
/// saved run of its rehearsal.
#[test]
fn captures_recordings_and_saved_runs_are_sides() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let ran = peakhour(folder.path(), &["import", &capture, "-o", "peak.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = peakhour(folder.path(), &["validate", &capture, "peak.parquet", "--json", "-"]);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    assert_eq!(of_json(&ran)["paired"], true);

    let scenario = format!("recording: {capture}\ntarget: {{ url: stage }}\ntolerance: ci\n");
    fs::write(folder.path().join("first.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["run", "first.yaml", "--quiet", "--reports", "runs"]);
    assert!(ran.code != 104, "{} {}", ran.stdout, ran.stderr);
    let run = fs::read_dir(folder.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let run = run.display().to_string();
    let ran = peakhour(folder.path(), &["validate", "peak.parquet", &run, "--json", "-"]);
    let json = of_json(&ran);
    assert_eq!(json["paired"], false);
    let outcome = |name: &str| {
        let metrics = json["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap()["outcome"].clone()
    };
    // What a saved run does not keep is not judged by it.
    for name in ["gaps KS", "IDC ratio 100 ms", "request body ratio p99", "miss-ratio curve MAE"] {
        assert_eq!(outcome(name), "not-evaluable", "{name}");
    }
    for name in ["completeness", "mix TVD"] {
        assert_eq!(outcome(name), "pass", "{name}: {json}");
    }
}

#[test]
fn what_is_no_load_is_refused_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("peak.jsonl"), lines(bursts())).unwrap();
    fs::write(folder.join("one.jsonl"), lines(bursts().take(1))).unwrap();
    fs::write(folder.join("instant.jsonl"), lines((0..9).map(|n| (7, n, 1)))).unwrap();
    for (other, says) in [
        ("one.jsonl", "the second recording has 1 request"),
        ("instant.jsonl", "all requests of the second recording are at one instant"),
    ] {
        let ran = validate(folder, other, &[]);
        assert_eq!(ran.code, 98, "{other}: {} {}", ran.stdout, ran.stderr);
        let text = ran.words();
        assert!(text.starts_with("INVALID") && text.contains(says), "{text}");
    }
    fs::write(folder.join("empty.jsonl"), "").unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    for (other, says) in [
        ("empty.jsonl", "empty.jsonl"),
        ("missing.jsonl", "missing.jsonl"),
        ("folder", "is a folder without run.json; name the folder of a run"),
    ] {
        let ran = validate(folder, other, &[]);
        assert_eq!(ran.code, 104, "{other}: {} {}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
    }
    let ran = validate(folder, "peak.jsonl", &["--tolerance", "loose"]);
    assert_eq!(ran.code, 104);
    assert!(ran.stderr.contains("strict, standard, ci"), "{}", ran.stderr);
}

/// A line that cannot be read may have been a request, and whoever reads a log guesses which of
/// them shared a connection.
#[test]
fn what_a_log_does_not_say_is_not_held_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = |n: u64| {
        let (minute, second) = (n / 20 / 60, n / 20 % 60);
        format!(
            "10.0.0.{} - - [26/Nov/2026:10:{minute:02}:{second:02} +0000] \"GET /item/{} \
             HTTP/1.1\" 200 5",
            n % 50,
            n * n % 97
        )
    };
    let log = |cut: &dyn Fn(u64) -> Option<String>| {
        (0..6_000).filter_map(cut).fold(String::new(), |text, line| text + &line + "\n")
    };
    fs::write(folder.join("peak.log"), log(&|n| Some(line(n)))).unwrap();
    let is_lost = |n: u64| n % 50 == 7;
    let damaged = log(&|n| Some(if is_lost(n) { line(n).replace('[', "") } else { line(n) }));
    fs::write(folder.join("damaged.log"), damaged).unwrap();
    fs::write(folder.join("lacking.log"), log(&|n| (!is_lost(n)).then(|| line(n)))).unwrap();
    let metric = |json: &Value, name: &str| {
        let metrics = json["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["name"] == name).unwrap().clone()
    };
    for (other, expected) in [("damaged.log", "pass"), ("lacking.log", "fail")] {
        let ran = peakhour(folder, &["validate", "peak.log", other, "--json", "-"]);
        let json = of_json(&ran);
        assert_eq!(metric(&json, "completeness")["outcome"], expected, "{other}: {json}");
        let limits = json["limits"].to_string();
        let told = "2 % of what was to be the second recording could not be used";
        assert_eq!(limits.contains(told), other == "damaged.log", "{limits}");
        let reuse = metric(&json, "requests per connection ratio p50");
        assert_eq!(reuse["outcome"], "not-evaluable");
        let note = reuse["note"].as_str().unwrap();
        assert!(note.contains("does not say which requests shared a connection"), "{note}");
    }
}
