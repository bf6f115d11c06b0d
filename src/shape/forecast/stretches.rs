//! A forecast for people: a few stretches of time instead of hundreds of bins.

use crate::shape::forecast::{Forecast, ForecastBin};
use crate::stats::counts::as_f64;

/// Neighbouring bins together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Its start, in nanoseconds since the cold start.
    pub at_ns: u64,
    /// Reads a second.
    pub reads: f64,
    /// Share of the reads that are the first of their key.
    pub first_share: f64,
    /// Reads of the origin per second, from cold.
    pub cold: f64,
    /// The same when warm.
    pub warm: f64,
}

impl Forecast {
    /// At most so many stretches. What is cold is so in the first bins: they double in length.
    pub fn stretches(&self, most: usize) -> Vec<Stretch> {
        let (mut stretches, mut from, mut length) = (Vec::new(), 0, 1);
        // Lengths of 1, 1, 2, 4 and so on cover a power of two.
        let most = most.clamp(1, 32);
        while length << (most - 1) < self.bins.len() {
            length *= 2;
        }
        while let Some(bins) = self.bins.get(from..).filter(|bins| !bins.is_empty()) {
            let is_last = stretches.len() + 1 >= most;
            let taken = if is_last { bins.len() } else { length.min(bins.len()) };
            stretches.push(self.stretch(from, &bins[..taken]));
            from += taken;
            if stretches.len() > 1 {
                length *= 2;
            }
        }
        stretches
    }

    fn stretch(&self, from: usize, bins: &[ForecastBin]) -> Stretch {
        let seconds = as_f64(self.bin_ns) / 1e9 * as_f64(bins.len() as u64);
        let sum = |of: fn(&ForecastBin) -> u64| as_f64(bins.iter().map(of).sum::<u64>());
        Stretch {
            at_ns: self.bin_ns.saturating_mul(from as u64),
            reads: sum(|bin| bin.reads) / seconds,
            first_share: sum(|bin| bin.first) / sum(|bin| bin.reads).max(1.0),
            cold: sum(|bin| bin.cold) * self.reads_per_miss / seconds,
            warm: sum(|bin| bin.warm) * self.reads_per_miss / seconds,
        }
    }
}
