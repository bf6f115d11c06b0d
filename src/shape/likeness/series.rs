//! What is drawn of two loads: burstiness by scale, gaps by quantile, and curves.

use crate::shape::floor::{SCALES, dispersion};
use crate::shape::likeness::{Dispersion, GapQuantile};
use crate::shape::metrics::MIN_WINDOWS;
use crate::shape::profile::Profile;

/// At every scale of which both recordings have enough windows.
pub(super) fn dispersions(reference: &Profile, other: &Profile) -> Vec<Dispersion> {
    let of = |profile: &Profile, factor: usize| {
        // An incomplete last window would pass for a burst.
        let complete = profile.shape.counts.len() / factor;
        let counts = profile.shape.counts.get(..complete * factor)?;
        if complete >= MIN_WINDOWS { dispersion(counts, factor) } else { None }
    };
    let at = |factor: usize| {
        let (reference, other) = (of(reference, factor)?, of(other, factor)?);
        Some(Dispersion { window_ms: factor as u64 * 10, reference, other })
    };
    SCALES.into_iter().filter_map(at).collect()
}

/// Quantiles of the gaps of both.
pub(super) fn gaps(reference: &Profile, other: &Profile) -> Vec<GapQuantile> {
    let at = |q: f64| GapQuantile {
        q,
        reference_ns: reference.gaps.value_at_quantile(q),
        other_ns: other.gaps.value_at_quantile(q),
    };
    [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0].map(at).to_vec()
}

/// Both by minutes where seconds do not hold all of one.
pub(super) fn minutes(profiles: [&Profile; 2]) -> [Vec<u64>; 2] {
    if profiles.iter().all(|profile| profile.coarse() == 0) {
        return [Vec::new(), Vec::new()];
    }
    profiles.map(|profile| profile.minutes.counts(1))
}
