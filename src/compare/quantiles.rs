//! By how much each quantile of latency moved: a release may be as fast at the median and slower
//! at the tail.

use crate::compare::metric::Metric;
use crate::compare::run::Run;
use crate::stats::bootstrap::median_difference;
use crate::stats::slopes::median;

/// The move of a quantile.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct QuantileShift {
    /// The quantile, from 0 to 1.
    pub q: f64,
    /// The median of the runs of each side, in nanoseconds.
    pub ns: [f64; 2],
    /// The relative change.
    pub change: f64,
    /// Its 95 % interval, by drawing runs again; `None` where a side has one run only.
    pub interval: Option<[f64; 2]>,
}

/// The quantiles that all runs have.
pub fn shifts(base: &[Run], new: &[Run]) -> Vec<QuantileShift> {
    let Some(first) = base.first() else { return Vec::new() };
    first.quantiles.iter().filter_map(|(q, _)| shift(*q, base, new)).collect()
}

fn shift(q: f64, base: &[Run], new: &[Run]) -> Option<QuantileShift> {
    let logs = |runs: &[Run]| -> Option<Vec<f64>> {
        let of = |run: &Run| {
            let (_, ns) = run.quantiles.iter().find(|(other, _)| (other - q).abs() < 1e-9)?;
            Some(ns.max(1.0).ln())
        };
        runs.iter().map(of).collect()
    };
    let (base, new) = (logs(base)?, logs(new)?);
    let (before, after) = (median(base.iter().copied())?, median(new.iter().copied())?);
    let interval = (base.len() > 1 && new.len() > 1).then(|| median_difference(&new, &base, 0.95));
    Some(QuantileShift {
        q,
        ns: [before.exp(), after.exp()],
        change: (after - before).exp_m1(),
        interval: interval.flatten().map(|ends| ends.map(f64::exp_m1)),
    })
}

/// The interval of the change from one run to another, by what each tells of itself: the distances
/// of its value from the ends of its interval add up as squares do, on logarithms. `None` where one
/// of them does not tell it.
pub(super) fn within(metric: Metric, base: &Run, new: &Run) -> Option<[f64; 2]> {
    let q = metric.quantile()?;
    let of = |run: &Run| -> Option<[f64; 3]> {
        let value = run.value(metric)?;
        let (_, [low, high]) = run.within.iter().find(|(other, _)| (other - q).abs() < 1e-9)?;
        // Its seconds are kept with fewer digits than all of it.
        Some([low.min(value), value, high.max(value)].map(|ns| ns.max(1.0).ln()))
    };
    let ([low, before, high], [new_low, after, new_high]) = (of(base)?, of(new)?);
    let down = (after - new_low).hypot(high - before);
    let up = (new_high - after).hypot(before - low);
    Some([after - before - down, after - before + up].map(f64::exp_m1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is sure to a tenth, and the change to the root of two of it.
    #[test]
    fn one_run_beside_one_is_as_sure_as_both_are() {
        let run = |ms: f64| Run {
            values: [(Metric::LatencyP99, Ok(ms * 1e6))].into(),
            within: vec![(0.99, [ms * 1e6 / 1.1, ms * 1e6 * 1.1])],
            ..Run::default()
        };
        let [low, high] = within(Metric::LatencyP99, &run(100.0), &run(150.0)).unwrap();
        let reach = (2.0_f64.sqrt() * 1.1_f64.ln()).exp();
        assert!((low - (1.5 / reach - 1.0)).abs() < 1e-9, "{low}");
        assert!((high - (1.5 * reach - 1.0)).abs() < 1e-9, "{high}");
        assert_eq!(within(Metric::LatencyP50, &run(100.0), &run(150.0)), None);
        let silent = Run { within: Vec::new(), ..run(150.0) };
        assert_eq!(within(Metric::LatencyP99, &run(100.0), &silent), None);
    }

    fn run(p50: f64, p99: f64) -> Run {
        Run { quantiles: vec![(0.5, p50), (0.99, p99)], ..Run::default() }
    }

    #[test]
    fn a_tail_that_grew_shows_at_the_tail_only() {
        let base: Vec<Run> =
            (0..10).map(|n| run(1e6 + f64::from(n) * 1e4, 9e6 + f64::from(n) * 1e5)).collect();
        let new: Vec<Run> =
            (0..3).map(|n| run(1.04e6 + f64::from(n) * 1e4, 18e6 + f64::from(n) * 1e5)).collect();
        let found = shifts(&base, &new);
        assert_eq!(found.len(), 2);
        assert!(found[0].change.abs() < 0.02, "{found:?}");
        assert!((found[1].change - 0.92).abs() < 0.05, "{found:?}");
        let [low, high] = found[1].interval.unwrap();
        assert!(low > 0.8 && high < 1.1, "{found:?}");
        assert_eq!(shifts(&base[..1], &new)[1].interval, None);
    }

    #[test]
    fn a_quantile_that_a_run_lacks_is_not_told() {
        let lacking = Run { quantiles: vec![(0.5, 1e6)], ..Run::default() };
        let found = shifts(&[run(1e6, 9e6)], &[run(1e6, 9e6), lacking]);
        assert_eq!(found.iter().map(|each| each.q).collect::<Vec<_>>(), [0.5]);
        assert_eq!(shifts(&[], &[]), []);
    }
}
