//! Replays, well done and not, and what is none.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::bytes::spread;
use crate::stats::histograms::nanoseconds;

/// Moments in milliseconds, and what was asked for.
fn keys(requests: &[(f64, u64)]) -> Keys {
    let mut sorted = requests.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut keys = Keys::default();
    for (number, (ms, key)) in (0_u32..).zip(sorted) {
        // Every hundred of them are of five sessions, by turns.
        let session = number / 100 * 5 + number % 5;
        keys.add(spread(key + 1), true, nanoseconds(Duration::from_secs_f64(ms / 1e3)), session);
    }
    keys
}

/// 5 000 requests for 50 resources, some 100 a second.
fn recorded(seed: u64) -> Vec<(f64, u64)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut at = 0.0;
    (0..5_000)
        .map(|_| {
            at -= (1.0 - random.random::<f64>()).ln() * 10.0;
            (at, random.random_range(0_u64..50).min(random.random_range(0..50)))
        })
        .collect()
}

const GAP_NS: f64 = 1e7;

#[test]
fn a_replay_is_recognised_whatever_its_clock_and_its_faults() {
    let original = recorded(1);
    let moved = |by: &dyn Fn(usize, f64) -> f64| -> Vec<(f64, u64)> {
        original.iter().enumerate().map(|(n, &(ms, key))| (by(n, ms), key)).collect()
    };
    let exact = pair(&keys(&original), &keys(&moved(&|_, ms| ms + 777.0))).unwrap();
    assert!((exact.share - 1.0).abs() < 1e-9 && exact.overtaken <= 0.0, "{exact:?}");
    assert_eq!(exact.offset_ns, 777_000_000);
    assert!(exact.lateness.max() <= 1, "{}", exact.lateness.max());
    assert!(exact.is_replay(GAP_NS));
    let late = pair(&keys(&original), &keys(&moved(&|n, ms| ms + as_f64(n as u64 % 10)))).unwrap();
    assert!(late.is_replay(GAP_NS) && late.lateness.max() <= 5_010_000, "{late:?}");
    let stretched = pair(&keys(&original), &keys(&moved(&|_, ms| ms * 1.5))).unwrap();
    assert!(stretched.is_replay(GAP_NS) && stretched.lateness.max() > 10_000_000_000);
    let cut: Vec<(f64, u64)> = original.iter().step_by(2).copied().collect();
    let cut = pair(&keys(&original), &keys(&cut)).unwrap();
    assert!((cut.share - 1.0).abs() < 1e-9, "all of the smaller one: {}", cut.share);
}

#[test]
fn another_load_of_the_same_mix_is_no_replay() {
    let other = pair(&keys(&recorded(1)), &keys(&recorded(2))).unwrap();
    assert!(other.share > 0.9, "{}", other.share);
    assert!(!other.is_replay(GAP_NS), "{:?}", other.drift_ns);
    let strangers: Vec<(f64, u64)> =
        recorded(1).iter().map(|&(ms, key)| (ms, key + 1_000)).collect();
    assert!(pair(&keys(&recorded(1)), &keys(&strangers)).is_none());
}

#[test]
fn what_is_missing_or_sent_twice_leaves_the_others_with_their_moments() {
    let original = recorded(1);
    let lacking: Vec<(f64, u64)> = original
        .iter()
        .enumerate()
        .filter(|(index, _)| index % 100 != 50)
        .map(|(_, &(ms, key))| (ms + 0.5, key))
        .collect();
    for (first, second) in [(&original, &lacking), (&lacking, &original)] {
        let pairing = pair(&keys(first), &keys(second)).unwrap();
        assert!(pairing.is_replay(GAP_NS), "{:?}", pairing.drift_ns);
        assert_eq!(pairing.pairs, 4_950);
        assert!(pairing.lateness.max() <= 1, "{}", pairing.lateness.max());
    }
    // Without a table for it, by the nearest of two.
    let moments = |list: &[i64]| list.iter().map(|&at| (7, at, 0)).collect::<Vec<_>>();
    let long = moments(&[0, 10, 20, 30, 40]);
    let short = moments(&[1, 21, 41]);
    assert_eq!(left_out(&long, &short, 0, &mut 0), [0, 2, 4]);
    assert_eq!(left_out(&long, &short, 0, &mut 100), [0, 2, 4]);
}

#[test]
fn a_glance_tells_a_replay_from_another_load() {
    let load = |seed: u64| -> Keys {
        let mut keys = Keys::default();
        for number in 0..4 * GLANCE as u64 {
            let key = spread(spread(number ^ (seed << 40)) % 3_000 + 1);
            keys.add(key, true, number * 1_000_000 + spread(number + seed) % 900_000, 0);
        }
        keys
    };
    let (original, other) = (load(1), load(2));
    let seen = |second: &Keys| {
        let (pairing, part) = glance(&original, second).unwrap();
        assert!(pairing.pairs < 3 * GLANCE as u64, "{}", pairing.pairs);
        pairing.is_replay(1e6 * part)
    };
    assert!(seen(&original) && !seen(&other));
    assert!(glance(&keys(&recorded(1)), &keys(&recorded(1))).is_none(), "it is short");
}

#[test]
fn requests_for_one_resource_alone_prove_nothing() {
    let same: Vec<(f64, u64)> = recorded(1).iter().map(|&(ms, _)| (ms, 7)).collect();
    let pairing = pair(&keys(&same), &keys(&same)).unwrap();
    assert_eq!(pairing.drift_ns, None);
    assert!(!pairing.is_replay(GAP_NS));
    assert!(pair(&Keys::default(), &keys(&same)).is_none());
}

#[test]
fn two_samples_of_different_size_keep_the_same_keys() {
    let original = recorded(3);
    let mut small = Keys::within(1_000);
    for &(ms, key) in &original {
        small.add(spread(key + 1), true, nanoseconds(Duration::from_secs_f64(ms / 1e3)), 0);
    }
    let pairing = pair(&keys(&original), &small).unwrap();
    assert!((pairing.share - 1.0).abs() < 1e-9, "{pairing:?}");
    assert!(pairing.lateness.max() <= 1);
}

/// Each request a little off, within what lateness allows: together it is another order where those
/// of one session are off in turn, and the same order where whole sessions are.
#[test]
fn what_overtakes_within_its_session_is_counted() {
    let moved = |late: &dyn Fn(u32) -> i64| {
        let mut requests: Vec<(u64, u64, u32)> = (0..3_000_u32)
            .map(|number| {
                let at_ns = u64::from(number) * 1_000_000 + 100_000_000;
                let at_ns = at_ns.saturating_add_signed(late(number) * 1_000_000);
                (at_ns, spread(u64::from(number % 97) + 1), number % 3)
            })
            .collect();
        requests.sort_unstable();
        let mut keys = Keys::default();
        for (at_ns, key, session) in requests {
            keys.add(key, true, at_ns, session);
        }
        keys
    };
    let reference = moved(&|_| 0);
    let of = |late: &dyn Fn(u32) -> i64| pair(&reference, &moved(late)).unwrap();
    let same = of(&|_| 0);
    assert_eq!((same.in_session, same.inversions_beyond(0).to_bits()), (2_997, 0));
    // Sessions as a whole, by up to 16 ms: neighbours are overtaken, and nobody in a session.
    let whole = of(&|number| i64::from(number % 3) * 8 - 8);
    assert!(whole.overtaken > 0.3, "{}", whole.overtaken);
    assert!(whole.inversions_beyond(0) <= 0.0);
    // In turn: those of one session are 3 ms apart.
    let turned = of(&|number| [8, -8, 0, 0][(number / 3 % 4) as usize]);
    assert!(turned.lateness.max() < 9_000_000);
    let share = turned.inversions_beyond(10_000_000);
    assert!((share - 0.25).abs() < 0.01, "{share}");
    assert!(turned.inversions_beyond(14_000_000) <= 0.0, "by 13 ms each");
    // At one moment, there is no order.
    let mut at_once = Keys::default();
    for number in 0..500_u64 {
        at_once.add(spread(number + 1), true, number / 5, 0);
    }
    assert_eq!(pair(&at_once, &at_once).unwrap().in_session, 99);
}
