//! Simulated cold starts of a known truth.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A cold start of one-second bins: `level · (1 + excess · e^(−t/constant))`, noisy, against a
/// warm run of `level`.
pub(crate) fn simulated(seed: u64, bins: u32, excess: f64, constant: f64) -> Comparison {
    const LEVEL: f64 = 20e6;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut noisy = |ns: f64| {
        let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        as_index(ns * (1.0 + 0.05 * normal)) as u64
    };
    let mut side = |p50: f64, reads: f64| Side {
        requests: 100,
        answers: 100,
        p50_ns: noisy(p50),
        p95_ns: noisy(p50 * 2.0),
        mean_ns: p50,
        origin_reads: Some(reads),
        ..Side::default()
    };
    let bins = (0..bins).map(|bin| {
        let missing = (-(f64::from(bin) + 0.5) / constant).exp();
        Bin {
            cold: side(LEVEL * (1.0 + excess * missing), 100.0 * missing),
            warm: side(LEVEL, 2.0),
        }
    });
    let bins = bins.collect();
    Comparison { bin_ns: 1_000_000_000, bins, ..Comparison::default() }
}

#[test]
fn the_time_to_the_steady_state_is_found_over_twenty_seeds() {
    let truth = 20.0 * (4.0_f64 / 0.05).ln();
    let mut off = Vec::new();
    for seed in 0..20 {
        let found = warming(&simulated(seed, 180, 4.0, 20.0)).unwrap();
        assert_eq!(found.p50.course, Course::WarmUp, "seed {seed}");
        off.push(found.p50.steady.unwrap().as_secs_f64() / truth - 1.0);
    }
    assert!(off.iter().all(|off| off.abs() < 0.10), "{off:?}");
}

/// In the short and noisy series of a small machine, changes alone would show nothing.
#[test]
fn a_short_and_noisy_warm_up_is_found_as_well() {
    for seed in 0..20 {
        let found = warming(&simulated(seed, 20, 4.0, 3.0)).unwrap();
        assert_eq!(found.p50.course, Course::WarmUp, "seed {seed}: {:?}", found.p50);
    }
}

#[test]
fn a_run_without_a_warm_up_is_steady_from_the_start() {
    for seed in 0..20 {
        let found = warming(&simulated(seed, 60, 0.0, 20.0)).unwrap();
        assert_eq!(found.p50.steady, Some(Duration::ZERO), "seed {seed}: {:?}", found.p50);
        assert!(!found.p50.is_disputed());
    }
}

#[test]
fn a_run_that_ends_too_early_never_was_steady() {
    for constant in [40.0, 1e6] {
        let found = warming(&simulated(1, 60, 4.0, constant)).unwrap();
        assert_eq!(found.p50.steady, None, "{:?}", found.p50);
    }
}

#[test]
fn what_slows_down_at_the_end_of_a_warm_run_is_no_cold_cache() {
    let mut busy = simulated(1, 40, 0.0, 1.0);
    for bin in busy.bins.iter_mut().skip(28) {
        (bin.cold.p50_ns, bin.cold.p95_ns) = (bin.cold.p50_ns * 2, bin.cold.p95_ns * 4);
    }
    let found = warming(&busy).unwrap();
    assert_eq!(found.p50.steady, Some(Duration::ZERO), "{:?}", found.p50);
    assert_eq!(found.p95.steady, Some(Duration::ZERO), "{:?}", found.p95);
}

#[test]
fn excess_and_reads_add_up() {
    let found = warming(&simulated(1, 180, 4.0, 20.0)).unwrap();
    // 20 ms × 4 × 100 requests/s × 20 s of a decay.
    assert!((found.excess_seconds - 160.0).abs() < 4.0, "{}", found.excess_seconds);
    let [cold, warm] = found.peak_reads.unwrap();
    assert!((cold - 97.5).abs() < 1.0 && (warm - 2.0).abs() < 1e-9);
    assert!((found.amplification.unwrap() - 48.8).abs() < 1.0);
}

#[test]
fn too_few_bins_or_answers_are_not_compared() {
    assert!(warming(&Comparison::default()).is_err());
    assert!(warming(&simulated(1, 11, 4.0, 2.0)).is_err());
    let mut sparse = simulated(1, 60, 4.0, 2.0);
    for bin in sparse.bins.iter_mut().take(30) {
        bin.warm.answers = 3;
    }
    assert!(warming(&sparse).unwrap_err().contains("30 of 60"));
}

#[test]
fn a_collapse_is_no_steady_state() {
    let mut collapsed = simulated(1, 60, 0.0, 2.0);
    for bin in &mut collapsed.bins {
        (bin.cold.answers, bin.cold.errors) = (5, 95);
    }
    let found = warming(&collapsed).unwrap();
    assert_eq!((found.p50.steady, found.errors_steady), (None, None));
}
