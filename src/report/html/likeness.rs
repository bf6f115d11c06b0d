//! Two loads beside each other as one page, of the same make as the report of a run.

use std::io;

use askama::Template;
use plotly::Plot;

use crate::report::charts::likeness::charts;
use crate::report::html::table::{TableView, outcome_class};
use crate::report::html::tables::Section;
use crate::report::html::{FindingView, Page, Titles, first_script, sentence, sentences, tables};
use crate::report::likeness::Compared;
use crate::report::text::{mark, worst};
use crate::shape::likeness::Verdict;
use crate::verdict::Outcome;

/// Writes the page piece by piece.
pub fn write(compared: &Compared, out: &mut dyn io::Write) -> io::Result<()> {
    let likeness = &compared.likeness;
    let metrics = tables::shape(&likeness.metrics);
    let worst = worst(&likeness.worst_metric, likeness.worst_ratio, &likeness.tier);
    let class = match likeness.verdict {
        Verdict::Faithful | Verdict::FaithfulWhereTold { .. } => "pass",
        Verdict::FaithfulFrom { .. } | Verdict::Invalid => "invalid",
        Verdict::Degraded => "fail",
    };
    let sources = Plot::offline_js_sources();
    let page = Page {
        word: likeness.verdict.word(),
        class: class.to_owned(),
        titles: Titles { next: "What limits this", findings: "What is different" },
        why: None,
        figures: Vec::new(),
        headline: sentence(&likeness.statement),
        scenario: sentence(&format!("{} by {}", compared.other, compared.reference)),
        about: sentence(&compared.about()),
        advice: Vec::new(),
        warnings: sentences(&[compared.warnings.as_slice(), &likeness.limits].concat()),
        shape: None,
        expectations: None,
        findings: likeness.differences.iter().map(|text| difference(text)).collect(),
        passed: Vec::new(),
        charts: charts(likeness),
        sections: vec![Section {
            id: "metrics",
            title: "Metrics",
            tables: vec![TableView { caption: sentence(&worst), ..metrics }],
        }],
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
        when: String::new(),
        title: sentence(text),
        evidence: Vec::new(),
        advice: String::new(),
    }
}
