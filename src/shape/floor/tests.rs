use std::collections::BTreeMap;

use super::*;
use crate::bytes::spread;

/// Requests in windows of 10 ms: a hundred a second, one second of ten with a tenth less.
fn profile(windows: usize) -> Profile {
    let seconds: Vec<u64> = (0..600).map(|n| if n % 10 == 7 { 90 } else { 100 }).collect();
    let mix: BTreeMap<_, _> = [("GET /".into(), 1)].into();
    let mut profile = Profile::of_seconds(&seconds, mix);
    profile.shape.counts.truncate(windows);
    profile.shape.total = profile.shape.counts.iter().copied().map(u64::from).sum();
    profile.length = std::time::Duration::from_millis(10 * windows as u64);
    profile
}

/// What is left of the last ten seconds is no burst of silence: nobody could tell it from one.
#[test]
fn an_incomplete_last_window_widens_no_floor() {
    for (whole, more) in [(6_000, 6_010), (12_000, 12_100), (12_000, 13_099)] {
        let [first, second] = [whole, more].map(profile);
        let [first, second] = [Floors::of(&first, &first), Floors::of(&second, &second)];
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 0.06, "{a} {b} at {more}");
        near(first.total, second.total);
        near(first.lag_seconds, second.lag_seconds);
        near(first.wape_tens, second.wape_tens);
        near(first.wape, second.wape);
        near(first.wape_near, second.wape_near);
    }
}

/// Two estimates from ten windows of ten seconds differ by more than independent windows would.
#[test]
fn the_floor_of_dispersion_knows_what_the_trend_takes_out() {
    let reference = profile(60_000);
    let [.., second, ten] = Floors::of(&reference, &reference).dispersion;
    assert!((ten / (2.0 / 60.0_f64.sqrt()) - 1.394).abs() < 1e-3, "{ten}");
    assert!((second / (2.0 / 600.0_f64.sqrt()) - 1.0).abs() < 0.05, "{second}");
}

/// A bunch of forty now and then is what its bursts are made of: as many as there are bunches tell
/// of them, not as many as there are windows.
#[test]
fn few_windows_with_most_of_a_sparse_load_tell_little_of_its_bursts() {
    let floor = |bunch: u64| {
        let seconds = (1..=7_200).map(|second| match spread(second) % 100 {
            0 => bunch,
            drawn => u64::from(drawn < 30),
        });
        let seconds: Vec<u64> = seconds.collect();
        let profile = Profile::of_seconds(&seconds, [("GET /".into(), 1)].into());
        let [.., ten] = Floors::of(&profile, &profile).dispersion;
        ten / (2.0 / 720.0_f64.sqrt() * dependence_of_residuals(10.0))
    };
    let (single, bunches) = (floor(1), floor(40));
    assert!((BURSTS_TAIL..BURSTS_TAIL * 1.4).contains(&single), "{single}");
    assert!(bunches > single * 1.5, "{bunches} and {single}");
}

#[test]
fn the_mix_has_the_halves_of_whichever_load_has_sessions() {
    let halves = |even: u64, odd: u64| {
        let mix = |a: u64, b: u64| BTreeMap::from([("a".into(), a), ("b".into(), b)]);
        let mut profile = profile(12_000);
        profile.shape.mix = mix(even + odd, even + odd);
        profile.halves = [mix(even, odd), mix(odd, even)];
        profile.shape.total = 2 * (even + odd);
        profile
    };
    // Of a saved run, all requests are in one half, and no session is known.
    let unknown = halves(1_000, 1_000);
    let mut known = halves(1_100, 900);
    known.sessions = [LEAST_SESSIONS; 2];
    let (floor, design) = mix(&unknown, &unknown, 1e-3);
    assert!(floor.is_infinite() && design.is_infinite());
    let (floor, design) = mix(&unknown, &known, 1e-3);
    assert!(design > 10.0 && floor > 3.0 * closed_mix(&unknown, 1e-3), "{floor} {design}");
    assert_eq!(mix(&known, &unknown, 1e-3), (floor, design));
}
