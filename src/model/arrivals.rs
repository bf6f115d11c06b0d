//! When sessions begin: a rate from moment to moment, and bursts where a Poisson process has none.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::{Bursts, Level, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::dispersion::index_of_dispersion;
use crate::stats::mmpp::{self, Seen, third_moment};
use crate::stats::poisson::{INTERVAL, Tests, poisson_tests};
use crate::stats::rates::stretches;

/// Most bins that changes of the rate are looked for in; they are whole seconds.
const MAX_BINS: f64 = 4_000.0;

/// Interval of the tests in seconds where the rate changes.
const INTERVAL_OF_CHANGE: f64 = 10.0;

/// The dispersion of beginnings from which on they come in bursts (science: arrival layer).
const BURSTY: f64 = 1.2;

/// What was found of beginnings.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals {
    /// The rate.
    pub rate: Vec<Level>,
    /// The bursts.
    pub bursts: Option<Bursts>,
    /// Whether they were those of a Poisson process; `None` with too few to tell.
    pub tests: Option<Tests>,
    /// Windows in seconds, and the dispersion in them, the rate taken out.
    pub dispersion: Vec<(f64, f64)>,
}

/// Fits beginnings (seconds, ascending) in a recording of a length, on a clock of a resolution,
/// and the requests of each of its seconds.
pub fn fit(starts: &[f64], length: f64, resolution: f64, per_second: &[u32]) -> Arrivals {
    let spread = unrounded(starts, length, resolution);
    let starts = if resolution > 1e-3 { spread.as_slice() } else { starts };
    let bin = (length / MAX_BINS).ceil().max(1.0);
    let counts = counted(starts, length, bin);
    let dispersion = index_of_dispersion(&counts, bin).unwrap_or(1.0);
    let rate: Vec<Level> = stretches(&counts, dispersion)
        .into_iter()
        .map(|stretch| {
            let from = as_f64(stretch.start as u64) * bin;
            let until = from + as_f64(stretch.length as u64) * bin;
            // The last bin may not be whole.
            let lasts = until.min(length) - from;
            let all = stretch.mean * as_f64(stretch.length as u64);
            let seconds = per_second.get(as_index(from)..).unwrap_or(&[]);
            let busiest = seconds.iter().take(as_index(until - from)).max().copied();
            Level {
                from: rounded(from),
                sessions: if lasts > 0.0 { rounded(all / lasts) } else { 0.0 },
                busiest: busiest.unwrap_or(0).into(),
            }
        })
        .collect();
    // Where the rate changes, it changes by less in shorter intervals.
    let interval = if rate.len() > 1 { INTERVAL_OF_CHANGE } else { INTERVAL };
    let tests = poisson_tests(starts, interval);
    let (dispersion, bursts) = bursts(starts, length, resolution, &rate);
    Arrivals { rate, bursts, tests, dispersion }
}

/// Moments of a coarse clock, spread evenly over its steps: otherwise every test sees the clock.
fn unrounded(starts: &[f64], length: f64, resolution: f64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut spread: Vec<f64> = starts
        .iter()
        .map(|start| {
            let floor = (start / resolution).floor() * resolution;
            (floor + resolution * random.random::<f64>()).min(length)
        })
        .collect();
    spread.sort_unstable_by(f64::total_cmp);
    spread
}

fn counted(starts: &[f64], length: f64, bin: f64) -> Vec<u64> {
    let bins = as_index((length / bin).ceil()).max(1);
    let mut counts = vec![0; bins];
    for start in starts {
        counts[as_index(start / bin).min(bins - 1)] += 1;
    }
    counts
}

/// Windows in which dispersion is looked at, in seconds.
const WINDOWS: [f64; 3] = [0.1, 1.0, 10.0];

/// Fewest windows that tell a dispersion.
const LEAST_WINDOWS: u64 = 20;

/// What switches a few times in a recording is no law of it: a draw would be all calm or all busy.
/// Changes that slow are the rate's.
fn is_seen(process: &mmpp::Mmpp2, length: f64) -> bool {
    (1.0 / process.rises + 1.0 / process.falls) * LEAST_SWITCHES <= length
}

/// Fewest times that a recording must have gone through calm and busy to show a law of it.
const LEAST_SWITCHES: f64 = 20.0;

fn bursts(
    starts: &[f64],
    length: f64,
    resolution: f64,
    rate: &[Level],
) -> (Vec<(f64, f64)>, Option<Bursts>) {
    let mut seen =
        Seen { mean: as_f64(starts.len() as u64) / length, dispersion: Vec::new(), third: None };
    let mut is_bursty = false;
    for window in WINDOWS {
        let whole = (length / window).floor();
        if window < 10.0 * resolution || whole < as_f64(LEAST_WINDOWS) || whole > 1e7 {
            continue;
        }
        let counts = counted(starts, whole * window, window);
        let means: Vec<f64> = (0..counts.len() as u64)
            .map(|index| window * mean_rate(rate, as_f64(index) * window, window))
            .collect();
        let squares: f64 =
            counts.iter().zip(&means).map(|(count, mean)| (as_f64(*count) - mean).powi(2)).sum();
        let sum: f64 = means.iter().sum();
        if sum <= 0.0 {
            continue;
        }
        let dispersion = squares / sum;
        // More than three standard errors above that of a Poisson process.
        let chance = 1.0 + 3.0 * (2.0 / whole).sqrt();
        is_bursty |= dispersion > BURSTY.max(chance);
        seen.dispersion.push((window, dispersion));
        if window < 2.0 {
            seen.third = third_moment(&counts, &means).map(|third| (window, third));
        }
    }
    let found = if is_bursty { mmpp::fit(&seen) } else { None };
    let found = found.filter(|process| is_seen(process, length));
    let bursts = found.map(|process| Bursts {
        calm: rounded(process.calm / process.mean()),
        busy: rounded(process.busy / process.mean()),
        calm_lasts: rounded(1.0 / process.rises),
        busy_lasts: rounded(1.0 / process.falls),
    });
    (seen.dispersion, bursts)
}

/// The mean rate from a moment on.
fn mean_rate(rate: &[Level], from: f64, length: f64) -> f64 {
    let (mut at, until, mut sum) = (from, from + length, 0.0);
    let mut level = rate.partition_point(|level| level.from <= from).saturating_sub(1);
    while let Some(now) = rate.get(level).filter(|_| at < until) {
        let end = rate.get(level + 1).map_or(until, |next| next.from.min(until)).max(at);
        sum += now.sessions * (end - at);
        at = end;
        level += 1;
    }
    sum / length
}

#[cfg(test)]
mod tests {
    use rand_distr::Exp1;

    use super::*;

    fn drawn(seed: u64, length: f64, rate: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut now, mut starts) = (0.0, Vec::new());
        loop {
            let gap: f64 = random.sample(Exp1);
            now += gap / rate(now);
            if now >= length {
                return starts;
            }
            starts.push(now);
        }
    }

    #[test]
    fn a_poisson_process_whose_rate_changes_has_no_bursts() {
        let rate = |now: f64| if (100.0..115.0).contains(&now) { 54.0 } else { 30.0 };
        let found = fit(&drawn(1, 300.0, &rate), 300.0, 1e-6, &[]);
        assert_eq!(found.bursts, None, "{found:?}");
        assert!(found.tests.unwrap().lewis < 0.03, "{found:?}");
        let levels: Vec<f64> = found.rate.iter().map(|level| level.from).collect();
        assert_eq!(levels.len(), 3, "{found:?}");
        assert!((levels[1] - 100.0).abs() <= 1.0 && (levels[2] - 115.0).abs() <= 1.0);
    }

    #[test]
    fn what_a_recording_went_through_a_few_times_is_no_law_of_it() {
        let process = mmpp::Mmpp2 { calm: 20.0, busy: 80.0, rises: 0.1, falls: 0.1 };
        assert!(!is_seen(&process, 120.0), "six times");
        assert!(is_seen(&process, 400.0), "twenty times");
    }

    #[test]
    fn a_rate_that_switches_every_few_hundred_milliseconds_has_bursts() {
        // Busy for a quarter of each 400 ms, four times as much as otherwise.
        let rate = |now: f64| if (now * 2.5).fract() < 0.25 { 80.0 } else { 20.0 };
        let found = fit(&drawn(2, 300.0, &rate), 300.0, 1e-6, &[]);
        let bursts = found.bursts.unwrap();
        assert!(bursts.calm < 1.0 && bursts.busy > 1.5, "{bursts:?}");
        assert!(bursts.busy_lasts < 2.0, "{bursts:?}");
    }

    #[test]
    fn a_coarse_clock_is_taken_out_first() {
        let starts: Vec<f64> = drawn(3, 600.0, &|_| 20.0).iter().map(|at| at.floor()).collect();
        let found = fit(&starts, 600.0, 1.0, &[]);
        assert!(found.tests.unwrap().pass(), "{found:?}");
        assert_eq!(found.bursts, None);
        assert!((mean_rate(&found.rate, 0.0, 600.0) - 20.0).abs() < 1.0);
    }
}
