//! A distribution in a few numbers: points between which it is even, or a lognormal.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::model::owners::are_common;
use crate::model::{ANONYMOUS, rounded};
use crate::stats::counts::as_f64;
use crate::stats::tails::{LogNormal, distance_from, lognormal};

/// Points of a distribution: a share, and the value below which that share lies. Shares begin with
/// 0 and end with 1; both only rise.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch(Vec<[f64; 2]>);

/// Bins of a sketch that is fitted.
const BINS: usize = 32;

/// Points of a sketch that is read.
pub const MAX_POINTS: usize = 256;

/// A value, and who had it.
pub type Owned = (f64, u32);

impl Sketch {
    /// Points as they are; the reason where they are no distribution.
    pub fn new(points: Vec<[f64; 2]>) -> Result<Self, &'static str> {
        if points.len() < 2 || points.len() > MAX_POINTS {
            return Err("a distribution has from 2 to 256 points");
        }
        let is_number = |[share, value]: &[f64; 2]| {
            (0.0..=1.0).contains(share) && value.is_finite() && *value >= 0.0
        };
        if !points.iter().all(is_number) {
            return Err("a point is a share from 0 to 1 and a value from 0 on");
        }
        let rises = points.windows(2).all(|pair| match pair {
            [[share, value], [next_share, next]] => share <= next_share && value <= next,
            _ => true,
        });
        let ends = points.first().is_some_and(|point| point[0] <= 0.0)
            && points.last().is_some_and(|point| point[0] >= 1.0);
        if rises && ends {
            Ok(Self(points))
        } else {
            Err("the shares of a distribution rise from 0 to 1, and its values with them")
        }
    }

    /// One value only.
    pub fn constant(value: f64) -> Self {
        Self(vec![[0.0, value], [1.0, value]])
    }

    /// The sketch of values in ascending order: each bin has the values of at least [`ANONYMOUS`]
    /// owners, so that a bin tells of nobody. `None` with fewer owners than that.
    pub fn fit(sorted: &[Owned]) -> Option<Self> {
        let count = sorted.len();
        // The smallest and the largest are somebody's: where few have them, the ends lie beyond.
        let (first, last) = (sorted.first()?.0, sorted.last()?.0);
        let low = if is_common(sorted.iter(), first) { first } else { foot(first) };
        let high = if is_common(sorted.iter().rev(), last) { last } else { ceiling(last) };
        let mut edges = vec![(0, low)];
        let mut owners = BTreeSet::new();
        let mut begun = 0;
        for (index, (value, owner)) in sorted.iter().enumerate() {
            if owners.len() < ANONYMOUS {
                owners.insert(*owner);
            }
            let is_full = (index + 1 - begun) * BINS >= count;
            if is_full && owners.len() >= ANONYMOUS {
                edges.push((index + 1, *value));
                owners.clear();
                begun = index + 1;
            }
        }
        if edges.len() == 1 {
            return None;
        }
        // What is left over joins the last bin.
        edges.pop();
        edges.push((count, high));
        let share = |index: usize| rounded(as_f64(index as u64) / as_f64(count as u64));
        let mut points: Vec<[f64; 2]> = Vec::with_capacity(edges.len());
        for (place, (index, value)) in edges.iter().enumerate() {
            if let Some((from, low)) = place.checked_sub(1).and_then(|before| edges.get(before)) {
                let within = sorted.get(*from..*index).unwrap_or(&[]);
                points.extend(knee(within, *low, *value).map(|[part, at]| {
                    let width = share(*index) - share(*from);
                    [rounded(share(*from) + part * width), rounded(at)]
                }));
            }
            points.push([share(*index), rounded(*value)]);
        }
        points.dedup();
        if let Some(last) = points.last_mut() {
            last[0] = 1.0;
        }
        Some(Self(points))
    }

    /// The points.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.0
    }

    /// The largest value.
    pub fn most(&self) -> f64 {
        self.0.last().map_or(0.0, |point| point[1])
    }

    /// The value below which a share lies. Between two points values are as likely as their
    /// logarithms, since what is measured spreads over decades.
    pub fn at(&self, share: f64) -> f64 {
        let next = self.0.partition_point(|point| point[0] <= share).min(self.0.len() - 1);
        let Some(([from, low], [to, high])) =
            next.checked_sub(1).and_then(|before| Some((*self.0.get(before)?, *self.0.get(next)?)))
        else {
            return self.0.first().map_or(0.0, |point| point[1]);
        };
        let part = if to > from { ((share - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
        if high <= low {
            low
        } else if low > 0.0 && high > 2.0 * low {
            low * (high / low).powf(part)
        } else {
            low + (high - low) * part
        }
    }
}

/// A point within a wide bin, so that what is drawn of it is as large on average as what was
/// measured: of few values a bin is a decade wide, and most of them are at one end of it. It is at
/// the mean of the bin, which tells no more of anybody than its ends do; its share of the bin is
/// that which keeps the mean. `None` for a bin that is narrow, or whose ends say it well enough.
fn knee(within: &[Owned], low: f64, high: f64) -> Option<[f64; 2]> {
    /// A mean that is nearer to what the ends give needs no point.
    const NEAR: f64 = 0.05;
    if low <= 0.0 || high <= 2.0 * low || within.is_empty() {
        return None;
    }
    let sum: f64 = within.iter().map(|(value, _)| value).sum();
    let mean = (sum / as_f64(within.len() as u64)).clamp(low, high);
    if (mean / mean_between(low, high) - 1.0).abs() <= NEAR {
        return None;
    }
    let (below, above) = (mean_between(low, mean), mean_between(mean, high));
    (above > below).then(|| [(above - mean) / (above - below), mean])
}

/// The mean of what lies between two points: see [`Sketch::at`].
fn mean_between(low: f64, high: f64) -> f64 {
    if high > 2.0 * low { (high - low) / (high / low).ln() } else { f64::midpoint(low, high) }
}

/// How a quantity is distributed.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// A lognormal, cut at `most`.
    LogNormal {
        /// Its median.
        median: f64,
        /// Standard deviation of its logarithm.
        sigma: f64,
        /// The largest value.
        most: f64,
    },
    /// Points.
    Points(Sketch),
}

/// Distance from a lognormal up to which one is taken for what is measured.
const NEAR: f64 = 0.03;

/// Largest deviation of logarithms of a lognormal: 20 is a factor of half a billion.
pub const MAX_SIGMA: f64 = 20.0;

/// Fewest values for points of their own; fewer are taken for a lognormal, where that is possible.
const FEW: usize = 4 * ANONYMOUS;

impl Law {
    /// The law of values with their owners. `None` where they have too few owners, or one of them
    /// has too many of the values.
    pub fn fit(values: &[Owned]) -> Option<Self> {
        if !are_common(values.iter().map(|(_, owner)| *owner)) {
            return None;
        }
        let mut values = values.to_vec();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let sketch = Sketch::fit(&values)?;
        let plain: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
        let Some(LogNormal { mu, sigma }) = lognormal(&plain) else {
            return Some(Self::Points(sketch));
        };
        let law = LogNormal { mu, sigma };
        let is_near = plain.len() < FEW || distance_from(&plain, &|value| law.below(value)) <= NEAR;
        if is_near && sigma > 0.0 && sigma <= MAX_SIGMA {
            let most = ceiling(plain.last().copied().unwrap_or(0.0));
            return Some(Self::LogNormal {
                median: rounded(mu.exp()),
                sigma: rounded(sigma),
                most,
            });
        }
        Some(Self::Points(sketch))
    }

    /// A value of it.
    pub fn draw(&self, random: &mut impl Rng) -> f64 {
        match self {
            Self::Points(sketch) => sketch.at(random.random()),
            Self::LogNormal { median, sigma, most } => {
                let normal: f64 = random.sample(StandardNormal);
                (median * (sigma * normal).exp()).min(*most)
            }
        }
    }
}

/// At least [`ANONYMOUS`] owners have the value that comes first.
fn is_common<'a>(from: impl Iterator<Item = &'a Owned>, value: f64) -> bool {
    let mut owners = BTreeSet::new();
    from.take_while(|each| each.0.total_cmp(&value).is_eq()).any(|each| {
        owners.insert(each.1);
        owners.len() >= ANONYMOUS
    })
}

/// A bound that is never the largest value itself: the next number of two digits above it.
pub fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let step = two_digits(value);
    let next = |by: f64| rounded(((value / step).floor() + by) * step);
    // Decimal fractions are none of the computer's: 0.29 / 0.01 is a little less than 29.
    [1.0, 2.0].into_iter().map(next).find(|bound| *bound > value).unwrap_or_else(|| next(3.0))
}

/// The same below the smallest value.
fn foot(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let step = two_digits(value);
    rounded((((value / step).ceil() - 1.0) * step).max(0.0))
}

/// What the second digit of a number counts in.
fn two_digits(value: f64) -> f64 {
    10.0_f64.powf(value.log10().floor() - 1.0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rand_distr::LogNormal as Normal;

    use super::*;

    fn owned(values: &[f64], owners: u32) -> Vec<Owned> {
        (0..).zip(values).map(|(index, value)| (*value, index % owners)).collect()
    }

    #[test]
    fn points_that_are_no_distribution_are_refused() {
        assert!(Sketch::new(vec![[0.0, 1.0], [1.0, 2.0]]).is_ok());
        for points in [
            vec![],
            vec![[0.0, 1.0]],
            vec![[0.0, 2.0], [1.0, 1.0]],
            vec![[0.1, 1.0], [1.0, 2.0]],
            vec![[0.0, 1.0], [0.9, 2.0]],
            vec![[0.0, -1.0], [1.0, 2.0]],
            vec![[0.0, f64::NAN], [1.0, 2.0]],
            vec![[0.0, 1.0]; 300],
        ] {
            assert!(Sketch::new(points.clone()).is_err(), "{points:?}");
        }
    }

    #[test]
    fn a_bin_has_the_values_of_twenty_owners() {
        let values: Vec<f64> = (1..=3_200_u32).map(f64::from).collect();
        let sketch = Sketch::fit(&owned(&values, 1_000)).unwrap();
        // One more for the first bin, from 0.9 to 100: its mean is at 50 and not at 21.
        assert_eq!(sketch.points().len(), 34);
        assert!((sketch.points()[1][1] - 50.0).abs() < 10.0, "{:?}", &sketch.points()[..3]);
        assert!((sketch.at(0.5) - 1_600.0).abs() < 10.0, "{}", sketch.at(0.5));
        // Owned by ten, they are nobody else's business.
        assert_eq!(Sketch::fit(&owned(&values, 10)), None);
        // One who sent the largest hundred alone has no bin of his own.
        let mut values = owned(&values, 1_000);
        for (_, owner) in values.iter_mut().rev().take(100) {
            *owner = 5_000;
        }
        let sketch = Sketch::fit(&values).unwrap();
        let [[_, least], .., [share, value], [_, most]] = sketch.points() else {
            panic!("too short")
        };
        assert!(*share < 0.97 && *value < 3_100.0, "{sketch:?}");
        // Nor do the ends tell what one of them sent, unless twenty sent the same.
        assert!(*least < 1.0 && *most > 3_200.0, "{sketch:?}");
        let same = Sketch::fit(&owned(&[41.0; 100], 30)).unwrap();
        assert!(same.points().iter().all(|point| (point[1] - 41.0).abs() < 1e-9), "{same:?}");
    }

    #[test]
    fn draws_are_distributed_as_the_values_were() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let law = Normal::new(1.0, 0.8).unwrap();
        let values: Vec<f64> = (0..5_000).map(|_| random.sample(law)).collect();
        let fitted = Law::fit(&owned(&values, 5_000)).unwrap();
        assert!(matches!(fitted, Law::LogNormal { .. }), "{fitted:?}");
        let even: Vec<f64> = (0..5_000_u32).map(|index| f64::from(index % 100)).collect();
        let points = Law::fit(&owned(&even, 5_000)).unwrap();
        assert!(matches!(points, Law::Points(_)), "{points:?}");
        for (law, values) in [(fitted, values), (points, even)] {
            let mut drawn: Vec<f64> = (0..5_000).map(|_| law.draw(&mut random)).collect();
            let mut values = values;
            drawn.sort_unstable_by(f64::total_cmp);
            values.sort_unstable_by(f64::total_cmp);
            for at in [500, 2_500, 4_500] {
                let ratio = drawn[at] / values[at];
                assert!((ratio - 1.0).abs() < 0.15, "{law:?} {at}: {ratio}");
            }
        }
    }

    /// Of few values, bins are wide: what is drawn is not larger than what was measured for that.
    #[test]
    fn few_values_with_a_few_large_ones_have_no_long_tail() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let values: Vec<f64> = (0..100_u32)
            .map(|n| if n < 99 { 1_000.0 + f64::from(n) * 5.0 } else { 198_500.0 })
            .collect();
        let law = Law::fit(&owned(&values, 100)).unwrap();
        assert!(matches!(&law, Law::Points(sketch) if sketch.most() > 198_500.0), "{law:?}");
        let drawn: Vec<f64> = (0..20_000).map(|_| law.draw(&mut random)).collect();
        let [recorded, mean] = [&values, &drawn]
            .map(|values| values.iter().sum::<f64>() / as_f64(values.len() as u64));
        // Without the point in the last bin, it would be nearly three times as much.
        assert!((mean / recorded - 1.0).abs() < 0.1, "{mean} for {recorded}");
    }

    #[test]
    fn a_law_that_is_mostly_one_clients_is_none() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let law = Normal::new(1.0, 0.8).unwrap();
        let values: Vec<f64> = (0..4_000).map(|_| random.sample(law)).collect();
        let of_one = |share: usize| {
            let mut values = owned(&values, 100);
            for (_, owner) in values.iter_mut().take(share) {
                *owner = 7;
            }
            Law::fit(&values)
        };
        assert!(of_one(500).is_some());
        assert_eq!(of_one(2_000), None);
    }

    #[test]
    fn a_ceiling_is_not_the_value() {
        for (value, expected) in [
            (0.0, 0.0),
            (1_234.0, 1_300.0),
            (99.5, 100.0),
            (0.0123, 0.013),
            (4_200.0, 4_300.0),
            (40e6, 41e6),
        ] {
            assert!((ceiling(value) - expected).abs() < 1e-9, "{value}: {}", ceiling(value));
        }
        assert!((foot(4_200.0) - 4_100.0).abs() < 1e-9 && (foot(1_234.0) - 1_200.0).abs() < 1e-9);
        assert_eq!(rounded(1.0 / 3.0).to_string(), "0.3333");
    }

    /// A bound of two digits is never the value, also of fractions that have no exact number.
    #[test]
    fn a_ceiling_is_above_its_value() {
        for digits in 10..100_u32 {
            for scale in [1e-3, 1e-2, 1e-1, 1.0, 1e3] {
                let value = f64::from(digits) * scale;
                let bound = ceiling(value);
                assert!(bound > value && bound < value * 1.25, "{bound} for {value}");
            }
            let value = f64::from(digits) / 100.0;
            assert!(ceiling(value) > value, "{value}");
        }
    }
}
