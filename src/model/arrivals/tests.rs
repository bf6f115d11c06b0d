use rand_distr::Exp1;

use super::*;

fn drawn(seed: u64, length: f64, rate: &dyn Fn(f64) -> f64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut now, mut starts) = (0.0, Vec::new());
    loop {
        let gap: f64 = random.sample(Exp1);
        now += gap / rate(now);
        if now >= length {
            return starts;
        }
        starts.push(now);
    }
}

fn fitted(starts: &[f64], length: f64, resolution: f64) -> Arrivals {
    let owners: Vec<u32> = (0..).take(starts.len()).collect();
    fit(&Begun { starts, owners: &owners, length, resolution, busiest: &[] })
}

#[test]
fn a_poisson_process_whose_rate_changes_has_no_bursts() {
    let rate = |now: f64| if (100.0..115.0).contains(&now) { 54.0 } else { 30.0 };
    let found = fitted(&drawn(1, 300.0, &rate), 300.0, 1e-6);
    assert_eq!(found.bursts, None, "{found:?}");
    assert!(found.tests.unwrap().lewis < 0.03, "{found:?}");
    let levels: Vec<f64> = found.rate.iter().map(|level| level.from).collect();
    assert_eq!(levels.len(), 3, "{found:?}");
    assert!((levels[1] - 100.0).abs() <= 1.0 && (levels[2] - 115.0).abs() <= 1.0);
}

/// Whoever was there when a short recording began is seen first in its first seconds.
#[test]
fn clients_of_the_first_moment_begin_then() {
    let rate = |now: f64| if now < 2.0 { 60.0 } else { 6.0 };
    for seed in 1..=5 {
        let found = fitted(&drawn(seed, 30.0, &rate), 30.0, 1e-6);
        let [first, then] = found.rate.as_slice() else { panic!("{seed}: {found:?}") };
        assert!(first.sessions > 5.0 * then.sessions, "{seed}: {found:?}");
        assert!((1.0..=3.0).contains(&then.from), "{seed}: {found:?}");
    }
    // The same rate throughout has no such moment.
    assert_eq!(fitted(&drawn(1, 30.0, &|_| 10.0), 30.0, 1e-6).rate.len(), 1);
}

/// Stretches of the rate have places of their own, however late: a file in which two begin at
/// the same moment is refused.
#[test]
fn stretches_of_a_long_recording_begin_one_after_the_other() {
    let rate = |now: f64| if (now / 7.0).floor() % 2.0 < 1.0 { 400.0 } else { 100.0 };
    let mut starts = drawn(4, 100.0, &rate);
    for start in &mut starts {
        *start += 12_000.0;
    }
    let begun = Begun {
        owners: &(0..).take(starts.len()).collect::<Vec<u32>>(),
        starts: &starts,
        length: 12_100.0,
        resolution: 1e-6,
        busiest: &[],
    };
    // Seconds are told apart as far as there are some thousand of them.
    let second: Vec<Stretch> = (12_000..12_100)
        .step_by(7)
        .map(|start| Stretch { start, length: 7, mean: as_f64(start as u64 - 11_000) })
        .collect();
    let told = levels(&second, 1.0, (&starts, begun.owners), &begun);
    assert_eq!(told.len(), second.len());
    assert!(told.windows(2).all(|pair| pair[0].from < pair[1].from), "{told:?}");
    assert!((told[1].from - 12_007.0).abs() < 1e-9);
}

/// Sessions of few clients in a night, of many in the day.
#[test]
fn what_few_began_in_a_quiet_stretch_is_not_told_on_its_own() {
    let stretch = |start, length, mean| Stretch { start, length, mean };
    let stretches = [stretch(0, 100, 1.0), stretch(100, 100, 0.05), stretch(200, 100, 0.0)];
    let starts: Vec<f64> =
        (0..100_u32).map(f64::from).chain((100..105).map(|n: u32| f64::from(n) + 0.5)).collect();
    let owners: Vec<u32> = (0..).take(starts.len()).collect();
    let told = |owners: &[u32]| -> Vec<f64> {
        let begun =
            Begun { starts: &starts, owners, length: 300.0, resolution: 1e-6, busiest: &[] };
        let levels = levels(&stretches, 1.0, (&starts, owners), &begun);
        levels.iter().map(|level| level.sessions).collect()
    };
    // Five in the second stretch are not told, and the first keeps its rate.
    assert_eq!(told(&owners), [1.0, 0.0]);
    // The first is one client's, too: then there is nothing to tell at all.
    assert_eq!(told(&[7; 105]), [0.0]);
}

/// A process that is calm and busy for some time each.
fn switching(seed: u64, length: f64, lasts: f64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut until, mut is_busy, mut switches) = (0.0, false, Vec::new());
    while until < length {
        let exponential: f64 = random.sample(Exp1);
        until += exponential * lasts;
        switches.push((until, is_busy));
        is_busy = !is_busy;
    }
    let rate = |now: f64| {
        let at = switches.partition_point(|(until, _)| *until <= now);
        if switches.get(at).is_some_and(|(_, is_busy)| *is_busy) { 44.0 } else { 30.0 }
    };
    drawn(seed, length, &rate)
}

/// Draws of a law that the recording went through a few times would be all calm or all busy.
#[test]
fn a_switching_process_is_a_law_only_where_it_was_gone_through_often() {
    // The rate is told as even, so that nothing of it is taken for changes of the rate.
    let found = |length: f64| {
        let starts = switching(6, length, 12.0);
        let sessions = as_f64(starts.len() as u64) / length;
        let even = [Level { from: 0.0, sessions, busiest: 0 }];
        bursts(&starts, length, 1e-6, &even)
    };
    let (dispersion, seldom) = found(300.0);
    assert!(dispersion.iter().any(|(_, index)| *index > 2.0), "{dispersion:?}");
    assert_eq!(seldom, None, "some twelve times");
    let (_, often) = found(6_000.0);
    let often = often.unwrap();
    assert!((often.calm_lasts + often.busy_lasts) * LEAST_SWITCHES < 6_000.0, "{often:?}");
}

#[test]
fn a_rate_that_switches_every_few_hundred_milliseconds_has_bursts() {
    // Busy for a quarter of each 400 ms, four times as much as otherwise.
    let rate = |now: f64| if (now * 2.5).fract() < 0.25 { 80.0 } else { 20.0 };
    let found = fitted(&drawn(2, 300.0, &rate), 300.0, 1e-6);
    let bursts = found.bursts.unwrap();
    assert!(bursts.calm < 1.0 && bursts.busy > 1.5, "{bursts:?}");
    assert!(bursts.busy_lasts < 2.0, "{bursts:?}");
}

/// What is left behind the last whole window is no burst in it, and no burst is lost by it.
#[test]
fn lengths_that_are_no_multiple_of_a_window_change_nothing() {
    let length = 309.9;
    let even = fitted(&drawn(7, length, &|_| 30.0), length, 1e-6);
    assert_eq!(even.bursts, None, "{even:?}");
    assert!(even.dispersion.iter().all(|(_, index)| *index < 1.6), "{even:?}");
    assert!(even.tests.unwrap().pass(), "{even:?}");
    // The twin: the same length with bursts.
    let rate = |now: f64| if (now * 2.5).fract() < 0.25 { 80.0 } else { 20.0 };
    let bursty = fitted(&drawn(2, length, &rate), length, 1e-6);
    assert!(bursty.bursts.is_some() && !bursty.tests.unwrap().pass(), "{bursty:?}");
}

#[test]
fn a_coarse_clock_is_taken_out_first() {
    let starts: Vec<f64> = drawn(3, 600.0, &|_| 20.0).iter().map(|at| at.floor()).collect();
    let found = fitted(&starts, 600.0, 1.0);
    assert!(found.tests.unwrap().pass(), "{found:?}");
    assert_eq!(found.bursts, None);
    assert!((mean_rate(&found.rate, 0.0, 600.0) - 20.0).abs() < 1.0);
}
