//! The busiest seconds, as far as they are nobody's alone.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::model::ANONYMOUS;
use crate::model::owners::MOST_OF_ONE;
use crate::stats::counts::as_f64;

/// Longest recording in whole seconds that are counted one by one: a year.
const MAX_SECONDS: usize = 366 * 86_400;

/// Clients told apart in one second. With more, one of those beyond might have most requests.
const MAX_CLIENTS: usize = 1 << 20;

/// Requests by second, of the seconds in which enough clients asked and none asked for too much.
#[derive(Debug, Default)]
pub struct Busiest {
    told: Vec<u32>,
    second: usize,
    requests: u32,
    clients: HashMap<u32, u32, FixedState>,
    is_crowded: bool,
}

impl Busiest {
    /// Takes the next request in the order of time: its second, and who asked.
    pub fn add(&mut self, second: u64, owner: u32) {
        let second = usize::try_from(second).unwrap_or(usize::MAX).min(MAX_SECONDS);
        if second != self.second {
            self.end();
            self.second = second;
        }
        self.requests = self.requests.saturating_add(1);
        if let Some(count) = self.clients.get_mut(&owner) {
            *count = count.saturating_add(1);
        } else if self.clients.len() < MAX_CLIENTS {
            self.clients.insert(owner, 1);
        } else {
            self.is_crowded = true;
        }
    }

    fn end(&mut self) {
        let most = self.clients.values().max().copied().unwrap_or(0);
        let is_common = self.clients.len() >= ANONYMOUS
            && as_f64(most.into()) <= MOST_OF_ONE * as_f64(self.requests.into());
        if is_common && !self.is_crowded && self.second < MAX_SECONDS {
            if self.told.len() <= self.second {
                self.told.resize(self.second + 1, 0);
            }
            self.told[self.second] = self.requests;
        }
        self.clients.clear();
        self.requests = 0;
        self.is_crowded = false;
    }

    /// The requests of each second; 0 where they would tell of single clients.
    pub fn seconds(&mut self) -> &[u32] {
        self.end();
        &self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_few_or_of_mostly_one_is_not_told() {
        let mut busiest = Busiest::default();
        let mut add = |second: u64, owners: std::ops::Range<u32>, of_first: usize| {
            owners.clone().for_each(|owner| busiest.add(second, owner));
            (0..of_first).for_each(|_| busiest.add(second, owners.start));
        };
        add(0, 0..30, 0);
        add(1, 0..19, 0);
        add(2, 0..30, 30);
        add(4, 0..40, 9);
        assert_eq!(busiest.seconds(), [30, 0, 0, 0, 49]);
    }
}
