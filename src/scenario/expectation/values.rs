//! What a metric is held against.

use crate::scenario::expectation::words::{self, mistake, words};
use crate::scenario::expectation::{Bound, ExpectationError, MetricName, Value};
use crate::units::rate::parse_rate;
use crate::units::{UnitError, parse_duration, parse_share};

/// `250ms`, `0.1%`, `500/s`, `recorded` or `1.10x recorded`.
pub(super) fn parse_value(
    metric: MetricName,
    text: &str,
    column: usize,
) -> Result<Value, ExpectationError> {
    let words = words(text);
    if let Some((at, _)) = words.iter().find(|(_, word)| matches!(*word, "and" | "or" | "vs")) {
        let hint = "there is one expectation a line; all of them must hold";
        return Err(mistake(column + at - 1, "an expectation ends with its value", hint));
    }
    if let Some((at, word)) = words.iter().find(|(_, word)| ["recorded", "baseline"].contains(word))
    {
        let is_recorded = *word == "recorded";
        if is_recorded {
            check_recorded(metric, column + at - 1)?;
        }
        let times = if is_recorded { Value::TimesRecorded } else { Value::TimesBaseline };
        return parse_factor(&words, column).map(times);
    }
    let refused = |error: UnitError| mistake(column, &error.problem, error.hint);
    if metric.is_time() || metric == MetricName::Warmup {
        parse_duration(text).map(|time| Value::Absolute(time.as_secs_f64() * 1e9)).map_err(refused)
    } else if metric.is_rate() {
        parse_rate(text).map(|rate| Value::Absolute(rate.per_second())).map_err(refused)
    } else {
        parse_share(text).map(Value::Absolute).map_err(refused)
    }
}

/// Whether a recording tells a metric.
fn check_recorded(metric: MetricName, column: usize) -> Result<(), ExpectationError> {
    if metric.is_rate() || matches!(metric, MetricName::Latency | MetricName::Service) {
        return Ok(());
    }
    let message = format!("there is no `{}` in a recording", metric.name());
    let hint = "latency, service, rate and throughput can be held against the recording; \
                errors are only those that production did not have";
    Err(mistake(column, &message, hint))
}

/// `[FACTORx] recorded` or `[FACTORx] baseline`, whose words have columns from `column` on.
fn parse_factor(words: &[(usize, &str)], column: usize) -> Result<f64, ExpectationError> {
    let factor = match words {
        [_] => Some(1.0),
        [(_, factor), _] => {
            let number = factor.strip_suffix('x').unwrap_or_default();
            let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
            number.parse::<f64>().ok().filter(|factor| is_plain && *factor > 0.0)
        }
        _ => None,
    };
    factor.filter(|factor| factor.is_finite()).ok_or_else(|| {
        let word = words.last().map_or("recorded", |(_, word)| *word);
        let hint = format!("write `{word}` or such as `1.10x {word}`");
        let what = if word == "baseline" { "the baseline measured" } else { "was recorded" };
        mistake(column, &format!("this is no multiple of what {what}"), &hint)
    })
}

/// `5% of VALUE`.
pub(super) fn parse_within(
    metric: MetricName,
    text: &str,
    column: usize,
) -> Result<Bound, ExpectationError> {
    const HINT: &str = "write such as `within 5% of recorded` or `within 5% of 500/s`";
    let words = words(text);
    let Some(&(of, _)) = words.iter().find(|(_, word)| *word == "of") else {
        return Err(mistake(column, "there is nothing that it is to be near to", HINT));
    };
    let (share, rest) = text.split_at(words::byte_of(text, of));
    let share = parse_share(share).map_err(|error| mistake(column, &error.problem, HINT))?;
    let value = rest.strip_prefix("of").unwrap_or(rest);
    let skipped = rest.chars().count() - value.trim_start().chars().count();
    let value = parse_value(metric, value.trim(), column + of - 1 + skipped)?;
    Ok(Bound::Within(share, value))
}
