//! The detection matrix: a synthetic peak with every fault that a generator is known to have, and
//! the metrics that must and must not see it.
//!
//! The law is that of the reference simulation, at 120 s and some 500 requests a second: sessions
//! start as an inhomogeneous Poisson process with a rise, a wave and a rush of 15 s; geometric
//! pages (mean 6) with log-normal think times (median 5 s) between them; geometric requests a page
//! (mean 2.5) with exponential gaps of 4 ms.

mod many;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::shape::compare::{ShapeInput, judge_shape};
use crate::shape::tolerance::{CI, STANDARD, STRICT, Tolerances};
use crate::shape::{
    Fault, MetricOutcome, Origin, Shape, ShapeReport, ShapeVerdict, counted_moment,
};
use crate::stats::counts::as_index;
use crate::stats::histograms::{nanoseconds, record_time, times};

pub(super) const SECONDS: f64 = 120.0;

/// A planned moment and the moment at which it was produced, if it was, in seconds.
type Pair = (f64, Option<f64>);

static PEAK: LazyLock<Vec<f64>> = LazyLock::new(|| law(7));

fn law(seed: u64) -> Vec<f64> {
    sessions(seed).into_iter().map(|request| request.0).collect()
}

/// The law of the reference simulation at some size.
pub(crate) struct Law {
    pub(crate) seconds: f64,
    /// Sessions a second where the wave is 1, and the most that there ever are.
    pub(crate) sessions: f64,
    pub(crate) highest: f64,
    /// When the rush is.
    pub(crate) rush: std::ops::Range<f64>,
}

/// Moments and the sessions that they belong to, in order.
pub(crate) fn sessions(seed: u64) -> Vec<(f64, u64)> {
    sessions_of(&Law { seconds: SECONDS, sessions: 28.0, highest: 65.0, rush: 84.0..99.0 }, seed)
}

/// The same of any size.
pub(crate) fn sessions_of(law: &Law, seed: u64) -> Vec<(f64, u64)> {
    let Law { seconds, sessions, highest, ref rush } = *law;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = move || 1.0 - random.random::<f64>();
    let mut moments = Vec::new();
    // Sessions that began up to 200 s before the recording are still there when it begins.
    let (mut start, mut session) = (-200.0, 0);
    while start < seconds {
        start -= uniform().ln() / highest;
        let t = start.max(0.0);
        let wave = 0.55 + 0.75 * t / seconds + 0.15 * (std::f64::consts::TAU * t / 120.0).sin();
        let rushed = if rush.contains(&t) { 1.8 } else { 1.0 };
        if uniform() * highest > sessions * wave * rushed {
            continue;
        }
        session += 1;
        let mut at = start;
        loop {
            let mut request = at;
            loop {
                if (0.0..seconds).contains(&request) {
                    moments.push((request, session));
                }
                request -= uniform().ln() * 0.004;
                if uniform() < 1.0 / 2.5 {
                    break;
                }
            }
            if uniform() < 1.0 / 6.0 {
                break;
            }
            let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
            at = request + (5.0_f64.ln() + normal).exp();
        }
    }
    moments.sort_by(|a, b| a.0.total_cmp(&b.0));
    moments
}

fn judge(pairs: &[Pair], tolerances: &Tolerances) -> ShapeReport {
    let (mut planned, mut produced, mut lateness) = (Shape::new(), Shape::new(), times());
    for (index, &(due, happened)) in pairs.iter().enumerate() {
        let due = Duration::from_secs_f64(due);
        let route = Arc::from(format!("GET /{}", index % 7));
        let bytes = 300 + index as u64 % 400;
        planned.add(due, &route, bytes);
        // Every third request opens a connection.
        let opens = index % 3 == 0;
        if opens {
            planned.open(due);
        }
        if let Some(happened) = happened.map(Duration::from_secs_f64) {
            let moment = counted_moment(due, happened);
            produced.add(moment, &route, bytes);
            if opens {
                produced.open(moment);
            }
            record_time(&mut lateness, nanoseconds(happened.saturating_sub(due)));
        }
    }
    judge_shape(&ShapeInput {
        planned: &planned,
        offered: &produced,
        sent: &produced,
        lateness: &lateness,
        latency_bound_ns: None,
        clock_step_ns: 0,
        origin: Origin::Recorded,
        tolerances,
        interrupted: false,
    })
}

fn failures(report: &ShapeReport) -> Vec<&str> {
    let failed = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Fail);
    failed.map(|metric| metric.name.as_str()).collect()
}

fn value(report: &ShapeReport, name: &str) -> f64 {
    let metric = report.metrics.iter().find(|metric| metric.name == name).unwrap();
    metric.value.unwrap_or_else(|| panic!("{name}: {}", metric.note))
}

/// The fault is seen by these metrics (others may see it, too), and by none of those.
fn check(pairs: &[Pair], seen_by: &[&str], not_by: &[&str]) -> ShapeReport {
    let report = judge(pairs, &STANDARD);
    let failed = failures(&report);
    for name in seen_by {
        assert!(failed.contains(name), "{name} does not see it: {failed:?} {:#?}", report.metrics);
    }
    for name in not_by {
        assert!(!failed.contains(name), "{name} fails: {}", report.statement);
    }
    assert!(report.worst_ratio > 1.0);
    report
}

/// Every moment mapped to a later or earlier one.
fn moved(by: impl FnMut(f64) -> f64) -> Vec<Pair> {
    moved_of(&PEAK, by)
}

fn moved_of(peak: &[f64], mut by: impl FnMut(f64) -> f64) -> Vec<Pair> {
    peak.iter().map(|&due| (due, Some(by(due).max(0.0)))).collect()
}

fn jittered(mean: f64) -> Vec<Pair> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    moved(move |due| due - (1.0 - random.random::<f64>()).ln() * mean)
}

/// A deterministic queue that serves `share` of the busiest second.
fn capped(share: f64) -> Vec<Pair> {
    capped_of(&PEAK, share)
}

fn capped_of(peak: &[f64], share: f64) -> Vec<Pair> {
    let mut seconds = vec![0.0; as_index(SECONDS)];
    for &due in peak {
        seconds[as_index(due)] += 1.0;
    }
    let gap = 1.0 / (seconds.iter().copied().fold(0.0, f64::max) * share);
    let mut free = 0.0_f64;
    moved_of(peak, move |due| {
        let at = free.max(due);
        free = at + gap;
        at
    })
}

#[test]
fn the_peak_is_bursty_and_of_the_intended_size() {
    let report = judge(&moved(|due| due), &STRICT);
    assert!((40_000..90_000).contains(&PEAK.len()), "{}", PEAK.len());
    assert_eq!(report.verdict, ShapeVerdict::Faithful, "{}", report.statement);
    assert!(report.worst_ratio <= 0.0, "a perfect replay uses up nothing");
    let unjudged = report.metrics.iter().filter(|m| m.outcome == MetricOutcome::NotEvaluable);
    assert_eq!(unjudged.count(), 0, "all of it can be judged");
}

#[test]
fn jitter_up_to_a_millisecond_is_harmless() {
    for mean in [50e-6, 1e-3] {
        let report = judge(&jittered(mean), &STANDARD);
        assert_eq!(report.verdict, ShapeVerdict::Faithful, "{mean}: {}", report.statement);
    }
    let ticked = judge(&moved(|due| (due * 1e3).ceil() / 1e3), &STANDARD);
    assert_eq!(ticked.verdict, ShapeVerdict::Faithful, "{}", ticked.statement);
}

#[test]
fn five_milliseconds_of_jitter_are_for_shared_machines_only() {
    let jitter = jittered(5e-3);
    assert_eq!(judge(&jitter, &CI).verdict, ShapeVerdict::Faithful);
    check(&jitter, &["lateness p99"], &["WAPE 1 s", "IDC ratio 1 s", "max cumulative lag"]);
}

#[test]
fn stalls_show_in_dispersion_and_lateness_but_not_in_the_rate() {
    let stalls = moved(|due| if due % 10.0 < 0.1 { due - due % 10.0 + 0.1 } else { due });
    let report = check(
        &stalls,
        &["IDC ratio 100 ms", "lateness p99.9"],
        &["WAPE 1 s", "completeness", "peak ratio 1 s", "IDC ratio 1 s", "mix TVD"],
    );
    assert!(value(&report, "peak ratio 10 ms q99.99") > 2.0);
    assert!(value(&report, "WAPE 1 s") < 0.001);
    assert_eq!(report.verdict, ShapeVerdict::Invalid { fault: Fault::Generator });
}

#[test]
fn right_counts_a_second_evenly_spaced_are_not_the_load() {
    let even = evenly(&PEAK);
    let report = check(&even, &["IDC ratio 100 ms"], &["WAPE 1 s", "peak ratio 1 s"]);
    assert!(value(&report, "IDC ratio 10 ms") < 0.2);
    assert!(value(&report, "IDC ratio 100 ms") < 0.5);
}

/// As many in each second, and evenly in it.
fn evenly(peak: &[f64]) -> Vec<Pair> {
    let mut even = Vec::new();
    for second in peak.chunk_by(|a, b| as_index(*a) == as_index(*b)) {
        let count = f64::from(u32::try_from(second.len()).unwrap());
        for (position, &due) in (0..).map(f64::from).zip(second) {
            even.push((due, Some(due.floor() + (position + 0.5) / count)));
        }
    }
    even
}

#[test]
fn lost_requests_show_in_completeness() {
    let lost = |every: usize| -> Vec<Pair> {
        let keep = |index: usize| index % every != every / 2;
        PEAK.iter().enumerate().map(|(index, &due)| (due, keep(index).then_some(due))).collect()
    };
    let report = check(&lost(100), &["completeness", "max cumulative lag"], &["IDC ratio 100 ms"]);
    assert!((value(&report, "completeness") - 99.0).abs() < 0.01);
    check(&lost(900), &["completeness"], &["WAPE 1 s", "IDC ratio 1 s", "mix TVD"]);
}

#[test]
fn stretched_time_lags() {
    let report = check(
        &moved(|due| due * 1.01),
        &["max cumulative lag", "lateness p99", "WAPE 1 s"],
        &["completeness", "mix TVD", "IDC ratio 100 ms"],
    );
    assert!((value(&report, "max cumulative lag") - 1.2).abs() < 0.1);
}

#[test]
fn an_offset_lags_and_cannot_be_seen_by_order_blind_metrics() {
    let report = check(
        &moved(|due| due + 1.0),
        &["max cumulative lag", "lateness p99", "WAPE 1 s"],
        &["completeness", "mix TVD", "IDC ratio 10 ms"],
    );
    assert!((value(&report, "max cumulative lag") - 1.0).abs() < 0.02);
}

#[test]
fn a_rate_cap_flattens_bursts_before_it_shows_in_the_rate() {
    check(&capped(1.0), &["IDC ratio 100 ms"], &["completeness", "mix TVD"]);
    check(&capped(0.9), &["IDC ratio 100 ms", "lateness p99"], &["completeness"]);
    check(&capped(0.8), &["WAPE 1 s", "max cumulative lag", "peak ratio 1 s"], &["completeness"]);
}

#[test]
fn what_is_dropped_in_one_burst_at_the_start_shows_in_completeness() {
    let dropped = PEAK.len() / 20;
    let pairs: Vec<Pair> =
        PEAK.iter().enumerate().map(|(n, &due)| (due, (n >= dropped).then_some(due))).collect();
    check(&pairs, &["completeness", "max cumulative lag", "WAPE 1 s"], &[]);
    assert!(failures(&judge(&pairs, &CI)).contains(&"completeness"));
}

/// A pool hides the limits that connections meet: here one recorded connection became 2 000.
#[test]
fn a_connection_opened_again_for_each_request_is_not_the_load() {
    let (mut planned, mut produced) = (Shape::new(), Shape::new());
    let route = Arc::from("GET /");
    for index in 0..2_000 {
        let due = Duration::from_millis(index * 10);
        planned.add(due, &route, 300);
        produced.add(due, &route, 300);
        produced.open(due);
    }
    planned.open(Duration::ZERO);
    let mut on_time = times();
    record_time(&mut on_time, 1_000);
    for tolerances in [&STRICT, &STANDARD, &CI] {
        let report = judge_shape(&ShapeInput {
            planned: &planned,
            offered: &planned,
            sent: &produced,
            lateness: &on_time,
            latency_bound_ns: None,
            clock_step_ns: 0,
            origin: Origin::Recorded,
            tolerances,
            interrupted: false,
        });
        assert_eq!(failures(&report), ["connection opens WAPE 1 s"]);
        assert_eq!(report.verdict, ShapeVerdict::Invalid { fault: Fault::Target });
    }
}

/// Too few for one of them to decide, but not for all of them.
#[test]
fn a_few_requests_that_are_all_off_are_no_accident() {
    let few = |late: f64, which: usize| -> Vec<Pair> {
        let due = |index: usize| f64::from(u32::try_from(index).unwrap()) * 0.9;
        (0..60).map(|n| (due(n), Some(due(n) + if n % which == 0 { late } else { 0.0 }))).collect()
    };
    let one = judge(&few(0.8, 60), &STANDARD);
    assert_eq!(one.verdict, ShapeVerdict::Faithful, "{}", one.statement);
    let all = judge(&few(5.0, 1), &STANDARD);
    for name in ["WAPE 1 s", "max cumulative lag"] {
        assert!(failures(&all).contains(&name), "{:#?}", all.metrics);
    }
}

proptest! {
    /// For all plans and all lateness up to the tolerated millisecond: the shape is faithful, and
    /// nothing of the tolerance is used up by windows.
    #[test]
    fn what_is_on_time_is_faithful(
        requests in prop::collection::vec((0.0..40.0, 0.0..0.001), 1..300),
    ) {
        let pairs: Vec<Pair> =
            requests.iter().map(|&(due, late)| (due, Some(due + late))).collect();
        let report = judge(&pairs, &STANDARD);
        prop_assert_eq!(report.verdict, ShapeVerdict::Faithful, "{}", report.statement);
        prop_assert!(report.worst_metric.starts_with("lateness"), "{}", report.worst_metric);
    }

    /// For all plans and whatever became of them: every number is finite, a failure is named, and
    /// the verdict agrees with the metrics.
    #[test]
    fn every_verdict_agrees_with_its_metrics(
        requests in prop::collection::vec((0.0..40.0, prop::option::of(0.0..90.0)), 0..300),
    ) {
        let report = judge(&requests, &CI);
        prop_assert!(report.worst_ratio.is_finite());
        for metric in &report.metrics {
            prop_assert!(metric.value.is_none_or(f64::is_finite), "{}", metric.name);
            prop_assert_eq!(metric.value.is_none(), metric.outcome == MetricOutcome::NotEvaluable);
        }
        let faithful = report.verdict == ShapeVerdict::Faithful;
        prop_assert_eq!(faithful, failures(&report).is_empty() && !requests.is_empty());
        prop_assert_eq!(report.worst_ratio <= 1.0, failures(&report).is_empty());
    }
}
