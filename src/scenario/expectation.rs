//! One line of a scenario's `expect`: `METRIC [STAT] OP VALUE`.

use crate::units::{UnitError, parse_duration, parse_share};

/// A parsed expectation. `latency p99 < 250ms`, `errors < 0.1%`, `completeness >= 99.9%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written, for reports.
    pub text: String,
    /// What is measured.
    pub metric: MetricName,
    /// Which statistic of it; `None` for metrics that are a single number.
    pub stat: Option<Stat>,
    /// How it is compared.
    pub op: Comparison,
    /// With what, in the metric's own unit: nanoseconds for times, a ratio for shares.
    pub value: f64,
}

/// What an expectation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricName {
    /// Due to done; a time.
    Latency,
    /// Sent to done; a time.
    Service,
    /// Due to dispatched, our own; a time.
    Lateness,
    /// Dispatched to connected; a time.
    ConnectionWait,
    /// Share of arrivals that are errors.
    Errors,
    /// Share of arrivals that were sent.
    Completeness,
    /// Share of answers whose status differs from the recorded one.
    StatusChanges,
}

/// A statistic of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stat {
    /// A percentile, 0 to 100.
    Percentile(f64),
    /// The mean.
    Mean,
    /// The largest value.
    Max,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// Why a line is no expectation, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct ExpectationError {
    /// Character of the line at which the mistake is, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Expectation {
    /// Reads one line.
    pub fn parse(text: &str) -> Result<Self, ExpectationError> {
        let (left, op, right, op_column) = split_at_operator(text)?;
        let words = words(left);
        let Some(&(metric_column, name)) = words.first() else {
            return Err(mistake(op_column, "there is no metric before the operator", METRICS));
        };
        let metric = MetricName::from_name(name).ok_or_else(|| {
            mistake(metric_column, &format!("unknown metric `{}`", crop(name)), METRICS)
        })?;
        let stat = parse_stat(metric, &words[1..], op_column)?;
        let value_column = text.chars().count() - right.trim_start().chars().count() + 1;
        let value = parse_value(metric, right.trim(), value_column)?;
        Ok(Self { text: text.trim().to_owned(), metric, stat, op, value })
    }
}

const METRICS: &str = "the metrics are latency, service, lateness, connection-wait, errors, \
                       completeness and status-changes";

impl MetricName {
    /// The name in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Service => "service",
            Self::Lateness => "lateness",
            Self::ConnectionWait => "connection-wait",
            Self::Errors => "errors",
            Self::Completeness => "completeness",
            Self::StatusChanges => "status-changes",
        }
    }

    /// It is a distribution of times: it needs a statistic, and is compared with a duration.
    pub fn is_time(self) -> bool {
        match self {
            Self::Latency | Self::Service | Self::Lateness | Self::ConnectionWait => true,
            Self::Errors | Self::Completeness | Self::StatusChanges => false,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [
            Self::Latency,
            Self::Service,
            Self::Lateness,
            Self::ConnectionWait,
            Self::Errors,
            Self::Completeness,
            Self::StatusChanges,
        ]
        .into_iter()
        .find(|metric| metric.name() == name)
    }
}

impl Comparison {
    /// `actual OP value` holds. False for a value that is not a number.
    pub fn holds(self, actual: f64, value: f64) -> bool {
        match self {
            Self::Below => actual < value,
            Self::AtMost => actual <= value,
            Self::Above => actual > value,
            Self::AtLeast => actual >= value,
        }
    }
}

/// What stands before the operator, the operator, what stands after it, and its column.
fn split_at_operator(text: &str) -> Result<(&str, Comparison, &str, usize), ExpectationError> {
    let Some(start) = text.find(['<', '>', '=', '!', '≤', '≥']) else {
        return Err(mistake(text.chars().count() + 1, "there is no operator", OPERATORS));
    };
    let (left, rest) = text.split_at(start);
    let column = left.chars().count() + 1;
    let end = rest.find(|c| !matches!(c, '<' | '>' | '=' | '!' | '≤' | '≥')).unwrap_or(rest.len());
    let (operator, right) = rest.split_at(end);
    let op = match operator {
        "<" => Comparison::Below,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Above,
        ">=" => Comparison::AtLeast,
        _ => {
            let message = format!("`{}` is not an operator here", crop(operator));
            return Err(mistake(column, &message, OPERATORS));
        }
    };
    Ok((left, op, right, column))
}

const OPERATORS: &str = "the operators are <, <=, > and >=";

fn parse_stat(
    metric: MetricName,
    words: &[(usize, &str)],
    op_column: usize,
) -> Result<Option<Stat>, ExpectationError> {
    let example = if metric.is_time() {
        format!("write for example `{} p99 < 250ms`", metric.name())
    } else {
        format!("write for example `{} < 0.1%`", metric.name())
    };
    let stat = match (metric.is_time(), words) {
        (false, []) => return Ok(None),
        (false, [(column, _), ..]) => {
            let message = format!("`{}` is a single number, without a statistic", metric.name());
            return Err(mistake(*column, &message, &example));
        }
        (true, []) => {
            let message = format!("`{}` needs a statistic", metric.name());
            return Err(mistake(op_column, &message, &example));
        }
        (true, [_, (column, word), ..]) => {
            let message = format!("`{}` is one word too many", crop(word));
            return Err(mistake(*column, &message, &example));
        }
        (true, [stat]) => stat,
    };
    let (column, word) = *stat;
    parse_stat_word(word).map(Some).ok_or_else(|| {
        let message = format!("unknown statistic `{}`", crop(word));
        mistake(column, &message, "the statistics are mean, max and percentiles such as p99.9")
    })
}

fn parse_stat_word(word: &str) -> Option<Stat> {
    match word {
        "mean" => Some(Stat::Mean),
        "max" => Some(Stat::Max),
        _ => {
            let digits = word.strip_prefix('p')?;
            if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
                return None;
            }
            let percentile: f64 = digits.parse().ok()?;
            (percentile > 0.0 && percentile <= 100.0).then_some(Stat::Percentile(percentile))
        }
    }
}

fn parse_value(metric: MetricName, text: &str, column: usize) -> Result<f64, ExpectationError> {
    // Words of a richer language, which people know from elsewhere and from our own plans.
    for (offset, word) in words(text) {
        if matches!(word, "over" | "in" | "vs" | "with" | "recorded" | "and" | "or" | "abort") {
            return Err(mistake(
                column + offset - 1,
                &format!("`{word}` is not supported yet"),
                "an expectation ends with its value, and there is one a line",
            ));
        }
    }
    let refused = |error: UnitError| mistake(column, &error.problem, error.hint);
    if metric.is_time() {
        let duration = parse_duration(text).map_err(refused)?;
        Ok(duration.as_secs_f64() * 1e9)
    } else {
        parse_share(text).map_err(refused)
    }
}

/// The words of a text, each with its column.
pub(super) fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            (text[..start].chars().count() + 1, word)
        })
        .collect()
}

/// A hostile line must not make a page of its error.
pub(super) fn crop(word: &str) -> String {
    word.chars().take(40).collect()
}

pub(super) fn mistake(column: usize, message: &str, hint: &str) -> ExpectationError {
    ExpectationError { column, message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_statistic_and_operator_is_read() {
        for (text, metric, stat, op, value) in [
            (
                "latency p99 < 250ms",
                MetricName::Latency,
                Some(Stat::Percentile(99.0)),
                Comparison::Below,
                250e6,
            ),
            (
                "service p99.9<=1.5s",
                MetricName::Service,
                Some(Stat::Percentile(99.9)),
                Comparison::AtMost,
                1.5e9,
            ),
            ("lateness max < 1s", MetricName::Lateness, Some(Stat::Max), Comparison::Below, 1e9),
            (
                "  connection-wait   mean > 10us ",
                MetricName::ConnectionWait,
                Some(Stat::Mean),
                Comparison::Above,
                1e4,
            ),
            ("errors < 0.1%", MetricName::Errors, None, Comparison::Below, 0.001),
            ("completeness >= 100%", MetricName::Completeness, None, Comparison::AtLeast, 1.0),
            ("status-changes <= 0%", MetricName::StatusChanges, None, Comparison::AtMost, 0.0),
        ] {
            let expectation = Expectation::parse(text).unwrap();
            assert_eq!((expectation.metric, expectation.stat, expectation.op), (metric, stat, op));
            assert!((expectation.value - value).abs() <= value * 1e-12, "{text}");
            assert_eq!(expectation.text, text.trim());
        }
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        for (text, column, message) in [
            ("", 1, "there is no operator"),
            ("latency p99", 12, "there is no operator"),
            ("< 5ms", 1, "no metric"),
            ("latencey p99 < 5ms", 1, "unknown metric `latencey`"),
            ("Latency p99 < 5ms", 1, "unknown metric"),
            ("latency < 5ms", 9, "needs a statistic"),
            ("latency p(99) < 5ms", 9, "unknown statistic `p(99)`"),
            ("latency avg < 5ms", 9, "unknown statistic `avg`"),
            ("latency p0 < 5ms", 9, "unknown statistic"),
            ("latency p101 < 5ms", 9, "unknown statistic"),
            ("latency pNaN < 5ms", 9, "unknown statistic"),
            ("latency p99 max < 5ms", 13, "one word too many"),
            ("errors p99 < 1%", 8, "single number"),
            ("latency p99 == 5ms", 13, "`==` is not an operator"),
            ("latency p99 ≤ 5ms", 13, "is not an operator"),
            ("latency p99 < 5", 15, "has no unit"),
            ("latency p99 <", 14, "there is no value"),
            ("latency p99 < 5%", 15, "is not a duration"),
            ("errors < 0.001", 10, "has no unit"),
            ("errors < 5ms", 10, "has no percent sign"),
            ("errors < 0.1% over 30s", 15, "`over` is not supported yet"),
            ("latency p99 < 1.10x recorded", 21, "`recorded` is not supported yet"),
            ("µ p99 < 5", 1, "unknown metric"),
        ] {
            let error = Expectation::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn no_number_is_never_a_pass() {
        for op in [Comparison::Below, Comparison::AtMost, Comparison::Above, Comparison::AtLeast] {
            assert!(!op.holds(f64::NAN, 1.0));
        }
        assert!(Comparison::AtMost.holds(1.0, 1.0) && !Comparison::Below.holds(1.0, 1.0));
        assert!(Comparison::AtLeast.holds(1.0, 1.0) && !Comparison::Above.holds(1.0, 1.0));
    }
}
