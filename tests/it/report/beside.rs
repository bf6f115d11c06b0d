//! Another run beside that of the page: what is drawn, and what is refused.

use std::process::Command;

use peakhour::report::beside::{BaselineError, beside};
use peakhour::report::figures::Figures;
use peakhour::report::files::write_reports;
use peakhour::report::model::Report;
use peakhour::report::{html, json};

use crate::report_sample::{failing, invalid, passing};

/// A made-up run whose counts come to the same.
fn reconciled(mut report: Report) -> Report {
    let answered = report.totals.answered;
    report.statuses = [(200, answered)].into();
    if let Some(latency) = &mut report.latency {
        latency.count = answered;
    }
    report
}

#[test]
fn a_baseline_is_drawn_told_and_not_saved() {
    let mut report = reconciled(failing());
    let mut other = reconciled(passing());
    "2026-03-01T08:15:00Z".clone_into(&mut other.started);
    "0.0.9".clone_into(&mut other.tool_version);
    report.baseline = Some(beside(&report, &other, "night/run.json").unwrap());
    let page = html::render(&report).unwrap();
    assert!(page.contains("baseline of 2026-03-01T08:15:00Z"));
    let told = "The baseline differs: tool_version was 0.0.9, and is 0.1.0 in this run.";
    assert!(page.contains(told), "another version is told");
    let saved = json::render(&report).unwrap();
    report.baseline = None;
    assert_eq!(saved, json::render(&report).unwrap());
    assert!(!html::render(&report).unwrap().contains("baseline of"));
}

/// Runs of versions that kept no curve have five points of it.
#[test]
fn a_baseline_without_a_curve_has_its_quantiles() {
    let mut other = reconciled(passing());
    other.figures = Figures::default();
    let points = beside(&reconciled(failing()), &other, "old").unwrap().latency.points;
    assert_eq!(points.len(), 5);
    let latency = other.latency.unwrap();
    assert_eq!((points[0].1, points[4].1), (latency.p50_ns, latency.max_ns));
}

#[test]
fn what_would_be_a_false_comparison_is_refused() {
    let other = reconciled(invalid());
    let refused = beside(&reconciled(failing()), &other, "late").unwrap_err().to_string();
    assert!(refused.starts_with("late is no baseline: verdict is INVALID"), "{refused}");
    let mut other = reconciled(passing());
    other.recording.exchanges += 1;
    let refused = beside(&reconciled(failing()), &other, "x").unwrap_err();
    assert!(matches!(refused, BaselineError::Different { .. }), "{refused}");
    assert!(refused.to_string().contains("recording.exchanges"), "{refused}");
    let mut other = reconciled(passing());
    let answered = other.fates.remove("answered").unwrap();
    *other.fates.entry("response timeout".to_owned()).or_default() += answered;
    (other.latency, other.figures) = (None, Figures::default());
    (other.totals.answered, other.statuses) = (0, [].into());
    assert!(matches!(
        beside(&reconciled(failing()), &other, "x"),
        Err(BaselineError::Empty { .. })
    ));
    let mut other = reconciled(passing());
    other.totals.errors = other.totals.planned + 1;
    assert!(matches!(beside(&reconciled(failing()), &other, "x"), Err(BaselineError::Damaged(_))));
}

#[test]
fn the_program_takes_a_baseline() {
    let folder = tempfile::tempdir().unwrap();
    for (name, report) in [
        ("now", reconciled(failing())),
        ("then", reconciled(passing())),
        ("late", reconciled(invalid())),
    ] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        write_reports(&report, &folder.path().join(name)).unwrap();
    }
    let report = |arguments: &[&str]| {
        let program = assert_cmd::cargo::cargo_bin("peakhour");
        let ran = Command::new(program).args(arguments).current_dir(folder.path()).output();
        let ran = ran.unwrap();
        let [told, errors] = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap());
        (ran.status.code(), told, errors)
    };
    let (code, told, _) = report(&["report", "now", "--baseline", "then", "--quiet"]);
    assert_eq!(code, Some(99));
    assert!(told.starts_with("FAIL  errors 0.233"), "{told}");
    assert!(told.ends_with("now/report.html\n"), "{told}");
    let page = std::fs::read_to_string(folder.path().join("now/report.html")).unwrap();
    assert!(page.contains("baseline of"));
    let (code, _, errors) = report(&["report", "now", "--baseline", "late"]);
    assert_eq!(code, Some(104));
    assert!(errors.contains("late/run.json is no baseline"), "{errors}");
}
