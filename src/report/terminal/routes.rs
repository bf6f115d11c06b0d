//! Where to look first: the drills that were performed, and the routes that were slow or failed.

use std::cmp::Reverse;

use crate::act::Performed;
use crate::report::model::{Report, RouteRow};
use crate::report::terminal::grid::Grid;
use crate::report::text::{clean, nanos, share};
use crate::units::format_count;

/// Routes told of each kind; the page has all of them.
const TOLD: usize = 3;

/// What comes sooner came first.
const AT_ONCE_NS: u64 = 1_000_000;

/// Longest route that is told: two of them would fill a line.
const MAX_ROUTE: usize = 60;

/// The drills, when and for how long; empty where none was performed.
pub(super) fn acts(acts: &[Performed], width: u16) -> String {
    let mut grid = Grid::new(width);
    for performed in acts {
        let took = performed.ended_ns.saturating_sub(performed.started_ns);
        let began = match performed.started_ns {
            ..AT_ONCE_NS => "began at once".to_owned(),
            started_ns => format!("began after {}", nanos(started_ns)),
        };
        let told = format!("{began}, took {}", nanos(took));
        grid.row(&["·".to_owned(), performed.act.name().to_owned(), told]);
    }
    let rows = grid.render(2);
    if rows.is_empty() { rows } else { format!("Acts\n{rows}") }
}

/// The slowest routes and those that failed most; empty where there is only one to tell.
pub(super) fn routes(report: &Report, width: u16) -> String {
    if report.routes.len() < 2 {
        return String::new();
    }
    let mut grid = Grid::new(width);
    let mut add = |kind: &str, route: &RouteRow, told: String| {
        grid.row(&[kind.to_owned(), clean(&route.route, MAX_ROUTE), told]);
    };
    let mut failing: Vec<&RouteRow> =
        report.routes.iter().filter(|route| route.errors > 0).collect();
    failing.sort_by_key(|route| Reverse(route.errors));
    for route in failing.into_iter().take(TOLD) {
        let errors = format_count(route.errors);
        add("failing", route, format!("{errors} errors ({})", share(route.errors, route.arrivals)));
    }
    // Of a route with few answers the slowest one would decide alone.
    let of = |route: &RouteRow| {
        let times = route.latency.as_ref()?;
        (times.count >= RouteRow::FEWEST).then_some((times.p99_ns, times.p50_ns))
    };
    let mut slowest: Vec<(&RouteRow, (u64, u64))> =
        report.routes.iter().filter_map(|route| Some((route, of(route)?))).collect();
    slowest.sort_by_key(|(_, times)| Reverse(*times));
    for (route, (p99, p50)) in slowest.into_iter().take(TOLD) {
        let told = format!("p99 {}, p50 {}", nanos(p99), nanos(p50));
        add("slowest", route, told);
    }
    let rows = grid.render(2);
    if rows.is_empty() { rows } else { format!("Routes\n{rows}") }
}
