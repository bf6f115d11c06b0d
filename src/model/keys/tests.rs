use rand::RngExt;
use rand_distr::Zipf;

use super::*;
use crate::stats::lru::{MissCurve, miss_curve};

/// Each is asked for by another one of a thousand clients.
fn asked(references: &[u64]) -> Vec<(u64, u32)> {
    references.iter().copied().zip((0..1_000).cycle()).collect()
}

fn fitted(references: &[u64]) -> Option<Keys> {
    fit(&asked(references))
}

/// Of so large a share one of the last twenty requests is repeated.
fn drawn(seed: u64, recent: f64) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let zipf = Zipf::new(5_000.0, 0.9).unwrap();
    let mut references: Vec<u64> = Vec::new();
    for position in 0..60_000_u64 {
        let again = references.len() > 50 && random.random::<f64>() < recent;
        let key = if again {
            references[references.len() - 1 - random.random_range(0..20)]
        } else if random.random::<f64>() < 0.1 {
            1_000_000 + position
        } else {
            let rank: f64 = random.sample(zipf);
            as_index(rank) as u64
        };
        references.push(key);
    }
    references
}

#[test]
fn popularity_and_single_requests_are_found() {
    let keys = fitted(&drawn(1, 0.0)).unwrap();
    assert!((keys.exponent - 0.9).abs() < 0.05, "{keys:?}");
    assert!((0.07..0.13).contains(&keys.once), "{keys:?}");
    assert!((4_000..=6_000).contains(&keys.count), "{keys:?}");
    assert!(keys.recent.is_empty(), "{keys:?}");
}

#[test]
fn keys_that_are_rare_by_chance_are_not_single_for_good() {
    let (count, once) = population(20_000.0, 3_000.0, 0.0, 0.9);
    assert!(count >= 3_000 && once <= 0.0, "{count} {once}");
    let (distinct, single) = expected(20_000.0, 5_000.0, 0.9);
    let (count, once) = population(20_000.0, distinct, single, 0.9);
    assert!(count.abs_diff(5_000) < 50 && once < 0.001, "{count} {once}");
    let (count, once) = population(21_000.0, distinct + 1_000.0, single + 1_000.0, 0.9);
    assert!(count.abs_diff(5_000) < 500 && (once - 0.0476).abs() < 0.01, "{count} {once}");
}

/// The mean distance of two miss-ratio curves, over sizes from one key to all.
fn apart(one: &MissCurve, other: &MissCurve) -> f64 {
    let all = as_f64(one.compulsory.max(other.compulsory));
    let sizes = (0..=32).map(|step| as_index(all.powf(f64::from(step) / 32.0)));
    let of = |size: usize| one.miss_ratio(size).unwrap() - other.miss_ratio(size).unwrap();
    sizes.map(|size| of(size).abs()).sum::<f64>() / 33.0
}

/// Caches miss as often with keys that are drawn as with those that were recorded, whether keys
/// come again at once, or the popular ones change over time, or each is asked for in turn.
#[test]
fn caches_of_any_size_miss_as_often_with_what_is_drawn() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let zipf = Zipf::new(2_000.0, 1.0).unwrap();
    let mut drift = |position: u64| {
        let rank: f64 = random.sample(zipf);
        as_index(rank) as u64 + position / 20
    };
    let drifting: Vec<u64> = (0..60_000).map(&mut drift).collect();
    let in_turn: Vec<u64> = (0..60_000).map(|position| position % 300).collect();
    for (name, references, alone) in
        [("again", drawn(1, 0.4), 0.03), ("drifting", drifting, 0.03), ("in turn", in_turn, 0.1)]
    {
        let keys = fitted(&references).unwrap();
        let curve = |keys: &Keys| {
            let mut random = ChaCha8Rng::seed_from_u64(10);
            let mut draw = KeyDraw::new(keys);
            let drawn: Vec<u64> = references.iter().map(|_| draw.draw(&mut random)).collect();
            miss_curve(&drawn)
        };
        let seen = miss_curve(&references);
        let found = apart(&seen, &curve(&keys));
        assert!(found < 0.015, "{name}: {found} {keys:?}");
        // The broken twin: popularity and nothing else.
        let popular = apart(&seen, &curve(&Keys { recent: Vec::new(), ..keys }));
        assert!(popular > alone, "{name}: {popular}");
    }
}

#[test]
fn one_key_is_none_and_keys_that_never_come_again_are_told() {
    assert_eq!(fitted(&[7, 7, 7]), None);
    let keys = fitted(&(0..100).collect::<Vec<u64>>()).unwrap();
    assert!(keys.once >= 1.0 && keys.recent.is_empty(), "{keys:?}");
}

#[test]
fn keys_that_one_client_went_through_are_not_counted() {
    let references = drawn(1, 0.0);
    let mut crawled = asked(&references);
    crawled.extend((0..5_000).map(|item| (50_000_000 + item, 7)));
    assert_eq!(fit(&crawled), Some(USUAL));
    // The twin: the same keys, and as many clients as keys.
    for (client, (_, owner)) in (0..).zip(crawled.iter_mut().skip(60_000)) {
        *owner = client;
    }
    assert_ne!(fit(&crawled), Some(USUAL));
    // And where few clients ask for anything at all.
    let few: Vec<(u64, u32)> = crawled.iter().map(|(key, owner)| (*key, owner % 19)).collect();
    assert_eq!(fit(&few), Some(USUAL));
}

/// What one client asked for and nobody else is not told, neither that there are such keys nor
/// how many.
#[test]
fn keys_of_one_client_are_not_told() {
    let page = |clients: u32| (0..600).map(move |n| (u64::from(n % 4), n / 4 % clients));
    let all =
        |more: &[(u64, u32)]| -> Vec<(u64, u32)> { page(60).chain(more.iter().copied()).collect() };
    let without = fit(&all(&[]));
    assert_eq!(without.as_ref().map(|keys| (keys.count, keys.once.to_bits())), Some((4, 0)));
    let one: Vec<(u64, u32)> = (0..12).map(|n| (100 + n, 7)).collect();
    assert_eq!(fit(&all(&one)), without);
    // Again and again, and a few clients: they are no more.
    let again: Vec<(u64, u32)> = (0..90).map(|n| (100 + n % 9, 7)).collect();
    assert_eq!(fit(&all(&again)), without);
    // The twin: as many keys of as many clients.
    let many: Vec<(u64, u32)> = (0..40).map(|n| (100 + u64::from(n), n)).collect();
    assert!(fit(&all(&many)).unwrap().once > 0.03);
}
