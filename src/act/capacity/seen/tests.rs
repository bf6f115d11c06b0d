//! Curves of trials that are made up.

use super::*;

const MS: u64 = 1_000_000;

/// A trial of ten seconds; with a `lost` share, its percentiles beyond the others are not known.
fn trial(load: f64, p99_ms: u64, lost: bool) -> Trial {
    Trial {
        load,
        planned: load,
        driven_ns: 10_000 * MS,
        sent_rate: 100.0 * load,
        answered_rate: 100.0 * load,
        latency_ns: Some([MS, 2 * MS, p99_ms * MS, p99_ms * MS]),
        at_least: [false, lost, lost, lost],
        answered: 9,
        outcome: if lost { Outcome::Failed } else { Outcome::Held },
        ..Trial::default()
    }
}

fn capacity(trials: Vec<Trial>) -> Capacity {
    Capacity { trials, ..Capacity::default() }
}

/// It gave up waiting after 30 ms: what is known of its p99 is no faster than the others.
#[test]
fn most_of_the_trials_of_a_load_decide_what_is_known_of_it() {
    let of = |trials: [(u64, bool); 3]| {
        let trials = trials.map(|(p99_ms, lost)| trial(1.0, p99_ms, lost));
        let point = capacity(trials.to_vec()).curve()[0];
        (point.latency_ns[1] / MS, point.at_least)
    };
    assert_eq!(of([(10, false), (30, true), (40, false)]), (40, [false; 2]));
    assert_eq!(of([(10, false), (30, true), (20, true)]), (20, [false, true]));
    assert_eq!(of([(10, false), (30, false), (20, false)]), (20, [false; 2]), "all are known");
}

/// The twins differ in whether what the last load took is known.
#[test]
fn the_knee_is_none_of_where_trials_gave_up_waiting() {
    let knee = |lost: bool| {
        let loads = [(1.0, 10), (1.5, 15), (2.0, 20), (2.2, 22), (2.4, 3_000)];
        let of = |(load, p99): (f64, u64)| trial(load, p99, lost && p99 > 1_000);
        capacity(loads.map(of).to_vec()).knee()
    };
    assert_eq!(knee(false), Some(2.2));
    assert_eq!(knee(true), None, "what is known rises evenly");
}

/// A load of which nothing came has no throughput: it would spoil the law of all others.
#[test]
fn a_load_without_answers_is_in_the_curve_but_in_no_law() {
    let law = |load: f64| 100.0 * load / (1.0 + 0.05 * (load - 1.0));
    let mut trials: Vec<Trial> = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .map(|load| Trial { answered_rate: law(load), ..trial(load, 10, false) })
        .to_vec();
    let alpha = capacity(trials.clone()).usl().unwrap().alpha;
    let mute = Trial { answered_rate: 0.0, answered: 0, unanswered: 9, ..trial(12.0, 10, true) };
    trials.extend([mute.clone(), mute]);
    let with = capacity(trials);
    let last = *with.curve().last().unwrap();
    assert!(last.is_mute && last.at_least[1], "{last:?}");
    let usl = with.usl().unwrap();
    assert!((usl.alpha - alpha).abs() < 1e-9 && (usl.measured - 10.0).abs() < 1e-9, "{usl:?}");
}
