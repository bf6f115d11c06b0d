use super::*;
use crate::compare::judge::judge;
use crate::compare::simulated::{Law, Simulation};
use crate::compare::{Comparison, Options};

/// Ten runs of a baseline and three new ones, of so many routes each; `change` is that of the first
/// route of the new ones.
fn sides(simulation: &mut Simulation, routes: usize, change: f64) -> [Vec<Run>; 2] {
    let mut drawn = |change: f64| {
        let run = simulation.run(Law::default());
        let run = simulation.with_routes(run, routes, change);
        Run { quantiles: Vec::new(), ..run }
    };
    let base = (0..10).map(|_| drawn(1.0)).collect();
    [base, (0..3).map(|_| drawn(change)).collect()]
}

fn compared([base, new]: &[Vec<Run>; 2]) -> Comparison {
    judge(base, new, &Options::default()).unwrap()
}

fn of<'a>(comparison: &'a Comparison, route: &str) -> Vec<&'a Judged> {
    let all = comparison.routes.judged().filter(|(name, _)| *name == route);
    all.map(|(_, judged)| judged).collect()
}

/// One of twenty routes takes half as long again, and the whole does not show it.
#[test]
fn a_route_that_became_slower_is_a_regression_of_its_own() {
    let both = sides(&mut Simulation::new(31), 20, 1.5);
    let found = compared(&both);
    assert_eq!(found.outcome, Outcome::Regression, "{}", found.statement);
    assert!(found.metrics.iter().all(|it| it.outcome != Outcome::Regression), "{found:#?}");
    assert!(found.statement.contains("of GET /route-00 is worse by +"), "{}", found.statement);
    let (route, first) = found.routes.foremost(1)[0];
    assert_eq!((route, first.outcome), ("GET /route-00", Outcome::Regression));
    let changed = [Outcome::Regression, Outcome::Improvement];
    assert!(of(&found, "GET /route-07").iter().all(|it| !changed.contains(&it.outcome)));
    let healthy = compared(&sides(&mut Simulation::new(31), 20, 1.0));
    assert_eq!(healthy.outcome, Outcome::NoRegression, "{}", healthy.statement);
    assert_eq!((healthy.routes.compared.len(), healthy.routes.left_out()), (20, None));
    let wild = Options { unseen: 0.10, ..Options::default() };
    let [base, new] = sides(&mut Simulation::new(31), 20, 1.0);
    let blind = judge(&base, &new, &wild).unwrap();
    let told = "20 of 20 routes have a figure of which a change of +10 % could go unseen";
    assert!(blind.limits.iter().any(|limit| limit.starts_with(told)), "{:?}", blind.limits);
}

/// Routes are many chances of a false alarm, and Holm leaves the whole no more of them than before:
/// at most one comparison of a release with itself in a hundred.
#[test]
fn a_release_beside_itself_is_no_regression_by_route_either() {
    let mut simulation = Simulation::new(32);
    let mut alarms = 0;
    for _ in 0..600 {
        let found = compared(&sides(&mut simulation, 10, 1.0));
        alarms += usize::from(found.outcome == Outcome::Regression);
    }
    assert!(alarms <= 6, "{alarms} of 600");
}

/// A release that is a fifth slower on all routes is found in 95 of 100 comparisons with routes
/// beside the whole as well.
#[test]
fn routes_do_not_hide_what_all_of_them_show() {
    let mut simulation = Simulation::new(33);
    let mut found = 0;
    for _ in 0..600 {
        let [base, _] = sides(&mut simulation, 10, 1.0);
        let slower = Law { change: 1.2, ..Law::default() };
        let mut drawn = || {
            let run = simulation.run(slower);
            Run { quantiles: Vec::new(), ..simulation.with_routes(run, 10, 1.0) }
        };
        let new = (0..3).map(|_| drawn()).collect();
        found += usize::from(compared(&[base, new]).outcome == Outcome::Regression);
    }
    assert!(found >= 570, "{found} of 600");
}

/// And one of twenty routes that takes half as long again, which no figure of the whole shows.
#[test]
fn one_slow_route_of_twenty_is_found() {
    let mut simulation = Simulation::new(36);
    let regressions = (0..100)
        .filter(|_| compared(&sides(&mut simulation, 20, 1.5)).outcome == Outcome::Regression);
    assert!(regressions.count() >= 95);
}

#[test]
fn what_is_not_compared_is_counted_with_its_reason() {
    let mut both = sides(&mut Simulation::new(34), 5, 1.0);
    both[0][3].routes.remove("GET /route-01");
    let few = Some(Share { part: 0, whole: LEAST_REQUESTS - 1 });
    both[1][0].routes.get_mut("GET /route-02").unwrap().errors = few;
    both[1][1].unlisted = 7;
    let found = compared(&both);
    let Routes { absent, few, unlisted, ref compared } = found.routes;
    assert_eq!((absent, few, unlisted, compared.len()), (1, 1, 7, 3));
    let told = "3 routes were compared one by one; not compared: 1 route that not every run \
                tells, 1 route with fewer than 100 requests in some run, 7 routes that runs count \
                without telling them one by one";
    assert!(found.limits.iter().any(|limit| limit == told), "{:?}", found.limits);
}

/// What had answers before and has too few now was not fast.
#[test]
fn a_route_without_answers_is_no_pass() {
    let mut both = sides(&mut Simulation::new(35), 5, 1.0);
    assert_eq!(compared(&both).outcome, Outcome::NoRegression);
    for run in &mut both[1] {
        let route = run.routes.get_mut("GET /route-03").unwrap();
        route.values.insert(Metric::LatencyP99, None);
    }
    let found = compared(&both);
    assert_eq!(found.outcome, Outcome::Unknown, "{}", found.statement);
    let told = "it cannot be said: latency p99 of GET /route-03: too many of its requests had no \
                answer in 0 of 10 baseline runs and 3 of 3 new ones";
    assert_eq!(found.statement, told);
}

#[test]
fn errors_of_one_route_are_a_regression() {
    let mut both = sides(&mut Simulation::new(36), 5, 1.0);
    for (at, run) in both[1].iter_mut().enumerate() {
        let part = 60 + 5 * at as u64;
        run.routes.get_mut("GET /route-04").unwrap().errors = Some(Share { part, whole: 1_000 });
    }
    let found = compared(&both);
    assert_eq!(found.outcome, Outcome::Regression, "{}", found.statement);
    assert!(found.statement.starts_with("errors of GET /route-04 is worse"), "{}", found.statement);
}

/// The only route is the whole.
#[test]
fn one_route_is_not_tested_twice() {
    let found = compared(&sides(&mut Simulation::new(37), 1, 1.5));
    assert_eq!(found.routes, Routes::default());
    assert_eq!(found.outcome, Outcome::NoRegression, "{}", found.statement);
}

/// One beside one shows what moved, and says nothing.
#[test]
fn one_run_on_a_side_shows_routes_without_a_verdict() {
    let [base, new] = sides(&mut Simulation::new(38), 5, 3.0);
    let found = judge(&base[..1], &new[..1], &Options::default()).unwrap();
    assert_eq!(found.outcome, Outcome::Unknown);
    assert!(found.routes.judged().all(|(_, judged)| judged.outcome == Outcome::Unknown));
    assert_eq!(found.routes.foremost(1)[0].0, "GET /route-00");
}
