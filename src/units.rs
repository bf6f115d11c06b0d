//! Durations, sizes and shares as people write them, with one parser and one printer each.
//!
//! A bare number is refused everywhere: it means seconds to one tool and milliseconds to another.

pub mod rate;

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::friendly::SpanParser;

/// Why a text is no duration, size or share. Its text says how to write one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {hint}")]
pub struct UnitError {
    /// What is wrong, with the text that is.
    pub problem: String,
    /// What to write instead.
    pub hint: &'static str,
}

/// The duration of a text such as `30s`, `5m`, `1h30m`, `250ms` or `10us`.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let refused = |problem: &str| refuse(text, problem, DURATION_HINT);
    let text = text.trim();
    refuse_plain_mistakes(text, DURATION_HINT)?;
    if text.contains([':', ',']) {
        return Err(refused("is a time of day or a list, not a duration"));
    }
    for unit in text.split(|c: char| !c.is_alphabetic()).filter(|unit| !unit.is_empty()) {
        let first_two = unit.get(..2).unwrap_or(unit);
        if matches!(first_two, "d" | "da" | "w" | "we" | "wk" | "wd" | "mo" | "y" | "ye" | "yr") {
            return Err(refused("has a calendar unit, whose length is not fixed"));
        }
        if matches!(unit, "M" | "H" | "S" | "MS" | "Ms") {
            return Err(refused("has a unit in capitals"));
        }
    }
    SpanParser::new().parse_unsigned_duration(text).map_err(|_| {
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        refused(if digits > MAX_DIGITS { "is too large" } else { "is not a duration" })
    })
}

/// Digits of the largest number of seconds that a `Duration` holds.
const MAX_DIGITS: usize = 18;

const DURATION_HINT: &str = "write a number and its unit, such as `250ms`, `30s`, `5m` or `1h30m`";

/// The number of bytes of a text such as `512B`, `64kB` or `10MiB`.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let refused = |problem: &str| refuse(text, problem, SIZE_HINT);
    let text = text.trim();
    refuse_plain_mistakes(text, SIZE_HINT)?;
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = text[number_end..].trim_start();
    if !SIZE_UNITS.contains(&unit) {
        return Err(refused("has no unit of sizes"));
    }
    let size: ByteSize = text.parse().map_err(|_| refused("is not a size"))?;
    // The parser saturates instead of refusing.
    if size.as_u64() == u64::MAX { Err(refused("is too large")) } else { Ok(size.as_u64()) }
}

/// `K` and `KB` are left out on purpose: they mean 1000 to one tool and 1024 to another.
const SIZE_UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];

const SIZE_HINT: &str = "write a number and its unit, such as `512B`, `64kB` (64 000 bytes), \
                         `64KiB` (65 536 bytes) or `10MiB`";

/// The ratio of a text such as `0.1%`: a number from 0 to 1.
pub fn parse_share(text: &str) -> Result<f64, UnitError> {
    let refused = |problem: &str| refuse(text, problem, SHARE_HINT);
    let text = text.trim();
    refuse_plain_mistakes(text, SHARE_HINT)?;
    let Some(number) = text.strip_suffix('%') else {
        return Err(refused("has no percent sign"));
    };
    let number = number.trim_end();
    if !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(refused("is not a share"));
    }
    let percent: f64 = number.parse().map_err(|_| refused("is not a share"))?;
    if percent <= 100.0 { Ok(percent / 100.0) } else { Err(refused("is more than the whole")) }
}

const SHARE_HINT: &str = "write a percentage from `0%` to `100%`, such as `0.1%`";

fn refuse_plain_mistakes(text: &str, hint: &'static str) -> Result<(), UnitError> {
    if text.is_empty() {
        return Err(UnitError { problem: "there is no value".to_owned(), hint });
    }
    if text.starts_with('-') || text.ends_with("ago") {
        return Err(refuse(text, "is negative", hint));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(refuse(text, "does not start with a number", hint));
    }
    if text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_') {
        return Err(refuse(text, "has no unit", hint));
    }
    Ok(())
}

fn refuse(text: &str, problem: &str, hint: &'static str) -> UnitError {
    let shown: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
    UnitError { problem: format!("`{shown}` {problem}"), hint }
}

/// Characters of a wrong text that are repeated in its error.
const MAX_SHOWN: usize = 40;

/// A duration for people, with about three digits: `340 µs`, `1.25 s`, `5 min`, `1 h 30 min`.
pub fn format_duration(duration: Duration) -> String {
    let ns = duration.as_nanos();
    if ns == 0 {
        return "0 s".to_owned();
    }
    // From 59.95 s on, three digits round to a minute.
    if ns >= 59_950_000_000 {
        return format_minutes(ns);
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^36, exact")]
    let ns = ns as f64;
    for (unit, unit_ns) in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)] {
        // 999.5 and more of the smaller unit would round to 1000 of it.
        if ns >= unit_ns * 0.999_5 {
            return format!("{} {unit}", three_digits(ns / unit_ns));
        }
    }
    format!("{ns:.0} ns")
}

fn format_minutes(ns: u128) -> String {
    let seconds = (ns + 500_000_000) / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, seconds) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        // Beside hours, seconds are noise.
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// A number of bytes for people, with about three digits: `512 B`, `1.25 MiB`.
pub fn format_size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{} {unit}", three_digits(value))
}

/// A ratio for people, as a percentage with about three digits: `0.123 %`, `99.95 %`.
pub fn format_share(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "unknown".to_owned();
    }
    let percent = ratio * 100.0;
    // Near the whole, what is missing is what matters: 99.95 % is not 100 %.
    let missing = (100.0 - percent).abs();
    let decimals = match percent.abs().min(missing) {
        digits if percent.abs() >= 100.0 && digits >= 1.0 => 0,
        digits if digits >= 10.0 => 1,
        digits if digits >= 1.0 => 2,
        digits if digits >= 0.1 => 3,
        _ => 4,
    };
    format!("{} %", trim_zeros(&format!("{percent:.decimals$}")))
}

/// Things a second for people: `0.5/s`, `12 345/s`.
pub fn format_rate(a_second: f64) -> String {
    if a_second.is_finite() && a_second >= 100.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        return format!("{}/s", format_count(a_second.round() as u64));
    }
    format!("{}/s", trim_zeros(&format!("{a_second:.2}")))
}

/// A number of things for people, in groups of three digits: `12 345`, with a narrow space that
/// does not break ([`GROUP`]).
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * GROUP.len_utf8());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(GROUP);
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 request`, `4 929 requests`.
pub fn format_counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count), if count == 1 { one } else { many })
}

/// What stands between groups of three digits: a narrow space that does not break.
pub const GROUP: char = '\u{202f}';

/// A number from 0.9995 to 1023 with three digits, without trailing zeros.
fn three_digits(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

pub(crate) fn trim_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, ns) in [
            ("30s", 30_000_000_000),
            ("5m", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("2ns", 2),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            (" 90 s ", 90_000_000_000),
            ("2 minutes", 120_000_000_000),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_nanos(), ns, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        for (text, problem) in [
            ("", "there is no value"),
            ("30", "has no unit"),
            ("1_000", "has no unit"),
            ("1.5", "has no unit"),
            ("-30s", "is negative"),
            ("30s ago", "is negative"),
            ("+30s", "does not start with a number"),
            ("s", "does not start with a number"),
            ("1d", "calendar unit"),
            ("2 days", "calendar unit"),
            ("1w", "calendar unit"),
            ("1mo", "calendar unit"),
            ("1y", "calendar unit"),
            ("1h 2d", "calendar unit"),
            ("5M", "capitals"),
            ("5MS", "capitals"),
            ("00:05:00", "time of day"),
            ("1h, 5m", "list"),
            ("5 bananas", "is not a duration"),
            ("99999999999999999999s", "is too large"),
            ("9999999999999999999999h", "is too large"),
            ("∞s", "does not start with a number"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.problem.contains(problem), "{text}: {error}");
            assert!(error.to_string().contains("such as `250ms`"), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("512B", 512),
            ("64kB", 64_000),
            ("64KiB", 65_536),
            ("10MiB", 10 << 20),
            ("1.5 GiB", 3 << 29),
            ("0B", 0),
            ("9007199254740993B", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for (text, problem) in [
            ("10", "has no unit"),
            ("10K", "has no unit of sizes"),
            ("10KB", "has no unit of sizes"),
            ("10mb", "has no unit of sizes"),
            ("-1B", "is negative"),
            ("1.2.3B", "is not a size"),
            ("99999999999TiB", "is too large"),
            ("999999999999999999999999B", "is too large"),
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(error.problem.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        for (text, ratio) in [("0.1%", 0.001), ("100%", 1.0), ("0 %", 0.0), ("99.9%", 0.999)] {
            assert!((parse_share(text).unwrap() - ratio).abs() < 1e-12, "{text}");
        }
        for (text, problem) in [
            ("0.001", "has no unit"),
            ("1‰", "has no percent sign"),
            ("101%", "more than the whole"),
            ("-1%", "is negative"),
            ("NaN%", "does not start with a number"),
            ("1e1%", "is not a share"),
            (".%", "is not a share"),
        ] {
            let error = parse_share(text).unwrap_err();
            assert!(error.problem.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_printed_with_three_digits() {
        for (ns, text) in [
            (0, "0 s"),
            (7, "7 ns"),
            (999, "999 ns"),
            (1000, "1 µs"),
            (340_000, "340 µs"),
            (999_400, "999 µs"),
            (999_600, "1 ms"),
            (1_250_000_000, "1.25 s"),
            (12_340_000_000, "12.3 s"),
            (59_960_000_000, "1 min"),
            (90_000_000_000, "1 min 30 s"),
            (5_400_000_000_000, "1 h 30 min"),
            (3_600_000_000_000, "1 h"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(ns)), text);
        }
        assert_eq!(format_duration(Duration::MAX), "5124095576030431 h");
    }

    #[test]
    fn sizes_shares_and_counts_are_printed_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1024, "1 KiB"),
            (1_310_720, "1.25 MiB"),
            (1_048_000, "1 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
        for (ratio, text) in [
            (0.0, "0 %"),
            (0.001, "0.1 %"),
            (0.001_234, "0.123 %"),
            (0.5, "50 %"),
            (0.999_5, "99.95 %"),
            (0.999_99, "99.999 %"),
            (1.0, "100 %"),
            (12.5, "1250 %"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(format_share(ratio), text);
        }
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count(12_345), "12\u{202f}345");
        assert_eq!(format_count(1_000_000), "1\u{202f}000\u{202f}000");
    }
}
