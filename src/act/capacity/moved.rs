//! What the probes saw where a load held, beside where it did not.

use crate::act::capacity::seen::Moved;
use crate::probe::record::{Record, Series, SeriesKind};

/// Most figures that are kept: those that changed most.
const MOST: usize = 100;

/// The times of the trials, from and to, ns since the start of the rehearsal.
type Spans = Vec<(u64, u64)>;

/// How many probes saw something at both loads, and their figures that rose from the one to the
/// other, what rose most first.
pub(super) fn moved(records: &[Record], [held, failed]: &[Spans; 2]) -> (u64, Vec<Moved>) {
    let (mut probes, mut all) = (0, Vec::new());
    for record in records {
        let mut saw = false;
        for series in &record.series {
            let (before, after) = (level(series, held), level(series, failed));
            saw |= after.is_some();
            let Some(after) = after else { continue };
            // Where nothing held, a level is compared with nothing.
            let Some(before) = before.or(held.is_empty().then_some(0.0)) else { continue };
            if after > before {
                all.push(Moved {
                    probe: record.name.clone(),
                    metric: series.metric.clone(),
                    kind: series.kind,
                    limit: series.limit.filter(|limit| *limit > 0.0),
                    held: before,
                    failed: after,
                });
            }
        }
        probes += u64::from(saw);
    }
    all.sort_by(|a, b| {
        let (near, far) = (nearness(a), nearness(b));
        far.total_cmp(&near).then(rise(b).total_cmp(&rise(a))).then(a.metric.cmp(&b.metric))
    });
    all.truncate(MOST);
    (probes, all)
}

/// How near a gauge came to what it cannot exceed.
fn nearness(moved: &Moved) -> f64 {
    moved.limit.map_or(0.0, |limit| moved.failed / limit)
}

/// How many times as much it became; what was not there at all rises without bound.
fn rise(moved: &Moved) -> f64 {
    if moved.held > 0.0 { moved.failed / moved.held } else { f64::INFINITY }
}

/// The largest value of a gauge in any of the times, or what a counter grew by in a second of all
/// of them; `None` where nobody looked.
fn level(series: &Series, spans: &Spans) -> Option<f64> {
    let within = |span: &(u64, u64)| {
        let (from, to) = *span;
        series.points.iter().filter(move |(at, _)| (from..=to).contains(at)).copied()
    };
    match series.kind {
        SeriesKind::Gauge => spans.iter().flat_map(within).map(|(_, value)| value).reduce(f64::max),
        SeriesKind::Counter => {
            let (mut grown, mut seconds) = (0.0, 0.0);
            for span in spans {
                let points: Vec<(u64, f64)> = within(span).collect();
                for pair in points.windows(2) {
                    let &[(from, before), (to, after)] = pair else { continue };
                    // A counter that fell began again at zero.
                    grown += if after < before { after } else { after - before };
                    seconds += std::time::Duration::from_nanos(to - from).as_secs_f64();
                }
            }
            (seconds > 0.0).then(|| grown / seconds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn record(kind: SeriesKind, limit: Option<f64>, values: &[f64]) -> Record {
        let points = (0..).map(|second| second * S).zip(values.iter().copied()).collect();
        let (metric, unit) = ("threads".to_owned(), String::new());
        let series = Series { metric, kind, unit, limit, points };
        Record { name: "mysql".to_owned(), series: vec![series], ..Record::default() }
    }

    fn found(record: Record) -> Vec<(f64, f64)> {
        let both = [vec![(0, 2 * S)], vec![(4 * S, 6 * S)]];
        let (_, moved) = moved(&[record], &both);
        moved.iter().map(|moved| (moved.held, moved.failed)).collect()
    }

    #[test]
    fn gauges_tell_by_their_largest_value_and_counters_by_the_second() {
        let gauge = [2.0, 3.0, 2.0, 90.0, 30.0, 40.0, 10.0];
        assert_eq!(found(record(SeriesKind::Gauge, None, &gauge)), [(3.0, 40.0)]);
        // It began again at second 5.
        let counter = [0.0, 1.0, 2.0, 50.0, 100.0, 7.0, 10.0];
        assert_eq!(found(record(SeriesKind::Counter, None, &counter)), [(1.0, 5.0)]);
        let still = [5.0; 7];
        assert_eq!(found(record(SeriesKind::Gauge, None, &still)), []);
        assert_eq!(found(record(SeriesKind::Gauge, None, &[1.0])), [], "nobody looked");
    }

    #[test]
    fn what_is_near_its_limit_comes_first_and_the_list_is_bounded() {
        let values = [1.0, 1.0, 1.0, 1.0, 50.0, 50.0, 50.0];
        let mut far = record(SeriesKind::Gauge, None, &values);
        let near = Record {
            name: "redis".to_owned(),
            ..record(SeriesKind::Gauge, Some(60.0), &[40.0, 40.0, 40.0, 0.0, 55.0, 55.0, 55.0])
        };
        let series = far.series[0].clone();
        far.series.extend(std::iter::repeat_n(series, 2 * MOST));
        let both = [vec![(0, 2 * S)], vec![(4 * S, 6 * S)]];
        let (probes, moved) = moved(&[far, near], &both);
        assert_eq!((probes, moved.len(), moved[0].probe.as_str()), (2, MOST, "redis"));
    }
}
