//! How many requests are in flight, looked at from aside.
//!
//! What is summed up from samples is as good as the moments in them. So somebody who takes no part
//! in the run looks at the count again and again, and never at a moment that a request could be
//! tied to: a load that comes a hundred times a second would else be seen always, or never.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::drive::clock::{Epoch, monotonic_ns, nanoseconds};
use crate::drive::gauges::Gauges;
use crate::summary::flight::{MAX_BINS, bin_of};

/// There is one look in each of these: a thread that wakes so often takes two thousandths of a
/// processor.
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// What was seen in a bin of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Looks. Fewer than there are steps where this thread had to wait for a processor.
    pub looks: u64,
    /// Requests that were in flight, summed up over the looks.
    pub sum: u64,
    /// Their squares, summed up.
    pub squares: u64,
    /// Most at a look.
    pub most: u64,
    /// By how much later than they were meant looks came, summed up, in nanoseconds.
    pub late_ns: u64,
}

impl Seen {
    fn add(&mut self, in_flight: u32, late_ns: u64) {
        let in_flight = u64::from(in_flight);
        self.looks += 1;
        self.sum = self.sum.saturating_add(in_flight);
        self.squares = self.squares.saturating_add(in_flight.saturating_mul(in_flight));
        self.most = self.most.max(in_flight);
        self.late_ns = self.late_ns.saturating_add(late_ns);
    }
}

/// Looks until it is ended.
pub(crate) struct Census {
    thread: JoinHandle<Vec<Seen>>,
    end: SyncSender<()>,
}

impl Census {
    /// Begins to look from the start of a run on.
    pub(crate) fn begin(epoch: Epoch, gauges: &Arc<Gauges>) -> io::Result<Self> {
        let gauges = Arc::clone(gauges);
        let (end, ended) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("census".to_owned())
            .spawn(move || look(epoch, &gauges, &ended))?;
        Ok(Self { thread, end })
    }

    /// What was seen in each bin.
    pub(crate) fn end(self) -> Vec<Seen> {
        drop(self.end);
        // A panic of the thread is a bug of ours, and goes on here.
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn look(epoch: Epoch, gauges: &Gauges, ended: &Receiver<()>) -> Vec<Seen> {
    let (mut bins, step) = (Vec::<Seen>::new(), nanoseconds(STEP));
    let mut next = 0_u64;
    loop {
        let moment = Duration::from_nanos(next.saturating_mul(step) + scattered(next) % step);
        let wait = epoch.at(moment).saturating_sub(monotonic_ns());
        if ended.recv_timeout(Duration::from_nanos(wait)) != Err(RecvTimeoutError::Timeout) {
            return bins;
        }
        let now = nanoseconds(epoch.now());
        let (bin, _) = bin_of(now);
        if bin >= MAX_BINS {
            return bins;
        }
        if bins.len() <= bin {
            bins.resize(bin + 1, Seen::default());
        }
        if let Some(seen) = bins.get_mut(bin) {
            seen.add(gauges.in_flight(), now.saturating_sub(nanoseconds(moment)));
        }
        // What was missed is not made up for: those looks would all see the same.
        next = (next + 1).max(now / step);
    }
}

/// A number that has nothing to do with the one before (`SplitMix64`).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_sees_what_is_in_flight() {
        let gauges = Arc::new(Gauges::default());
        for _ in 0..3 {
            assert!(gauges.enter_flight(9, Duration::ZERO));
        }
        // A busy machine lets it look seldom, and never more often than once in a step.
        let seen = [10, 100, 1_000].into_iter().find_map(|steps| {
            let epoch = Epoch::after(STEP);
            let census = Census::begin(epoch, &gauges).unwrap();
            while epoch.now() < STEP * steps {
                thread::park_timeout(STEP);
            }
            let seen = census.end().first().copied()?;
            let most = epoch.now().as_nanos() / STEP.as_nanos() + 1;
            assert!((1..=most).contains(&u128::from(seen.looks)), "{seen:?} in {most} steps");
            Some(seen)
        });
        let seen = seen.unwrap();
        assert_eq!((seen.sum, seen.squares, seen.most), (3 * seen.looks, 9 * seen.looks, 3));
    }

    /// In each step once, and not always at the same place in it.
    #[test]
    fn looks_are_scattered() {
        let step = nanoseconds(STEP);
        let early = (0..1_000).filter(|look| scattered(*look) % step < step / 4).count();
        assert!((200..300).contains(&early), "{early}");
    }
}
