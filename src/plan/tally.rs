//! Requests counted over time, and their burstiness.

use std::time::Duration;

use crate::shape::WINDOW_NS;
use crate::stats::counts::{as_f64, coarsen};
use crate::stats::dispersion::index_of_dispersion;

/// Requests in each 10 ms, and the busiest second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    windows: Vec<u32>,
    /// Something came after [`MAX_WINDOWS`]: burstiness is not known.
    is_cut: bool,
    second: u64,
    in_second: u64,
    peak: (u64, u64),
}

/// A day of windows, some 35 MB: burstiness of longer windows is left out.
const MAX_WINDOWS: usize = 24 * 60 * 60 * 100;

/// Complete windows that a dispersion needs, as for the load shape.
const MIN_WINDOWS: usize = 10;

impl Counts {
    /// Counts one request; requests come in the order of time.
    pub(crate) fn count(&mut self, at: Duration) {
        let second = at.as_secs();
        if second != self.second {
            self.second = second;
            self.in_second = 0;
        }
        self.in_second += 1;
        if self.in_second > self.peak.0 {
            self.peak = (self.in_second, second);
        }
        let window = usize::try_from(at.as_nanos() / u128::from(WINDOW_NS)).unwrap_or(usize::MAX);
        if window >= MAX_WINDOWS {
            self.is_cut = true;
            return;
        }
        if window >= self.windows.len() {
            self.windows.resize(window + 1, 0);
        }
        self.windows[window] = self.windows[window].saturating_add(1);
    }

    /// Most requests in a second, and the first such second.
    pub(crate) fn peak(&self) -> (u64, u64) {
        self.peak
    }

    /// Index of dispersion at 10 ms, 100 ms, 1 s and 10 s; `None` where fewer than
    /// [`MIN_WINDOWS`] complete windows fit.
    pub(crate) fn dispersion(&self) -> [Option<f64>; 4] {
        [1, 10, 100, 1000].map(|factor| {
            let complete = self.windows.len() / factor;
            if self.is_cut || complete < MIN_WINDOWS {
                return None;
            }
            let seconds = as_f64(WINDOW_NS) / 1e9 * as_f64(factor as u64);
            index_of_dispersion(&coarsen(&self.windows[..complete * factor], factor), seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_stream_has_no_dispersion_and_a_long_one_is_needed() {
        let mut counts = Counts::default();
        for index in 0..2000_u64 {
            counts.count(Duration::from_millis(10 * index));
        }
        let [fine, coarser, second, ten] = counts.dispersion();
        assert!(fine.unwrap() < 1e-9 && coarser.unwrap() < 1e-9 && second.unwrap() < 1e-9);
        assert_eq!(ten, None, "two windows of 10 s say nothing");
        assert_eq!(counts.peak(), (100, 0));
    }

    #[test]
    fn the_busiest_second_may_be_any_and_the_first_of_equals_is_told() {
        let mut counts = Counts::default();
        for (second, requests) in [(0, 3), (2, 5), (3, 4), (4, 5)] {
            for index in 0..requests {
                counts.count(Duration::from_millis(second * 1_000 + index));
            }
        }
        assert_eq!(counts.peak(), (5, 2));
    }

    #[test]
    fn a_moment_far_away_takes_no_memory() {
        let mut counts = Counts::default();
        counts.count(Duration::from_secs(1));
        counts.count(Duration::from_secs(u64::MAX));
        assert!(counts.windows.len() < 200);
        assert_eq!(counts.dispersion(), [None; 4]);
        assert_eq!(counts.peak(), (1, 1));
    }
}
