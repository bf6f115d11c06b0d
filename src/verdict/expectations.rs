//! Holds the scenario's expectations against the summary.

pub mod around;
pub mod baseline;
mod figures;
mod stretches;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::scenario::expectation::clauses::After;
use crate::scenario::expectation::{Bound, Expectation, MetricName, Value};
use crate::stats::counts::{as_f64, as_index};
use crate::stats::histograms::{self, Stat};
use crate::stats::shares::Share;
use crate::summary::Summary;
use crate::units::{format_duration, format_rate, format_share};
use crate::verdict::expectations::baseline::Baseline;
use crate::verdict::expectations::stretches::{Stretch, Stretches};
use crate::verdict::{CheckedExpectation, Outcome};

/// What expectations are held against.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What happened.
    pub summary: &'a Summary,
    /// From the start of the run to the last moment at which something was due.
    pub length: Duration,
    /// The load is that of a recording, which can be compared with.
    pub is_recorded: bool,
    /// The run that is compared with; `None` where none is named.
    pub baseline: Option<&'a Baseline>,
}

/// Checks one expectation. Without data it is `Unknown`, never met; a route that nobody asked for
/// is not met, since it is a mistake that would else hide for ever.
///
/// A request that never got an answer was not fast: where a percentile of latency or service lies
/// among those, it is longer than any bound, and so is a mean that has one of them in it. What was
/// left out of the load on purpose never asked for one, and counts nowhere.
pub fn check(expectation: &Expectation, seen: &Seen<'_>) -> CheckedExpectation {
    let (outcome, actual) = match measured(expectation, seen) {
        Err(Missing::Route(pattern)) => {
            (Outcome::Fail, format!("no request was sent to a route like {pattern}"))
        }
        Err(Missing::Data(reason)) => (Outcome::Unknown, reason),
        Ok((value, text)) if !value.holds(expectation.bound) => (Outcome::Fail, text),
        Ok((_, text)) => match hidden(expectation, seen.summary) {
            Some(why) => (Outcome::Unknown, format!("{text}; {why}")),
            None => (Outcome::Pass, text),
        },
    };
    CheckedExpectation { text: expectation.text.clone(), outcome, actual }
}

/// Why what holds may not hold for all that was asked for.
fn hidden(expectation: &Expectation, summary: &Summary) -> Option<String> {
    let clauses = &expectation.clauses;
    let pattern = clauses.route.as_deref()?;
    let by_time = clauses.over.is_some() || clauses.after.is_some();
    stretches::may_hide(summary, pattern, by_time).then(|| {
        "there were more routes than are told apart, and some of the others may fit, too".to_owned()
    })
}

/// Why there is nothing to compare.
#[derive(Debug, PartialEq)]
enum Missing {
    /// No route fits the pattern.
    Route(String),
    /// The reason.
    Data(String),
}

impl From<String> for Missing {
    fn from(reason: String) -> Self {
        Self::Data(reason)
    }
}

impl From<&str> for Missing {
    fn from(reason: &str) -> Self {
        Self::Data(reason.to_owned())
    }
}

/// A value in the metric's own unit, and what the bound's value is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    value: f64,
    held_against: f64,
}

impl Measured {
    fn holds(self, bound: Bound) -> bool {
        match bound {
            Bound::Compared(op, _) => op.holds(self.value, self.held_against),
            Bound::Within(..) => self.beyond(bound) <= 0.0,
        }
    }

    /// By how much it is on the wrong side; what is larger is worse.
    fn beyond(self, bound: Bound) -> f64 {
        match bound {
            Bound::Compared(op, _) if op.is_ceiling() => self.value - self.held_against,
            Bound::Compared(..) => self.held_against - self.value,
            Bound::Within(share, _) => {
                (self.value - self.held_against).abs() - share * self.held_against
            }
        }
    }
}

/// What there is to compare, and as text.
fn measured(expectation: &Expectation, seen: &Seen<'_>) -> Result<(Measured, String), Missing> {
    let clauses = &expectation.clauses;
    if matches!(expectation.bound.value(), Value::TimesRecorded(_)) && !seen.is_recorded {
        return Err("nothing was recorded that this load could be compared with".into());
    }
    if clauses.over.is_none() && clauses.after.is_none() && !expectation.metric.is_rate() {
        return in_whole(expectation, seen);
    }
    let mut stretches = Stretches::of(expectation, seen)?;
    let (mut worst, mut reason) = (None::<(Measured, Stretch)>, None);
    while let Some(stretch) = stretches.next() {
        let measured = match in_stretch(expectation, &stretch) {
            Ok(measured) => measured,
            Err(why) => {
                reason = Some(why);
                continue;
            }
        };
        let beyond = measured.beyond(expectation.bound);
        let is_worse =
            worst.as_ref().is_none_or(|(worst, _)| beyond > worst.beyond(expectation.bound));
        if is_worse {
            worst = Some((measured, stretch));
        }
    }
    let Some((measured, stretch)) = worst else {
        let reason = reason.unwrap_or_else(|| "there is nothing to measure".to_owned());
        return Err(reason.into());
    };
    let place = if clauses.over.is_some() {
        let (length, from) = (stretch.length, stretch.from);
        format!(" (worst {}, from {} on)", format_duration(length), format_duration(from))
    } else if matches!(clauses.after, Some(After::Warmup)) {
        format!(" (warm after {})", format_duration(stretch.from))
    } else {
        String::new()
    };
    let told = told(expectation, measured, stretch.missing());
    Ok((measured, told + &place))
}

/// A metric of a stretch of the run.
fn in_stretch(expectation: &Expectation, stretch: &Stretch) -> Result<Measured, String> {
    // Never counted in answers: a stretch without any would be left out for that.
    enough(stretch.requests, expectation.clauses.samples)?;
    let a_second = |count: u64| as_f64(count) / stretch.length.as_secs_f64().max(1.0);
    let value = match expectation.metric {
        MetricName::Rate => a_second(stretch.sent),
        MetricName::Throughput => a_second(stretch.answered),
        MetricName::Errors => {
            let sent = stretch.requests.saturating_sub(stretch.unsent);
            share(stretch.errors, sent, "no request was sent")?.0
        }
        _ => {
            let stat = expectation.stat.ok_or("it names no statistic such as p99")?;
            time_of(&stretch.latency, [stretch.requests, stretch.unsent], stat)?
        }
    };
    let held_against = match expectation.bound.value() {
        Value::Absolute(value) => value,
        Value::TimesRecorded(factor) => factor * a_second(stretch.requests),
        // The line is refused: a saved run has no stretches.
        Value::TimesBaseline(_) => f64::NAN,
    };
    Ok(Measured { value, held_against })
}

/// A metric of the whole run.
fn in_whole(expectation: &Expectation, seen: &Seen<'_>) -> Result<(Measured, String), Missing> {
    let summary = seen.summary;
    let least = expectation.clauses.samples;
    let stat = || expectation.stat.ok_or("it names no statistic such as p99");
    let time = |histogram: &Histogram<u64>, asked: [u64; 2], known| -> Result<_, Missing> {
        let [requests, unsent] = asked;
        enough(requests, least)?;
        let value = time_of(histogram, [requests, unsent], stat()?)?;
        let held_against = match expectation.bound.value() {
            Value::Absolute(value) => value,
            Value::TimesRecorded(factor) => factor * recorded(known, stat()?)?,
            Value::TimesBaseline(factor) => factor * of_baseline(expectation, seen)?,
        };
        let missing = requests.saturating_sub(histogram.len());
        let measured = Measured { value, held_against };
        let missing = as_f64(missing) / as_f64(requests.max(1));
        Ok((measured, told(expectation, measured, missing)))
    };
    let share = |part, whole, without| -> Result<_, Missing> {
        enough(whole, least)?;
        let (value, text) = share(part, whole, without)?;
        let held_against = match expectation.bound.value() {
            Value::Absolute(value) => value,
            Value::TimesRecorded(_) => f64::NAN,
            Value::TimesBaseline(factor) => {
                let of_baseline = of_baseline(expectation, seen)?;
                let measured = Measured { value, held_against: factor * of_baseline };
                return Ok((measured, told(expectation, measured, 0.0)));
            }
        };
        Ok((Measured { value, held_against }, text))
    };
    let changes = |Share { part, whole }: Share, without| share(part, whole, without);
    if let Some(pattern) = &expectation.clauses.route {
        let route = stretches::of_routes(summary, pattern)?;
        return match expectation.metric {
            MetricName::Errors => {
                share(route.errors, route.arrivals - route.unsent, "no request was sent")
            }
            MetricName::StatusChanges => changes(route.responses.status_changes(), NO_STATUS),
            MetricName::SizeChanges => changes(route.responses.size_changes(), NO_SIZE),
            _ => {
                let asked = [route.arrivals, route.unsent].map(|all| all - route.set_aside);
                time(&route.latency, asked, &route.recorded_latency)
            }
        };
    }
    let known = &summary.recorded_latency;
    let aside = summary.set_aside();
    let asked = summary.arrivals - aside;
    let unsent = summary.unsent() - aside;
    match expectation.metric {
        MetricName::Latency => time(&summary.latency, [asked, unsent], known),
        MetricName::Service => time(&summary.service, [summary.sent.total, 0], known),
        MetricName::Lateness => time(&summary.lateness, [summary.lateness.len(), 0], known),
        MetricName::ConnectionWait => {
            time(&summary.connection_wait, [summary.offered.total, unsent], known)
        }
        MetricName::Errors => share(summary.errors, asked - unsent, "no request was sent"),
        MetricName::Completeness => share(summary.sent.total, asked, "nothing was planned"),
        MetricName::StatusChanges => {
            share(summary.status_changes, summary.evidence.answers_compared, NO_STATUS)
        }
        MetricName::SizeChanges => {
            let each = summary.routes.values().map(|route| route.responses.size_changes());
            changes(Share::sum(&each.collect::<Vec<_>>()), NO_SIZE)
        }
        MetricName::Rate | MetricName::Throughput => Err("it is counted by the second".into()),
        MetricName::Warmup => Err("the act `cold` tells it, not one load".into()),
        MetricName::Probe => Err("a load tells nothing of a probe".into()),
    }
}

const NO_STATUS: &str = "there is no answer whose recorded status is known";
const NO_SIZE: &str = "there is no answer whose recorded size is known";

/// As people read it.
fn told(expectation: &Expectation, measured: Measured, missing: f64) -> String {
    let show = |value: f64| match expectation.metric {
        metric if metric.is_rate() => format_rate(value),
        metric if metric.is_time() => format_duration(Duration::from_nanos(as_index(value) as u64)),
        _ => format_share(value),
    };
    if measured.value.is_infinite() {
        return format!("no end: {} of the requests had none", format_share(missing));
    }
    match expectation.bound.value() {
        Value::Absolute(_) => show(measured.value),
        Value::TimesRecorded(factor) => {
            let recorded = measured.held_against / factor;
            format!("{}; recorded {}", show(measured.value), show(recorded))
        }
        Value::TimesBaseline(factor) => {
            let before = measured.held_against / factor;
            format!("{}; baseline {}", show(measured.value), show(before))
        }
    }
}

/// What the baseline measured.
fn of_baseline(expectation: &Expectation, seen: &Seen<'_>) -> Result<f64, String> {
    let baseline = seen.baseline.ok_or("no baseline is named: --baseline names one")?;
    baseline.value(expectation)
}

/// What production took, of the same requests that were answered.
fn recorded(known: &Histogram<u64>, stat: Stat) -> Result<f64, String> {
    time_of(known, [known.len(), 0], stat)
        .map_err(|_| "the recording does not tell what production took".to_owned())
}

fn enough(samples: u64, least: Option<u64>) -> Result<(), String> {
    match least {
        Some(least) if samples < least => Err(format!("only {samples} of {least} samples")),
        _ => Ok(()),
    }
}

/// A statistic of the times of `requests`, of which `unsent` never left this machine, as
/// [`histograms::time_of`] has it; and a mean of what has no end has none.
fn time_of(
    histogram: &Histogram<u64>,
    [requests, unsent]: [u64; 2],
    stat: Stat,
) -> Result<f64, String> {
    match histograms::time_of(histogram, requests, stat) {
        Some(_) if stat == Stat::Mean && requests > histogram.len() => Ok(f64::INFINITY),
        Some(time) => Ok(time),
        // Requests were made, and none of them was answered.
        None if requests > unsent => Ok(f64::INFINITY),
        None => Err("there is no answer to measure".to_owned()),
    }
}

fn share(part: u64, whole: u64, without: &str) -> Result<(f64, String), String> {
    if whole == 0 {
        return Err(without.to_owned());
    }
    let share = as_f64(part) / as_f64(whole);
    Ok((share, format_share(share)))
}
