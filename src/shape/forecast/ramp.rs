//! How to let users in after a cold start.

use crate::shape::forecast::{ForecastBin, RampStep};
use crate::stats::counts::as_f64;

/// Admits reads so that their misses stay within what the origin stands: `dN/dt = C / m(N)`, at
/// most the full rate. Ends where the full rate holds for good.
pub(super) fn ramp(
    bins: &[ForecastBin],
    bin_seconds: f64,
    misses_per_second: f64,
) -> Vec<RampStep> {
    let reads: u64 = bins.iter().map(|bin| bin.reads).sum();
    let full = as_f64(reads) / (as_f64(bins.len() as u64) * bin_seconds);
    let (mut at, mut steps) = (0.0, Vec::<RampStep>::new());
    for bin in bins.iter().filter(|bin| bin.reads > 0) {
        let missed = as_f64(bin.cold) / as_f64(bin.reads);
        let rate = full.min(misses_per_second / missed.max(1e-12));
        steps.push(RampStep { at_seconds: at, share: rate / full, reads_per_second: rate });
        at += as_f64(bin.reads) / rate;
    }
    let full_from = steps.iter().rposition(|step| step.share < 1.0).map_or(0, |last| last + 1);
    steps.truncate(full_from + 1);
    thinned(&steps)
}

/// Steps of a ramp at most.
const MAX_STEPS: usize = 200;

/// Of neighbours the smallest share, so that a shorter ramp admits no more anywhere.
fn thinned(steps: &[RampStep]) -> Vec<RampStep> {
    let group = steps.len().div_ceil(MAX_STEPS).max(1);
    let slowest = |steps: &[RampStep]| {
        let least = steps.iter().min_by(|a, b| a.share.total_cmp(&b.share)).copied();
        least.map(|least| RampStep { at_seconds: steps[0].at_seconds, ..least })
    };
    steps.chunks(group).filter_map(slowest).collect()
}

/// The ramp as comma-separated values, for whatever lets users in.
pub fn ramp_csv(ramp: &[RampStep]) -> String {
    let row = |step: &RampStep| {
        format!("{:.3},{:.6},{:.3}\n", step.at_seconds, step.share, step.reads_per_second)
    };
    let rows: String = ramp.iter().map(row).collect();
    format!("at_seconds,share_of_users,reads_per_second\n{rows}")
}
