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
