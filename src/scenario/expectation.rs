//! One line of a scenario's `expect`: `METRIC [STAT] OP VALUE`, and what narrows it down.

pub mod clauses;
pub(super) mod probes;
mod values;
pub(super) mod words;
#[cfg(test)]
mod tests;

use crate::scenario::acts::{ActName, Acts};
use crate::scenario::expectation::clauses::{Clauses, split_at_clauses};
use crate::scenario::expectation::values::{parse_value, parse_within};
use crate::scenario::expectation::words::{Claim, crop, mistake, split_at_operator, words};
use crate::scenario::problem::Mistake;
use crate::scenario::watch::Watch;
use crate::stats::histograms::Stat;

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
    /// The probe and its figure, `PROBE.FIGURE`, where it is about one, and else empty.
    pub figure: String,
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
    /// Share of bodies of another size than the recorded one, among answers of the same status.
    SizeChanges,
    /// Requests sent, each second.
    Rate,
    /// Answers, each second.
    Throughput,
    /// How long emptied caches make the load slower, by the act `cold`; a time.
    Warmup,
    /// A figure of a probe, a plain number: a gauge at each look, or by how much a counter grew.
    Probe,
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
    /// So many times what the baseline run measured.
    TimesBaseline(f64),
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
        if probes::is_about_one(text) {
            return probes::parse(text);
        }
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
        let mut clauses = Clauses::parse(&narrowed, text)?;
        clauses.check(metric, bound)?;
        if metric == MetricName::Warmup {
            clauses.act = Some(ActName::Cold);
            check_warmup(bound, op_column)?;
        }
        let (text, figure) = (text.trim().to_owned(), String::new());
        Ok(Self { text, metric, stat, figure, bound, clauses })
    }

    /// The same as an option, whose mistakes have no line to be shown below, of a load that has
    /// neither acts nor probes.
    pub fn option(text: &str) -> Result<Self, Mistake> {
        let read = Self::parse(text).map_err(|ExpectationError { column, message, hint }| {
            Mistake::new(format!("{message} (character {column} of `{}`)", crop(text)), hint)
        })?;
        if read.metric == MetricName::Probe || read.clauses.act.is_some() {
            let hint = "write a scenario, whose `acts` and `watch` have them";
            return Err(Mistake::new("a load without a scenario has no acts and no probes", hint));
        }
        Ok(read)
    }

    /// What is wrong where it is about an act that the scenario has not, or a probe that nobody
    /// watches.
    pub fn check(&self, acts: &Acts, watches: &[Watch]) -> Result<(), Mistake> {
        if let Some(act) = self.clauses.act.filter(|act| !acts.has(*act)) {
            let what = if self.metric == MetricName::Warmup { "this line" } else { "`in act`" };
            let hint = format!("add `{}` to `acts`, or leave out {what}", act.name());
            let message = format!("the scenario has no act `{}`", act.name());
            return Err(Mistake { offset: self.clauses.act_column() - 1, message, hint });
        }
        match self.metric {
            MetricName::Probe => probes::check(&self.figure, watches),
            _ => Ok(()),
        }
    }

    /// The trials of the act `capacity` are held against it. They tell what any load tells by
    /// itself: nothing of another act or run, and of no rate of its own, which a multiple of the
    /// load changes. Figures of probes are asked of them where it says so.
    pub fn is_of_trials(&self) -> bool {
        let act = self.clauses.act;
        match (self.metric, self.bound.value()) {
            (MetricName::Probe, _) => act == Some(ActName::Capacity),
            (_, Value::TimesBaseline(_)) => false,
            (metric, Value::Absolute(_)) if metric.is_rate() => false,
            (metric, _) => metric.is_of_a_load() && self.clauses.are_of(ActName::Capacity),
        }
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

/// Refuses what noise makes meaningless: a warm-up of nothing, or of an exact length.
fn check_warmup(bound: Bound, column: usize) -> Result<(), ExpectationError> {
    match bound {
        Bound::Compared(op, Value::Absolute(_)) if op.is_ceiling() => Ok(()),
        _ => Err(mistake(
            column,
            "a warm-up has a longest time, and nothing else",
            "write for example `warmup < 10m`",
        )),
    }
}

/// The tightest upper bound on a latency quantile of a load of the replay, or of another act, ns:
/// our own lateness must be small beside it.
pub fn tightest_latency(expectations: &[Expectation], act: ActName) -> Option<f64> {
    expectations
        .iter()
        .filter(|each| matches!(each.metric, MetricName::Latency | MetricName::Service))
        .filter(|each| matches!(each.stat, Some(Stat::Percentile(_))))
        .filter(|each| each.clauses.are_of(act))
        .filter_map(Expectation::compared)
        .filter(|(op, _)| op.is_ceiling())
        .map(|(_, value)| value)
        .min_by(f64::total_cmp)
}

const METRICS: &str = "the metrics are latency, service, lateness, connection-wait, errors, \
                       completeness, status-changes, size-changes, rate, throughput, warmup, \
                       and figures of probes such as redis.connected_clients: the probe's name, a \
                       dot, and a figure (`value` of a command, `lines` of a log)";

impl MetricName {
    const ALL: [Self; 11] = [
        Self::Latency,
        Self::Service,
        Self::Lateness,
        Self::ConnectionWait,
        Self::Errors,
        Self::Completeness,
        Self::StatusChanges,
        Self::SizeChanges,
        Self::Rate,
        Self::Throughput,
        Self::Warmup,
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
            Self::SizeChanges => "size-changes",
            Self::Rate => "rate",
            Self::Throughput => "throughput",
            Self::Warmup => "warmup",
            Self::Probe => "figure of a probe",
        }
    }

    /// It is a distribution of times: it needs a statistic, and is compared with a duration.
    pub fn is_time(self) -> bool {
        match self {
            Self::Latency | Self::Service | Self::Lateness | Self::ConnectionWait => true,
            Self::Errors
            | Self::Completeness
            | Self::StatusChanges
            | Self::SizeChanges
            | Self::Rate
            | Self::Throughput
            | Self::Warmup
            | Self::Probe => false,
        }
    }

    /// The summary of one load has it: it is neither a probe's nor what two loads differ by.
    pub fn is_of_a_load(self) -> bool {
        !matches!(self, Self::Warmup | Self::Probe)
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
            Self::Warmup => " < 10m",
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
