//! What narrows an expectation down, behind its value: `over 30s`, `after warmup`,
//! `in act cold`, `for route /cart/*`, `with >= 1000 samples`, `abort after 1m`.

use std::time::Duration;

use crate::scenario::acts::ActName;
use crate::scenario::expectation::words::{byte_of, crop, mistake, words};
use crate::scenario::expectation::{Bound, ExpectationError, MetricName, Value};
use crate::units::parse_duration;

/// The clauses of a line, in any order, each at most once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clauses {
    /// It must hold in every stretch of the run of this length, in whole seconds.
    pub over: Option<Duration>,
    /// What comes before does not count.
    pub after: Option<After>,
    /// Only what this act did or saw, instead of the replay.
    pub act: Option<ActName>,
    /// Only the requests of routes that fit this pattern: `*` stands for anything, and a pattern
    /// without a method for every method.
    pub route: Option<String>,
    /// Fewer requests than these say nothing.
    pub samples: Option<u64>,
    /// The run ends as soon as it does not hold any more, but not before this much of it.
    pub abort: Option<Duration>,
    /// Where each stands in the line, for mistakes.
    columns: Columns,
}

/// From when on a run counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// From when on latency was as steady as it became.
    Warmup,
    /// After so much of the run, in whole seconds.
    Time(Duration),
}

/// Columns of the clauses, from 1; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    over: usize,
    after: usize,
    route: usize,
    samples: usize,
    abort: usize,
    act: usize,
}

/// Longest time in a clause: a day.
const MAX_TIME: Duration = Duration::from_hours(24);

/// Longest time over which a run that goes on is looked back at.
const MAX_ABORT_OVER: Duration = crate::scenario::abort::MAX_OVER;

pub(super) const KEYWORDS: [&str; 6] = ["over", "after", "for", "with", "abort", "in"];

const CLAUSES: &str = "behind the value may stand `over 30s`, `after 1m`, `after warmup`, \
                       `in act cold`, `for route /cart/*`, `with >= 1000 samples` and `abort`";

/// The claim of a line, and the words of what narrows it down, with their columns in the line.
pub(super) fn split_at_clauses(text: &str) -> (&str, Vec<(usize, &str)>) {
    let mut words = words(text);
    let first = words.iter().position(|(_, word)| KEYWORDS.contains(word)).unwrap_or(words.len());
    let rest = words.split_off(first);
    let cut = rest.first().map_or(text.len(), |(column, _)| byte_of(text, *column));
    (text.get(..cut).unwrap_or(text), rest)
}

impl Clauses {
    /// Every request counts, over all of the time.
    pub fn are_of_the_whole(&self) -> bool {
        let Self { over, after, route, samples, .. } = self;
        over.is_none() && after.is_none() && route.is_none() && samples.is_none()
    }

    /// What counts are requests of the replay, and not those of another act.
    pub fn are_of_the_replay(&self) -> bool {
        self.are_of(ActName::Replay)
    }

    /// What counts are requests of this act, or of any that replays all of the load.
    pub fn are_of(&self, act: ActName) -> bool {
        self.act.is_none_or(|named| named == act)
    }

    /// The column of `in act`; 1 where there is none.
    pub(super) fn act_column(&self) -> usize {
        self.columns.act.max(1)
    }

    /// Reads the words behind the value of a line.
    pub(super) fn parse(words: &[(usize, &str)], line: &str) -> Result<Self, ExpectationError> {
        let mut read = Self::default();
        let mut reader = Words { all: words, next: 0, end: line.trim_end().chars().count() + 1 };
        while let Some((column, word)) = reader.take() {
            let place = match word {
                "over" => {
                    read.over = Some(reader.time()?);
                    &mut read.columns.over
                }
                "after" => {
                    read.after = Some(reader.moment()?);
                    &mut read.columns.after
                }
                "in" => {
                    read.act = Some(reader.act()?);
                    &mut read.columns.act
                }
                "for" => {
                    read.route = Some(reader.route()?);
                    &mut read.columns.route
                }
                "with" => {
                    read.samples = Some(reader.samples()?);
                    &mut read.columns.samples
                }
                "abort" => {
                    read.abort = Some(reader.delay()?);
                    &mut read.columns.abort
                }
                _ => {
                    let message = format!("`{}` is no clause", crop(word));
                    return Err(mistake(column, &message, CLAUSES));
                }
            };
            if *place != 0 {
                let message = format!("`{word}` stands here for the second time");
                return Err(mistake(column, &message, "write each clause once"));
            }
            *place = column;
        }
        Ok(read)
    }

    /// Refuses what the run keeps no numbers for.
    pub(super) fn check(&self, metric: MetricName, bound: Bound) -> Result<(), ExpectationError> {
        let Self { over, after, route, columns, .. } = self;
        let name = metric.name();
        let is_windowed = over.is_some() || after.is_some();
        let place = if over.is_some() { columns.over } else { columns.after };
        let by_second =
            metric.is_rate() || matches!(metric, MetricName::Latency | MetricName::Errors);
        if is_windowed && !by_second {
            let message = format!("`{name}` is not kept by the second");
            let hint = "latency, errors, rate and throughput are; for the others leave it out";
            return Err(mistake(place, &message, hint));
        }
        let by_route = matches!(
            metric,
            MetricName::Latency
                | MetricName::Errors
                | MetricName::StatusChanges
                | MetricName::SizeChanges
        );
        if route.is_some() && !by_route {
            let message = format!("`{name}` is not kept by route");
            let hint = "latency, errors, status-changes and size-changes are";
            return Err(mistake(columns.route, &message, hint));
        }
        if route.is_some() && is_windowed && metric == MetricName::Errors {
            let hint = "leave out the time, or the route";
            return Err(mistake(place, "errors of a route are kept for the whole run", hint));
        }
        let is_recorded = matches!(bound.value(), Value::TimesRecorded(_));
        if is_recorded && !metric.is_rate() && is_windowed {
            let hint = "leave this out, or compare with a time of your own";
            return Err(mistake(place, "recorded times are kept for the whole run only", hint));
        }
        if matches!(bound.value(), Value::TimesBaseline(_)) {
            self.check_baseline(metric)?;
        }
        self.check_act(metric, bound)?;
        self.check_abort(metric, bound)
    }

    /// Refuses acts that send no load, and what a multiple of a load changes.
    fn check_act(&self, metric: MetricName, bound: Bound) -> Result<(), ExpectationError> {
        let is_fixed = metric.is_rate() && matches!(bound.value(), Value::Absolute(_));
        if metric == MetricName::Warmup && self.samples.is_some() {
            let hint = "leave this out: the act `cold` says itself when there are too few";
            return Err(mistake(self.columns.samples, "`warmup` has no samples", hint));
        }
        match self.act {
            Some(ActName::Replay | ActName::Capacity) if metric == MetricName::Warmup => {
                let hint = "write `in act cold`, or nothing";
                Err(mistake(self.columns.act, "`warmup` is what the act `cold` measures", hint))
            }
            Some(ActName::Capacity) if is_fixed => {
                let name = metric.name();
                let message = format!("a multiple of the load has a multiple of this `{name}`");
                let hint = "write it beside the plan, such as `throughput within 5% of recorded`";
                Err(mistake(self.columns.act, &message, hint))
            }
            None | Some(ActName::Cold | ActName::Replay | ActName::Capacity) => Ok(()),
            Some(act) => {
                let message = format!("the act `{}` does not measure a load", act.name());
                let hint = "the acts `cold`, `replay` and `capacity` do; figures of probes are \
                            there of all";
                Err(mistake(self.columns.act, &message, hint))
            }
        }
    }

    /// Refuses what makes no sense of a figure of a probe.
    pub(super) fn check_probe(&self) -> Result<(), ExpectationError> {
        let Self { after, route, samples, abort, columns, .. } = self;
        let refused =
            |column: usize, message: &str, hint: &str| Err(mistake(column, message, hint));
        if route.is_some() || samples.is_some() {
            let column = if route.is_some() { columns.route } else { columns.samples };
            return refused(column, "a probe knows no requests", "leave this out");
        }
        if *after == Some(After::Warmup) {
            let hint = "write a time, such as `after 1m`";
            return refused(columns.after, "a probe does not tell when it was warm", hint);
        }
        if abort.is_some() {
            let hint = "write the opposite under `abort`, such as `redis.connected_clients > 900`";
            return refused(columns.abort, "a figure of a probe ends a run by a rule", hint);
        }
        Ok(())
    }

    /// Refuses what a saved run does not tell.
    fn check_baseline(&self, metric: MetricName) -> Result<(), ExpectationError> {
        let Self { over, after, act, route, columns, .. } = self;
        if act.is_some_and(|act| act != ActName::Replay) {
            let hint = "leave this out, or compare with a value of your own";
            return Err(mistake(columns.act, "a baseline tells of its replay only", hint));
        }
        if over.is_some() || after.is_some() {
            let place = if over.is_some() { columns.over } else { columns.after };
            let hint = "leave this out, or compare with a value of your own";
            return Err(mistake(place, "a baseline tells of its whole run only", hint));
        }
        if route.is_some() && metric != MetricName::Latency {
            let hint = "latency is, and only latency";
            let message = format!("`{}` of a baseline is not kept by route", metric.name());
            return Err(mistake(columns.route, &message, hint));
        }
        let is_kept =
            metric.is_time() || matches!(metric, MetricName::Errors | MetricName::Completeness);
        if !is_kept {
            let message = format!("a baseline does not tell its `{}`", metric.name());
            return Err(mistake(
                1,
                &message,
                "times, errors and completeness can be held against it",
            ));
        }
        Ok(())
    }

    fn check_abort(&self, metric: MetricName, bound: Bound) -> Result<(), ExpectationError> {
        if self.abort.is_none() {
            return Ok(());
        }
        let column = self.columns.abort;
        let refused = |message: &str, hint: &str| Err(mistake(column, message, hint));
        if !matches!(metric, MetricName::Latency | MetricName::Errors) {
            return refused("this metric cannot end a run", "latency and errors can");
        }
        if !matches!(bound, Bound::Compared(_, Value::Absolute(_))) {
            return refused("only a plain value can end a run", "such as `errors < 10% abort`");
        }
        if self.act.is_some() {
            let hint = "leave out `in act`, or `abort`";
            return refused("it is always the replay that is ended", hint);
        }
        if self.route.is_some() || self.after == Some(After::Warmup) {
            let hint = "write it as two expectations, of which one ends the run";
            return refused("a run that goes on knows neither routes nor warm-up", hint);
        }
        if self.over.is_some_and(|over| over > MAX_ABORT_OVER) {
            return refused("a run that goes on looks back by 5m at most", "shorten `over`");
        }
        Ok(())
    }
}

/// The words of the clauses, one after the other.
struct Words<'a> {
    all: &'a [(usize, &'a str)],
    next: usize,
    /// The column behind the line.
    end: usize,
}

impl<'a> Words<'a> {
    fn take(&mut self) -> Option<(usize, &'a str)> {
        let word = self.all.get(self.next).copied();
        self.next += usize::from(word.is_some());
        word
    }

    /// The next word, where it is no keyword.
    fn value(&mut self) -> Option<(usize, &'a str)> {
        let (_, word) = self.all.get(self.next)?;
        if KEYWORDS.contains(word) { None } else { self.take() }
    }

    fn column(&self) -> usize {
        self.all.get(self.next).map_or(self.end, |(column, _)| *column)
    }

    fn missing(&self, message: &str, hint: &str) -> ExpectationError {
        mistake(self.column(), message, hint)
    }

    fn time(&mut self) -> Result<Duration, ExpectationError> {
        let Some((column, word)) = self.value() else {
            return Err(self.missing("there is no time", "write such as `30s` or `5m`"));
        };
        let time =
            parse_duration(word).map_err(|error| mistake(column, &error.problem, error.hint))?;
        if time < Duration::from_secs(1) || time > MAX_TIME {
            let message = format!("{} is out of range", crop(word));
            return Err(mistake(column, &message, "write a time from 1s to 24h"));
        }
        // What is counted is counted by the second.
        Ok(Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0)))
    }

    fn moment(&mut self) -> Result<After, ExpectationError> {
        if let Some((_, "warmup")) = self.all.get(self.next) {
            self.next += 1;
            return Ok(After::Warmup);
        }
        self.time().map(After::Time)
    }

    fn act(&mut self) -> Result<ActName, ExpectationError> {
        const HINT: &str = "write such as `in act cold`";
        if !matches!(self.all.get(self.next), Some((_, "act"))) {
            return Err(self.missing("`in` is followed by `act`", HINT));
        }
        self.next += 1;
        let Some((column, word)) = self.value() else {
            return Err(self.missing("there is no act", HINT));
        };
        ActName::parse(word).map_err(|it| mistake(column, &it.message, &it.hint))
    }

    fn route(&mut self) -> Result<String, ExpectationError> {
        const HINT: &str = "write such as `for route /cart/*` or `for route GET /cart/*`";
        if !matches!(self.all.get(self.next), Some((_, "route"))) {
            return Err(self.missing("`for` is followed by `route`", HINT));
        }
        self.next += 1;
        let mut pattern = Vec::new();
        while let Some((_, word)) = self.value() {
            pattern.push(word);
        }
        if pattern.is_empty() {
            return Err(self.missing("there is no route", HINT));
        }
        Ok(pattern.join(" "))
    }

    fn samples(&mut self) -> Result<u64, ExpectationError> {
        const HINT: &str = "write such as `with >= 1000 samples`";
        let column = self.column();
        let words = [self.value(), self.value(), self.value()].map(|word| word.map(|(_, it)| it));
        let count = match words {
            [Some(">="), Some(count), Some("samples")] => count.replace('_', "").parse().ok(),
            _ => None,
        };
        count.ok_or_else(|| mistake(column, "this is no number of samples", HINT))
    }

    fn delay(&mut self) -> Result<Duration, ExpectationError> {
        if let Some((_, "after")) = self.all.get(self.next) {
            self.next += 1;
            return self.time();
        }
        Ok(Duration::ZERO)
    }
}
