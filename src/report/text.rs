//! How reports write numbers and foreign text.

use std::time::Duration;

use crate::shape::Metric;
use crate::verdict::{Outcome, RunOutcome};

/// A time in nanoseconds with three significant digits.
pub(crate) fn nanos(nanos: u64) -> String {
    duration(Duration::from_nanos(nanos))
}

/// A time with three significant digits.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_nanos() {
        0 => "0s".to_owned(),
        1..1_000 => format!("{}ns", duration.as_nanos()),
        1_000..1_000_000 => format!("{}µs", number(seconds * 1e6, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", number(seconds * 1e3, 3)),
        1_000_000_000..60_000_000_000 => format!("{}s", number(seconds, 3)),
        _ => long_duration(duration.as_secs()),
    }
}

fn long_duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}m{seconds:02}s") } else { format!("{hours}h{minutes:02}m") }
}

/// A count with a thin gap between thousands.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, in binary units.
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{}{unit}", number(value, 3));
        }
        value /= 1024.0;
    }
    format!("{}TiB", number(value, 3))
}

/// A share of 1 as percent; a part that exists never reads as `0 %`, nor a missing one as `100 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few digits are printed")]
    let percent = part as f64 / whole as f64 * 100.0;
    if part > 0 && percent < 0.01 {
        return "< 0.01 %".to_owned();
    }
    if part < whole && percent > 99.99 {
        return "> 99.99 %".to_owned();
    }
    format!("{} %", trimmed(format!("{percent:.2}")))
}

/// A metric's value with its unit, or a dash.
pub(crate) fn metric_value(metric: &Metric) -> String {
    match metric.value {
        None => "–".to_owned(),
        Some(value) if metric.unit.is_empty() => number(value, 4),
        Some(value) => format!("{} {}", number(value, 4), metric.unit),
    }
}

/// How far a metric is towards its limit, where 1 is the limit.
pub(crate) fn ratio(ratio: f64) -> String {
    if ratio > 1_000.0 { "more than 1 000".to_owned() } else { number(ratio, 3) }
}

/// A number with so many significant digits; digits before the point are never rounded away.
pub(crate) fn number(value: f64, digits: usize) -> String {
    let whole = format!("{:.0}", value.abs().trunc());
    let before = if whole == "0" { 0 } else { whole.len() };
    trimmed(format!("{value:.*}", digits.saturating_sub(before)))
}

fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Text that comes from a recording, a target or a scenario, made fit to print: characters that
/// move the cursor, change colours or reverse the reading direction become `·`, and it is cut
/// after `limit` characters.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut cleaned: String =
        text.chars().take(limit).map(|c| if is_treacherous(c) { '·' } else { c }).collect();
    if text.chars().nth(limit).is_some() {
        cleaned.push('…');
    }
    cleaned
}

fn is_treacherous(c: char) -> bool {
    // Besides control characters: zero-width and direction marks, line and paragraph separators,
    // direction overrides and isolates, the byte order mark, and invisible tags.
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The word of a run's outcome.
pub(crate) fn verdict_word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Pass => "PASS",
        RunOutcome::Fail => "FAIL",
        RunOutcome::Invalid => "INVALID",
        RunOutcome::Interrupted => "INTERRUPTED",
    }
}

/// The mark of an outcome.
pub(crate) fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Pass => '✓',
        Outcome::Unknown => '?',
        Outcome::Fail => '✗',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        for (nanos_in, text) in [
            (0, "0s"),
            (999, "999ns"),
            (1_500, "1.5µs"),
            (310_200, "310µs"),
            (1_234_567, "1.23ms"),
            (12_300_000_000, "12.3s"),
            (90_000_000_000, "1m30s"),
            (5_400_000_000_000, "1h30m"),
        ] {
            assert_eq!(nanos(nanos_in), text);
        }
    }

    #[test]
    fn a_part_that_exists_never_reads_as_nothing() {
        assert_eq!(share(0, 1_000_000), "0 %");
        assert_eq!(share(1, 1_000_000), "< 0.01 %");
        assert_eq!(share(999_999, 1_000_000), "> 99.99 %");
        assert_eq!(share(1_000_000, 1_000_000), "100 %");
        assert_eq!(share(1, 0), "–");
        assert_eq!(share(412, 10_000), "4.12 %");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1 000");
        assert_eq!(count(12_345_678), "12 345 678");
        assert_eq!(size(1_536), "1.5KiB");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\nd\u{9b}e", 80), "a·[2Jb·c·d·e");
        assert_eq!(clean("12345", 4), "1234…");
        assert_eq!(clean("1234", 4), "1234");
    }
}
