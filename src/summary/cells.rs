//! Latency by time, route and class of status: histograms that add up without loss.
//!
//! Time is cut into windows of ten seconds, and into longer ones, by doubling, where there would be
//! too many of them: histograms are added, so that nothing is lost but the moment. So the memory is
//! bounded whatever the length of the run, and the result is the same in any order of the samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plan::Arrival;
use crate::sample::{Fate, Sample};
use crate::shape::OTHER_ROUTES;
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time};

/// Most histograms that are kept: some 15 MiB.
pub const MAX_CELLS: usize = 1_024;

/// Most routes that are told apart: with each class of each of them, one window still fits.
pub const MAX_ROUTES: usize = 126;

/// The shortest windows.
pub const SHORTEST: Duration = Duration::from_secs(10);

/// What became of a request, as far as its latency has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Answered with a status of this class, 1 to 5; 6 for any above, 0 where answers have none.
    Answered(u8),
    /// Sent, and never answered whole.
    Failed,
}

impl Class {
    /// `2xx`, `answered` or `failed`.
    pub fn name(self) -> String {
        match self {
            Self::Answered(0) => "answered".to_owned(),
            Self::Answered(class) => format!("{class}xx"),
            Self::Failed => "failed".to_owned(),
        }
    }
}

/// Which requests a histogram is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which window, from 0, they were due in.
    pub window: u32,
    /// Route template with its method.
    pub route: Arc<str>,
    /// What became of them.
    pub class: Class,
}

/// Latencies (due to done), in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// How often windows were doubled.
    doubled: u32,
    by_key: BTreeMap<Key, Histogram<u64>>,
    /// Routes that are told apart.
    routes: BTreeSet<Arc<str>>,
}

impl Cells {
    /// No latencies at all.
    pub fn new() -> Self {
        Self { doubled: 0, by_key: BTreeMap::new(), routes: BTreeSet::new() }
    }

    /// How long a window is.
    pub fn window(&self) -> Duration {
        SHORTEST * 2_u32.saturating_pow(self.doubled)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// All of them, in the order of time.
    pub fn all(&self) -> impl Iterator<Item = (&Key, &Histogram<u64>)> {
        self.by_key.iter()
    }

    /// Adds what a sample shows. What was never done has no latency.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let Some(done) = sample.done else { return };
        let class = match sample.fate {
            Fate::Answered { status } => {
                Class::Answered(u8::try_from(status / 100).unwrap_or(u8::MAX).min(6))
            }
            _ => Class::Failed,
        };
        let window = sample.due.as_nanos() / self.window().as_nanos();
        let window = u32::try_from(window).unwrap_or(u32::MAX);
        let key = Key { window, route: self.route(&arrival.route), class };
        let histogram = self.by_key.entry(key).or_insert_with(coarse_times);
        record_time(histogram, nanoseconds(done.saturating_sub(sample.ready())));
        self.widen();
    }

    /// Adds those of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        while self.doubled < other.doubled {
            self.double();
        }
        for (key, histogram) in &other.by_key {
            let window = key.window >> (self.doubled - other.doubled);
            let key = Key { window, route: self.route(&key.route), class: key.class };
            histograms::merge(self.by_key.entry(key).or_insert_with(coarse_times), histogram);
        }
        self.widen();
    }

    fn route(&mut self, route: &Arc<str>) -> Arc<str> {
        if self.routes.contains(route) {
            return Arc::clone(route);
        }
        if self.routes.len() >= MAX_ROUTES {
            return Arc::from(OTHER_ROUTES);
        }
        self.routes.insert(Arc::clone(route));
        Arc::clone(route)
    }

    fn widen(&mut self) {
        while self.by_key.len() > MAX_CELLS && self.doubled < u32::BITS - 1 {
            self.double();
        }
    }

    /// Makes one window of two.
    fn double(&mut self) {
        self.doubled += 1;
        for (key, histogram) in std::mem::take(&mut self.by_key) {
            let key = Key { window: key.window >> 1, ..key };
            let cell = self.by_key.entry(key).or_insert_with(coarse_times);
            histograms::merge(cell, &histogram);
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival, failed};

    /// Requests to some routes, one a second, each a millisecond longer than the one before.
    fn samples(routes: u32, seconds: u32) -> Vec<(Arrival, Sample)> {
        let sample = |second: u32| {
            let mut arrival = arrival(u64::from(second), Duration::from_secs(1) * second);
            arrival.route = Arc::from(format!("GET /{}", second % routes));
            let sample = answered(&arrival, Duration::from_millis(1) * second);
            (arrival, sample)
        };
        (0..seconds).map(sample).collect()
    }

    fn folded<'a>(samples: impl IntoIterator<Item = &'a (Arrival, Sample)>) -> Cells {
        let mut cells = Cells::new();
        samples.into_iter().for_each(|(arrival, sample)| cells.add(arrival, sample));
        cells
    }

    #[test]
    fn each_class_of_a_route_has_a_histogram_a_window() {
        let mut samples = samples(2, 20);
        let (arrival, sample) = &mut samples[19];
        *sample = failed(arrival, Fate::Reset);
        let cells = folded(&samples);
        let told: Vec<(u32, &str, String, u64)> = cells
            .all()
            .map(|(key, times)| (key.window, &*key.route, key.class.name(), times.len()))
            .collect();
        let ok = || "2xx".to_owned();
        let expected = [
            (0, "GET /0", ok(), 5),
            (0, "GET /1", ok(), 5),
            (1, "GET /0", ok(), 5),
            (1, "GET /1", ok(), 4),
            (1, "GET /1", "failed".to_owned(), 1),
        ];
        assert_eq!(told, expected);
    }

    /// An hour and a half of ten routes: windows are doubled, and no sample is lost.
    #[test]
    fn a_long_run_has_longer_windows_and_all_of_its_samples_in_any_order() {
        let samples = samples(10, 6_000);
        let cells = folded(&samples);
        assert!(cells.all().count() <= MAX_CELLS, "{}", cells.all().count());
        assert_eq!(cells.window(), Duration::from_secs(80), "75 windows of ten routes");
        assert_eq!(cells.all().map(|(_, times)| times.len()).sum::<u64>(), 6_000);
        assert_eq!(folded(samples.iter().rev()).by_key, cells.by_key);
        let (even, odd): (Vec<_>, Vec<_>) =
            samples.iter().partition(|(arrival, _)| arrival.index % 2 == 0);
        let mut merged = folded(even);
        merged.merge(&folded(odd));
        assert_eq!((merged.window(), &merged.by_key), (cells.window(), &cells.by_key));
        let mut late = folded(&samples[..10]);
        late.merge(&cells);
        assert_eq!(late.window(), cells.window(), "the longer windows count");
    }

    #[test]
    fn routes_are_bounded() {
        let cells = folded(&samples(10_000, 10_000));
        assert!(cells.all().count() <= MAX_CELLS);
        let routes: BTreeSet<_> = cells.all().map(|(key, _)| &key.route).collect();
        assert_eq!(routes.len(), MAX_ROUTES + 1);
        assert_eq!(cells.all().map(|(_, times)| times.len()).sum::<u64>(), 10_000);
    }
}
