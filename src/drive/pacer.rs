//! Decides what is due: the one send loop, without its clock. Pace is in the plan's moments, so
//! there is one loop whatever the pace.

use std::collections::VecDeque;
use std::time::Duration;

use crate::plan::Arrival;

/// Arrivals of one worker that are not due yet, in the plan's order.
///
/// Nothing that a target does enters here: no answer can move a later arrival.
#[derive(Debug, Default)]
pub struct Pacer {
    queue: VecDeque<Box<Arrival>>,
    closed: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this one now, and ask again.
    Release(Box<Arrival>),
    /// Nothing is due before this moment.
    WaitUntil(Duration),
    /// The plan goes on, but what comes next is not known yet.
    Starved,
    /// Every arrival was released.
    Finished,
}

impl Pacer {
    /// Adds the next arrivals of the plan.
    pub fn offer(&mut self, batch: Vec<Box<Arrival>>) {
        self.queue.extend(batch);
    }

    /// Nothing more will be offered.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// What to do at `now`, a moment since the start of the run.
    pub fn step(&mut self, now: Duration) -> Step {
        match self.queue.front() {
            Some(next) if next.due > now => Step::WaitUntil(next.due),
            Some(_) => self.queue.pop_front().map_or(Step::Starved, Step::Release),
            None if self.closed => Step::Finished,
            None => Step::Starved,
        }
    }

    /// Takes back everything that was not released, in order.
    pub fn abandon(&mut self) -> impl Iterator<Item = Box<Arrival>> {
        self.queue.drain(..)
    }
}

/// The worker among `workers` that serves a connection: always the same, and spread evenly even
/// when connections are numbered with a stride.
pub fn shard(connection: u64, workers: usize) -> usize {
    // Fibonacci hashing: multiply by 2^64 / φ; the high bits are well mixed.
    let mixed = connection.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    usize::try_from(mixed % workers.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::summary::examples;

    fn arrival(index: u64, due_ns: u64) -> Box<Arrival> {
        Box::new(examples::arrival(index, Duration::from_nanos(due_ns)))
    }

    /// The indexes released at `now`, and the step that ended the release.
    fn release(pacer: &mut Pacer, now_ns: u64) -> (Vec<u64>, Step) {
        let mut released = Vec::new();
        loop {
            match pacer.step(Duration::from_nanos(now_ns)) {
                Step::Release(arrival) => released.push(arrival.index),
                step => return (released, step),
            }
        }
    }

    #[test]
    fn all_that_is_due_is_released_and_nothing_early() {
        let mut pacer = Pacer::default();
        pacer.offer(vec![arrival(0, 10), arrival(1, 10), arrival(2, 11), arrival(3, 20)]);
        let wait = |ns| Step::WaitUntil(Duration::from_nanos(ns));
        assert_eq!(release(&mut pacer, 9), (vec![], wait(10)));
        assert_eq!(release(&mut pacer, 11), (vec![0, 1, 2], wait(20)));
        assert_eq!(release(&mut pacer, 500), (vec![3], Step::Starved));
        pacer.close();
        assert_eq!(release(&mut pacer, 500), (vec![], Step::Finished));
    }

    #[test]
    fn an_abandoned_queue_comes_back_in_order() {
        let mut pacer = Pacer::default();
        pacer.offer(vec![arrival(0, 1), arrival(1, 2), arrival(2, 3)]);
        release(&mut pacer, 1);
        let left: Vec<u64> = pacer.abandon().map(|arrival| arrival.index).collect();
        assert_eq!(left, [1, 2]);
        assert_eq!(pacer.step(Duration::MAX), Step::Starved);
    }

    #[test]
    fn connections_with_a_stride_spread_over_all_workers() {
        for (workers, stride) in [(1, 1), (2, 2), (3, 3), (7, 64), (16, 16)] {
            let mut served = vec![0_u32; workers];
            for connection in 0..1_000 {
                served[shard(connection * stride, workers)] += 1;
            }
            let fair = 1_000 / u32::try_from(workers).unwrap();
            assert!(served.iter().all(|count| *count > fair / 2), "{stride}: {served:?}");
        }
    }

    proptest! {
        /// Whenever the clock is read and however the plan is cut into batches: every arrival is
        /// released exactly once, in order, and never before it is due.
        #[test]
        fn every_arrival_is_released_once_and_not_early(
            gaps in prop::collection::vec(0_u64..50, 0..40),
            ticks in prop::collection::vec((0_u64..100, 0_usize..5), 0..60),
        ) {
            let mut pacer = Pacer::default();
            let mut due = 0;
            let mut plan: VecDeque<_> = (0..)
                .zip(&gaps)
                .map(|(index, gap)| {
                    due += gap;
                    arrival(index, due)
                })
                .collect();
            let (mut now, mut next) = (0, 0);
            for (tick, batch) in ticks.into_iter().chain([(10_000, gaps.len())]) {
                now += tick;
                pacer.offer(plan.drain(..batch.min(plan.len())).collect());
                if plan.is_empty() {
                    pacer.close();
                }
                while let Step::Release(arrival) = pacer.step(Duration::from_nanos(now)) {
                    prop_assert_eq!(arrival.index, next);
                    prop_assert!(arrival.due <= Duration::from_nanos(now));
                    next += 1;
                }
            }
            prop_assert_eq!(next, gaps.len() as u64);
            prop_assert_eq!(pacer.step(Duration::ZERO), Step::Finished);
        }
    }
}
