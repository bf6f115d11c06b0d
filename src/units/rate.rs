//! A number of things in a time, as vegeta spells it: `100`, `100/s`, `100/1m`, `0.5/s`.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use crate::units::{UnitError, format_count, parse_duration, trim_zeros};

/// So many in so long, kept exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In billionths; never 0.
    billionths: u64,
    /// Nanoseconds; never 0.
    per_ns: u64,
}

const HINT: &str = "write a number for one a second, or such as `100/s`, `100/1m` or `0.5/1s`";

impl Rate {
    /// The moment of the thing with this number, from 0: they are spaced evenly. It saturates
    /// after 584 years.
    pub fn moment(self, number: u64) -> Duration {
        let of_one = u128::from(self.per_ns) * 1_000_000_000;
        // 64 bits of number and 64 of period may be more than 128 with the billion.
        let whole = u128::from(number).saturating_mul(of_one) / u128::from(self.billionths);
        Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    /// Things a second.
    #[expect(clippy::cast_precision_loss, reason = "it is compared with what was counted")]
    pub fn per_second(self) -> f64 {
        self.billionths as f64 / self.per_ns as f64
    }
}

/// Things a second, exactly: a reduced fraction. Unlike a [`Rate`] it may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerSecond {
    /// So many things ...
    pub things: u64,
    /// ... in so many seconds; never 0.
    pub seconds: u64,
}

impl PerSecond {
    /// Nothing at all.
    pub const ZERO: Self = Self { things: 0, seconds: 1 };

    /// The fraction in its lowest terms; `None` where these do not fit 64 bits.
    fn reduced(things: u128, seconds: u128) -> Option<Self> {
        let divisor = gcd(things, seconds).max(1);
        let [things, seconds] = [things, seconds].map(|part| u64::try_from(part / divisor).ok());
        Some(Self { things: things?, seconds: seconds.filter(|seconds| *seconds > 0)? })
    }

    /// So many times as fast; `factor` is a decimal number such as `2` or `0.5`.
    pub fn times(self, factor: &str) -> Result<Self, UnitError> {
        let refused = |problem: &str| UnitError {
            problem: format!("`{factor}` {problem}"),
            hint: "write a factor such as `2x` or `0.5x`",
        };
        let billionths = billionths(factor).ok_or_else(|| refused("is no plain number"))?;
        let things = u128::from(self.things) * u128::from(billionths);
        Self::reduced(things, u128::from(self.seconds) * 1_000_000_000)
            .ok_or_else(|| refused("makes a rate of too many digits"))
    }

    /// The rate that lies `part` of `whole` on the way to another one; `None` where it has too many
    /// digits.
    pub fn towards(self, other: Self, part: u64, whole: u64) -> Option<Self> {
        let of = |rate: Self, by: Self, share: u64| {
            u128::from(rate.things)
                .checked_mul(u128::from(by.seconds))?
                .checked_mul(u128::from(share))
        };
        let things = of(self, other, whole.checked_sub(part)?)?.checked_add(of(other, self, part)?);
        let seconds = u128::from(self.seconds).checked_mul(u128::from(other.seconds))?;
        Self::reduced(things?, seconds.checked_mul(u128::from(whole))?)
    }
}

impl Ord for PerSecond {
    fn cmp(&self, other: &Self) -> Ordering {
        let of = |rate: &Self, by: &Self| u128::from(rate.things) * u128::from(by.seconds);
        of(self, other).cmp(&of(other, self))
    }
}

impl PartialOrd for PerSecond {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for PerSecond {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 1 {
            return write!(f, "{}/s", format_count(self.things));
        }
        #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
        let rate = self.things as f64 / self.seconds as f64;
        write!(f, "{}/s", trim_zeros(&format!("{rate:.3}")))
    }
}

/// The rate of a text, of which 0 is one.
pub fn parse_per_second(text: &str) -> Result<PerSecond, UnitError> {
    if billionths(text.trim()) == Some(0) {
        return Ok(PerSecond::ZERO);
    }
    let rate = parse_rate(text)?;
    PerSecond::reduced(u128::from(rate.billionths), u128::from(rate.per_ns))
        .ok_or_else(|| UnitError { problem: format!("`{text}` has too many digits"), hint: HINT })
}

/// The greatest common divisor.
pub(crate) fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The rate of a text. Zero, and what is too fast for a clock of nanoseconds, are refused.
pub fn parse_rate(text: &str) -> Result<Rate, UnitError> {
    let refused = |problem: &str| UnitError { problem: format!("`{text}` {problem}"), hint: HINT };
    let (count, period) = text.trim().split_once('/').unwrap_or((text.trim(), "1s"));
    let per = if period.starts_with(|first: char| first.is_ascii_digit()) {
        parse_duration(period)
    } else {
        parse_duration(&format!("1{period}"))
    };
    let per = per.map_err(|_| refused("has no time behind its `/`"))?;
    let billionths = billionths(count).ok_or_else(|| refused("does not begin with a number"))?;
    let per_ns = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
    let ns_of_one = u128::from(per_ns) * 1_000_000_000 / u128::from(billionths.max(1));
    if billionths == 0 || per_ns == 0 || ns_of_one == 0 {
        return Err(refused("is no rate at which anything can be sent"));
    }
    Ok(Rate { billionths, per_ns })
}

/// A decimal number with at most nine digits behind the point.
fn billionths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_spaced_evenly_and_exactly() {
        for (text, number, ns) in [
            ("100", 1, 10_000_000),
            ("100/s", 250, 2_500_000_000),
            ("100/1s", 1, 10_000_000),
            ("100/1m", 1, 600_000_000),
            ("90/m", 3, 2_000_000_000),
            ("3/s", 1, 333_333_333),
            ("3/s", 3, 1_000_000_000), // No drift: each moment is a multiple of the exact rate.
            ("0.5", 1, 2_000_000_000),
            ("1/250ms", 2, 500_000_000),
            (" 1 ", u64::MAX, u64::MAX),
        ] {
            let rate = parse_rate(text).unwrap();
            assert_eq!(rate.moment(number), Duration::from_nanos(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_a_hint() {
        for text in
            ["", "0", "0/1s", "-1", "1/0s", "infinity", "1/", "1/5", "1e3", "9999999999/s", ".5"]
        {
            let error = parse_rate(text).unwrap_err().to_string();
            assert!(error.contains("`100/1m`"), "{text}: {error}");
        }
    }

    #[test]
    fn rates_a_second_are_reduced_fractions_and_may_be_zero() {
        for (text, things, seconds, shown) in [
            ("1000", 1_000, 1, "1\u{202f}000/s"),
            ("100/1m", 5, 3, "1.667/s"),
            ("0.5/s", 1, 2, "0.5/s"),
            ("3/2s", 3, 2, "1.5/s"),
            ("0", 0, 1, "0/s"),
        ] {
            let rate = parse_per_second(text).unwrap();
            assert_eq!(rate, PerSecond { things, seconds }, "{text}");
            assert_eq!(rate.to_string(), shown);
        }
        let rate = parse_per_second("100/1m").unwrap();
        assert_eq!(rate.times("1.5").unwrap(), PerSecond { things: 5, seconds: 2 });
        assert_eq!(rate.times("0").unwrap(), PerSecond::ZERO);
        for factor in ["", "x", "-1", "1e3"] {
            assert!(rate.times(factor).unwrap_err().to_string().contains("`2x`"), "{factor}");
        }
        for text in ["", "fast", "-1", "9999999999/s"] {
            assert!(parse_per_second(text).is_err(), "{text}");
        }
    }
}
