//! Merges sorted runs of exchanges into one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::recording::Exchange;
use crate::recording::file::RecordingError;

/// A sorted sequence of exchanges.
pub(super) type Run = Box<dyn Iterator<Item = Result<Exchange, RecordingError>> + Send>;

/// What recordings are sorted by: time, then connection, then position on it.
pub(super) type Key = (Duration, u64, u32);

/// The key of an exchange.
pub(super) fn key(exchange: &Exchange) -> Key {
    (exchange.at, exchange.connection, exchange.seq)
}

/// All exchanges of all runs in order. Equal keys come in the order of their runs, so that the
/// result is what a stable sort of everything would have been.
pub(super) struct Merge {
    runs: Vec<Run>,
    /// The next exchange of each run, by run.
    next: Vec<Option<Exchange>>,
    /// Keys of `next`, smallest first.
    order: BinaryHeap<Reverse<(Key, usize)>>,
}

impl Merge {
    /// Reads the first exchange of each run; earlier runs hold what was pushed earlier.
    pub(super) fn of(runs: Vec<Run>) -> Result<Self, RecordingError> {
        let mut merge = Self { next: vec![None; runs.len()], runs, order: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, run: usize) -> Result<(), RecordingError> {
        let next = self.runs[run].next().transpose()?;
        if let Some(exchange) = &next {
            self.order.push(Reverse((key(exchange), run)));
        }
        self.next[run] = next;
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<Exchange, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((_, run)) = self.order.pop()?;
        let exchange = self.next[run].take()?;
        if let Err(error) = self.advance(run) {
            self.order.clear();
            return Some(Err(error));
        }
        Some(Ok(exchange))
    }
}
