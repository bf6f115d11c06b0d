//! The switch that holds a run: while it is pressed, nothing is released.
//!
//! Time goes on meanwhile. What is due while a run is held is not sent, and is counted under a
//! reason of its own, instead of moving the rest of the plan: moved, the load would meet caches
//! that expire, jobs that start and probes that look by the clock at another time than when it was
//! recorded. So the load shape is claimed for what was not held, and the report says when that
//! was.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::drive::clock::{Epoch, monotonic_ns};
use crate::drive::follow::Follow;
use crate::drive::gauges::Live;
use crate::drive::hook::Hook;
use crate::drive::samples::Sink;
use crate::drive::stop::Stop;

/// A switch, shared by whoever holds a run and by the driver.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_held: AtomicBool,
    /// Begin and end of each time, ns of the monotonic clock; the last may still last.
    times: Mutex<Vec<(u64, Option<u64>)>>,
    /// Times beyond [`MAX_TIMES`].
    more: AtomicU64,
}

/// Most times that are told one by one; further ones are counted. Nobody signals more often by
/// hand.
pub const MAX_TIMES: usize = 100;

/// When a run was held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Begin and end of each time, since the start of the run.
    pub times: Vec<(Duration, Duration)>,
    /// Times that are not told.
    pub more: u64,
}

impl Hold {
    /// Holds; false where it was held already.
    pub fn hold(&self) -> bool {
        let mut times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.is_held.swap(true, SeqCst) {
            return false;
        }
        if times.len() < MAX_TIMES {
            times.push((monotonic_ns(), None));
        } else {
            self.shared.more.fetch_add(1, SeqCst);
        }
        true
    }

    /// Goes on; false where it was not held.
    pub fn resume(&self) -> bool {
        let mut times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shared.is_held.swap(false, SeqCst) {
            return false;
        }
        if let Some((_, end @ None)) = times.last_mut() {
            *end = Some(monotonic_ns());
        }
        true
    }

    /// It is held.
    pub fn is_held(&self) -> bool {
        self.shared.is_held.load(SeqCst)
    }

    /// When a run that began at `epoch`, and ends now, was held.
    pub(crate) fn times(&self, epoch: Epoch) -> Held {
        let (start, now) = (epoch.at(Duration::ZERO), epoch.at(epoch.now()));
        let since = |moment: u64| Duration::from_nanos(moment.clamp(start, now) - start);
        let times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        let within = times.iter().filter(|(_, to)| to.is_none_or(|to| to > start));
        let times = within.map(|(from, to)| (since(*from), since(to.unwrap_or(now)))).collect();
        Held { times, more: self.shared.more.load(SeqCst) }
    }
}

/// What steers a run from outside.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Ends it early.
    pub stop: Stop,
    /// Holds it.
    pub hold: Hold,
    /// Where the samples of its arrivals go, one by one.
    pub samples: Option<Sink>,
    /// What later requests take from answers.
    pub follow: Option<Arc<Follow>>,
    /// What changes requests before they are due.
    pub hook: Option<Hook>,
    /// Where its gauges are shown.
    pub live: Live,
    /// The run-in: what is due before this moment is sent, and is in no figure but
    /// [`crate::summary::Summary::run_in`]; moments of the summary are since its end.
    pub run_in: Duration,
}

impl From<Stop> for Control {
    fn from(stop: Stop) -> Self {
        Self { stop, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_since_the_start_of_the_run_and_bounded() {
        let switch = Hold::default();
        assert!(!switch.resume() && switch.hold() && !switch.hold() && switch.is_held());
        assert!(switch.resume() && !switch.is_held());
        for _ in 0..MAX_TIMES {
            switch.hold();
            switch.resume();
        }
        let later = Epoch::after(Duration::ZERO);
        let held = switch.times(later);
        assert_eq!((held.times.len(), held.more), (0, 1), "all of it was before the run");
        let switch = Hold::default();
        let epoch = Epoch::after(Duration::ZERO);
        switch.hold();
        let held = switch.times(epoch);
        let [(from, to)] = held.times[..] else { panic!("{held:?}") };
        assert!(from <= to && to <= epoch.now(), "{held:?}");
    }
}
