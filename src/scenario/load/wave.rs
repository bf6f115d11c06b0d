//! A rate that swings like a day does: up from the first rate to another and back, as a sine does,
//! again and again. It is made of short straight stages, so that every moment stays exact.

use std::time::Duration;

use crate::scenario::load::{Level, Stage};
use crate::scenario::problem::Mistake;
use crate::units::rate::PerSecond;

/// Straight stages of a swing. They differ from the sine by 1 part in 400 of its height at most.
const PIECES: u32 = 32;

/// Most stages of a wave: an hour of swings of 10 s each has fewer.
const MAX_PIECES: u128 = 20_000;

/// The stages of a load of this length that swings from `low` to `level` and back in each `period`.
pub fn wave(
    low: PerSecond,
    (period, level): &(Duration, Level),
    length: Duration,
) -> Result<Vec<Stage>, Mistake> {
    let high = match level {
        Level::Rate(rate) => *rate,
        Level::Times(factor) => low.times(factor)?,
    };
    if *period < Duration::from_secs(1) {
        let hint = "write such as `1m:3x`: within a minute up to three times the --rate and back";
        return Err(Mistake::new("a wave takes a second at least", hint));
    }
    let pieces = length.as_nanos() * u128::from(PIECES) / period.as_nanos();
    if pieces > MAX_PIECES {
        let swings = MAX_PIECES / u128::from(PIECES);
        let message = format!("this load has more than {swings} waves");
        return Err(Mistake::new(message, "use longer waves, or a shorter load (-d)"));
    }
    let level = |piece: u64| low.towards(high, risen(piece), RISEN).ok_or_else(too_fine);
    let begin = |piece: u64| {
        let ns = period.as_nanos() * u128::from(piece) / u128::from(PIECES);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    };
    let mut stages = Vec::new();
    for piece in 0.. {
        let (start, end) = (begin(piece), begin(piece + 1));
        if start >= length {
            break;
        }
        let (from, mut to) = (level(piece)?, level(piece + 1)?);
        let rest = length.saturating_sub(start);
        let whole = end.saturating_sub(start);
        if rest < whole {
            // To a hundredth: a finer fraction would have too many digits.
            let hundredths = rest.as_nanos() * 100 / whole.as_nanos();
            let hundredths = u64::try_from(hundredths).unwrap_or(100);
            to = from.towards(to, hundredths, 100).ok_or_else(too_fine)?;
        }
        stages.push(Stage { length: whole.min(rest), from, to });
    }
    Ok(stages)
}

/// The whole height of a wave.
const RISEN: u64 = 10_000;

/// How far a wave has risen at the begin of a piece, of [`RISEN`].
#[expect(clippy::cast_precision_loss, reason = "a small number")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to RISEN")]
fn risen(piece: u64) -> u64 {
    let turn = (piece % u64::from(PIECES)) as f64 / f64::from(PIECES) * std::f64::consts::TAU;
    ((1.0 - turn.cos()) / 2.0 * RISEN as f64).round() as u64
}

fn too_fine() -> Mistake {
    Mistake::new("these rates have too many digits for a wave", "use rounder ones")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load::stage;

    const RATE: PerSecond = PerSecond { things: 100, seconds: 1 };

    fn of(text: &str, seconds: u64) -> Result<Vec<Stage>, Mistake> {
        wave(RATE, &stage(text).unwrap(), Duration::from_secs(seconds))
    }

    #[test]
    fn a_wave_rises_to_its_top_and_comes_back() {
        let stages = of("32s:3x", 64).unwrap();
        assert_eq!(stages.len(), 64);
        assert!(stages.iter().all(|stage| stage.length == Duration::from_secs(1)));
        let starts: Vec<String> = stages.iter().map(|stage| stage.from.to_string()).collect();
        let quarter = ["100/s", "101.92/s", "107.62/s", "116.86/s"];
        assert_eq!(starts[..4], quarter, "{starts:?}");
        for (second, rate) in [(8, "200/s"), (16, "300/s"), (24, "200/s"), (32, "100/s")] {
            assert_eq!(starts[second], rate);
        }
        assert!(stages.windows(2).all(|pair| pair[0].to == pair[1].from), "nothing jumps");
    }

    #[test]
    fn a_load_may_end_within_a_wave() {
        let stages = of("64s:300", 3).unwrap();
        let lengths: Vec<u64> = stages.iter().map(|stage| stage.length.as_secs()).collect();
        assert_eq!(lengths, [2, 1]);
        let [first, last] = stages[..] else { panic!("{stages:?}") };
        assert_eq!(last.to, first.to.towards(of("64s:300", 4).unwrap()[1].to, 1, 2).unwrap());
    }

    #[test]
    fn waves_that_are_too_short_or_too_many_are_refused() {
        assert!(of("999ms:2x", 10).unwrap_err().to_string().contains("a second at least"));
        assert!(of("1s:2x", 3_600).unwrap_err().to_string().contains("more than 625 waves"));
    }
}
