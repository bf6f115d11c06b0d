//! Noise floors: how far two independent loads of the same law are apart by chance alone.
//!
//! A difference below its floor says nothing. Where requests cannot be paired, the tolerance of a
//! metric is therefore at least [`FACTOR`] times its floor. The closed forms are the reference's,
//! with two additions: gaps and counts of bursty loads are worth fewer independent ones, and sums
//! over the whole recording have the dispersion of its sessions, which no window of it shows whole.

use crate::shape::keys::Kept;
use crate::shape::profile::Profile;
use crate::shape::profile::stretches::length_of;
use crate::stats::counts::{as_f64, coarsen};
use crate::stats::dispersion::{
    dependence_of_residuals, index_of_dispersion, of_few, relative_error, successive_dispersion,
};
use crate::stats::distances::total_variation;
use crate::stats::gaps::{wasserstein_floor, worst_design};

/// What is tolerated between loads that are not paired, in floors.
pub const FACTOR: f64 = 2.0;

/// The floors of two recordings. Each is 0 where the recordings are paired, and of no size where
/// it cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Floors {
    /// Of the number of requests, as a share.
    pub total: f64,
    /// WAPE of counts in seconds.
    pub wape: f64,
    /// The same of two samples of the rate's curve as it is, without what it rises and falls by:
    /// what is much nearer is no sample but the same seconds.
    pub wape_near: f64,
    /// The same in ten seconds.
    pub wape_tens: f64,
    /// Dispersion of what all sessions of a sparse load do together by chance; 0 of other loads.
    pub common: f64,
    /// Cumulative lag in seconds.
    pub lag_seconds: f64,
    /// Ratio of the busiest seconds, less one.
    pub peak: f64,
    /// KS distance of gaps.
    pub gaps_ks: f64,
    /// Wasserstein-1 of gaps, as a share of the mean gap.
    pub gaps_w1: f64,
    /// Logarithm of the IDC ratio, at 10 ms, 100 ms, 1 s and 10 s.
    pub dispersion: [f64; 4],
    /// Total variation distance of the mix.
    pub mix: f64,
    /// WAPE of connections opened a second.
    pub opens: f64,
    /// Mean distance of miss-ratio curves.
    pub miss_curve: f64,
    /// Requests that one independent request stands for, where a share of requests is estimated.
    pub design: f64,
}

/// What is tolerated of the WAPE of a load of which windows of ten seconds tell, at most; a load of
/// which they do not is sparse.
pub(super) const DENSE: f64 = 0.5;

/// The median of the KS distance of two samples of independent values, times `√(1/n + 1/m)`.
const KS_MEDIAN: f64 = 0.83;

/// Windows of 10 ms in each scale of [`Floors::dispersion`].
pub const SCALES: [usize; 4] = [1, 10, 100, 1_000];

/// The dispersion of counts in windows of `factor` × 10 ms, made of those of 10 ms.
pub(super) fn dispersion(counts: &[u32], factor: usize) -> Option<f64> {
    index_of_dispersion(&coarsen(complete(counts, factor), factor), as_f64(factor as u64) / 100.0)
}

/// Counts without an incomplete last window of `factor` × 10 ms, which would pass for a burst. One
/// that lacks less than a hundredth is complete: the last request just came a little before.
fn complete(counts: &[u32], factor: usize) -> &[u32] {
    let windows = (counts.len() + factor / 100) / factor.max(1);
    counts.get(..windows * factor).unwrap_or(counts)
}

impl Floors {
    /// Of recordings whose requests are paired: there is no sampling error.
    pub fn of_pairs() -> Self {
        Self { design: 1.0, ..Self::default() }
    }

    /// Of two independent loads, by the law that the first one shows.
    pub fn of(reference: &Profile, other: &Profile) -> Self {
        let (n, m) = (as_f64(reference.shape.total), as_f64(other.shape.total));
        let (seconds, rate) = (reference.fine_seconds(), reference.fine_rate());
        let counts = &reference.shape.counts;
        let chance = Chance::of(reference);
        let near = successive_dispersion(&coarsen(complete(counts, 100), 100));
        let near = near.unwrap_or(1.0).max(EVENEST);
        let both = 1.0 / n + 1.0 / m;
        let peak = coarsen(counts, 100).into_iter().max().unwrap_or(0);
        let opens: u64 = reference.shape.opens.iter().copied().map(u64::from).sum();
        let opens_rate = as_f64(opens) / seconds;
        let opens_second =
            index_of_dispersion(&coarsen(&reference.shape.opens, 1), 1.0).unwrap_or(1.0);
        let (mix, design) = mix(reference, other, both);
        let [gaps_ks, gaps_w1] = gaps(reference, both, &chance);
        let floors = Self {
            total: (chance.whole * both).sqrt() * TAIL,
            wape: 2.0 * (chance.second / (std::f64::consts::PI * rate)).sqrt(),
            wape_near: 2.0 * (near.min(chance.second) / (std::f64::consts::PI * rate)).sqrt(),
            wape_tens: chance.wape_tens,
            common: chance.common,
            lag_seconds: 1.5 * (2.0 * chance.whole * n).sqrt() / reference.rate(),
            peak: (2.0 * chance.second / as_f64(peak.max(1))).sqrt(),
            gaps_ks,
            gaps_w1,
            dispersion: SCALES.map(|factor| dispersion_floor(reference, factor, &chance)),
            mix,
            opens: 2.0 * (opens_second / (std::f64::consts::PI * opens_rate)).sqrt(),
            miss_curve: (0.25
                * (2.0 / as_f64(reference.keys.distinct(Kept::is_read)).max(1.0)).sqrt())
            .min((design * both).sqrt()),
            design,
        };
        floors.finite()
    }

    /// Without seconds or requests there is nothing to divide by: the metrics themselves say so.
    fn finite(self) -> Self {
        let known = |floor: f64| if floor.is_finite() { floor } else { 0.0 };
        Self {
            total: known(self.total),
            wape: known(self.wape),
            wape_near: known(self.wape_near),
            wape_tens: known(self.wape_tens),
            common: known(self.common),
            lag_seconds: known(self.lag_seconds),
            peak: known(self.peak),
            gaps_ks: known(self.gaps_ks),
            gaps_w1: known(self.gaps_w1),
            dispersion: self.dispersion.map(known),
            mix: self.mix,
            opens: known(self.opens),
            miss_curve: known(self.miss_curve),
            design: self.design,
        }
    }
}

/// How much the counts of a load vary by chance.
struct Chance {
    /// Dispersion of counts in seconds.
    second: f64,
    /// The floor of the WAPE in ten seconds.
    wape_tens: f64,
    /// Windows of ten seconds do not tell: it is a sparse load.
    is_sparse: bool,
    /// See [`Floors::common`].
    common: f64,
    /// Dispersion of sums over the whole of it.
    whole: f64,
}

impl Chance {
    fn of(reference: &Profile) -> Self {
        let counts = &reference.shape.counts;
        let second = dispersion(counts, 100).unwrap_or(1.0).max(EVENEST);
        let tens = dispersion(counts, 1_000).unwrap_or(1.0).max(second);
        let rate = reference.fine_rate();
        let wape_tens = 2.0 * (tens / (10.0 * std::f64::consts::PI * rate)).sqrt();
        let is_sparse = wape_tens * FACTOR > DENSE;
        // Of a dense load, what all do together is seen second by second, and is its curve.
        let common = if is_sparse { reference.minutes.common_dispersion() } else { 0.0 };
        let whole = tens.max(reference.cluster.unwrap_or(1.0)).max(common);
        Self { second, wape_tens, is_sparse, common, whole }
    }
}

/// The floors of the distances of gaps: KS and Wasserstein-1.
///
/// Gaps of a bursty load are worth fewer independent ones, as many fewer as its seconds are
/// dispersed. Seconds of a sparse load hold a request or none, and say nothing of its sessions; so
/// their stretches do. Long gaps and short ones then come together, so that both distances are off
/// by more at times than those of independent gaps.
fn gaps(reference: &Profile, both: f64, chance: &Chance) -> [f64; 2] {
    let gaps = &reference.gaps;
    if !chance.is_sparse {
        let bursty = chance.second.max(1.0);
        let w1 = wasserstein_floor(gaps, both, |_| bursty).unwrap_or(0.0);
        return [KS_MEDIAN * (both * bursty).sqrt(), w1];
    }
    let designs = reference.stretches.designs();
    let design = |gap_ns: u64| designs[length_of(gap_ns)];
    let ks = KS_MEDIAN * (both * worst_design(gaps, design)).sqrt();
    let w1 = wasserstein_floor(gaps, both, design).unwrap_or(0.0);
    [ks, w1 * TAIL]
}

/// The error of the logarithm of a ratio of dispersions: that of both estimates, from as many
/// windows as there are. Where the trend is a mean of few windows, what is left of them is not
/// independent, and the error is as much larger. Of a sparse load, few windows hold most of what
/// there is: then it is their error, and chance goes to its tail.
fn dispersion_floor(reference: &Profile, factor: usize, chance: &Chance) -> f64 {
    let (seconds, length) = (reference.fine_seconds(), as_f64(factor as u64) / 100.0);
    let windows = (seconds / length).floor().max(1.0);
    let closed = 2.0 / windows.sqrt() * dependence_of_residuals(length);
    // Where most windows hold nothing, it is not told of them anyway.
    if !chance.is_sparse || reference.fine_rate() * length < 1.0 {
        return closed;
    }
    let windows = coarsen(complete(&reference.shape.counts, factor), factor);
    let seen = of_few(relative_error(&windows, length).unwrap_or(0.0));
    closed.max(seen * std::f64::consts::SQRT_2) * BURSTS_TAIL
}

/// Fewest sessions in each half of a load from which the halves tell how alike requests of one
/// session are. With fewer, nothing is known of how far two samples of the mix are apart.
pub(super) const LEAST_SESSIONS: u64 = 30;

/// The dispersion of a stream that is as good as even.
pub(super) const EVENEST: f64 = 0.1;

/// A standard deviation is exceeded by one of three: this many are, by one of eight.
pub(super) const TAIL: f64 = 1.5;

/// The same of the bursts of a sparse load, which are told at several scales, each of which may be
/// off: seven of a hundred thousand are, as far beyond as is tolerated, of normal ones.
pub(super) const BURSTS_TAIL: f64 = 2.0;

/// The floor of the mix, and how many requests stand for one that is independent: infinite where
/// too few sessions are known to tell.
///
/// The closed form takes requests as drawn one by one: `½ Σ √(2p(1 − p)(1/n + 1/m)/π)`. Those of a
/// session are not, so two halves of one recording, each session whole in one of them, show how
/// much larger it really is: halves of the first, or of the second where the first has too few
/// sessions or none, as a saved run has.
fn mix(reference: &Profile, other: &Profile, both: f64) -> (f64, f64) {
    let closed = closed_mix(reference, both);
    let design = design(reference).or_else(|| design(other)).unwrap_or(f64::INFINITY);
    let floor = if design.is_finite() { closed * design.sqrt() } else { f64::INFINITY };
    (floor, design)
}

fn design(profile: &Profile) -> Option<f64> {
    if profile.sessions.iter().any(|&sessions| sessions < LEAST_SESSIONS) {
        return None;
    }
    let [even, odd] = &profile.halves;
    // As real numbers: a saved run may say anything.
    let sizes = [even, odd].map(|half| half.values().map(|&count| as_f64(count)).sum::<f64>());
    let ratio = total_variation(even, odd)
        .map(|apart| apart / closed_mix(profile, 1.0 / sizes[0] + 1.0 / sizes[1]))
        .filter(|ratio| ratio.is_finite());
    Some(ratio.map_or(1.0, |ratio| (ratio * ratio).max(1.0)))
}

/// The floor of the mix where each request is drawn on its own: what is within it is near, whatever
/// requests of a session have in common.
pub(super) fn closed_mix(profile: &Profile, both: f64) -> f64 {
    let n = as_f64(profile.shape.total);
    let each = profile.shape.mix.values().map(|&count| {
        let share = as_f64(count) / n;
        (2.0 * share * (1.0 - share) * both / std::f64::consts::PI).max(0.0).sqrt()
    });
    each.sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests;
