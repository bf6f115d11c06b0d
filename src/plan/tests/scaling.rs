//! Ways to scale a recording, and what they do to its bursts: the table of science.md, section 5,
//! on a load of the same law (E1), with the functions that plans are made with.

use std::sync::LazyLock;

use super::*;
use crate::bytes::spread;
use crate::plan::scale::{Scale, Speed};
use crate::plan::tally::Counts;
use crate::shape::detection::{Law, sessions, sessions_of};
use crate::stats::counts::as_f64;

/// Ten minutes of 1 800 requests a second, by the sessions that they belong to.
static PEAK: LazyLock<Vec<Vec<Duration>>> = LazyLock::new(|| {
    let law = Law { seconds: 600.0, sessions: 126.0, highest: 300.0, rush: 420.0..435.0 };
    let mut sessions = vec![Vec::new(); 100_000];
    for (at, session) in sessions_of(&law, 3) {
        sessions[usize::try_from(session).unwrap()].push(Duration::from_secs_f64(at));
    }
    sessions
});

/// The dispersion at 10 ms, 100 ms, 1 s and 10 s.
fn idc(moments: &[Duration]) -> [f64; 4] {
    let mut counts = Counts::default();
    for moment in moments {
        counts.count(*moment);
    }
    counts.dispersion().map(Option::unwrap)
}

/// All requests, in order.
static ALL: LazyLock<Vec<Duration>> = LazyLock::new(|| sorted(PEAK.concat()));

static WHOLE: LazyLock<[f64; 4]> = LazyLock::new(|| idc(&ALL));

fn sorted(mut moments: Vec<Duration>) -> Vec<Duration> {
    moments.sort_unstable();
    moments
}

/// Every value is near the expected one: by a share, at 10 s by twice as much, since sixty windows
/// tell less.
fn near(found: [f64; 4], expected: [f64; 4], share: f64) {
    for (at, (found_at, expected_at)) in found.iter().zip(expected).enumerate() {
        let share = if at == 3 { 2.0 * share } else { share };
        let apart = (found_at / expected_at - 1.0).abs();
        assert!(apart <= share, "{found:?} where science has {expected:?}");
    }
}

/// Sessions as a plan of this scale and seed plays them.
fn played(factor: f64, seed: u64, shift: fn(Scale, u64, u32) -> Duration) -> Vec<Duration> {
    let scale = Scale::new(factor, seed).unwrap();
    let mut played = Vec::new();
    for (session, moments) in (0..).zip(PEAK.iter()) {
        for copy in 0..scale.copies(session) {
            let shift = shift(scale, session, copy);
            played.extend(moments.iter().map(|at| *at + shift));
        }
    }
    sorted(played)
}

#[test]
fn the_load_is_the_one_that_science_scaled() {
    let rate = as_f64(ALL.len() as u64) / 600.0;
    assert!((1_700.0..1_900.0).contains(&rate), "{rate}");
    near(*WHOLE, [2.14, 3.81, 4.43, 6.19], 0.15);
}

/// The mean of four seeds: which sessions one of them keeps makes a tenth at 1 s.
fn hashed() -> [f64; 4] {
    static HASHED: LazyLock<[f64; 4]> = LazyLock::new(|| {
        let of_seed = |seed| idc(&played(0.25, seed, Scale::shift));
        let all = [1, 2, 3, 4].map(of_seed);
        [0, 1, 2, 3].map(|at: usize| all.iter().map(|it| it[at]).sum::<f64>() / 4.0)
    });
    *HASHED
}

#[test]
fn sessions_kept_whole_keep_their_bursts() {
    near(hashed(), [2.01, 3.40, 3.46, 3.07], 0.2);
    for (found, before) in hashed().iter().zip(*WHOLE).take(3) {
        assert!(*found > 0.75 * before, "{:?}", hashed());
    }
}

/// What is not done, and why: requests by chance, and requests by turns.
#[test]
fn requests_kept_one_by_one_lose_them() {
    let kept = |keeps: &dyn Fn(u64) -> bool| -> Vec<Duration> {
        (0..).zip(ALL.iter()).filter(|(number, _)| keeps(*number)).map(|(_, at)| *at).collect()
    };
    let thinned = idc(&kept(&|number| spread(number + 1).is_multiple_of(4)));
    near(thinned, [1.29, 1.73, 1.93, 2.13], 0.15);
    // What is left of a burst: 1 + p (I − 1).
    for (found, before) in thinned.iter().zip(*WHOLE).take(3) {
        assert!((found - (1.0 + 0.25 * (before - 1.0))).abs() < 0.15, "{thinned:?}");
    }
    let by_turns = idc(&kept(&|number| number.is_multiple_of(4)));
    near(by_turns, [0.57, 0.96, 1.11, 1.55], 0.15);
    for ((hashed, thinned), by_turns) in hashed().iter().zip(thinned).zip(by_turns).take(3) {
        assert!(*hashed > 1.4 * thinned && thinned > 1.4 * by_turns);
    }
}

#[test]
fn time_that_is_stretched_moves_bursts_to_other_scales() {
    let at_speed = |speed: f64| {
        let speed = Speed::new(speed).unwrap();
        idc(&ALL.iter().map(|at| speed.due(*at)).collect::<Vec<_>>())
    };
    near(at_speed(0.25), [1.35, 2.92, 3.76, 3.04], 0.15);
    let squeezed = at_speed(2.0);
    near(squeezed, [2.79, 4.24, 7.57, 30.7], 0.3);
    assert!(squeezed[3] > 3.0 * WHOLE[3], "{squeezed:?}");
}

/// Where all clones have begun and none is alone yet. At 10 s science has 9.8, which the rise and
/// the ebb of the load make: without them bursts are as recorded there, too.
#[test]
fn clones_that_come_later_make_no_bursts_and_those_at_once_do() {
    let inner = |moments: Vec<Duration>| -> Vec<Duration> {
        let end = Duration::from_mins(10);
        let within = moments.into_iter().filter(|at| *at < end);
        within.filter_map(|at| at.checked_sub(scale::CLONE_SHIFT)).collect()
    };
    let shifted = idc(&inner(played(2.0, 7, Scale::shift)));
    for ((found, before), expected) in shifted.iter().zip(*WHOLE).zip([2.11, 3.74, 4.24]) {
        assert!((found / expected - 1.0).abs() < 0.15, "{shifted:?} {before}");
    }
    assert!((0.5..1.5).contains(&(shifted[3] / WHOLE[3])), "{shifted:?}");
    let at_once = idc(&played(2.0, 7, |_, _, _| Duration::ZERO));
    near(at_once, WHOLE.map(|before| 2.0 * before), 0.01);
}

/// A plan says it: what was recorded, what is planned, and in words what that did.
#[test]
fn a_plan_tells_what_its_scale_and_speed_did() {
    let rows: Vec<Exchange> = sessions(7)
        .into_iter()
        .map(|(at, session)| {
            let mut row = exchange(0, session, session);
            row.at = Duration::from_secs_f64(at);
            row
        })
        .collect();
    let facts = |scale: f64, speed: f64| {
        planned(&rows, &Scenario { scale, speed, ..scenario() }).unwrap().0
    };
    let kept = facts(0.25, 1.0);
    let scaling = kept.scaling.clone().unwrap();
    assert_eq!(scaling.idc_unscaled, kept.idc_before, "all of it can be replayed");
    assert_eq!(scaling.idc_scaled, kept.idc_after, "without clones there is no rise");
    let ratios = scaling.ratios();
    assert!((0.75..1.1).contains(&ratios[0].unwrap()), "{ratios:?}");
    let told = scaling.told().join("\n");
    assert!(told.contains("a scale of 0.25 keeps 25 % of the sessions, whole"), "{told}");
    let slow = facts(1.0, 0.5);
    let told = slow.scaling.unwrap().told().join("\n");
    assert!(
        told.contains("2 times as slow: bursts of 100 ms became bursts of 200 ms")
            && told.contains("IDC at 10 ms"),
        "{told}"
    );
    assert_eq!(facts(1.0, 1.0).scaling, None);
    // The load of clones rises and ebbs, which is no burst of theirs.
    let twice = facts(2.0, 1.0);
    let ratio = twice.scaling.unwrap().ratios()[2].unwrap();
    assert!((0.7..1.4).contains(&ratio), "{ratio}");
    assert!(twice.idc_after[2] > twice.idc_before[2].map(|before| 1.4 * before));
}

/// What cannot be replayed is missing from what scaling is measured by, too.
#[test]
fn what_is_left_out_is_no_damage_of_scaling() {
    let mut rows: Vec<Exchange> = (0..4_000).map(|at| exchange(at * 5, at, at)).collect();
    // Two of three are left out, in bursts.
    for row in rows.iter_mut().filter(|row| row.connection % 300 < 200) {
        row.flags.insert(Flags::MALFORMED);
    }
    let (facts, _) = planned(&rows, &Scenario { speed: 2.0, ..scenario() }).unwrap();
    let unscaled = facts.scaling.unwrap().idc_unscaled;
    assert!(unscaled[1].unwrap() > 5.0 * facts.idc_before[1].unwrap(), "{unscaled:?}");
}

#[test]
fn clones_need_numbers_of_their_own() {
    let exchanges = [exchange(0, u64::MAX, 1)];
    assert!(planned(&exchanges, &scenario()).is_ok());
    let error = planned(&exchanges, &Scenario { scale: 2.0, ..scenario() }).unwrap_err();
    assert!(matches!(error, PlanError::ConnectionNumbers { .. }), "{error}");
}
