//! When sessions begin: a rate from moment to moment, and bursts where a Poisson process has none.

use std::borrow::Cow;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::model::owners::{Alone, Owners, Ratio, shared};
use crate::model::{Bursts, Level, rounded};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::dispersion::{index_of_dispersion, successive_dispersion};
use crate::stats::mmpp::{self, Seen, third_moment};
use crate::stats::poisson::{INTERVAL, Tests, poisson_tests};
use crate::stats::rates::{Stretch, stretches};

/// Most bins that changes of the rate are looked for in; they are whole seconds.
const MAX_BINS: f64 = 4_000.0;

/// Interval of the tests in seconds where the rate changes.
const INTERVAL_OF_CHANGE: f64 = 10.0;

/// The dispersion of beginnings from which on they come in bursts (science: arrival layer).
const BURSTY: f64 = 1.2;

/// Most times as many sessions as on average when busy: a file has no more (`file::read`).
pub const MOST_TIMES: f64 = 1e4;

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

/// What a recording has of beginnings.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// When sessions began: seconds, ascending.
    pub starts: &'a [f64],
    /// Whose they were.
    pub owners: &'a [u32],
    /// Length of the recording in seconds.
    pub length: f64,
    /// Smallest step of its clock in seconds.
    pub resolution: f64,
    /// Requests of each of its seconds that may be told.
    pub busiest: &'a [u32],
}

/// Fits beginnings.
pub fn fit(begun: &Begun<'_>) -> Arrivals {
    let Begun { length, resolution, .. } = *begun;
    let (starts, owners) = if resolution > 1e-3 {
        let (starts, owners) = unrounded(begun);
        (Cow::Owned(starts), Cow::Owned(owners))
    } else {
        (Cow::Borrowed(begun.starts), Cow::Borrowed(begun.owners))
    };
    let bin = (length / MAX_BINS).ceil().max(1.0);
    let counts = counted(&starts, length, bin);
    let dispersion = dispersion_of(&counts, bin);
    let rate = levels(&stretches(&counts, dispersion), bin, (&starts, &owners), begun);
    // Where the rate changes, it changes by less in shorter intervals.
    let interval = if rate.len() > 1 { INTERVAL_OF_CHANGE } else { INTERVAL };
    let tests = poisson_tests(&starts, interval, length);
    let (dispersion, bursts) = bursts(&starts, length, resolution, &rate);
    Arrivals { rate, bursts, tests, dispersion }
}

/// A recording of so many seconds or less has no trend of its own to take out of its dispersion.
const SHORT: f64 = 120.0;

/// By how much more than those of a Poisson process beginnings vary within a rate. Where a
/// recording is short, how its rate changes would count as that, and no change would be told:
/// clients who were there before it began all seem to begin in its first seconds.
fn dispersion_of(counts: &[u64], bin: f64) -> f64 {
    let whole = index_of_dispersion(counts, bin).unwrap_or(1.0);
    if as_f64(counts.len() as u64) * bin > SHORT {
        return whole;
    }
    successive_dispersion(counts).map_or(whole, |near| near.min(whole))
}

/// The rate in stretches. Where too few clients began a session, it is that of the stretches that
/// are most like it, together, and where these are too few, it is none: what at most nineteen
/// clients began is missing then.
fn levels(
    stretches: &[Stretch],
    bin: f64,
    (starts, owners): (&[f64], &[u32]),
    begun: &Begun<'_>,
) -> Vec<Level> {
    let mut ratios = Vec::with_capacity(stretches.len());
    let (mut levels, mut from_start) = (Vec::with_capacity(stretches.len()), 0);
    for stretch in stretches {
        // Whole seconds, exactly: rounded, two of them might be one.
        let from = as_f64(stretch.start as u64) * bin;
        let until = from + as_f64(stretch.length as u64) * bin;
        let is_last = until >= begun.length;
        let until_start =
            if is_last { starts.len() } else { starts.partition_point(|start| *start < until) };
        let of = owners.get(from_start..until_start.max(from_start)).unwrap_or(&[]);
        from_start = until_start;
        ratios.push(Ratio {
            part: stretch.mean * as_f64(stretch.length as u64),
            // The last bin may not be whole.
            whole: until.min(begun.length) - from,
            owners: of.iter().copied().collect::<Owners>(),
        });
        let seconds = begun.busiest.get(as_index(from)..).unwrap_or(&[]);
        let busiest = seconds.iter().take(as_index(until - from)).max().copied().unwrap_or(0);
        let busiest = as_index(rounded(f64::from(busiest))) as u64;
        levels.push(Level { from, sessions: 0.0, busiest });
    }
    let rates = shared(&ratios, Alone::Nothing).unwrap_or_default();
    for (level, rate) in levels.iter_mut().zip(&rates) {
        level.sessions = rounded(*rate);
    }
    levels.dedup_by(|next, level| {
        let is_same = next.sessions.total_cmp(&level.sessions).is_eq();
        if is_same {
            level.busiest = level.busiest.max(next.busiest);
        }
        is_same
    });
    levels
}

/// Moments of a coarse clock, spread evenly over its steps: otherwise every test sees the clock.
fn unrounded(begun: &Begun<'_>) -> (Vec<f64>, Vec<u32>) {
    let Begun { length, resolution, .. } = *begun;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let owners = begun.owners.iter().copied();
    let mut spread: Vec<(f64, u32)> = begun
        .starts
        .iter()
        .zip(owners)
        .map(|(start, owner)| {
            let floor = (start / resolution).floor() * resolution;
            ((floor + resolution * random.random::<f64>()).min(length), owner)
        })
        .collect();
    spread.sort_by(|a, b| a.0.total_cmp(&b.0));
    spread.into_iter().unzip()
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
        // What began behind the last whole window belongs to none.
        let within = starts.partition_point(|start| *start < whole * window);
        let counts = counted(starts.get(..within).unwrap_or(starts), whole * window, window);
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
    let is_law = |process: &mmpp::Mmpp2| {
        is_seen(process, length) && process.busy <= MOST_TIMES * process.mean()
    };
    let found = found.filter(is_law);
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
mod tests;
