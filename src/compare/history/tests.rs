//! Series of simulated nights.

use super::*;
use crate::compare::conditions::{Condition, Fact};
use crate::compare::simulated::{Law, Simulation};

fn nights(count: usize, worse_from: usize) -> Vec<Run> {
    let mut simulation = Simulation::new(5);
    (0..count)
        .map(|night| {
            let change = if night >= worse_from { 1.25 } else { 1.0 };
            let mut run = simulation.run(Law { change, ..Law::default() });
            run.name = format!("night-{night:03}");
            run.started = format!("2026-01-01T{night:03}");
            let commit = format!("c{}", night / 10);
            run.labels = BTreeMap::from([("commit".to_owned(), commit)]);
            run
        })
        .collect()
}

#[test]
fn a_release_that_became_slower_is_found_with_its_run_and_its_commit() {
    let mut runs = nights(60, 55);
    runs.reverse();
    let found = history(runs, &HistoryOptions::default());
    assert_eq!(found.outcome, Outcome::Regression, "{}", found.statement);
    let change = found.changes.iter().find(|change| change.metric == Metric::LatencyP50).unwrap();
    assert_eq!((change.at, change.run.as_str()), (55, "night-055"), "{change:?}");
    assert!(change.is_worse && change.is_recent && change.is_confirmed, "{change:?}");
    assert!((change.change - 0.25).abs() < 0.1, "{change:?}");
    assert!(found.statement.contains("since night-055"), "{}", found.statement);
    // The commit changed five nights earlier, and nothing with this run.
    assert_eq!(change.since, [""; 0]);
    let found = history(nights(60, 50), &HistoryOptions::default());
    assert_eq!(found.outcome, Outcome::NoRegression, "ten nights ago is no news");
    let change = found.changes.iter().find(|change| change.metric == Metric::LatencyP50).unwrap();
    assert_eq!(change.since, ["commit: c4 → c5"]);
    let levels = &found.trends[0].levels;
    assert_eq!(
        levels.iter().map(|(from, to, _)| (*from, *to)).collect::<Vec<_>>(),
        [(0, 50), (50, 60)]
    );
}

#[test]
fn what_stays_as_it_was_is_no_news() {
    let found = history(nights(60, 100), &HistoryOptions::default());
    assert_eq!((found.outcome, found.changes.len()), (Outcome::NoRegression, 0));
    assert_eq!(history(nights(9, 100), &HistoryOptions::default()).outcome, Outcome::Unknown);
    let empty = history(Vec::new(), &HistoryOptions::default());
    assert_eq!((empty.outcome, empty.runs.len()), (Outcome::Unknown, 0));
    let better = HistoryOptions::default();
    let mut runs = nights(60, 100);
    for run in &mut runs[55..] {
        let faster = [Metric::LatencyP50, Metric::LatencyP95, Metric::LatencyP99];
        for value in run.values.iter_mut().filter(|(m, _)| faster.contains(m)).flat_map(|(_, v)| v)
        {
            *value /= 1.6;
        }
    }
    assert_eq!(history(runs, &better).outcome, Outcome::Improvement);
}

/// The latest runs without an answer are not as the others, though no value of theirs is another
/// one.
#[test]
fn what_the_latest_runs_lack_is_no_pass() {
    let without = |metrics: &[Metric], at: std::ops::Range<usize>| {
        let mut runs = nights(20, 100);
        for run in &mut runs[at] {
            for metric in metrics {
                run.values.insert(*metric, Err("nothing was answered".to_owned()));
            }
        }
        history(runs, &HistoryOptions::default())
    };
    let latencies =
        [Metric::LatencyP50, Metric::LatencyP95, Metric::LatencyP99, Metric::LatencyP999];
    let found = without(&latencies, 13..20);
    assert_eq!(found.outcome, Outcome::Unknown, "{}", found.statement);
    assert_eq!(
        found.statement,
        "it cannot be said: 7 of the last 7 runs have no latency p50, such as night-019 (nothing \
         was answered)"
    );
    assert_eq!(without(&latencies, 17..18).outcome, Outcome::Unknown);
    assert_eq!(without(&[Metric::Errors], 0..20).outcome, Outcome::Unknown);
    assert_eq!(without(&[Metric::LatencyP99], 15..20).outcome, Outcome::Unknown);
    // Before the latest ones, or where no run has it, nothing is claimed with it.
    assert_eq!(without(&latencies, 3..5).outcome, Outcome::NoRegression);
    assert_eq!(without(&[Metric::LatencyP99], 0..20).outcome, Outcome::NoRegression);
    assert_eq!(without(&[], 0..20).outcome, Outcome::NoRegression);
}

#[test]
fn another_change_nearby_does_not_confirm_one() {
    let wave = |at: usize| [0.0, 0.02, -0.01, 0.01, -0.02][at % 5];
    let values: Vec<f64> = (0..50).map(|at| if at < 30 { 1.0 } else { 2.0 } + wave(at)).collect();
    assert!(is_confirmed(&values, 30));
    assert!(!is_confirmed(&values, 42));
    assert!(!is_confirmed(&values, 20));
}

/// Shares of errors that differ by less than one in a thousand are one level, and those beside it
/// are measured without the cut between them.
#[test]
fn a_cut_that_is_taken_away_leaves_no_trace() {
    let level = |at: usize| match at {
        0..20 => 0.001,
        20..40 => 0.001_5,
        _ => 0.01,
    };
    let wave = |at: usize| [0.0, 2e-5, -1e-5, 1e-5, -2e-5][at % 5];
    let known: Vec<(usize, f64)> = (0..60).map(|at| (at, level(at) + wave(at))).collect();
    let options = HistoryOptions::default();
    let all: Vec<usize> =
        sought(Metric::LatencyP50, &known, &options).iter().map(|c| c.at).collect();
    assert_eq!(all, [20, 40], "as times, both are changes");
    let found = sought(Metric::Errors, &known, &options);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].at, 40);
    assert!((found[0].before - 0.001_25).abs() < 1e-6, "{found:?}");
}

fn fact(condition: Condition, field: &str, value: &str) -> Fact {
    Fact { condition, field: field.to_owned(), value: value.to_owned() }
}

#[test]
fn runs_of_other_things_are_left_out_and_told() {
    let mut runs = nights(20, 100);
    for run in &mut runs {
        run.conditions = vec![fact(Condition::Scenario, "scenario", "checkout")];
    }
    runs[3].conditions = vec![fact(Condition::Scenario, "scenario", "search")];
    runs[4].not_valid = Some("late".to_owned());
    runs[5] = runs[6].clone();
    runs[7].conditions.push(fact(Condition::Arrivals, "facts.arrivals", "7"));
    runs[8].conditions.push(fact(Condition::Version, "tool_version", "0.0.1"));
    let found = history(runs.clone(), &HistoryOptions::default());
    assert_eq!((found.runs.len(), found.scenario.as_str()), (16, "checkout"));
    for told in [
        "1 run was left out: scenario search (see --scenario)",
        "1 run was left out: not valid",
        "1 run was left out: there twice",
        "1 run was left out: facts.arrivals is not that of the newest run",
    ] {
        assert!(found.limits.iter().any(|limit| limit == told), "{told}: {:?}", found.limits);
    }
    let asked = HistoryOptions { scenario: Some("search".to_owned()), ..Default::default() };
    assert_eq!(history(runs, &asked).runs.len(), 1);
}

/// A series that only seeks a capacity is told by it; one whose latest run found none is not.
#[test]
fn a_series_of_capacities_is_told_by_them() {
    let seek = |found: &dyn Fn(usize) -> Result<f64, String>| {
        let mut runs = nights(60, 100);
        for (night, run) in runs.iter_mut().enumerate() {
            run.values = [(Metric::Capacity, found(night))].into();
            (run.errors, run.quantiles) = (None, Vec::new());
        }
        history(runs, &HistoryOptions::default())
    };
    let level = |night: usize, value: f64| value * [1.0, 1.02, 0.98, 1.01, 0.99][night % 5];
    let steady = seek(&|night| Ok(level(night, 4.0)));
    assert_eq!(steady.outcome, Outcome::NoRegression, "{}", steady.statement);
    let fallen = seek(&|night| Ok(level(night, if night < 55 { 4.0 } else { 2.0 })));
    assert_eq!(fallen.outcome, Outcome::Regression, "{}", fallen.statement);
    assert!(fallen.statement.starts_with("capacity is worse by −5"), "{}", fallen.statement);
    let lost = seek(&|night| match night {
        59 => Err("not even the lowest load that was tried held".to_owned()),
        _ => Ok(level(night, 4.0)),
    });
    assert_eq!(lost.outcome, Outcome::Unknown, "{}", lost.statement);
    assert!(lost.statement.contains("have no capacity"), "{}", lost.statement);
}
