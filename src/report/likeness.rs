//! What `validate` says: two loads beside each other, on a terminal and for programs.

mod curves;

use std::fmt::Write;
use std::time::Duration;

use crate::report::ReportError;
use crate::report::likeness::curves::curves;
use crate::report::terminal::grid::{Grid, paint};
use crate::report::terminal::{self, Style};
use crate::report::text::{clean, mark, worst};
use crate::shape::likeness::{Likeness, Verdict};
use crate::units::{format_count, format_duration};
use crate::verdict::Outcome;

/// Version of the JSON that programs read.
pub const SCHEMA_VERSION: u32 = 1;

/// Two loads, and what was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Compared {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool_version: String,
    /// The load that the other one should be.
    pub reference: String,
    /// The load that was judged.
    pub other: String,
    /// Requests of both.
    pub requests: [u64; 2],
    /// From the first request to the last, in nanoseconds.
    pub length_ns: [u64; 2],
    /// Exit code of the program.
    pub exit_code: u8,
    /// The verdict and everything that it rests on.
    #[serde(flatten)]
    pub likeness: Likeness,
    /// What went wrong on the way in.
    pub warnings: Vec<String>,
}

impl Compared {
    /// Both loads in a line.
    pub(crate) fn about(&self) -> String {
        let [first, second] = self.requests.map(format_count);
        let [one, other] =
            self.length_ns.map(|ns| format_duration(Duration::from_millis(ns / 1_000_000)));
        format!("reference: {first} requests in {one} · second: {second} requests in {other}")
    }
}

/// As JSON with a newline at its end.
pub fn json(compared: &Compared) -> Result<String, ReportError> {
    let text = serde_json::to_string_pretty(compared).map_err(ReportError::Serialize)?;
    Ok(text + "\n")
}

/// Longest foreign sentence that is printed.
const MAX_SENTENCE: usize = 400;

/// As text with a newline at its end: the verdict first, then why, the curves, and the metrics.
pub fn terminal(compared: &Compared, style: Style) -> String {
    let width = style.width.max(terminal::MIN_WIDTH);
    let likeness = &compared.likeness;
    let outcome = outcome(&likeness.verdict);
    let mut top = Grid::new(width);
    top.row(&[likeness.verdict.word(), clean(&likeness.statement, MAX_SENTENCE)]);
    let mut page = top.render(0);
    let mut about = Grid::new(width);
    about.row(&[clean(&compared.about(), MAX_SENTENCE)]);
    page += &about.render(2);
    if !likeness.differences.is_empty() {
        let mut list = Grid::new(width);
        for difference in &likeness.differences {
            list.row(&[mark(Outcome::Fail).to_string(), clean(difference, MAX_SENTENCE)]);
        }
        let _ = write!(page, "\nWhat is different\n{}", list.render(2));
    }
    page += &match &likeness.minutes {
        [first, second] if first.is_empty() && second.is_empty() => curves(&likeness.seconds, "s"),
        minutes => curves(minutes, "min"),
    };
    page += &metrics(likeness, width);
    let notes: Vec<&String> = compared.warnings.iter().chain(&likeness.limits).collect();
    if !notes.is_empty() {
        let mut list = Grid::new(width);
        for note in notes {
            list.row(&["!".to_owned(), clean(note, MAX_SENTENCE)]);
        }
        let _ = write!(page, "\nWhat limits this\n{}", list.render(2));
    }
    let word = match outcome {
        Outcome::Pass => "PASS",
        Outcome::Unknown => "INVALID",
        Outcome::Fail => "FAIL",
    };
    if style.colour { paint(&page, word) } else { page }
}

fn metrics(likeness: &Likeness, width: u16) -> String {
    if likeness.metrics.is_empty() {
        return String::new();
    }
    let [failing, rest] = terminal::metrics(&likeness.metrics, width);
    let worst = worst(&likeness.worst_metric, likeness.worst_ratio, &likeness.tier);
    let mut line = Grid::new(width);
    if !worst.is_empty() {
        line.row(&[worst]);
    }
    format!("\nMetrics\n{}{}{}", line.render(2), failing.render(2), rest.render(2))
}

/// The mark of a verdict.
fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Faithful | Verdict::FaithfulWhereTold { .. } => Outcome::Pass,
        Verdict::FaithfulFrom { .. } | Verdict::Invalid => Outcome::Unknown,
        Verdict::Degraded => Outcome::Fail,
    }
}
