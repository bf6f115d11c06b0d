use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::Zipf;

use super::*;
use crate::shape::reads::Reads;

/// 100 reads a second, each of the key that `key` says.
fn filled(mut reads: Reads, count: u64, mut key: impl FnMut(u64) -> u64) -> Reads {
    let route: Arc<str> = Arc::from("GET /item/*");
    for number in 0..count {
        let at = Duration::from_millis(10 * number);
        reads.add_key(at, key(number), &route, Some(Duration::from_millis(5)));
    }
    reads
}

fn zipf() -> impl FnMut(u64) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let law = Zipf::new(5_000.0, 0.9).unwrap();
    move |_| as_index(random.sample::<f64, _>(law)) as u64
}

#[test]
fn first_reads_are_the_misses_of_an_unbounded_cache() {
    let reads = filled(Reads::default(), 6_000, |number| number % 1_000);
    let foreseen = forecast(&reads, &Assumed::default());
    let firsts: Vec<u64> = foreseen.bins.iter().map(|bin| bin.first).collect();
    assert_eq!(firsts, [[100; 10].as_slice(), &[0; 50]].concat());
    assert!(foreseen.bins.iter().all(|bin| bin.first == bin.cold && bin.warm == 0));
    assert!((foreseen.first_share - 1.0 / 6.0).abs() < 1e-12);
    assert_eq!((foreseen.sampled.to_bits(), foreseen.curve_spread), (1.0_f64.to_bits(), None));
    // In turn, all keys are needed to hit anything; by popularity alone 900 would do.
    assert_eq!(foreseen.nine_of_ten, NineOfTen { from_empty: None, when_warm: Some(900) });
    let filling: Vec<f64> = foreseen.filling.iter().map(|it| it.as_recorded).collect();
    for (found, expected) in filling.iter().zip([0.0, 0.0, 1.0, 1.0]) {
        assert!((found - expected).abs() < 1e-12, "{filling:?}");
    }
    assert!((foreseen.filling[3].by_popularity - (1.0 - (-6.0_f64).exp())).abs() < 1e-9);
}

#[test]
fn origin_reads_follow_from_misses_and_what_a_miss_costs() {
    let reads = filled(Reads::default(), 6_000, |number| number % 1_000);
    let assumed = Assumed { reads_per_miss: 3.0, capacity: Some(60.0), ..Assumed::default() };
    let foreseen = forecast(&reads, &assumed);
    assert!((foreseen.peak_cold - 300.0).abs() < 1e-9 && foreseen.peak_warm.abs() < 1e-9);
    assert!((foreseen.cold_reads - 3_000.0).abs() < 1e-9);
    assert!(foreseen.is_too_much() && (foreseen.seconds_above - 10.0).abs() < 1e-9);
    // A thousand misses of three reads each, 60 a second.
    assert!((foreseen.full_after().unwrap().as_secs_f64() - 50.0).abs() < 1e-6);
    let stretches = foreseen.stretches(8);
    assert!(stretches.len() <= 8);
    assert_eq!((stretches[0].at_ns, stretches[1].at_ns), (0, 1_000_000_000));
    assert!((stretches[0].cold - 300.0).abs() < 1e-9, "{stretches:?}");
    let last = stretches.last().unwrap();
    assert!(last.cold.abs() < 1e-9 && (last.reads - 100.0).abs() < 1e-9, "{stretches:?}");
}

/// Ten seconds of bins for a load of 100 minutes; the stretches still cover all of it.
#[test]
fn stretches_cover_all_bins() {
    for bins in [1, 2, 3, 7, 8, 9, 127, 128, 129, 600] {
        let bin = ForecastBin { reads: 10, first: 1, cold: 2, warm: 1 };
        let foreseen = Forecast {
            bin_ns: 1_000_000_000,
            reads_per_miss: 1.0,
            bins: vec![bin; bins],
            ..Forecast::default()
        };
        let stretches = foreseen.stretches(8);
        assert!(stretches.len() <= 8, "{bins}: {}", stretches.len());
        assert!(stretches.iter().all(|it| (it.reads - 10.0).abs() < 1e-9), "{bins}");
        let ends = stretches.iter().skip(1).map(|it| it.at_ns).chain([bins as u64 * 1_000_000_000]);
        assert!(stretches.iter().zip(ends).all(|(it, end)| it.at_ns < end), "{bins}");
    }
    assert!(Forecast::default().stretches(8).is_empty());
}

/// What does not fit is estimated, and near what would be exact.
#[test]
fn a_sample_forecasts_nearly_the_same() {
    let assumed = Assumed {
        cache_keys: Some(800),
        capacity: Some(40.0),
        miss_time: Some(Duration::from_secs(1)),
        ..Assumed::default()
    };
    let exact = forecast(&filled(Reads::default(), 60_000, zipf()), &assumed);
    let of_sample = filled(Reads::within(20_000, 5_000), 60_000, zipf());
    let sampled = forecast(&of_sample, &assumed);
    assert!(sampled.sampled < 0.6 && sampled.beyond > 0, "{}", sampled.sampled);
    assert_eq!((exact.reads, sampled.reads), (60_000, 60_000));
    let near = |a: f64, b: f64, share: f64| assert!((a / b - 1.0).abs() < share, "{a} for {b}");
    near(as_f64(sampled.keys), as_f64(exact.keys), 0.05);
    near(sampled.cold_reads, exact.cold_reads, 0.05);
    near(sampled.warm_reads, exact.warm_reads, 0.05);
    near(sampled.first_share, exact.first_share, 0.05);
    let sizes = |it: &Forecast| as_f64(it.nine_of_ten.when_warm.unwrap());
    near(sizes(&sampled), sizes(&exact), 0.1);
    for ((size, exact), (_, sampled)) in exact.curve.iter().zip(&sampled.curve).take(12) {
        assert!((exact - sampled).abs() < 0.01, "{size}: {sampled} for {exact}");
    }
    assert!(sampled.curve_spread.is_some_and(|spread| spread < 0.01));
    // Hot keys are counted whatever the sample leaves out.
    assert!(exact.stampede_keys > 1, "{}", exact.stampede_keys);
    assert_eq!(sampled.stampedes, exact.stampedes);
}

#[test]
fn what_cannot_be_forecast_is_no_panic() {
    let none = forecast(&Reads::default(), &Assumed::default());
    assert_eq!((none.reads, none.keys, none.bins.len(), none.curve.len()), (0, 0, 0, 0));
    assert_eq!((none.nine_of_ten, none.miss_seconds), (NineOfTen::default(), None));
    assert!(none.filling.is_empty() && none.full_after().is_none());

    let capacity = Assumed { capacity: Some(1.0), ..Assumed::default() };
    let one = forecast(&filled(Reads::default(), 1, |_| 7), &capacity);
    assert_eq!((one.reads, one.keys), (1, 1));
    assert_eq!(one.curve, [(1, 1.0)]);
    assert!((one.first_share - 1.0).abs() < 1e-12 && !one.is_too_much());

    let same = forecast(&filled(Reads::default(), 1_000, |_| 7), &capacity);
    assert_eq!(same.curve, [(1, 0.001)]);
    assert_eq!(same.nine_of_ten.from_empty, Some(1));
    assert!((same.cold_reads - 1.0).abs() < 1e-9);

    let different = forecast(&filled(Reads::default(), 1_000, |number| number), &capacity);
    assert!(different.curve.iter().all(|(_, ratio)| (ratio - 1.0).abs() < 1e-12));
    assert_eq!(different.nine_of_ten.from_empty, None);
    assert!((different.first_share - 1.0).abs() < 1e-12);
    // 100 reads a second, one of which the origin stands: the ramp never lets all of them in.
    assert!(different.ramp.iter().all(|step| step.reads_per_second < 1.0 + 1e-9));
    assert_eq!(different.full_after(), None);
    assert_eq!(different.told_full().unwrap(), "never everybody: 1 % at the end");
    // Nor of one second that is all there is, nor where the ramp is longer than the load.
    let assumed = Assumed { capacity: Some(10.0), ..Assumed::default() };
    for (count, keys) in [(90, 90), (6_000, 6_000), (3_000, 1_000)] {
        let of_load = forecast(&filled(Reads::default(), count, |number| number % keys), &assumed);
        assert!(of_load.is_too_much() && of_load.full_after().is_none(), "{:?}", of_load.ramp);
    }
    // The twin: long enough, a thousand misses at ten a second are over.
    let long = forecast(&filled(Reads::default(), 20_000, |number| number % 1_000), &assumed);
    assert!((long.full_after().unwrap().as_secs_f64() - 100.0).abs() < 1e-6, "{:?}", long.ramp);
}

#[test]
fn without_times_stampedes_are_not_known_and_with_one_that_is_said_they_are() {
    let mut reads = Reads::default();
    let route: Arc<str> = Arc::from("GET /");
    for number in 0..1_000 {
        reads.add_key(Duration::from_millis(number), 1, &route, None);
    }
    let unknown = forecast(&reads, &Assumed::default());
    assert_eq!((unknown.miss_seconds, unknown.stampede_keys), (None, 0));
    let miss_time = Some(Duration::from_millis(5));
    let known = forecast(&reads, &Assumed { miss_time, ..Assumed::default() });
    assert_eq!(known.stampede_keys, 1);
    // 1 000 reads a second for 5 ms, without the first.
    assert!((known.stampedes[0].expected - 5.0).abs() < 1e-9);
    assert_eq!(known.stampedes[0].key.len(), 8);
}

/// What a ramp asks of the origin when it is played: of a bin, the share of it that is let in, of
/// which as many miss as missed when it was recorded.
fn most_misses(foreseen: &Forecast) -> f64 {
    let share = |at: f64| {
        let passed = foreseen.ramp.partition_point(|step| step.at_seconds <= at + 1e-9);
        foreseen.ramp[passed - 1].share
    };
    let bins = (0_u64..).zip(&foreseen.bins);
    bins.map(|(at, bin)| share(as_f64(at)) * as_f64(bin.cold)).fold(0.0, f64::max)
}

/// A load whose rate rises from 10 to 190 a second, each read of another key.
#[test]
fn a_load_that_rises_is_let_in_by_its_busiest_moment() {
    let route: Arc<str> = Arc::from("GET /item/*");
    let rising = |keys: u64| {
        let mut reads = Reads::default();
        let mut number = 0;
        for second in 0..60_u64 {
            let rate = if second < 30 { 10 } else { 190 };
            for part in 0..rate {
                let at = Duration::from_millis(second * 1_000 + part * 1_000 / rate);
                reads.add_key(at, number % keys, &route, None);
                number += 1;
            }
        }
        let capacity = Some(100.0);
        forecast(&reads, &Assumed { capacity, ..Assumed::default() })
    };
    let new = rising(u64::MAX);
    assert!(most_misses(&new) <= 100.0 + 1e-6 && new.full_after().is_none(), "{:?}", new.ramp);
    // The twin: few keys, which the first second has read all.
    let few = rising(10);
    assert!(few.full_after().is_some_and(|full| full <= Duration::from_secs(2)), "{:?}", few.ramp);
}

/// New keys late in the load are held back then, however warm the cache was before.
#[test]
fn what_is_new_late_is_let_in_slowly_late() {
    let reads = filled(Reads::default(), 6_000, |number| if number < 3_000 { 1 } else { number });
    let foreseen = forecast(&reads, &Assumed { capacity: Some(10.0), ..Assumed::default() });
    assert!((foreseen.ramp[0].share - 1.0).abs() < 1e-9, "{:?}", foreseen.ramp);
    assert!(most_misses(&foreseen) <= 10.0 + 1e-6, "{:?}", foreseen.ramp);
    assert_eq!(foreseen.full_after(), None);
}

/// A long ramp is thinned, and still ends with everybody.
#[test]
fn a_ramp_of_many_steps_ends_where_it_ended() {
    let steps: Vec<RampStep> = (0..501_u32)
        .map(|at| RampStep {
            at_seconds: f64::from(at),
            share: f64::from(at + 1).min(501.0) / 501.0,
            reads_per_second: 1.0,
        })
        .collect();
    let thin = crate::shape::forecast::ramp::thinned(&steps);
    assert!(thin.len() <= 200);
    assert_eq!(thin.last(), steps.last());
    let share = |ramp: &[RampStep], at: f64| {
        ramp[ramp.partition_point(|step| step.at_seconds <= at) - 1].share
    };
    assert!((0..501_u32).map(f64::from).all(|at| share(&thin, at) <= share(&steps, at)));
}

#[test]
fn a_ramp_that_no_scenario_reads_is_told() {
    use crate::shape::forecast::ramp::unreadable;
    let step = |at_seconds, share| RampStep { at_seconds, share, reads_per_second: 1.0 };
    assert_eq!(unreadable(&[]), None);
    assert_eq!(unreadable(&[step(0.0, 1e-6), step(604_800.0, 1.0)]), None);
    assert!(unreadable(&[step(0.0, 0.5), step(604_801.0, 1.0)]).unwrap().contains("7 days"));
    assert!(unreadable(&[step(0.0, 4e-7)]).unwrap().contains("4.00e-7 of the users"));
}

/// What a program puts into Redis before it asks for it is there: no cold start reads it.
#[test]
fn keys_that_are_written_are_hits_from_then_on() {
    use crate::protocol::resp::command;
    use crate::shape::reads::cacheable::keys_read;
    let load = |writes: bool| {
        let (mut reads, route) = (Reads::default(), Arc::from("SET/GET"));
        let mut add = |at: u64, line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            for touched in keys_read(&command(&words)) {
                reads.add_key(Duration::from_millis(at), touched, &route, None);
            }
        };
        for number in 0..1_000_u64 {
            if writes {
                add(number * 10, &format!("SET user:{number} x"));
            }
            add(number * 10 + 1, &format!("GET user:{number}"));
        }
        reads
    };
    let assumed = Assumed { cache_keys: Some(10), ..Assumed::default() };
    let written = forecast(&load(true), &assumed);
    assert_eq!((written.reads, written.keys, written.writes), (1_000, 1_000, 1_000));
    assert!(written.cold_reads <= 0.0 && written.warm_reads <= 0.0, "{written:?}");
    assert!(written.first_share <= 0.0 && written.curve.iter().all(|(_, ratio)| *ratio <= 0.0));
    let read = forecast(&load(false), &assumed);
    assert_eq!((read.reads, read.writes), (1_000, 0));
    assert!((read.cold_reads - 1_000.0).abs() < 1e-9 && (read.first_share - 1.0).abs() < 1e-9);
    // A value is as old as its last write.
    let mut cache = Lru::new(None, Some(Duration::from_secs(10)));
    cache.fill(7, Duration::ZERO);
    cache.fill(7, Duration::from_secs(9));
    assert!(cache.touch(7, Duration::from_secs(18)));
    assert!(!cache.touch(7, Duration::from_secs(30)));
}
