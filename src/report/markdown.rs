//! Markdown, for the comment of a pull request and the summary of a job: the verdict and why, what
//! to do, and the tables that a reviewer asks for first.

use std::fmt::Write;

use crate::report::model::{Quantiles, Report, RouteRow};
use crate::report::text::{clean, nanos, share, verdict_word};
use crate::units::format_count;
use crate::verdict::Outcome;

/// The page: some forty lines, whatever the run.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    let word = verdict_word(report.verdict);
    line(&mut page, &format!("## {word}: {}", text(&report.scenario)));
    line(&mut page, &format!("{}\n", text(&report.headline)));
    for advice in report.advice.iter().take(MOST_ADVICE) {
        line(&mut page, &format!("- {}", text(advice)));
    }
    if !report.advice.is_empty() {
        page.push('\n');
    }
    expectations(&mut page, report);
    findings(&mut page, report);
    latencies(&mut page, report);
    routes(&mut page, report);
    let totals = &report.totals;
    let sent = format!(
        "{} of {} requests sent, {} answered, {} errors",
        format_count(totals.sent),
        format_count(totals.planned),
        format_count(totals.answered),
        format_count(totals.errors),
    );
    let shape = report.shape.as_ref().map(|shape| format!("; {}", text(&shape.statement)));
    line(&mut page, &format!("{sent}{}.", shape.unwrap_or_default()));
    let Report { target, started, tool_version, .. } = report;
    line(
        &mut page,
        &format!(
            "\n<sub>Target {}, {}, exit code {}, peakhour {}</sub>",
            code(target),
            text(started),
            report.exit_code,
            text(tool_version)
        ),
    );
    page
}

/// Sentences of advice that a comment holds.
const MOST_ADVICE: usize = 5;

/// Rows of a table; the page of the run has all.
const MOST_ROWS: usize = 10;

fn line(page: &mut String, text: &str) {
    let _ = writeln!(page, "{text}");
}

fn table(page: &mut String, heads: &[&str], rows: &[Vec<String>], beyond: usize) {
    if rows.is_empty() {
        return;
    }
    line(page, &format!("| {} |", heads.join(" | ")));
    line(page, &format!("|{}", "---|".repeat(heads.len())));
    for row in rows {
        line(page, &format!("| {} |", row.join(" | ")));
    }
    if beyond > 0 {
        line(page, &format!("\n… and {beyond} more in the report."));
    }
    page.push('\n');
}

fn expectations(page: &mut String, report: &Report) {
    let all = &report.expectations;
    let rows: Vec<_> = all
        .iter()
        .take(MOST_ROWS)
        .map(|each| vec![sign(each.outcome).to_owned(), code(&each.text), text(&each.actual)])
        .collect();
    table(page, &["", "expected", "seen"], &rows, all.len() - rows.len());
}

fn findings(page: &mut String, report: &Report) {
    let bad: Vec<_> =
        report.findings.iter().filter(|found| found.outcome != Outcome::Pass).collect();
    let rows: Vec<_> = bad
        .iter()
        .take(MOST_ROWS)
        .map(|found| vec![sign(found.outcome).to_owned(), code(&found.check), text(&found.title)])
        .collect();
    table(page, &["", "check", "finding"], &rows, bad.len() - rows.len());
}

fn latencies(page: &mut String, report: &Report) {
    let rows: Vec<_> = [
        ("latency (due to done)", &report.latency),
        ("service (sent to done)", &report.service),
        ("lateness (ours)", &report.lateness),
        ("recorded", &report.recorded_latency),
    ]
    .into_iter()
    .filter_map(|(name, times)| Some((name, times.as_ref()?)))
    .map(|(name, times)| {
        let Quantiles { p50_ns, p95_ns, p99_ns, p99_9_ns, max_ns, .. } = *times;
        let times = [p50_ns, p95_ns, p99_ns, p99_9_ns, max_ns].map(nanos);
        std::iter::once(name.to_owned()).chain(times).collect()
    })
    .collect();
    table(page, &["", "p50", "p95", "p99", "p99.9", "max"], &rows, 0);
}

/// Those that fail most, and then those that are slowest.
fn routes(page: &mut String, report: &Report) {
    let mut routes: Vec<_> = report.routes.iter().collect();
    // Of a route with few answers the slowest one would decide alone: it comes behind the others.
    let slow = |latency: &Option<Quantiles>| {
        latency.as_ref().map_or((false, 0), |times| (times.count >= RouteRow::FEWEST, times.p99_ns))
    };
    routes.sort_by_key(|row| std::cmp::Reverse((row.errors, slow(&row.latency))));
    let rows: Vec<_> = routes
        .iter()
        .take(WORST_ROUTES)
        .map(|row| {
            let p99 = row.latency.as_ref().map_or("–".to_owned(), |times| nanos(times.p99_ns));
            let errors = share(row.errors, row.arrivals);
            vec![code(&row.route), format_count(row.arrivals), errors, p99]
        })
        .collect();
    table(page, &["worst routes", "requests", "errors", "p99"], &rows, 0);
}

const WORST_ROUTES: usize = 5;

fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Unknown => "?",
    }
}

/// Longest foreign text.
const LONGEST: usize = 300;

/// Text from elsewhere, that means nothing to Markdown: no link, no mention of anybody, no markup.
fn text(foreign: &str) -> String {
    let mut plain = String::new();
    for c in clean(foreign, LONGEST).chars() {
        match c {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            // A mention or a reference wants its sign right before the name. A forge looks for them
            // after it has read entities, so that only something between the two parts them.
            '@' | '#' => plain.extend([c, APART]),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => plain.extend(['\\', c]),
            _ => plain.push(c),
        }
    }
    // What begins like an address becomes a link on its own, and so does what is like a reference
    // to an issue (GH-12) or to a commit.
    let plain = plain.replace("://", ":&#47;&#47;").replace("www.", "www&#46;");
    apart(&plain)
}

/// A space without width.
const APART: char = '\u{200b}';

/// Fewest hexadecimal digits that a forge takes for a commit.
const COMMIT: usize = 7;

/// Parts what a forge would take for an issue or a commit.
fn apart(plain: &str) -> String {
    let mut parted = String::with_capacity(plain.len());
    for word in plain.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_commit = name.len() >= COMMIT && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_issue = name.eq_ignore_ascii_case("gh") && word.ends_with('-');
        let (head, tail) = word.split_at(if is_commit { COMMIT / 2 } else { 0 });
        parted.push_str(head);
        if is_commit {
            parted.push(APART);
        }
        parted.push_str(tail);
        if is_issue {
            parted.push(APART);
        }
    }
    parted
}

/// The same as code, in which nothing is markup but the sign that ends it, and the table's.
fn code(foreign: &str) -> String {
    let plain = clean(foreign, LONGEST).replace('`', "'").replace('|', "\\|");
    format!("`{plain}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup() {
        assert_eq!(
            text("a|b *c* [x](y) @me #1"),
            "a\\|b \\*c\\* \\[x\\](y) @\u{200b}me #\u{200b}1"
        );
        assert_eq!(text("<img src=http://x>\n# y"), "&lt;img src=http:&#47;&#47;x&gt;·#\u{200b} y");
        assert_eq!(text("see GH-12 and 4f1c2aab"), "see GH-\u{200b}12 and 4f1\u{200b}c2aab");
        assert_eq!(text("a big deed of 12 ms"), "a big deed of 12 ms");
        assert_eq!(code("GET /`a`|b"), "`GET /'a'\\|b`");
        assert_eq!(text(&"x".repeat(400)).chars().count(), 301);
    }
}
