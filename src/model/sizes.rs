//! Sizes of bodies: none, a middle, and a tail that is a power law where enough was recorded.

use std::collections::BTreeSet;

use rand::{Rng, RngExt};

use crate::model::sketch::{Law, Owned, Sketch, ceiling};
use crate::model::{ANONYMOUS, rounded};
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

/// Share of a tail that may be heaped up at the largest value.
const HEAP: f64 = 0.005;

/// Indexes of tails: beyond, there is nothing heavy in it.
const HEAVY: std::ops::RangeInclusive<f64> = 0.2..=5.0;

impl Sizes {
    /// No bodies at all.
    pub fn none() -> Self {
        Self { empty: 1.0, middle: Law::Points(Sketch::constant(0.0)), tail: None, most: 0.0 }
    }

    /// The sizes of values with their owners. Where those that are not empty have too few owners,
    /// all that is said is how large half of them are.
    pub fn fit(values: &[Owned]) -> Self {
        let mut sizes: Vec<Owned> =
            values.iter().copied().filter(|(size, _)| *size > 0.0).collect();
        if sizes.is_empty() {
            return Self::none();
        }
        sizes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let all = as_f64(values.len() as u64);
        let empty = rounded(1.0 - as_f64(sizes.len() as u64) / all);
        let plain: Vec<f64> = sizes.iter().map(|(size, _)| *size).collect();
        let most = ceiling(plain.last().copied().unwrap_or(0.0));
        let found = tail(&plain).filter(|tail| {
            let owners = sizes[sizes.len() - tail.count.min(sizes.len())..].iter();
            let owners: BTreeSet<u32> = owners.map(|(_, owner)| *owner).collect();
            // The uploads of a few are no law of the others'.
            tail.count >= LEAST_TAIL
                && tail.distance <= NEAR
                && HEAVY.contains(&tail.index)
                && owners.len() >= ANONYMOUS
        });
        let below = found.map_or(sizes.len(), |tail| sizes.len() - tail.count);
        let count = as_f64(sizes.len() as u64);
        if let (Some(found), Some(middle)) = (found, Law::fit(&mut sizes[..below])) {
            let share = rounded(as_f64(found.count as u64) / count);
            let largest = most / found.start;
            let beyond = largest.powf(-found.index);
            // Where several values are missing beyond the largest, it ends there.
            let ends = beyond * as_f64(found.count as u64) > SEVERAL;
            let index = if ends { bounded_index(1.0 / found.index, largest) } else { found.index };
            let tail = PowerTail { share, start: rounded(found.start), index: rounded(index) };
            return Self { empty, middle, tail: Some(tail), most };
        }
        let middle = Law::fit(&mut sizes).unwrap_or_else(|| {
            // The order of magnitude of a few clients, and no size that one of them sent.
            let median = plain.get(plain.len() / 2).copied().unwrap_or(0.0);
            Law::Points(Sketch::constant(ceiling(median)))
        });
        Self { empty, middle, tail: None, most }
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
            Some(tail) => self.middle.draw(random).min(tail.start),
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
        let sizes = Sizes::fit(&values);
        let found = sizes.tail.unwrap();
        assert!((found.index - 1.1).abs() < 0.1, "{found:?}");
        let again: Vec<Owned> = (0..20_000).map(|n| (as_f64(sizes.draw(&mut random)), n)).collect();
        let again = Sizes::fit(&again).tail.unwrap();
        assert!((again.index - found.index).abs() < 0.15, "{found:?} {again:?}");
    }

    #[test]
    fn nothing_and_one_size_and_a_few_clients_are_told() {
        assert_eq!(Sizes::fit(&[]), Sizes::none());
        assert_eq!(Sizes::fit(&[(0.0, 1), (0.0, 2)]), Sizes::none());
        let same: Vec<Owned> = (0..100).map(|owner| (4_213.0, owner)).collect();
        let sizes = Sizes::fit(&same);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        assert_eq!((sizes.draw(&mut random), sizes.empty.to_bits()), (4_213, 0));
        // The size that three clients sent is not there to be read.
        let few = Sizes::fit(&[(41_234_567.0, 1), (41_234_567.0, 2), (0.0, 3), (0.0, 4)]);
        assert_eq!(few.draw(&mut random) % 1_000_000, 0, "{few:?}");
    }
}
