//! How far the plan is read ahead of the clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::plan::needs::READ_AHEAD_BYTES;

/// Most arrivals that are read but not due: several seconds of any rate one machine can send, in
/// about 64 MiB.
pub(crate) const MAX_ARRIVALS: usize = 64 * 1024;

const MAX_BYTES: usize = READ_AHEAD_BYTES;

/// Counts what is read but not due, so that a plan of any length stays in flat memory.
///
/// The bound is over all workers together, and the plan is in order of time: so whichever arrival
/// comes next has always been handed over, however unevenly connections are spread.
#[derive(Debug, Default)]
pub(crate) struct LookAhead {
    held: Mutex<Held>,
    room: Condvar,
    waits: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    arrivals: usize,
    bytes: usize,
}

impl LookAhead {
    /// How often there was no room.
    pub(crate) fn waits(&self) -> u64 {
        self.waits.load(Relaxed)
    }

    /// Counts one more, if there is room for it.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let taken = self.held.lock().unwrap_or_else(PoisonError::into_inner).take(bytes);
        self.waits.fetch_add(u64::from(!taken), Relaxed);
        taken
    }

    /// Counts one more as soon as there is plenty of room, waiting at most for `patience`. Not at
    /// the first bit of room: the reader should work seldom and much, not wake for each arrival.
    pub(crate) fn take_when_plenty(&self, bytes: usize, patience: Duration) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let crowded = |held: &mut Held| !held.has_plenty() || !held.fits(bytes);
        let (mut held, wait) = self
            .room
            .wait_timeout_while(held, patience, crowded)
            .unwrap_or_else(PoisonError::into_inner);
        !wait.timed_out() && held.take(bytes)
    }

    /// Counts arrivals that were released.
    pub(crate) fn give_back(&self, arrivals: usize, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.arrivals = held.arrivals.saturating_sub(arrivals);
        held.bytes = held.bytes.saturating_sub(bytes);
        if held.has_plenty() {
            self.room.notify_one();
        }
    }
}

impl Held {
    fn fits(&self, bytes: usize) -> bool {
        let within = self.arrivals < MAX_ARRIVALS && self.bytes.saturating_add(bytes) <= MAX_BYTES;
        within || self.arrivals == 0
    }

    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.arrivals += 1;
            self.bytes = self.bytes.saturating_add(bytes);
        }
        fits
    }

    fn has_plenty(&self) -> bool {
        self.arrivals <= MAX_ARRIVALS / 4 * 3 && self.bytes <= MAX_BYTES / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_but_one_request_always_fits() {
        let look_ahead = LookAhead::default();
        assert!(look_ahead.try_take(MAX_BYTES * 2), "nothing else is held");
        assert!(!look_ahead.try_take(1));
        assert!(!look_ahead.take_when_plenty(1, Duration::from_millis(1)));
        look_ahead.give_back(1, MAX_BYTES * 2);
        assert!(look_ahead.take_when_plenty(MAX_BYTES, Duration::from_millis(1)));
        assert!(!look_ahead.try_take(1));
    }

    #[test]
    fn arrivals_are_bounded_and_room_comes_back_in_bulk() {
        let look_ahead = LookAhead::default();
        assert!((0..MAX_ARRIVALS).all(|_| look_ahead.try_take(0)));
        assert!(!look_ahead.try_take(0));
        assert_eq!(look_ahead.waits(), 1);
        look_ahead.give_back(1, 0);
        assert!(!look_ahead.take_when_plenty(0, Duration::from_millis(1)), "not for so little");
        look_ahead.give_back(MAX_ARRIVALS / 4, 0);
        assert!(look_ahead.take_when_plenty(0, Duration::from_millis(1)));
    }
}
