//! The routes of a run, as far as they are compared.

use std::collections::BTreeMap;

use crate::compare::run::{MAX_ROUTES, OfRoute, Run};
use crate::report::measured::facts::distinct;
use crate::report::measured::{COMPARED, NEEDED, ladder, missing_beyond};
use crate::report::model::{Report, RouteRow};
use crate::shape::OTHER_ROUTES;
use crate::stats::counts::as_f64;
use crate::stats::shares::Share;

/// Adds them. Names are foreign, and a file may have been made up: only so many are kept, each
/// once, and the others are counted.
pub(super) fn add(report: &Report, run: &mut Run) {
    run.unlisted = report.other_routes.routes;
    for row in &report.routes {
        let name = distinct(&row.route);
        // What a run itself counts as one route is none.
        let is_known = row.route != OTHER_ROUTES && !run.routes.contains_key(&name);
        if is_known && run.routes.len() < MAX_ROUTES {
            run.routes.insert(name, of(row));
        } else {
            run.unlisted = run.unlisted.saturating_add(1);
        }
    }
}

fn of(row: &RouteRow) -> OfRoute {
    let asked = row.arrivals.saturating_sub(row.unsent);
    let errors = Share { part: row.errors.min(asked), whole: asked };
    let mut of =
        OfRoute { values: BTreeMap::new(), errors: Some(errors).filter(|errors| errors.whole > 0) };
    let answers = row.latency.as_ref().map_or(0, |latency| latency.count);
    for (metric, q) in COMPARED {
        if as_f64(asked) < NEEDED / (1.0 - q) {
            continue;
        }
        let ladder = row.latency.as_ref().map(ladder).into_iter().flatten();
        let value = ladder.into_iter().find(|(rung, _)| (rung - q).abs() < 1e-9);
        let is_hidden = missing_beyond(q, answers, asked).is_some();
        of.values.insert(metric, value.map(|(_, ns)| as_f64(ns)).filter(|_| !is_hidden));
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::metric::Metric;
    use crate::report::model::Quantiles;

    fn row(arrivals: u64, answers: u64) -> RouteRow {
        let latency = Quantiles::example(answers);
        RouteRow {
            route: "GET /".to_owned(),
            arrivals,
            unsent: 0,
            errors: arrivals - answers,
            latency: Some(latency).filter(|latency| latency.count > 0),
        }
    }

    #[test]
    fn a_quantile_is_told_where_it_was_asked_for_often_enough_and_answered() {
        let value = |row: &RouteRow, metric| of(row).values.get(&metric).copied();
        let p99 = |arrivals, answers| value(&row(arrivals, answers), Metric::LatencyP99);
        assert_eq!(p99(1_000, 1_000), Some(Some(4.0)));
        assert_eq!(p99(565, 565), None, "too few");
        assert_eq!(p99(1_000, 998), Some(None), "two of the ten slowest had no answer");
        assert_eq!(p99(1_000, 0), Some(None));
        assert_eq!(value(&row(1_000, 998), Metric::LatencyP50), Some(Some(1.0)));
        let unsent = RouteRow { unsent: 10, ..row(1_000, 990) };
        assert_eq!(value(&unsent, Metric::LatencyP99), Some(Some(4.0)), "never asked for");
        assert_eq!(of(&unsent).errors, Some(Share { part: 10, whole: 990 }));
        assert_eq!(of(&RouteRow { unsent: 9, ..row(9, 0) }).errors, None);
    }
}
