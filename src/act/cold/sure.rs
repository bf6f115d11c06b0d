//! What of the difference between cold and warm is no noise of the machine: by how much the warm
//! run scatters by itself, and how late the requests were sent.

use crate::act::cold::compare::{Bin, Side};
use crate::act::cold::warming::MIN_ANSWERS;
use crate::stats::steady::{quantile_of, running_medians};

/// Fewest bins that show a difference.
const FEWEST: usize = 3;

/// Bins of the warm run beside which a bin is not out of the ordinary.
const NEIGHBOURS: usize = 7;

/// Differences beyond noise, bin by bin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sure {
    /// The cold run was slower.
    pub(super) slower: Vec<bool>,
    /// The warm run was slower.
    pub(super) faster: Vec<bool>,
    /// The noise of a bin at the median, in seconds.
    pub(super) noise: f64,
}

/// A latency, how late the requests of a bin were as far as it matters to it, and what of its
/// differences nobody feels: a share, and seconds.
pub(super) struct Felt {
    pub(super) of: fn(&Side) -> u64,
    pub(super) late: fn(&Side) -> u64,
    pub(super) within: f64,
    pub(super) unfelt: f64,
}

/// Sets the differences of all bins against their noise. A bin with too few answers shows none; one
/// of which less than half of the requests were answered is slower however it is measured.
pub(super) fn sure(bins: &[Bin], felt: &Felt) -> Sure {
    let seconds = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64();
    let warm: Vec<f64> = bins.iter().map(|bin| seconds((felt.of)(&bin.warm))).collect();
    let usual = running_medians(&warm, NEIGHBOURS);
    let off: Vec<f64> =
        warm.iter().zip(&usual).map(|(warm, usual)| (warm - usual) / usual.max(1e-9)).collect();
    let quantile = |q: f64| quantile_of(&off, q).unwrap_or(0.0);
    // Twice the standard deviation, by the distance of the outer tenths.
    let scatter = (quantile(0.9) - quantile(0.1)) / 1.28;
    let (mut slower, mut faster, mut noises) = (Vec::new(), Vec::new(), Vec::new());
    for (bin, usual) in bins.iter().zip(usual) {
        // What is late by a time on average is late by less than twice that for half of it, and
        // the target on the same machine may be as late.
        let late = seconds((felt.late)(&bin.cold).max((felt.late)(&bin.warm)));
        let noise = 2.0 * late + scatter * usual;
        let least = (felt.within * usual).max(felt.unfelt) + noise;
        let is_known = bin.warm.answers >= MIN_ANSWERS && bin.cold.requests >= MIN_ANSWERS;
        let is_cut_off = bin.cold.answers * 2 < bin.cold.requests;
        let cold = seconds((felt.of)(&bin.cold));
        slower.push(is_known && (is_cut_off || cold - usual > least));
        faster.push(is_known && !is_cut_off && usual - cold > least);
        noises.push(noise);
    }
    Sure { slower, faster, noise: quantile_of(&noises, 0.5).unwrap_or(0.0) }
}

impl Sure {
    /// The bins from the start of which four in five were slower.
    pub(super) fn slow_until(&self) -> usize {
        let (mut slow, mut until) = (0, 0);
        for (index, _) in self.slower.iter().enumerate().filter(|(_, slower)| **slower) {
            slow += 1;
            if slow * 5 >= (index + 1) * 4 {
                until = index + 1;
            }
        }
        if slow < FEWEST { 0 } else { until }
    }

    /// Most of the first quarter was slower.
    pub(super) fn begins_slow(&self) -> bool {
        most(&self.slower[..self.slower.len().div_ceil(4)])
    }

    /// Most of the last quarter was slower.
    pub(super) fn ends_slow(&self) -> bool {
        most(&self.slower[self.slower.len() * 3 / 4..])
    }

    /// In most of the last quarter the warm run was slower.
    pub(super) fn ends_fast(&self) -> bool {
        most(&self.faster[self.faster.len() * 3 / 4..])
    }
}

/// Two in three, and not fewer than show anything.
fn most(bins: &[bool]) -> bool {
    let are = bins.iter().filter(|is| **is).count();
    are >= FEWEST.min(bins.len()).max(1) && are * 3 >= bins.len() * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const FELT: Felt = Felt {
        of: |side| side.p50_ns,
        late: |side| side.lateness_ns[0],
        within: 0.05,
        unfelt: 0.0,
    };

    fn bins(cold_ms: &[u64], late_ms: u64) -> Vec<Bin> {
        let side = |ms: u64| Side {
            requests: 50,
            answers: 50,
            p50_ns: ms * 1_000_000,
            lateness_ns: [late_ms * 1_000_000; 2],
            ..Side::default()
        };
        cold_ms.iter().map(|ms| Bin { cold: side(*ms), warm: side(10) }).collect()
    }

    #[test]
    fn a_hiccup_neither_makes_a_slow_start_nor_ends_one() {
        let mut times = [10; 20];
        times[0] = 90;
        assert_eq!(sure(&bins(&times, 0), &FELT).slow_until(), 0);
        times[..12].fill(40);
        times[5] = 10;
        let found = sure(&bins(&times, 0), &FELT);
        assert_eq!((found.slow_until(), found.begins_slow(), found.ends_slow()), (12, true, false));
        times.fill(40);
        assert!(sure(&bins(&times, 0), &FELT).ends_slow());
    }

    #[test]
    fn what_lateness_explains_is_not_sure() {
        let found = sure(&bins(&[40; 20], 20), &FELT);
        assert_eq!((found.slow_until(), found.begins_slow()), (0, false));
        assert!((found.noise - 0.04).abs() < 1e-9, "{}", found.noise);
        assert_eq!(sure(&bins(&[40; 20], 10), &FELT).slow_until(), 20);
    }

    #[test]
    fn what_the_warm_run_scatters_by_itself_is_not_sure() {
        let mut bins = bins(&[16; 20], 0);
        for (index, bin) in bins.iter_mut().enumerate() {
            bin.warm.p50_ns = if index % 2 == 0 { 5_000_000 } else { 15_000_000 };
        }
        assert_eq!(sure(&bins, &FELT).slow_until(), 0);
    }

    #[test]
    fn bins_without_answers_show_nothing_and_a_collapse_shows_everything() {
        let mut bins = bins(&[90; 20], 0);
        for bin in &mut bins {
            bin.warm.answers = 2;
        }
        assert_eq!(sure(&bins, &FELT).slow_until(), 0);
        for bin in &mut bins {
            (bin.warm.answers, bin.cold.answers) = (50, 2);
        }
        assert_eq!(sure(&bins, &FELT).slow_until(), 20);
    }
}
