//! Requests that wait for their responses, and the other way round.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Most requests, and most responses, that wait.
pub const WAITING_MAX: usize = 1 << 16;

/// Most bytes of what waits, on each side.
pub const WAITING_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Things of one key that are looked at for one that is wanted, the last ones.
const LOOKED_AT: usize = 64;

/// What waits, by key, the oldest first to go.
#[derive(Debug)]
pub(super) struct Waiting<K, T> {
    by_key: HashMap<K, VecDeque<(u64, usize, T)>>,
    order: VecDeque<(u64, K)>,
    next: u64,
    count: usize,
    bytes: usize,
}

impl<K: Clone + Eq + Hash, T> Waiting<K, T> {
    pub(super) fn new() -> Self {
        Self { by_key: HashMap::new(), order: VecDeque::new(), next: 0, count: 0, bytes: 0 }
    }

    /// Lets `thing` wait; returns what has to go for it.
    pub(super) fn put(&mut self, key: K, bytes: usize, thing: T) -> Vec<T> {
        let queue = self.by_key.entry(key.clone()).or_default();
        queue.push_back((self.next, bytes, thing));
        self.order.push_back((self.next, key));
        self.next += 1;
        self.count += 1;
        self.bytes += bytes;
        let mut gone = Vec::new();
        while self.count > WAITING_MAX || self.bytes > WAITING_BYTES_MAX {
            gone.extend(self.oldest());
        }
        // What was taken is still in the order; it may not grow without end.
        if self.order.len() > 4 * WAITING_MAX {
            let waiting = &self.by_key;
            self.order.retain(|(number, key)| {
                waiting.get(key).is_some_and(|queue| place(queue, *number).is_some())
            });
        }
        gone
    }

    /// Takes the last of a key's that `is_wanted`.
    pub(super) fn take(&mut self, key: &K, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let queue = self.by_key.get_mut(key)?;
        let last = queue.iter().enumerate().rev().take(LOOKED_AT);
        let (at, _) = last.into_iter().find(|(_, (.., thing))| is_wanted(thing))?;
        let (_, bytes, thing) = queue.remove(at)?;
        if queue.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= 1;
        self.bytes -= bytes;
        Some(thing)
    }

    /// Takes the one that has waited longest.
    pub(super) fn oldest(&mut self) -> Option<T> {
        while let Some((number, key)) = self.order.pop_front() {
            let Some(queue) = self.by_key.get_mut(&key) else {
                continue;
            };
            let Some(at) = place(queue, number) else {
                continue;
            };
            let (_, bytes, thing) = queue.remove(at)?;
            if queue.is_empty() {
                self.by_key.remove(&key);
            }
            self.count -= 1;
            self.bytes -= bytes;
            return Some(thing);
        }
        None
    }
}

/// Where the thing of that number is: they are in the order of their numbers.
fn place<T>(queue: &VecDeque<(u64, usize, T)>, number: u64) -> Option<usize> {
    queue.binary_search_by_key(&number, |(number, ..)| *number).ok()
}
