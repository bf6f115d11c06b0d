//! The report as one page: a single file that needs no network, works in dark and light, on paper
//! and from the keyboard. Everything foreign is escaped by the template engine; the only text that
//! goes in as it is, is the chart library's script.

mod capacity;
mod cold;
pub mod likeness;
pub mod comparison;
pub mod history;
mod acts;
mod findings;
mod first;
mod outcomes;
mod probes;
mod responses;
mod scaling;
mod table;
mod tables;

use std::io;

use askama::Template;
use plotly::Plot;

use crate::report::ReportError;
use crate::report::charts::{Chart, charts};
use crate::report::html::findings::{LEFT_OUT, findings};
use crate::report::html::table::{TableView, outcome_class, weight};
use crate::report::html::tables::Section;
use crate::report::model::Report;
use crate::report::text::{clean, mark, verdict_word, worst};
use crate::shape::{ShapeReport, ShapeVerdict};
use crate::units::format_counted;
use crate::verdict::Outcome;

/// The page. Equal reports give equal bytes.
pub fn render(report: &Report) -> Result<String, ReportError> {
    Ok(page(report, first_script(&Plot::offline_js_sources())).render()?)
}

/// Writes the page piece by piece: held whole, it would be most of what a run needs of memory.
pub fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    page(report, first_script(&Plot::offline_js_sources())).write_into(out)
}

fn page<'a>(report: &Report, script: &'a str) -> Page<'a> {
    Page {
        word: verdict_word(report.verdict).to_owned(),
        class: verdict_word(report.verdict).to_lowercase(),
        titles: Titles { next: "What to do next", findings: "Findings" },
        why: Some(first::why(report)),
        figures: first::figures(report),
        headline: sentence(&report.headline),
        scenario: sentence(&report.scenario),
        about: about(report),
        advice: sentences(&report.advice),
        warnings: sentences(&report.facts.warnings),
        shape: report.shape.as_ref().map(shape_view),
        expectations: tables::expectations(&report.expectations),
        findings: findings(report, false),
        passed: findings(report, true),
        charts: charts(report),
        sections: tables::sections(report),
        version: sentence(&report.tool_version),
        script,
    }
}

/// The page stays below this many bytes, so that it can be mailed and opened anywhere. Some 4.7
/// million of them are the chart library; thinned series and capped lists bound the rest.
pub const MAX_PAGE_BYTES: usize = 6_000_000;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    word: String,
    class: String,
    titles: Titles,
    why: Option<FindingView>,
    figures: Vec<(&'static str, String)>,
    headline: String,
    scenario: String,
    about: String,
    advice: Vec<String>,
    warnings: Vec<String>,
    shape: Option<ShapeView>,
    expectations: Option<TableView>,
    findings: Vec<FindingView>,
    passed: Vec<FindingView>,
    charts: Vec<Chart>,
    sections: Vec<Section>,
    version: String,
    script: &'a str,
}

impl Page<'_> {
    /// What is behind the fold.
    fn passed_title(&self) -> String {
        if self.passed.iter().any(|view| view.class == LEFT_OUT) {
            return "Checks that passed".to_owned();
        }
        format!("{} passed", format_counted(self.passed.len() as u64, "check", "checks"))
    }

    /// What a verdict means to who decides.
    fn go(&self) -> &'static str {
        match self.class.as_str() {
            "pass" => "go",
            "fail" => "no go",
            _ => "no answer",
        }
    }
}

/// What a run says that needs no advice.
const NOTHING_TO_DO: &str =
    "Nothing to act on. Keep this folder: `peakhour compare` sets the next runs beside it.";

/// Headings that differ between the pages.
struct Titles {
    next: &'static str,
    findings: &'static str,
}

struct ShapeView {
    class: &'static str,
    mark: char,
    statement: String,
    worst: String,
    table: TableView,
}

struct FindingView {
    class: &'static str,
    mark: char,
    check: String,
    /// When it was seen; empty where nothing was.
    when: String,
    title: String,
    evidence: Vec<String>,
    advice: String,
}

/// Longest foreign sentence in the page. A sentence of ours is far shorter.
const MAX_SENTENCE: usize = 1_000;

/// Longest list of sentences in the page, and most bytes of it ([`weight`]); `run.json` has all.
const MAX_SENTENCES: usize = 50;
const MAX_LIST: usize = 30_000;

fn sentence(text: &str) -> String {
    clean(text, MAX_SENTENCE)
}

fn sentences(texts: &[String]) -> Vec<String> {
    let mut room = MAX_LIST;
    let fits = |text: &String| {
        room = room.saturating_sub(weight(text));
        room > 0
    };
    let all = texts.iter().take(MAX_SENTENCES).map(|text| sentence(text));
    let mut list: Vec<String> = all.take_while(fits).collect();
    if texts.len() > list.len() {
        list.push(format!("{} more in run.json", texts.len() - list.len()));
    }
    list
}

fn about(report: &Report) -> String {
    let recording = &report.recording;
    let sent = match &report.load {
        Some(load) => format!("{}, sent to", load.description),
        None if report.shape.is_none() => {
            format!("{} of {}, not replayed; the target is", recording.window, recording.path)
        }
        None => format!("{} of {}, replayed into", recording.window, recording.path),
    };
    sentence(&format!("{sent} {}, {}", report.target, report.started))
}

fn shape_view(shape: &ShapeReport) -> ShapeView {
    let outcome = match shape.verdict {
        ShapeVerdict::Faithful => Outcome::Pass,
        ShapeVerdict::Degraded { .. } => Outcome::Unknown,
        ShapeVerdict::Invalid { .. } => Outcome::Fail,
    };
    let worst = worst(&shape.worst_metric, shape.worst_ratio, &shape.tier);
    ShapeView {
        class: outcome_class(outcome),
        mark: mark(outcome),
        statement: sentence(&shape.statement),
        worst: sentence(&worst),
        table: tables::shape(&shape.metrics),
    }
}

/// The content of the first script element: the chart library. The second, which typesets
/// formulae, is two megabytes that nothing here needs.
fn first_script(scripts: &str) -> &str {
    let from_first = scripts.split_once("<script").map_or("", |(_, rest)| rest);
    let content = from_first.split_once('>').map_or("", |(_, rest)| rest);
    content.split_once("</script>").map_or("", |(script, _)| script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chart_library_is_taken() {
        let scripts = Plot::offline_js_sources();
        let script = first_script(&scripts);
        assert!(script.contains("plotly.js v3"));
        assert!(!script.contains("MathJax.loader"));
        assert!(script.len() < 5_000_000);
    }

    #[test]
    fn a_list_says_what_it_leaves_out() {
        let list = |count: usize, text: &str| sentences(&vec![text.to_owned(); count]);
        assert_eq!(list(50, "short").len(), 50);
        assert_eq!(list(52, "short").last().map(String::as_str), Some("2 more in run.json"));
        let long = list(40, &"<".repeat(990));
        assert_eq!((long.len(), long[5].as_str()), (6, "35 more in run.json"));
        let sentence = sentence(&"x".repeat(2 * MAX_SENTENCE));
        assert!(sentence.chars().count() <= MAX_SENTENCE + 1, "{}", sentence.len());
    }

    #[test]
    fn an_unforeseen_bundle_gives_no_script_rather_than_a_wrong_one() {
        assert_eq!(first_script("<script>a</script><script>b</script>"), "a");
        assert_eq!(first_script("nothing"), "");
        assert_eq!(first_script("<script>open"), "");
    }
}
