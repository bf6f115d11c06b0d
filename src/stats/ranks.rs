//! Two samples by their ranks: the test of Wilcoxon, Mann and Whitney, and the shift of Hodges and
//! Lehmann with its interval.

use crate::stats::counts::{as_f64, as_index};
use crate::stats::effects::{normal_below, normal_quantile};
use crate::stats::slopes::median;

/// Largest sample whose distribution is counted exactly; beyond it the normal one is as good.
pub const MAX_EXACT: usize = 50;

/// Most differences between two samples that are looked at: 8 MB of them.
pub const MAX_PAIRS: usize = 1_000_000;

/// What the test says of a sample `x` beside a sample `y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// Wilcoxon's W: the pairs in which `x` is larger, half of those in which both are equal added.
    pub w: f64,
    /// How likely so large a W is, if both are of one law.
    pub greater: f64,
    /// How likely so small a W is.
    pub less: f64,
    /// Every arrangement was counted; else the normal distribution with a correction for
    /// continuity stands for them.
    pub is_exact: bool,
}

impl RankTest {
    /// How likely a W is that is as far from the middle, on either side.
    pub fn two_sided(&self) -> f64 {
        (2.0 * self.greater.min(self.less)).min(1.0)
    }
}

/// Tests two samples. Without ties, and up to [`MAX_EXACT`] values each, it is exact. `None` where
/// one is empty, has a value that is not finite, or where there are more than [`MAX_PAIRS`] pairs.
pub fn rank_test(x: &[f64], y: &[f64]) -> Option<RankTest> {
    let pairs = differences(x, y)?;
    let above = pairs.iter().filter(|difference| **difference > 0.0).count();
    let equal = pairs.iter().filter(|difference| difference.abs() <= 0.0).count();
    let w = as_f64(above as u64) + as_f64(equal as u64) / 2.0;
    if is_exact(x, y) {
        let below = Arrangements::new(x.len(), y.len());
        let greater = if above == 0 { 1.0 } else { 1.0 - below.at_most(above - 1) };
        return Some(RankTest { w, greater, less: below.at_most(above), is_exact: true });
    }
    let middle = as_f64(pairs.len() as u64) / 2.0;
    let spread = spread(x.len(), y.len(), &ties(&[x, y].concat()));
    let tail = |beyond: f64| match spread {
        // Where all values are equal, nothing is larger than anything.
        spread if spread <= 0.0 => 1.0,
        spread => normal_below(-(beyond - CONTINUITY) / spread).min(1.0),
    };
    Some(RankTest { w, greater: tail(w - middle), less: tail(middle - w), is_exact: false })
}

/// W goes in steps of one.
const CONTINUITY: f64 = 0.5;

/// By how much a sample lies above another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The median of all differences between a value of one and a value of the other.
    pub estimate: f64,
    /// The interval of the test; `None` where so few values cannot give one of this confidence.
    pub interval: Option<[f64; 2]>,
}

/// The shift of `x` above `y` with the interval of all shifts that the two-sided test does not
/// reject. `None` as in [`rank_test`].
pub fn shift(x: &[f64], y: &[f64], confidence: f64) -> Option<Shift> {
    let mut pairs = differences(x, y)?;
    pairs.sort_unstable_by(f64::total_cmp);
    let estimate = median(pairs.iter().copied())?;
    let tail = (1.0 - confidence) / 2.0;
    // So many differences at either end lie outside.
    let outside = if is_exact(x, y) {
        Arrangements::new(x.len(), y.len()).quantile(tail)
    } else {
        // What is tied within a sample stays so, by whatever the sample is shifted.
        let tied = [ties(x), ties(y)].concat();
        let reach = -normal_quantile(tail) * spread(x.len(), y.len(), &tied);
        as_index((as_f64(pairs.len() as u64) / 2.0 - CONTINUITY - reach).ceil())
    };
    let interval = (outside > 0).then(|| [pairs[outside - 1], pairs[pairs.len() - outside]]);
    Some(Shift { estimate, interval })
}

fn differences(x: &[f64], y: &[f64]) -> Option<Vec<f64>> {
    let count = x.len().checked_mul(y.len())?;
    let is_usable = count > 0 && count <= MAX_PAIRS;
    if !is_usable || x.iter().chain(y).any(|value| !value.is_finite()) {
        return None;
    }
    Some(x.iter().flat_map(|x| y.iter().map(move |y| x - y)).collect())
}

fn is_exact(x: &[f64], y: &[f64]) -> bool {
    x.len().max(y.len()) <= MAX_EXACT && ties(&[x, y].concat()).is_empty()
}

/// The sizes of groups of equal values, of two and more.
fn ties(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let equal = |a: &f64, b: &f64| (a - b).abs() <= 0.0;
    sorted.chunk_by(equal).map(<[f64]>::len).filter(|size| *size > 1).collect()
}

/// The standard deviation of W with ties: `nm/12 · (N + 1 − Σ(t³ − t)/(N(N − 1)))`, the root of it.
fn spread(n: usize, m: usize, ties: &[usize]) -> f64 {
    let [n, m] = [n, m].map(|count| as_f64(count as u64));
    let all = n + m;
    let cube = |size: &usize| as_f64(*size as u64).powi(3) - as_f64(*size as u64);
    let correction = ties.iter().map(cube).sum::<f64>() / (all * (all - 1.0)).max(1.0);
    (n * m / 12.0 * (all + 1.0 - correction)).max(0.0).sqrt()
}

/// How many arrangements of two samples without ties have each W, over all of them.
struct Arrangements {
    shares: Vec<f64>,
}

impl Arrangements {
    /// Counts them: the largest value of all is of `x`, which is above all of `y`, or of `y`.
    fn new(n: usize, m: usize) -> Self {
        let size = n * m + 1;
        let mut ways = vec![vec![0.0_f64; size]; n + 1];
        for row in &mut ways {
            row[0] = 1.0;
        }
        for others in 1..=m {
            for own in 1..=n {
                let (below, at) = ways.split_at_mut(own);
                let (Some(fewer), Some(row)) = (below.last(), at.first_mut()) else { continue };
                for w in others..size {
                    row[w] += fewer[w - others];
                }
            }
        }
        let counts = ways.pop().unwrap_or_default();
        let all = counts.iter().sum::<f64>();
        Self { shares: counts.iter().map(|count| count / all).collect() }
    }

    /// The share of those with this W or less.
    fn at_most(&self, w: usize) -> f64 {
        self.shares.iter().take(w + 1).sum::<f64>().min(1.0)
    }

    /// The least W that is reached or stayed below with at least this chance.
    fn quantile(&self, chance: f64) -> usize {
        let mut sum = 0.0;
        let enough = self.shares.iter().position(|share| {
            sum += share;
            sum >= chance - ROUNDING
        });
        enough.unwrap_or(0)
    }
}

/// Sums of shares are exact to far more digits than that.
const ROUNDING: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, within: f64) {
        assert!((value - expected).abs() <= within, "{value} instead of {expected}");
    }

    const X: [f64; 10] = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const Y: [f64; 5] = [1.15, 0.88, 0.90, 0.74, 1.21];

    /// Golden value P10: the permeability of membranes in the help of R.
    #[test]
    fn the_example_of_r_has_its_known_figures() {
        let test = rank_test(&X, &Y).unwrap();
        near(test.w, 35.0, 0.0);
        near(test.greater, 0.1272, 5e-5);
        assert!(test.is_exact);
        let shift = shift(&X, &Y, 0.95).unwrap();
        near(shift.estimate, 0.305, 1e-9);
        let [low, high] = shift.interval.unwrap();
        near(low, -0.15, 1e-9);
        near(high, 0.76, 1e-9);
    }

    #[test]
    fn the_other_way_round_everything_is_mirrored() {
        let (there, back) = (rank_test(&X, &Y).unwrap(), rank_test(&Y, &X).unwrap());
        near(back.w, 50.0 - there.w, 0.0);
        near(back.less, there.greater, 1e-12);
        let [low, high] = shift(&Y, &X, 0.95).unwrap().interval.unwrap();
        near(low, -0.76, 1e-9);
        near(high, 0.15, 1e-9);
    }

    /// By hand: of 286 arrangements of 3 beside 10, 1, 1, 2 and 3 have W 0, 1, 2 and 3, and 7 of
    /// them are at most 2.4 %, which is what leaves the fourth difference as the interval's end.
    #[test]
    fn three_beside_ten_are_counted() {
        let base: Vec<f64> = (0..10).map(f64::from).collect();
        let test = rank_test(&[10.5, 11.0, 12.0], &base).unwrap();
        near(test.greater, 1.0 / 286.0, 1e-12);
        near(test.two_sided(), 2.0 / 286.0, 1e-12);
        let all = Arrangements::new(3, 10);
        near(all.at_most(3), 7.0 / 286.0, 1e-12);
        assert_eq!(all.quantile(0.025), 4);
    }

    /// For all sizes: the counts come to the binomial coefficient, by Pascal's rule.
    #[test]
    fn every_arrangement_is_counted_once() {
        for (n, m, least) in [(1, 1, 2.0), (3, 10, 286.0), (5, 20, 53_130.0), (2, 39, 820.0)] {
            near(Arrangements::new(n, m).at_most(0) * least, 1.0, 1e-9);
            near(Arrangements::new(n, m).at_most(n * m), 1.0, 1e-12);
        }
    }

    /// The figures are those of the usual statistical packages, which correct for ties and for
    /// continuity alike.
    #[test]
    fn ties_use_the_normal_distribution_with_both_corrections() {
        let test = rank_test(&[1.0, 2.0, 2.0, 3.0], &[2.0, 3.0, 4.0, 4.0]).unwrap();
        near(test.w, 2.5, 0.0);
        assert!(!test.is_exact);
        // Variance 16/12·(9 − (24 + 6 + 6)/56); z = (8 − 2.5 − 0.5)/σ.
        let sigma = (16.0_f64 / 12.0 * (9.0 - 36.0 / 56.0)).sqrt();
        near(test.less, normal_below(-5.0 / sigma), 1e-12);
        near(test.two_sided(), 0.134, 0.001);
        let same = rank_test(&[1.0; 3], &[1.0; 4]).unwrap();
        near(same.two_sided(), 1.0, 0.0);
        let equal = shift(&[1.0; 3], &[1.0; 10], 0.95).unwrap();
        near(equal.estimate, 0.0, 0.0);
    }

    #[test]
    fn the_normal_distribution_agrees_with_the_count_where_both_can_be_had() {
        let x: Vec<f64> = (0..40).map(|n| f64::from(n) * 1.01).collect();
        let y: Vec<f64> = (0..40).map(|n| f64::from(n) + 2.5).collect();
        let exact = rank_test(&x, &y).unwrap();
        assert!(exact.is_exact);
        let middle = 800.0;
        let normal = normal_below(-(middle - exact.w - CONTINUITY) / spread(40, 40, &[]));
        near(exact.less, normal, 0.002);
        let sum = exact.less + exact.greater;
        assert!((1.0..1.01).contains(&sum), "what equals W is in both: {sum}");
    }

    #[test]
    fn too_few_values_have_no_interval_and_nothing_has_no_test() {
        assert_eq!(shift(&[2.0, 3.0, 4.0], &[1.0, 0.0, 0.5], 0.95).unwrap().interval, None);
        assert!(
            shift(&[2.0, 3.0, 4.0, 5.0], &[1.0, 0.0, 0.5, 0.6], 0.95).unwrap().interval.is_some()
        );
        assert_eq!(rank_test(&[], &[1.0]), None);
        assert_eq!(rank_test(&[f64::NAN], &[1.0]), None);
        assert_eq!(shift(&[f64::INFINITY], &[1.0], 0.95), None);
        assert_eq!(rank_test(&vec![0.0; 2_000], &vec![1.0; 2_000]), None);
    }
}
