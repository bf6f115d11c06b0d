//! Figures of probes held against a bound: a gauge at each look, a counter by how much it grew.

use std::time::Duration;

use crate::probe::record::{MAX_GAPS, MAX_POINTS, Record, Series, SeriesKind};
use crate::scenario::abort::figure_of;
use crate::scenario::acts::ActName;
use crate::scenario::expectation::clauses::After;
use crate::scenario::expectation::{Comparison, Expectation};
use crate::stats::histograms::nanoseconds;
use crate::units::format_duration;
use crate::verdict::Outcome;
use crate::verdict::expectations::around::Around;

/// What a figure says of an expectation. It fails by what was seen, and passes only where all of
/// the time that it is about was seen.
pub(super) fn checked(expectation: &Expectation, around: &Around<'_>) -> (Outcome, String) {
    held(expectation, around).unwrap_or_else(|why| (Outcome::Unknown, why))
}

/// A bound, and over how long it is looked at: 0 is each look, or all of the time.
struct Bound {
    op: Comparison,
    value: f64,
    over_ns: u64,
}

fn held(expectation: &Expectation, around: &Around<'_>) -> Result<(Outcome, String), String> {
    let (op, value) = expectation.compared().ok_or("it is held against no number")?;
    let over_ns = expectation.clauses.over.map_or(0, nanoseconds);
    let bound = Bound { op, value, over_ns };
    let [from, to] = part(expectation, around)?;
    if to - from < over_ns {
        let told = [to - from, over_ns].map(|ns| format_duration(Duration::from_nanos(ns)));
        return Err(format!("only {} of {} were seen", told[0], told[1]));
    }
    let found = around
        .probes
        .iter()
        .find_map(|record| Some((record, figure_of(&expectation.figure, &record.name)?)));
    let (record, figure) = found.ok_or("no probe of that name watched")?;
    let unseen = || format!("the probe {} told no {figure} in that time", record.name);
    let series = record.metric(figure).ok_or_else(unseen)?;
    let (holds, seen) = match series.kind {
        SeriesKind::Gauge => gauge(series, &bound, [from, to]),
        SeriesKind::Counter => counter(record, series, &bound, [from, to]),
    }
    .ok_or_else(unseen)?;
    if !holds {
        return Ok((Outcome::Fail, seen));
    }
    match blind(record, series, &bound, [from, to]) {
        Some(why) => Err(format!("{seen}; {why}")),
        None => Ok((Outcome::Pass, seen)),
    }
}

/// The time that an expectation is about, ns since the start of the rehearsal.
fn part(expectation: &Expectation, around: &Around<'_>) -> Result<[u64; 2], String> {
    let [from, to] = match expectation.clauses.act {
        None | Some(ActName::Replay) => around.replayed.ok_or("nothing was replayed")?,
        Some(act) => {
            let performed = around.performed(act)?;
            [performed.started_ns, performed.ended_ns]
        }
    };
    let after = match expectation.clauses.after {
        Some(After::Time(time)) => nanoseconds(time),
        // The line is refused: a probe does not tell when it was warm.
        Some(After::Warmup) => return Err("a probe does not tell when it was warm".to_owned()),
        None => 0,
    };
    let from = from.saturating_add(after);
    if from >= to {
        return Err("that part of the run never came".to_owned());
    }
    Ok([from, to])
}

/// Each look counts; over a time, only where all looks of it agree that it does not hold.
fn gauge(series: &Series, bound: &Bound, [from, to]: [u64; 2]) -> Option<(bool, String)> {
    let looks = series.points.iter().filter(|(at, _)| (from..=to).contains(at));
    let (mut worst, mut since, mut is_broken) = (None::<(u64, f64)>, None, false);
    for (at, value) in looks.copied() {
        let is_worse =
            worst.is_none_or(
                |(_, worst)| {
                    if bound.op.is_ceiling() { value > worst } else { value < worst }
                },
            );
        if is_worse {
            worst = Some((at, value));
        }
        if bound.op.holds(value, bound.value) {
            since = None;
        } else {
            is_broken |= at - *since.get_or_insert(at) >= bound.over_ns;
        }
    }
    let (at, value) = worst?;
    let word = if bound.op.is_ceiling() { "at most" } else { "at least" };
    let at = format_duration(Duration::from_nanos(at - from));
    Some((!is_broken, format!("{word} {}, after {at}", number(value))))
}

/// By how much it grew in all of the time; over a time, in each stretch of that length.
fn counter(
    record: &Record,
    series: &Series,
    bound: &Bound,
    [from, to]: [u64; 2],
) -> Option<(bool, String)> {
    let grown = |from: u64, to: u64| {
        let seconds = Duration::from_nanos(to - from).as_secs_f64();
        Some(record.rate_between(&series.metric, from, to)? * seconds)
    };
    if bound.over_ns == 0 {
        let grown = grown(from, to)?;
        return Some((bound.op.holds(grown, bound.value), format!("it grew by {}", number(grown))));
    }
    let first = from.saturating_add(bound.over_ns);
    let looks = series.points.iter().map(|(at, _)| *at).filter(|at| (first..=to).contains(at));
    let stretches = looks.chain([to]).filter_map(|end| grown(end - bound.over_ns, end));
    let worst = stretches.reduce(|a, b| if bound.op.is_ceiling() { a.max(b) } else { a.min(b) })?;
    let over = format_duration(Duration::from_nanos(bound.over_ns));
    let word = if bound.op.is_ceiling() { "at most" } else { "at least" };
    let told = format!("it grew by {word} {} in {over}", number(worst));
    Some((bound.op.holds(worst, bound.value), told))
}

/// Why what holds at each look may not have held between them.
fn blind(record: &Record, series: &Series, bound: &Bound, [from, to]: [u64; 2]) -> Option<String> {
    let is_gauge = series.kind == SeriesKind::Gauge;
    // A counter goes on while nobody looks, and tells so afterwards.
    let gap = record
        .gaps
        .iter()
        .find(|gap| gap.from_ns <= to && gap.to_ns.is_none_or(|end| is_gauge && end > from));
    if let Some(gap) = gap {
        let at = format_duration(Duration::from_nanos(gap.from_ns.saturating_sub(from)));
        return Some(format!("the probe saw nothing from {at} on ({})", gap.reason));
    }
    if record.gaps.len() >= MAX_GAPS {
        return Some("the probe failed more often than is told one by one".to_owned());
    }
    let is_thinned = is_gauge && record.polls > MAX_POINTS as u64;
    (is_thinned && !bound.op.is_ceiling())
        .then(|| "of so many looks only the highest are kept".to_owned())
}

/// A figure, with three decimals at most.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::record::Gap;

    const S: u64 = 1_000_000_000;

    /// Looks each second for a minute: 10 connections, from 20 s to 25 s 90; 7 commands a second.
    fn redis() -> Record {
        let looks = |value: &dyn Fn(u64) -> f64| (0..60).map(|at| (at * S, value(at))).collect();
        let series = |metric: &str, kind, points| Series {
            metric: metric.to_owned(),
            kind,
            unit: String::new(),
            limit: None,
            points,
        };
        let clients = looks(&|at| if (20..=25).contains(&at) { 90.0 } else { 10.0 });
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let commands = looks(&|at| at as f64 * 7.0);
        Record {
            name: "redis.1".to_owned(),
            kind: "redis".to_owned(),
            series: vec![
                series("clients", SeriesKind::Gauge, clients),
                series("commands", SeriesKind::Counter, commands),
            ],
            polls: 60,
            ..Record::default()
        }
    }

    fn outcome(line: &str, probes: &[Record]) -> (Outcome, String) {
        let replayed = Some([10 * S, 50 * S]);
        let around = Around { probes, replayed, ..Around::default() };
        checked(&Expectation::parse(line).unwrap(), &around)
    }

    #[test]
    fn a_gauge_is_held_at_each_look_and_a_counter_by_its_growth() {
        let probes = [redis()];
        for (line, expected, told) in [
            ("redis.1.clients < 100", Outcome::Pass, "at most 90, after 10 s"),
            ("redis.1.clients < 90", Outcome::Fail, "at most 90, after 10 s"),
            ("redis.1.clients >= 10", Outcome::Pass, "at least 10, after 0 s"),
            ("redis.1.clients < 90 over 5s", Outcome::Fail, "at most 90"),
            ("redis.1.clients < 90 over 6s", Outcome::Pass, "at most 90"),
            ("redis.1.clients < 90 after 20s", Outcome::Pass, "at most 10"),
            ("redis.1.commands < 281", Outcome::Pass, "it grew by 280"),
            ("redis.1.commands > 281", Outcome::Fail, "it grew by 280"),
            ("redis.1.commands <= 70 over 10s", Outcome::Pass, "at most 70 in 10 s"),
            ("redis.1.commands < 69 over 10s", Outcome::Fail, "at most 70 in 10 s"),
        ] {
            let (found, actual) = outcome(line, &probes);
            assert_eq!(found, expected, "{line}: {actual}");
            assert!(actual.contains(told), "{line}: {actual}");
        }
    }

    #[test]
    fn what_was_not_seen_is_unknown_and_what_was_seen_to_break_fails() {
        let plain = "redis.1.clients < 100";
        for (line, probes, why) in [
            (plain, vec![], "no probe of that name"),
            ("redis.1.other < 9", vec![redis()], "told no other"),
            ("redis.1.clients < 100 after 41s", vec![redis()], "never came"),
            ("redis.1.clients < 100 over 41s", vec![redis()], "only 40 s of 41 s"),
            ("redis.1.clients < 100 in act canary", vec![redis()], "was not performed"),
        ] {
            let (found, actual) = outcome(line, &probes);
            assert_eq!(found, Outcome::Unknown, "{line}");
            assert!(actual.contains(why), "{line}: {actual}");
        }
        let gap = |from: u64, to: Option<u64>| {
            let gap = Gap { from_ns: from * S, to_ns: to.map(|to| to * S), reason: "gone".into() };
            [Record { gaps: vec![gap], ..redis() }]
        };
        let (found, actual) = outcome(plain, &gap(30, Some(33)));
        assert_eq!(found, Outcome::Unknown);
        assert!(actual.ends_with("the probe saw nothing from 20 s on (gone)"), "{actual}");
        assert_eq!(outcome("redis.1.clients < 50", &gap(30, Some(33))).0, Outcome::Fail);
        assert_eq!(outcome(plain, &gap(2, Some(9))).0, Outcome::Pass, "before the load");
        assert_eq!(outcome(plain, &gap(55, None)).0, Outcome::Pass, "after it");
        assert_eq!(outcome("redis.1.commands < 281", &gap(30, Some(33))).0, Outcome::Pass);
        assert_eq!(outcome("redis.1.commands < 281", &gap(30, None)).0, Outcome::Unknown);
    }

    /// Of long runs, of each two looks the higher is kept: a dip may be gone.
    #[test]
    fn a_floor_of_a_thinned_gauge_is_unknown() {
        let long = [Record { polls: MAX_POINTS as u64 + 1, ..redis() }];
        assert_eq!(outcome("redis.1.clients > 5", &long).0, Outcome::Unknown);
        assert_eq!(outcome("redis.1.clients > 50", &long).0, Outcome::Fail);
        assert_eq!(outcome("redis.1.clients < 100", &long).0, Outcome::Pass);
        assert_eq!(outcome("redis.1.clients > 5", &[redis()]).0, Outcome::Pass);
    }

    #[test]
    fn nothing_is_said_of_a_replay_that_was_not() {
        let around = Around { probes: &[redis()], ..Around::default() };
        let line = Expectation::parse("redis.1.clients < 100").unwrap();
        assert_eq!(checked(&line, &around), (Outcome::Unknown, "nothing was replayed".to_owned()));
    }
}
