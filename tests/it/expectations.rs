//! What expectations say of real runs, and that the language is as it is documented.

use std::fs;
use std::path::Path;

use peakhour::scenario::expectation::Expectation;

use crate::nginx;
use crate::rehearsal::alone;
use crate::support::{peakhour, root};

/// Each line of the documentation's example is one.
#[test]
fn what_is_documented_is_read() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/expectations.md");
    let text = fs::read_to_string(document).unwrap();
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert!(lines.len() >= 9, "{lines:?}");
    for line in lines {
        if let Err(error) = Expectation::parse(line) {
            panic!("`{line}`: {error}");
        }
    }
}

/// Against a real nginx: what holds passes, what does not fails and says the worst stretch, and
/// what cannot be answered makes the run invalid.
#[test]
fn clauses_are_held_against_a_real_run() {
    let folder = tempfile::tempdir().unwrap();
    let answers = "200 'told'";
    let Some((server, port)) = nginx::start_answering(folder.path(), "$status", answers) else {
        return;
    };
    let load = format!("run|--url|http://127.0.0.1:{port}/a/7|--rate|50|-c|5|-d|3s|--quiet");
    let all_hold = "errors < 1% over 1s|errors < 1% for route /a/* with >= 100 samples\
                    |rate within 20% of 50/s|latency p50 < 30s after 1s";
    for (lines, codes, told) in [
        (all_hold, &[0][..], ""),
        ("rate > 1000/s over 1s", &[99], "/s (worst 1 s, from"),
        ("errors < 1% for route /b/*", &[99], "no request was sent to a route like /b/*"),
        ("errors < 1% over 1m", &[98], "only 3 s of 1 min were seen"),
        ("latency p50 < 1.10x recorded", &[98], "nothing was recorded"),
        ("errors < 1% with >= 200 samples", &[98], "only 150 of 200 samples"),
    ] {
        let mut arguments: Vec<&str> = load.split('|').chain(["--tolerance", "ci"]).collect();
        for line in lines.split('|') {
            arguments.extend(["--expect", line]);
        }
        let ran = peakhour(folder.path(), &arguments);
        let said = format!("{lines}: {}\n{}", ran.stdout, ran.stderr);
        // A machine that cannot keep time makes a run invalid, whatever is expected of it.
        assert!(codes.contains(&ran.code) || ran.code == 98, "{said}");
        if ran.code == codes[0] {
            assert!(said.contains(told), "{said}");
        }
    }
    drop(server);
}

/// An expectation with `abort` ends the run of a target that fails, and not that of a healthy one.
#[test]
fn an_expectation_ends_a_run_that_cannot_meet_it() {
    for (status, length, code) in [(500, "5m", 99), (200, "3s", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let answers = format!("{status} 'told'");
        let Some((server, port)) = nginx::start_answering(folder.path(), "$status", &answers)
        else {
            return;
        };
        let load = format!("run|--url|http://127.0.0.1:{port}/|--rate|50|-c|5|-d|{length}");
        let mut arguments: Vec<&str> = load.split('|').chain(["--tolerance", "ci"]).collect();
        arguments.extend(["--expect", "errors < 10% over 1s abort after 1s"]);
        let ran = peakhour(folder.path(), &arguments);
        drop(server);
        let said = format!("{}\n{}", ran.stdout, ran.stderr);
        assert!(ran.code == code || (status == 200 && ran.code == 98), "{said}");
        assert_eq!(said.contains("`errors >= 10% over 1s` holds"), status == 500, "{said}");
    }
}

/// The second of two rehearsals of one load is held against the first; one of another load is not.
#[test]
fn a_run_is_held_against_a_baseline_of_the_same_load_only() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let scenario = |lines: &str| {
        let text = format!(
            "# One load, twice.\nname: again\nrecording: {}\nspeed: 3\ntolerance: ci\n\
             target: {{ url: stage }}\nexpect: [ {lines} ]\n",
            capture.display()
        );
        fs::write(folder.path().join("s.yaml"), text).unwrap();
    };
    let run = |arguments: &[&str]| {
        let _alone = alone();
        let mut ran = peakhour(folder.path(), &[&["run", "s.yaml"], arguments].concat());
        // A machine that is busy with other tests makes a run invalid; it may be repeated.
        for _ in 0..3 {
            if ran.code != 98 || ran.stdout.contains("cannot be answered") {
                break;
            }
            ran = peakhour(folder.path(), &[&["run", "s.yaml"], arguments].concat());
        }
        (ran.code, format!("{}\n{}", ran.stdout, ran.stderr))
    };
    scenario("completeness > 99%");
    let (code, said) = run(&["--reports", "old"]);
    assert_eq!(code, 0, "{said}");
    let base = fs::read_dir(folder.path().join("old")).unwrap();
    let base = base.map(|run| run.unwrap().path()).max().unwrap();
    let base = base.to_str().unwrap();
    scenario("latency p50 < 1000x baseline, errors <= baseline");
    let (code, said) = run(&["--reports", "new", "--baseline", base]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("; baseline "), "{said}");
    scenario("latency p50 < 0.001x baseline");
    let (code, said) = run(&["--reports", "new", "--baseline", base]);
    assert_eq!(code, 99, "{said}");
    let (code, said) = run(&["--reports", "new", "--baseline", base, "--scale", "0.9"]);
    assert!(code == 98 && said.contains("facts.arrivals was"), "{said}");
    // Before anything is sent.
    let (code, said) = run(&["--reports", "none"]);
    assert!(code != 0 && said.contains("--baseline"), "{said}");
    assert!(!folder.path().join("none").exists(), "{said}");
    let (code, said) = run(&["--reports", "none", "--baseline", "s.yaml"]);
    assert!(code != 0 && !folder.path().join("none").exists(), "{said}");
}
