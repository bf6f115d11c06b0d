//! Sizes of bodies: none, a middle, and a tail that is a power law where enough was recorded.

use rand::{Rng, RngExt};

use crate::model::owners::{Owners, are_common, thin};
use crate::model::rounded;
use crate::model::sketch::{Law, Owned, Sketch, ceiling};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::tails::{bounded_index, tail};

/// How many bytes bodies have.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Share of those that have none.
    pub empty: f64,
    /// Those below the tail.
    pub middle: Law,
    /// The largest.
    pub tail: Option<PowerTail>,
    /// Bytes that none exceeds.
    pub most: f64,
}

/// A Pareto tail, spliced on where the middle ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerTail {
    /// Share of the bodies that are not empty.
    pub share: f64,
    /// Bytes from which on it is one.
    pub start: f64,
    /// Its index α.
    pub index: f64,
}

/// Fewest values of a tail that is taken for a power law.
const LEAST_TAIL: usize = 500;

/// Distance from a power law up to which a tail is one.
const NEAR: f64 = 0.05;

/// Values that a tail should have beyond the largest, from which on it ends there.
const SEVERAL: f64 = 3.0;

/// Times that a size of the middle is drawn anew where it is one of the tail.
const REDRAWS: usize = 16;

/// Share of a tail that may be heaped up at the largest value.
const HEAP: f64 = 0.005;

/// Indexes of tails: beyond, there is nothing heavy in it.
const HEAVY: std::ops::RangeInclusive<f64> = 0.2..=5.0;

impl Sizes {
    /// No bodies at all.
    pub fn none() -> Self {
        Self { empty: 1.0, middle: Law::Points(Sketch::constant(0.0)), tail: None, most: 0.0 }
    }

    /// The sizes of values with their owners, of whom none counts for more than a quarter. What too
    /// few have is told of nobody: where nearly all have no body, none has one, and where too few
    /// have any, sizes are the `usual` ones.
    pub fn fit(values: &[Owned], usual: &Self) -> Self {
        let mut values = values.to_vec();
        thin(&mut values);
        let mut sizes: Vec<Owned> =
            values.iter().copied().filter(|(size, _)| *size > 0.0).collect();
        if sizes.is_empty() {
            return Self::none();
        }
        let owners = |is_empty: bool| -> Owners {
            let of = values.iter().filter(|(size, _)| (*size <= 0.0) == is_empty);
            of.map(|(_, owner)| *owner).collect()
        };
        let (has_empty, has_sizes) = (owners(true).are_enough(), owners(false).are_enough());
        if !are_common(values.iter().map(|(_, owner)| *owner)) {
            return usual.clone();
        }
        if !has_sizes {
            return if has_empty { Self::none() } else { usual.clone() };
        }
        let all = as_f64(values.len() as u64);
        let empty = if has_empty { rounded(1.0 - as_f64(sizes.len() as u64) / all) } else { 0.0 };
        if empty >= 1.0 {
            return Self::none();
        }
        sizes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        thin(&mut sizes);
        let usual =
            || if usual.most > 0.0 { Self { empty, ..usual.clone() } } else { Self::none() };
        Self::of_sizes(&sizes, empty).unwrap_or_else(usual)
    }

    /// Those that are not empty, in ascending order. `None` where too few have them, or one has
    /// too many.
    fn of_sizes(sizes: &[Owned], empty: f64) -> Option<Self> {
        let plain: Vec<f64> = sizes.iter().map(|(size, _)| *size).collect();
        let most = ceiling(plain.last().copied().unwrap_or(0.0));
        let found = tail(&plain).filter(|tail| {
            let owners = sizes[sizes.len() - tail.count.min(sizes.len())..].iter();
            // The uploads of a few are no law of the others'.
            tail.count >= LEAST_TAIL
                && tail.distance <= NEAR
                && HEAVY.contains(&tail.index)
                && are_common(owners.map(|(_, owner)| *owner))
        });
        let below = found.map_or(sizes.len(), |tail| sizes.len() - tail.count);
        let count = as_f64(sizes.len() as u64);
        if let (Some(found), Some(middle)) = (found, Law::fit(&sizes[..below])) {
            let share = rounded(as_f64(found.count as u64) / count);
            let largest = most / found.start;
            let beyond = largest.powf(-found.index);
            // Where several values are missing beyond the largest, it ends there.
            let ends = beyond * as_f64(found.count as u64) > SEVERAL;
            let index = if ends { bounded_index(1.0 / found.index, largest) } else { found.index };
            let tail = PowerTail { share, start: rounded(found.start), index: rounded(index) };
            return Some(Self { empty, middle, tail: Some(tail), most });
        }
        Some(Self { empty, middle: Law::fit(sizes)?, tail: None, most })
    }

    /// The size of a body.
    pub fn draw(&self, random: &mut impl Rng) -> u64 {
        if self.empty > 0.0 && random.random::<f64>() < self.empty {
            return 0;
        }
        let size = match self.tail {
            Some(tail) if random.random::<f64>() < tail.share => {
                // A law that ends has no heap there; the rare one beyond the largest is as large.
                let cut = (tail.start / self.most.max(tail.start)).powf(tail.index);
                let cut = if cut > HEAP { cut } else { 0.0 };
                let beyond: f64 = 1.0 - random.random::<f64>() * (1.0 - cut);
                tail.start * beyond.powf(-1.0 / tail.index)
            }
            // The middle of a law that got its tail from an edit reaches into it.
            Some(tail) => (0..REDRAWS)
                .map(|_| self.middle.draw(random))
                .find(|size| *size <= tail.start)
                .unwrap_or(tail.start),
            None => self.middle.draw(random),
        };
        as_index(size.min(self.most).round()).max(1) as u64
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use rand_distr::{LogNormal, Pareto};

    use super::*;

    #[test]
    fn a_tail_is_found_and_drawn_again() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (body, tail) =
            (LogNormal::new(9.357, 1.318).unwrap(), Pareto::new(133_000.0, 1.1).unwrap());
        let mut draw = |index: u32| {
            let is_tail = random.random::<f64>() < 0.07;
            let size: f64 = if is_tail { random.sample(tail) } else { random.sample(body) };
            (if is_tail { size } else { size.min(133_000.0) }, index)
        };
        let values: Vec<Owned> = (0..20_000).map(&mut draw).collect();
        let sizes = Sizes::fit(&values, &Sizes::none());
        let found = sizes.tail.unwrap();
        assert!((found.index - 1.1).abs() < 0.1, "{found:?}");
        let again: Vec<Owned> = (0..20_000).map(|n| (as_f64(sizes.draw(&mut random)), n)).collect();
        let again = Sizes::fit(&again, &Sizes::none()).tail.unwrap();
        assert!((again.index - found.index).abs() < 0.15, "{found:?} {again:?}");
    }

    #[test]
    fn nothing_and_one_size_and_what_a_few_have_are_told() {
        let usual = Sizes { empty: 0.5, most: 90.0, ..Sizes::none() };
        let fit = |values: &[Owned]| Sizes::fit(values, &usual);
        assert_eq!(fit(&[]), Sizes::none());
        assert_eq!(fit(&[(0.0, 1), (0.0, 2)]), Sizes::none());
        let same: Vec<Owned> = (0..100).map(|owner| (4_213.0, owner)).collect();
        let sizes = fit(&same);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        assert_eq!((sizes.draw(&mut random), sizes.empty.to_bits()), (4_213, 0));
        // What three clients sent is nowhere, neither its size nor that there was any.
        let few = [(41_234_567.0, 1), (41_234_567.0, 2), (41_234_567.0, 3)];
        let none = (10..60).map(|owner| (0.0, owner));
        assert_eq!(fit(&none.clone().chain(few).collect::<Vec<_>>()), Sizes::none());
        assert_eq!(fit(&few), usual);
        // Of what is mostly one client's, as much is taken as a quarter of all.
        let one = (0..60).map(|n| (900.0 + f64::from(n), if n < 20 { 100 + n } else { 1 }));
        let mixed: Vec<Owned> = none.clone().chain(none.clone()).chain(none).chain(one).collect();
        let thinned = fit(&mixed);
        assert!(thinned.most < 1_000.0 && (0.7..0.9).contains(&thinned.empty), "{thinned:?}");
        // Nothing usual is no size: then there are none, and not some of nothing.
        let monitor = (0..2_000).map(|n| (40_000.0 + f64::from(n % 7), 1));
        let others = (0..400).map(|owner| (110_000.0 + f64::from(owner), owner + 10));
        let both: Vec<Owned> = monitor.chain(others).collect();
        let sizes = Sizes::fit(&both, &Sizes::none());
        assert!(sizes.empty <= 0.0 && sizes.most >= 110_000.0, "{sizes:?}");
        let mean = (0..999).map(|_| as_f64(sizes.draw(&mut random))).sum::<f64>() / 999.0;
        assert!((80_000.0..100_000.0).contains(&mean), "{mean}");
    }
}
