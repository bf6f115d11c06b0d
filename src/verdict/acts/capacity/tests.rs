//! Verdicts on capacities that are made up.

use super::*;
use crate::act::capacity::seen::{Asked, Base, Trial};

const S: u64 = 1_000_000_000;

fn trial(load: f64, outcome: TrialOutcome, p99_ms: u64) -> Trial {
    let reason = match outcome {
        TrialOutcome::Held => String::new(),
        _ => "`latency p99 < 250ms`: 400 ms".to_owned(),
    };
    let rate = 500.0 * load;
    Trial {
        load,
        planned: load,
        driven_ns: 10 * S,
        sent_rate: rate,
        answered_rate: rate.min(1_200.0),
        latency_ns: Some([1_000_000, 2_000_000, p99_ms * 1_000_000, S]),
        outcome,
        reason,
        ..Trial::default()
    }
}

fn seen(ended: Ended, held: Option<f64>, failed: Option<f64>) -> Capacity {
    let mut trials = Vec::new();
    trials.extend(held.map(|load| trial(load, TrialOutcome::Held, 20)));
    trials.extend(failed.map(|load| trial(load, TrialOutcome::Failed, 400)));
    Capacity {
        asked: Asked {
            at_least: 1.0,
            trial_ns: 10 * S,
            resolution: 0.025,
            is_recorded: true,
            ..Asked::default()
        },
        base: Base { stretch_ns: [36 * S, 46 * S], requests: 5_000, rate: 500.0 },
        trials,
        ended: Some(ended),
        held,
        failed,
        is_confirmed: held.is_some(),
        ..Capacity::default()
    }
}

fn moved(metric: &str, limit: Option<f64>, held: f64, failed: f64) -> Moved {
    let (probe, metric) = ("mysql".to_owned(), metric.to_owned());
    let kind =
        if STILL.contains(&metric.as_str()) { SeriesKind::Counter } else { SeriesKind::Gauge };
    Moved { probe, metric, kind, limit, held, failed }
}

#[test]
fn the_answer_is_in_the_users_words() {
    let mut found = seen(Ended::Found, Some(2.4), Some(2.45));
    found.moved = vec![moved("Threads_connected", Some(151.0), 90.0, 149.0)];
    found.probes = 1;
    let said = judge(&found);
    assert_eq!(said.outcome, Outcome::Pass);
    let expected =
        "2.4 × the recorded peak (1\u{202f}200/s); then mysql Threads_connected (90 → 149 of 151)";
    assert_eq!(said.title, expected);
    let evidence = said.evidence.join("\n");
    assert!(evidence.contains("at 2.45 × `latency p99 < 250ms`: 400 ms"), "{evidence}");
    assert!(evidence.contains("500/s for 10 s") && evidence.contains("from 36 s on"), "{evidence}");
    assert!(said.advice.is_empty());
}

#[test]
fn what_is_held_below_the_recorded_peak_fails() {
    let said = judge(&seen(Ended::Found, Some(0.31), Some(0.317)));
    assert_eq!(said.outcome, Outcome::Fail);
    assert!(said.title.starts_with("only 0.31 × the recorded peak (155/s) is held"), "{said:?}");
    let said = judge(&seen(Ended::Lowest, None, Some(0.1)));
    assert_eq!(
        (said.outcome, said.title.as_str()),
        (Outcome::Fail, "not even 0.1 × the recorded peak is held")
    );
    // More is asked for than is held.
    let mut more = seen(Ended::Found, Some(2.4), Some(2.45));
    more.asked.at_least = 3.0;
    assert_eq!(judge(&more).outcome, Outcome::Fail);
    more.asked.at_least = 2.42;
    assert_eq!(judge(&more).outcome, Outcome::Unknown, "between the two");
}

#[test]
fn a_limit_that_was_not_met_is_told_as_at_least() {
    let said = judge(&seen(Ended::Max, Some(4.0), None));
    assert_eq!(said.outcome, Outcome::Pass);
    let expected = "at least 4 × the recorded peak (2\u{202f}000/s), not searched further: \
                    `max` of the act";
    assert_eq!(said.title, expected);
    let mut limited = seen(Ended::Max, Some(4.0), None);
    limited.asked.max_by = Some("`limits.max_rate` of 2000".to_owned());
    assert!(judge(&limited).title.ends_with("`limits.max_rate` of 2000"));
    limited.is_confirmed = false;
    assert_eq!(judge(&limited).outcome, Outcome::Unknown);
}

#[test]
fn what_the_generator_or_the_time_ended_is_not_known() {
    let said = judge(&seen(Ended::Generator, Some(2.0), None));
    assert_eq!(said.outcome, Outcome::Unknown);
    assert!(said.title.ends_with("the generator ended first"), "{}", said.title);
    assert!(said.advice.contains("machine of its own"));
    let said = judge(&seen(Ended::Generator, None, None));
    assert_eq!(said.outcome, Outcome::Unknown);
    let said = judge(&seen(Ended::Time, None, None));
    assert_eq!(said.outcome, Outcome::Unknown);
    for ended in [Ended::Stopped, Ended::Broken, Ended::Trials] {
        assert_eq!(judge(&seen(ended, Some(2.0), None)).outcome, Outcome::Unknown, "{ended:?}");
    }
    // What was bracketed stays so.
    let said = judge(&seen(Ended::Generator, Some(2.0), Some(4.0)));
    let expected = "2 × the recorded peak (1\u{202f}000/s) or more, and less than 4 ×: the \
                    generator ended first; ";
    assert!(said.title.starts_with(expected), "{}", said.title);
    assert_eq!(said.outcome, Outcome::Unknown);
    // What failed for sure stays so, however the search ended.
    assert_eq!(judge(&seen(Ended::Stopped, None, Some(1.0))).outcome, Outcome::Fail);
    let untried =
        Capacity { untried: Some("the window holds 3 s".to_owned()), ..Capacity::default() };
    let said = judge(&untried);
    assert_eq!(
        (said.outcome, said.title.as_str()),
        (Outcome::Unknown, "no load was tried: the window holds 3 s")
    );
    assert_eq!(judge(&Capacity::default()).outcome, Outcome::Unknown, "nothing is no pass");
}

/// A clause that a trial cannot answer is no fault of the generator.
#[test]
fn expectations_that_a_trial_cannot_answer_are_told_as_such() {
    let mut seen = seen(Ended::Unjudged, None, None);
    seen.trials = vec![Trial {
        reason: "not known: `errors < 1% with >= 9999 samples`: 500 samples".to_owned(),
        ..trial(1.0, TrialOutcome::Unjudged, 10)
    }];
    let said = judge(&seen);
    assert_eq!(said.outcome, Outcome::Unknown);
    assert!(said.title.starts_with("no load could be judged: what is expected"), "{}", said.title);
    let evidence = said.evidence.join("\n");
    assert!(evidence.contains("with >= 9999 samples`: 500 samples"), "{evidence}");
    assert!(evidence.contains("0 did not, 1 were no evidence"), "{evidence}");
    assert!(said.advice.contains("a longer `trial`"), "{}", said.advice);
}

#[test]
fn what_broke_first_is_a_limit_then_a_counter_then_what_rose() {
    let mut found = seen(Ended::Found, Some(2.4), Some(2.45));
    assert!(judge(&found).title.contains("no probe saw it"));
    found.probes = 1;
    found.moved = vec![moved("Threads_running", None, 4.0, 6.0)];
    assert!(judge(&found).title.contains("no probe saw anything near a limit"));
    found.moved.push(moved("Threads_cached", None, 4.0, 40.0));
    assert!(judge(&found).title.ends_with("then mysql Threads_cached (4 → 40)"));
    found.moved.push(moved("evicted_keys", None, 0.0, 12.5));
    assert!(judge(&found).title.ends_with("then mysql evicted_keys (0 → 12.5 a second)"));
    found.moved.push(moved("connected_clients", Some(100.0), 60.0, 85.0));
    assert!(judge(&found).title.ends_with("(60 → 85 of 100)"));
    let evidence = judge(&found).evidence.join("\n");
    assert!(evidence.contains("what else rose: mysql Threads_running (4 → 6), "), "{evidence}");
}

#[test]
fn noise_a_knee_and_a_law_are_told() {
    let mut found = seen(Ended::Found, Some(2.4), Some(2.45));
    found.noisy = 2;
    let loads = [0.5, 1.0, 1.5, 1.75, 2.0, 2.2, 2.4];
    found.trials = loads
        .iter()
        .map(|load| {
            let x = 500.0 * load / (1.0 + 0.05 * (load - 1.0) + 0.02 * load * (load - 1.0));
            let p99 = if *load < 2.2 { 10 } else { 200 };
            Trial { answered_rate: x, ..trial(*load, TrialOutcome::Held, p99) }
        })
        .collect();
    let evidence = judge(&found).evidence.join("\n");
    assert!(evidence.contains("noisy: the trials of 2 loads did not agree"), "{evidence}");
    assert!(evidence.contains("bends upwards from 2 × on"), "{evidence}");
    assert!(evidence.contains("contention 0.0500"), "{evidence}");
    assert!(evidence.contains("too far beyond the loads that were tried"), "{evidence}");
    found.trials.truncate(3);
    let evidence = judge(&found).evidence.join("\n");
    assert!(evidence.contains("no scalability law is fitted: fewer than 6"), "{evidence}");
}

#[test]
fn multiples_are_those_that_were_planned() {
    let mut found = seen(Ended::Found, Some(2.4), Some(2.45));
    for trial in &mut found.trials {
        trial.planned = if trial.load < 2.42 { 2.216 } else { 2.51 };
    }
    let said = judge(&found);
    assert!(said.title.starts_with("2.22 × the recorded peak"), "{}", said.title);
    let evidence = said.evidence.join("\n");
    assert!(evidence.contains("at 2.51 × `latency"), "{evidence}");
    assert!(evidence.contains("between 2.22 and 2.51 × nothing could be tried"), "{evidence}");
    found.asked.at_least = 2.3;
    assert_eq!(judge(&found).outcome, Outcome::Unknown, "asked for, but not planned");
}

/// The twins differ in whether the search went on to its end.
#[test]
fn loads_are_coarse_only_where_a_search_found_nothing_in_between() {
    for (ended, is_told) in [(Ended::Found, true), (Ended::Time, false), (Ended::Max, false)] {
        let said = judge(&seen(ended, Some(2.0), Some(4.0)));
        let told = said.evidence.iter().any(|each| each.contains("sessions are cloned whole"));
        assert_eq!(told, is_told, "{ended:?}: {said:?}");
    }
}

#[test]
fn a_target_that_broke_for_good_is_told_with_the_load_that_broke_it() {
    let mute =
        |load| Trial { answered: 0, unanswered: 9, ..trial(load, TrialOutcome::Failed, 3_000) };
    let mut found = seen(Ended::Gone, Some(2.0), Some(4.0));
    found.trials.pop();
    found.trials.extend([4.0, 4.0, 1.0, 1.0].map(mute));
    let said = judge(&found);
    assert_eq!(said.outcome, Outcome::Unknown);
    let expected = "2 × the recorded peak (1\u{202f}000/s) was held; at 4 × the target broke and \
                    did not come back; what broke first";
    assert!(said.title.starts_with(expected), "{}", said.title);
    assert!(said.advice.contains("did not come back"), "{}", said.advice);
    // It answered a part of the first, and nothing since.
    found.trials[1].answered = 1;
    found.trials[2].load = 2.83;
    let title = judge(&found).title;
    assert!(title.contains("did not come back: its last answers were at 4 ×; what"), "{title}");
    // The twin answers some of it.
    found.trials.iter_mut().for_each(|trial| trial.answered = 1);
    found.ended = Some(Ended::Found);
    assert!(!judge(&found).title.contains("did not come back"));
    // It never answered.
    let mut never = seen(Ended::Lowest, None, Some(0.1));
    never.trials = vec![mute(1.0), mute(0.1)];
    let title = judge(&never).title;
    assert_eq!(title, "the target answered nothing, not even at 0.1 × the recorded peak");
    never.trials[0].answered = 1;
    assert_eq!(judge(&never).title, "not even 0.1 × the recorded peak is held");
}

#[test]
fn a_p99_that_is_not_known_is_told_and_a_known_one_is_not() {
    for lost in [false, true] {
        let mut found = seen(Ended::Found, Some(2.4), Some(2.45));
        found.trials[1].at_least = [false, lost, lost, lost];
        let evidence = judge(&found).evidence.join("\n");
        assert_eq!(
            evidence.contains("at 1 load so many requests had no answer"),
            lost,
            "{evidence}"
        );
    }
}

/// What is asked for can be missed by how sessions are cloned, and by the resolution.
#[test]
fn what_is_just_missed_says_what_to_write_instead() {
    let mut found = seen(Ended::Max, Some(2.0), None);
    found.asked.at_least = 2.0;
    assert_eq!(judge(&found).outcome, Outcome::Pass);
    found.trials[0].planned = 1.98;
    let said = judge(&found);
    assert_eq!(said.outcome, Outcome::Unknown);
    assert!(said.advice.starts_with("Raise `max` of the act a little"), "{}", said.advice);
    found.asked.max_by = Some("`limits.max_rate` of 200".to_owned());
    assert!(judge(&found).advice.ends_with("the limit that it names."));
    let mut between = seen(Ended::Found, Some(2.4), Some(2.45));
    between.asked.at_least = 2.42;
    assert!(judge(&between).advice.contains("a finer `resolution`"));
}
