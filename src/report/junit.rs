//! `JUnit` XML, for everything that shows tests: each expectation and each finding is a test
//! case, and so are the load shape and the run's verdict, so that no run that failed looks green.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use crate::report::ReportError;
use crate::report::model::Report;
use crate::report::text::verdict_word;
use crate::shape::{Fault, ShapeReport, ShapeVerdict};
use crate::verdict::{CheckedExpectation, Finding, Outcome, RunOutcome};

/// The document. What is not known fails nothing by itself, where nobody asked for it: such a
/// finding is skipped; an expectation without an answer is an error.
pub fn render(report: &Report) -> Result<String, ReportError> {
    let mut document = Document::new("peakhour");
    let mut run = TestSuite::new(report.scenario.as_str());
    run.set_time(Duration::from_nanos(report.facts.duration_ns));
    run.add_test_case(case("run", "verdict", verdict(report)));
    if let Some(shape) = &report.shape {
        run.add_test_case(case("run", "load shape", load_shape(shape)));
    }
    let expectations =
        report.expectations.iter().map(|each| case("expectations", &each.text, expectation(each)));
    let findings = report.findings.iter().map(|each| case("findings", &each.check, finding(each)));
    run.add_test_cases(expectations);
    run.add_test_cases(findings);
    document.add_test_suite(run);
    document.to_string().map_err(|source| ReportError::Junit { source })
}

fn case(class: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

fn verdict(report: &Report) -> TestCaseStatus {
    let kind = match report.verdict {
        RunOutcome::Pass => return TestCaseStatus::success(),
        RunOutcome::Fail => NonSuccessKind::Failure,
        RunOutcome::Invalid | RunOutcome::Interrupted => NonSuccessKind::Error,
    };
    let mut status = failed(kind, verdict_word(report.verdict), &report.headline);
    status.set_description(report.advice.join("\n"));
    status
}

/// A load that is wrong by our own fault is an error: then nothing is known of the target.
fn load_shape(shape: &ShapeReport) -> TestCaseStatus {
    let kind = match shape.verdict {
        ShapeVerdict::Faithful | ShapeVerdict::Degraded { .. } => return TestCaseStatus::success(),
        ShapeVerdict::Invalid { fault: Fault::Target } => NonSuccessKind::Failure,
        ShapeVerdict::Invalid { .. } => NonSuccessKind::Error,
    };
    failed(kind, "load shape", &shape.statement)
}

fn expectation(checked: &CheckedExpectation) -> TestCaseStatus {
    match checked.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => failed(NonSuccessKind::Failure, "expectation", &checked.actual),
        Outcome::Unknown => failed(NonSuccessKind::Error, "no answer", &checked.actual),
    }
}

fn finding(found: &Finding) -> TestCaseStatus {
    let mut status = match found.outcome {
        Outcome::Pass => return TestCaseStatus::success(),
        Outcome::Fail => failed(NonSuccessKind::Failure, "finding", &found.title),
        Outcome::Unknown => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(found.title.as_str());
            skipped
        }
    };
    let lines = found.evidence.iter().chain([&found.advice]).map(String::as_str);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    status.set_description(lines.join("\n"));
    status
}

fn failed(kind: NonSuccessKind, name: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name).set_message(message);
    status
}
