//! The search over simulated targets: any limit, any noise, no clock.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Runs a search over a target that says what a trial of a load comes to.
fn searched(
    options: &CapacityOptions,
    mut target: impl FnMut(f64) -> Outcome,
) -> (Bracket, Ended, Vec<Trial>) {
    let mut trials = Vec::new();
    loop {
        match next(&trials, options) {
            Step::Done(ended) => {
                let found = bracket(&levels(&trials), options.trials);
                return (found, ended, trials);
            }
            Step::Try(load) => {
                assert!((LOWEST..=options.max).contains(&load), "{load}");
                trials.push(Trial { load, outcome: target(load), ..Trial::default() });
            }
        }
    }
}

fn up_to(limit: f64) -> impl Fn(f64) -> Outcome {
    move |load| if load <= limit { Outcome::Held } else { Outcome::Failed }
}

fn held(found: Bracket) -> f64 {
    found.held.map_or(0.0, |level| level.load)
}

#[test]
fn a_limit_is_found_wherever_it_is() {
    let options = CapacityOptions::default();
    let limits = [0.13, 0.5, 0.99, 1.0, 1.01, 1.5, 2.4, 3.999, 4.0, 7.3, 16.1, 31.0];
    for limit in limits {
        let (found, ended, trials) = searched(&options, up_to(limit));
        assert_eq!(ended, Ended::Found, "{limit}");
        let held = held(found);
        assert!(held <= limit && limit < held * 1.025, "{limit}: {held}");
        assert!(found.held.unwrap().is_held(3) && found.failed.unwrap().is_failed(3), "{limit}");
        // In six minutes there is room for 24 trials of 14 seconds.
        assert!(trials.len() <= 21, "{limit}: {}", trials.len());
    }
}

#[test]
fn what_has_no_limit_below_the_highest_load_is_not_searched_further() {
    let options = CapacityOptions { max: 6.0, ..CapacityOptions::default() };
    let (found, ended, trials) = searched(&options, up_to(1_000.0));
    assert_eq!((ended, held(found), found.failed), (Ended::Max, 6.0, None));
    let loads: Vec<f64> = trials.iter().map(|trial| trial.load).collect();
    assert_eq!(loads, [1.0, 2.0, 4.0, 6.0, 6.0], "the last one by the majority");
}

#[test]
fn what_does_not_hold_at_once_is_bisected_downwards() {
    let options = CapacityOptions::default();
    let (found, ended, _) = searched(&options, up_to(0.31));
    assert_eq!(ended, Ended::Found);
    assert!((0.302..=0.31).contains(&held(found)), "{found:?}");
    let (found, ended, trials) = searched(&options, up_to(0.0));
    assert_eq!((ended, found.held), (Ended::Lowest, None));
    assert!(trials.last().unwrap().load <= LOWEST, "{trials:?}");
    // A highest load below 1 is where it begins.
    let low = CapacityOptions { max: 0.4, ..options };
    assert_eq!(next(&[], &low), Step::Try(0.4));
}

#[test]
fn a_single_stall_does_not_decide() {
    let options = CapacityOptions::default();
    for unlucky in 0..20 {
        let mut count = 0;
        let (found, ended, _) = searched(&options, |load| {
            count += 1;
            if count == unlucky + 1 { Outcome::Failed } else { up_to(2.4)(load) }
        });
        assert_eq!(ended, Ended::Found);
        assert!((2.34..=2.4).contains(&held(found)), "{unlucky}: {found:?}");
    }
}

#[test]
fn luck_above_the_limit_is_found_out() {
    let options = CapacityOptions::default();
    for lucky in 0..12 {
        let mut count = 0;
        let (found, _, _) = searched(&options, |load| {
            count += 1;
            if count == lucky + 1 { Outcome::Held } else { up_to(2.4)(load) }
        });
        assert!((2.34..=2.4).contains(&held(found)), "{lucky}: {found:?}");
    }
}

#[test]
fn a_late_generator_is_no_evidence_and_ends_the_search_when_it_stays_late() {
    let options = CapacityOptions::default();
    // Late once: tried again.
    let mut count = 0;
    let (found, ended, trials) = searched(&options, |load| {
        count += 1;
        if count == 3 { Outcome::Spoiled } else { up_to(2.4)(load) }
    });
    assert_eq!((ended, trials[2].load, trials[3].load), (Ended::Found, 4.0, 4.0));
    assert!((2.34..=2.4).contains(&held(found)));
    // Late above a load: what it held below is kept, and nothing above is said to fail.
    let (found, ended, trials) =
        searched(&options, |load| if load > 3.0 { Outcome::Spoiled } else { Outcome::Held });
    assert_eq!((ended, held(found), found.failed), (Ended::Generator, 2.0, None));
    assert_eq!(trials.len(), 2 + MAX_SPOILED as usize);
    // Late from the start.
    let (found, ended, _) = searched(&options, |_| Outcome::Spoiled);
    assert_eq!((ended, found), (Ended::Generator, Bracket::default()));
}

/// The twin of a generator that is late: the load is produced, and nothing can be told of it.
#[test]
fn what_cannot_be_judged_is_told_from_a_late_generator() {
    let options = CapacityOptions::default();
    let (found, ended, trials) = searched(&options, |_| Outcome::Unjudged);
    assert_eq!((ended, found), (Ended::Unjudged, Bracket::default()));
    assert_eq!(trials.len(), MAX_SPOILED as usize);
    let mut count = 0;
    let (_, ended, _) = searched(&options, |_| {
        count += 1;
        if count == 1 { Outcome::Unjudged } else { Outcome::Spoiled }
    });
    assert_eq!(ended, Ended::Generator);
}

/// Runs a search over a target of which each trial tells more than what it says of the load.
fn searched_by(mut target: impl FnMut(f64) -> Trial) -> (Vec<Trial>, Ended) {
    let options = CapacityOptions::default();
    let mut trials = Vec::new();
    loop {
        match silent(&trials, 3).unwrap_or_else(|| next(&trials, &options)) {
            Step::Done(ended) => return (trials, ended),
            Step::Try(load) => trials.push(target(load)),
        }
    }
}

/// A trial without any answer, where it `is_mute`.
fn answered(load: f64, outcome: Outcome, is_mute: bool) -> Trial {
    let (answered, unanswered) = if is_mute { (0, 9) } else { (9, 0) };
    Trial { load, answered, unanswered, outcome, ..Trial::default() }
}

/// What the target is asked for after it broke says nothing of what it had held.
#[test]
fn a_target_that_broke_for_good_ends_the_search() {
    for (limit, expected) in
        [(2.4, [1.0, 2.0, 4.0, 4.0, 1.0, 1.0]), (1.5, [1.0, 2.0, 2.0, 1.0, 1.0, 0.0])]
    {
        let mut is_dead = false;
        let (trials, ended) = searched_by(|load| {
            is_dead |= load > limit;
            let outcome = if is_dead { Outcome::Failed } else { Outcome::Held };
            answered(load, outcome, is_dead)
        });
        assert_eq!(ended, Ended::Gone, "{limit}");
        let loads: Vec<f64> = trials.iter().map(|trial| trial.load).collect();
        assert_eq!(loads, expected.into_iter().filter(|load| *load > 0.0).collect::<Vec<_>>());
        let found = bracket(&levels(telling(&trials, Some(ended))), 3);
        let [held, failed] = [found.held, found.failed].map(|level| level.unwrap().load);
        assert!(held <= limit && failed > limit, "{held} {failed}");
        assert_eq!(telling(&trials, Some(Ended::Time)).len(), trials.len());
    }
    // A generator that is late meanwhile breaks no silence, but cannot decide either.
    for (late, expected) in [(4..7, Ended::Gone), (5..99, Ended::Generator)] {
        let mut count = 0;
        let (trials, ended) = searched_by(|load| {
            count += 1;
            let is_dead = load > 2.4 || count > 3;
            let is_late = late.contains(&count) && count != 5;
            let outcome = if is_late { Outcome::Spoiled } else { Outcome::Failed };
            answered(load, if is_dead { outcome } else { Outcome::Held }, is_dead)
        });
        assert_eq!(ended, expected, "{trials:?}");
        assert!(trials.len() <= 9, "{}", trials.len());
    }
    // It still answered a part of the load that broke it: what came then is no level of its own.
    let half = Trial { unanswered: 9, ..answered(4.0, Outcome::Failed, false) };
    let mute = |load| answered(load, Outcome::Failed, true);
    let trials = [answered(2.0, Outcome::Held, false), half, mute(4.0), mute(2.83), mute(2.0)];
    assert_eq!(telling(&trials, Some(Ended::Gone)), &trials[..3]);
    let trials = [trials[0].clone(), trials[1].clone(), mute(2.83), mute(2.0)];
    assert_eq!(telling(&trials, Some(Ended::Gone)), &trials[..2]);
}

/// The twin comes back as soon as it is asked for less: its limit is found.
#[test]
fn a_target_that_is_silent_beyond_its_limit_only_is_searched() {
    let (trials, ended) = searched_by(|load| {
        let is_held = load <= 2.4;
        answered(load, if is_held { Outcome::Held } else { Outcome::Failed }, !is_held)
    });
    let found = bracket(&levels(&trials), 3);
    assert_eq!(ended, Ended::Found);
    assert!((2.34..=2.4).contains(&held(found)), "{found:?}");
    assert!(trials.len() <= 26, "{}", trials.len());
    // Without an answer from the start, nothing is known to have been held.
    let (_, ended) = searched_by(|load| answered(load, Outcome::Failed, true));
    assert_eq!(ended, Ended::Lowest);
    // Errors that are answered are answers.
    let (trials, ended) = searched_by(|load| {
        answered(load, if load < 2.0 { Outcome::Held } else { Outcome::Failed }, false)
    });
    assert_eq!(ended, Ended::Found, "{trials:?}");
}

/// A plan in the middle of two may be over a limit that both keep.
#[test]
fn a_highest_load_that_is_lowered_within_the_bracket_ends_the_search() {
    let mut options = CapacityOptions::default();
    let trial = |load, outcome| Trial { load, outcome, ..Trial::default() };
    let mut trials = vec![trial(2.0, Outcome::Held)];
    trials.extend([(); 2].map(|()| trial(4.0, Outcome::Failed)));
    assert_eq!(next(&trials, &options), Step::Try(2.828));
    options.max = 2.0;
    assert_eq!(next(&trials, &options), Step::Try(2.0), "by the majority");
    trials.push(trial(2.0, Outcome::Held));
    assert_eq!(next(&trials, &options), Step::Done(Ended::Max));
}

#[test]
fn a_limit_that_moves_is_decided_by_the_majority_and_told_as_noisy() {
    let options = CapacityOptions::default();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    // Now 2.2, now 2.6: no limit is right, and one in between is told.
    let (found, ended, trials) = searched(&options, |load| {
        let limit = if random.random::<f64>() < 0.5 { 2.2 } else { 2.6 };
        up_to(limit)(load)
    });
    assert_eq!(ended, Ended::Found);
    assert!((2.14..=2.6).contains(&held(found)), "{found:?}");
    assert!(levels(&trials).iter().any(Level::is_noisy), "{trials:?}");
}

#[test]
fn a_search_ends_whatever_the_target_does() {
    let options = CapacityOptions { trials: 9, resolution: 0.005, ..CapacityOptions::default() };
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (_, _, trials) = searched(&options, |_| match random.random_range(0..3) {
            0 => Outcome::Held,
            1 => Outcome::Failed,
            _ => Outcome::Spoiled,
        });
        assert!(trials.len() <= MAX_TRIALS);
    }
}

/// A queue whose p99 explodes at its limit, measured for ten seconds with noise and with a stall
/// now and then (science: experiment E4).
fn queue(limit: f64, random: &mut ChaCha8Rng, load: f64) -> Outcome {
    let room = 1.1 * limit - load;
    let p99 = if room > 0.0 { 0.1 * limit / room } else { f64::INFINITY };
    let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let stalls = random.random::<f64>() < 1.0 - (-0.04_f64).exp();
    let measured = p99 * (0.25 * normal).exp() + if stalls { 4.3 } else { 0.0 };
    if measured < 1.0 { Outcome::Held } else { Outcome::Failed }
}

/// The bar: within 5 % over 20 seeds, for limits near and far.
#[test]
fn a_noisy_limit_is_found_within_five_percent_over_twenty_seeds() {
    let options = CapacityOptions::default();
    let (mut worst, mut longest) = (0.0_f64, 0);
    let mut errors = Vec::new();
    for limit in [0.4, 1.3, 2.4, 5.5, 11.0] {
        for seed in 0..20 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (found, _, trials) = searched(&options, |load| queue(limit, &mut random, load));
            let error = held(found) / limit - 1.0;
            errors.push(error.abs());
            worst = worst.max(error.abs());
            longest = longest.max(trials.len());
        }
    }
    errors.sort_by(f64::total_cmp);
    // Of a hundred searches through noise of a quarter, 95 come so near, and none is far off.
    assert!(errors[94] <= 0.05 && worst <= 0.08, "{errors:?}");
    assert!(longest <= 26, "{longest}");
}

#[test]
fn multiples_have_four_digits() {
    for (load, expected) in [(2.378_414, 2.378), (0.123_456, 0.1235), (11.313_708, 11.31)] {
        assert!((rounded(load) - expected).abs() < 1e-12, "{load}");
    }
}
