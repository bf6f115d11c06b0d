//! Reports of made-up runs.

use std::fs;
use std::path::{Path, PathBuf};

use peakhour::report::files::{prepare_folder, write_reports, write_whole};
use peakhour::report::model::{MAX_ROUTES, Report, RouteRow, SecondRow};
use peakhour::report::terminal::{Style, render};
use peakhour::report::{html, json};

use crate::report_sample::{failing, invalid, passing};

const PLAIN: Style = Style { colour: false, width: 80 };

fn on_terminal(report: &Report) -> String {
    let written = ["reports/run/report.html", "reports/run/run.json"].map(PathBuf::from);
    render(report, PLAIN, &written)
}

/// Compares with a golden file; `UPDATE=1` rewrites it.
fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; UPDATE=1 rewrites it");
}

#[test]
fn a_passing_run_on_a_terminal() {
    assert_golden("pass.txt", &on_terminal(&passing()));
}

#[test]
fn a_failing_run_on_a_terminal() {
    assert_golden("fail.txt", &on_terminal(&failing()));
}

#[test]
fn an_invalid_run_on_a_terminal() {
    assert_golden("invalid.txt", &on_terminal(&invalid()));
}
