//! Made-up distributions of times.

use hdrhistogram::Histogram;
use peakhour::summary::parts::Parts;

/// An answer waits for the most part; a few bytes come back.
pub(super) fn parts() -> Parts {
    let mut parts = Parts::default();
    for step in 1..=100_u64 {
        for (histogram, micros) in [
            (&mut parts.sending, 20 + step),
            (&mut parts.waiting, 900 + step * step * 4),
            (&mut parts.receiving, 60 + step * 9),
        ] {
            histogram.record(micros * 1_000).unwrap();
        }
        parts.response_bytes.record(200 + step * step * 30).unwrap();
    }
    parts
}

/// A distribution so many tenths as long.
pub(super) fn scaled(histogram: &Histogram<u64>, tenths: u64) -> Histogram<u64> {
    let mut other = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
    for value in histogram.iter_recorded() {
        let scaled = value.value_iterated_to() * tenths / 10;
        other.record_n(scaled, value.count_at_value()).unwrap();
    }
    other
}

pub(super) fn lateness(late: bool, count: u64) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
    let (usual, worst) = if late { (2_100_000, 21_000_000) } else { (34_000, 110_000) };
    histogram.record_n(usual, count - count / 50).unwrap();
    histogram.record_n(worst, count / 50).unwrap();
    histogram
}
