//! The captures that the repository carries hold what their READMEs say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use peakhour::recording::file::reader::RecordingReader;

use crate::support::{peakhour, root};

/// The facts of a capture's README: the rows of its table.
fn facts(capture: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(root().join("captures").join(capture).join("README.md")).unwrap();
    let rows = text.lines().skip_while(|line| *line != "| fact | value |").skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let (name, value) = (cells.next().unwrap(), cells.next().unwrap());
            (name.to_owned(), value.replace(' ', "").parse().unwrap())
        })
        .collect()
}

/// The same of a recording.
fn found(recording: &Path) -> BTreeMap<String, u64> {
    let reader = RecordingReader::open(recording).unwrap();
    let header = reader.header();
    let mut found = BTreeMap::from([
        ("frames".to_owned(), header.ledger.frames.total),
        ("exchanges".to_owned(), header.exchanges),
        ("connections".to_owned(), header.connections),
        ("servers".to_owned(), header.servers.addresses.len() as u64),
    ]);
    for exchange in reader.exchanges(None) {
        let exchange = exchange.unwrap();
        let status = exchange.response.map_or("none".to_owned(), |r| r.status.to_string());
        for name in [format!("status {status}"), format!("method {}", exchange.method)] {
            *found.entry(name).or_default() += 1;
        }
        let largest = found.entry("largest request body, bytes".to_owned()).or_default();
        *largest = (*largest).max(exchange.request_body_bytes);
    }
    found
}

#[test]
fn the_first_capture_holds_what_its_readme_says_however_often_it_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    // Without a key of one's own, pseudonyms are others in each import.
    fs::write(folder.path().join("key"), "sixteen bytes or more").unwrap();
    let import = |name: &str| {
        let import = ["import", &capture, "-o", name, "--redact-key", "key"];
        let ran = peakhour(folder.path(), &import);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
        folder.path().join(name)
    };
    let (one, two) = (import("one.parquet"), import("two.parquet"));
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "imports of one file differ");
    assert_eq!(found(&one), facts("nginx-first"));
}

#[test]
fn every_process_makes_the_same_plan_of_it_and_no_seed_changes_it_unscaled() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = |arguments: &[&str]| {
        let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
        let scenario = root().join("scenarios/first-rehearsal.yaml").display().to_string();
        let plan = ["plan", &scenario, "--json", "--recording", &capture];
        let ran = peakhour(folder.path(), &[&plan[..], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let facts: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        facts["fingerprint"].as_str().unwrap().to_owned()
    };
    let plain = fingerprint(&[]);
    assert_eq!(plain, fingerprint(&["--seed", "7"]));
    let halved = fingerprint(&["--scale", "0.5"]);
    assert_eq!(halved, fingerprint(&["--scale", "0.5", "--seed", "1"]));
    let others = [
        halved,
        fingerprint(&["--scale", "0.5", "--seed", "7"]),
        fingerprint(&["--scale", "2"]),
        fingerprint(&["--speed", "1.5"]),
    ];
    assert!(!others.contains(&plain), "{plain} {others:?}");
}

#[test]
fn the_incidents_capture_holds_what_its_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/incident/peak.pcap.gz").display().to_string();
    let ran = peakhour(folder.path(), &["import", &capture, "-o", "peak.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(found(&folder.path().join("peak.parquet")), facts("incident"));
}
