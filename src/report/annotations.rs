//! What a forge shows beside a change: commands that GitHub's runner reads from a job's output, and
//! GitLab's report of code quality.

use std::fmt::Write;

use serde::Serialize;

use crate::bytes::fnv1a;
use crate::report::ReportError;
use crate::report::model::Report;
use crate::report::text::{clean, verdict_word};
use crate::verdict::{Outcome, RunOutcome};

/// Workflow commands, a line each: the verdict, then what failed and what could not be answered.
/// GitHub shows ten of a kind in a step, so that the worst come first.
pub fn github(report: &Report) -> String {
    let mut lines = String::new();
    let level = match report.verdict {
        RunOutcome::Pass => "notice",
        RunOutcome::Fail | RunOutcome::Invalid | RunOutcome::Interrupted => "error",
    };
    let word = verdict_word(report.verdict);
    let title = format!("{word}: {}", report.scenario);
    let mut command = |level: &str, title: &str, message: &str| {
        let _ = writeln!(lines, "::{level} title={}::{}", property(title), data(message));
    };
    command(level, &title, &report.headline);
    for note in notes(report) {
        let level = if note.outcome == Outcome::Fail { "error" } else { "warning" };
        command(level, note.title, &note.message);
    }
    lines
}

/// The document that GitLab takes as `artifacts: reports: codequality`.
pub fn gitlab(report: &Report) -> Result<String, ReportError> {
    let mut all = Vec::new();
    let issue = |check: &str, subject: &str, message: &str, severity: &'static str| Issue {
        description: clean(message, LONGEST),
        check_name: clean(check, LONGEST),
        fingerprint: fingerprint(check, subject, &report.scenario),
        severity,
        location: Location { path: path_of(report), lines: Lines { begin: 1 } },
    };
    if report.verdict != RunOutcome::Pass {
        let word = verdict_word(report.verdict);
        all.push(issue(word, "", &format!("{word}: {}", report.headline), "blocker"));
    }
    for note in notes(report) {
        let severity = if note.outcome == Outcome::Fail { "critical" } else { "minor" };
        all.push(issue(note.title, note.subject, &note.message, severity));
    }
    serde_json::to_string_pretty(&all).map_err(ReportError::Serialize)
}

/// Something that did not go well.
struct Note<'a> {
    outcome: Outcome,
    title: &'a str,
    /// What of several with this title it is about; empty for most.
    subject: &'a str,
    message: String,
}

/// What failed, and then what could not be answered.
fn notes(report: &Report) -> Vec<Note<'_>> {
    let expectations = report.expectations.iter().map(|each| Note {
        outcome: each.outcome,
        title: &each.text,
        subject: "",
        message: match each.outcome {
            Outcome::Unknown => format!("`{}` cannot be answered: {}", each.text, each.actual),
            _ => format!("`{}` does not hold: {}", each.text, each.actual),
        },
    });
    let findings = report.findings.iter().map(|found| Note {
        outcome: found.outcome,
        title: &found.check,
        subject: &found.subject,
        message: format!("{}. {}", found.title, found.advice).trim_end().to_owned(),
    });
    let mut notes: Vec<_> =
        expectations.chain(findings).filter(|note| note.outcome != Outcome::Pass).collect();
    notes.sort_by_key(|note| std::cmp::Reverse(note.outcome));
    notes
}

/// By this GitLab tells an issue from others, and knows it again in the next pipeline.
fn fingerprint(check: &str, subject: &str, scenario: &str) -> String {
    let subject = if subject.is_empty() { String::new() } else { format!("\n{subject}") };
    format!("{:016x}", fnv1a(format!("{check}\n{scenario}{subject}").bytes()))
}

/// GitLab shows an issue at a file of the repository: what was replayed is the nearest.
fn path_of(report: &Report) -> String {
    let path = if report.recording.path.is_empty() { "peakhour" } else { &report.recording.path };
    clean(path, LONGEST)
}

/// Longest text of a note.
const LONGEST: usize = 500;

/// The message of a command; a line break would begin another one.
fn data(text: &str) -> String {
    // The log of a job is shown in terminals, too, which would obey control characters. Lines stay.
    let lines: Vec<String> = text.lines().map(|line| clean(line, LONGEST)).collect();
    let text: String = lines.join("\n").chars().take(LONGEST).collect();
    text.replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_reach_no_log() {
        assert_eq!(data("a\u{1b}[31m 5 %\r\nb\u{9b}"), "a·[31m 5 %25%0Ab·");
        assert_eq!(property("a: b, c\u{1b}"), "a%3A b%2C c·");
    }
}
