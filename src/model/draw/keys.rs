//! Which of a route's things is asked for.

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Zipf};

use crate::model::{Keys, RECENT};
use crate::stats::counts::{as_f64, as_index};

/// Keys that are drawn: numbers, the most popular is 1.
#[derive(Debug)]
pub struct KeyDraw {
    keys: Keys,
    /// `None` where the numbers allow no such law.
    popularity: Option<Zipf<f64>>,
    /// Those asked for last, without repetition.
    recent: VecDeque<u64>,
    next_once: u64,
}

impl KeyDraw {
    /// Nothing was asked for yet.
    pub fn new(keys: Keys) -> Self {
        Self {
            popularity: Zipf::new(as_f64(keys.count.max(1)), keys.exponent).ok(),
            recent: VecDeque::new(),
            next_once: keys.count,
            keys,
        }
    }

    /// The next key.
    pub fn draw(&mut self, random: &mut impl Rng) -> u64 {
        let mut chance: f64 = random.random();
        if chance < self.keys.recent && !self.recent.is_empty() {
            let place = random.random_range(0..self.recent.len());
            return self.recent.get(place).copied().unwrap_or(1);
        }
        chance -= self.keys.recent;
        if chance < self.keys.once {
            self.next_once += 1;
            return self.next_once;
        }
        let rank = self.popularity.map_or(1.0, |law| law.sample(random));
        let key = as_index(rank).max(1) as u64;
        if self.keys.recent > 0.0 {
            self.recent.retain(|other| *other != key);
            self.recent.push_back(key);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
        key
    }
}
