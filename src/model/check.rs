//! How far recordings drawn from a model are from the recording that it was fitted to: the
//! posterior-predictive check.
//!
//! Many recordings are drawn, and each statistic of the real one is ranked among theirs. A model
//! that is right gives statistics that spread, and the real one lies anywhere among them.

pub mod envelope;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::time::Duration;

use crate::model::Model;
use crate::model::check::envelope::{Envelope, envelope};
use crate::model::draw::{Draw, Options};
use crate::model::statistics::names::{Statistic, Tolerance};
use crate::model::statistics::{Point, Tally, Values};
use crate::stats::counts::as_f64;
use crate::stats::distances::{total_variation, wape};

/// Recordings that are drawn.
pub const DRAWS: u64 = 50;

/// Standard deviations that a statistic may be away from the mean of those drawn.
pub const FAR: f64 = 3.0;

/// What is tolerated of what is not paired, in noise floors, where the table of tolerances has
/// less: so far two recordings of one law are from each other (science: noise floors). A floor is
/// the standard deviation of those drawn.
pub const FLOORS: f64 = 2.0;

/// What came out.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Check {
    /// Each statistic.
    pub statistics: Vec<Row>,
    /// Statistics that the recording has and fewer than two of those drawn have: nothing can be
    /// said of them, by name.
    pub left_out: Vec<&'static str>,
    /// All of them together; `None` where too few recordings were drawn.
    pub envelope: Option<Envelope>,
}

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
    /// How far the recording is from the mean: as a share of it, or of statistics that are shares
    /// themselves the difference.
    pub error: f64,
    /// How far it may be, in the same unit; `None` where the table of tolerances has no limit.
    pub tolerance: Option<f64>,
    /// How many of those drawn are below it, ties counted half.
    pub rank: f64,
    /// How many were drawn.
    pub draws: u64,
    /// It lies within the range of what the model gives: neither too many standard deviations from
    /// the mean nor too far from it.
    pub fits: bool,
}

/// Compares a recording with recordings of the same length drawn from a model.
pub fn check(model: &Model, recorded: &Tally, resolution: f64, draws: u64) -> Check {
    let keys = recorded.distinct();
    let samples = drawn(draws, &|seed| {
        let tally = tallied(model, seed);
        Kept { values: tally.values(resolution, keys), mix: tally.mix, seconds: tally.seconds }
    });
    let pooled_mix = pooled(samples.iter().map(|one| &one.mix));
    let summed = summed(&samples);
    let further = |mix: &BTreeMap<usize, u64>, seconds: &[u32], mut values: Values| {
        values.extend(total_variation(&pooled_mix, mix).map(|d| (Statistic::Mix, d)));
        // As many of its own as recordings were summed up: their mean, in whole numbers.
        let times: Vec<u64> =
            seconds.iter().map(|count| u64::from(*count) * samples.len() as u64).collect();
        values.extend(wape(&summed, &times).map(|d| (Statistic::Rate, d)));
        values
    };
    let own = recorded.values(resolution, keys);
    let own = further(&recorded.mix, &recorded.seconds, own);
    let all: Vec<Values> =
        samples.iter().map(|one| further(&one.mix, &one.seconds, one.values.clone())).collect();
    let by_name = |values: &Values, statistic: Statistic| {
        values.iter().find(|(other, _)| *other == statistic).map(|(_, value)| *value)
    };
    let columns: Vec<(Statistic, f64, Vec<f64>)> = own
        .into_iter()
        .map(|(statistic, value)| {
            let theirs = all.iter().filter_map(|values| by_name(values, statistic)).collect();
            (statistic, value, theirs)
        })
        .collect();
    let complete = columns.iter().filter(|(_, _, theirs)| theirs.len() == samples.len());
    let complete: Vec<(f64, &[f64])> =
        complete.map(|(_, value, theirs)| (*value, theirs.as_slice())).collect();
    Check {
        envelope: envelope(&complete),
        left_out: left_out(&columns),
        statistics: columns
            .iter()
            .filter_map(|(statistic, value, theirs)| row(*statistic, *value, theirs))
            .collect(),
    }
}

/// Those of which there is no [`row`].
fn left_out(columns: &[(Statistic, f64, Vec<f64>)]) -> Vec<&'static str> {
    let few = columns.iter().filter(|(_, _, theirs)| theirs.len() < MIN_DRAWN);
    few.map(|(statistic, _, _)| statistic.name()).collect()
}

/// Fewest values of those drawn that have a spread.
const MIN_DRAWN: usize = 2;

/// What is kept of a recording that was drawn.
struct Kept {
    values: Values,
    mix: BTreeMap<usize, u64>,
    seconds: Vec<u32>,
}

/// Draws on all processors: each has its own seeds, and one recording at a time.
fn drawn<T: Send>(draws: u64, one: &(dyn Fn(u64) -> T + Sync)) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut kept: Vec<(u64, T)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(draws))
            .map(|worker| {
                let seeds = (worker..draws).step_by(usize::try_from(threads).unwrap_or(1));
                scope.spawn(move || seeds.map(|seed| (seed, one(seed))).collect::<Vec<_>>())
            })
            .collect();
        // A check of fewer draws than it says would be none.
        let mut kept = Vec::new();
        for worker in workers {
            kept.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        kept
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

/// Requests by second, of all that were drawn.
fn summed(drawn: &[Kept]) -> Vec<u64> {
    let length = drawn.iter().map(|one| one.seconds.len()).max().unwrap_or(0);
    let mut sums = vec![0; length];
    for one in drawn {
        for (sum, count) in sums.iter_mut().zip(&one.seconds) {
            *sum += u64::from(*count);
        }
    }
    sums
}

fn row(statistic: Statistic, recorded: f64, drawn: &[f64]) -> Option<Row> {
    let count = as_f64(drawn.len() as u64);
    if drawn.len() < MIN_DRAWN {
        return None;
    }
    let mean = drawn.iter().sum::<f64>() / count;
    let squares: f64 = drawn.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    let below = drawn.iter().filter(|value| **value < recorded).count() as u64;
    let ties = drawn.iter().filter(|value| value.total_cmp(&recorded).is_eq()).count() as u64;
    let apart = recorded - mean;
    let z = (deviation > 0.0).then(|| apart / deviation);
    let (unit, limit) = match statistic.tolerance() {
        Tolerance::Share(down, up) => (mean.abs(), Some(if apart < 0.0 { down } else { up })),
        Tolerance::Units(limit) => (1.0, Some(limit)),
        Tolerance::None => (mean.abs(), None),
    };
    // Of nothing, any difference is all of it.
    let as_error = |apart: f64| match apart.abs() {
        apart if apart <= 0.0 => 0.0,
        _ if unit <= 0.0 => 1.0,
        apart => (apart / unit).min(f64::MAX),
    };
    let error = as_error(apart);
    let tolerance = limit.map(|limit| limit.max(FLOORS * as_error(deviation)));
    let is_near = tolerance.is_none_or(|tolerance| error <= tolerance);
    // Where all that were drawn are equal, the tolerance alone says what is near.
    let is_within = match (z, tolerance) {
        (Some(z), _) => z.abs() <= FAR,
        (None, tolerance) => tolerance.is_some() || error <= 0.0,
    };
    Some(Row {
        name: statistic.name(),
        recorded,
        mean,
        deviation,
        z,
        error,
        tolerance,
        rank: as_f64(below) + as_f64(ties) / 2.0,
        draws: drawn.len() as u64,
        fits: is_near && is_within,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_ranked_among_those_drawn() {
        let drawn: Vec<f64> = (0..50_u32).map(f64::from).collect();
        let told = row(Statistic::InFlight, 24.5, &drawn).unwrap();
        assert!((told.rank - 25.0).abs() < 1e-12 && told.fits, "{told:?}");
        assert!(told.z.unwrap().abs() < 1e-12 && told.tolerance.is_none());
        let far = row(Statistic::InFlight, 100.0, &drawn).unwrap();
        assert!((far.rank - 50.0).abs() < 1e-12 && !far.fits, "{far:?}");
        assert_eq!(row(Statistic::InFlight, 1.0, &[1.0]), None);
    }

    /// Each statistic of the recording is in the table, or named as left out of it.
    #[test]
    fn what_hardly_any_of_those_drawn_have_is_named() {
        let columns = [
            (Statistic::InFlight, 1.0, vec![1.0]),
            (Statistic::Misses5, 1.0, vec![1.0, 2.0]),
            (Statistic::Length50, 1.0, Vec::new()),
        ];
        let named = [Statistic::InFlight, Statistic::Length50].map(Statistic::name);
        assert_eq!(left_out(&columns), named);
    }

    /// Science, model check: within three standard deviations, and within the tolerance too.
    #[test]
    fn a_value_fits_that_is_within_both_the_spread_and_the_tolerance() {
        let drawn = |mean: f64, apart: f64| [mean - apart, mean, mean + apart];
        let fits =
            |statistic, recorded, drawn: &[f64]| row(statistic, recorded, drawn).unwrap().fits;
        // Within 5 %, and within three deviations of 1.
        assert!(fits(Statistic::BusiestSecond, 102.9, &drawn(100.0, 1.0)));
        // Within 5 %, but four deviations away.
        assert!(!fits(Statistic::BusiestSecond, 104.0, &drawn(100.0, 1.0)));
        // Two and a half deviations of 4, which is 10 %: more than 5 % and than two floors.
        assert!(!fits(Statistic::BusiestSecond, 110.0, &drawn(100.0, 4.0)));
        // Nearly two of them, which is what two recordings of one law are apart.
        assert!(fits(Statistic::BusiestSecond, 107.9, &drawn(100.0, 4.0)));
        // Bands are wider upwards: to 1.25, and down to 0.8.
        assert!(fits(Statistic::Dispersion1S, 2.49, &drawn(2.0, 0.2)));
        assert!(!fits(Statistic::Dispersion1S, 1.55, &drawn(2.0, 0.2)));
        // Shares are told in their own unit: 0.02 of all requests, not 2 % of a miss ratio.
        assert!(fits(Statistic::Misses5, 0.118, &drawn(0.1, 0.01)));
        assert!(!fits(Statistic::Misses5, 0.125, &drawn(0.1, 0.01)));
        // Where all are equal, the tolerance alone counts, and without one nothing else fits.
        assert!(fits(Statistic::Request50, 101.9, &[100.0; 3]));
        assert!(!fits(Statistic::Request50, 102.1, &[100.0; 3]));
        assert!(fits(Statistic::Length50, 3.0, &[3.0; 3]));
        assert!(!fits(Statistic::Length50, 3.1, &[3.0; 3]));
        assert!(!fits(Statistic::ResponseBytes, 1.0, &[0.0; 3]));
        let of_nothing = row(Statistic::ResponseBytes, 7.0, &[0.0; 3]).unwrap();
        assert!((of_nothing.error - 1.0).abs() < 1e-12, "a number that JSON has: {of_nothing:?}");
    }

    #[test]
    #[should_panic(expected = "a draw that cannot be")]
    fn a_draw_that_fails_is_not_left_out() {
        drawn(4, &|seed| assert!(seed != 3, "a draw that cannot be"));
    }
}
