//! Where the second recording begins on the first one's clock.

use crate::shape::WINDOW_NS;
use crate::shape::pairing::Pairing;
use crate::shape::profile::Profile;
use crate::stats::counts::{as_f64, coarsen};

/// How far the curves are looked for, in seconds, either way.
const REACH_SECONDS: usize = 60;

/// A shift must bring the curves together to this share of their distance; by chance the best one
/// of many shifts is a little better than none.
const CLEARLY: f64 = 0.5;

/// The second profile, with its windows where those of the first are, and by how much it was later,
/// in nanoseconds.
///
/// Both begin with their first request. Pairs tell the rest; without them, the curves do where they
/// clearly fit at another place.
pub(super) fn aligned(
    reference: &Profile,
    other: &Profile,
    pairing: Option<&Pairing>,
) -> (Profile, i64) {
    let later = match pairing {
        // To the nearest window.
        Some(pairing) => {
            let window = i64::try_from(WINDOW_NS).unwrap_or(i64::MAX);
            (pairing.offset_ns.saturating_add(window / 2)).div_euclid(window)
        }
        None => found(&reference.shape.counts, &other.shape.counts),
    };
    let mut other = other.clone();
    other.shift(later.saturating_neg());
    let shift_ns = match pairing {
        Some(pairing) => pairing.offset_ns,
        None => later.saturating_mul(i64::try_from(WINDOW_NS).unwrap_or(i64::MAX)),
    };
    (other, shift_ns)
}

/// Windows of 10 ms by which the second series is later, by the distance of the curves: in seconds
/// first, then in tenths, then in hundredths.
fn found(reference: &[u32], other: &[u32]) -> i64 {
    let reach = i64::try_from(REACH_SECONDS).unwrap_or(0);
    let (first, second) = (coarsen(reference, 100), coarsen(other, 100));
    let unmoved = distance(&first, &second, 0);
    let Some((best, seconds)) = nearest(&first, &second, 0, reach) else { return 0 };
    if as_f64(best) > as_f64(unmoved) * CLEARLY {
        return 0;
    }
    let (first, second) = (coarsen(reference, 10), coarsen(other, 10));
    let tenths = nearest(&first, &second, seconds * 10, 10).map_or(seconds * 10, |best| best.1);
    let (first, second) = (coarsen(reference, 1), coarsen(other, 1));
    nearest(&first, &second, tenths * 10, 10).map_or(tenths * 10, |best| best.1)
}

/// The smallest distance, and the shift that has it, around a shift; of equal ones the nearest.
fn nearest(first: &[u64], second: &[u64], around: i64, reach: i64) -> Option<(u64, i64)> {
    (-reach..=reach)
        .map(|step| (distance(first, second, around + step), step.abs(), around + step))
        .min()
        .map(|(distance, _, shift)| (distance, shift))
}

/// Requests in which the curves differ when the second is `later` windows too late.
fn distance(first: &[u64], second: &[u64], later: i64) -> u64 {
    let at = |counts: &[u64], index: i64| {
        usize::try_from(index).ok().and_then(|index| counts.get(index)).copied().unwrap_or(0)
    };
    let length = |counts: &[u64]| i64::try_from(counts.len()).unwrap_or(0);
    let begin = 0.min(-later);
    let end = length(first).max(length(second) - later);
    (begin..end).map(|index| at(first, index).abs_diff(at(second, index + later))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(windows: u32, shift: u32) -> Vec<u32> {
        (0..windows)
            .map(|window| {
                let second = f64::from(window + shift) / 100.0;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small"
                )]
                let count = (20.0 + 19.0 * (second / 3.0).sin()) as u32;
                count
            })
            .collect()
    }

    #[test]
    fn a_curve_is_found_where_it_fits() {
        // The second lacks the first 1.23 s, so that the reference is ahead of it.
        assert_eq!(found(&wave(3_000, 0), &wave(3_000, 123)), -123);
        assert_eq!(found(&wave(3_000, 123), &wave(3_000, 0)), 123);
        assert_eq!(found(&wave(3_000, 0), &wave(3_000, 0)), 0);
    }

    #[test]
    fn what_fits_nowhere_stays() {
        assert_eq!(found(&[3; 2_000], &[5; 2_000]), 0);
        assert_eq!(found(&[3; 2_000], &[]), 0);
    }
}
