//! Literal evidence: each fault fails by its own figures, its healthy twin passes, and too little
//! is unknown.

use super::*;
use crate::act::cold::forecast::{add, assumed};
use crate::act::cold::recovery::Recovery;
use crate::act::cold::warming::tests::simulated;
use crate::protocol::Protocol;
use crate::protocol::resp::command;
use crate::scenario::acts::cold::{CacheSize, ColdOptions};
use crate::shape::forecast::ramp::ramp_csv;
use crate::shape::forecast::{Forecast, forecast};
use crate::shape::reads::Reads;
use crate::summary::examples::arrival;

const BOUNDS: Bounds = Bounds { warmup_ns: 120_000_000_000, slo_ns: None, budget: 0.01 };

fn evidence(comparison: Comparison) -> Cold {
    Cold { bounds: BOUNDS, comparison: Some(comparison), ..Cold::default() }
}

fn start_of(evidence: &Cold) -> Finding {
    let found = judge(evidence);
    assert_eq!(found.iter().map(|each| each.check.as_str()).collect::<Vec<_>>(), [CHECK, FORECAST]);
    found[0].clone()
}

#[test]
fn no_evidence_is_unknown() {
    let nothing = judge(&Cold::default());
    assert!(!nothing.is_empty(), "what could not be measured is told");
    for finding in nothing {
        assert_eq!(finding.outcome, Outcome::Unknown, "{finding:?}");
    }
    let untried = Cold { untried: Some("not consented: x".to_owned()), ..Cold::default() };
    let found = start_of(&untried);
    assert_eq!(found.outcome, Outcome::Unknown);
    assert!(found.title.contains("not consented"));
    let found = start_of(&evidence(simulated(1, 8, 0.0, 1.0)));
    assert_eq!(found.outcome, Outcome::Unknown, "{found:?}");
    assert!(found.title.contains("at least 12"));
}

#[test]
fn a_start_that_takes_too_long_fails_and_a_short_one_passes() {
    let slow = start_of(&evidence(simulated(1, 300, 4.0, 40.0)));
    assert_eq!(slow.outcome, Outcome::Fail, "{slow:?}");
    assert!(slow.title.contains("where 2 min are allowed"), "{}", slow.title);
    assert!(!slow.advice.is_empty());
    let told = slow.evidence.join("\n");
    for figure in ["the median: warm-up", "p95: warm-up", "longer in all", "times as many"] {
        assert!(told.contains(figure), "{figure} is not in {told}");
    }
    let quick = start_of(&evidence(simulated(1, 300, 4.0, 10.0)));
    assert_eq!(quick.outcome, Outcome::Pass, "{quick:?}");
    assert!(quick.advice.is_empty() && quick.title.contains("as fast as a warm one after"));
    let flat = start_of(&evidence(simulated(1, 300, 0.0, 10.0)));
    assert_eq!(flat.outcome, Outcome::Pass, "{flat:?}");
    assert_eq!(flat.title, "cold and warm caches are equally fast");
}

#[test]
fn a_replay_that_is_too_short_knows_nothing_of_a_longer_limit() {
    let short = simulated(1, 60, 4.0, 60.0);
    let unknown = start_of(&evidence(short.clone()));
    assert_eq!(unknown.outcome, Outcome::Unknown, "{unknown:?}");
    assert!(unknown.advice.contains("longer than 2 min"));
    let bounds = Bounds { warmup_ns: 30_000_000_000, ..BOUNDS };
    let failed = start_of(&Cold { bounds, ..evidence(short) });
    assert_eq!(failed.outcome, Outcome::Fail, "{failed:?}");
    assert!(failed.title.starts_with("no steady state"));
}

#[test]
fn violations_fail_beyond_the_budget_only() {
    let with = |slow: u64| {
        let mut comparison = simulated(1, 100, 0.0, 1.0);
        for bin in comparison.bins.iter_mut().take(10) {
            bin.cold.slow = slow;
        }
        let bounds = Bounds { slo_ns: Some(50_000_000), ..BOUNDS };
        start_of(&Cold { bounds, ..evidence(comparison) })
    };
    assert_eq!(with(10).outcome, Outcome::Pass, "1 % is the budget");
    let failed = with(11);
    assert_eq!(failed.outcome, Outcome::Fail);
    assert!(failed.title.contains("1.1 % of the requests slower than 50 ms"), "{}", failed.title);
}

#[test]
fn an_origin_above_its_capacity_fails() {
    let with = |capacity: f64| {
        let forecast = Forecast { capacity: Some(capacity), ..Forecast::default() };
        start_of(&Cold { forecast: Some(forecast), ..evidence(simulated(1, 300, 4.0, 10.0)) })
    };
    assert_eq!(with(96.0).outcome, Outcome::Pass);
    let failed = with(50.0);
    assert_eq!(failed.outcome, Outcome::Fail, "{failed:?}");
    assert!(failed.title.contains("95 reads/s, above the 50 reads/s"), "{}", failed.title);
}

#[test]
fn a_stack_that_stays_slow_without_load_is_metastable() {
    let with = |factor: u64, recovery: Option<Recovery>| {
        let mut comparison = Comparison { recovery, ..simulated(1, 100, 0.0, 1.0) };
        for bin in &mut comparison.bins {
            bin.warm.p50_ns *= factor;
        }
        start_of(&evidence(comparison))
    };
    let watched = |has_recovered: bool| {
        let after_ns = Some(if has_recovered { 20_000_000 } else { 60_000_000 });
        let waited_ns = 120_000_000_000;
        Some(Recovery { before_ns: 20_000_000, after_ns, waited_ns, has_recovered })
    };
    for (factor, recovery, outcome, said) in [
        (3, watched(false), Outcome::Fail, "METASTABLE: 2 min after the load"),
        (1, watched(false), Outcome::Fail, "METASTABLE"),
        (3, watched(true), Outcome::Unknown, "recovered 2 min after the load"),
        (3, None, Outcome::Unknown, "was not watched"),
        (1, watched(true), Outcome::Pass, "equally fast"),
        (1, None, Outcome::Pass, "equally fast"),
    ] {
        let found = with(factor, recovery);
        assert_eq!(found.outcome, outcome, "{factor} {recovery:?}: {found:?}");
        assert!(found.title.contains(said), "{}", found.title);
    }
}

#[test]
fn cold_and_warm_that_are_both_slow_are_not_known_to_have_recovered() {
    let times = |trickle: u64| Comparison {
        trickle_p50_ns: Some(trickle),
        recorded_p50_ns: Some(1_000_000),
        ..simulated(1, 100, 0.0, 1.0)
    };
    let slow = start_of(&evidence(times(1_000_000)));
    assert_eq!(slow.outcome, Outcome::Unknown, "{slow:?}");
    let as_before = start_of(&evidence(times(18_000_000)));
    assert_eq!(as_before.outcome, Outcome::Pass, "staging is slower, but it was so before");
}

#[test]
fn a_replay_that_this_machine_spoiled_supports_nothing() {
    for (fault, outcome) in [
        (Some(Fault::Generator), Outcome::Unknown),
        (Some(Fault::Recording), Outcome::Unknown),
        (Some(Fault::Target), Outcome::Fail),
        (None, Outcome::Fail),
    ] {
        for is_cold in [true, false] {
            let mut comparison = simulated(1, 300, 4.0, 40.0);
            for bin in &mut comparison.bins {
                bin.cold.origin_reads = None;
            }
            let produced = Produced { statement: "it was late".to_owned(), fault };
            let shape =
                if is_cold { &mut comparison.cold_shape } else { &mut comparison.warm_shape };
            *shape = produced;
            assert_eq!(start_of(&evidence(comparison)).outcome, outcome, "{fault:?}");
        }
    }
}

/// A cold start of 40 s, by whose lateness this machine spoiled the replay.
fn spoiled(excess: f64, lateness_ns: u64) -> Comparison {
    let mut comparison = simulated(1, 300, excess, 40.0);
    comparison.cold_shape =
        Produced { statement: "it was late".to_owned(), fault: Some(Fault::Generator) };
    for bin in &mut comparison.bins {
        (bin.cold.lateness_ns, bin.warm.lateness_ns) = ([lateness_ns; 2], [lateness_ns; 2]);
    }
    comparison
}

#[test]
fn a_slow_start_is_found_on_a_late_machine_where_the_origin_was_read_as_often() {
    let bounds = Bounds { warmup_ns: 60_000_000_000, ..BOUNDS };
    let start = |comparison| start_of(&Cold { bounds, ..evidence(comparison) });
    // 20 ms, and 100 ms at first.
    let found = start(spoiled(4.0, 1_000_000));
    assert_eq!(found.outcome, Outcome::Fail, "{found:?}");
    assert!(found.title.contains("where 1 min are allowed"), "{}", found.title);
    // By 40 ms and by the target's own as much, everything may be explained after half a minute.
    let hidden = start(spoiled(4.0, 20_000_000));
    assert_eq!(hidden.outcome, Outcome::Unknown, "{hidden:?}");
    // The same times with no more reads are the machine's.
    let mut unread = spoiled(4.0, 1_000_000);
    for bin in &mut unread.bins {
        bin.cold.origin_reads = Some(2.0);
    }
    let unread = start(unread);
    assert_eq!(unread.outcome, Outcome::Unknown, "{unread:?}");
    assert!(unread.title.contains("did not have the recorded shape"), "{}", unread.title);
}

#[test]
fn noise_fails_no_healthy_stack_and_passes_none_either() {
    let late = |bin: usize| if bin.is_multiple_of(3) { 30_000_000_u64 } else { 200_000 };
    for seed in 0..40 {
        // Requests are late in the cold run only, and every third second by more than they take.
        let mut comparison = simulated(seed, 40, 0.0, 1.0);
        for (index, bin) in comparison.bins.iter_mut().enumerate() {
            bin.cold.lateness_ns = [late(index), 160_000_000];
            bin.cold.p50_ns += late(index);
            bin.cold.p95_ns += 4 * late(index);
        }
        let bounds = Bounds { warmup_ns: 4_000_000_000, ..BOUNDS };
        let found = start_of(&Cold { bounds, ..evidence(comparison.clone()) });
        assert_ne!(found.outcome, Outcome::Fail, "seed {seed}: {found:?}");
        for bin in &mut comparison.bins {
            bin.cold.lateness_ns = [30_000_000, 160_000_000];
            bin.cold.p50_ns += 30_000_000;
        }
        let found = start_of(&Cold { bounds, ..evidence(comparison) });
        assert_eq!(found.outcome, Outcome::Unknown, "seed {seed}: {found:?}");
        assert!(found.title.starts_with("noise hides"), "{}", found.title);
    }
}

/// 100 reads a second for `seconds`, each of another of `keys` keys in turn.
fn reads(seconds: u64, keys: u64) -> Reads {
    let mut reads = Reads::default();
    for index in 0..seconds * 100 {
        let mut arrival = arrival(index, Duration::from_millis(10 * index));
        let head = format!("GET /item/{} HTTP/1.1\r\nHost: h\r\n\r\n", index % keys);
        arrival.head = head.into();
        add(&mut reads, &arrival);
    }
    reads
}

fn forecast_of(reads: &Reads, options: &ColdOptions) -> Finding {
    let evidence = Cold { forecast: Some(forecast(reads, &assumed(options))), ..Cold::default() };
    judge(&evidence)[1].clone()
}

/// What is written to Redis is there when it is asked for, and that it is taken to be is told.
#[test]
fn writes_of_redis_fill_the_cache_and_that_is_told() {
    let load = |lines: &[&str]| {
        let mut reads = Reads::default();
        for (index, line) in (0..).zip(lines) {
            let mut arrival = arrival(index, Duration::from_millis(10 * index));
            arrival.protocol = Protocol::Redis;
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            arrival.body = command(&words).into();
            add(&mut reads, &arrival);
        }
        reads
    };
    let options = ColdOptions::default();
    let is_told = |reads: &Reads| {
        let found = forecast_of(reads, &options);
        found.evidence.iter().any(|line| line.contains("of Redis fill the cache"))
    };
    let written = load(&["SET a 1", "GET a", "GET b"]);
    let foreseen = forecast(&written, &assumed(&options));
    assert_eq!((foreseen.reads, foreseen.writes), (2, 1));
    assert!((foreseen.cold_reads - 1.0).abs() < 1e-9, "{foreseen:?}");
    assert!(is_told(&written), "{:?}", forecast_of(&written, &options));
    let read = load(&["GET a", "GET b"]);
    assert!((forecast(&read, &assumed(&options)).cold_reads - 2.0).abs() < 1e-9);
    assert!(!is_told(&read));
}

#[test]
fn a_forecast_above_the_capacity_fails_and_its_ramp_stays_below_it() {
    let reads = reads(60, 1_000);
    let options = ColdOptions { origin_capacity: Some(20.0), ..ColdOptions::default() };
    let foreseen = forecast(&reads, &assumed(&options));
    assert_eq!((foreseen.reads, foreseen.keys), (6_000, 1_000));
    assert!((foreseen.cold_reads - 1_000.0).abs() < 1e-9 && foreseen.warm_reads.abs() < 1e-9);
    assert!((foreseen.peak_cold - 100.0).abs() < 1e-9, "every read of the first second misses");
    assert!((foreseen.seconds_above - 10.0).abs() < 1e-9);
    // A thousand misses at 20 a second.
    let full = foreseen.full_after().unwrap();
    assert!((full.as_secs_f64() - 50.0).abs() < 1e-6, "{full:?}");
    assert!((foreseen.ramp[0].reads_per_second - 20.0).abs() < 1e-9);
    assert!((foreseen.ramp.last().unwrap().share - 1.0).abs() < 1e-9);
    let csv = ramp_csv(&foreseen.ramp);
    assert!(csv.starts_with("at_seconds,share_of_users,reads_per_second\n0.000,0.2"), "{csv}");

    let failed = forecast_of(&reads, &options);
    assert_eq!(failed.outcome, Outcome::Fail, "{failed:?}");
    assert!(failed.title.contains("100 reads/s of the origin at most"), "{}", failed.title);
    let passed = ColdOptions { origin_capacity: Some(100.0), ..ColdOptions::default() };
    assert_eq!(forecast_of(&reads, &passed).outcome, Outcome::Pass);
    assert_eq!(forecast_of(&reads, &ColdOptions::default()).outcome, Outcome::Unknown);
    assert_eq!(forecast_of(&Reads::default(), &passed).outcome, Outcome::Unknown);
}

#[test]
fn a_cache_that_is_too_small_misses_when_warm_as_well() {
    // In turn is the worst order for an LRU cache: with a key too few it never hits.
    let cache = CacheSize { keys: Some(99), ttl: None };
    let small = ColdOptions { cache, reads_per_miss: 2.0, ..ColdOptions::default() };
    let foreseen = forecast(&reads(30, 100), &assumed(&small));
    assert!((foreseen.cold_reads - 6_000.0).abs() < 1e-9);
    assert!((foreseen.warm_reads - 6_000.0).abs() < 1e-9);
    let curve: Vec<f64> = foreseen.curve.iter().map(|(_, ratio)| *ratio).collect();
    assert!((curve[0] - 1.0).abs() < 1e-9, "{curve:?}");
    assert!((curve.last().unwrap() - 100.0 / 3_000.0).abs() < 1e-9, "{curve:?}");
    let ttl = CacheSize { keys: None, ttl: Some(Duration::from_secs(10)) };
    let expiring = ColdOptions { cache: ttl, ..ColdOptions::default() };
    let foreseen = forecast(&reads(30, 100), &assumed(&expiring));
    assert!((foreseen.cold_reads - 300.0).abs() < 1e-9, "three lives of ten seconds");
}

#[test]
fn keys_that_are_asked_for_while_they_are_read_are_counted_with_their_route() {
    let with = |keys: u64, miss_ms: Option<u64>| {
        let miss_time = miss_ms.map(Duration::from_millis);
        let options = ColdOptions { miss_time, ..ColdOptions::default() };
        forecast(&reads(30, keys), &assumed(&options))
    };
    // 100 reads a second of one key: five come while a miss of 50 ms is read.
    let hot = with(1, Some(50));
    assert_eq!((hot.stampede_keys, hot.stampedes.len()), (1, 1));
    assert_eq!(hot.stampede_routes, [("GET /item/*".to_owned(), 1)]);
    assert!((hot.stampedes[0].expected - 5.0).abs() < 1e-9, "{:?}", hot.stampedes);
    assert_eq!(with(10, Some(50)).stampede_keys, 0, "half a read each");
    // Production took 2 ms.
    assert_eq!((with(1, None).stampede_keys, with(1, None).miss_seconds), (0, Some(0.002)));
    let told = |forecast: Forecast| {
        let evidence = Cold { forecast: Some(forecast), ..Cold::default() };
        judge(&evidence)[1].evidence.join("\n")
    };
    assert!(told(hot).contains("GET /item/* #"), "the worst is named");
    let unknown = Forecast { miss_seconds: None, ..with(1, None) };
    assert!(told(unknown).contains("no answer says how long it took"));
}
