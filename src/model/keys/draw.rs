//! Which of a route's things is asked for.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Zipf};

use crate::model::Keys;
use crate::model::keys::stack::Stack;
use crate::stats::counts::{as_f64, as_index};

/// Keys that are drawn: numbers, the most popular is 1.
///
/// A key is drawn by its popularity alone, from all; or from among those asked for lately, at a
/// distance and there by its popularity; or from those that were not asked for lately. The latter
/// two are what is seen more often than popularity says: so keys that are independent of one
/// another stay so, and those that come again soon do.
#[derive(Debug)]
pub struct KeyDraw {
    exponent: f64,
    count: u64,
    once: f64,
    /// `None` where the numbers allow no such law.
    popularity: Option<Zipf<f64>>,
    /// Distances from the one before on to this one, and the share up to it.
    recent: Vec<(usize, f64)>,
    /// The share up to which keys are such that were not asked for lately.
    fresh: f64,
    stack: Option<Stack>,
    next_once: u64,
}

/// How often a key is drawn that was not asked for lately, before the last one is taken for it:
/// where nearly all are recent, there is hardly another one.
const TRIES: u32 = 16;

/// The weight of the most popular key: whole numbers add up exactly.
const HEAVIEST: f64 = 4_294_967_296.0;

impl KeyDraw {
    /// Nothing was asked for yet.
    pub fn new(keys: &Keys) -> Self {
        let mut sum = 0.0;
        let distances = keys.recent.iter().map(|(most, share)| {
            sum += share;
            (usize::try_from(*most).unwrap_or(usize::MAX), sum)
        });
        let recent: Vec<(usize, f64)> = distances.collect();
        Self {
            exponent: keys.exponent,
            count: keys.count,
            once: keys.once,
            popularity: Zipf::new(as_f64(keys.count.max(1)), keys.exponent).ok(),
            stack: recent.last().map(|(most, _)| Stack::new(*most)),
            fresh: sum + keys.fresh,
            recent,
            next_once: keys.count,
        }
    }

    /// The next key.
    pub fn draw(&mut self, random: &mut impl Rng) -> u64 {
        if self.once > 0.0 && random.random::<f64>() < self.once {
            self.next_once += 1;
            if let Some(stack) = &mut self.stack {
                stack.touch(self.next_once, 0);
            }
            return self.next_once;
        }
        let Some(mut stack) = self.stack.take() else { return self.popular(random) };
        let chance: f64 = random.random();
        let (key, weight) = self.again(&stack, chance, random).unwrap_or_else(|| {
            let mut key = self.popular(random);
            let tries = if chance < self.fresh { TRIES } else { 1 };
            for _ in 1..tries {
                if !stack.has(key) {
                    break;
                }
                key = self.popular(random);
            }
            (key, self.weight(key))
        });
        stack.touch(key, weight);
        self.stack = Some(stack);
        key
    }

    /// One of those asked for lately; `None` where it is to be another one, or none is so far back:
    /// then it is one that was not.
    fn again(&self, stack: &Stack, chance: f64, random: &mut impl Rng) -> Option<(u64, u64)> {
        let at = self.recent.partition_point(|(_, sum)| *sum <= chance);
        let (to, _) = self.recent.get(at)?;
        let from = at.checked_sub(1).and_then(|at| self.recent.get(at)).map_or(1, |(to, _)| to + 1);
        stack.pick(from, *to, random)
    }

    fn popular(&self, random: &mut impl Rng) -> u64 {
        let rank = self.popularity.map_or(1.0, |law| law.sample(random));
        as_index(rank).max(1) as u64
    }

    fn weight(&self, key: u64) -> u64 {
        if key > self.count {
            return 0;
        }
        (as_index(HEAVIEST * as_f64(key).powf(-self.exponent)) as u64).max(1)
    }
}
