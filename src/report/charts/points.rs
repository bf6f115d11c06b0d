//! Long runs are thinned, so that the page stays small; nothing bad is thinned away.

use crate::report::model::SecondRow;

/// One point of the charts over time: the worst of one or several seconds, each figure on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// The first of its seconds.
    pub(super) second: u64,
    /// Most arrivals due in a second.
    pub(super) due: u64,
    /// Most requests sent in a second.
    pub(super) sent: u64,
    /// Sent less due, of the second where they are farthest apart.
    pub(super) residual: i64,
    /// Most errors in a second.
    pub(super) errors: u64,
    /// Highest median latency of a second.
    pub(super) p50_ns: Option<u64>,
    /// Highest 99th percentile of a second.
    pub(super) p99_ns: Option<u64>,
    /// Largest lateness.
    pub(super) max_lateness_ns: u64,
}

/// Most points of a chart: an hour in seconds. More would not fit in the page's size limit, nor
/// in the pixels of a screen.
pub(super) const MAX_POINTS: usize = 3_600;

/// How many seconds a point stands for in a run of so many.
pub(super) fn seconds_per_point(seconds: usize) -> usize {
    seconds_per(seconds, MAX_POINTS)
}

/// The same where there may be no more than `most` points.
pub(super) fn seconds_per(seconds: usize, most: usize) -> usize {
    seconds.div_ceil(most).max(1)
}

/// The points of a run, at most [`MAX_POINTS`].
pub(super) fn points(series: &[SecondRow]) -> Vec<Point> {
    points_up_to(series, MAX_POINTS)
}

/// The points of a run, at most `most`.
pub(super) fn points_up_to(series: &[SecondRow], most: usize) -> Vec<Point> {
    series
        .chunks(seconds_per(series.len(), most))
        .filter_map(|rows| rows.iter().map(point).reduce(worst))
        .collect()
}

fn point(row: &SecondRow) -> Point {
    Point {
        second: row.second,
        due: row.due,
        sent: row.sent,
        residual: i64::try_from(i128::from(row.sent) - i128::from(row.due)).unwrap_or(i64::MAX),
        errors: row.errors,
        p50_ns: row.p50_ns,
        p99_ns: row.p99_ns,
        max_lateness_ns: row.max_lateness_ns,
    }
}

fn worst(earlier: Point, later: Point) -> Point {
    let farther = later.residual.unsigned_abs() > earlier.residual.unsigned_abs();
    Point {
        second: earlier.second,
        due: earlier.due.max(later.due),
        sent: earlier.sent.max(later.sent),
        residual: if farther { later.residual } else { earlier.residual },
        errors: earlier.errors.max(later.errors),
        p50_ns: earlier.p50_ns.max(later.p50_ns),
        p99_ns: earlier.p99_ns.max(later.p99_ns),
        max_lateness_ns: earlier.max_lateness_ns.max(later.max_lateness_ns),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// For all series: at most [`MAX_POINTS`] points, and no extreme is lost.
        #[test]
        fn thinning_keeps_every_extreme(
            figures in prop::collection::vec((0..9_u64, 0..9_u64, 0..9_u64), 0..9_000),
        ) {
            let series: Vec<SecondRow> = figures
                .iter()
                .zip(0..)
                .map(|((due, sent, errors), second)| SecondRow {
                    second,
                    due: *due,
                    sent: *sent,
                    errors: *errors,
                    p99_ns: (*errors > 4).then_some(*due),
                    ..SecondRow::default()
                })
                .collect();
            let points = points(&series);
            prop_assert!(points.len() <= MAX_POINTS);
            prop_assert_eq!(
                points.iter().map(|p| p.errors).max(), series.iter().map(|s| s.errors).max());
            prop_assert_eq!(
                points.iter().filter_map(|p| p.p99_ns).max(),
                series.iter().filter_map(|s| s.p99_ns).max());
            prop_assert_eq!(
                points.iter().map(|p| p.residual.unsigned_abs()).max(),
                series.iter().map(|s| s.sent.abs_diff(s.due)).max());
        }
    }

    #[test]
    fn a_short_run_keeps_every_second() {
        assert_eq!(seconds_per_point(0), 1);
        assert_eq!(seconds_per_point(MAX_POINTS), 1);
        assert_eq!(seconds_per_point(MAX_POINTS + 1), 2);
    }
}
