use proptest::prelude::*;

use super::*;
use crate::stats::counts::as_f64;
use crate::units::rate::parse_per_second;

fn profile(stages: &[(u64, &str, &str)]) -> Profile {
    let stages: Vec<Stage> = stages
        .iter()
        .map(|&(ms, from, to)| Stage {
            length: Duration::from_millis(ms),
            from: parse_per_second(from).unwrap(),
            to: parse_per_second(to).unwrap(),
        })
        .collect();
    Profile::new(&stages).unwrap()
}

fn moments(profile: &Profile, positions: impl IntoIterator<Item = u64>) -> Vec<u128> {
    positions.into_iter().filter_map(|at| Some(profile.moment(at)?.as_nanos())).collect()
}

#[test]
fn a_constant_rate_is_spaced_evenly_to_the_nearest_nanosecond() {
    let three = profile(&[(10_000, "3", "3")]);
    assert_eq!(three.requests(), 30);
    assert_eq!(moments(&three, 0..4), [0, 333_333_333, 666_666_667, 1_000_000_000]);
    assert_eq!(moments(&three, [29, 30, 31]), [9_666_666_667], "30 are all");
    let minutes = profile(&[(3_600_000, "100/1m", "100/1m")]);
    assert_eq!(minutes.requests(), 6_000);
    assert_eq!(moments(&minutes, [1, 5_999, 6_000]), [600_000_000, 3_599_400_000_000]);
    let fraction = profile(&[(1_000, "2.5", "2.5")]);
    assert_eq!(moments(&fraction, 0..9), [0, 400_000_000, 800_000_000], "half of one is begun");
}

/// No error adds up: the last one of an hour stands where it should to the nanosecond.
#[test]
fn an_hour_is_exact() {
    for (rate, count, last) in [
        ("10000", 36_000_000, 3_599_999_900_000),
        ("7000", 25_200_000, 3_599_999_857_143),
        ("9999.7", 35_998_920, 3_599_999_899_997),
    ] {
        let hour = profile(&[(3_600_000, rate, rate)]);
        assert_eq!(hour.requests(), count, "{rate}");
        assert_eq!(moments(&hour, [count - 1, count]), [last], "{rate}");
    }
}

#[test]
fn a_ramp_is_the_square_root_that_it_is() {
    let up = profile(&[(10_000, "0", "100")]);
    assert_eq!(up.requests(), 500);
    // Of n requests, 5·t² are sent after t seconds.
    let expected = [0, 447_213_595, 632_455_532, 5_000_000_000, 9_989_994_995];
    assert_eq!(moments(&up, [0, 1, 2, 125, 499, 500]), expected);
    let down = profile(&[(10_000, "100", "0")]);
    assert_eq!(down.requests(), 500);
    let expected = [0, 10_005_005, 5_000_000_000, 9_552_786_405];
    assert_eq!(moments(&down, [0, 1, 375, 499]), expected);
}

#[test]
fn stages_follow_each_other_with_steps_and_pauses() {
    let spike = profile(&[(1_000, "10", "10"), (1_000, "50", "50"), (1_000, "10", "10")]);
    assert_eq!(spike.requests(), 70);
    let expected = [900_000_000, 1_000_000_000, 1_020_000_000, 1_980_000_000, 2_000_000_000];
    assert_eq!(moments(&spike, [9, 10, 11, 59, 60]), expected);
    let pause = profile(&[(1_000, "2", "2"), (5_000, "0", "0"), (1_000, "2", "2")]);
    assert_eq!(moments(&pause, 0..9), [0, 500_000_000, 6_000_000_000, 6_500_000_000]);
    let step = profile(&[(500, "1", "1"), (0, "1", "9"), (500, "9", "9")]);
    assert_eq!(step.requests(), 5, "half of one, and four and a half");
    assert_eq!(step.peak(), 9);
    assert_eq!(profile(&[(60_000, "0", "0")]).requests(), 0);
    assert_eq!(profile(&[]).requests(), 0);
}

#[test]
fn what_cannot_be_computed_exactly_is_refused() {
    let rate = |things, seconds| PerSecond { things, seconds };
    let day = Duration::from_hours(24);
    let refused = |from, to, length| Profile::new(&[Stage { length, from, to }]).is_err();
    assert!(!refused(rate(0, 1), rate(1_000_000, 1), day), "a million a second for a day");
    assert!(refused(rate(1, 1 << 27), rate(1, 3), day), "no common denominator");
    assert!(refused(rate(u64::MAX, 1), rate(1, 1), day));
    assert!(refused(rate(1, 1), rate(1, 1), Duration::MAX));
}

proptest! {
    /// Between any two moments there are as many requests as the area below the rate, within one;
    /// and moments never go back.
    #[test]
    fn counts_match_the_integral_within_one(
        stages in prop::collection::vec((0_u64..5_000, 0_u64..400, 0_u64..400), 1..5),
        window in (0_u64..20_000, 0_u64..20_000),
    ) {
        let rate = |things| PerSecond { things, seconds: 1 };
        let made: Vec<Stage> = stages.iter().map(|&(ms, from, to)| Stage {
            length: Duration::from_millis(ms), from: rate(from), to: rate(to),
        }).collect();
        let profile = Profile::new(&made).unwrap();
        let at: Vec<f64> = (0..profile.requests())
            .map(|position| profile.moment(position).unwrap().as_secs_f64())
            .collect();
        prop_assert!(at.is_sorted());
        prop_assert!(profile.moment(profile.requests()).is_none());
        let area = |until: f64| {
            let (mut start, mut sum) = (0.0, 0.0);
            for stage in &made {
                let length = stage.length.as_secs_f64();
                let within = (until - start).clamp(0.0, length);
                let [from, to] = [stage.from, stage.to].map(|rate| as_f64(rate.things));
                if length > 0.0 {
                    sum += from * within + (to - from) * within * within / length / 2.0;
                }
                start += length;
            }
            sum
        };
        let mut window = [window.0, window.1];
        window.sort_unstable();
        let [from, to] = window.map(|ms| as_f64(ms) / 1e3);
        let seen = at.iter().filter(|moment| (from..to).contains(moment)).count();
        let expected = area(to) - area(from);
        let off = (as_f64(seen as u64) - expected).abs();
        prop_assert!(off <= 1.0 + 1e-6, "{} of {}", seen, expected);
    }

    /// The guess only makes it faster.
    #[test]
    fn a_moment_is_the_nearest_one(
        ns in 1_u64..86_400_000_000_000, from in 0_u64..1_000_000, to in 0_u64..1_000_000,
        share in 0_u64..1_000_000,
    ) {
        prop_assume!(from != to);
        let (from, to) = (u128::from(from), u128::from(to));
        let segment = Segment { start_ns: 0, length_ns: ns, from, to, before: 0 };
        let units = segment.units() / 1_000_000 * u128::from(share);
        let moment = segment.moment(units);
        prop_assert!(segment.is_reached(moment, units));
        prop_assert!(moment == ns || !segment.is_reached(moment + 1, units));
    }
}
