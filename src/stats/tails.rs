//! Sizes whose largest are rare and huge: where a power law begins, its index, and the lognormal
//! below it.

use hdrhistogram::Histogram;

use crate::stats::counts::{as_f64, as_index};

/// A Pareto tail: the share of what lies above `start` that is larger than x is `(x/start)^−index`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Where it begins.
    pub start: f64,
    /// Its index α; below 1 it has no mean, below 2 no variance.
    pub index: f64,
    /// Values in it.
    pub count: usize,
    /// Kolmogorov and Smirnov's distance of those values from the law.
    pub distance: f64,
}

/// Candidates for the start that are tried, evenly by rank.
const CANDIDATES: usize = 150;

/// Points of a tail at which its distance is looked at.
const POINTS: usize = 2_000;

/// Fewest values in a tail that is looked at.
const LEAST_TAIL: usize = 50;

/// The tail of values in ascending order after Clauset, Shalizi and Newman: of all starts the one
/// from which on the values are nearest to a power law. `None` where no start leaves fifty values,
/// or all of them are equal. Values that are not positive have no part in it.
pub fn tail(sorted: &[f64]) -> Option<Tail> {
    let sorted = &sorted[sorted.partition_point(|value| *value <= 0.0)..];
    let count = sorted.len();
    let last = count.checked_sub(LEAST_TAIL)?;
    // Sums of logarithms from each position to the end.
    let mut sums = vec![0.0; count + 1];
    for (index, value) in sorted.iter().enumerate().rev() {
        sums[index] = sums[index + 1] + value.ln();
    }
    let mut best: Option<Tail> = None;
    for step in 0..CANDIDATES {
        let at = last * step / (CANDIDATES - 1);
        let start = sorted[at];
        // All values that equal the start belong to the tail.
        let at = sorted.partition_point(|value| *value < start);
        let beyond = sums[at] - as_f64((count - at) as u64) * start.ln();
        // Equal values, but for the rounding of their sums.
        if beyond <= 1e-9 * as_f64((count - at) as u64) {
            continue;
        }
        let index = as_f64((count - at) as u64) / beyond;
        let distance = distance_from_power_law(&sorted[at..], index);
        if best.is_none_or(|best| distance < best.distance) {
            best = Some(Tail { start, index, count: count - at, distance });
        }
    }
    best
}

/// Most values that stand for a histogram.
const RANKED: u64 = 20_000;

/// The values of a histogram that are not 0, in ascending order: at most [`RANKED`] of them, evenly
/// by their rank.
pub fn ranked(histogram: &Histogram<u64>) -> Vec<f64> {
    let buckets = || histogram.iter_recorded().filter(|bucket| bucket.value_iterated_to() > 0);
    let count: u64 = buckets().map(|bucket| bucket.count_since_last_iteration()).sum();
    let kept = count.min(RANKED);
    let mut values = Vec::new();
    let mut passed = 0;
    for bucket in buckets() {
        passed += bucket.count_since_last_iteration();
        // The rank of the next one is in the middle of its share of all.
        let rank = |next: u64| u128::from(2 * next + 1) * u128::from(count);
        while (values.len() as u64) < kept
            && rank(values.len() as u64) < 2 * u128::from(kept) * u128::from(passed)
        {
            values.push(as_f64(bucket.value_iterated_to()));
        }
    }
    values
}

fn distance_from_power_law(tail: &[f64], index: f64) -> f64 {
    let start = tail.first().copied().unwrap_or(1.0);
    distance_from(tail, &|value| 1.0 - (value / start).powf(-index))
}

/// The index of the `count` largest of values in ascending order after Hill. `None` where there
/// are not more of them, or all are equal.
pub fn hill(sorted: &[f64], count: usize) -> Option<f64> {
    let at = sorted.len().checked_sub(count)?;
    let start = *sorted.get(at.checked_sub(1)?).filter(|start| **start > 0.0)?;
    let beyond: f64 = sorted[at..].iter().map(|value| (value / start).ln()).sum();
    (beyond > 0.0).then(|| as_f64(count as u64) / beyond)
}

/// The index of a power law that ends at its largest value, by maximum likelihood, where Hill's is
/// too large: from the mean of `ln(x/start)`, and the largest value as a multiple of the start. At
/// least 0.05, where values are nearly as likely as their logarithms are long.
pub fn bounded_index(mean_log: f64, largest: f64) -> f64 {
    let reach = largest.ln();
    let expected = |index: f64| {
        let beyond = (-index * reach).exp();
        1.0 / index - reach * beyond / (1.0 - beyond)
    };
    let (mut low, mut high) = (0.05, 20.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if expected(middle) > mean_log {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Kolmogorov and Smirnov's distance of values in ascending order from a distribution function,
/// looked at in at most some thousand points.
pub fn distance_from(sorted: &[f64], below: &dyn Fn(f64) -> f64) -> f64 {
    let count = as_f64(sorted.len() as u64);
    let step = sorted.len().div_ceil(POINTS).max(1);
    let mut largest = 0.0_f64;
    for (index, value) in sorted.iter().enumerate().step_by(step) {
        let expected = below(*value);
        let before = as_f64(index as u64) / count;
        let after = as_f64(index as u64 + 1) / count;
        largest = largest.max((expected - before).abs()).max((after - expected).abs());
    }
    largest
}

/// A lognormal distribution: the mean and the standard deviation of the logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    /// Mean of ln x.
    pub mu: f64,
    /// Standard deviation of ln x.
    pub sigma: f64,
}

impl LogNormal {
    /// The share below a value.
    pub fn below(self, value: f64) -> f64 {
        if value <= 0.0 {
            return 0.0;
        }
        if self.sigma <= 0.0 {
            return if value.ln() < self.mu { 0.0 } else { 1.0 };
        }
        normal_below((value.ln() - self.mu) / self.sigma)
    }
}

/// The lognormal with the moments of the logarithms. `None` without values, or with any that is
/// not positive.
pub fn lognormal(values: &[f64]) -> Option<LogNormal> {
    if values.is_empty() || values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let count = as_f64(values.len() as u64);
    let mu = values.iter().map(|value| value.ln()).sum::<f64>() / count;
    let squares = values.iter().map(|value| (value.ln() - mu).powi(2)).sum::<f64>();
    Some(LogNormal { mu, sigma: (squares / count).sqrt() })
}

/// The share of a normal distribution below `z` standard deviations, exact to seven digits
/// (Abramowitz and Stegun, 7.1.26).
pub fn normal_below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let beyond = series * (-x * x).exp() / 2.0;
    if z < 0.0 { beyond } else { 1.0 - beyond }
}

/// The value below which a share of values in ascending order lies; `None` without values.
pub fn at_share(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * as_f64(last as u64);
    let index = as_index(position).min(last);
    let next = (index + 1).min(last);
    let part = position - position.floor();
    Some(sorted[index] + (sorted[next] - sorted[index]) * part)
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::{LogNormal as Normal, Pareto};

    use super::*;

    /// Sizes after SURGE: a lognormal body and, for 7 of 100, a Pareto tail.
    fn surge(seed: u64, count: usize) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let body = Normal::new(9.357, 1.318).unwrap();
        let tail = Pareto::new(133_000.0, 1.1).unwrap();
        let mut draw = || {
            if random.random::<f64>() < 0.07 {
                return random.sample(tail);
            }
            loop {
                let size: f64 = random.sample(body);
                if size < 133_000.0 {
                    return size;
                }
            }
        };
        let mut sizes: Vec<f64> = (0..count).map(|_| draw()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        sizes
    }

    /// Science, section 6.4: 1.101 ± 0.023 for one sample of 50 000.
    #[test]
    fn the_tail_of_sizes_after_a_known_law_is_found() {
        let found: Vec<Tail> = (0..5).map(|seed| tail(&surge(seed, 50_000)).unwrap()).collect();
        let mean = found.iter().map(|tail| tail.index).sum::<f64>() / 5.0;
        assert!((mean - 1.1).abs() < 0.03, "{found:?}");
        assert!(found.iter().all(|tail| (tail.index - 1.1).abs() < 0.08), "{found:?}");
        let start = found.iter().map(|tail| tail.start).sum::<f64>() / 5.0;
        assert!((100_000.0..250_000.0).contains(&start), "{start}");
    }

    #[test]
    fn hill_is_right_in_the_tail_and_wrong_below_it() {
        let sizes = surge(1, 50_000);
        let near = hill(&sizes, 3_400).unwrap();
        let beyond = hill(&sizes, 8_000).unwrap();
        assert!((near - 1.1).abs() < 0.05 && beyond < 1.03, "{near} {beyond}");
    }

    #[test]
    fn a_power_law_that_ends_has_the_index_that_it_has_below_its_end() {
        // Of values evenly by their share, the law is exact.
        let cut = 10.0_f64.powf(-1.2);
        let value = |index: u32| {
            let share = (f64::from(index) + 0.5) / 10_000.0;
            (1.0 - share * (1.0 - cut)).powf(-1.0 / 1.2)
        };
        let mean_log = (0..10_000).map(|index| value(index).ln()).sum::<f64>() / 10_000.0;
        assert!((bounded_index(mean_log, 10.0) - 1.2).abs() < 0.01);
        assert!(1.0 / mean_log > 1.4, "without its end it would seem lighter");
        assert!((bounded_index(1.0 / 1.2, 1e9) - 1.2).abs() < 0.01);
    }

    #[test]
    fn a_lognormal_is_told_from_its_values_and_has_no_power_law_nearby() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let law = Normal::new(2.0, 0.5).unwrap();
        let mut values: Vec<f64> = (0..20_000).map(|_| random.sample(law)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let found = lognormal(&values).unwrap();
        assert!((found.mu - 2.0).abs() < 0.02 && (found.sigma - 0.5).abs() < 0.02, "{found:?}");
        assert!(distance_from(&values, &|value| found.below(value)) < 0.015);
        assert!((normal_below(1.959_964) - 0.975).abs() < 1e-6);
        assert!((normal_below(-1.0) - 0.158_655_25).abs() < 1e-6);
    }

    #[test]
    fn a_histogram_is_ranked_values_without_the_empty_ones() {
        let mut histogram = crate::stats::histograms::sizes();
        for size in [0, 0, 0, 7, 7, 900] {
            histogram.saturating_record(size);
        }
        assert_eq!(ranked(&histogram), [7.0, 7.0, 900.0]);
        let sorted = surge(1, 50_000);
        for size in &sorted {
            histogram.saturating_record(as_index(*size) as u64);
        }
        let (few, all) = (tail(&ranked(&histogram)).unwrap(), tail(&sorted).unwrap());
        assert!((few.index - all.index).abs() < 0.08, "{few:?} {all:?}");
        assert_eq!(ranked(&histogram).len() as u64, RANKED);
        assert!(ranked(&crate::stats::histograms::sizes()).is_empty());
    }

    #[test]
    fn too_little_or_nothing_that_differs_has_no_tail() {
        assert_eq!(tail(&[]), None);
        assert_eq!(tail(&[1.0; 49]), None);
        assert_eq!(tail(&[4.0; 500]), None);
        assert_eq!(tail(&[-1.0; 500]), None);
        assert_eq!(hill(&[1.0, 1.0, 1.0], 2), None);
        assert_eq!(lognormal(&[1.0, 0.0]), None);
        assert_eq!(at_share(&[1.0, 3.0], 0.5), Some(2.0));
    }
}
