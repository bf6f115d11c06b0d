//! Series of counts in windows of one length.

/// Counts in windows `factor` times as long; the last one may be incomplete. A `factor` of 0 is
/// taken for 1.
pub fn coarsen(counts: &[u32], factor: usize) -> Vec<u64> {
    counts.chunks(factor.max(1)).map(|chunk| chunk.iter().copied().map(u64::from).sum()).collect()
}

/// The sum of counts that a file may have made up: the largest number where it is beyond that.
pub fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The quantile `q` (0 to 1) of counts, interpolated linearly at `q·(n−1)` as most tools of the
/// field do; `None` without counts.
pub fn quantile(counts: &[u32], q: f64) -> Option<f64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * as_f64(last as u64);
    let below = position.floor();
    let index = as_index(below).min(last);
    let low = f64::from(sorted[index]);
    let high = f64::from(sorted[(index + 1).min(last)]);
    Some(low + (high - low) * (position - below))
}

/// A count as a real number. Counts above 2^53 do not occur: a run has at most some 10^9 requests.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, see above")]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The integer part of a number that is at least 0, as an index.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of floats saturates; negative numbers and NaN become 0"
)]
pub fn as_index(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_windows_hold_the_same_total() {
        assert_eq!(coarsen(&[1, 2, 3, 4, 5], 2), [3, 7, 5]);
        assert_eq!(coarsen(&[1, 2], 10), [3]);
        assert_eq!(coarsen(&[], 10), [0; 0]);
        assert_eq!(coarsen(&[1, 2], 0), [1, 2]);
        assert_eq!((total([1, 2, 3]), total([u64::MAX, 1])), (6, u64::MAX));
    }

    /// Expected values are those of the default method of the usual numerical packages.
    #[test]
    fn quantiles_interpolate_between_ranks() {
        let near = |counts: &[u32], q: f64, expected: f64| {
            let value = quantile(counts, q).unwrap();
            assert!((value - expected).abs() < 1e-9, "{q}: {value}");
        };
        near(&[7], 0.5, 7.0);
        near(&[4, 1, 3, 2], 0.5, 2.5);
        near(&[4, 1, 3, 2], 0.9, 3.7);
        near(&[4, 1, 3, 2], 0.0, 1.0);
        near(&[4, 1, 3, 2], 1.0, 4.0);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
