//! Where a series changes its mean or its spread: PELT (Killick, Fearnhead, Eckley) with the
//! likelihood of a normal distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::counts::as_f64;

/// The penalty of a change, in units of ln n. With 4, as the usual criterion has it, correlated
/// noise is cut into pieces.
const PENALTY: f64 = 15.0;

/// Fewest points between two changes: a spread is known from no fewer.
const SHORTEST: usize = 2;

/// The steps at which a new segment begins, in order, without the first one.
pub fn changes(values: &[f64]) -> Vec<usize> {
    let count = values.len();
    if count < 2 * SHORTEST || values.iter().any(|value| !value.is_finite()) {
        return Vec::new();
    }
    let sums = Sums::new(values);
    let penalty = PENALTY * as_f64(count as u64).ln();
    // The cheapest way to cut everything before each step, and its last cut.
    let mut cost = vec![f64::INFINITY; count + 1];
    let mut cut = vec![0; count + 1];
    cost[0] = -penalty;
    let mut candidates: Vec<usize> = vec![0];
    for end in SHORTEST..=count {
        let price = |start: usize| cost[start] + sums.cost(start, end);
        let best = candidates
            .iter()
            .filter(|start| end - **start >= SHORTEST)
            .map(|start| (price(*start), *start))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((least, start)) = best else { continue };
        let kept = |start: &usize| end - start < SHORTEST || price(*start) <= least + penalty;
        let remaining = candidates.iter().copied().filter(kept).collect();
        (cost[end], cut[end]) = (least + penalty, start);
        candidates = remaining;
        candidates.push(end);
    }
    let mut found = Vec::new();
    let mut end = cut[count];
    while end > 0 {
        found.push(end);
        end = cut[end];
    }
    found.reverse();
    found
}

/// Sums of everything before each step, so that the cost of a segment takes no loop.
struct Sums {
    values: Vec<f64>,
    squares: Vec<f64>,
    /// The least variance told apart from none: a hundredth of the typical value, squared, since
    /// clocks and histograms have steps.
    floor: f64,
}

impl Sums {
    fn new(values: &[f64]) -> Self {
        // Taken off first, since squares of what is far from zero lose digits.
        let mean = values.iter().sum::<f64>() / as_f64(values.len() as u64);
        let cumulated = |of: &dyn Fn(f64) -> f64| {
            let mut sum = 0.0;
            let steps = values.iter().map(|value| {
                sum += of(value - mean);
                sum
            });
            std::iter::once(0.0).chain(steps).collect::<Vec<f64>>()
        };
        let typical = values.iter().map(|value| value.abs()).sum::<f64>();
        let typical = typical / as_f64(values.len() as u64);
        Self {
            values: cumulated(&|value| value),
            squares: cumulated(&|value| value * value),
            floor: (typical / 100.0).powi(2).max(f64::MIN_POSITIVE),
        }
    }

    /// `n (ln 2πσ² + 1)` of the steps from `start` up to `end`.
    fn cost(&self, start: usize, end: usize) -> f64 {
        let count = as_f64((end - start) as u64);
        let sum = self.values[end] - self.values[start];
        let squares = self.squares[end] - self.squares[start];
        let variance = ((squares - sum * sum / count) / count).max(self.floor);
        count * ((2.0 * std::f64::consts::PI * variance).ln() + 1.0)
    }
}

/// What a series does, by its last segment against those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// It was steady all along.
    Flat,
    /// It began higher, and then became steady.
    WarmUp,
    /// It began lower, and then became steady.
    Slowdown,
    /// It still changes in its last quarter.
    NoSteadyState,
    /// It was both higher and lower before it became steady.
    Inconsistent,
}

impl Course {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::WarmUp => "warm-up",
            Self::Slowdown => "slowdown",
            Self::NoSteadyState => "no steady state",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// Segments are alike when their means differ by less than this share, or by the spread of the
/// last one.
const ALIKE: f64 = 0.05;

/// Tells the course of a series from its changes.
pub fn course(values: &[f64]) -> Course {
    let Some(Segments { means, last, spread, steady_from }) = segments(values) else {
        return Course::Flat;
    };
    let higher = means.iter().any(|mean| mean - last > spread);
    let lower = means.iter().any(|mean| last - mean > spread);
    match (higher, lower) {
        (false, false) => Course::Flat,
        _ if steady_from * 4 > values.len() * 3 => Course::NoSteadyState,
        (true, false) => Course::WarmUp,
        (false, true) => Course::Slowdown,
        (true, true) => Course::Inconsistent,
    }
}

/// The first point from which on a series stayed as it ended; `None` where it still changed in its
/// last quarter, or is empty.
pub fn steady_from(values: &[f64]) -> Option<usize> {
    segments(values).map(|found| found.steady_from).filter(|from| from * 4 <= values.len() * 3)
}

/// What lies between the changes of a series.
struct Segments {
    means: Vec<f64>,
    /// Mean of the last one.
    last: f64,
    /// By how much means may differ that are alike.
    spread: f64,
    /// From the first segment on from which all are alike, it is steady.
    steady_from: usize,
}

fn segments(values: &[f64]) -> Option<Segments> {
    let changes = changes(values);
    let starts: Vec<usize> = std::iter::once(0).chain(changes.iter().copied()).collect();
    let ends = changes.iter().copied().chain([values.len()]);
    let means: Vec<f64> = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            values[*start..end].iter().sum::<f64>() / as_f64((end - start).max(1) as u64)
        })
        .collect();
    let (&last_start, &last) = starts.last().zip(means.last())?;
    let tail = &values[last_start..];
    let variance = tail.iter().map(|value| (value - last).powi(2)).sum::<f64>();
    let spread = (variance / as_f64(tail.len().max(1) as u64)).max(ALIKE * last.abs());
    let steady_from = means
        .iter()
        .rposition(|mean| (mean - last).abs() > spread)
        .map_or(0, |index| starts.get(index + 1).copied().unwrap_or(values.len()));
    (!values.is_empty()).then_some(Segments { means, last, spread, steady_from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::steady::tests::warm_up;

    /// The optimum without pruning, by trying every last cut.
    fn slow(values: &[f64]) -> Vec<usize> {
        let (sums, count) = (Sums::new(values), values.len());
        let penalty = PENALTY * as_f64(count as u64).ln();
        let mut best: Vec<(f64, Vec<usize>)> = vec![(-penalty, Vec::new())];
        for end in 1..=count {
            let mut found = (f64::INFINITY, Vec::new());
            let starts = best.iter().enumerate().take(end.saturating_sub(SHORTEST) + 1);
            for (start, (cost, before)) in starts {
                let price = cost + sums.cost(start, end) + penalty;
                if end >= SHORTEST && price < found.0 {
                    let mut cuts = before.clone();
                    cuts.extend((start > 0).then_some(start));
                    found = (price, cuts);
                }
            }
            best.push(found);
        }
        best.pop().unwrap().1
    }

    fn steps(levels: &[(usize, f64)]) -> Vec<f64> {
        let wave = |index: usize| [0.0, 0.02, -0.01, 0.01, -0.02][index % 5];
        let each = levels.iter().flat_map(|(count, level)| std::iter::repeat_n(*level, *count));
        each.enumerate().map(|(index, level)| level * (1.0 + wave(index))).collect()
    }

    #[test]
    fn changes_of_the_mean_and_of_the_spread_are_found_where_they_are() {
        assert_eq!(changes(&steps(&[(60, 1.0), (60, 2.0), (60, 1.5)])), [60, 120]);
        assert_eq!(changes(&steps(&[(80, 1.0)])), [0; 0]);
        let mut noisy = steps(&[(60, 1.0)]);
        noisy.extend((0..60).map(|index| if index % 2 == 0 { 1.5 } else { 0.5 }));
        assert_eq!(changes(&noisy), [60]);
        assert_eq!(changes(&[]), [0; 0]);
        assert_eq!(changes(&[1.0, f64::INFINITY, 1.0, 1.0, 1.0]), [0; 0]);
    }

    #[test]
    fn pruning_does_not_change_what_is_found() {
        for seed in 0..8 {
            let values = &warm_up(seed, 4.0)[..120];
            assert_eq!(changes(values), slow(values), "seed {seed}");
        }
    }

    #[test]
    fn courses_are_told_apart() {
        for (levels, expected) in [
            (vec![(100, 1.0)], Course::Flat),
            (vec![(30, 2.0), (70, 1.0)], Course::WarmUp),
            (vec![(30, 1.0), (70, 2.0)], Course::Slowdown),
            (vec![(90, 2.0), (10, 1.0)], Course::NoSteadyState),
            (vec![(30, 3.0), (30, 1.0), (60, 2.0)], Course::Inconsistent),
        ] {
            assert_eq!(course(&steps(&levels)), expected, "{levels:?}");
        }
        assert_eq!(course(&[]), Course::Flat);
    }

    #[test]
    fn correlated_noise_is_no_warm_up_and_a_warm_up_is_one() {
        for seed in 0..20 {
            assert_eq!(course(&warm_up(seed, 0.0)), Course::Flat, "seed {seed}");
            assert_eq!(course(&warm_up(seed, 4.0)), Course::WarmUp, "seed {seed}");
        }
    }
}
