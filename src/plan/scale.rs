//! The two numbers that change a recording: the scale of its sessions and the speed of its time.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::plan::PlanError;

/// How many copies of a group are played, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    seed: u64,
    /// Copies of every group.
    whole: u32,
    /// One more for the groups whose draw is below it, of 2^64.
    threshold: u128,
    /// Clones are later than their originals by less than this.
    spread: Duration,
}

impl Scale {
    pub(crate) fn new(factor: f64, seed: u64) -> Result<Self, PlanError> {
        if !(factor > 0.0 && factor <= f64::from(MAX_COPIES)) {
            return Err(PlanError::Factor { name: "scale", value: factor });
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 100")]
        let whole = factor.floor() as u32;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^64")]
        let threshold = (factor.fract() * 2.0_f64.powi(64)) as u128;
        Ok(Self { seed, whole, threshold, spread: CLONE_SHIFT })
    }

    /// The same with clones nearer to their originals, or further away, where that is asked for.
    pub(crate) fn spread(self, spread: Option<Duration>) -> Self {
        Self { spread: spread.unwrap_or(self.spread), ..self }
    }

    /// Every group is played once.
    pub(crate) fn is_one(self) -> bool {
        self.whole == 1 && self.threshold == 0
    }

    /// Most copies of any group.
    pub(crate) fn most_copies(self) -> u32 {
        self.whole + u32::from(self.threshold > 0)
    }

    /// Copies of a group; 0 leaves it out.
    pub(crate) fn copies(self, group: u64) -> u32 {
        if self.threshold == 0 {
            return self.whole;
        }
        let draw = draw(self.seed, group, 0, Purpose::Keep);
        self.whole + u32::from(u128::from(draw) < self.threshold)
    }

    /// Whether a group that begins while this share is let in is among them.
    pub(crate) fn is_let_in(self, group: u64, share: f64) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^64")]
        let threshold = (share * 2.0_f64.powi(64)) as u128;
        u128::from(draw(self.seed, group, 0, Purpose::LetIn)) < threshold
    }

    /// How much later than recorded a copy of a group is played: nothing for the first one, and
    /// uniform below its spread for the others, so that copies do not add up to bursts that
    /// never were.
    pub(crate) fn shift(self, group: u64, copy: u32) -> Duration {
        if copy == 0 {
            return Duration::ZERO;
        }
        let draw = draw(self.seed, group, copy, Purpose::Shift);
        let ns = (u128::from(draw) * self.spread.as_nanos()) >> 64;
        Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
    }
}

/// Largest scale.
const MAX_COPIES: u32 = 100;

/// Clones are shifted by less than this, where nobody asks for less: long enough to take bursts
/// apart, short against the minutes in which load changes (science: scaling a recording).
pub(crate) const CLONE_SHIFT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Purpose {
    Keep = 1,
    Shift = 2,
    LetIn = 3,
}

/// A random number of its own for each group, copy and purpose, whatever was drawn before.
fn draw(seed: u64, group: u64, copy: u32, purpose: Purpose) -> u64 {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&group.to_le_bytes());
    key[16..20].copy_from_slice(&copy.to_le_bytes());
    key[20] = purpose as u8;
    ChaCha8Rng::from_seed(key).next_u64()
}

/// The speed of time as the exact fraction of its decimal digits: 1.1 is 11/10, not the nearest
/// binary number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed {
    numerator: u128,
    denominator: u128,
}

impl Speed {
    pub(crate) fn new(factor: f64) -> Result<Self, PlanError> {
        let refused = || PlanError::Factor { name: "speed", value: factor };
        if !(0.01..=100.0).contains(&factor) {
            return Err(refused());
        }
        let digits = factor.to_string();
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let numerator = format!("{whole}{fraction}").parse().map_err(|_| refused())?;
        let places = u32::try_from(fraction.len()).map_err(|_| refused())?;
        let denominator = 10_u128.checked_pow(places).ok_or_else(refused)?;
        Ok(Self { numerator, denominator })
    }

    /// When something that is due after `recorded` is due at this speed, rounded down to 1 ns.
    pub(crate) fn due(self, recorded: Duration) -> Duration {
        // 18 digits of 2^63 ns stay below 2^127; a time beyond that saturates.
        let ns = recorded.as_nanos().saturating_mul(self.denominator) / self.numerator;
        let seconds = u64::try_from(ns / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds, u32::try_from(ns % 1_000_000_000).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn speed_is_exact_to_a_nanosecond_over_a_day() {
        let odd = Duration::from_nanos(86_399_999_999_999);
        for (speed, recorded, ns) in [
            (1.0, odd, 86_399_999_999_999),
            (0.5, odd, 172_799_999_999_998),
            (2.0, odd, 43_199_999_999_999),
            (1.5, DAY, 57_600_000_000_000),
            (1.5, odd, 57_599_999_999_999),
            (1.1, Duration::from_nanos(11), 10),
            (1.1, Duration::from_secs(110_000), 100_000_000_000_000),
            (0.3, Duration::from_mins(500), 100_000_000_000_000),
            (0.01, DAY, 8_640_000_000_000_000),
            (100.0, DAY, 864_000_000_000),
        ] {
            assert_eq!(Speed::new(speed).unwrap().due(recorded).as_nanos(), ns, "{speed}");
        }
        for speed in [f64::NAN, f64::INFINITY, 0.0, -1.0, 0.001, 101.0] {
            assert!(Speed::new(speed).is_err(), "{speed}");
        }
        let longest = Speed::new(1.0 / 3.0).unwrap().due(Duration::from_nanos(i64::MAX as u64));
        assert!(longest > Duration::from_nanos(i64::MAX as u64) * 2);
    }

    proptest! {
        /// For all speeds and moments: order is kept.
        #[test]
        fn speed_keeps_the_order(speed in 0.01..100.0_f64, a in 0..u64::MAX, b in 0..u64::MAX) {
            let speed = Speed::new(speed).unwrap();
            let due = |ns: u64| speed.due(Duration::from_nanos(ns));
            assert!(due(a.min(b)) <= due(a.max(b)));
        }
    }

    #[test]
    fn a_scale_takes_its_share_of_groups() {
        for (factor, fewest, most, expected) in
            [(0.25, 0, 1, 2500), (1.0, 1, 1, 10_000), (1.5, 1, 2, 15_000), (3.0, 3, 3, 30_000)]
        {
            let scale = Scale::new(factor, 7).unwrap();
            let copies: Vec<u32> = (0..10_000).map(|group| scale.copies(group)).collect();
            assert_eq!(copies.iter().min(), Some(&fewest));
            assert_eq!(copies.iter().max(), Some(&most));
            assert_eq!(scale.most_copies(), most);
            let sum: u32 = copies.iter().sum();
            assert!(sum.abs_diff(expected) < 200, "{factor}: {sum}");
        }
        for factor in [f64::NAN, 0.0, -1.0, 100.5, f64::INFINITY] {
            assert!(Scale::new(factor, 7).is_err(), "{factor}");
        }
    }

    /// The figures are part of the format of plans: a change of them is a change of every plan.
    #[test]
    fn draws_are_the_same_everywhere_and_depend_on_the_seed() {
        assert_eq!(draw(1, 2, 3, Purpose::Keep), draw(1, 2, 3, Purpose::Keep));
        let others = [
            draw(2, 2, 3, Purpose::Keep),
            draw(1, 3, 3, Purpose::Keep),
            draw(1, 2, 4, Purpose::Keep),
            draw(1, 2, 3, Purpose::Shift),
        ];
        assert!(!others.contains(&draw(1, 2, 3, Purpose::Keep)));
    }

    #[test]
    fn clones_are_spread_over_half_a_minute() {
        let scale = Scale::new(2.0, 7).unwrap();
        let shifts: Vec<Duration> = (0..1000).map(|group| scale.shift(group, 1)).collect();
        assert!(shifts.iter().all(|shift| *shift < CLONE_SHIFT));
        let late = shifts.iter().filter(|shift| **shift >= CLONE_SHIFT / 2).count();
        assert!((400..600).contains(&late), "{late}");
        assert_eq!(scale.shift(5, 0), Duration::ZERO);
        let near = scale.spread(Some(Duration::from_secs(4)));
        let shifts = (0..1000).map(|group| near.shift(group, 1).as_secs());
        assert_eq!(shifts.collect::<std::collections::BTreeSet<u64>>(), (0..4).collect());
        assert_eq!(scale.spread(None), scale);
    }
}
