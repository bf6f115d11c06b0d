//! Two loads beside each other as one page, of the same make as the report of a run.

use std::io;

use askama::Template;
use plotly::Plot;

use crate::report::charts::likeness::charts;
use crate::report::html::table::outcome_class;
use crate::report::html::{
    FindingView, Page, ShapeView, first_script, sentence, sentences, tables,
};
use crate::report::likeness::{Compared, outcome, worst};
use crate::report::text::mark;
use crate::shape::likeness::Verdict;
use crate::verdict::Outcome;

/// Writes the page piece by piece.
pub fn write(compared: &Compared, out: &mut dyn io::Write) -> io::Result<()> {
    let likeness = &compared.likeness;
    let outcome = outcome(&likeness.verdict);
    let class = match likeness.verdict {
        Verdict::Faithful => "pass",
        Verdict::FaithfulFrom { .. } | Verdict::Invalid => "invalid",
        Verdict::Degraded => "fail",
    };
    let sources = Plot::offline_js_sources();
    let page = Page {
        word: likeness.verdict.word(),
        class: class.to_owned(),
        headline: sentence(&likeness.statement),
        scenario: sentence(&format!("{} by {}", compared.other, compared.reference)),
        about: sentence(&compared.about()),
        advice: Vec::new(),
        warnings: sentences(&[compared.warnings.as_slice(), &likeness.limits].concat()),
        shape: Some(ShapeView {
            class: outcome_class(outcome),
            mark: mark(outcome),
            statement: sentence(&likeness.statement),
            worst: sentence(&worst(likeness)),
            table: tables::shape(&likeness.metrics),
        }),
        expectations: None,
        findings: likeness.differences.iter().map(|text| difference(text)).collect(),
        passed: Vec::new(),
        charts: charts(likeness),
        sections: Vec::new(),
        version: sentence(env!("CARGO_PKG_VERSION")),
        script: first_script(&sources),
    };
    page.write_into(out)
}

fn difference(text: &str) -> FindingView {
    FindingView {
        class: outcome_class(Outcome::Fail),
        mark: mark(Outcome::Fail),
        check: "load shape".to_owned(),
        title: sentence(text),
        evidence: Vec::new(),
        advice: String::new(),
    }
}
