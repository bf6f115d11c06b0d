//! A release that is slower on one route, the capacity that was found, and what two runs tell
//! alone.

use peakhour::act::capacity::seen::{Asked, Capacity, Ended, Outcome as TrialOutcome, Trial};
use peakhour::act::{Evidence, Performed};
use peakhour::report::model::{OtherRoutes, Report, RouteRow, Within};
use peakhour::scenario::acts::ActName;

use super::*;

/// The route of a stranger, who may name it as they like.
const HOSTILE: &str = "GET /\u{1b}[2Jcart/{}";

/// Two routes of half of the requests each, the first of which takes so many percent.
fn with_routes(mut report: Report, number: usize, percent: u64) -> Report {
    let latency = report.latency.clone().unwrap();
    let half = latency.count / 2;
    let row = |name: &str, percent: u64, offset: usize| {
        let noise = u64::try_from(100 + NOISE[(number * 3 + offset) % NOISE.len()]).unwrap();
        let scaled = |ns: u64| ns / 10_000 * percent * noise;
        let latency = Quantiles {
            p50_ns: scaled(latency.p50_ns),
            p90_ns: scaled(latency.p90_ns),
            p95_ns: scaled(latency.p95_ns),
            p99_ns: scaled(latency.p99_ns),
            p99_9_ns: scaled(latency.p99_9_ns),
            max_ns: scaled(latency.max_ns),
            count: half,
            ..latency
        };
        RouteRow {
            route: name.to_owned(),
            arrivals: half,
            unsent: 0,
            errors: 0,
            latency: Some(latency),
        }
    };
    report.routes = vec![row(HOSTILE, percent, 0), row("GET /item/{}", 100, 1)];
    report.other_routes = OtherRoutes { routes: 3, arrivals: 9, errors: 0 };
    report
}

#[test]
fn a_route_that_is_slower_fails_and_its_twin_passes() {
    for (percent, code, word) in [(180, 99, "REGRESSION"), (100, 0, "NO REGRESSION")] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for number in 0..10 {
            save(folder, &format!("old-{number}"), &with_routes(run(number, 100), number, 100));
        }
        for number in 0..3 {
            let report = with_routes(run(10 + number, 100), 10 + number, percent);
            save(folder, &format!("new-{number}"), &report);
        }
        let ran = compare(folder, &["--html", "gate.html", "--json", "gate.json"]);
        assert_eq!(ran.code, code, "{}", shown(&ran));
        let text = flat(&ran.stdout);
        assert!(text.starts_with(word), "{text}");
        assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
        let told = "2 routes were compared one by one; not compared: 3 routes that runs count";
        assert!(text.contains(told), "{text}");
        // What is not shown of a name is in the number behind it.
        let named =
            "REGRESSION latency p50 of GET /·[2Jcart/{} (544fd121a42740ff) is worse by +80 %";
        assert_eq!(text.starts_with(named), code == 99, "{text}");
        assert_eq!(text.contains("what changed first"), code == 99, "{text}");
        let widest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{}", ran.stdout);
        let json: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("gate.json")).unwrap()).unwrap();
        let routes = &json["routes"];
        assert_eq!((&routes["unlisted"], &routes["few"]), (&3.into(), &0.into()));
        assert_eq!(routes["compared"].as_array().unwrap().len(), 2);
        assert!(routes["compared"][1]["metrics"][0]["p"].is_number(), "{routes}");
        let page = fs::read_to_string(folder.join("gate.html")).unwrap();
        assert!(page.contains("Each route that every run has often enough"));
        assert_eq!(page.contains("latency p50 of GET"), code == 99);
    }
}

/// A run whose act `capacity` found a multiple; `None` where nothing was too much for the target.
fn with_capacity(mut report: Report, held: f64, failed: Option<f64>) -> Report {
    let asked = Asked { max: 32.0, trials: 3, resolution: 0.025, ..Asked::default() };
    // What is twice as much ended a search that had no more time.
    let is_near = failed.is_some_and(|failed| failed < 1.5 * held);
    let ended = Some(if is_near { Ended::Found } else { Ended::Time });
    // It was planned for a little less than it was asked for.
    let trial = Trial { load: held, planned: 0.98 * held, ..Trial::default() };
    let trials = vec![Trial { outcome: TrialOutcome::Held, ..trial }];
    let held = Some(held);
    let is_confirmed = true;
    let seen = Capacity { asked, trials, ended, held, failed, is_confirmed, ..Capacity::default() };
    let evidence = Evidence::Capacity(Box::new(seen));
    report.acts.push(Performed { act: ActName::Capacity, started_ns: 0, ended_ns: 1, evidence });
    report
}

#[test]
fn the_multiple_that_is_borne_is_compared_and_a_bound_of_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let factor = |number: usize| 1.0 + 0.004 * f64::from(u8::try_from(number % 5).unwrap());
    for number in 0..10 {
        let held = 4.0 * factor(number);
        save(
            folder,
            &format!("old-{number}"),
            &with_capacity(run(number, 100), held, Some(held * 1.02)),
        );
    }
    for (held, failed, code, told) in [
        (2.0, Some(2.05), 99, "capacity is worse by −50"),
        (4.0, Some(4.1), 0, "no regression shown"),
        (4.0, Some(8.0), 98, "capacity: not in 3 of 3 new runs: the search ended before it had"),
        (32.0, None, 98, "capacity: not in 3 of 3 new runs: no load that was tried was too much"),
    ] {
        for number in 0..3 {
            let held = held * factor(number);
            let failed = failed.map(|failed: f64| failed * factor(number));
            let report = with_capacity(run(10 + number, 100), held, failed);
            save(folder, &format!("new-{number}"), &report);
        }
        let ran = compare(folder, &[]);
        assert_eq!(ran.code, code, "{}", shown(&ran));
        assert!(flat(&ran.stdout).contains(told), "{told}: {}", ran.stdout);
    }
}

/// A capacity by other expectations is another one.
#[test]
fn capacities_by_other_expectations_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for number in 0..10 {
        let report = with_capacity(run(number, 100), 4.0, Some(4.1));
        save(folder, &format!("old-{number}"), &report);
    }
    for number in 0..3 {
        let mut report = with_capacity(run(10 + number, 100), 2.0, Some(2.1));
        report.expectations[0].text = "latency p99 < 1ms".to_owned();
        save(folder, &format!("new-{number}"), &report);
    }
    let ran = compare(folder, &[]);
    assert_eq!(ran.code, 104, "{}", shown(&ran));
    assert!(flat(&ran.stderr).contains("acts.capacity is 3 trials of"), "{}", ran.stderr);
}

/// One beside one: how sure each is of itself is told, and decides nothing.
#[test]
fn two_runs_tell_how_sure_they_are_of_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, number, percent) in [("old", 0, 100), ("new", 1, 300)] {
        let mut report = run(number, percent);
        let p99_ns = report.latency.as_ref().unwrap().p99_ns;
        report.within =
            vec![Within { q: 0.99, low_ns: p99_ns / 100 * 98, high_ns: p99_ns / 100 * 102 }];
        save(folder, name, &report);
    }
    let ran = peakhour(folder, &["compare", "old", "--", "new", "--json", "-"]);
    assert_eq!(ran.code, 104, "options stand before `--`: {}", shown(&ran));
    let ran = peakhour(folder, &["compare", "old", "--", "new"]);
    assert_eq!(ran.code, 98, "{}", shown(&ran));
    let text = flat(&ran.stdout);
    assert!(text.contains("intervals in parentheses are those of the two runs"), "{text}");
    let p99 = ran.stdout.lines().find(|line| line.contains("latency p99 ")).unwrap();
    assert!(p99.contains("(+") && p99.contains(" % … +"), "{p99}");
}
