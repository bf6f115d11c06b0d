//! The stack of keys that tells how large a cache has to be.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Keys in the order in which they were touched last.
///
/// A one stands at the last position of each key: those since then are the distinct keys. Where
/// positions run out, the ones move together, so that the tree stays as small as there are keys.
pub(super) struct Stack {
    ones: Fenwick,
    /// The number of each key.
    numbers: HashMap<u64, usize, FixedState>,
    /// By that number: the position of the key.
    positions: Vec<usize>,
    /// By position: which key was touched there.
    touched: Vec<usize>,
}

/// Positions of a small tree.
const POSITIONS: usize = 1 << 10;

impl Stack {
    pub(super) fn new() -> Self {
        Self {
            ones: Fenwick::new(POSITIONS),
            numbers: HashMap::default(),
            positions: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// How many distinct keys were touched since this one was, itself included; `None` for a new
    /// one.
    pub(super) fn touch(&mut self, key: u64) -> Option<usize> {
        if self.touched.len() == self.ones.length() {
            self.move_together();
        }
        let position = self.touched.len();
        let next = self.positions.len();
        let number = *self.numbers.entry(key).or_insert(next);
        self.touched.push(number);
        let distance = if number == next {
            self.positions.push(position);
            None
        } else {
            let before = std::mem::replace(&mut self.positions[number], position);
            let distance = next - self.ones.sum_before(before);
            self.ones.add(before, false);
            Some(distance)
        };
        self.ones.add(position, true);
        distance
    }

    fn move_together(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for (position, number) in touched.into_iter().enumerate() {
            if self.positions[number] == position {
                self.positions[number] = self.touched.len();
                self.touched.push(number);
            }
        }
        let distinct = self.touched.len();
        self.ones = Fenwick::new((2 * distinct).max(POSITIONS));
        (0..distinct).for_each(|position| self.ones.add(position, true));
    }
}

/// Prefix sums of ones that come and go.
#[derive(Debug)]
pub(in crate::stats) struct Fenwick {
    sums: Vec<u32>,
}

impl Fenwick {
    pub(in crate::stats) fn new(length: usize) -> Self {
        Self { sums: vec![0; length + 1] }
    }

    pub(in crate::stats) fn length(&self) -> usize {
        self.sums.len() - 1
    }

    pub(in crate::stats) fn add(&mut self, position: usize, one: bool) {
        let mut index = position + 1;
        while index < self.sums.len() {
            let sum = &mut self.sums[index];
            *sum = if one { *sum + 1 } else { sum.saturating_sub(1) };
            index += index & index.wrapping_neg();
        }
    }

    pub(in crate::stats) fn sum_before(&self, position: usize) -> usize {
        let (mut index, mut sum) = (position, 0);
        while index > 0 {
            sum += self.sums[index] as usize;
            index &= index - 1;
        }
        sum
    }
}
