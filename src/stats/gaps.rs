//! How far two distributions of gaps between requests are apart, from their histograms.
//!
//! Both distances forgive an offset, and a shuffled order: they see how long the gaps are, and not
//! which one follows which.

use hdrhistogram::Histogram;

use crate::stats::counts::as_f64;

/// The largest distance of two cumulative distributions (Kolmogorov and Smirnov), 0 to 1, as
/// exactly as the histograms tell values apart. `None` when one of them is empty.
pub fn kolmogorov_smirnov(p: &Histogram<u64>, q: &Histogram<u64>) -> Option<f64> {
    let mut largest = 0.0_f64;
    walk(p, q, |_, _, p, q| largest = largest.max((p - q).abs()))?;
    Some(largest)
}

/// The mean distance of the quantiles of two distributions (Wasserstein-1, the earth mover's
/// distance) as a share of the mean of `p`. `None` when one of them is empty, or `p` is all zero.
pub fn wasserstein(p: &Histogram<u64>, q: &Histogram<u64>) -> Option<f64> {
    let mut area = 0.0;
    walk(p, q, |_, width, p, q| area += width * (p - q).abs())?;
    let mean = p.mean();
    (mean > 0.0).then(|| area / mean)
}

/// The distance that [`wasserstein`] has on average between two samples of the distribution `p`,
/// `both` being `1/n + 1/m` of their sizes: `√(2/π)·√both·∫√(D·F(1 − F)) dx / mean`, since the
/// difference of two empirical distributions is nearly normal at each value. D says for a value how
/// many gaps stand for one that is independent.
pub fn wasserstein_floor(
    p: &Histogram<u64>,
    both: f64,
    design: impl Fn(u64) -> f64,
) -> Option<f64> {
    let mut area = 0.0;
    walk(p, p, |value, width, p, _| {
        area += width * (design(value) * p * (1.0 - p)).max(0.0).sqrt();
    })?;
    let mean = p.mean();
    let noise = (2.0 / std::f64::consts::PI * both).sqrt();
    (mean > 0.0 && noise.is_finite()).then(|| noise * area / mean)
}

/// How many gaps stand for one that is independent where [`kolmogorov_smirnov`] sees that most: at
/// the value of `p` at which their number, by the variance `4F(1 − F)` that an independent one has,
/// is largest. At least 1.
pub fn worst_design(p: &Histogram<u64>, design: impl Fn(u64) -> f64) -> f64 {
    let mut worst = 1.0_f64;
    walk(p, p, |value, _, p, _| worst = worst.max(design(value) * 4.0 * p * (1.0 - p)));
    worst
}

/// Calls back with the value and the width of each step of either distribution, and the two
/// cumulative shares on it. `None` when one of them is empty.
fn walk(
    p: &Histogram<u64>,
    q: &Histogram<u64>,
    mut step: impl FnMut(u64, f64, f64, f64),
) -> Option<()> {
    if p.is_empty() || q.is_empty() {
        return None;
    }
    let mut events: Vec<(u64, u64, u64)> = Vec::new();
    for bucket in p.iter_recorded() {
        events.push((bucket.value_iterated_to(), bucket.count_since_last_iteration(), 0));
    }
    for bucket in q.iter_recorded() {
        events.push((bucket.value_iterated_to(), 0, bucket.count_since_last_iteration()));
    }
    events.sort_unstable();
    let (p_total, q_total) = (as_f64(p.len()), as_f64(q.len()));
    let (mut p_sum, mut q_sum) = (0, 0);
    let mut events = events.into_iter().peekable();
    while let Some((value, p_count, q_count)) = events.next() {
        p_sum += p_count;
        q_sum += q_count;
        let next = events.peek().map_or(value, |next| next.0);
        if next > value || events.peek().is_none() {
            let (width, p, q) = (as_f64(next - value), as_f64(p_sum), as_f64(q_sum));
            step(value, width, p / p_total, q / q_total);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::stats::counts::as_index;
    use crate::stats::histograms::times;

    fn near(value: Option<f64>, expected: f64, tolerance: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() <= tolerance, "{value} instead of {expected}");
    }

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = times();
        for &value in values {
            histogram.saturating_record(value);
        }
        histogram
    }

    #[test]
    fn equal_distributions_are_not_apart() {
        let gaps = of(&[100, 200, 200, 900]);
        near(kolmogorov_smirnov(&gaps, &of(&[900, 200, 100, 200])), 0.0, 1e-12);
        near(wasserstein(&gaps, &gaps), 0.0, 1e-12);
        assert_eq!(kolmogorov_smirnov(&gaps, &times()), None);
        assert_eq!(wasserstein(&times(), &gaps), None);
    }

    #[test]
    fn the_distances_are_those_of_their_definitions() {
        // Half of the gaps are 100 longer: D is ½ between, W1 is 50 of a mean of 150.
        let (p, q) = (of(&[100, 200]), of(&[200, 200]));
        near(kolmogorov_smirnov(&p, &q), 0.5, 1e-12);
        near(wasserstein(&p, &q), 50.0 / 150.0, 1e-9);
        // Even gaps instead of exponential ones: D is 1 − 1/e at the mean from below.
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let exponential: Vec<u64> = (0..100_000)
            .map(|_| as_index(-(1.0 - random.random::<f64>()).ln() * 1e6) as u64)
            .collect();
        let (exponential, even) = (of(&exponential), of(&vec![1_000_000; 1_000]));
        near(kolmogorov_smirnov(&exponential, &even), 1.0 - (-1.0_f64).exp(), 0.01);
        // E|X − 1| of an exponential of mean 1 is 2/e.
        near(wasserstein(&exponential, &even), 2.0 / std::f64::consts::E, 0.01);
    }

    /// The floor of two exponential samples is `√(2/π)·√(2/n)·π/2`; two samples are as far apart.
    #[test]
    fn the_floor_is_the_mean_distance_of_two_samples() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut sample = || {
            let values: Vec<u64> = (0..2_000)
                .map(|_| as_index(-(1.0 - random.random::<f64>()).ln() * 1e6) as u64)
                .collect();
            of(&values)
        };
        let first = sample();
        let expected =
            (2.0 / std::f64::consts::PI * 2.0 / 2_000.0).sqrt() * std::f64::consts::FRAC_PI_2;
        near(wasserstein_floor(&first, 2.0 / 2_000.0, |_| 1.0), expected, expected * 0.05);
        let pairs = 100;
        let sum: f64 = (0..pairs).map(|_| wasserstein(&sample(), &sample()).unwrap()).sum();
        near(Some(sum / f64::from(pairs)), expected, expected * 0.1);
    }
}
