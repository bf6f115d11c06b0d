//! When a series has become steady: an outlier filter, and three opinions on where warming up
//! ends. Their behaviour on simulated series of a known truth is in the tests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::counts::{as_f64, as_index};

/// Points of the window of [`without_outliers`].
pub const FILTER_WINDOW: usize = 200;

/// The quantile `q` (0 to 1) of numbers, interpolated linearly; `None` without any.
pub fn quantile_of(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * as_f64(last as u64);
    let index = as_index(position).min(last);
    let (low, high) = (sorted[index], sorted[(index + 1).min(last)]);
    Some(low + (high - low) * (position - position.floor()))
}

/// Replaces what lies outside `median ± 3 (P90 − P10)` of the `window` points around it by that
/// median, so that every point keeps its moment. A short series is one window.
pub fn without_outliers(values: &[f64], window: usize) -> Vec<f64> {
    let window = window.clamp(1, values.len().max(1));
    let filtered = |(index, value): (usize, &f64)| {
        let start = index.saturating_sub(window / 2).min(values.len() - window);
        let around = &values[start..start + window];
        let quantile = |q: f64| quantile_of(around, q).unwrap_or(*value);
        let (median, spread) = (quantile(0.5), 3.0 * (quantile(0.9) - quantile(0.1)));
        if (value - median).abs() <= spread { *value } else { median }
    };
    values.iter().enumerate().map(filtered).collect()
}

/// MSER-5: the number of points to drop from the start so that the mean of the rest is known best,
/// by means of five points. `None` where that would drop more than half, or nothing is left.
pub fn mser5(values: &[f64]) -> Option<usize> {
    let batches: Vec<f64> =
        values.chunks_exact(5).map(|five| five.iter().sum::<f64>() / 5.0).collect();
    let count = batches.len();
    let (mut sum, mut squares, mut best) = (0.0, 0.0, None::<(f64, usize)>);
    for (kept, batch) in batches.iter().rev().enumerate() {
        sum += batch;
        squares += batch * batch;
        let kept = as_f64(kept as u64 + 1);
        let spread = (squares - sum * sum / kept).max(0.0) / (kept * kept);
        let dropped = count - as_index(kept);
        // With fewer than five batches the spread says nothing.
        if kept >= 5.0 && best.is_none_or(|(least, _)| spread <= least) {
            best = Some((spread, dropped));
        }
    }
    best.map(|(_, dropped)| dropped).filter(|dropped| dropped * 2 <= count).map(|batch| batch * 5)
}

/// An exponential approach to a steady level: `y = level + excess · e^(−t/time_constant)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exponential {
    /// Where it ends.
    pub level: f64,
    /// How far above it begins.
    pub excess: f64,
    /// In the unit of the steps, such as bins.
    pub time_constant: f64,
    /// The share of the series' variance that it explains.
    pub explained: f64,
}

impl Exponential {
    /// When it is within `share` of its level: `τ ln(b / (ε a))`; zero when it always is.
    pub fn steady_after(&self, share: f64) -> f64 {
        let ratio = self.excess / (share * self.level);
        if ratio > 1.0 { self.time_constant * ratio.ln() } else { 0.0 }
    }
}

/// Fits an exponential by least squares, its points at the middle of the steps 0, 1, 2 and so on.
/// For each time constant the rest is linear, so that one dimension is left to search. It is fitted
/// again and again: latencies scatter in proportion to their size, and so every point weighs by
/// what the fit before expects there. `None` where no decay fits: fewer than six points, nothing
/// above the end, or a level of nothing.
pub fn exponential(values: &[f64]) -> Option<Exponential> {
    let count = as_f64(values.len() as u64);
    if values.len() < 6 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let equal = vec![1.0; values.len()];
    let mut found = weighted(values, &equal)?;
    for _ in 0..REFITS {
        found = weighted(values, &weights(values, &found))?;
    }
    let mean = values.iter().sum::<f64>() / count;
    let total: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let rest: f64 =
        values.iter().enumerate().map(|(index, value)| (value - found.at(index)).powi(2)).sum();
    found.explained = if total > 0.0 { 1.0 - rest / total } else { 0.0 };
    (found.level > 0.0 && found.excess > 0.0).then_some(found)
}

impl Exponential {
    /// Its value at a step.
    fn at(&self, step: usize) -> f64 {
        self.level + self.excess * decay(step, self.time_constant)
    }
}

/// Fits after the first.
const REFITS: usize = 8;

/// What is off by less counts in full: latencies are kept with two digits.
const LEAST_OFF: f64 = 0.01;

/// By what is expected at each point, and less where a point is further off than most: a
/// second in which the machine was busy with something else must not bend the fit.
fn weights(values: &[f64], fit: &Exponential) -> Vec<f64> {
    // What is expected to be nothing must not outweigh everything else.
    let most = values.iter().fold(0.0, |most: f64, value| most.max(*value));
    let expected = |index: usize| fit.at(index).max(fit.level).max(most / 100.0);
    let off: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(index, value)| ((value - fit.at(index)) / expected(index)).abs())
        .collect();
    let usual = (2.0 * quantile_of(&off, 0.5).unwrap_or(0.0)).max(LEAST_OFF);
    let weight = |(index, off): (usize, &f64)| {
        let trusted = if *off > usual { (usual / off).powi(2) } else { 1.0 };
        trusted / expected(index).powi(2)
    };
    off.iter().enumerate().map(weight).collect()
}

fn weighted(values: &[f64], weights: &[f64]) -> Option<Exponential> {
    let fit = |ln_constant: f64| linear(values, weights, ln_constant.exp());
    let error = |ln_constant: f64| fit(ln_constant).map_or(f64::INFINITY, |(_, error)| error);
    // Shorter than half a step it cannot be seen, longer than twice the series it is a line.
    let (low, high) = (0.5_f64.ln(), (2.0 * as_f64(values.len() as u64)).ln());
    let step = (high - low) / 100.0;
    let grid = (0..=100_u32).map(|index| low + step * f64::from(index));
    let start = grid.min_by(|a, b| error(*a).total_cmp(&error(*b)))?;
    let best = golden(start - step, start + step, &error);
    let ((level, excess), _) = fit(best)?;
    Some(Exponential { level, excess, time_constant: best.exp(), explained: 0.0 })
}

fn decay(step: usize, constant: f64) -> f64 {
    (-(as_f64(step as u64) + 0.5) / constant).exp()
}

/// Level and excess for a time constant, and the sum of the weighted squared errors.
fn linear(values: &[f64], weights: &[f64], constant: f64) -> Option<((f64, f64), f64)> {
    let (mut w, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (index, (value, weight)) in values.iter().zip(weights).enumerate() {
        let decayed = decay(index, constant);
        w += weight;
        x += weight * decayed;
        xx += weight * decayed * decayed;
        y += weight * value;
        xy += weight * decayed * value;
    }
    let determinant = w * xx - x * x;
    if determinant.abs() < 1e-12 * w * w {
        return None;
    }
    let excess = (w * xy - x * y) / determinant;
    let level = (y - excess * x) / w;
    let off = |(index, (value, weight)): (usize, (&f64, &f64))| {
        weight * (value - level - excess * decay(index, constant)).powi(2)
    };
    Some(((level, excess), values.iter().zip(weights).enumerate().map(off).sum()))
}

/// The least of a function with one valley, by golden sections.
fn golden(mut low: f64, mut high: f64, of: &dyn Fn(f64) -> f64) -> f64 {
    const SECTION: f64 = 0.618_033_988_749_895;
    for _ in 0..60 {
        let (left, right) = (high - SECTION * (high - low), low + SECTION * (high - low));
        if of(left) < of(right) { high = right } else { low = left }
    }
    f64::midpoint(low, high)
}

/// The first step from which 95 % of the later medians of `window` points are at most `limit`;
/// `None` where there is none, which is a steady state that was never reached.
pub fn sustained(values: &[f64], window: usize, limit: f64) -> Option<usize> {
    let medians = running_medians(values, window);
    let (mut above, mut first) = (0_usize, None);
    for (later, (index, median)) in medians.iter().enumerate().rev().enumerate() {
        above += usize::from(*median > limit);
        if above * 20 <= later + 1 && *median <= limit {
            first = Some(index);
        }
    }
    first
}

/// Medians of the `window` points around each point; fewer at both ends.
pub fn running_medians(values: &[f64], window: usize) -> Vec<f64> {
    let half = window / 2;
    let around = |index: usize| {
        let end = (index + half + 1).min(values.len());
        quantile_of(&values[index.saturating_sub(half)..end], 0.5).unwrap_or(values[index])
    };
    (0..values.len()).map(around).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::stats::changes::changes;

    /// A warm-up of 600 steps whose truth is 40 ln(4/0.05) = 175 steps, with noise of 8 % that is
    /// correlated by 0.7 from step to step.
    pub(crate) fn warm_up(seed: u64, excess: f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let mut noise = 0.08 * normal();
        (0..600_u32)
            .map(|step| {
                noise = 0.7 * noise + 0.08 * (1.0 - 0.49_f64).sqrt() * normal();
                (1.0 + excess * (-f64::from(step) / 40.0).exp()) * (1.0 + noise)
            })
            .collect()
    }

    const TRUTH: f64 = 175.3;

    fn medians_of(seeds: u64, of: impl Fn(&[f64]) -> Option<f64>) -> f64 {
        let found: Vec<f64> = (0..seeds).filter_map(|seed| of(&warm_up(seed, 4.0))).collect();
        assert!(found.len() as u64 * 10 >= seeds * 9, "{found:?}");
        quantile_of(&found, 0.5).unwrap()
    }

    #[test]
    fn an_exponential_fit_finds_the_end_of_a_warm_up() {
        let mut found = Vec::new();
        for seed in 0..60 {
            let fit = exponential(&warm_up(seed, 4.0)).unwrap();
            assert!(fit.explained > 0.8, "{fit:?}");
            found.push(fit.steady_after(0.05));
        }
        let [low, median, high] = [0.1, 0.5, 0.9].map(|q| quantile_of(&found, q).unwrap());
        assert!((median / TRUTH - 1.0).abs() < 0.02, "{median}");
        assert!(low > 0.93 * TRUTH && high < 1.07 * TRUTH, "{low} {high}");
    }

    #[test]
    fn an_exact_exponential_is_fitted_exactly() {
        let values: Vec<f64> =
            (0..100_u32).map(|step| 3.0 + 9.0 * (-(f64::from(step) + 0.5) / 12.5).exp()).collect();
        let fit = exponential(&values).unwrap();
        for (found, expected) in
            [(fit.level, 3.0), (fit.excess, 9.0), (fit.time_constant, 12.5), (fit.explained, 1.0)]
        {
            assert!((found - expected).abs() < 1e-4, "{fit:?}");
        }
        let after = 12.5 * (9.0_f64 / (0.05 * 3.0)).ln();
        assert!((fit.steady_after(0.05) - after).abs() < 1e-3);
    }

    #[test]
    fn a_few_busy_seconds_do_not_bend_the_fit() {
        for seed in 0..10 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let values: Vec<f64> = (0..24_u32)
                .map(|step| {
                    let value = 1.0 + 4.0 * (-(f64::from(step) + 0.5) / 3.0).exp();
                    let is_busy = random.random::<f64>() < 0.12;
                    value * (1.0 + 0.02 * random.random::<f64>()) * if is_busy { 1.4 } else { 1.0 }
                })
                .collect();
            let after = exponential(&values).unwrap().steady_after(0.05);
            let truth = 3.0 * (4.0_f64 / 0.05).ln();
            assert!((after / truth - 1.0).abs() < 0.06, "seed {seed}: {after} for {truth}");
        }
    }

    #[test]
    fn nothing_is_fitted_to_what_does_not_decay() {
        assert_eq!(exponential(&[1.0; 5]), None);
        let rising: Vec<f64> = (0..50_u32).map(|step| 1.0 + f64::from(step) / 10.0).collect();
        assert_eq!(exponential(&rising), None);
        assert_eq!(exponential(&[1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0]), None);
    }

    #[test]
    fn three_opinions_agree_on_a_simulated_warm_up() {
        let mser = medians_of(60, |values| mser5(values).map(|step| as_f64(step as u64)));
        assert!((130.0..210.0).contains(&mser), "{mser}");
        let pelt = medians_of(60, |values| changes(values).last().map(|step| as_f64(*step as u64)));
        assert!((120.0..220.0).contains(&pelt), "{pelt}");
    }

    #[test]
    fn spikes_wreck_mser_and_the_filter_repairs_it() {
        let spiked: Vec<f64> = {
            let mut values = warm_up(3, 4.0);
            for step in [300, 400, 500] {
                values[step] *= 5.0;
            }
            values
        };
        let clean = as_f64(mser5(&warm_up(3, 4.0)).unwrap() as u64);
        let filtered = as_f64(mser5(&without_outliers(&spiked, 60)).unwrap() as u64);
        assert!((filtered - clean).abs() <= 20.0, "{filtered} {clean}");
        let worst = without_outliers(&spiked, FILTER_WINDOW)[250..]
            .iter()
            .fold(0.0_f64, |worst, value| worst.max(*value));
        assert!(worst < 2.0, "{worst}");
    }

    #[test]
    fn a_step_is_sustained_from_where_it_falls() {
        let mut values = vec![2.0; 10];
        values.extend([1.0; 40]);
        assert_eq!(sustained(&values, 1, 1.05), Some(10));
        assert_eq!(sustained(&[1.0; 9], 3, 1.05), Some(0));
        assert_eq!(sustained(&[2.0; 9], 3, 1.05), None);
        assert_eq!(sustained(&[], 3, 1.05), None);
    }

    #[test]
    fn quantiles_interpolate_and_ignore_what_is_no_number() {
        assert_eq!(quantile_of(&[4.0, 1.0, f64::NAN, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(quantile_of(&[], 0.5), None);
    }
}
