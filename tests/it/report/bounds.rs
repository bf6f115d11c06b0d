//! Runs that have too much of everything, and runs that have next to nothing.

use peakhour::act::payloads::{Payloads, Rung, Sweep, What};
use peakhour::act::{Evidence, Performed};
use peakhour::report::html;
use peakhour::report::model::{Report, RouteRow};
use peakhour::report::terminal::{Style, line, render};
use peakhour::scenario::acts::ActName;
use peakhour::verdict::{CheckedExpectation, Finding, Outcome};

use crate::report_sample::full::{full, probe};
use crate::report_sample::{failing, passing};

const PLAIN: Style = Style { colour: false, width: 80 };

fn sweep(number: usize) -> Sweep {
    Sweep {
        endpoint: "target".to_owned(),
        what: What::HttpRequest,
        place: format!("POST /{number}/{}", "<".repeat(200)),
        rungs: vec![Rung { bytes: 4_096, ..Rung::default() }; 40],
        outside: peakhour::act::payloads::Bystanders::default(),
        connect_outside_ns: None,
        attempts: Vec::new(),
        announced: None,
        boundary: None,
        ended: None,
        unknown: None,
    }
}

/// More findings, expectations, probes, warnings and drills than a run has.
fn crowded() -> Report {
    let mut report = full();
    let text = |number: u32| format!("{number} {}", "\"<&>'".repeat(100));
    report.findings = (0..4_000)
        .map(|number| Finding {
            check: format!("check-{number}"),
            subject: String::new(),
            outcome: if number % 2 == 0 { Outcome::Fail } else { Outcome::Pass },
            title: text(number),
            evidence: vec![text(number); 20],
            advice: text(number),
        })
        .collect();
    let expectation = |number: u32| CheckedExpectation {
        text: text(number),
        outcome: if number < 3_900 { Outcome::Pass } else { Outcome::Fail },
        actual: text(number),
    };
    report.expectations = (0..4_000).map(expectation).collect();
    report.advice = (0..4_000).map(text).collect();
    report.facts.warnings = (0..4_000).map(text).collect();
    report.probes = (0..600).map(probe).collect();
    let payloads = Payloads { sweeps: (0..300).map(sweep).collect(), ..Payloads::default() };
    report.acts = vec![Performed {
        act: ActName::Payloads,
        started_ns: 0,
        ended_ns: 1,
        evidence: Evidence::Payloads(payloads),
    }];
    report
}

#[test]
fn a_page_of_too_much_is_small_and_says_what_is_not_on_it() {
    let page = html::render(&crowded()).unwrap();
    assert!(page.len() < html::MAX_PAGE_BYTES, "{} bytes", page.len());
    for told in [
        "1\u{202f}900 more findings are in run.json",
        "Checks that passed",
        "its evidence is in run.json",
        "more rows are in the JSON",
        "588 more probes are in the table of probes alone",
        "294 more are in the tables",
        "280 more tables are in run.json",
    ] {
        assert!(page.contains(told), "{told}");
    }
    // What is whole says nothing of the kind.
    let page = html::render(&full()).unwrap();
    for told in ["are in run.json", "is in run.json", "more probes", "more are in the tables"] {
        assert!(!page.contains(told), "{told}");
    }
    assert!(page.contains("2 checks passed"));
}

#[test]
fn a_terminal_is_told_what_it_does_not_show() {
    let text = render(&crowded(), PLAIN, &[]);
    assert!(text.lines().count() < 2_000, "{}", text.lines().count());
    for told in [
        "1\u{202f}980 more failed are in the report files",
        "3\u{202f}900 hold; all are in the report files",
        "3\u{202f}995 more warnings are in the report files",
        "more pieces of advice are in the report files",
    ] {
        assert!(text.contains(told), "{told}");
    }
    let text = render(&failing(), PLAIN, &[]);
    assert!(!text.contains("report files"), "{text}");
}

/// Columns of a terminal that a text takes, as far as the tests need it.
fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c,
            '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// For long names without spaces, in letters that are two columns wide: no line is wider than the
/// terminal, and the names are there.
#[test]
fn wide_names_stay_within_a_terminal() {
    for name in ["商品".repeat(90), "🛒".repeat(180), "GET /ünïcödé/".repeat(40)] {
        let mut report = failing();
        report.headline.clone_from(&name);
        report.scenario.clone_from(&name);
        report.findings[0].title.clone_from(&name);
        report.expectations[0].text.clone_from(&name);
        let route = RouteRow { route: name.clone(), ..report.routes[0].clone() };
        report.routes = vec![route; 3];
        for width in [60, 80, 120] {
            let text = render(&report, Style { colour: false, width }, &[]);
            for line in text.lines() {
                assert!(columns(line) <= usize::from(width), "{width}: {line}");
            }
            let start: String = name.chars().take(10).collect();
            assert!(text.contains(&start), "{text}");
        }
        assert_eq!(line(&report, &[]).lines().count(), 1);
    }
}

/// What was never answered was not fast, and a share of errors is the same wherever it stands.
#[test]
fn what_had_no_answer_is_told_beside_every_latency() {
    let mut report = failing();
    report.totals.unsent = report.totals.planned / 2;
    report.totals.answered = report.asked() - report.totals.errors;
    let page = html::render(&report).unwrap();
    for told in ["p99 of answers</dt>", "no whole answer</dt><dd>0.465 %", "192 (0.465 %)"] {
        assert!(page.contains(told), "{told}");
    }
    assert!(line(&report, &[]).contains("p99 of answers 64 ms"), "{}", line(&report, &[]));
    let text = render(&report, PLAIN, &[]);
    assert!(text.contains("192 (0.465 %)") && text.contains("due → done, answered"), "{text}");
    let page = html::render(&passing()).unwrap();
    assert!(page.contains("latency p99</dt>") && !page.contains("of answers</dt>"));
}

#[test]
fn a_finding_says_when_it_was_seen() {
    let mut report = full();
    let failed = |check: &str| Finding { check: check.to_owned(), ..report.findings[0].clone() };
    let more = ["cold-start", "cold-cache", "hold"].map(failed);
    report.findings.extend(more);
    let page = html::render(&report).unwrap();
    for told in [
        "connection-limit: fail, second 42.0 to 60.0",
        "cold-start: fail, act cold",
        "cold-cache: fail, whole run",
        "hold: fail, second 80.0 to 84.0",
        "What failed without a time of its own: cold-start (act cold), cold-cache (whole run).",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let page = html::render(&full()).unwrap();
    assert!(!page.contains("What failed without a time of its own"), "all have one");
    assert!(page.contains("slow-payloads: unknown<"), "what was not seen has no time");
}

/// A run of a second, and one of a day.
#[test]
fn a_second_and_a_day_have_pages() {
    let mut report = passing();
    report.series.truncate(1);
    for group in &mut report.figures.outcomes {
        group.by_second.truncate(1);
    }
    let page = html::render(&report).unwrap();
    assert!(page.contains("Largest difference: ") && page.contains("id=\"chart-outcomes\""));
    let row = report.series[0].clone();
    report.series = (0..86_400)
        .map(|second| peakhour::report::model::SecondRow { second, ..row.clone() })
        .collect();
    report.series[50_001].max_lateness_ns = 777_000_000;
    let page = html::render(&report).unwrap();
    assert!(page.contains("777 ms within seconds 49992 to 50016"), "the point, not a second of it");
    assert!(page.contains("Each point is the worst of 24 seconds."));
    assert!(page.len() < html::MAX_PAGE_BYTES);
}
