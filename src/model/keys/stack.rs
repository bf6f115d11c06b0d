//! The things that were asked for last, the latest first: an LRU stack from which one is picked at
//! a distance, the popular more often.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use rand::{Rng, RngExt};

/// A stack of so many keys at most. Each has a place in a row, later than those that were asked for
/// before it; a Fenwick tree over the places counts and weighs those that are there.
#[derive(Debug)]
pub struct Stack {
    most: usize,
    tree: Vec<Node>,
    /// By place: the key, and how often it is picked; `None` where it moved on.
    places: Vec<Option<(u64, u64)>>,
    place_of: HashMap<u64, usize, FixedState>,
    next: usize,
    /// No key is at an earlier place.
    oldest: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    count: u32,
    weight: u64,
}

impl Stack {
    /// An empty stack for so many keys.
    pub fn new(most: usize) -> Self {
        let places = (2 * most.max(8)).next_power_of_two();
        Self {
            most,
            tree: vec![Node::default(); places + 1],
            places: vec![None; places],
            place_of: HashMap::default(),
            next: 0,
            oldest: 0,
        }
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.place_of.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.place_of.is_empty()
    }

    /// The key is in it.
    pub fn has(&self, key: u64) -> bool {
        self.place_of.contains_key(&key)
    }

    /// Puts a key on top, with a weight that says how often it is picked.
    pub fn touch(&mut self, key: u64, weight: u64) {
        if let Some(place) = self.place_of.get(&key).copied() {
            self.clear(place);
        } else if self.len() >= self.most {
            self.forget_oldest();
        }
        if self.next >= self.places.len() {
            self.close_up();
        }
        let place = self.next;
        self.next += 1;
        self.places[place] = Some((key, weight));
        self.place_of.insert(key, place);
        self.change(place, |node| {
            node.count += 1;
            node.weight += weight;
        });
    }

    /// One of the keys from a distance to another one (1 is the key on top), by their weights;
    /// what is deeper than the stack is not there. `None` where none has any weight.
    pub fn pick(&self, from: usize, to: usize, random: &mut impl Rng) -> Option<(u64, u64)> {
        let to = to.min(self.len());
        if from == 0 || from > to {
            return None;
        }
        let (_, before) = self.place_at(self.len() - to + 1);
        let (last, below) = self.place_at(self.len() - from + 1);
        let (_, weight_of_last) = (*self.places.get(last)?)?;
        let weight = (below + weight_of_last).checked_sub(before).filter(|weight| *weight > 0)?;
        let drawn = before + random.random_range(0..weight);
        *self.places.get(self.place_of_weight(drawn))?
    }

    /// The place of the n-th key from the bottom, counted from 1, and the weight before it.
    fn place_at(&self, rank: usize) -> (usize, u64) {
        let (mut place, mut left, mut weight) = (0, rank, 0);
        let mut step = self.places.len();
        while step > 0 {
            if let Some(node) = self.tree.get(place + step)
                && (node.count as usize) < left
            {
                place += step;
                left -= node.count as usize;
                weight += node.weight;
            }
            step /= 2;
        }
        (place, weight)
    }

    /// The place whose key has this weight, of all weights before and its own.
    fn place_of_weight(&self, drawn: u64) -> usize {
        let (mut place, mut left) = (0, drawn);
        let mut step = self.places.len();
        while step > 0 {
            if let Some(node) = self.tree.get(place + step)
                && node.weight <= left
            {
                place += step;
                left -= node.weight;
            }
            step /= 2;
        }
        place
    }

    fn change(&mut self, place: usize, change: impl Fn(&mut Node)) {
        let mut index = place + 1;
        while let Some(node) = self.tree.get_mut(index) {
            change(node);
            index += index & index.wrapping_neg();
        }
    }

    fn clear(&mut self, place: usize) {
        if let Some((key, weight)) = self.places.get_mut(place).and_then(Option::take) {
            self.place_of.remove(&key);
            self.change(place, |node| {
                node.count -= 1;
                node.weight -= weight;
            });
        }
    }

    fn forget_oldest(&mut self) {
        while self.oldest < self.next && self.places[self.oldest].is_none() {
            self.oldest += 1;
        }
        self.clear(self.oldest);
    }

    /// Moves all keys to the first places, in their order: half of the places are free again.
    fn close_up(&mut self) {
        let keys: Vec<(u64, u64)> = self.places.iter().copied().flatten().collect();
        self.places.fill(None);
        self.tree.fill(Node::default());
        for (place, (key, weight)) in keys.iter().enumerate() {
            self.places[place] = Some((*key, *weight));
            self.place_of.insert(*key, place);
            self.change(place, |node| {
                node.count += 1;
                node.weight += weight;
            });
        }
        self.next = keys.len();
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    proptest! {
        /// For all keys: what is at each distance is what a list has there, the newest first.
        #[test]
        fn the_stack_is_a_list_with_the_newest_first(
            keys in prop::collection::vec(0_u64..20, 1..300),
            most in 1_usize..12,
        ) {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let (mut stack, mut list) = (Stack::new(most), Vec::<u64>::new());
            for key in keys {
                stack.touch(key, key + 1);
                list.retain(|other| *other != key);
                list.insert(0, key);
                list.truncate(most);
                prop_assert_eq!(stack.len(), list.len());
                for (distance, key) in (1..).zip(&list) {
                    prop_assert!(stack.has(*key));
                    let picked = stack.pick(distance, distance, &mut random);
                    prop_assert_eq!(picked, Some((*key, key + 1)));
                }
                prop_assert_eq!(stack.pick(list.len() + 1, 99, &mut random), None);
            }
        }
    }

    #[test]
    fn the_popular_are_picked_more_often_and_what_has_no_weight_never() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut stack = Stack::new(8);
        for (key, weight) in [(1, 30), (2, 0), (3, 10), (4, 500)] {
            stack.touch(key, weight);
        }
        // From the second from the top on: 3, 2 and 1.
        let mut counts = [0_u32; 5];
        for _ in 0..4_000 {
            let (key, _) = stack.pick(2, 4, &mut random).unwrap();
            counts[usize::try_from(key).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[2], counts[4]), (0, 0, 0));
        assert!(counts[1].abs_diff(3_000) < 120, "{counts:?}");
        assert_eq!(stack.pick(3, 3, &mut random), None);
    }
}
