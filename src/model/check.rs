//! How far recordings drawn from a model are from the recording that it was fitted to: the
//! posterior-predictive check.
//!
//! Many recordings are drawn, and each statistic of the real one is ranked among theirs. A model
//! that is right gives statistics that spread, and the real one lies anywhere among them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Model;
use crate::model::draw::{Draw, Options};
use crate::model::statistics::{Point, Tally, Values};
use crate::stats::counts::as_f64;
use crate::stats::distances::total_variation;

/// Recordings that are drawn.
pub const DRAWS: u64 = 50;

/// Standard deviations that a statistic may be away from the mean of those drawn.
pub const FAR: f64 = 3.0;

/// What came out of a statistic.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Of the recording.
    pub recorded: f64,
    /// Mean of those drawn.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// By how many of those the recording is away from the mean; `None` where all are equal.
    pub z: Option<f64>,
    /// How many of those drawn are below it, ties counted half.
    pub rank: f64,
    /// How many were drawn.
    pub draws: u64,
    /// It lies within the range of what the model gives, or so near that it makes no difference.
    pub fits: bool,
}

/// Differences from the mean that make no difference whatever the spread, as shares of it: the
/// tolerances of shapes on shared machines.
const NEAR: f64 = 0.02;

/// Compares a recording with recordings of the same length drawn from a model.
pub fn check(model: &Model, recorded: &Tally, resolution: f64, draws: u64) -> Vec<Row> {
    let keys = recorded.distinct();
    let samples = drawn(model, draws, &|tally| tally.values(resolution, keys));
    let pooled_mix = pooled(samples.iter().map(|one| &one.mix));
    let pooled_rate = mean_rate(&samples);
    let further = |mix: &BTreeMap<usize, u64>, seconds: &[u32], mut values: Values| {
        values.extend(total_variation(&pooled_mix, mix).map(|d| ("mix (TVD)", d)));
        values.extend(away(&pooled_rate, seconds).map(|d| ("rate curve (WAPE)", d)));
        values
    };
    let own = recorded.values(resolution, keys);
    let own = further(&recorded.mix, &recorded.seconds, own);
    let all: Vec<Values> =
        samples.iter().map(|one| further(&one.mix, &one.seconds, one.values.clone())).collect();
    let by_name = |values: &Values, name: &str| {
        values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    };
    own.into_iter()
        .filter_map(|(name, value)| {
            let theirs: Vec<f64> = all.iter().filter_map(|values| by_name(values, name)).collect();
            row(name, value, &theirs)
        })
        .collect()
}

/// What is kept of a recording that was drawn.
struct Kept {
    values: Values,
    mix: BTreeMap<usize, u64>,
    seconds: Vec<u32>,
}

/// Draws on all processors: each has its own seeds, and one recording at a time.
fn drawn(model: &Model, draws: u64, values: &(dyn Fn(&Tally) -> Values + Sync)) -> Vec<Kept> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let one = |seed: u64| {
        let tally = tallied(model, seed);
        (seed, Kept { values: values(&tally), mix: tally.mix, seconds: tally.seconds })
    };
    let mut kept: Vec<(u64, Kept)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(draws))
            .map(|worker| {
                let seeds = (worker..draws).step_by(usize::try_from(threads).unwrap_or(1));
                scope.spawn(move || seeds.map(one).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    kept.sort_by_key(|(seed, _)| *seed);
    kept.into_iter().map(|(_, kept)| kept).collect()
}

fn tallied(model: &Model, seed: u64) -> Tally {
    let length = Duration::try_from_secs_f64(model.duration).ok();
    let mut tally = Tally::default();
    for drawn in Draw::new(model, Options { seed: 1_000 + seed, length, scale: 1.0 }) {
        tally.add(&Point::drawn(&drawn));
    }
    tally
}

fn pooled<'a>(mixes: impl Iterator<Item = &'a BTreeMap<usize, u64>>) -> BTreeMap<usize, u64> {
    let mut all = BTreeMap::new();
    for (route, count) in mixes.flatten() {
        *all.entry(*route).or_default() += count;
    }
    all
}

fn mean_rate(drawn: &[Kept]) -> Vec<f64> {
    let length = drawn.iter().map(|one| one.seconds.len()).max().unwrap_or(0);
    let mut means = vec![0.0; length];
    for one in drawn {
        for (mean, count) in means.iter_mut().zip(&one.seconds) {
            *mean += f64::from(*count) / as_f64(drawn.len() as u64);
        }
    }
    means
}

/// The weighted absolute error of counts against their means.
fn away(means: &[f64], counts: &[u32]) -> Option<f64> {
    let all: f64 = means.iter().sum();
    let longest = means.len().max(counts.len());
    let apart: f64 = (0..longest)
        .map(|second| {
            let count = counts.get(second).copied().unwrap_or(0);
            (f64::from(count) - means.get(second).copied().unwrap_or(0.0)).abs()
        })
        .sum();
    (all > 0.0).then(|| apart / all)
}

fn row(name: &'static str, recorded: f64, drawn: &[f64]) -> Option<Row> {
    let count = as_f64(drawn.len() as u64);
    if drawn.len() < 2 {
        return None;
    }
    let mean = drawn.iter().sum::<f64>() / count;
    let squares: f64 = drawn.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    let below = drawn.iter().filter(|value| **value < recorded).count() as u64;
    let ties = drawn.iter().filter(|value| value.total_cmp(&recorded).is_eq()).count() as u64;
    let z = (deviation > 0.0).then(|| (recorded - mean) / deviation);
    let is_near = (recorded - mean).abs() <= NEAR * mean.abs();
    Some(Row {
        name,
        recorded,
        mean,
        deviation,
        z,
        rank: as_f64(below) + as_f64(ties) / 2.0,
        draws: drawn.len() as u64,
        fits: is_near || z.is_some_and(|z| z.abs() <= FAR),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_ranked_among_those_drawn() {
        let drawn: Vec<f64> = (0..50_u32).map(f64::from).collect();
        let told = row("x", 24.5, &drawn).unwrap();
        assert!((told.rank - 25.0).abs() < 1e-12 && told.fits, "{told:?}");
        assert!(told.z.unwrap().abs() < 1e-12);
        let far = row("x", 100.0, &drawn).unwrap();
        assert!((far.rank - 50.0).abs() < 1e-12 && !far.fits, "{far:?}");
        // All that are drawn are equal: near is near enough, and no z is made up.
        let same = row("x", 10.1, &[10.0, 10.0, 10.0]).unwrap();
        assert_eq!((same.z, same.fits), (None, true));
        assert_eq!(row("x", 1.0, &[1.0]), None);
    }

    #[test]
    fn a_curve_is_compared_with_its_mean() {
        assert_eq!(away(&[10.0, 10.0], &[10, 10]), Some(0.0));
        assert_eq!(away(&[10.0, 10.0], &[5, 10, 5]), Some(0.5));
        assert_eq!(away(&[], &[1]), None);
    }
}
