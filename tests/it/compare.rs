//! Aim: a release that is worse than the one before it is told as that, and runs that cannot be
//! compared never are.

mod damaged;
mod routes;

use std::fs;
use std::path::Path;

use peakhour::probe::record::Record;
use peakhour::report::model::{Quantiles, Report, SessionPace};
use peakhour::report::{html, json};
use peakhour::verdict::RunOutcome;
use serde_json::Value;

use crate::report_sample::full::{full, probe};
use crate::report_sample::passing;
use crate::support::{Ran, peakhour, root};

/// By how much each run of a series is off, in percent: as runs of one release are.
const NOISE: [i64; 10] = [0, 4, -5, 2, 7, -3, 1, -6, 5, -2];

/// The `number`th run of a series, its latencies so many percent of the usual ones.
fn run(number: usize, percent: i64) -> Report {
    let mut report = passing();
    let factor = |ns: u64, offset: usize| {
        let noise = 100 + NOISE[(number * 7 + offset) % NOISE.len()];
        let exact = i64::try_from(ns).unwrap() / 10_000 * noise * percent;
        u64::try_from(exact).unwrap() + number as u64
    };
    let planned = report.totals.planned;
    let scaled = |quantiles: &Quantiles| Quantiles {
        p50_ns: factor(quantiles.p50_ns, 0),
        p90_ns: factor(quantiles.p90_ns, 0),
        p95_ns: factor(quantiles.p95_ns, 0),
        p99_ns: factor(quantiles.p99_ns, 0),
        p99_9_ns: factor(quantiles.p99_9_ns, 0),
        max_ns: factor(quantiles.max_ns, 0),
        count: planned,
        ..quantiles.clone()
    };
    report.latency = report.latency.as_ref().map(scaled);
    report.started = format!("2026-03-{:02}T02:00:00Z", 1 + number % 28);
    report
}

fn save(folder: &Path, name: &str, report: &Report) {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("run.json"), json::render(report).unwrap()).unwrap();
}

/// Ten runs of a baseline, and three new ones that take so many percent as long.
fn release(folder: &Path, percent: i64) {
    for number in 0..10 {
        save(folder, &format!("old-{number}"), &run(number, 100));
    }
    for number in 0..3 {
        save(folder, &format!("new-{number}"), &run(10 + number, percent));
    }
}

/// Compares those, with options.
fn compare(folder: &Path, options: &[&str]) -> Ran {
    let base: Vec<String> = (0..10).map(|number| format!("old-{number}")).collect();
    let base: Vec<&str> = base.iter().map(String::as_str).collect();
    let new = ["--", "new-0", "new-1", "new-2/run.json"];
    peakhour(folder, &[&["compare"], options, &base, &new].concat())
}

fn shown(ran: &Ran) -> String {
    format!("{}\n{}", ran.stdout, ran.stderr)
}

/// As one line, since words wrap.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_slower_release_fails_and_the_same_one_passes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 130);
    let ran = compare(folder, &["--html", "gate.html", "--json", "gate.json"]);
    assert_eq!(ran.code, 99, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.starts_with("REGRESSION latency p50 is worse by +"), "{text}");
    for told in ["so is latency p95, latency p99", "✓ errors", "0 % 0 %", "✓ throughput"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{}", ran.stdout);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("gate.json")).unwrap()).unwrap();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&"regression".into(), &99.into()));
    assert_eq!((&json["design"], &json["new"][2]), (&"gate".into(), &"new-2".into()));
    let shift = &json["quantiles"].as_array().unwrap()[0];
    assert!((shift["change"].as_f64().unwrap() - 0.3).abs() < 0.08, "{shift}");
    let page = fs::read_to_string(folder.join("gate.html")).unwrap();
    assert!(page.contains("REGRESSION") && page.len() < html::MAX_PAGE_BYTES);
    crate::browser::draws(&page, &["chart-shift", "chart-runs"]);

    release(folder, 100);
    let ran = compare(folder, &[]);
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    assert!(
        ran.stdout.starts_with("NO REGRESSION  no regression shown; a change"),
        "{}",
        ran.stdout
    );
    release(folder, 70);
    let ran = compare(folder, &["--quiet"]);
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    assert!(ran.stdout.starts_with("IMPROVEMENT  latency p50 is better"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn more_errors_fail_where_latencies_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 100);
    for number in 0..3 {
        let mut report = run(10 + number, 100);
        let failed = report.totals.planned / 100 * (1 + number as u64 % 2);
        report.totals.errors = failed;
        report.totals.answered -= failed;
        report.statuses = [(200, report.totals.answered)].into();
        report.fates = [("answered", report.totals.answered), ("reset", failed)]
            .map(|(name, count)| (name.to_owned(), count))
            .into();
        let latency = report.latency.as_mut().unwrap();
        latency.count -= failed;
        save(folder, &format!("new-{number}"), &report);
    }
    let ran = compare(folder, &[]);
    assert_eq!(ran.code, 99, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.contains("errors is worse by +1"), "{text}");
    // Where one of a hundred had no answer, nobody knows how long the slowest of a hundred took.
    assert!(text.contains("latency p99.9: not in 3 of 3 new runs: 0.999 %"), "{text}");
}

#[test]
fn what_one_run_on_a_side_cannot_say_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 300);
    let ran = peakhour(folder, &["compare", "old-0", "--", "new-0"]);
    assert_eq!(ran.code, 98, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.starts_with("UNKNOWN it cannot be said: 1 new run beside 1"), "{text}");
    assert!(text.contains("differ by 5 %, only a change of 28.4 % or more"), "{text}");
    assert!(text.contains("+2"), "the difference itself is told: {text}");
    let few = ["compare", "old-0", "old-1", "old-2", "--", "new-0", "new-1", "new-2"];
    let ran = peakhour(folder, &few);
    assert_eq!(ran.code, 98, "{}", shown(&ran));
    assert!(flat(&ran.stdout).contains("fewer than 3 beside 10"), "{}", ran.stdout);
    let base: Vec<String> = (0..10).map(|number| format!("old-{number}")).collect();
    let base: Vec<&str> = base.iter().map(String::as_str).collect();
    let ran = peakhour(folder, &[&["compare"], &base[..], &["--", "new-1"]].concat());
    assert_eq!(ran.code, 99, "a single run may be so slow that it counts: {}", shown(&ran));
    assert!(flat(&ran.stdout).contains("held against the scatter of the baseline"));
}

/// Each change of one run, by the code and the words that it is refused with.
#[test]
fn runs_that_cannot_be_compared_are_refused_with_file_and_field() {
    type Change = fn(&mut Report);
    let cases: [(&str, Change, &str, &str); 14] = [
        ("scenario", |run| run.scenario = "search".into(), "scenario is", "search in new-1"),
        ("recording", |run| run.recording.exchanges += 1, "recording.exchanges", "in new-1"),
        ("recording", |run| run.recording.window = "all".into(), "recording.window", "all in"),
        ("arrivals", |run| run.facts.peak_rate = 7, "facts.peak_rate", "7 in new-1"),
        ("plan", |run| run.facts.fingerprint = "0".into(), "facts.fingerprint", "0 in new-1"),
        ("target", |run| run.target = "10.0.0.9:80".into(), "target is", "10.0.0.9:80 in new-1"),
        ("target", |run| run.target += &"x".repeat(130), "target is", "…"),
        (
            "arrivals",
            |run| run.session_pace = Some(SessionPace::default()),
            "session_pace",
            "set by answers in",
        ),
        (
            "settings",
            |run| {
                run.settings.insert("grace".into(), "1 s".into());
            },
            "settings.grace",
            "not told in old-0 and 1 s in new-1",
        ),
        // One whose figures are compared would be missing in all others.
        (
            "settings",
            |run| run.probes = vec![Record { kind: "command".into(), ..probe(1) }],
            "probes is not told in old-0",
            "redis-1 (command) in new-1",
        ),
        ("scenario", |run| run.acts = full().acts[..1].to_vec(), "acts is none but", "payloads in"),
        ("machine", |run| run.health.processors = 64, "health.processors", "64 in new-1"),
        ("version", |run| run.tool_version = "9.9".into(), "tool_version", "9.9 in new-1"),
        ("nothing", |run| run.facts.warnings = vec![], "", ""),
    ];
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 100);
    for (kind, change, field, value) in cases {
        let mut report = run(11, 100);
        change(&mut report);
        save(folder, "new-1", &report);
        let ran = compare(folder, &[]);
        let text = flat(&ran.stderr);
        if kind == "nothing" {
            assert_eq!(ran.code, 0, "{}", shown(&ran));
            continue;
        }
        assert_eq!((ran.code, ran.stdout.as_str()), (104, ""), "{kind}: {}", shown(&ran));
        assert!(text.contains(field) && text.contains(value), "{kind}: {text}");
        assert!(text.contains(&format!("--despite {kind}")), "{kind}: {text}");
        let ran = compare(folder, &["--despite", kind]);
        assert_eq!(ran.code, 0, "{kind}: {}", shown(&ran));
        assert!(flat(&ran.stdout).contains(value), "{kind} is told: {}", ran.stdout);
    }
    let ran = compare(folder, &["--despite", "weather"]);
    assert_eq!(ran.code, 104, "{}", shown(&ran));
}

#[test]
fn runs_without_a_verdict_are_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    release(folder, 100);
    for number in 10..12 {
        save(folder, &format!("old-{number}"), &run(number + 10, 100));
    }
    for (verdict, word) in [(RunOutcome::Invalid, "INVALID"), (RunOutcome::Interrupted, "INTERR")] {
        save(folder, "old-4", &Report { verdict, ..run(4, 100) });
        let ran = compare(folder, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (98, ""), "{}", shown(&ran));
        let text = flat(&ran.stderr);
        assert!(text.contains(&format!("old-4: verdict is {word}")), "{text}");
        fs::write(folder.join("gate.json"), "of other runs").unwrap();
        let ran = compare(folder, &["--json", "gate.json", "--html", "/dev/null"]);
        assert_eq!(ran.code, 98, "{}", shown(&ran));
        assert!(!folder.join("gate.json").exists(), "nothing is left of an earlier comparison");
        assert!(text.contains("--skip-invalid"), "{text}");
        let ran = compare(folder, &["--skip-invalid"]);
        assert_eq!(ran.code, 98, "nine are left, and no gate: {}", shown(&ran));
        assert!(flat(&ran.stdout).contains("old-4 is left out"), "{}", ran.stdout);
    }
    save(folder, "old-4", &Report { verdict: RunOutcome::Fail, ..run(4, 100) });
    assert_eq!(compare(folder, &[]).code, 0, "what a run found is no reason to leave it out");
    let aborted = peakhour::verdict::Finding {
        check: "abort".into(),
        subject: String::new(),
        outcome: peakhour::verdict::Outcome::Fail,
        title: "aborted".into(),
        evidence: vec![],
        advice: String::new(),
    };
    let mut report = run(4, 100);
    report.findings.insert(0, aborted);
    save(folder, "old-4", &report);
    assert_eq!(compare(folder, &[]).code, 98, "it is only the beginning of a load");
}

/// Sixty nights of which the last five are slower, with the commits that were rehearsed.
fn nights(folder: &Path, slower_from: usize) {
    for night in 0..60 {
        let percent = if night >= slower_from { 130 } else { 100 };
        let mut report = run(night, percent);
        report.started = format!("2026-{:02}-{:02}T02:00:00Z", 1 + night / 28, 1 + night % 28);
        let commit = if night >= slower_from { "4f1c2aa" } else { "0a9e011" };
        report.labels = [("commit".to_owned(), commit.to_owned())].into();
        save(folder, &format!("reports/night-{night:02}"), &report);
    }
}

#[test]
fn a_nightly_series_tells_since_when_it_is_slower() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    nights(folder, 55);
    fs::write(folder.join("reports/night-20/run.json"), "{").unwrap();
    save(folder, "reports/other", &Report { scenario: "search".into(), ..run(70, 500) });
    let html = ["--html", "trend.html", "--json", "trend.json"];
    let asked = ["history", "reports", "--scenario", "checkout peak"];
    let ran = peakhour(folder, &[&asked[..], &html].concat());
    assert_eq!(ran.code, 99, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.starts_with("REGRESSION latency p50 is worse by +"), "{text}");
    for told in [
        "since reports/night-55 (commit: 0a9e011 → 4f1c2aa)",
        "✗ latency p99 +",
        "1 run was left out: scenario search (see --scenario)",
        "left out: reports/night-20/run.json is not a saved run",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{}", ran.stdout);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("trend.json")).unwrap()).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 59);
    assert_eq!(json["changes"][0]["run"], "reports/night-55");
    let page = fs::read_to_string(folder.join("trend.html")).unwrap();
    assert!(page.contains("0a9e011 → 4f1c2aa") && page.len() < html::MAX_PAGE_BYTES);
    crate::browser::draws(&page, &["trend-latency-p50", "trend-latency-p99", "trend-errors"]);

    nights(folder, 99);
    let ran = peakhour(folder, &asked);
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    assert!(ran.stdout.starts_with("NO REGRESSION"), "{}", ran.stdout);
    let ran = peakhour(folder, &["history", "reports", "--scenario", "search"]);
    assert_eq!(ran.code, 98, "{}", shown(&ran));
    assert!(ran.stdout.starts_with("UNKNOWN  1 run is of this series"), "{}", ran.stdout);
    for (path, told) in [("nowhere", "cannot read nowhere"), ("reports/night-01", "none of its")] {
        let ran = peakhour(folder, &["history", path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (104, ""), "{}", shown(&ran));
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
}

/// Real runs carry their labels, and stand beside each other without a difference.
#[test]
fn real_runs_keep_what_is_written_on_them() {
    let _alone = crate::rehearsal::alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let capture = root().join("captures/nginx-first/peak.pcap.gz");
    let scenario = format!(
        "# Two runs.\nname: twice\nrecording: {}\nwindow: +0s..+2s\ntolerance: ci\n\
         target: {{ url: stage }}\n",
        capture.display()
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    for side in ["before", "after"] {
        let label = format!("release={side}");
        let ran = peakhour(folder, &["run", "s.yaml", "--reports", side, "--label", &label]);
        let saved = fs::read_dir(folder.join(side)).unwrap().next().unwrap().unwrap().path();
        let mut report = json::read(&saved.join("run.json"))
            .unwrap_or_else(|error| panic!("{error}: {}", shown(&ran)));
        assert_eq!(report.labels["release"], side);
        // How busy this machine was does not matter here.
        report.verdict = RunOutcome::Pass;
        save(folder, side, &report);
    }
    let ran = peakhour(folder, &["compare", "before", "--", "after"]);
    assert_eq!(ran.code, 98, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.starts_with("UNKNOWN it cannot be said: 1 new run"), "{text}");
    assert!(text.contains("release: before → after"), "{text}");
    let ran = peakhour(folder, &["run", "s.yaml", "--label", "commit"]);
    assert_eq!(ran.code, 104, "{}", shown(&ran));
    assert!(ran.stderr.contains("write KEY=VALUE"), "{}", ran.stderr);
}
