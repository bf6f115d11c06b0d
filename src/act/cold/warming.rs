//! When the cold run became as fast as the warm one, and what it cost until then.

use std::time::Duration;

use crate::act::cold::compare::{Bin, Comparison, Side};
use crate::act::cold::sure::{Felt, sure};
use crate::stats::changes::{Course, course};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::steady::{
    FILTER_WINDOW, exponential, mser5, quantile_of, running_medians, sustained, without_outliers,
};

/// Fewest bins of a comparison.
pub const MIN_BINS: usize = 12;

/// Fewest answers of a bin, and the share of the bins that must have them.
pub const MIN_ANSWERS: u64 = 10;
const MIN_SHARE_OF_BINS: f64 = 0.67;

/// As fast as the warm run is within this share of it ...
pub const STEADY_WITHIN: f64 = 0.05;

/// ... or within this time, in seconds: of the median nobody feels less, and p95 scatters.
pub const FELT_P50: f64 = 0.0005;
/// See [`FELT_P50`].
pub const FELT_P95: f64 = 0.005;

/// The end of the cold run is this many times as slow as the warm one, or it is warm: what else the
/// machines do in the meantime differs by less.
const COLD_AT_THE_END_P50: f64 = 1.25;
/// See [`COLD_AT_THE_END_P50`].
const COLD_AT_THE_END_P95: f64 = 2.0;

/// How much slower a bin counts in which less than half of the requests were answered: latencies
/// of the few that were say nothing of the others.
const UNANSWERED: f64 = 10.0;

/// The share of its variance that a fit must explain to be believed.
const EXPLAINED: f64 = 0.8;

/// What is made of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Warming {
    /// The median latency, cold over warm.
    pub p50: Ratio,
    /// Its 95th percentile, cold over warm.
    pub p95: Ratio,
    /// When errors were within a percent point of the warm run's for good; `None` for never.
    pub errors_steady: Option<Duration>,
    /// Seconds that all users together waited longer than in the warm run.
    pub excess_seconds: f64,
    /// Requests that were too slow or failed, cold and warm.
    pub violations: [u64; 2],
    /// Requests of each run.
    pub requests: u64,
    /// Most reads of the origin per second in a bin, cold and warm.
    pub peak_reads: Option<[f64; 2]>,
    /// Most times that a bin read more when cold; a warm bin counts as a read a second at least.
    pub amplification: Option<f64>,
    /// Median latency of the last quarter of the cold run, and of the second half of the warm one,
    /// in seconds: the medians of their bins.
    pub late_p50: [f64; 2],
    /// Share of errors in the second half of the warm run.
    pub warm_errors: f64,
    /// Reads of the origin that the first quarter of the cold run needed beyond those of the warm
    /// one, for each of its requests; `None` where nobody counted.
    pub excess_reads: Option<f64>,
}

/// A quantity of the cold run over that of the warm one, in the course of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// Its course by its changes.
    pub course: Course,
    /// When it was steady, as reported: zero where it always was, `None` where it never became so.
    pub steady: Option<Duration>,
    /// By the rule of sustained medians.
    pub sustained: Option<Duration>,
    /// By the exponential fit, where one is believed.
    pub fitted: Option<Duration>,
    /// Its time constant.
    pub time_constant: Option<Duration>,
    /// By MSER-5.
    pub mser: Option<Duration>,
    /// Within what share of the warm run it counts as steady: the noise of its medians may be wider
    /// than what is asked for.
    pub within: f64,
    /// Its median in the last quarter.
    pub late: f64,
    /// Its largest value but for outliers.
    pub worst: f64,
    /// Until when the cold run was slower beyond all noise, from its start on.
    pub surely: Duration,
    /// The end of the cold run was slower beyond all noise.
    pub is_cold_at_the_end: bool,
    /// In the end it was the warm run that was slower beyond all noise.
    pub is_reversed: bool,
    /// The noise of a bin: by the scatter of the warm run, and by how late requests were sent.
    pub noise: Duration,
    /// The noise over what the warm run took.
    pub relative_noise: f64,
}

impl Ratio {
    /// The rule and the fit are further apart than a quarter.
    pub fn is_disputed(&self) -> bool {
        let seconds = |time: Duration| time.as_secs_f64();
        self.sustained.zip(self.fitted).is_some_and(|(rule, fit)| {
            (seconds(rule) - seconds(fit)).abs() > 0.25 * seconds(rule).max(seconds(fit))
        })
    }
}

/// Analyses a comparison, or says what it lacks.
pub fn warming(comparison: &Comparison) -> Result<Warming, String> {
    let bins = &comparison.bins;
    let enough = |bin: &&Bin| bin.warm.answers >= MIN_ANSWERS && bin.cold.requests >= MIN_ANSWERS;
    let usable = bins.iter().filter(enough).count();
    let share = as_f64(usable as u64) / as_f64(bins.len().max(1) as u64);
    if usable < MIN_BINS || share < MIN_SHARE_OF_BINS {
        return Err(format!(
            "{usable} of {} bins have {MIN_ANSWERS} answers; at least {MIN_BINS} are needed, and \
             two thirds of them all: replay a longer window, or set longer `bins`",
            bins.len()
        ));
    }
    let bin = Duration::from_nanos(comparison.bin_ns);
    let late = bins.len() * 3 / 4;
    let half = bins.len() / 2;
    let seconds = |ns: u64| Duration::from_nanos(ns).as_secs_f64();
    let p50 = |bins: &[Bin], side: &dyn Fn(&Bin) -> Side| {
        let of = bins.iter().map(side).filter(|side| side.answers > 0);
        quantile_of(&of.map(|side| seconds(side.p50_ns)).collect::<Vec<f64>>(), 0.5).unwrap_or(0.0)
    };
    Ok(Warming {
        p50: ratio(bins, bin, &MEDIAN),
        p95: ratio(bins, bin, &P95),
        errors_steady: errors_steady(bins, bin),
        excess_seconds: bins.iter().map(excess).sum(),
        violations: [violations(bins, &|bin| bin.cold), violations(bins, &|bin| bin.warm)],
        requests: bins.iter().map(|bin| bin.cold.requests).sum(),
        peak_reads: peaks(bins, bin),
        amplification: amplification(bins, bin),
        late_p50: [p50(&bins[late..], &|bin| bin.cold), p50(&bins[half..], &|bin| bin.warm)],
        warm_errors: share_of_errors(&bins[half..]),
        excess_reads: excess_reads(bins),
    })
}

/// A quantity of latency, and what of its differences matters.
struct Quantity {
    of: fn(&Side) -> u64,
    /// How late the requests of a bin were, as far as it matters to it.
    late: fn(&Side) -> u64,
    /// Differences below this many seconds are none.
    unfelt: f64,
    /// An end so many times as slow is cold.
    cold: f64,
}

const MEDIAN: Quantity = Quantity {
    of: |side| side.p50_ns,
    late: |side| side.lateness_ns[0],
    unfelt: FELT_P50,
    cold: COLD_AT_THE_END_P50,
};

const P95: Quantity = Quantity {
    of: |side| side.p95_ns,
    late: |side| side.lateness_ns[1],
    unfelt: FELT_P95,
    cold: COLD_AT_THE_END_P95,
};

/// A quantity of latency, cold over warm.
fn ratio(bins: &[Bin], bin: Duration, quantity: &Quantity) -> Ratio {
    let Quantity { of, late: late_by, unfelt, cold } = *quantity;
    let (filtered, felt) = ratios(bins, quantity);
    let at = |step: f64| bin.mul_f64(step.clamp(0.0, 1e9));
    let window = as_index(30.0 / bin.as_secs_f64()).min(bins.len() / 10).max(3) | 1;
    let medians = running_medians(&felt, window);
    let tail = &medians[medians.len() * 3 / 4..];
    let quantile = |values: &[f64], q: f64| quantile_of(values, q).unwrap_or(1.0);
    // Twice the standard deviation of the medians, by the distance of their outer tenths.
    let noise = (quantile(tail, 0.9) - quantile(tail, 0.1)) / 1.28;
    let warm: Vec<f64> =
        bins.iter().map(|bin| Duration::from_nanos(of(&bin.warm)).as_secs_f64()).collect();
    let asked = STEADY_WITHIN.max(unfelt / quantile(&warm, 0.5).max(1e-9));
    let within = asked.max(noise);
    let late = quantile(&felt[felt.len() * 3 / 4..], 0.5);
    // What is slower at its end than at its start does not warm up: something else came up.
    let early = quantile(&felt[..felt.len().div_ceil(4)], 0.5);
    let known = sure(bins, &Felt { of, late: late_by, within: asked, unfelt });
    let is_cold_at_the_end =
        late > cold.max(1.0 + within) && early > 0.9 * late && known.ends_slow();
    let surely = at(as_f64(known.slow_until() as u64));
    let rule = sustained(&felt, window, 1.0 + within).map(|step| at(as_f64(step as u64)));
    let believed = exponential(&filtered).filter(|fit| fit.explained >= EXPLAINED);
    let fitted = believed
        .map(|fit| fit.steady_after(asked))
        .filter(|step| *step < as_f64(bins.len() as u64))
        .map(at);
    let is_decay = believed.is_some_and(|fit| fit.excess > 2.0 * within * fit.level);
    let course = match course(&felt) {
        // In a short run a change costs more than it explains; a decay that explains most of the
        // series is one all the same.
        Course::Flat if is_decay => Course::WarmUp,
        course => course,
    };
    let steady = match course {
        _ if is_cold_at_the_end => None,
        // Whatever it does later, a run that does not begin slower than the noise was warm.
        _ if surely.is_zero() && !known.begins_slow() && !is_decay => Some(Duration::ZERO),
        Course::Flat | Course::Slowdown => Some(Duration::ZERO),
        Course::NoSteadyState => None,
        Course::WarmUp => fitted.or(rule),
        Course::Inconsistent => rule,
    };
    Ratio {
        course,
        steady,
        sustained: rule,
        fitted: fitted.filter(|_| course == Course::WarmUp),
        time_constant: believed
            .filter(|_| course == Course::WarmUp)
            .map(|fit| at(fit.time_constant)),
        mser: mser5(&filtered).map(|step| at(as_f64(step as u64))),
        within,
        late,
        worst: quantile(&felt, 1.0),
        surely,
        is_cold_at_the_end,
        is_reversed: known.ends_fast(),
        noise: Duration::try_from_secs_f64(known.noise).unwrap_or(Duration::MAX),
        relative_noise: known.noise / quantile(&warm, 0.5).max(1e-9),
    }
}

/// Cold over warm, bin by bin, without outliers; and the same without what nobody feels.
fn ratios(bins: &[Bin], quantity: &Quantity) -> (Vec<f64>, Vec<f64>) {
    let Quantity { of, unfelt, .. } = *quantity;
    let mut last = 1.0;
    let raw: Vec<f64> = bins
        .iter()
        .map(|bin| {
            if let Some(ratio) = ratio_of(bin, of) {
                last = ratio;
            }
            last
        })
        .collect();
    let filtered = without_outliers(&raw, FILTER_WINDOW);
    let felt: Vec<f64> = filtered
        .iter()
        .zip(bins)
        .map(|(ratio, bin)| {
            let warm = Duration::from_nanos(of(&bin.warm)).as_secs_f64();
            if (ratio - 1.0).abs() * warm < unfelt { 1.0 } else { *ratio }
        })
        .collect();
    (filtered, felt)
}

/// Cold over warm; `None` where there is too little to compare.
fn ratio_of(bin: &Bin, of: fn(&Side) -> u64) -> Option<f64> {
    if bin.warm.answers < MIN_ANSWERS || bin.cold.requests < MIN_ANSWERS {
        return None;
    }
    if bin.cold.answers * 2 < bin.cold.requests {
        return Some(UNANSWERED);
    }
    Some(as_f64(of(&bin.cold)) / as_f64(of(&bin.warm).max(1)))
}

fn share_of_errors(bins: &[Bin]) -> f64 {
    let (errors, requests) = bins.iter().fold((0, 0), |(errors, requests), bin| {
        (errors + bin.warm.errors, requests + bin.warm.requests)
    });
    as_f64(errors) / as_f64(requests.max(1))
}

fn errors_steady(bins: &[Bin], length: Duration) -> Option<Duration> {
    const POINT: f64 = 0.01;
    let share = |side: &Side| as_f64(side.errors) / as_f64(side.requests.max(1));
    let more: Vec<f64> = bins.iter().map(|bin| share(&bin.cold) - share(&bin.warm)).collect();
    let window = (bins.len() / 10).max(3) | 1;
    let step = sustained(&without_outliers(&more, FILTER_WINDOW), window, POINT)?;
    Some(length.mul_f64(as_f64(step as u64)))
}

/// Seconds that the users of a bin waited longer; those without an answer are not in it.
fn excess(bin: &Bin) -> f64 {
    if bin.cold.answers == 0 || bin.warm.answers == 0 {
        return 0.0;
    }
    (bin.cold.mean_ns - bin.warm.mean_ns) / 1e9 * as_f64(bin.cold.answers)
}

/// By which share of the requests the reads of both runs differ in the first quarter.
fn excess_reads(bins: &[Bin]) -> Option<f64> {
    let early = &bins[..bins.len().div_ceil(4)];
    let requests: u64 = early.iter().map(|bin| bin.cold.requests).sum();
    let more = early
        .iter()
        .map(|bin| Some(bin.cold.origin_reads? - bin.warm.origin_reads?))
        .sum::<Option<f64>>()?;
    Some(more / as_f64(requests.max(1)))
}

fn violations(bins: &[Bin], side: &dyn Fn(&Bin) -> Side) -> u64 {
    // A slow error counts once, but which of them were slow is not kept.
    bins.iter().map(side).map(|side| (side.slow + side.errors).min(side.requests)).sum()
}

fn peaks(bins: &[Bin], length: Duration) -> Option<[f64; 2]> {
    let peak = |side: &dyn Fn(&Bin) -> Side| {
        let reads = bins.iter().filter_map(|bin| side(bin).origin_reads);
        reads.reduce(f64::max).map(|most| most / length.as_secs_f64())
    };
    Some([peak(&|bin| bin.cold)?, peak(&|bin| bin.warm)?])
}

fn amplification(bins: &[Bin], length: Duration) -> Option<f64> {
    let least = length.as_secs_f64();
    bins.iter()
        .filter_map(|bin| Some(bin.cold.origin_reads? / bin.warm.origin_reads?.max(least)))
        .reduce(f64::max)
}

#[cfg(test)]
pub(crate) mod tests;
