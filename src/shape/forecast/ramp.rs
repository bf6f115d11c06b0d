//! How to let users in after a cold start.

use crate::shape::forecast::{ForecastBin, RampStep};
use crate::stats::counts::as_f64;

/// Admits reads so that their misses stay within what the origin stands: `dN/dt = C / m(N)`, at
/// most all of them. Shares are of the rate of the busiest bin, so that no moment of an uneven load
/// asks for more. Ends where all are let in for good, or with the load.
///
/// The load is played while users are let in: what a share of a quiet bin filled is little, however
/// long it took. A moment misses what so few reads miss, or what it missed when it was recorded.
pub(super) fn ramp(
    bins: &[ForecastBin],
    bin_seconds: f64,
    misses_per_second: f64,
) -> Vec<RampStep> {
    let full = as_f64(bins.iter().map(|bin| bin.reads).max().unwrap_or(0)) / bin_seconds;
    if full <= 0.0 {
        return Vec::new();
    }
    let ends: Vec<f64> = bins
        .iter()
        .scan(0.0, |reads, bin| {
            *reads += as_f64(bin.reads);
            Some(*reads)
        })
        .collect();
    let missed = |bin: &ForecastBin| as_f64(bin.cold) / as_f64(bin.reads.max(1));
    let (mut admitted, mut steps) = (0.0, Vec::<RampStep>::new());
    for (played, bin) in bins.iter().enumerate() {
        // As far as the cache is filled, and not further than the load has come.
        let filled = ends.partition_point(|end| *end <= admitted + LEAST_READS);
        let between = bins.get(filled..=played).unwrap_or(&[]);
        let most = between.iter().map(missed).fold(0.0, f64::max);
        let share = (misses_per_second / most.max(1e-12) / full).min(1.0);
        let at_seconds = as_f64(played as u64) * bin_seconds;
        if steps.last().is_none_or(|before| before.share.total_cmp(&share).is_ne()) {
            steps.push(RampStep { at_seconds, share, reads_per_second: share * full });
        }
        admitted += share * as_f64(bin.reads);
    }
    thinned(&steps)
}
/// Less than this is a rounding of sums of reads.
const LEAST_READS: f64 = 1e-6;

/// Steps of a ramp at most.
const MAX_STEPS: usize = 200;

/// Of neighbours the smallest share, so that a shorter ramp admits no more anywhere. The last step,
/// which holds for good, stays as it is.
pub(super) fn thinned(steps: &[RampStep]) -> Vec<RampStep> {
    let Some((last, before)) = steps.split_last() else { return Vec::new() };
    let group = before.len().div_ceil(MAX_STEPS - 1).max(1);
    let slowest = |steps: &[RampStep]| {
        let smallest = steps.iter().min_by(|a, b| a.share.total_cmp(&b.share)).copied();
        smallest.map(|step| RampStep { at_seconds: steps[0].at_seconds, ..step })
    };
    before.chunks(group).filter_map(slowest).chain([*last]).collect()
}

/// Why a scenario's `ramp:` would not read these steps, or would let in nobody; `None` where it
/// does what they say.
pub fn unreadable(ramp: &[RampStep]) -> Option<String> {
    let late = ramp.last().map(|step| step.at_seconds).filter(|at| *at > LONGEST_SECONDS);
    if late.is_some() {
        return Some("it goes on for more than 7 days, which no ramp does".to_owned());
    }
    let small = ramp.iter().map(|step| step.share).find(|share| *share < LEAST_SHARE);
    small.map(|share| {
        format!(
            "{share:.2e} of the users would be let in, less than one of a million: the origin \
             stands too little for this load"
        )
    })
}

/// The longest ramp that a scenario reads.
const LONGEST_SECONDS: f64 = 7.0 * 86_400.0;

/// The smallest share with six digits behind the point.
const LEAST_SHARE: f64 = 1e-6;

/// The ramp as comma-separated values, for whatever lets users in.
pub fn ramp_csv(ramp: &[RampStep]) -> String {
    let row = |step: &RampStep| {
        format!("{:.3},{:.6},{:.3}\n", step.at_seconds, step.share, step.reads_per_second)
    };
    let rows: String = ramp.iter().map(row).collect();
    format!("at_seconds,share_of_users,reads_per_second\n{rows}")
}
