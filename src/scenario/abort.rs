//! One line of a scenario's `abort`: `METRIC [STAT] OP VALUE over TIME`. Where it holds, the run
//! ends early, so that a rehearsal harms a stack no longer than it teaches anything.

use std::time::Duration;

use crate::scenario::expectation::clauses::{After, Clauses};
use crate::scenario::expectation::probes::{self, Claim};
use crate::scenario::expectation::words::{byte_of, crop, mistake, words};
use crate::scenario::expectation::{Comparison, Expectation, ExpectationError, MetricName};
use crate::scenario::problem::Mistake;
use crate::scenario::watch::Watch;
use crate::stats::histograms::Stat;
use crate::units::parse_duration;

/// A rule that ends a run. `errors > 10% over 10s`, `latency p99 > 2s over 10s`,
/// `redis.connected_clients > 900`.
#[derive(Clone, Debug, PartialEq)]
pub struct AbortRule {
    /// As written, for reports.
    pub text: String,
    /// What is looked at.
    pub what: AbortOn,
    /// How it is compared.
    pub op: Comparison,
    /// With what, in the metric's own unit: nanoseconds for times, a ratio for shares.
    pub value: f64,
    /// The time over which it must hold, whole seconds for what the driver measures; zero is a
    /// single look of a probe.
    pub over: Duration,
    /// It is not looked at before this much of the run.
    pub not_before: Duration,
    /// Fewer requests than these in that time say nothing.
    pub samples: u64,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum AbortOn {
    /// The share of the requests sent that ended in an error.
    Errors,
    /// A statistic of the times from due to done.
    Latency(Stat),
    /// A figure of a probe: a gauge at each look, or by how much a counter grew.
    Probe {
        /// The probe and its figure, `PROBE.FIGURE`. Which part is which, the probes tell: both may
        /// hold a point.
        name: String,
    },
}

impl AbortOn {
    /// What of an expectation is measured while a run goes on; `None` for what is not.
    fn of(expectation: &Expectation) -> Option<Self> {
        match (expectation.metric, expectation.stat) {
            (MetricName::Errors, _) => Some(Self::Errors),
            (MetricName::Latency, Some(stat)) => Some(Self::Latency(stat)),
            _ => None,
        }
    }
}

/// Over how much an expectation without a time of its own is judged while the run goes on.
const DEFAULT_OVER: Duration = Duration::from_secs(10);

/// Longest time that a rule looks back: five minutes.
pub const MAX_OVER: Duration = Duration::from_mins(5);

/// Most rules of a run: more than anybody could have thought about.
pub const MAX_RULES: usize = 50;

impl AbortRule {
    /// Reads one line.
    pub fn parse(text: &str) -> Result<Self, ExpectationError> {
        let words = words(text);
        let over = words.iter().find(|(_, word)| *word == "over").map(|(column, _)| *column);
        let cut = over.map_or(text.len(), |column| byte_of(text, column));
        let (rule, rest) = text.split_at(cut);
        let over = over.map(|column| window(rest, column)).transpose()?;
        if probes::is_about_one(text) {
            let Claim { name, op, value } = probes::claim(rule)?;
            let (text, what) = (text.trim().to_owned(), AbortOn::Probe { name });
            let (over, not_before) = (over.unwrap_or_default(), Duration::ZERO);
            return Ok(Self { text, what, op, value, over, not_before, samples: 0 });
        }
        let read = Expectation::parse(rule)?;
        let column = words.first().map_or(1, |(column, _)| *column);
        let Some(what) = AbortOn::of(&read) else {
            let message = format!("`{}` cannot end a run", read.metric.name());
            return Err(mistake(column, &message, METRICS));
        };
        let Some((op, value)) = read.compared().filter(|_| read.clauses == Clauses::default())
        else {
            let message = "only a plain value over a time can end a run";
            return Err(mistake(column, message, METRICS));
        };
        let Some(over) = over else {
            let column = text.chars().count() + 1;
            let hint = "add the time over which it must hold, such as `over 10s`";
            return Err(mistake(column, "there is no time to look back", hint));
        };
        let (over, text) = (whole_seconds(over), text.trim().to_owned());
        Ok(Self { text, what, op, value, over, not_before: Duration::ZERO, samples: 0 })
    }

    /// The rule that ends a run as soon as an expectation does not hold, where that was asked for.
    pub fn of(expectation: &Expectation) -> Option<Self> {
        let Clauses { over, after, abort, samples, .. } = expectation.clauses;
        let (op, value) = expectation.compared()?;
        let begin = match after {
            Some(After::Time(time)) => time,
            _ => Duration::ZERO,
        };
        let over = over.unwrap_or(DEFAULT_OVER);
        Some(Self {
            text: format!("{} over {}", expectation.opposite()?, over_text(over)),
            what: AbortOn::of(expectation)?,
            op: op.opposite(),
            value,
            over,
            not_before: abort?.max(begin),
            samples: samples.unwrap_or(0),
        })
    }

    /// The same as an option, whose mistakes have no line to be shown below.
    pub fn option(text: &str) -> Result<Self, Mistake> {
        Self::parse(text).map_err(|ExpectationError { column, message, hint }| {
            Mistake::new(format!("{message} (character {column} of `{}`)", crop(text)), hint)
        })
    }

    /// What is wrong where it looks at a probe that nobody watches.
    pub fn check(&self, watches: &[Watch]) -> Result<(), Mistake> {
        let AbortOn::Probe { name } = &self.what else { return Ok(()) };
        probes::check(name, watches)
    }
}

/// The figure in `PROBE.FIGURE`, where the probe is this one.
pub fn figure_of<'a>(name: &'a str, probe: &str) -> Option<&'a str> {
    probes::figure_of(name, probe)
}

const METRICS: &str = "write errors, latency, or a figure of a probe, such as `errors > 10% over \
                       10s`, `latency p99 > 2s over 10s` or `redis.connected_clients > 900`";

fn window(rest: &str, column: usize) -> Result<Duration, ExpectationError> {
    let value = rest.strip_prefix("over").unwrap_or(rest);
    let column = column + rest.chars().count() - value.trim_start().chars().count();
    let over = parse_duration(value.trim())
        .map_err(|error| mistake(column, &error.problem, error.hint))?;
    if over < Duration::from_secs(1) || over > MAX_OVER {
        let message = format!("{} is out of range", crop(value.trim()));
        return Err(mistake(column, &message, "write a time from 1s to 5m"));
    }
    Ok(over)
}

/// As people write it.
fn over_text(over: Duration) -> String {
    format!("{}s", over.as_secs())
}

/// The driver counts by the second.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let read = |text: &str| AbortRule::parse(text).unwrap();
        let errors = read(" errors > 10% over 10s ");
        assert_eq!((errors.what, errors.over), (AbortOn::Errors, Duration::from_secs(10)));
        assert_eq!((errors.text.as_str(), errors.op), ("errors > 10% over 10s", Comparison::Above));
        assert!((errors.value - 0.1).abs() < 1e-12);
        let latency = read("latency p99 >= 2s over 1500ms");
        assert_eq!(latency.what, AbortOn::Latency(Stat::Percentile(99.0)));
        assert_eq!(latency.over, Duration::from_secs(2), "whole seconds");
        let probe = read("redis.connected_clients > 900");
        assert_eq!((probe.over, probe.value.to_string().as_str()), (Duration::ZERO, "900"));
        let name = |text: &str| match read(text).what {
            AbortOn::Probe { name } => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name("redis.connected_clients > 900"), "redis.connected_clients");
        assert_eq!(name("n.x{a=\"b c\"} <= -1.5 over 3s"), "n.x{a=\"b c\"}");
    }

    #[test]
    fn an_expectation_that_may_end_a_run_is_the_opposite_rule() {
        let of = |text: &str| AbortRule::of(&Expectation::parse(text).unwrap());
        let rule = of("errors < 10% over 30s after 20s with >= 50 samples abort after 1m").unwrap();
        assert_eq!((rule.text.as_str(), rule.op), ("errors >= 10% over 30s", Comparison::AtLeast));
        assert_eq!((rule.what, rule.samples), (AbortOn::Errors, 50));
        assert_eq!((rule.over.as_secs(), rule.not_before.as_secs()), (30, 60));
        let plain = of("latency p99 <= 2s after 20s abort").unwrap();
        assert_eq!((plain.over.as_secs(), plain.not_before.as_secs()), (10, 20));
        assert_eq!(of("errors < 10% over 30s"), None, "it was not asked for");
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        for (text, column, message) in [
            ("errors > 10%", 13, "there is no time to look back"),
            ("errors > 10% over", 18, "there is no value"),
            ("errors > 10% over 10", 19, "has no unit"),
            ("errors > 10% over 6m", 19, "6m is out of range"),
            ("errors > 10% over 10ms", 19, "out of range"),
            ("errors > 10 over 10s", 10, "has no"),
            ("latency > 2s over 10s", 9, "needs a statistic"),
            ("latencey p99 > 2s over 10s", 1, "unknown metric `latencey`"),
            ("completeness < 90% over 10s", 1, "`completeness` cannot end a run"),
            ("redis.clients 900", 18, "there is no operator"),
            ("redis.clients > many", 17, "`many` is not a plain number"),
            ("redis.clients > 1 over 0s", 24, "out of range"),
            ("", 1, "there is no operator"),
        ] {
            let error = AbortRule::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(message) && !error.hint.is_empty(), "{text}: {error}");
        }
        let told = AbortRule::option("errors > 10%").unwrap_err().to_string();
        assert!(told.contains("character 13 of `errors > 10%`"), "{told}");
    }

    #[test]
    fn names_with_points_are_those_of_the_probes() {
        assert_eq!(figure_of("node.1.load1", "node.1"), Some("load1"));
        assert_eq!(figure_of("node.1.load1", "node"), Some("1.load1"));
        assert_eq!(figure_of("node.", "node"), None);
        let rule = AbortRule::parse("redis.x > 1").unwrap();
        let told = rule.check(&[]).unwrap_err().to_string();
        assert!(told.contains("no probe is called as in `redis.x`; the scenario watches nothing"));
    }
}
