//! How sure a quantile of one run is: batched indicators (science, section 10).
//!
//! Requests of one run are alike, and an interval that takes them for independent is far too
//! narrow. The time of the run is cut into batches; how the share below the quantile differs from
//! batch to batch says how much it is worth.

use hdrhistogram::Histogram;

use crate::stats::counts::as_f64;
use crate::stats::effects::{squares, student_quantile};
use crate::stats::histograms::{coarse_times, merge};

/// Batches of a run.
pub const BATCHES: usize = 20;

/// An interval needs so many independent values over the share beyond the quantile.
const NEEDED: f64 = 5.66;

/// Of an interval.
const CONFIDENCE: f64 = 0.95;

/// The times of a run by batches of the same length.
#[derive(Clone, Debug)]
pub struct Batches {
    all: Histogram<u64>,
    parts: Vec<Histogram<u64>>,
}

impl Batches {
    /// Cuts a run of so many seconds. What is left over at its end is in no batch, and still in the
    /// quantile. `None` where there are fewer seconds than batches, or a batch has no time in it:
    /// then it is not known how batches differ.
    pub fn of<'a>(seconds: impl Iterator<Item = &'a Histogram<u64>>, count: usize) -> Option<Self> {
        let length = count / BATCHES;
        if length == 0 {
            return None;
        }
        let mut all = coarse_times();
        let mut parts = vec![coarse_times(); BATCHES];
        for (at, second) in seconds.enumerate() {
            merge(&mut all, second);
            if let Some(part) = parts.get_mut(at / length) {
                merge(part, second);
            }
        }
        parts.iter().all(|part| !part.is_empty()).then_some(Self { all, parts })
    }

    /// The 95 % interval of a quantile. `None` where so few independent values have none: where the
    /// share beyond the quantile is too small for them.
    pub fn interval(&self, q: f64) -> Option<[u64; 2]> {
        let middle = self.all.value_at_quantile(q);
        let below: Vec<f64> = self.parts.iter().map(|part| share_below(part, middle)).collect();
        let batches = as_f64(below.len() as u64);
        let error = (squares(&below) / (batches - 1.0) / batches).sqrt();
        // Batches that are alike tell as much as all requests, were they independent.
        let error = error.max((q * (1.0 - q) / as_f64(self.all.len())).sqrt());
        let independent = q * (1.0 - q) / error.powi(2);
        if independent < NEEDED / (1.0 - q) {
            return None;
        }
        let reach = student_quantile(1.0 - (1.0 - CONFIDENCE) / 2.0, below.len() - 1) * error;
        let (low, high) = (q - reach, q + reach);
        if low <= 0.0 || high >= 1.0 {
            return None;
        }
        // Times are told apart by two digits only: what is between lies within.
        let [low, high] = [low, high].map(|q| self.all.value_at_quantile(q));
        Some([self.all.lowest_equivalent(low), self.all.highest_equivalent(high)])
    }
}

/// The share of values up to this one.
fn share_below(times: &Histogram<u64>, value: u64) -> f64 {
    as_f64(times.count_between(0, value)) / as_f64(times.len().max(1))
}

#[cfg(test)]
mod tests {
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};
    use rand_distr::Normal;

    use super::*;
    use crate::stats::counts::as_index;
    use crate::stats::histograms::record_time;

    /// A run of 200 seconds with 100 lognormal times each; each second has a level of its own,
    /// whose logarithm follows that of the second before by half.
    fn run(random: &mut ChaCha8Rng, levels: f64) -> Vec<Histogram<u64>> {
        let mut normal =
            |deviation: f64| -> f64 { random.sample(Normal::new(0.0, deviation).unwrap()) };
        let mut level = 0.0;
        let mut second = || {
            level = 0.5 * level + normal(levels);
            let mut times = coarse_times();
            for _ in 0..100 {
                let time = 20e6 * (level + normal(0.6)).exp();
                record_time(&mut times, as_index(time) as u64);
            }
            times
        };
        (0..200).map(|_| second()).collect()
    }

    /// Of 200 runs whose seconds hang together, the interval of the median covers the truth in nine
    /// of ten at least (science, E2: .91 to .95), where requests counted as independent would do so
    /// in half.
    #[test]
    fn the_interval_covers_where_requests_hang_together() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut covered = 0;
        for _ in 0..200 {
            let run = run(&mut random, 0.05);
            let [low, high] = Batches::of(run.iter(), run.len()).unwrap().interval(0.5).unwrap();
            covered += usize::from((low..=high).contains(&20_000_000));
        }
        assert!(covered >= 180, "{covered} of 200");
    }

    #[test]
    fn what_is_too_little_has_no_interval() {
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let run = run(&mut random, 0.0);
        let whole = Batches::of(run.iter(), run.len()).unwrap();
        let [low, high] = whole.interval(0.99).unwrap();
        assert!(low < high, "{low} {high}");
        let short = Batches::of(run[..20].iter(), 20).unwrap();
        assert_eq!(short.interval(0.999), None, "2 000 values have no p99.9");
        assert!(Batches::of(run[..19].iter(), 19).is_none());
        let mut holed = run;
        holed[..10].iter_mut().for_each(Histogram::reset);
        assert!(Batches::of(holed.iter(), holed.len()).is_none(), "nothing in the first batch");
    }

    /// Batches that differ from each other say that the whole is worth less.
    #[test]
    fn a_run_that_wanders_is_less_sure() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let (steady, wandering) = (run(&mut random, 0.0), run(&mut random, 0.3));
        let width = |run: &[Histogram<u64>]| {
            let [low, high] = Batches::of(run.iter(), run.len()).unwrap().interval(0.5).unwrap();
            high - low
        };
        assert!(width(&wandering) > 3 * width(&steady));
    }
}
