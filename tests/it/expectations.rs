//! What expectations say of real runs, and that the language is as it is documented.

use std::fs;
use std::path::Path;

use peakhour::scenario::expectation::Expectation;

use crate::nginx;
use crate::rehearsal::alone;
use crate::servers::redis;
use crate::support::{ATTEMPTS, Ran, peakhour, root};

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

/// The last of these runs, and what it said.
fn judged(run: impl Fn() -> Ran) -> (Ran, String) {
    let mut ran = run();
    for _ in 1..ATTEMPTS {
        if !ran.is_spoiled() {
            break;
        }
        ran = run();
    }
    let said = ran.words();
    (ran, said)
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
        let (ran, said) = judged(|| peakhour(folder.path(), &arguments));
        // A machine that cannot keep time makes a run invalid, whatever is expected of it.
        let is_spoiled = ran.is_spoiled() && ran.code == 98;
        assert!(is_spoiled || codes.contains(&ran.code), "{lines}: {said}");
        assert!(is_spoiled || said.contains(told), "{lines}: {said}");
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
        let said = ran.words();
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
            if ran.code != 98 || ran.words().contains("cannot be answered") {
                break;
            }
            ran = peakhour(folder.path(), &[&["run", "s.yaml"], arguments].concat());
        }
        (ran.code, ran.words())
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

/// A load without a scenario is held against an earlier one, too; open, and closed.
#[test]
fn a_load_is_held_against_a_baseline_as_well() {
    for pace in ["--rate|50", "--pace|closed"] {
        let folder = tempfile::tempdir().unwrap();
        let Some((server, port)) = nginx::start_answering(folder.path(), "$status", "200 'told'")
        else {
            return;
        };
        let over = |connections: u32, rest: &str| {
            let load = format!("run|--url|http://127.0.0.1:{port}/|{pace}|-c|{connections}|-d|2s");
            let line = format!("{load}|--tolerance|ci|{rest}");
            peakhour(folder.path(), &line.split('|').collect::<Vec<_>>())
        };
        let run = |rest: &str| over(5, rest);
        let mut saved = None;
        for attempt in 0..4 {
            let reports = format!("old{attempt}");
            if run(&format!("--reports|{reports}")).code == 0 {
                let runs = fs::read_dir(folder.path().join(reports)).unwrap();
                saved = runs.map(|run| run.unwrap().path()).max();
                break;
            }
        }
        let base = saved.expect("one of four is valid");
        let base = base.to_str().unwrap();
        for (line, code, told) in [
            ("latency p50 < 1000x baseline", 0, "; baseline "),
            ("latency p50 < 0.0001x baseline", 99, "; baseline "),
        ] {
            let ran = run(&format!("--reports|new|--baseline|{base}|--expect|{line}"));
            let said = format!("{pace} {line}: {}", ran.words());
            // A machine that cannot keep time makes a run invalid.
            assert!(ran.code == code || (ran.code == 98 && pace.contains("rate")), "{said}");
            assert!(said.contains(told), "{said}");
        }
        let asked = format!("--reports|new|--baseline|{base}|--expect|latency p50 < 9x baseline");
        let ran = over(7, &asked);
        let said = ran.words();
        assert!(ran.code == 98 && said.contains("load.connections was 5 and is 7"), "{said}");
        let saved = fs::read_dir(folder.path().join("new")).unwrap();
        let last = saved.map(|run| run.unwrap().path()).max().unwrap();
        let last = fs::read_to_string(last.join("run.json")).unwrap();
        assert!(last.contains("nothing is set beside this run: "), "{last}");
        let ran = run("--reports|none|--expect|latency p50 < 9x baseline");
        assert!(ran.code == 104 && ran.stderr.contains("--baseline"), "{}", ran.stderr);
        drop(server);
    }
}

/// A scenario for the stage, whose store is slow while its cache is cold, with a real Redis
/// watched.
fn cold_stage(folder: &Path, port: u16, expect: &str) {
    let lines: Vec<String> = (0..1_200)
        .map(|index: u64| {
            let (at, key) = (index * 16_000_000 + index * index % 7_000_000, index % 300);
            format!(r#"{{"at_ns":{at},"connection":{},"method":"GET","status":200,"#, index % 40)
                + &format!(r#""authority":"production.example","target":"/item/{key}"}}"#)
        })
        .collect();
    fs::write(folder.join("r.jsonl"), lines.join("\n")).unwrap();
    let text = format!(
        "# What is cold is slow.\nname: cold\nrecording: r.jsonl\ntolerance: ci\n\
         target: {{ url: stage }}\n\
         stage: {{ service: 5ms, cache: {{ warm: false, store_latency: 200ms }} }}\n\
         acts: [ cold: {{ warmup: 1m, trickle: 0s, bins: 1s }} ]\n\
         watch: {{ redis: {{ url: 'redis://127.0.0.1:{port}', every: 100ms }} }}\n\
         expect: [ {expect} ]\n"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

/// The cold run is slow, and its own expectations say so, with no replay at all; the figures of the
/// probe are those of the act.
#[test]
fn what_is_expected_of_an_act_is_held_against_that_act() {
    let Some(dependency) = redis(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |expect: &str, rest: &[&str]| -> (Ran, String) {
        cold_stage(folder.path(), dependency.port, expect);
        let _alone = alone();
        let ran = peakhour(folder.path(), &[&["run", "s.yaml"], rest].concat());
        let said = format!("{expect}: {}\n{}", ran.stdout, ran.stderr);
        (ran, said)
    };
    let (ran, said) = run(
        "latency p90 < 100ms in act cold, redis.connected_clients >= 1 in act cold, \
         redis.connected_clients > 900 in act cold, redis.no_such > 1 in act cold",
        &[],
    );
    assert_eq!(ran.code, 99, "{said}");
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in ["on cold caches", "at least", "told no no_such in that time"] {
        assert!(flat.contains(told), "{told}: {said}");
    }
    let lines: Vec<&str> = said.lines().collect();
    let marked = |mark: char, text: &str| {
        lines.iter().any(|line| line.trim_start().starts_with(mark) && line.contains(text))
    };
    assert!(marked('✗', "latency p90 < 100ms"), "{said}");
    assert!(marked('✓', "redis.connected_clients >= 1"), "{said}");
    assert!(marked('✗', "redis.connected_clients > 900"), "{said}");
    assert!(marked('?', "redis.no_such > 1"), "{said}");

    for (wrong, place) in [
        ("latency p90 < 1s in act replay", "s.yaml:9:28: the scenario has no act `replay`"),
        ("rediss.x < 9", "no probe is called as in `rediss.x`"),
    ] {
        let (ran, said) = run(wrong, &[]);
        assert!(ran.code == 104 && said.contains(place), "{said}");
    }
}
