//! A straight line through points of which some are wild.

use crate::stats::counts::{as_f64, as_index};

/// A line with the confidence interval of its slope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The slope.
    pub slope: f64,
    /// Lower end of its 95 % confidence interval.
    pub slope_low: f64,
    /// Upper end.
    pub slope_high: f64,
    /// The value at 0.
    pub intercept: f64,
}

/// Most points: their slopes are half as many squared, 4 MB of them.
pub const MAX_POINTS: usize = 1_000;

/// Theil and Sen's estimator: the median of the slopes of all pairs of points with different `x`,
/// and with it the median of `y` at the median of `x`. Nearly a third of the points may be
/// arbitrarily wrong.
///
/// The interval is Sen's: the number of pairs that rise minus those that fall has, without a trend,
/// the variance of Kendall's statistic with ties in `x`. `None` where all `x` are equal, and for
/// more than [`MAX_POINTS`] points or any that is not finite.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    if points.len() > MAX_POINTS || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return None;
    }
    let mut slopes = Vec::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let later = points[index + 1..].iter().filter(|(other, _)| other.total_cmp(x).is_ne());
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let slope = median_of_sorted(&slopes)?;
    let x = median(points.iter().map(|(x, _)| *x))?;
    let y = median(points.iter().map(|(_, y)| *y))?;
    let count = as_f64(slopes.len() as u64);
    let reach = NORMAL_975 * variance(points).max(0.0).sqrt();
    let last = slopes.len() - 1;
    let low = as_index(((count - reach) / 2.0).round() - 1.0).min(last);
    let high = as_index(count.midpoint(reach).round()).min(last);
    Some(Line { slope, slope_low: slopes[low], slope_high: slopes[high], intercept: y - slope * x })
}

/// The quantile of the normal distribution at 97.5 %.
const NORMAL_975: f64 = 1.959_963_984_540_054;

/// Of Kendall's statistic: `(n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18` over groups of `t` equal `x`.
fn variance(points: &[(f64, f64)]) -> f64 {
    let term = |count: u64| {
        let n = as_f64(count);
        n * (n - 1.0) * (2.0 * n + 5.0)
    };
    let mut xs: Vec<f64> = points.iter().map(|(x, _)| *x).collect();
    xs.sort_unstable_by(f64::total_cmp);
    let ties = xs.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|group| term(group.len() as u64));
    (term(points.len() as u64) - ties.sum::<f64>()) / 18.0
}

/// The middle value, or the mean of the two in the middle; `None` without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&values)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let high = *sorted.get(sorted.len() / 2)?;
    let low = sorted[(sorted.len() - 1) / 2];
    Some(low.midpoint(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    }

    /// Worked by hand: the slopes of 1 2 3 10 at 0 1 2 3 are 1 1 1 4 3 7 (sorted 1 1 1 3 4 7), the
    /// variance is 4·3·13/18, so that the interval reaches 5.77 of 6 pairs to both sides.
    #[test]
    fn the_median_of_the_slopes_ignores_a_wild_point() {
        let line = theil_sen(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 10.0)]).unwrap();
        near(line.slope, 2.0);
        near(line.slope_low, 1.0);
        near(line.slope_high, 7.0);
        near(line.intercept, 2.5 - 2.0 * 1.5);
    }

    /// Sen's own example (1968), with the interval that the usual numerical packages give.
    #[test]
    fn sens_example_has_its_known_interval() {
        let x = [1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 18.0];
        let y = [9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0];
        let points: Vec<(f64, f64)> = x.into_iter().zip(y).collect();
        let line = theil_sen(&points).unwrap();
        near(line.slope, 4.0);
        // The fourth and the eighteenth of 21 slopes: 3.71 and 4.38 in his paper.
        near(line.slope_low, 26.0 / 7.0);
        near(line.slope_high, 4.375);
        near(line.intercept, 20.0 - 4.0 * 4.0);
    }

    #[test]
    fn without_two_different_places_there_is_no_line() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(theil_sen(&[(1.0, f64::NAN), (2.0, 2.0)]), None);
        assert_eq!(theil_sen(&vec![(1.0, 1.0); MAX_POINTS + 1]), None);
    }

    #[test]
    fn noise_has_no_slope_and_a_flat_line_none_either() {
        let noise = [5.0, 1.0, 4.0, 2.0, 3.0, 1.5, 4.5, 2.5];
        let points: Vec<(f64, f64)> = (0_u32..).map(f64::from).zip(noise).collect();
        let line = theil_sen(&points).unwrap();
        assert!(line.slope_low < 0.0 && line.slope_high > 0.0, "{line:?}");
        let flat = theil_sen(&[(0.0, 2.0), (1.0, 2.0), (9.0, 2.0)]).unwrap();
        near(flat.slope, 0.0);
        near(flat.intercept, 2.0);
    }

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
