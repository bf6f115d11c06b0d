//! Burstiness of counts: how much more they vary than those of a Poisson process.

use crate::stats::counts::{as_f64, as_index};

/// Length of the moving mean that takes the trend out, in seconds.
const TREND_SECONDS: f64 = 30.0;

/// The index of dispersion for counts, `I(w) = Σ(N − μ)² / Σμ`, of counts in windows of
/// `window_seconds`: 1 for a Poisson process, more for bursts, less for an even stream.
///
/// μ is the moving mean over 30 s around each window, with the series mirrored at its edges, so
/// that a daily trend does not pass for a burst. A series shorter than 30 s has no trend worth
/// taking out: μ is its mean. Since the mean follows the counts, a Poisson process gives
/// `1 − w/30 s` (0.67 at 10 s) rather than 1; ratios of two series are not affected.
///
/// `None` without requests.
pub fn index_of_dispersion(counts: &[u64], window_seconds: f64) -> Option<f64> {
    let means = trend(counts, window_seconds)?;
    let (squares, sum) = counts.iter().zip(&means).fold((0.0, 0.0), |(squares, sum), (&n, &mu)| {
        let distance = as_f64(n) - mu;
        (squares + distance * distance, sum + mu)
    });
    Some(squares / sum)
}

/// How much counts vary from one window to the next, `Σ(N − N′)² / Σ(N + N′)`: 1 for a Poisson
/// process whatever its trend, since a trend moves neighbours alike. `None` with fewer than two
/// windows, or without requests.
pub fn successive_dispersion(counts: &[u64]) -> Option<f64> {
    let pairs = counts.windows(2);
    let squares: f64 = pairs.clone().map(|two| (as_f64(two[0]) - as_f64(two[1])).powi(2)).sum();
    let sum: f64 = pairs.map(|two| as_f64(two[0]) + as_f64(two[1])).sum();
    (sum > 0.0).then(|| squares / sum)
}

/// The standard error of [`successive_dispersion`], by how unlike its terms are: a few windows with
/// most of the requests tell less than many that are alike. `None` like the index itself.
pub fn successive_error(counts: &[u64]) -> Option<f64> {
    let index = successive_dispersion(counts)?;
    let terms = || {
        counts.windows(2).map(|two| {
            let (before, after) = (as_f64(two[0]), as_f64(two[1]));
            (before - after).powi(2) - index * (before + after)
        })
    };
    let sum: f64 = counts.windows(2).map(|two| as_f64(two[0]) + as_f64(two[1])).sum();
    let squares: f64 = terms().map(|term| term * term).sum();
    // Neighbouring terms have a window in common.
    let shared: f64 = terms().zip(terms().skip(1)).map(|(one, next)| one * next).sum();
    Some((squares + 2.0 * shared.max(0.0)).sqrt() / sum)
}

/// The mean square by which values vary beside a straight line through those that are `lag` places
/// before and after: their variance where they are independent. What comes again after so many
/// places is no more than that line. `None` with fewer than `2 lag + 1`.
pub fn straight_scatter(values: &[u64], lag: usize) -> Option<f64> {
    let later = |by: usize| values.iter().skip(by).copied().map(as_f64);
    let triples = later(0).zip(later(lag)).zip(later(2 * lag));
    let squares: f64 =
        triples.map(|((before, here), after)| (before - 2.0 * here + after).powi(2)).sum();
    let count = values.len().checked_sub(2 * lag).filter(|count| *count > 0)?;
    Some(squares / 6.0 / as_f64(count as u64))
}

/// How much counts vary beside such a line, `Σ(N₋ − 2N + N₊)² / 6` over their mean: 1 for a Poisson
/// process, whatever slow curve its rate follows, since a curve is nearly straight from one window
/// to the one after the next. `None` without requests, too.
pub fn straight_dispersion(counts: &[u64], lag: usize) -> Option<f64> {
    let mean = as_f64(counts.iter().sum()) / as_f64(counts.len() as u64);
    straight_scatter(counts, lag).filter(|_| mean > 0.0).map(|scatter| scatter / mean)
}

/// The standard error of [`index_of_dispersion`], as a share of it, by how unlike its terms are:
/// where most windows hold nothing, the few that hold much decide. `None` like the index itself,
/// and where counts do not vary.
pub fn relative_error(counts: &[u64], window_seconds: f64) -> Option<f64> {
    let means = trend(counts, window_seconds)?;
    let index = index_of_dispersion(counts, window_seconds)?;
    let terms = || counts.iter().zip(&means).map(|(&n, mu)| (as_f64(n) - mu).powi(2) - index * mu);
    let squares: f64 = terms().map(|term| term * term).sum();
    // A bunch of requests may lie on both sides of an edge.
    let shared: f64 = terms().zip(terms().skip(1)).map(|(one, next)| one * next).sum();
    let sum: f64 = means.iter().sum();
    let error = (squares + 2.0 * shared.max(0.0)).sqrt() / sum;
    (index > 0.0).then(|| error / index)
}

/// A relative error that was told by the same few windows as the value itself: it is known as badly
/// as that, so that chance goes further beyond it the larger it is.
pub fn of_few(relative_error: f64) -> f64 {
    relative_error * (1.0 + 2.0 * relative_error)
}

/// The weighted absolute error of counts around that trend, `Σ|N − μ| / Σμ`. `None` without
/// requests.
pub fn wape_of_trend(counts: &[u64], window_seconds: f64) -> Option<f64> {
    let means = trend(counts, window_seconds)?;
    let apart: f64 = counts.iter().zip(&means).map(|(&n, &mu)| (as_f64(n) - mu).abs()).sum();
    Some(apart / means.iter().sum::<f64>())
}

/// How many times as large the error of an index of dispersion is as that of as many independent
/// windows: what is left of counts when their moving mean is taken out depends on its neighbours.
/// By the autocovariances g of the kernel `δ − 1/W` of W windows, `√(g₀² + 2 Σ gₗ²) / g₀`: 1.39
/// for windows of 10 s, of which the mean has three, and next to 1 for those of a second.
pub fn dependence_of_residuals(window_seconds: f64) -> f64 {
    let half = as_index(TREND_SECONDS / window_seconds / 2.0);
    // One window is its own mean: nothing would be left.
    if half == 0 {
        return 1.0;
    }
    let width = as_f64(2 * half as u64 + 1);
    let at_zero = 1.0 - 1.0 / width;
    let squares: f64 = (1..=2 * half)
        .map(|lag| {
            let shared = (width - as_f64(lag as u64)) / (width * width);
            (shared - if lag <= half { 2.0 / width } else { 0.0 }).powi(2)
        })
        .sum();
    (at_zero * at_zero + 2.0 * squares).sqrt() / at_zero
}

fn trend(counts: &[u64], window_seconds: f64) -> Option<Vec<f64>> {
    let total = as_f64(counts.iter().sum());
    if total <= 0.0 || window_seconds <= 0.0 {
        return None;
    }
    let windows = as_f64(counts.len() as u64);
    if windows * window_seconds < TREND_SECONDS {
        return Some(vec![total / windows; counts.len()]);
    }
    // An odd number of windows, so that the mean is centred.
    Some(moving_mean(counts, as_index(TREND_SECONDS / window_seconds / 2.0)))
}

/// Mean of each value with `half` neighbours on either side; `b a | a b c | c b` at the edges.
fn moving_mean(counts: &[u64], half: usize) -> Vec<f64> {
    let count = counts.len();
    let mirrored = |position: usize| {
        // `position` counts from `half` before the first; a mirror image of both directions
        // repeats every 2·count.
        let phase = (position + 2 * count * (half / (2 * count) + 1) - half) % (2 * count);
        if phase < count { counts[phase] } else { counts[2 * count - 1 - phase] }
    };
    let width = 2 * half + 1;
    let mut sum: u64 = (0..width).map(mirrored).sum();
    let mut means = Vec::with_capacity(count);
    for index in 0..count {
        means.push(as_f64(sum) / as_f64(width as u64));
        // Far from the edges, nothing is mirrored.
        let (entering, leaving) = match (counts.get(index + half + 1), index.checked_sub(half)) {
            (Some(&entering), Some(leaving)) => (entering, counts[leaving]),
            _ => (mirrored(index + width), mirrored(index)),
        };
        sum = sum + entering - leaving;
    }
    means
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, proptest};
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::stats::counts::coarsen;

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value} instead of {expected}");
    }

    /// A load that doubles from one second to the next is as even as it was.
    #[test]
    fn a_step_is_no_scatter_from_one_window_to_the_next() {
        let even: Vec<u64> = (0..60).map(|second| if second < 30 { 100 } else { 200 }).collect();
        assert!(index_of_dispersion(&even[..29], 1.0).unwrap() < 1e-9);
        let step = index_of_dispersion(&even, 1.0).unwrap();
        let near = successive_dispersion(&even).unwrap();
        assert!(step > 2.0 && near < 1.0, "{step} {near}");
        let rough: Vec<u64> = (0..60).map(|second| if second % 2 < 1 { 50 } else { 150 }).collect();
        assert!((successive_dispersion(&rough).unwrap() - 50.0).abs() < 1e-9);
        assert_eq!(successive_dispersion(&[7]), None);
        assert_eq!(successive_dispersion(&[0, 0]), None);
    }

    #[test]
    fn what_is_straight_is_no_scatter() {
        let rising: Vec<u64> = (0..60).map(|window| 100 + 7 * window).collect();
        near(straight_dispersion(&rising, 1).unwrap(), 0.0, 1e-12);
        // By hand: 10 − 40 + 10 squared, by 6, over 15.
        near(straight_scatter(&[10, 25, 10], 1).unwrap(), 150.0, 1e-12);
        near(straight_dispersion(&[10, 25, 10], 1).unwrap(), 10.0, 1e-12);
        assert_eq!(straight_dispersion(&[10, 20], 1), None);
        assert_eq!(straight_dispersion(&[0, 0, 0], 1), None);
        // What comes every third time is a line there, and far from one beside its neighbours.
        let third = [9, 0, 0, 9, 0, 0, 9, 0, 0];
        assert_eq!(straight_dispersion(&third, 3), Some(0.0));
        assert!(straight_dispersion(&third, 1) > Some(5.0));
        assert_eq!(straight_dispersion(&third[..6], 3), None);
    }

    /// Of Poisson counts of many, the error of their variance is `√(2/n)`; where one of a hundred
    /// windows has a bunch of ten, the error is that of the number of bunches.
    #[test]
    fn the_error_of_a_dispersion_knows_how_few_windows_decide() {
        let mut random = rand::rngs::ChaCha8Rng::seed_from_u64(3);
        let mut drawn = |share: u32| -> Vec<u64> {
            (0..20_000).map(|_| u64::from(random.random_range(0..100) < share) * 10).collect()
        };
        let even = relative_error(&drawn(50), 1.0).unwrap();
        let rare = relative_error(&drawn(1), 1.0).unwrap();
        assert!(even < 0.03, "{even}");
        // Some 200 bunches.
        assert!((0.05..0.12).contains(&rare), "{rare}");
        assert!(of_few(rare) > rare * 1.05 && of_few(even) < even * 1.03);
        assert_eq!(relative_error(&[0, 0], 1.0), None);
        assert_eq!(relative_error(&[5, 5, 5], 1.0), None);
    }

    #[test]
    fn a_short_series_is_variance_over_mean() {
        // Mean 2, population variance 2/3.
        near(index_of_dispersion(&[1, 2, 3], 1.0).unwrap(), 1.0 / 3.0, 1e-12);
        near(index_of_dispersion(&[5, 5, 5, 5], 1.0).unwrap(), 0.0, 1e-12);
        assert_eq!(index_of_dispersion(&[], 1.0), None);
        assert_eq!(index_of_dispersion(&[0, 0], 1.0), None);
    }

    #[test]
    fn the_error_around_the_trend_is_that_of_the_noise() {
        // Shorter than the trend, around its mean.
        near(wape_of_trend(&[1, 3, 1, 3], 1.0).unwrap(), 0.5, 1e-12);
        // A line is its own trend, but for its edges.
        let line: Vec<u64> = (100..1_000).collect();
        assert!(wape_of_trend(&line, 1.0).unwrap() < 0.002);
        let noisy: Vec<u64> = (100..1_000).map(|n| if n % 2 == 0 { n * 2 } else { 0 }).collect();
        near(wape_of_trend(&noisy, 1.0).unwrap(), 1.0, 0.05);
        assert_eq!(wape_of_trend(&[0, 0], 1.0), None);
    }

    /// By hand for the kernel (−1, 2, −1)/3: `√70 / 6`.
    #[test]
    fn residuals_of_a_mean_of_few_windows_depend_on_each_other() {
        near(dependence_of_residuals(10.0), 70.0_f64.sqrt() / 6.0, 1e-12);
        assert!((1.0..1.05).contains(&dependence_of_residuals(1.0)));
        assert!((1.0..1.001).contains(&dependence_of_residuals(0.01)));
        near(dependence_of_residuals(60.0), 1.0, 1e-12);
    }

    #[test]
    fn the_moving_mean_mirrors_the_edges() {
        let means = moving_mean(&[1, 2, 6], 1);
        for (mean, expected) in means.iter().zip([4.0 / 3.0, 3.0, 14.0 / 3.0]) {
            near(*mean, expected, 1e-12);
        }
    }

    #[test]
    fn a_trend_is_no_burst() {
        let rising: Vec<u64> = (0..600).map(|second| 1_000 + second).collect();
        let dispersion = index_of_dispersion(&rising, 1.0).unwrap();
        assert!(dispersion < 0.01, "{dispersion}");
        let total: u64 = rising.iter().sum();
        let mean = as_f64(total) / 600.0;
        let plain: f64 = rising.iter().map(|&n| (as_f64(n) - mean).powi(2)).sum::<f64>();
        assert!(plain / as_f64(total) > 20.0, "without detrending it would look bursty");
    }

    /// A homogeneous Poisson process for 600 s: about 1, 0.97 at 1 s and 0.68 at 10 s by the
    /// reference simulation, whatever its rate. By arithmetic it is 2/3 at 10 s, and 2/9 in the
    /// two mirrored windows: 0.652.
    #[test]
    fn poisson_counts_have_the_known_dispersion() {
        let runs = 600;
        let mut sums = [0.0; 3];
        for seed in 0..runs {
            let mut random = rand::rngs::ChaCha8Rng::seed_from_u64(seed);
            let mut counts = vec![0_u32; 6_000];
            let mut at = 0.0;
            loop {
                at -= (1.0 - random.random::<f64>()).ln() / 0.5;
                if at >= 6_000.0 {
                    break;
                }
                counts[as_index(at)] += 1;
            }
            for (sum, (factor, seconds)) in sums.iter_mut().zip([(1, 0.1), (10, 1.0), (100, 10.0)])
            {
                let coarse = coarsen(&counts, factor);
                *sum += index_of_dispersion(&coarse, seconds).unwrap();
            }
        }
        let [tenth, one, ten] = sums.map(|sum| sum / as_f64(runs));
        near(tenth, 1.0, 0.01);
        near(one, 0.97, 0.01);
        near(ten, 0.652, 0.02);
    }

    proptest! {
        /// For all series and widths: the moving mean is the mean of the mirrored neighbours.
        #[test]
        fn the_moving_mean_is_what_it_says(
            counts in prop::collection::vec(0_u64..50, 1..40),
            half in 0_usize..100,
        ) {
            let count = i64::try_from(counts.len()).unwrap();
            let at = |index: i64| {
                let phase = usize::try_from(index.rem_euclid(2 * count)).unwrap();
                let mirrored = 2 * counts.len() - 1 - phase.min(2 * counts.len() - 1);
                if phase < counts.len() { counts[phase] } else { counts[mirrored] }
            };
            let half_signed = i64::try_from(half).unwrap();
            for (index, mean) in (0_i64..).zip(moving_mean(&counts, half)) {
                let sum: u64 = (index - half_signed..=index + half_signed).map(at).sum();
                near(mean, as_f64(sum) / as_f64(2 * half as u64 + 1), 1e-9);
            }
        }
    }
}
