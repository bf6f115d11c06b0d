//! Intervals by drawing again from what was observed, group by group.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::stats::counts::{as_f64, as_index};
use crate::stats::shares::Share;
use crate::stats::slopes::median;
use crate::stats::tails::at_share;

/// Draws of an interval; the ends of a 95 % interval then rest on 50 of them each.
const DRAWS: usize = 2_000;

/// The interval of equal inputs is equal.
const SEED: u64 = 11;

/// The interval of the difference of the medians of two samples; `None` where one is empty.
pub fn median_difference(x: &[f64], y: &[f64], confidence: f64) -> Option<[f64; 2]> {
    interval(x, y, confidence, |drawn| median(drawn.iter().copied()).unwrap_or(0.0))
}

/// The interval of the difference of two shares of which each is put together from groups: groups
/// are drawn whole, since what is in one of them is alike. `None` where a side has none.
pub fn share_difference(x: &[Share], y: &[Share], confidence: f64) -> Option<[f64; 2]> {
    interval(x, y, confidence, |drawn| Share::sum(drawn).ratio())
}

fn interval<T: Copy>(
    x: &[T],
    y: &[T],
    confidence: f64,
    of: impl Fn(&[T]) -> f64,
) -> Option<[f64; 2]> {
    if x.is_empty() || y.is_empty() {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut draw = |from: &[T]| {
        let at = |random: &mut ChaCha8Rng| {
            as_index(random.random::<f64>() * as_f64(from.len() as u64)).min(from.len() - 1)
        };
        of(&from.iter().map(|_| from[at(&mut random)]).collect::<Vec<T>>())
    };
    let mut differences: Vec<f64> = (0..DRAWS).map(|_| draw(x) - draw(y)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Some([at_share(&differences, tail)?, at_share(&differences, 1.0 - tail)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(part: u64) -> Share {
        Share { part, whole: 10_000 }
    }

    #[test]
    fn errors_of_one_run_are_no_difference_of_the_release() {
        let base = [of(0); 10];
        let [low, _] = share_difference(&[of(90), of(0), of(0)], &base, 0.95).unwrap();
        assert!(low <= 0.0, "{low}");
        let [low, high] = share_difference(&[of(30), of(31), of(29)], &base, 0.95).unwrap();
        assert!(low > 0.002 && high < 0.004, "{low} {high}");
    }

    #[test]
    fn medians_that_differ_have_an_interval_beside_zero() {
        let base: Vec<f64> = (0..10).map(f64::from).collect();
        let [low, high] = median_difference(&[20.0, 21.0, 22.0], &base, 0.95).unwrap();
        assert!(low > 10.0 && high < 22.0, "{low} {high}");
        assert_eq!(
            median_difference(&[20.0, 21.0, 22.0], &base, 0.95),
            median_difference(&[20.0, 21.0, 22.0], &base, 0.95),
            "equal inputs have equal intervals"
        );
        assert_eq!(median_difference(&[], &base, 0.95), None);
        assert_eq!(share_difference(&[], &[of(1)], 0.95), None);
    }
}
