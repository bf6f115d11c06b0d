//! Answers beside the recorded ones: what the findings that are no failures have seen, which are
//! told by a line each elsewhere.

use crate::report::model::Report;
use crate::report::responses::Route;
use crate::report::terminal::grid::Grid;
use crate::report::text::{clean, number};
use crate::units::format_count;
use crate::verdict::Outcome;
use crate::verdict::detectors::{response_size, response_status};

/// Routes listed here; the page has more of them.
const MAX_LISTED: usize = 5;

/// The section; empty where answers are those of the recording.
pub(super) fn responses(report: &Report, width: u16) -> String {
    let is_told = |check: &str| {
        let mut found = report.findings.iter().filter(|each| each.check == check);
        found.any(|each| each.outcome != Outcome::Pass && !each.evidence.is_empty())
    };
    let Some(compared) = &report.responses else { return String::new() };
    if ![response_status::CHECK, response_size::CHECK].into_iter().any(is_told) {
        return String::new();
    }
    let mut grid = Grid::new(width).right(&[1, 3, 4, 5]);
    grid.row(&["route", "compared", "status", "smaller", "larger", "× size"].map(str::to_owned));
    for route in compared.routes.iter().take(MAX_LISTED) {
        grid.row(&row(route));
    }
    let beyond = compared.routes.len().saturating_sub(MAX_LISTED) as u64 + compared.other_routes;
    if beyond > 0 {
        grid.row(&[format!("{} more in the report files", format_count(beyond))]);
    }
    format!("Responses beside the recorded ones\n{}", grid.render(2))
}

fn row(route: &Route) -> [String; 6] {
    let most = route.statuses.iter().max_by_key(|(_, count)| **count);
    let status = most.map_or_else(
        || "as recorded".to_owned(),
        |(pair, count)| format!("{} {pair}", format_count(*count)),
    );
    let sizes = route.sizes.ways;
    [
        clean(&route.route, super::MAX_SENTENCE),
        format_count(route.compared),
        status,
        format_count(sizes.less),
        format_count(sizes.more),
        route.times().map_or("–".to_owned(), |times| number(times, 2)),
    ]
}
