//! What must be known before a load is called another one's, and how often chance alone fails one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_distr::Poisson;

use super::*;
use crate::shape::metrics::Pair;

/// A saved run keeps tenths of a second at best.
const RUN_STEP_NS: u64 = 100_000_000;

fn seconds(seed: u64, length: usize, rate: impl Fn(usize) -> f64) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = |at: usize| random.sample::<f64, _>(Poisson::new(rate(at)).unwrap());
    (0..length).map(|at| crate::stats::counts::as_index(drawn(at)) as u64).collect()
}

/// A saved run whose requests are for these routes, in equal parts.
fn run(seconds: &[u64], routes: &[&str]) -> Profile {
    let (total, count) = (seconds.iter().sum::<u64>(), routes.len() as u64);
    let mix: BTreeMap<Arc<str>, u64> =
        routes.iter().map(|route| (Arc::from(*route), total / count)).collect();
    Profile::of_seconds(seconds, mix)
}

fn beside(first: &Profile, second: &Profile) -> Likeness {
    let side = |profile| Side { clock_step_ns: RUN_STEP_NS, ..side(profile) };
    judge(side(first), side(second), &CI, Pairs::IfReplay)
}

/// Two runs of one law, of which nothing is known but seconds and routes.
#[test]
fn without_sessions_a_mix_that_is_near_is_near_and_another_one_is_not_known() {
    let [first, second] = [1, 2].map(|seed| seconds(seed, 600, |_| 100.0));
    let both = ["GET /alpha", "GET /beta"];
    let of = |routes: &[&str]| beside(&run(&first, &both), &run(&second, routes));
    let same = of(&both);
    assert_eq!(same.verdict, Verdict::Faithful, "{}", same.statement);
    for routes in [&["GET /alpha"][..], &["GET /gamma", "GET /beta"]] {
        let another = of(routes);
        assert_eq!(another.verdict, Verdict::Invalid, "{}", another.statement);
        assert!(another.statement.contains(", mix TVD"), "{}", another.statement);
        let mix = another.metrics.iter().find(|each| each.name == "mix TVD").unwrap();
        assert!(mix.note.contains("too few sessions are known"), "{mix:?}");
    }
    // Of the same seconds there is no chance to allow for.
    let seen = beside(&run(&first, &both), &run(&first, &["GET /alpha"]));
    assert_eq!(seen.verdict, Verdict::Degraded, "{}", seen.statement);
}

/// A run with more routes than it lists has a mix that nobody knows.
#[test]
fn what_was_asked_for_must_be_known() {
    let seconds = seconds(1, 600, |_| 100.0);
    let listed = run(&seconds, &["GET /"]);
    assert_eq!(beside(&listed, &listed).verdict, Verdict::Faithful);
    let unlisted = Profile::of_seconds(&seconds, BTreeMap::new());
    for (first, second) in [(&listed, &unlisted), (&unlisted, &listed), (&unlisted, &unlisted)] {
        let likeness = beside(first, second);
        assert_eq!(likeness.verdict, Verdict::Invalid, "{}", likeness.statement);
        let mix = likeness.metrics.iter().find(|each| each.name == "mix TVD").unwrap();
        assert_eq!(mix.note, "the mix of one of them is not known");
    }
}

/// Ten sessions that come all at once: neither how many requests there are nor their mix is known,
/// and so no time-scale either from which on they are those of the other load.
#[test]
fn bursts_alone_prove_no_load_at_any_scale() {
    let bunched = |seed: u64, sessions: u64, spread: f64| -> Vec<Request> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for session in 0..sessions {
            let start = random.random::<f64>() * 110.0;
            for request in 0..6_000 / sessions {
                let within = random.random::<f64>() * spread;
                all.push((start + within, session, request % 3));
            }
        }
        all
    };
    let mut seen = 0;
    for seed in 0..8 {
        let [few, others] = [0, 100].map(|from| profile(&bunched(from + seed, 10, 10.0)));
        let likeness = judge(side(&few), side(&others), &CI, Pairs::Never);
        let told = |name: &str| {
            let of = likeness.metrics.iter().find(|each| each.name == name).unwrap();
            of.outcome != MetricOutcome::NotEvaluable
        };
        if !told("completeness") || !told("mix TVD") {
            seen += 1;
            let verdict = &likeness.verdict;
            assert!(matches!(verdict, Verdict::Invalid | Verdict::Degraded), "{verdict:?}");
        }
    }
    assert!(seen > 4, "{seen}");
}

/// What was lost on the way into a file is allowed for once, in every metric that it can change.
#[test]
fn losses_are_allowed_for_once_and_everywhere() {
    let reference = profile(&PEAK);
    let without = |hundredths: usize| -> Profile {
        let kept = PEAK.iter().enumerate().filter(|(n, _)| (n * 37) % 100 >= hundredths);
        profile(&kept.map(|(_, each)| *each).collect::<Vec<_>>())
    };
    let judged = |other: &Profile, lost: f64| {
        let other = Side { lost, ..side(other) };
        judge(side(&reference), other, &STANDARD, Pairs::IfReplay)
    };
    let lost = judged(&without(2), 0.02);
    assert_eq!(lost.verdict, Verdict::Faithful, "{}", lost.statement);
    let wape = lost.metrics.iter().find(|each| each.name == "WAPE 1 s").unwrap();
    assert_eq!(wape.note, "allowed for losses 2.000 %");
    // As much again was not sent: no loss explains that.
    let missing = judged(&without(4), 0.02);
    assert_eq!(missing.verdict, Verdict::Degraded, "{}", missing.statement);
    for name in ["completeness", "WAPE 1 s"] {
        assert!(failed(&missing).contains(&name), "{name}: {:?}", failed(&missing));
    }
    assert_eq!(judged(&without(3), 0.0202).metrics[0].outcome, MetricOutcome::Fail);
}

/// Of pairs of loads of one law, the dispersion at 10 s may fail one of twenty, not one of four.
#[test]
fn chance_seldom_fails_the_dispersion_of_two_loads_of_one_law() {
    const PAIRS: u64 = 100;
    let fails = |length: usize, rate: fn(usize) -> f64| {
        let outcome = |seed: u64| {
            let first = run(&seconds(2 * seed, length, |_| 50.0), &["GET /"]);
            let second = run(&seconds(2 * seed + 1, length, rate), &["GET /"]);
            let both = Pair { planned: &first.shape, produced: &second.shape };
            let floors = Floors::of(&first, &second);
            let gate = (CI.dispersion, true);
            metrics::burst(both, 1_000, gate, floors.dispersion[3]).metric.outcome
        };
        let all = (0..PAIRS).map(outcome).filter(|outcome| *outcome == MetricOutcome::Fail);
        all.count()
    };
    for length in [120, 300, 600] {
        let same = fails(length, |_| 50.0);
        assert!(same <= 12, "{same} of {PAIRS} pairs of {length} s");
        // The twin: every other ten seconds twice as many.
        let bursts = fails(length, |at| if at / 10 % 2 == 0 { 33.0 } else { 67.0 });
        assert!(bursts >= 95, "{bursts} of {PAIRS} pairs of {length} s");
    }
}
