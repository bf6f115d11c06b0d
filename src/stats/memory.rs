//! What counts remember of earlier ones: their autocorrelation, and how slowly it fades (Hurst).

use crate::stats::counts::{as_f64, as_index};
use crate::stats::slopes::median;

/// The autocorrelation of counts at a lag of so many windows, −1 to 1. `None` where all counts are
/// the same, or the series is not longer than the lag.
pub fn autocorrelation(counts: &[u64], lag: usize) -> Option<f64> {
    let windows = as_f64(counts.len() as u64);
    let mean = as_f64(counts.iter().sum()) / windows;
    let squares: f64 = counts.iter().map(|&count| (as_f64(count) - mean).powi(2)).sum();
    if lag >= counts.len() || squares <= 0.0 {
        return None;
    }
    let products: f64 = counts
        .iter()
        .zip(counts.iter().skip(lag))
        .map(|(&now, &later)| (as_f64(now) - mean) * (as_f64(later) - mean))
        .sum();
    Some(products / squares)
}

/// An estimate of the Hurst exponent: ½ where counts have no memory, towards 1 where it fades
/// slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hurst {
    /// The estimate.
    pub value: f64,
    /// Half the width of its confidence interval at 95 %, by the scatter around the fitted line.
    pub within: f64,
}

/// Fewest windows of a series that has a Hurst exponent: four decades of scale and some windows of
/// the largest.
pub const HURST_WINDOWS: usize = 36_000;

/// Fewest blocks of the largest scale.
const BLOCKS: usize = 10;

/// Scales a decade.
const A_DECADE: f64 = 5.0;

/// The Hurst exponent by the variance of means over growing blocks: `log Var` falls with
/// `log length` at the slope `2H − 2`. `None` for a series shorter than [`HURST_WINDOWS`], or
/// without variance.
pub fn hurst_by_variance(counts: &[u64]) -> Option<Hurst> {
    let points = scales(counts.len(), 1)?.into_iter().filter_map(|length| {
        let means: Vec<f64> = counts
            .chunks_exact(length)
            .map(|block| as_f64(block.iter().sum()) / as_f64(length as u64))
            .collect();
        let variance = variance(&means)?;
        (variance > 0.0).then(|| (as_f64(length as u64).ln(), variance.ln()))
    });
    let (slope, within) = line(&points.collect::<Vec<_>>())?;
    Some(Hurst { value: 1.0 + slope / 2.0, within: within / 2.0 })
}

/// The Hurst exponent by the rescaled range (R/S): its logarithm grows with that of the length at
/// the slope `H`. `None` as for [`hurst_by_variance`].
pub fn hurst_by_range(counts: &[u64]) -> Option<Hurst> {
    // Short blocks have a range that is known to be too large.
    let points = scales(counts.len(), 50)?.into_iter().filter_map(|length| {
        let ranges = counts.chunks_exact(length).filter_map(rescaled_range);
        let middle = median(ranges)?;
        (middle > 0.0).then(|| (as_f64(length as u64).ln(), middle.ln()))
    });
    let (slope, within) = line(&points.collect::<Vec<_>>())?;
    Some(Hurst { value: slope, within })
}

/// Block lengths from `shortest` to a tenth of the series, evenly by their logarithm.
fn scales(windows: usize, shortest: usize) -> Option<Vec<usize>> {
    if windows < HURST_WINDOWS {
        return None;
    }
    let longest = as_f64((windows / BLOCKS) as u64);
    let mut lengths = Vec::new();
    let mut length = as_f64(shortest as u64);
    while length <= longest {
        lengths.push(as_index(length.round()));
        length *= 10.0_f64.powf(1.0 / A_DECADE);
    }
    lengths.dedup();
    Some(lengths)
}

fn variance(values: &[f64]) -> Option<f64> {
    let count = as_f64(values.len() as u64);
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

fn rescaled_range(block: &[u64]) -> Option<f64> {
    let values: Vec<f64> = block.iter().copied().map(as_f64).collect();
    let deviation = variance(&values)?.sqrt();
    let mean = values.iter().sum::<f64>() / as_f64(values.len() as u64);
    let (mut sum, mut low, mut high) = (0.0, 0.0_f64, 0.0_f64);
    for value in values {
        sum += value - mean;
        (low, high) = (low.min(sum), high.max(sum));
    }
    (deviation > 0.0).then(|| (high - low) / deviation)
}

/// The slope of the least-squares line, and 1.96 times its standard error.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = as_f64(points.len() as u64);
    if points.len() < 4 {
        return None;
    }
    let (x_mean, y_mean) = (
        points.iter().map(|point| point.0).sum::<f64>() / count,
        points.iter().map(|point| point.1).sum::<f64>() / count,
    );
    let spread: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let slope = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
    let errors: f64 = points.iter().map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2)).sum();
    let within = 1.96 * (errors / (count - 2.0) / spread).sqrt();
    slope.is_finite().then_some((slope, within))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value - expected).abs() <= tolerance, "{value} instead of {expected}");
    }

    #[test]
    fn counts_that_alternate_are_opposed_at_one_and_alike_at_two() {
        let counts: Vec<u64> = (0..1_000).map(|window| window % 2 * 10).collect();
        near(autocorrelation(&counts, 0).unwrap(), 1.0, 1e-12);
        near(autocorrelation(&counts, 1).unwrap(), -1.0, 0.002);
        near(autocorrelation(&counts, 2).unwrap(), 1.0, 0.003);
        assert_eq!(autocorrelation(&[5, 5, 5], 1), None);
        assert_eq!(autocorrelation(&[5, 6], 2), None);
        assert_eq!(autocorrelation(&[], 0), None);
    }

    /// White counts have ½; a random walk of the rate remembers all, and comes near 1; sums of many
    /// sources that are on and off for Pareto times of α 1.4 have (3 − α)/2 = 0.8 in theory.
    #[test]
    fn the_exponents_of_known_series_are_found() {
        let mut random = ChaCha8Rng::seed_from_u64(17);
        let white: Vec<u64> = (0..65_536).map(|_| random.random_range(0..20)).collect();
        near(hurst_by_variance(&white).unwrap().value, 0.5, 0.06);
        near(hurst_by_range(&white).unwrap().value, 0.55, 0.08);

        let mut sources = vec![0_u64; 65_536];
        for _ in 0..60 {
            let (mut at, mut is_on) = (0.0, random.random::<bool>());
            while at < 65_536.0 {
                let length = (1.0 - random.random::<f64>()).powf(-1.0 / 1.4) * 5.0;
                let (from, to) = (as_index(at), as_index((at + length).min(65_536.0)));
                if is_on {
                    sources[from..to].iter_mut().for_each(|count| *count += 1);
                }
                at += length;
                is_on = !is_on;
            }
        }
        let (by_variance, by_range) =
            (hurst_by_variance(&sources).unwrap(), hurst_by_range(&sources).unwrap());
        near(by_variance.value, 0.8, 0.12);
        near(by_range.value, 0.8, 0.12);
        assert!(by_variance.within > 0.0 && by_variance.within < 0.2, "{by_variance:?}");

        assert_eq!(hurst_by_variance(&white[..35_999]), None, "too short");
        assert_eq!(hurst_by_range(&vec![7; 65_536]), None, "no variance");
    }
}
