//! The findings of the page: all of a run, and never more than a page holds.

use crate::report::html::table::{outcome_class, weight};
use crate::report::html::{FindingView, sentence, sentences};
use crate::report::model::Report;
use crate::report::text::{clean, mark};
use crate::report::when::when;
use crate::units::format_count;
use crate::verdict::{Finding, Outcome};

/// Most findings of a list: a run has a few dozen of them, and `run.json` has all.
const MAX_FINDINGS: usize = 100;

/// Most bytes of a list, as the page writes them; those of a run are some ten thousand. Beyond them
/// a finding has no evidence, and a short title.
const MAX_TEXT: usize = 100_000;
const SHORT_TITLE: usize = 120;

/// The class of what stands for findings that are left out.
pub(super) const LEFT_OUT: &str = "quiet";

/// Those that passed, or all others.
pub(super) fn findings(report: &Report, passed: bool) -> Vec<FindingView> {
    let of = || {
        let all = report.findings.iter();
        all.filter(move |finding| (finding.outcome == Outcome::Pass) == passed)
    };
    let mut room = MAX_TEXT;
    let mut views: Vec<FindingView> =
        of().take(MAX_FINDINGS).map(|finding| fitted(view(report, finding), &mut room)).collect();
    let beyond = of().count() - views.len();
    if beyond > 0 {
        views.push(FindingView {
            class: LEFT_OUT,
            mark: '…',
            check: "not shown".to_owned(),
            when: String::new(),
            title: format!("{} more findings are in run.json", format_count(beyond as u64)),
            evidence: Vec::new(),
            advice: String::new(),
        });
    }
    views
}

/// A finding without its evidence where there is no room left for that.
fn fitted(mut view: FindingView, room: &mut usize) -> FindingView {
    let texts = view.evidence.iter().chain([&view.title, &view.advice]);
    let size = texts.map(|text| weight(text)).sum();
    if let Some(left) = room.checked_sub(size) {
        *room = left;
    } else {
        view.advice.clear();
        view.title = clean(&view.title, SHORT_TITLE);
        view.evidence = vec!["its evidence is in run.json".to_owned()];
    }
    view
}

fn view(report: &Report, finding: &Finding) -> FindingView {
    let when = match finding.outcome {
        Outcome::Fail => when(report, finding).to_string(),
        // Nothing was seen.
        Outcome::Pass | Outcome::Unknown => String::new(),
    };
    FindingView { when, ..finding_view(finding) }
}

/// A finding without the time in which it was seen.
pub(super) fn finding_view(finding: &Finding) -> FindingView {
    FindingView {
        class: outcome_class(finding.outcome),
        mark: mark(finding.outcome),
        check: sentence(&finding.check),
        when: String::new(),
        title: sentence(&finding.title),
        evidence: sentences(&finding.evidence),
        advice: sentence(&finding.advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_told() {
        let long = || FindingView { evidence: vec!["<".repeat(10)], ..empty() };
        let mut room = 100;
        assert_eq!(fitted(long(), &mut room).evidence, ["<".repeat(10)]);
        assert_eq!(fitted(long(), &mut room).evidence, ["its evidence is in run.json"]);
        assert_eq!(room, 100 - 60 - "title".len(), "escaped, and the title");
    }

    fn empty() -> FindingView {
        finding_view(&Finding {
            check: "check".to_owned(),
            subject: String::new(),
            outcome: Outcome::Fail,
            title: "title".to_owned(),
            evidence: Vec::new(),
            advice: String::new(),
        })
    }
}
