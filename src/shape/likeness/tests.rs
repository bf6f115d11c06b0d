//! Every fault of the detection matrix, and what is no fault, as loads that are set side by side.

mod known;
mod laws;
mod sparse;
mod told;

use std::sync::LazyLock;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::bytes::spread;
use crate::recording::file::sights::Sight;
use crate::recording::file::sights::names::Names;
use crate::shape::detection::{SECONDS, sessions};
use crate::shape::likeness::tests::laws::Request;
use crate::shape::profile::fold::Profiler;
use crate::shape::tolerance::{CI, STANDARD};
use crate::stats::counts::as_f64;
use crate::stats::histograms::nanoseconds;

/// The law of the detection matrix, each request for one of 300 resources.
fn law(seed: u64) -> Vec<Request> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x6b65_7973);
    let resource = move |(at, session): (f64, u64)| {
        let rank = (1.0 - random.random::<f64>()).powf(-1.2);
        (at, session, crate::stats::counts::as_index(rank) as u64 % 300)
    };
    sessions(seed).into_iter().map(resource).collect()
}

static PEAK: LazyLock<Vec<Request>> = LazyLock::new(|| law(1));

fn profile(requests: &[Request]) -> Profile {
    let mut sorted = requests.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut profiler, mut names) = (Profiler::default(), Names::default());
    for request in &sorted {
        profiler.add(&sight(*request, &mut names));
    }
    profiler.finish(&names)
}

fn sight((at, session, key): Request, names: &mut Names) -> Sight {
    Sight {
        at_ns: nanoseconds(Duration::from_secs_f64(at.max(0.0))),
        connection: session,
        session,
        class: names.class("GET", &format!("/page-{}", key % 20)),
        key: spread(key + 1),
        is_read: true,
        request_bytes: key,
        response_bytes: Some(1_000),
        took_ns: Some(2_000_000),
    }
}

fn side(profile: &Profile) -> Side<'_> {
    Side { profile, clock_step_ns: 1_000, lost: 0.0, knows_connections: true, handshakes: [0; 2] }
}

fn judged(other: &[Request], tolerances: &Tolerances) -> Likeness {
    let (reference, other) = (profile(&PEAK), profile(other));
    judge(side(&reference), side(&other), tolerances, Pairs::IfReplay)
}

fn moved(by: impl Fn(f64) -> f64) -> Vec<Request> {
    PEAK.iter().map(|&(at, session, key)| (by(at), session, key)).collect()
}

fn jittered(mean: f64, seed: u64) -> Vec<Request> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let late = PEAK
        .iter()
        .map(|&(at, session, key)| (at - (1.0 - random.random::<f64>()).ln() * mean, session, key));
    late.collect()
}

fn failed(likeness: &Likeness) -> Vec<&str> {
    let failed = likeness.metrics.iter().filter(|each| each.outcome == MetricOutcome::Fail);
    failed.map(|each| each.name.as_str()).collect()
}

fn metric<'a>(likeness: &'a Likeness, name: &str) -> &'a Metric {
    likeness.metrics.iter().find(|each| each.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn value(likeness: &Likeness, name: &str) -> f64 {
    metric(likeness, name).value.unwrap_or_else(|| panic!("{:?}", metric(likeness, name)))
}

fn says(likeness: &Likeness, what: &str) {
    let told = &likeness.differences;
    assert!(told.iter().any(|text| text.contains(what)), "{what}: {told:#?}");
}

#[test]
fn the_same_load_is_faithful_whatever_its_clock_says() {
    for requests in [PEAK.clone(), moved(|at| at + 3_600.5), jittered(1e-3, 5)] {
        let likeness = judged(&requests, &STANDARD);
        assert_eq!(likeness.verdict, Verdict::Faithful, "{}", likeness.statement);
        assert!(likeness.paired && likeness.differences.is_empty(), "{likeness:?}");
    }
    let jitter = jittered(5e-3, 5);
    assert_eq!(judged(&jitter, &CI).verdict, Verdict::Faithful);
    assert!(failed(&judged(&jitter, &STANDARD)).contains(&"lateness p99"));
}

#[test]
fn another_day_of_the_same_law_is_faithful_and_no_replay() {
    let likeness = judged(&law(2), &STANDARD);
    assert_eq!(likeness.verdict, Verdict::Faithful, "{}", likeness.statement);
    assert!(!likeness.paired);
    let wape = likeness.metrics.iter().find(|each| each.name == "WAPE 1 s").unwrap();
    assert!(wape.note.starts_with("noise floor 1"), "{wape:?}");
    assert!(likeness.limits.iter().any(|text| text.contains("noise floor")));
}

#[test]
fn every_fault_of_the_matrix_is_seen_and_named() {
    let stalls = moved(|at| if at % 10.0 < 0.1 { at - at % 10.0 + 0.1 } else { at });
    let likeness = judged(&stalls, &STANDARD);
    assert!(failed(&likeness).contains(&"IDC ratio 100 ms"), "{:?}", failed(&likeness));
    assert!(!failed(&likeness).contains(&"WAPE 1 s"));

    let lacking: Vec<Request> =
        PEAK.iter().enumerate().filter(|(n, _)| n % 100 != 7).map(|(_, each)| *each).collect();
    let likeness = judged(&lacking, &STANDARD);
    assert!(likeness.paired, "a replay that lost some is one");
    assert!(failed(&likeness).contains(&"completeness"), "{:?}", failed(&likeness));
    says(&likeness, "are missing (1");

    let likeness = judged(&moved(|at| at * 1.5), &STANDARD);
    says(&likeness, "it took 1.50 × the time");
    assert_eq!(likeness.verdict, Verdict::Degraded);

    let frozen = moved(|at| if (50.0..55.0).contains(&at) { 55.0 } else { at });
    says(&judged(&frozen, &STANDARD), "it stood still: nothing was sent for up to 5");

    let mut even = PEAK.clone();
    even.sort_by(|a, b| a.0.total_cmp(&b.0));
    let even: Vec<Request> = even
        .chunk_by(|a, b| a.0.floor() <= b.0.floor() && b.0.floor() <= a.0.floor())
        .flat_map(|second| {
            let count = as_f64(second.len() as u64);
            (0_u32..).zip(second).map(move |(place, &(at, session, key))| {
                (at.floor() + (f64::from(place) + 0.5) / count, session, key)
            })
        })
        .collect();
    let likeness = judged(&even, &STANDARD);
    assert!(failed(&likeness).contains(&"IDC ratio 100 ms"), "{:?}", failed(&likeness));
    assert!(!failed(&likeness).contains(&"WAPE 1 s"));
    says(&likeness, "evenly spaced");
}

/// A load generator of the usual kind: one resource, at an even rate, on fifty connections.
#[test]
fn a_tool_that_cannot_replay_is_told_what_it_did_otherwise() {
    let rate = as_f64(PEAK.len() as u64) / SECONDS;
    let flat: Vec<Request> =
        (0..PEAK.len() as u64).map(|n| (as_f64(n) / rate, n % 50, 0)).collect();
    let likeness = judged(&flat, &STANDARD);
    assert_eq!(likeness.verdict, Verdict::Degraded);
    for what in ["the rate is flat", "evenly spaced", "GET /page-0 is 100 %", "50 with 8"] {
        says(&likeness, what);
    }
    assert!(failed(&likeness).contains(&"miss-ratio curve MAE"), "{:?}", failed(&likeness));
}

#[test]
fn what_cannot_be_judged_is_no_pass() {
    let reference = profile(&PEAK);
    for (requests, reason) in [
        (vec![], "the second recording has 0 requests"),
        (vec![(1.0, 1, 1)], "the second recording has 1 request"),
        (vec![(1.0, 1, 1), (1.0, 2, 2)], "all requests of the second recording are at one instant"),
    ] {
        let other = profile(&requests);
        let likeness = judge(side(&reference), side(&other), &STANDARD, Pairs::IfReplay);
        assert_eq!(likeness.verdict, Verdict::Invalid);
        assert!(likeness.statement.starts_with(reason), "{}", likeness.statement);
    }
    // Losses on the way in may be all that is missing.
    let lacking: Vec<Request> =
        PEAK.iter().enumerate().filter(|(n, _)| n % 100 != 7).map(|(_, each)| *each).collect();
    let lacking = profile(&lacking);
    let lossy = |lost: f64| Side { lost, ..side(&lacking) };
    let complete = |other: Side| {
        let likeness = judge(side(&reference), other, &STANDARD, Pairs::IfReplay);
        (likeness.metrics[0].outcome, likeness)
    };
    assert_eq!(complete(lossy(0.0)).0, MetricOutcome::Fail);
    assert_eq!(complete(lossy(0.02)).0, MetricOutcome::Pass);
    let (outcome, likeness) = complete(lossy(0.5));
    assert_eq!(outcome, MetricOutcome::NotEvaluable);
    assert!(likeness.statement.contains("not evaluable: completeness"), "{}", likeness.statement);
    // Seconds of a log say nothing of a hundredth.
    let coarse = Side { clock_step_ns: 1_000_000_000, ..side(&reference) };
    let likeness = judge(coarse, side(&reference), &STANDARD, Pairs::IfReplay);
    let outcome = |name: &str| likeness.metrics.iter().find(|m| m.name == name).unwrap().outcome;
    assert_eq!(outcome("IDC ratio 1 s"), MetricOutcome::NotEvaluable);
    assert_eq!(outcome("gaps KS"), MetricOutcome::NotEvaluable);
    assert_eq!(outcome("lateness p99"), MetricOutcome::NotEvaluable);
    assert_eq!(outcome("WAPE 10 s"), MetricOutcome::Pass);
    assert_eq!(outcome("IDC ratio 10 s"), MetricOutcome::Pass);
}

/// Chance alone does so much with so few that nothing could fail.
#[test]
fn few_requests_prove_nothing() {
    let every = |gap: f64, sessions: u64| -> Vec<Request> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut at = 0.0;
        let requests = (0..).map(|n| {
            at -= (1.0 - random.random::<f64>()).ln() * gap;
            (at, n % sessions, n % 3)
        });
        requests.take_while(|request| request.0 < 60.0).collect()
    };
    for (first, second) in [(1.0, 1.7), (1.0, 0.5), (0.5, 1.0)] {
        let (first, second) = (profile(&every(first, 40)), profile(&every(second, 40)));
        let likeness = judge(side(&first), side(&second), &CI, Pairs::Never);
        assert_ne!(likeness.verdict, Verdict::Faithful, "{}", likeness.statement);
    }
    // Two clients that ask for different things tell nothing of how far mixes differ by chance.
    let clients = |seed: u64, share: u64| -> Vec<Request> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let moment = |n: u64| (random.random::<f64>() * 100.0, n % 2, u64::from(n % 10 < share));
        (0..10_000).map(moment).collect()
    };
    let (two, other) = (clients(1, 5), clients(2, 1));
    let (two, other) = (profile(&two), profile(&other));
    let likeness = judge(side(&two), side(&other), &STANDARD, Pairs::Never);
    let mix = likeness.metrics.iter().find(|each| each.name == "mix TVD").unwrap();
    assert_eq!(mix.outcome, MetricOutcome::NotEvaluable, "{mix:?}");
}

#[test]
fn what_comes_after_six_hours_is_told_by_minutes_and_after_sixty_days_left_out() {
    let every = |seconds: f64| -> Profile {
        let load = (0..14_000_u64).map(|n| (as_f64(n) * seconds, n % 50, n % 7));
        profile(&load.collect::<Vec<Request>>())
    };
    let long = every(2.0);
    assert_eq!((long.shape.total, long.coarse(), long.beyond), (14_000, 3_200, 0));
    assert!((long.fine_rate() - 0.5).abs() < 1e-3 && long.length > Duration::from_hours(7));
    assert_eq!(long.minutes.counts(1).iter().sum::<u64>(), 14_000);
    let likeness = judge(side(&long), side(&long), &STANDARD, Pairs::IfReplay);
    let says = |likeness: &Likeness, what: &str| {
        assert!(likeness.limits.iter().any(|text| text.contains(what)), "{:?}", likeness.limits);
    };
    says(&likeness, "200 requests after the first six hours are told by minutes only");
    assert_eq!(likeness.minutes.each_ref().map(Vec::len), [467; 2]);
    // 60 days are 5 184 000 s.
    let longest = every(1_000.0);
    assert_eq!((longest.shape.total, longest.beyond), (5_184, 8_816));
    let likeness = judge(side(&longest), side(&longest), &STANDARD, Pairs::IfReplay);
    says(&likeness, "816 requests after the first sixty days were left out");
}

#[test]
fn a_saturated_reference_is_told() {
    let flat: Vec<Request> = (0..12_000_u64).map(|n| (as_f64(n) / 100.0, n % 50, n % 7)).collect();
    let reference = profile(&flat);
    let likeness = judge(side(&reference), side(&reference), &STANDARD, Pairs::IfReplay);
    assert!(
        likeness.limits.iter().any(|text| text.contains("the reference sits at 100 requests")),
        "{:?}",
        likeness.limits
    );
}
