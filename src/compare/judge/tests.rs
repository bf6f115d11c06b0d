//! Runs that replayed nothing, and what one run beside one tells.

use super::*;
use crate::compare::simulated::{Law, Simulation};

/// Runs whose only act was `capacity`.
fn seeking(found: &[Result<f64, &str>]) -> Vec<Run> {
    let run = |(at, found): (usize, &Result<f64, &str>)| Run {
        name: format!("run-{at}"),
        content: found.map_or(0, f64::to_bits) + at as u64,
        values: [(Metric::Capacity, found.map_err(str::to_owned))].into(),
        ..Run::default()
    };
    found.iter().enumerate().map(run).collect()
}

const BASE: [f64; 10] = [4.0, 4.1, 3.9, 4.0, 4.2, 4.0, 3.9, 4.1, 4.05, 3.95];

#[test]
fn runs_that_replay_nothing_are_judged_by_the_capacity() {
    let base = seeking(&BASE.map(Ok));
    let few = |value: f64| [Ok(value), Ok(value * 1.01), Ok(value * 0.99)];
    for (new, outcome, told) in [
        (few(2.1), Outcome::Regression, "capacity is worse by −47"),
        (few(8.1), Outcome::Improvement, "capacity is better by +10"),
        (few(4.03), Outcome::NoRegression, "a change of capacity by "),
        (
            [Ok(4.03), Ok(4.0), Err("no load that was tried was too much")],
            Outcome::Unknown,
            "capacity: not in 1 of 3 new runs: no load that was tried was too much",
        ),
    ] {
        let found = judge(&base, &seeking(&new), &Options::default()).unwrap();
        assert_eq!(found.outcome, outcome, "{}", found.statement);
        assert!(found.statement.contains(told), "{}", found.statement);
    }
    let none = seeking(&[Err("no load was tried: x"); 10]);
    let found = judge(
        &base[..0].iter().chain(&none).cloned().collect::<Vec<_>>(),
        &base[..3],
        &Options::default(),
    );
    assert_eq!(found.unwrap().outcome, Outcome::Unknown);
}

/// With a capacity that is as it was, runs without latencies are still unknown where they sent a
/// load.
#[test]
fn a_capacity_is_no_pass_for_a_load() {
    let mut simulation = Simulation::new(41);
    let mut drawn = || {
        let mut run = simulation.run(Law::default());
        run.values.insert(Metric::Capacity, Ok(4.0));
        run
    };
    let (base, mut new): (Vec<Run>, Vec<Run>) =
        ((0..10).map(|_| drawn()).collect(), (0..3).map(|_| drawn()).collect());
    assert_eq!(judge(&base, &new, &Options::default()).unwrap().outcome, Outcome::NoRegression);
    for run in &mut new {
        run.values.retain(|metric, _| metric.quantile().is_none());
    }
    assert_eq!(judge(&base, &new, &Options::default()).unwrap().outcome, Outcome::Unknown);
}

#[test]
fn only_one_beside_one_is_told_how_sure_it_is_of_itself() {
    let mut simulation = Simulation::new(42);
    let mut drawn = || {
        let mut run = simulation.run(Law::default());
        let p99 = run.value(Metric::LatencyP99).unwrap();
        run.within = vec![(0.99, [p99 * 0.97, p99 * 1.03])];
        run
    };
    let runs: Vec<Run> = (0..13).map(|_| drawn()).collect();
    let within = |base: &[Run], new: &[Run]| {
        let found = judge(base, new, &Options::default()).unwrap();
        let told = found.limits.iter().any(|limit| limit.contains("in parentheses"));
        let p99 = found.metrics.iter().find(|it| it.metric == Metric::LatencyP99).unwrap();
        (p99.within.is_some(), told, found.outcome)
    };
    assert_eq!(within(&runs[..1], &runs[1..2]), (true, true, Outcome::Unknown));
    assert_eq!(within(&runs[..10], &runs[10..]), (false, false, Outcome::NoRegression));
}
