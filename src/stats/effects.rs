//! How large a difference is beside the scatter of what differs: Student's test, Holm's correction,
//! the least change that would be seen.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::stats::counts::as_f64;
use crate::stats::slopes::median;

/// The share of the normal distribution below `z` standard deviations.
pub fn normal_below(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The standard deviations below which a share of the normal distribution lies.
pub fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// How likely a value of Student's distribution is that is as far from 0, on either side. Without
/// degrees of freedom nothing is unlikely.
pub fn student_two_sided(t: f64, freedom: usize) -> f64 {
    if t.is_nan() {
        return 1.0;
    }
    let law = StudentsT::new(0.0, 1.0, as_f64(freedom as u64));
    law.map_or(1.0, |law| (2.0 * law.sf(t.abs())).clamp(0.0, 1.0))
}

/// The value of Student's distribution below which a share of it lies; infinite without degrees of
/// freedom.
pub fn student_quantile(share: f64, freedom: usize) -> f64 {
    let law = StudentsT::new(0.0, 1.0, as_f64(freedom as u64));
    law.map_or(f64::INFINITY, |law| law.inverse_cdf(share))
}

/// The mean; 0 without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / as_f64(values.len().max(1) as u64)
}

/// The sum of squared distances from the mean.
pub fn squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// The standard deviation that two samples have around their own means; `None` below three values.
pub fn pooled_deviation(x: &[f64], y: &[f64]) -> Option<f64> {
    let freedom = (x.len() + y.len()).checked_sub(2).filter(|freedom| *freedom > 0)?;
    Some(((squares(x) + squares(y)) / as_f64(freedom as u64)).sqrt())
}

/// The median distance from the median as a standard deviation, were the law a normal one; a wild
/// value has no part in it. `None` without values.
pub fn median_deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values.iter().copied())?;
    Some(NORMAL_MAD * median(values.iter().map(|value| (value - middle).abs()))?)
}

/// One over the normal distribution's quantile at 75 %.
const NORMAL_MAD: f64 = 1.4826;

/// Holm's correction: the p-values as if each had been the only one, in the order that they came
/// in. The smallest counts as many times as there are values, the next one time less, and none
/// counts less than one before it.
pub fn holm(p: &[f64]) -> Vec<f64> {
    holm_weighted(&p.iter().map(|p| (*p, 1.0)).collect::<Vec<_>>())
}

/// The same of p-values that have weights, all of them above 0: one of twice the weight may be
/// twice as large. The chance of a false alarm among all of them stays the same.
pub fn holm_weighted(p: &[(f64, f64)]) -> Vec<f64> {
    let ratio = |at: usize| p[at].0 / p[at].1;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
    let mut left: f64 = p.iter().map(|(_, weight)| weight).sum();
    let mut corrected = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for index in order {
        largest = largest.max(ratio(index) * left).min(1.0);
        corrected[index] = largest;
        left -= p[index].1;
    }
    corrected
}

/// The standard error of the difference of two means of `n` and `m` values; infinite without any.
pub fn standard_error(deviation: f64, n: usize, m: usize) -> f64 {
    let share = |count: usize| 1.0 / as_f64(count as u64);
    deviation * (share(n) + share(m)).sqrt()
}

/// The least difference that Student's two-sided test at [`CHANCE`] sees in four of five
/// comparisons where it has this standard error, and is the only one of `tests` that Holm corrects.
/// `freedom` is that of the standard error; `None` where it is known beforehand. One that is
/// estimated scatters itself, which is the root (the usual approximation of the law of such a test
/// where there is a difference).
pub fn minimal_detectable(error: f64, freedom: Option<usize>, tests: usize) -> f64 {
    detectable_at(error, freedom, 1.0 / as_f64(tests.max(1) as u64))
}

/// The same of a test that has this share of [`CHANCE`].
pub fn detectable_at(error: f64, freedom: Option<usize>, share: f64) -> f64 {
    let below = 1.0 - CHANCE * share / 2.0;
    let critical =
        freedom.map_or_else(|| normal_quantile(below), |freedom| student_quantile(below, freedom));
    let scatter = freedom
        .map_or(1.0, |freedom| (1.0 + critical.powi(2) / (2.0 * as_f64(freedom as u64))).sqrt());
    (critical + normal_quantile(POWER) * scatter) * error
}

/// The chance of a false alarm that is allowed to all tests together, either way.
pub const CHANCE: f64 = 0.05;

/// In how many of all comparisons a difference of that size is seen.
pub const POWER: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 5e-5, "{value} instead of {expected}");
    }

    /// Quantiles from printed tables.
    #[test]
    fn distributions_have_the_quantiles_of_the_tables() {
        near(normal_quantile(0.975), 1.95996);
        near(normal_below(-1.0), 0.158_66);
        near(student_two_sided(2.201, 11), 0.05);
        near(student_two_sided(-2.201, 11), 0.05);
        near(student_quantile(0.975, 11), 2.200_99);
        near(student_two_sided(f64::INFINITY, 11), 0.0);
        near(student_two_sided(f64::NAN, 11), 1.0);
        near(student_two_sided(5.0, 0), 1.0);
        assert!(student_quantile(0.9, 0).is_infinite());
    }

    /// Science, section 11: runs that differ by 5 %, 10 beside 3, show 9.2 %, were that known and
    /// nothing else asked. With seven metrics, of which any may have changed, it is 14.2 %.
    #[test]
    fn the_least_change_that_is_seen() {
        let error = standard_error(0.05, 10, 3);
        assert!((minimal_detectable(error, None, 1) - 0.092).abs() < 0.000_5);
        assert!((minimal_detectable(error, Some(11), 1) - 0.103).abs() < 0.000_5);
        assert!((minimal_detectable(error, Some(11), 7) - 0.142).abs() < 0.001);
        assert!(minimal_detectable(error, Some(0), 1).is_infinite());
        assert!(minimal_detectable(standard_error(0.05, 0, 3), None, 1).is_infinite());
    }

    /// Holm's own example has four: 0.01, 0.04, 0.03 and 0.005.
    #[test]
    fn holm_corrects_for_as_many_as_are_left() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*value, expected);
        }
        assert_eq!(holm(&[]), [0.0; 0]);
        near(holm(&[0.7, 0.9])[0], 1.0);
    }

    /// Weights that are equal change nothing; 3 to 1, the first has three quarters of the chance.
    #[test]
    fn weights_share_the_chance() {
        let even = holm_weighted(&[(0.01, 0.25), (0.04, 0.25), (0.03, 0.25), (0.005, 0.25)]);
        for (value, expected) in even.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*value, expected);
        }
        let uneven = holm_weighted(&[(0.03, 0.75), (0.03, 0.25)]);
        near(uneven[0], 0.04);
        near(uneven[1], 0.04);
        let other = holm_weighted(&[(0.03, 0.75), (0.005, 0.25)]);
        near(other[1], 0.02);
        near(other[0], 0.03);
    }

    #[test]
    fn scatter_is_told_with_and_without_a_wild_value() {
        near(median_deviation(&[1.0, 2.0, 3.0, 4.0, 900.0]).unwrap(), NORMAL_MAD);
        assert_eq!(median_deviation(&[]), None);
        near(pooled_deviation(&[1.0, 3.0], &[10.0, 12.0]).unwrap(), 2.0_f64.sqrt());
        assert_eq!(pooled_deviation(&[1.0], &[2.0]), None);
    }
}
