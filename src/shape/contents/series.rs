//! Counts over time in bounded memory, and what they say: windows, bursts, plateaus.

use std::time::Duration;

use crate::stats::counts::{as_f64, coarsen, quantile};
use crate::stats::dispersion::index_of_dispersion;
use crate::stats::histograms::nanoseconds;

/// Most bins kept, 4 MiB of them: nearly three hours of the finest. A longer recording is counted
/// in bins of ten times the width, and again.
pub const MAX_BINS: usize = 1 << 20;

/// Width of the finest bins: the finest scale on which bursts are told.
const FINEST: Duration = Duration::from_millis(10);

/// Requests in bins of one width, from the recording's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Width of a bin.
    pub bin: Duration,
    /// Requests in each.
    pub counts: Vec<u32>,
}

/// The window of one length with the most requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Busiest {
    /// Its length in seconds.
    pub seconds: u64,
    /// Its start in nanoseconds since the recording's start.
    pub start_ns: u64,
    /// Requests in it.
    pub requests: u64,
}

/// How bursty requests are on one scale.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Burstiness {
    /// The scale in milliseconds.
    pub window_ms: u64,
    /// Index of dispersion for counts: 1 for a Poisson process, more for bursts.
    pub dispersion: f64,
}

/// A ceiling that the rate sits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Plateau {
    /// Requests a second at the ceiling.
    pub per_second: u64,
    /// Seconds within two hundredths of it.
    pub seconds: u64,
}

/// Seconds at the ceiling from which on it is one.
const PLATEAU_SECONDS: u64 = 30;

/// Least requests a second of a ceiling: below, two hundredths are less than one request.
const PLATEAU_LEAST: u64 = 50;

impl Default for Series {
    fn default() -> Self {
        Self { bin: FINEST, counts: Vec::new() }
    }
}

impl Series {
    /// Counts a request.
    pub fn add(&mut self, at: Duration) {
        let mut index = self.index(at);
        while index >= MAX_BINS {
            if self.bin >= Duration::from_secs(1 << 40) {
                return;
            }
            self.bin *= 10;
            self.counts = self.counts.chunks(10).map(sum).collect();
            index = self.index(at);
        }
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.saturating_add(1);
        }
    }

    fn index(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.bin.as_nanos().max(1)).unwrap_or(usize::MAX)
    }

    /// Bins of a scale; `None` when those kept are wider.
    fn factor(&self, scale: Duration) -> Option<usize> {
        let factor = usize::try_from(scale.as_nanos() / self.bin.as_nanos().max(1)).ok()?;
        (factor > 0).then_some(factor)
    }

    /// The busiest windows of 1 s, 10 s, 1 min and 5 min, where the recording is as long.
    pub fn busiest(&self, length: Duration) -> Vec<Busiest> {
        let window = |seconds: u64| {
            let wanted = Duration::from_secs(seconds);
            let bins = self.factor(wanted).filter(|_| length >= wanted)?;
            let mut sum: u64 = self.counts.iter().take(bins).copied().map(u64::from).sum();
            let (mut best, mut start) = (sum, 0);
            let ends = self.counts.iter().skip(bins);
            for (index, (end, gone)) in ends.zip(&self.counts).enumerate() {
                sum = sum + u64::from(*end) - u64::from(*gone);
                if sum > best {
                    (best, start) = (sum, index + 1);
                }
            }
            let start_ns = nanoseconds(self.bin).saturating_mul(start as u64);
            Some(Busiest { seconds, start_ns, requests: best })
        };
        [1, 10, 60, 300].into_iter().filter_map(window).collect()
    }

    /// Dispersion at 10 ms, 100 ms, 1 s and 10 s: where the clock shows ten steps or more in a
    /// window, and the recording has ten windows or more.
    pub fn burstiness(&self, length: Duration, clock_step: Duration) -> Vec<Burstiness> {
        let on_scale = |window_ms: u64| {
            let scale = Duration::from_millis(window_ms);
            let is_told = scale >= clock_step * 10 && length >= scale * 10;
            let factor = self.factor(scale).filter(|_| is_told)?;
            let counts = coarsen(&self.counts, factor);
            let dispersion = index_of_dispersion(&counts, scale.as_secs_f64())?;
            Some(Burstiness { window_ms, dispersion })
        };
        [10, 100, 1_000, 10_000].into_iter().filter_map(on_scale).collect()
    }

    /// The ceiling that the rate sits at, if there is one: see [`plateau`].
    pub fn plateau(&self) -> Option<Plateau> {
        plateau(&coarsen(&self.counts, self.factor(Duration::from_secs(1))?))
    }
}

/// The ceiling that the counts of seconds sit at for more than half a minute: the recorded servers,
/// or whoever made the load, could do no more. Where the largest count of a second is less than two
/// hundredths above that of the busiest twentieth, the top is flat.
pub fn plateau(seconds: &[u64]) -> Option<Plateau> {
    let seconds: Vec<u32> =
        seconds.iter().map(|count| u32::try_from(*count).unwrap_or(u32::MAX)).collect();
    let most = u64::from(seconds.iter().copied().max()?);
    let is_flat = as_f64(most) < 1.02 * quantile(&seconds, 0.95)?;
    let near = |count: &&u32| as_f64(u64::from(**count)) * 1.02 > as_f64(most);
    let at_it = seconds.iter().filter(near).count() as u64;
    let is_ceiling = is_flat && most >= PLATEAU_LEAST && at_it > PLATEAU_SECONDS;
    is_ceiling.then_some(Plateau { per_second: most, seconds: at_it })
}

fn sum(counts: &[u32]) -> u32 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many requests in each second, evenly.
    fn series(per_second: &[u64]) -> Series {
        let mut series = Series::default();
        for (second, count) in per_second.iter().enumerate() {
            for number in 0..*count {
                let within = Duration::from_nanos(number * 1_000_000_000 / count);
                series.add(Duration::from_secs(second as u64) + within);
            }
        }
        series
    }

    #[test]
    fn the_busiest_window_is_found_where_it_begins() {
        // Of windows with the same requests the earliest: the last of them ends it.
        let mut counts = vec![10; 90];
        counts[40] = 30;
        counts[41] = 20;
        let busiest = series(&counts).busiest(Duration::from_secs(90));
        assert_eq!(
            busiest,
            [
                Busiest { seconds: 1, start_ns: 39_970_000_000, requests: 30 },
                Busiest { seconds: 10, start_ns: 31_960_000_000, requests: 130 },
                Busiest { seconds: 60, start_ns: 0, requests: 630 },
            ]
        );
    }

    #[test]
    fn bursts_are_told_where_clock_and_length_allow() {
        let even = series(&[100; 20]);
        let told = |step: u64| even.burstiness(Duration::from_secs(20), Duration::from_nanos(step));
        let scales = |step| told(step).iter().map(|it| it.window_ms).collect::<Vec<_>>();
        assert_eq!(scales(1_000), [10, 100, 1_000]);
        assert_eq!(scales(1_000_000_000), [0_u64; 0]);
        assert!(told(1).iter().all(|it| it.dispersion < 1e-9), "{:?}", told(1));
        let bursts: Vec<u64> = (0..20).map(|second| 200 * (second % 2)).collect();
        let told = series(&bursts).burstiness(Duration::from_secs(20), Duration::from_nanos(1));
        // Mean 100, and 100 away from it in every second.
        assert!((told[2].dispersion - 100.0).abs() < 1e-9, "{told:?}");
    }

    #[test]
    fn a_rate_that_sits_at_a_ceiling_is_a_plateau() {
        let mut counts: Vec<u64> = (0..20).map(|second| 50 + 7 * second).collect();
        counts.extend([200, 199, 201, 200, 198].repeat(8));
        let plateau = Plateau { per_second: 201, seconds: 40 };
        assert_eq!(series(&counts).plateau(), Some(plateau));
        // Its twins: a peak that is passed, too few requests to tell, and too short.
        let peak: Vec<u64> = (0..60).map(|second| 100 + 3 * second).collect();
        assert_eq!(series(&peak).plateau(), None);
        assert_eq!(series(&[9; 60]).plateau(), None);
        assert_eq!(series(&[200; 20]).plateau(), None);
    }

    #[test]
    fn a_long_recording_is_counted_in_wider_bins() {
        let mut series = Series::default();
        for hour in 0..100 {
            series.add(Duration::from_secs(3_600 * hour));
        }
        assert_eq!(series.bin, Duration::from_secs(1));
        assert_eq!(series.counts.iter().sum::<u32>(), 100);
        assert_eq!(series.counts[3_600], 1);
        series.add(Duration::MAX);
        assert!(series.counts.len() <= MAX_BINS);
    }
}
