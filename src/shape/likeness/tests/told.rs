//! Metrics that are told beside those of the matrix, each with a twin.

use super::*;

/// A load whose requests are changed one by one.
pub(super) fn profile_with(requests: &[Request], change: impl Fn(usize, &mut Sight)) -> Profile {
    let mut sorted = requests.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut profiler, mut names) = (Profiler::default(), Names::default());
    for (number, request) in sorted.iter().enumerate() {
        let mut seen = sight(*request, &mut names);
        change(number, &mut seen);
        profiler.add(&seen);
    }
    profiler.finish(&names)
}

fn beside(reference: &Profile, other: &Profile, pairs: Pairs) -> Likeness {
    judge(side(reference), side(other), &STANDARD, pairs)
}

#[test]
fn popularity_is_told_by_its_exponent_and_by_the_most_popular() {
    let reference = profile(&PEAK);
    let same = beside(&reference, &profile(&law(2)), Pairs::Never);
    assert!(value(&same, "Zipf exponent difference").abs() < 0.05, "{same:?}");
    assert!(value(&same, "top-100 overlap") > 80.0, "{same:?}");
    // All resources as often.
    let even: Vec<Request> =
        (0_u64..).zip(PEAK.iter()).map(|(n, &(at, session, _))| (at, session, n % 300)).collect();
    let flat = beside(&reference, &profile(&even), Pairs::Never);
    assert!(value(&flat, "Zipf exponent difference") < -0.5, "{flat:?}");
    // The same popularity of other resources.
    let others: Vec<Request> =
        PEAK.iter().map(|&(at, session, key)| (at, session, key + 1_000)).collect();
    let others = beside(&reference, &profile(&others), Pairs::Never);
    assert!(value(&others, "top-100 overlap") <= 0.0);
    assert!(value(&others, "Zipf exponent difference").abs() < 1e-9);
    let few: Vec<Request> = PEAK.iter().map(|&(at, session, key)| (at, session, key % 7)).collect();
    let few = beside(&reference, &profile(&few), Pairs::Never);
    for name in ["Zipf exponent difference", "top-100 overlap"] {
        let metric = metric(&few, name);
        assert_eq!(metric.outcome, MetricOutcome::NotEvaluable);
        assert!(metric.note.contains("fewer than 20 resources"), "{metric:?}");
    }
}

#[test]
fn heavy_tails_of_sizes_are_told_by_their_index() {
    let pareto = |index: f64| {
        profile_with(&PEAK, move |number, seen| {
            let share = as_f64(spread(number as u64 + 1) >> 11) / as_f64(1 << 53);
            let size = 1_000.0 * (1.0 - share).powf(-1.0 / index);
            seen.request_bytes = crate::stats::counts::as_index(size) as u64;
        })
    };
    let (light, heavy) = (pareto(1.8), pareto(1.2));
    let name = "request tail index difference";
    let apart = beside(&light, &heavy, Pairs::Never);
    assert!((value(&apart, name) + 0.6).abs() < 0.1, "{:?}", metric(&apart, name));
    assert!(metric(&apart, name).note.starts_with("1.7"), "{:?}", metric(&apart, name));
    assert!(value(&beside(&light, &light, Pairs::Never), name).abs() < 1e-9);
    // All answers are of one size.
    let responses = metric(&apart, "response tail index difference");
    assert_eq!(responses.outcome, MetricOutcome::NotEvaluable);
}

/// Uploads of a few, larger than all of the reference, and too few for any quantile.
#[test]
fn rare_large_bodies_are_seen_without_pairs() {
    let uploads = |every: usize| {
        profile_with(&PEAK, move |number, seen| {
            if number % every == 0 {
                seen.request_bytes = 40_000_000;
            }
        })
    };
    let name = "sessions above the largest body";
    let (reference, often) = (profile(&PEAK), uploads(3_000));
    let likeness = beside(&reference, &often, Pairs::Never);
    assert_eq!(metric(&likeness, name).outcome, MetricOutcome::Fail, "{likeness:?}");
    let missing = beside(&often, &reference, Pairs::Never);
    assert_eq!(metric(&missing, name).outcome, MetricOutcome::Fail, "{missing:?}");
    // Once is chance, and another day of the same law has no more.
    let once = uploads(PEAK.len() - 1);
    for other in [&once, &profile(&law(2))] {
        let likeness = beside(&reference, other, Pairs::Never);
        assert_eq!(metric(&likeness, name).outcome, MetricOutcome::Pass, "{likeness:?}");
    }
    // A replay is judged by its largest body, of which one is enough.
    let replay = beside(&reference, &once, Pairs::IfReplay);
    assert_eq!(metric(&replay, name).outcome, MetricOutcome::Report);
    assert_eq!(metric(&replay, "request body ratio max").outcome, MetricOutcome::Fail);
}

#[test]
fn connections_that_were_guessed_are_no_evidence() {
    // Each request on a connection of its own.
    let (reference, many) =
        (profile(&PEAK), profile_with(&PEAK, |number, seen| seen.connection = number as u64));
    let judged = |knows_connections: bool| {
        let other = Side { knows_connections, ..side(&many) };
        judge(side(&reference), other, &STANDARD, Pairs::IfReplay)
    };
    let name = "connection opens WAPE 1 s";
    assert_eq!(metric(&judged(true), name).outcome, MetricOutcome::Fail);
    let guessed = judged(false);
    for name in [name, "requests per connection ratio p50", "idle gap ratio p50"] {
        let metric = metric(&guessed, name);
        assert_eq!(metric.outcome, MetricOutcome::NotEvaluable);
        assert!(metric.note.contains("does not say which requests shared"), "{metric:?}");
    }
    assert_eq!(guessed.verdict, Verdict::Faithful, "{}", guessed.statement);
    assert!(guessed.statement.contains("not evaluable: connection opens"));
}

#[test]
fn handshakes_and_waiting_for_answers_are_told() {
    let reference = profile(&PEAK);
    // Nobody waits for an answer of ten seconds.
    let slow = profile_with(&PEAK, |_, seen| seen.took_ns = Some(10_000_000_000));
    let other = Side { handshakes: [9, 1], ..side(&slow) };
    let own = Side { handshakes: [1, 1], ..side(&reference) };
    let likeness = judge(own, other, &STANDARD, Pairs::IfReplay);
    assert!((value(&likeness, "TLS resumption difference") + 40.0).abs() < 1e-9);
    assert!(value(&likeness, "dependency difference") < -20.0, "{likeness:?}");
    assert_eq!(likeness.verdict, Verdict::Faithful, "both are outcomes: {}", likeness.statement);
    let same = beside(&reference, &reference, Pairs::IfReplay);
    assert!(value(&same, "dependency difference").abs() < 1e-9);
    let tls = metric(&same, "TLS resumption difference");
    assert_eq!(tls.outcome, MetricOutcome::NotEvaluable);
    assert!(tls.note.contains("no handshake"), "{tls:?}");
    let unknown = profile_with(&PEAK, |_, seen| seen.took_ns = None);
    let unknown = beside(&unknown, &reference, Pairs::IfReplay);
    assert_eq!(metric(&unknown, "dependency difference").outcome, MetricOutcome::NotEvaluable);
    assert_eq!(metric(&unknown, "concurrency ratio mean").outcome, MetricOutcome::NotEvaluable);
}

/// More routes than are told apart, met in another order by each.
#[test]
fn the_same_routes_are_told_apart_in_both() {
    let name = |seen: &mut Sight, prefix: &str| {
        let route = format!("/{prefix}-{}", spread(seen.key) % 40_000);
        seen.class = Names::default().class("GET", &route);
    };
    let named = |requests: &[Request], prefix: &str| {
        let mut names = Names::default();
        for number in 0..40_000 {
            names.class("GET", &format!("/{prefix}-{number}"));
        }
        let mut profiler = Profiler::default();
        for (number, request) in requests.iter().enumerate() {
            let mut seen = sight(*request, &mut Names::default());
            // Half of the requests for one route, the others for many.
            if number % 2 == 0 {
                seen.key = number as u64;
            }
            name(&mut seen, prefix);
            seen.at_ns = number as u64 * 2_000_000;
            profiler.add(&seen);
        }
        profiler.finish(&names)
    };
    let (reference, other) = (named(&PEAK, "a"), named(&PEAK, "b"));
    let same = beside(&reference, &reference, Pairs::Never);
    assert!(value(&same, "mix TVD") <= 0.0);
    assert!(same.limits.iter().any(|text| text.contains("count as one")), "{:?}", same.limits);
    let other = beside(&reference, &other, Pairs::Never);
    assert_eq!(metric(&other, "mix TVD").outcome, MetricOutcome::Fail);
    assert!(value(&other, "mix Cramér's V") > 0.3, "{other:?}");
}

/// Bursts of a second are gone while those of a hundredth are as they were: the words are of the
/// scale that failed.
#[test]
fn what_is_said_of_bursts_is_of_a_scale_that_failed() {
    // Ten requests at once, every second or, in pairs of seconds, twenty in the first.
    let load = |calm: bool| -> Vec<Request> {
        let seconds = (0_u64..300).filter(|second| calm || second % 2 == 0);
        let pages = seconds.flat_map(|second| {
            let pages = if calm { 1..2 } else { 0..2 };
            pages.map(move |page| as_f64(second) + 0.305 + 0.2 * as_f64(page))
        });
        pages
            .enumerate()
            .flat_map(|(page, at)| {
                (0..10_u64).map(move |place| (at, page as u64, (page as u64 + place) % 23))
            })
            .collect()
    };
    let likeness = beside(&profile(&load(false)), &profile(&load(true)), Pairs::Never);
    let failed = failed(&likeness);
    assert!(failed.contains(&"IDC ratio 1 s"), "{failed:?}");
    let told = likeness.differences.iter().find(|text| text.contains("dispersion")).unwrap();
    let mut scales = failed.iter().filter_map(|name| name.strip_prefix("IDC ratio "));
    let is_told = scales.any(|scale| told.contains(&format!("counts in {scale} is")));
    assert!(is_told, "{told} {failed:?}");
    assert!(!told.contains("counts in 10 ms"), "{told}");
}

/// A tool that sends as fast as it can: its windows are too unlike to speak of bursts.
#[test]
fn another_pace_is_told_as_one_and_one_resource_as_one() {
    let hurried: Vec<Request> =
        PEAK.iter().map(|&(at, session, _)| (at / 20.0, session % 10, 0)).collect();
    let likeness = beside(&profile(&PEAK), &profile(&hurried), Pairs::Never);
    says(&likeness, "it took 0.05 × the time");
    says(&likeness, "requests a second in the mean, ");
    says(&likeness, "one resource is asked for, some ");
    let told = &likeness.differences;
    assert!(!told.iter().any(|text| text.contains("bunches")), "{told:#?}");
    let bunched = beside(&profile(&PEAK), &profile(&moved(f64::floor)), Pairs::Never);
    says(&bunched, "bunches");
}

/// A Poisson process of a rate below 200 a second.
fn poisson(seed: u64, seconds: f64, rate: impl Fn(f64) -> f64) -> Vec<Request> {
    let (mut random, mut at, mut all) = (ChaCha8Rng::seed_from_u64(seed), 0.0, Vec::new());
    loop {
        at -= (1.0 - random.random::<f64>()).ln() / 200.0;
        if at >= seconds {
            return all;
        }
        if random.random::<f64>() * 200.0 < rate(at) {
            let number = all.len() as u64;
            all.push((at, number, number % 300));
        }
    }
}

/// A rate that steps makes two samples of it no replay of seconds; the counts of one, spaced
/// evenly, are. Of a few requests a minute nothing is.
#[test]
fn samples_of_one_curve_are_told_from_the_same_seconds() {
    let way = |one: &[Request], other: &[Request]| floors(&profile(one), &profile(other), None).1;
    let steps = |at: f64| if at < 20.0 { 50.0 } else { 150.0 };
    let [one, other] = [1, 2].map(|seed| poisson(seed, 60.0, steps));
    assert_eq!(way(&one, &other), "as samples of a load");
    let mut even: Vec<Request> = Vec::new();
    for second in 0..60_u32 {
        let from = f64::from(second) + one[0].0;
        let within = one.iter().filter(|(at, ..)| (from..from + 1.0).contains(at)).count();
        even.extend((0..within).map(|nth| {
            (from + as_f64(nth as u64) / as_f64(within as u64), nth as u64, nth as u64 % 300)
        }));
    }
    assert_eq!(way(&one, &even), "second by second");
    let [one, other] = [3, 4].map(|seed| poisson(seed, 20_000.0, |_| 0.03));
    assert_eq!(way(&one, &other), "as samples of a load");
}

/// Bodies of 11 and 12 bytes: whether the quantile is one or the other is chance, and exactly as
/// far as chance goes; much larger ones are not.
#[test]
fn sizes_a_byte_apart_are_not_failed_by_a_rounded_floor() {
    let bodies = |larger: usize, bytes: u64| {
        profile_with(&PEAK, move |number, seen| {
            seen.request_bytes = if number % 2_000 < larger { bytes } else { 11 };
        })
    };
    let name = "request body ratio p99";
    let reference = bodies(21, 12);
    let beside_chance = beside(&reference, &bodies(19, 12), Pairs::Never);
    let told = metric(&beside_chance, name);
    assert!((value(&beside_chance, name) - 12.0 / 13.0).abs() < 1e-9, "{told:?}");
    assert_eq!(told.outcome, MetricOutcome::Pass, "{told:?}");
    let beside_others = beside(&reference, &bodies(40, 30), Pairs::Never);
    assert_eq!(metric(&beside_others, name).outcome, MetricOutcome::Fail);
}
