mod aside;
mod baselines;

use super::*;
use crate::sample::{Fate, Sample, Unsent};
use crate::summary::examples::{answered, arrival, failed};

/// 100 arrivals answered after 1 to 100 ms, the first `lost` of them refused instead.
fn summary(lost: u64) -> Summary {
    let mut summary = Summary::new();
    for index in 0..100 {
        let arrival = arrival(index, Duration::from_millis(index * 10));
        let service = Duration::from_millis(index + 1);
        let sample = if index < lost {
            failed(&arrival, Fate::Refused)
        } else {
            answered(&arrival, service)
        };
        summary.add(&arrival, &sample);
    }
    summary
}

fn checked(line: &str, summary: &Summary) -> CheckedExpectation {
    let length = Duration::from_secs(summary.seconds.len() as u64);
    let seen = Seen { summary, length, is_recorded: true, baseline: None };
    check(&Expectation::parse(line).unwrap(), &seen)
}

fn outcome(line: &str, summary: &Summary) -> Outcome {
    checked(line, summary).outcome
}

#[test]
fn each_metric_is_held_against_its_bound() {
    let summary = summary(0);
    for (line, expected) in [
        ("latency p50 < 60ms", Outcome::Pass),
        ("latency p50 < 40ms", Outcome::Fail),
        ("latency max > 99ms", Outcome::Pass),
        ("service mean <= 51ms", Outcome::Pass),
        ("service mean >= 52ms", Outcome::Fail),
        ("lateness p99 < 1ms", Outcome::Pass),
        ("connection-wait p99 < 10us", Outcome::Fail),
        ("errors < 0.1%", Outcome::Pass),
        ("completeness >= 100%", Outcome::Pass),
        ("completeness > 100%", Outcome::Fail),
        ("status-changes < 1%", Outcome::Pass),
    ] {
        assert_eq!(outcome(line, &summary), expected, "{line}");
    }
}

#[test]
fn a_percentile_among_the_unanswered_is_no_pass() {
    let summary = summary(3);
    assert_eq!(outcome("latency p97 < 1s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p98 < 1s", &summary), Outcome::Fail);
    assert_eq!(outcome("latency max < 1s", &summary), Outcome::Fail);
    assert_eq!(outcome("errors < 3%", &summary), Outcome::Fail);
    let checked = checked("latency p99 < 1s", &summary);
    assert_eq!(checked.actual, "no end: 3 % of the requests had none");
}

#[test]
fn no_data_is_unknown() {
    let empty = Summary::new();
    let mut unsent = Summary::new();
    let arrival = arrival(0, Duration::ZERO);
    let fate = Fate::Unsent { reason: Unsent::LocalResources };
    unsent.add(&arrival, &failed(&arrival, fate));
    for line in [
        "latency p99 < 250ms",
        "service p99 < 250ms",
        "connection-wait max < 1s",
        "errors < 1%",
        "status-changes < 1%",
    ] {
        assert_eq!(outcome(line, &empty), Outcome::Unknown, "{line}");
        assert_eq!(outcome(line, &unsent), Outcome::Unknown, "{line}");
    }
    assert_eq!(outcome("lateness p99 < 1ms", &empty), Outcome::Unknown);
    assert_eq!(outcome("completeness >= 99%", &empty), Outcome::Unknown);
    assert_eq!(outcome("completeness >= 99%", &unsent), Outcome::Fail);
}

#[test]
fn values_are_formatted_with_their_unit() {
    let checked = checked("latency p50 < 60ms", &summary(0));
    assert_eq!(checked.actual, "50.1 ms");
    assert_eq!(checked.text, "latency p50 < 60ms");
}

/// Ten requests a second for a minute, answered after 10 ms; those of the seconds from 30 to 34
/// after 500 ms, and those of the first ten seconds after 50 ms. Production took 20 ms.
fn minute(change: impl Fn(u64, &mut crate::plan::Arrival, &mut Sample)) -> Summary {
    let mut summary = Summary::new();
    for index in 0..600 {
        let second = index / 10;
        let mut arrival = arrival(index, Duration::from_millis(index * 100));
        arrival.recorded.latency = Some(Duration::from_millis(20));
        let service = match second {
            0..10 => 50,
            30..35 => 500,
            _ => 10,
        };
        let mut sample = answered(&arrival, Duration::from_millis(service));
        change(second, &mut arrival, &mut sample);
        summary.add(&arrival, &sample);
    }
    summary
}

#[test]
fn each_stretch_must_hold_and_the_worst_is_told() {
    let summary = minute(|_, _, _| ());
    assert_eq!(outcome("latency p50 < 100ms", &summary), Outcome::Pass);
    let worst = checked("latency p50 < 100ms over 5s", &summary);
    assert_eq!(
        (worst.outcome, worst.actual.as_str()),
        (Outcome::Fail, "501 ms (worst 5 s, from 28 s on)")
    );
    assert_eq!(outcome("latency p50 < 100ms over 20s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p50 > 9ms over 1s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p50 > 11ms over 1s", &summary), Outcome::Fail);
    let short = checked("latency p50 < 1s over 2m", &summary);
    assert_eq!(
        (short.outcome, short.actual.as_str()),
        (Outcome::Unknown, "only 1 min of 2 min were seen")
    );
    assert_eq!(outcome("latency p50 < 1s over 1m", &summary), Outcome::Pass);
}

#[test]
fn errors_of_a_stretch_are_shares_of_what_was_sent_in_it() {
    let summary = minute(|second, _, sample| {
        sample.done = None;
        sample.fate = match second {
            20 => Fate::Refused,
            // Nine of ten never left: the tenth is all there was.
            _ => Fate::Unsent { reason: Unsent::LocalResources },
        };
    });
    assert_eq!(outcome("errors < 60% over 1s", &summary), Outcome::Fail);
    assert_eq!(outcome("errors >= 100% over 10s", &summary), Outcome::Pass, "of those sent");
    let none = minute(|_, _, sample| {
        sample.fate = Fate::Unsent { reason: Unsent::LocalResources };
    });
    assert_eq!(outcome("errors < 60% over 10s", &none), Outcome::Unknown);
}

#[test]
fn what_comes_before_does_not_count() {
    let summary = minute(|_, _, _| ());
    assert_eq!(outcome("latency p90 < 40ms after 35s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p90 < 40ms after 30s", &summary), Outcome::Fail);
    assert_eq!(outcome("latency p90 < 40ms after 60s", &summary), Outcome::Unknown);
    assert_eq!(outcome("latency p90 < 40ms over 5s after 35s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p90 < 40ms over 26s after 35s", &summary), Outcome::Unknown);
}

/// A second in which nothing was due is in no sum, and takes none of it away.
#[test]
fn an_idle_second_before_it_takes_nothing_away() {
    let rows = |slow: u64| {
        let mut summary = Summary::new();
        for index in 0..30 {
            let arrival = arrival(index, Duration::from_secs(index * 2));
            let took = if index == slow { 1_500 } else { 10 };
            summary.add(&arrival, &answered(&arrival, Duration::from_millis(took)));
        }
        summary
    };
    assert!(rows(0).seconds[19].latency.is_empty());
    assert_eq!(outcome("latency max < 1s after 20s", &rows(12)), Outcome::Fail);
    assert_eq!(outcome("latency max < 1s over 5s after 20s", &rows(12)), Outcome::Fail);
    assert_eq!(outcome("latency max < 1s after 20s", &rows(9)), Outcome::Pass);
}

/// Requests of some seconds end without an answer.
fn unanswered(seconds: std::ops::Range<u64>) -> Summary {
    minute(|second, _, sample| {
        if seconds.contains(&second) {
            sample.done = None;
            sample.fate = Fate::ClosedEarly { after_bytes: 0 };
        }
    })
}

#[test]
fn a_stretch_without_any_answer_was_not_fast() {
    let (whole, none) = (unanswered(10..20), unanswered(0..60));
    for line in [
        "latency p50 < 1s over 1s",
        "latency mean < 1s over 1s",
        "throughput > 1/s over 1s with >= 10 samples",
    ] {
        assert_eq!(outcome(line, &whole), Outcome::Fail, "{line}");
        assert_eq!(outcome(line, &minute(|_, _, _| ())), Outcome::Pass, "{line}");
    }
    let worst = checked("latency p50 < 1s over 1s", &whole);
    assert_eq!(worst.actual, "no end: 100 % of the requests had none (worst 1 s, from 10 s on)");
    for line in ["latency p99 < 1s", "latency mean < 1s", "service max < 1s"] {
        assert_eq!(outcome(line, &none), Outcome::Fail, "{line}");
    }
}

/// Of 600 requests, 50 took half a second, and 27 had no answer: p88 is among the slow ones of all,
/// though not among those of the answered.
#[test]
fn percentiles_are_ranks_among_all_requests() {
    let lost = |second: u64| second >= 50 && second.is_multiple_of(3);
    let some = minute(|second, arrival, sample| {
        let took = if (30..35).contains(&second) { 500 } else { 10 };
        *sample = answered(arrival, Duration::from_millis(took));
        if lost(second) && arrival.index % 10 != 0 {
            sample.done = None;
            sample.fate = Fate::ClosedEarly { after_bytes: 0 };
        }
    });
    assert_eq!(some.latency.len(), 573);
    assert_eq!(outcome("latency p87 < 100ms", &some), Outcome::Pass);
    assert_eq!(outcome("latency p88 < 100ms", &some), Outcome::Fail);
    assert_eq!(checked("latency p88 < 100ms", &some).actual, "500 ms");
    assert_eq!(outcome("latency p95 < 1s", &some), Outcome::Pass);
    assert_eq!(outcome("latency p96 < 1s", &some), Outcome::Fail);
    // A mean with something endless in it has no end; that of the others says nothing of it.
    assert_eq!(outcome("latency mean < 1s", &some), Outcome::Fail);
    assert_eq!(outcome("latency mean < 1s", &minute(|_, _, _| ())), Outcome::Pass);
}

#[test]
fn a_warm_up_is_found_or_nothing_is_claimed() {
    let warm = |last: u64| {
        minute(move |second, arrival, sample| {
            let service = if second < last { 100 } else { 10 };
            *sample = answered(arrival, Duration::from_millis(service));
        })
    };
    let checked = checked("latency p99 < 20ms after warmup", &warm(12));
    assert_eq!(
        (checked.outcome, checked.actual.as_str()),
        (Outcome::Pass, "10.1 ms (warm after 12 s)")
    );
    assert_eq!(outcome("latency p99 < 20ms", &warm(12)), Outcome::Fail);
    assert_eq!(outcome("latency p99 < 5ms after warmup", &warm(12)), Outcome::Fail);
    assert_eq!(outcome("latency p99 < 20ms after warmup", &warm(50)), Outcome::Unknown);
    assert_eq!(outcome("latency p99 < 1s after warmup", &self::summary(0)), Outcome::Unknown);
}

#[test]
fn only_the_routes_that_fit_count_and_one_that_nobody_asked_for_is_a_mistake() {
    let summary = minute(|second, arrival, sample| {
        let route = if second % 2 == 0 { "GET /cart/{}" } else { "POST /cart/{}/pay" };
        arrival.route = route.into();
        if second == 1 {
            sample.fate = Fate::Refused;
        }
    });
    assert_eq!(outcome("errors < 1% for route GET *", &summary), Outcome::Pass);
    assert_eq!(outcome("errors < 1% for route /cart/*", &summary), Outcome::Fail);
    assert_eq!(outcome("errors < 5% for route */pay", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p50 < 100ms for route /cart/* over 20s", &summary), Outcome::Pass);
    assert_eq!(outcome("latency p50 < 40ms for route /cart/{} over 10s", &summary), Outcome::Fail);
    let none = checked("errors < 1% for route /crat/*", &summary);
    assert_eq!(none.outcome, Outcome::Fail);
    assert_eq!(none.actual, "no request was sent to a route like /crat/*");
}

/// Beyond so many routes the others are one, and some of those may fit a pattern as well.
#[test]
fn routes_that_are_not_told_apart_may_fit_too() {
    let mut summary = minute(|_, arrival, _| {
        arrival.route = match arrival.index % 2 {
            0 => "GET /cart/{}".into(),
            _ => format!("GET /page/{}", arrival.index).into(),
        };
    });
    for (line, expected, after) in [
        ("errors < 1% for route /page/*", Outcome::Pass, Outcome::Unknown),
        ("errors > 1% for route /page/*", Outcome::Fail, Outcome::Fail),
        ("errors < 1% for route GET /cart/{}", Outcome::Pass, Outcome::Pass),
        ("latency p50 < 1s for route *", Outcome::Pass, Outcome::Pass),
        // Of parts of the run, fewer routes are kept.
        ("latency p50 < 1s for route /page/* over 10s", Outcome::Unknown, Outcome::Unknown),
        ("latency p50 < 1s for route GET /cart/{} over 10s", Outcome::Pass, Outcome::Pass),
    ] {
        assert_eq!(outcome(line, &summary), expected, "{line}");
        let mut others = summary.clone();
        let mut other = arrival(600, Duration::from_secs(1));
        other.route = crate::shape::OTHER_ROUTES.into();
        others.add(&other, &answered(&other, Duration::from_millis(1)));
        assert_eq!(outcome(line, &others), after, "{line}, with others");
    }
    summary.add_unread(1);
    let told = checked("errors < 1% for route /page/*", &summary);
    assert!(told.actual.ends_with("some of the others may fit, too"), "{}", told.actual);
}

#[test]
fn patterns_fit_whole_routes() {
    for (pattern, route, expected) in [
        ("/cart/*", "GET /cart/{}", true),
        ("GET /cart/*", "GET /cart/{}", true),
        ("POST /cart/*", "GET /cart/{}", false),
        ("/cart", "GET /cart/{}", false),
        ("*cart*", "GET /a/cart/{}", true),
        ("*", "GET /", true),
        ("/a*b*c", "GET /abxbc", true),
        ("/a*b*c", "GET /abxbcd", false),
        ("/ab*ba", "GET /aba", false),
        ("GET", "GET", true),
        ("", "GET /", false),
    ] {
        assert_eq!(stretches::fits(pattern, route), expected, "{pattern} {route}");
    }
}

#[test]
fn it_is_held_against_what_was_recorded() {
    let summary = minute(|_, _, _| ());
    let checked_p50 = checked("latency p50 < recorded", &summary);
    assert_eq!(
        (checked_p50.outcome, checked_p50.actual.as_str()),
        (Outcome::Pass, "10.1 ms; recorded 20 ms")
    );
    assert_eq!(outcome("latency p99 < 1.10x recorded", &summary), Outcome::Fail);
    assert_eq!(outcome("latency p99 < 30x recorded", &summary), Outcome::Pass);
    let seen = Seen {
        summary: &summary,
        length: Duration::from_mins(1),
        is_recorded: false,
        baseline: None,
    };
    let made_up = check(&Expectation::parse("latency p50 < recorded").unwrap(), &seen);
    assert_eq!(made_up.outcome, Outcome::Unknown);
    let untimed = minute(|_, arrival, _| arrival.recorded.latency = None);
    assert_eq!(outcome("latency p50 < recorded", &untimed), Outcome::Unknown);
}

#[test]
fn too_much_load_is_wrong_as_too_little_is() {
    let summary = minute(|_, _, _| ());
    assert_eq!(outcome("rate within 1% of recorded", &summary), Outcome::Pass);
    assert_eq!(outcome("rate within 5% of 10/s over 10s", &summary), Outcome::Pass);
    assert_eq!(outcome("rate within 5% of 9/s", &summary), Outcome::Fail);
    assert_eq!(outcome("rate within 5% of 11/s", &summary), Outcome::Fail);
    assert_eq!(outcome("rate >= 10/s", &summary), Outcome::Pass);
    let half = minute(|second, _, sample| {
        if second >= 30 {
            sample.sent = None;
            sample.done = None;
            sample.fate = Fate::Refused;
        }
    });
    assert_eq!(outcome("throughput within 5% of recorded", &half), Outcome::Fail);
    let worst = checked("rate within 5% of recorded over 5s", &half);
    assert_eq!(worst.actual, "0/s; recorded 10/s (worst 5 s, from 30 s on)");
    assert_eq!(outcome("rate > 4/s", &half), Outcome::Pass);
    assert_eq!(outcome("rate > 1/s", &Summary::new()), Outcome::Unknown);
}

#[test]
fn few_samples_say_nothing() {
    let summary = minute(|_, _, _| ());
    assert_eq!(outcome("errors < 1% with >= 600 samples", &summary), Outcome::Pass);
    let few = checked("errors < 1% with >= 601 samples", &summary);
    assert_eq!((few.outcome, few.actual.as_str()), (Outcome::Unknown, "only 600 of 601 samples"));
    assert_eq!(outcome("errors < 1% over 10s with >= 100 samples", &summary), Outcome::Pass);
    assert_eq!(outcome("errors < 1% over 10s with >= 101 samples", &summary), Outcome::Unknown);
    assert_eq!(outcome("latency p99 < 1ns with >= 601 samples", &summary), Outcome::Unknown);
}

/// Sliding by taking seconds out and in comes to the same as adding up each stretch.
#[test]
fn sliding_is_adding_up() {
    let summary = minute(|second, arrival, sample| {
        *sample = answered(arrival, Duration::from_millis(1 + second * second % 97));
    });
    let expectation = Expectation::parse("latency p99 < 1s over 7s").unwrap();
    let seen = Seen {
        summary: &summary,
        length: Duration::from_mins(1),
        is_recorded: true,
        baseline: None,
    };
    let mut stretches = Stretches::of(&expectation, &seen).unwrap();
    let mut count = 0_usize;
    while let Some(stretch) = stretches.next() {
        let mut latency = crate::stats::histograms::coarse_times();
        for second in &summary.seconds[count..count + 7] {
            crate::stats::histograms::merge(&mut latency, &second.latency);
        }
        assert_eq!((stretch.requests, &stretch.latency), (70, &latency));
        assert_eq!(stretch.from, Duration::from_secs(count as u64));
        count += 1;
    }
    assert_eq!(count, 54);
}
