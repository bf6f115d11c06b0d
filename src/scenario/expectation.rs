//! One line of a scenario's `expect`: `METRIC [STAT] OP VALUE`, and what narrows it down.

pub mod clauses;
pub(super) mod words;
#[cfg(test)]
mod tests;

use crate::scenario::expectation::clauses::{Clauses, split_at_clauses};
use crate::scenario::expectation::words::{Claim, crop, mistake, split_at_operator, words};
use crate::stats::histograms::Stat;
use crate::units::rate::parse_rate;
use crate::units::{UnitError, parse_duration, parse_share};

/// A parsed expectation: `latency p99 < 250ms`, `errors < 0.1% over 30s`,
/// `latency p99 < 1.10x recorded for route /cart/*`, `rate within 5% of recorded`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As written, for reports.
    pub text: String,
    /// What is measured.
    pub metric: MetricName,
    /// Which statistic of it; `None` for metrics that are a single number.
    pub stat: Option<Stat>,
    /// What it must be.
    pub bound: Bound,
    /// What narrows it down.
    pub clauses: Clauses,
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
    /// Requests sent, each second.
    Rate,
    /// Answers, each second.
    Throughput,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// On one side of a value.
    Compared(Comparison, Value),
    /// No further away from a value, on either side, than this share of it: too much load is
    /// wrong, too.
    Within(f64, Value),
}

impl Bound {
    /// What it is held against.
    pub fn value(self) -> Value {
        match self {
            Self::Compared(_, value) | Self::Within(_, value) => value,
        }
    }
}

/// What something is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// In the metric's own unit: nanoseconds for times, a ratio for shares, a second for rates.
    Absolute(f64),
    /// So many times what the recording shows for the same requests.
    TimesRecorded(f64),
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
        let (claim, narrowed) = split_at_clauses(text);
        let Claim { left, op, op_column, right, right_column } = split_at_operator(claim)?;
        let words = words(left);
        let Some(&(metric_column, name)) = words.first() else {
            return Err(mistake(op_column, "there is no metric before the operator", METRICS));
        };
        let metric = MetricName::from_name(name).ok_or_else(|| {
            mistake(metric_column, &format!("unknown metric `{}`", crop(name)), METRICS)
        })?;
        let stat = parse_stat(metric, &words[1..], op_column)?;
        let bound = match op {
            Some(op) => Bound::Compared(op, parse_value(metric, right, right_column)?),
            None => parse_within(metric, right, right_column)?,
        };
        let clauses = Clauses::parse(&narrowed, text)?;
        clauses.check(metric, bound)?;
        Ok(Self { text: text.trim().to_owned(), metric, stat, bound, clauses })
    }

    /// What holds where it does not, without its clauses; `None` where it is no comparison.
    pub fn opposite(&self) -> Option<String> {
        let (claim, _) = split_at_clauses(&self.text);
        let Claim { left, op, right, .. } = split_at_operator(claim).ok()?;
        Some(format!("{} {} {right}", left.trim(), op?.opposite().sign()))
    }

    /// The comparison with a plain value, where it is one.
    pub fn compared(&self) -> Option<(Comparison, f64)> {
        match self.bound {
            Bound::Compared(op, Value::Absolute(value)) => Some((op, value)),
            _ => None,
        }
    }
}

const METRICS: &str = "the metrics are latency, service, lateness, connection-wait, errors, \
                       completeness, status-changes, rate and throughput";

impl MetricName {
    const ALL: [Self; 9] = [
        Self::Latency,
        Self::Service,
        Self::Lateness,
        Self::ConnectionWait,
        Self::Errors,
        Self::Completeness,
        Self::StatusChanges,
        Self::Rate,
        Self::Throughput,
    ];

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
            Self::Rate => "rate",
            Self::Throughput => "throughput",
        }
    }

    /// It is a distribution of times: it needs a statistic, and is compared with a duration.
    pub fn is_time(self) -> bool {
        match self {
            Self::Latency | Self::Service | Self::Lateness | Self::ConnectionWait => true,
            Self::Errors
            | Self::Completeness
            | Self::StatusChanges
            | Self::Rate
            | Self::Throughput => false,
        }
    }

    /// It is counted by the second.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Rate | Self::Throughput)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    fn example(self) -> String {
        let rest = match self {
            _ if self.is_time() => " p99 < 250ms",
            _ if self.is_rate() => " > 500/s",
            _ => " < 0.1%",
        };
        format!("write for example `{}{rest}`", self.name())
    }
}

impl Comparison {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }

    /// It bounds from above.
    pub fn is_ceiling(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }

    /// The one that holds where this one does not.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
        }
    }

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

fn parse_stat(
    metric: MetricName,
    words: &[(usize, &str)],
    op_column: usize,
) -> Result<Option<Stat>, ExpectationError> {
    let example = metric.example();
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

/// `250ms`, `0.1%`, `500/s`, `recorded` or `1.10x recorded`.
fn parse_value(metric: MetricName, text: &str, column: usize) -> Result<Value, ExpectationError> {
    let words = words(text);
    if let Some((at, _)) = words.iter().find(|(_, word)| matches!(*word, "and" | "or" | "vs")) {
        let hint = "there is one expectation a line; all of them must hold";
        return Err(mistake(column + at - 1, "an expectation ends with its value", hint));
    }
    if let Some((at, _)) = words.iter().find(|(_, word)| *word == "recorded") {
        return parse_times(metric, &words, (column, *at));
    }
    let refused = |error: UnitError| mistake(column, &error.problem, error.hint);
    if metric.is_time() {
        parse_duration(text).map(|time| Value::Absolute(time.as_secs_f64() * 1e9)).map_err(refused)
    } else if metric.is_rate() {
        parse_rate(text).map(|rate| Value::Absolute(rate.per_second())).map_err(refused)
    } else {
        parse_share(text).map(Value::Absolute).map_err(refused)
    }
}

/// `[FACTORx] recorded`, whose words have columns from `column` on.
fn parse_times(
    metric: MetricName,
    words: &[(usize, &str)],
    (column, recorded): (usize, usize),
) -> Result<Value, ExpectationError> {
    if !(metric.is_rate() || matches!(metric, MetricName::Latency | MetricName::Service)) {
        let message = format!("there is no `{}` in a recording", metric.name());
        let hint = "latency, service, rate and throughput can be held against the recording; \
                    errors are only those that production did not have";
        return Err(mistake(column + recorded - 1, &message, hint));
    }
    let factor = match words {
        [_] => Some(1.0),
        [(_, factor), _] => {
            let number = factor.strip_suffix('x').unwrap_or_default();
            let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
            number.parse::<f64>().ok().filter(|factor| is_plain && *factor > 0.0)
        }
        _ => None,
    };
    factor.filter(|factor| factor.is_finite()).map(Value::TimesRecorded).ok_or_else(|| {
        let hint = "write `recorded` or such as `1.10x recorded`";
        mistake(column, "this is no multiple of what was recorded", hint)
    })
}

/// `5% of VALUE`.
fn parse_within(metric: MetricName, text: &str, column: usize) -> Result<Bound, ExpectationError> {
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
