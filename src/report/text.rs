//! How reports write numbers and foreign text.

use std::time::Duration;

use crate::shape::Metric;
use crate::units::{format_duration, format_share};
use crate::verdict::{Outcome, RunOutcome};

/// A time in nanoseconds.
pub(crate) fn nanos(nanos: u64) -> String {
    format_duration(Duration::from_nanos(nanos))
}

/// The same, where it may be the least that it can be.
pub(crate) fn at_least(time: u64, is_at_least: bool) -> String {
    format!("{}{}", if is_at_least { "≥ " } else { "" }, nanos(time))
}

/// A part of a whole as percent; a part that exists never reads as `0 %`, nor one that lacks
/// something as `100 %`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few digits are printed")]
    let ratio = part as f64 / whole as f64;
    if part > 0 && ratio < SMALLEST_SHARE {
        return "< 0.0001 %".to_owned();
    }
    if part < whole && ratio > 1.0 - SMALLEST_SHARE {
        return "> 99.9999 %".to_owned();
    }
    format_share(ratio)
}

/// Smaller shares would be printed as nothing.
const SMALLEST_SHARE: f64 = 1e-6;

/// A metric's value with its unit, or a dash.
pub(crate) fn metric_value(metric: &Metric) -> String {
    match metric.value {
        None => "–".to_owned(),
        Some(value) if metric.unit.is_empty() => number(value, 4),
        Some(value) => format!("{} {}", number(value, 4), clean(&metric.unit, LONGEST_UNIT)),
    }
}

/// Longest unit; that of a saved run may be anything.
const LONGEST_UNIT: usize = 20;

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

/// The worst metric of a load shape in a sentence; empty where none gates.
pub(crate) fn worst(metric: &str, value: f64, tier: &str) -> String {
    if metric.is_empty() {
        return String::new();
    }
    format!("Worst metric: {metric} at {} × its limit. Tolerances: {tier}.", ratio(value))
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
    fn a_part_that_exists_never_reads_as_nothing() {
        assert_eq!(share(0, 10_000_000), "0 %");
        assert_eq!(share(1, 10_000_000), "< 0.0001 %");
        assert_eq!(share(9_999_999, 10_000_000), "> 99.9999 %");
        assert_eq!(share(10_000_000, 10_000_000), "100 %");
        assert_eq!(share(1, 0), "–");
        assert_eq!(share(412, 10_000), "4.12 %");
    }

    #[test]
    fn numbers_keep_their_significant_digits() {
        for (value, text) in
            [(0.0, "0"), (0.034, "0.034"), (1.04, "1.04"), (99.984, "99.98"), (123_456.7, "123457")]
        {
            assert_eq!(number(value, 4), text);
        }
        assert_eq!(ratio(1e9), "more than 1 000");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        let metric = |unit: &str| Metric {
            name: "rate".into(),
            value: Some(7.0),
            unit: unit.into(),
            limit: String::new(),
            ratio: None,
            outcome: crate::shape::MetricOutcome::Report,
            note: String::new(),
        };
        assert_eq!(metric_value(&metric("\u{1b}[2Jms")), "7 ·[2Jms");
        assert_eq!(metric_value(&metric("ms")), "7 ms");
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\nd\u{9b}e", 80), "a·[2Jb·c·d·e");
        assert_eq!(clean("12345", 4), "1234…");
        assert_eq!(clean("1234", 4), "1234");
    }
}
