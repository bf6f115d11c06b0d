//! One of a few things, each with its share.

use rand::{Rng, RngExt};

/// Things and the sum of the shares up to each. Shares need not add up to 1.
#[derive(Clone, Debug)]
pub struct Choice<T> {
    sums: Vec<f64>,
    things: Vec<T>,
}

impl<T> Choice<T> {
    /// A choice of things with their shares.
    pub fn of(shares: impl Iterator<Item = (T, f64)>) -> Self {
        let (mut sums, mut things, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (thing, share) in shares {
            sum += share.max(0.0);
            sums.push(sum);
            things.push(thing);
        }
        Self { sums, things }
    }

    /// One of them; `None` where there is none, or all shares are 0.
    pub fn pick(&self, random: &mut impl Rng) -> Option<&T> {
        let sum = self.sums.last().copied().filter(|sum| *sum > 0.0)?;
        let drawn = random.random::<f64>() * sum;
        let index = self.sums.partition_point(|before| *before <= drawn);
        self.things.get(index.min(self.things.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    #[test]
    fn things_are_picked_by_their_shares() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let choice = Choice::of([('a', 0.2), ('b', 0.0), ('c', 0.6)].into_iter());
        let picked: Vec<char> =
            (0..4_000).filter_map(|_| choice.pick(&mut random)).copied().collect();
        let count = |wanted| picked.iter().filter(|thing| **thing == wanted).count();
        assert!(count('a').abs_diff(1_000) < 120 && count('b') == 0, "{}", count('a'));
        assert_eq!(Choice::of([('a', 0.0)].into_iter()).pick(&mut random), None);
        assert_eq!(Choice::<u8>::of([].into_iter()).pick(&mut random), None);
    }
}
