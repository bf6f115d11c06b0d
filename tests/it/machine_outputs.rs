//! Reports that programs read: `JUnit`, Markdown, annotations; and foreign text in them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use peakhour::report::model::Report;
use peakhour::report::settings::REQUEST;
use peakhour::report::{annotations, json, junit, markdown};
use peakhour::verdict::{CheckedExpectation, Outcome, RunOutcome};
use quick_junit::{NonSuccessKind, TestCaseStatus};

use crate::nginx;
use crate::report::assert_golden;
use crate::report_sample::{failing, invalid, passing};
use crate::support::peakhour;

/// GitLab shows one of two issues with the same fingerprint, and takes one with another as new.
#[test]
fn issues_of_one_check_are_told_apart_and_known_again() {
    let fingerprints = |report: &Report| -> Vec<String> {
        let text = annotations::gitlab(report).unwrap();
        let issues: serde_json::Value = serde_json::from_str(&text).unwrap();
        let issues = issues.as_array().unwrap().iter();
        issues.map(|issue| issue["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let mut report = failing();
    let mut found = report.findings[0].clone();
    report.findings.clear();
    for subject in ["redis", "mysql"] {
        subject.clone_into(&mut found.subject);
        report.findings.push(found.clone());
    }
    let before = fingerprints(&report);
    let distinct: std::collections::BTreeSet<_> = before.iter().collect();
    assert_eq!(distinct.len(), before.len(), "{before:?}");
    // Another figure is the same issue.
    report.findings[0].title = "reached 43 of 50".into();
    assert_eq!(fingerprints(&report), before);
}

#[test]
fn golden_reports() {
    assert_golden("junit.xml", &junit::render(&failing()).unwrap());
    assert_golden("report.md", &markdown::render(&failing()));
    assert_golden("github.txt", &annotations::github(&failing()));
    assert_golden("gitlab.json", &annotations::gitlab(&failing()).unwrap());
    assert_eq!(annotations::gitlab(&passing()).unwrap(), "[]");
    assert_eq!(annotations::github(&passing()).lines().count(), 1);
}

/// How many test cases are fine, failed, in error, skipped.
fn cases(report: &Report) -> [usize; 4] {
    let text = junit::render(report).unwrap();
    let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let mut counts = [0; 4];
    for case in document.test_suites.iter().flat_map(|suite| &suite.test_cases) {
        let place = match &case.status {
            TestCaseStatus::Success { .. } => 0,
            TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => 1,
            TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => 2,
            TestCaseStatus::Skipped { .. } => 3,
        };
        counts[place] += 1;
    }
    counts
}

/// Nothing that ends with another code than 0 is green, and every line is a case.
#[test]
fn no_run_that_failed_is_green() {
    for report in [passing(), failing(), invalid()] {
        let [fine, failed, errors, skipped] = cases(&report);
        let lines = report.expectations.len() + report.findings.len();
        assert_eq!(fine + failed + errors + skipped, lines + 2, "the shape, and the verdict");
        assert_eq!(failed + errors > 0, report.exit_code != 0, "{}", report.headline);
    }
    let mut unanswered = passing();
    let before = cases(&unanswered);
    unanswered.expectations[0].outcome = Outcome::Unknown;
    assert_eq!(cases(&unanswered)[2], before[2] + 1, "an expectation without an answer");
    let mut interrupted = passing();
    interrupted.verdict = RunOutcome::Interrupted;
    assert_eq!(cases(&interrupted)[2], before[2] + 1);
}

#[test]
fn foreign_text_is_text() {
    let mut report = failing();
    let evil = "a\u{1b}[31m\0]]><x>&|`::error::\r\n::warning title=x::y @team #1 [l](http://evil)";
    evil.clone_into(&mut report.headline);
    evil.clone_into(&mut report.findings[0].title);
    report.expectations.push(CheckedExpectation {
        text: evil.to_owned(),
        outcome: Outcome::Fail,
        actual: evil.to_owned(),
    });
    cases(&report);
    let plain = annotations::github(&failing()).lines().count();
    let commands = annotations::github(&report);
    assert_eq!(commands.lines().count(), plain + 1, "{commands}");
    assert!(!commands.contains('\u{1b}'), "{commands}");
    assert!(
        commands
            .lines()
            .all(|line| line.starts_with("::error title=") || line.starts_with("::warning title=")),
        "{commands}"
    );
    let page = markdown::render(&report);
    // In code nothing is markup.
    let unescaped = page.replace("\\`", "");
    let outside: String = unescaped.split('`').step_by(2).collect();
    for markup in ["<x>", "@team", "(http://", "#1"] {
        assert!(!outside.contains(markup), "{markup}: {page}");
    }
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 9, "{page}");
    for row in rows {
        let cells = row.replace("\\|", "").matches('|').count();
        assert!(matches!(cells, 4 | 5 | 7), "{row}");
    }
    annotations::gitlab(&report).unwrap();
}

/// The saved run is enough for all of them.
#[test]
fn a_saved_run_yields_each_of_them_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.json"), json::render(&failing()).unwrap()).unwrap();
    let kinds = ["html", "json", "junit", "markdown", "github", "gitlab"];
    let outs: Vec<String> = kinds.iter().map(|kind| format!("{kind}={kind}.out")).collect();
    let mut arguments = vec!["report", "run.json"];
    arguments.extend(outs.iter().flat_map(|out| ["--out", out]));
    let ran = peakhour(folder.path(), &arguments);
    assert_eq!(ran.code, 99, "{}", ran.stderr);
    for kind in kinds {
        assert!(
            folder.path().join(format!("{kind}.out")).metadata().unwrap().len() > 100,
            "{kind}"
        );
    }
    assert!(!folder.path().join("report.html").exists(), "only what was asked for");
    let printed = peakhour(folder.path(), &["report", "run.json", "--out", "github=-"]);
    assert_eq!(printed.stdout, annotations::github(&failing()));
    let unknown = peakhour(folder.path(), &["report", "run.json", "--out", "pdf=x"]);
    assert_eq!(unknown.code, 104);
    assert!(unknown.stderr.contains("the kinds are html, json, junit"), "{}", unknown.stderr);
    let nowhere = peakhour(folder.path(), &["report", "run.json", "--out", "junit=no/where/x"]);
    assert!(nowhere.code != 0 && nowhere.stderr.contains("no/where"), "{}", nowhere.stderr);
    // All of a run are in its folder as well.
    let written = peakhour(folder.path(), &["report", "run.json"]);
    assert_eq!(written.code, 99);
    for file in ["report.html", "junit.xml", "report.md"] {
        assert!(Path::new(folder.path()).join(file).exists(), "{file}");
    }
}

/// Whoever reads standard output reads the report that was asked for, and nothing behind it. What
/// else has a part in the run is in it: of a closed load, its request.
#[test]
fn a_report_on_standard_output_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, port)) = nginx::start(folder.path()) else { return };
    let run = |path: &str, options: &[&str]| {
        let url = format!("http://127.0.0.1:{port}{path}");
        let load = ["run", "--url", &url, "-d", "1s", "-c", "1", "--out", "json=-"];
        let ran = peakhour(folder.path(), &[&load[..], options].concat());
        let report: Report = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr));
        (report, ran.stderr)
    };
    let open = ["--rate", "20", "--tolerance", "ci"];
    let (report, people) = run("/", &open);
    assert_eq!((report.totals.planned, people.contains("latency")), (20, true), "{people}");
    assert_eq!(report.settings["response timeout"], "30 s");
    let (_, people) = run("/", &[&open[..], &["--quiet"]].concat());
    assert!(!people.contains("latency"), "{people}");
    let closed = |path: &str, options: &[&str]| {
        let (report, _) = run(path, &[&["--pace", "closed"], options].concat());
        report.settings[REQUEST].clone()
    };
    assert_eq!(closed("/a", &[]), closed("/a", &[]));
    assert_ne!(closed("/a", &[]), closed("/b", &[]));
    assert_ne!(closed("/a", &[]), closed("/a", &["-X", "POST", "--body", "all"]));
    drop(server);
}

/// What is lost on the way to standard output is told, and is no success: a script would go on with
/// half a document. Who closes a pipe has read enough.
#[test]
fn output_that_does_not_arrive_is_no_success() {
    let ran = |out: Stdio| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("peakhour"));
        command.args(["report", "--schema"]).stdout(out).output().unwrap()
    };
    let full = ran(fs::File::options().write(true).open("/dev/full").unwrap().into());
    let said = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(104), "{said}");
    assert!(said.contains("error: cannot write to standard output"), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = ran(writer.into());
    let said = String::from_utf8_lossy(&closed.stderr);
    assert_eq!((closed.status.code(), &*said), (Some(0), ""));
}
