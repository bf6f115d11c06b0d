//! All metrics of new runs beside those of a baseline, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::conditions::{Condition, check};
use crate::compare::metric::Metric;
use crate::compare::quantiles::{shifts, within};
use crate::compare::routes::{ByRoute, Routes};
use crate::compare::run::Run;
use crate::compare::tested::{Tested, correct, tested};
use crate::compare::{
    CompareError, Comparison, Design, Judged, MAX_RUNS, MIN_BASE, MIN_NEW, Options, Outcome, told,
};
use crate::stats::effects::{minimal_detectable, standard_error};
use crate::stats::shares::Share;
use crate::units::{format_counted, format_share};

/// Compares runs, or says why they cannot be.
pub fn judge(base: &[Run], new: &[Run], options: &Options) -> Result<Comparison, CompareError> {
    let differing = admitted(base, new, options)?;
    let runs = [base.len(), new.len()];
    let design = Design::of(base.len(), new.len());
    let mut whole: Vec<Tested> = Metric::ALL
        .into_iter()
        .filter(|metric| base.iter().chain(new).any(|run| run.values.contains_key(metric)))
        .map(|metric| measured(metric, base, new, options))
        .collect();
    let mut by_route = ByRoute::of(base, new, options);
    correct(&mut whole, &mut by_route.tests);
    let metrics: Vec<Judged> =
        whole.into_iter().map(|tested| tested.decided(runs, options)).collect();
    let routes = by_route.decided(runs, options);
    let outcome = outcome(&metrics, &routes);
    let mut limits = differing;
    limits.extend(weaknesses(base, new, design));
    limits.extend(routes.left_out());
    if matches!(design, Design::Gate | Design::Single) {
        limits.extend(routes.blind(options));
    }
    Ok(Comparison {
        outcome,
        statement: statement(outcome, (&metrics, &routes), runs, options),
        design,
        metrics,
        routes,
        quantiles: shifts(base, new),
        changed: changed(base, new),
        limits,
    })
}

/// Refuses what would make a false comparison.
fn admitted(base: &[Run], new: &[Run], options: &Options) -> Result<Vec<String>, CompareError> {
    for (runs, side) in [(base, "the baseline"), (new, "new")] {
        match runs.len() {
            0 => return Err(CompareError::None { side }),
            count if count > MAX_RUNS => return Err(CompareError::TooMany { side, count }),
            _ => {}
        }
    }
    let runs: Vec<&Run> = base.iter().chain(new).collect();
    let mut seen: BTreeMap<u64, &str> = BTreeMap::new();
    for run in &runs {
        if let Some(first) = seen.insert(run.content, &run.name) {
            let (first, second) = (first.to_owned(), run.name.clone());
            return Err(CompareError::Twice { first, second });
        }
    }
    let not_valid: Vec<String> = runs
        .iter()
        .filter_map(|run| Some(format!("{}: {}", run.name, run.not_valid.as_ref()?)))
        .collect();
    if !not_valid.is_empty() {
        return Err(CompareError::NotValid { runs: not_valid });
    }
    check(&runs, &options.despite)
}

/// A metric of both sides, with what was found of it where all runs have it.
fn measured(metric: Metric, base: &[Run], new: &[Run], options: &Options) -> Tested {
    let values = [base, new].map(|runs| runs.iter().map(|run| run.value(metric)).collect());
    let shares = |runs: &[Run]| runs.iter().map(|run| run.errors).collect::<Option<Vec<Share>>>();
    let shares = shares(base).zip(shares(new)).map(|(base, new)| [base, new]);
    let mut tested = tested(metric, values, shares, options);
    if !tested.judged.is_there() {
        tested.judged.note = lacking(metric, base, new);
    } else if let ([before], [after]) = (base, new) {
        tested.judged.within = within(metric, before, after);
    }
    tested
}

/// Why some runs have no value.
fn lacking(metric: Metric, base: &[Run], new: &[Run]) -> String {
    let reason = |runs: &[Run]| -> Option<String> {
        let mut without = runs.iter().filter(|run| run.value(metric).is_none());
        let why = without.find_map(|run| run.values.get(&metric)?.as_ref().err());
        let is_lacking = runs.iter().any(|run| run.value(metric).is_none());
        is_lacking.then(|| why.map_or_else(|| "it was not measured".to_owned(), Clone::clone))
    };
    if base.iter().chain(new).all(|run| run.value(metric).is_none()) {
        return reason(&[base, new].concat()).unwrap_or_default();
    }
    let side = |runs: &[Run], name: &str| {
        let count = runs.iter().filter(|run| run.value(metric).is_none()).count();
        let place = match runs.len() {
            1 => format!("the {name} run"),
            all => format!("{count} of {all} {name} runs"),
        };
        reason(runs).map(|reason| format!("not in {place}: {reason}"))
    };
    let sides = [side(base, "baseline"), side(new, "new")];
    sides.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What a comparison rests on: the highest of these quantiles that runs have.
const ESSENTIAL: [Metric; 3] = [Metric::LatencyP99, Metric::LatencyP95, Metric::LatencyP50];

/// A regression counts whatever else is unknown, of a route as of the whole. That there is none is
/// only said where latency and errors say so, and where no run lacks what others have; where no run
/// replayed anything, by the capacity that was sought.
fn outcome(metrics: &[Judged], routes: &Routes) -> Outcome {
    let all = || metrics.iter().chain(routes.judged().map(|(_, judged)| judged));
    let is = |outcome: Outcome| all().any(|metric| metric.outcome == outcome);
    if is(Outcome::Regression) {
        return Outcome::Regression;
    }
    let outcome_of = |metric: Metric| {
        let judged = metrics.iter().find(|judged| judged.metric == metric)?;
        judged.is_there().then_some(judged.outcome)
    };
    let latency = ESSENTIAL.into_iter().find_map(outcome_of);
    let errors = outcome_of(Metric::Errors);
    let is_known = match (latency, errors) {
        (None, None) if !replayed(metrics) => {
            outcome_of(Metric::Capacity).is_some_and(|outcome| outcome != Outcome::Unknown)
        }
        _ => {
            [latency, errors].iter().all(|outcome| outcome.is_some_and(|it| it != Outcome::Unknown))
        }
    };
    let is_partly_there = |judged: &Judged| !judged.is_there() && judged.is_somewhere();
    if !is_known || all().any(is_partly_there) {
        return Outcome::Unknown;
    }
    if is(Outcome::Improvement) { Outcome::Improvement } else { Outcome::NoRegression }
}

/// Some run sent a load besides its drills.
fn replayed(metrics: &[Judged]) -> bool {
    metrics.iter().any(|judged| judged.metric == Metric::Errors)
}

fn statement(
    outcome: Outcome,
    (metrics, routes): (&[Judged], &Routes),
    runs: [usize; 2],
    options: &Options,
) -> String {
    let of = |wanted: Outcome| -> Vec<(String, &Judged)> {
        let whole = metrics.iter().map(|judged| (judged.metric.name().to_owned(), judged));
        let by_route = routes
            .judged()
            .map(|(route, judged)| (format!("{} of {route}", judged.metric.name()), judged));
        whole.chain(by_route).filter(|(_, judged)| judged.outcome == wanted).collect()
    };
    match outcome {
        Outcome::Regression => named(&of(Outcome::Regression), "worse"),
        Outcome::Improvement => named(&of(Outcome::Improvement), "better"),
        Outcome::NoRegression => {
            let rests_on = ESSENTIAL.into_iter().chain([Metric::Capacity]);
            let seen = rests_on.into_iter().find_map(|essential| {
                let judged = metrics.iter().find(|judged| judged.metric == essential)?;
                Some((judged.metric.name(), judged.detectable?))
            });
            seen.map_or_else(
                || "no regression shown".to_owned(),
                |(name, change)| {
                    format!(
                        "no regression shown; a change of {name} by {} would have been seen in \
                         four of five such comparisons",
                        told(change).replace('+', "")
                    )
                },
            )
        }
        Outcome::Unknown => unknown((metrics, routes), runs, options),
    }
}

/// Most metrics that are named after the first one.
const MAX_NAMED: usize = 8;

/// The metrics that changed: the first of them with its figures, the others by name.
fn named(changed: &[(String, &Judged)], word: &str) -> String {
    let Some(((name, first), others)) = changed.split_first() else { return String::new() };
    let figures = match (first.change, first.interval) {
        (Some(change), Some(ends)) => {
            let [low, high] = ends.map(|end| first.metric.change(end));
            format!(" by {} ({low} to {high})", first.metric.change(change))
        }
        (Some(change), None) => format!(" by {}", first.metric.change(change)),
        (None, _) => String::new(),
    };
    let mut names: Vec<String> =
        others.iter().take(MAX_NAMED).map(|(name, _)| name.clone()).collect();
    if others.len() > MAX_NAMED {
        names.push(format!("{} more", others.len() - MAX_NAMED));
    }
    let too =
        if names.is_empty() { String::new() } else { format!("; so is {}", names.join(", ")) };
    format!("{name} is {word}{figures}{too}")
}

fn unknown(
    (metrics, routes): (&[Judged], &Routes),
    [base, new]: [usize; 2],
    options: &Options,
) -> String {
    // One run on a side tells nothing of the noise: it is taken as known.
    let is_essential = |metric: Metric| match metric {
        Metric::Capacity => !replayed(metrics),
        _ => ESSENTIAL.contains(&metric),
    };
    let freedom = (Design::of(base, new) != Design::Pair).then(|| base + new - 2);
    let tests = metrics.iter().filter(|judged| judged.change.is_some()).count();
    let error = standard_error(options.noise, base, new);
    let least = minimal_detectable(error, freedom, tests).exp_m1();
    let only = format!(
        "if runs of one release differ by {}, only a change of {} or more can be told from that",
        format_share(options.noise),
        told(least).replace('+', "")
    );
    match Design::of(base, new) {
        Design::Pair => format!(
            "it cannot be said: {} beside {} of the baseline does not show what runs of one \
             release differ by; {only}",
            format_counted(new as u64, "new run", "new runs"),
            base
        ),
        Design::Few => format!(
            "it cannot be said that nothing changed: {new} new runs beside {base} of the baseline \
             are fewer than {MIN_NEW} beside {MIN_BASE}; {only}"
        ),
        Design::Gate | Design::Single => {
            let why = metrics.iter().find(|judged| {
                judged.outcome == Outcome::Unknown
                    && (judged.is_somewhere() || is_essential(judged.metric))
            });
            let of_route = || {
                let lacks = |judged: &&Judged| !judged.is_there() && judged.is_somewhere();
                let (route, judged) = routes.judged().find(|(_, judged)| lacks(judged))?;
                let name = judged.metric.name();
                Some(format!("it cannot be said: {name} of {route}: {}", judged.note))
            };
            let why = why.map(|judged| {
                format!("it cannot be said: {}: {}", judged.metric.name(), judged.note)
            });
            why.or_else(of_route)
                .unwrap_or_else(|| "it cannot be said: no run has latencies and errors".to_owned())
        }
    }
}

/// What makes the comparison weaker than it looks.
fn weaknesses(base: &[Run], new: &[Run], design: Design) -> Vec<String> {
    let mut told = Vec::new();
    if design == Design::Single {
        told.push(format!(
            "{} beside {} of the baseline: it is held against the scatter of the baseline, and a \
             run that went wrong by itself looks like a release that is slower; {MIN_NEW} new \
             runs would tell",
            format_counted(new.len() as u64, "new run", "new runs"),
            base.len()
        ));
    }
    if let ([before], [after]) = (base, new)
        && !before.within.is_empty()
        && !after.within.is_empty()
    {
        told.push(
            "intervals in parentheses are those of the two runs by themselves: they say how sure \
             each run is of its own figures, and runs of one release differ by more than that"
                .to_owned(),
        );
    }
    let tells = |run: &Run| run.conditions.iter().any(|fact| fact.condition == Condition::Settings);
    if !base.iter().chain(new).any(tells) {
        told.push(
            "no run tells its limits, its way to the target and its faults, as runs of older \
             versions do not: where these differ, so does what is measured"
                .to_owned(),
        );
    }
    let starts = |runs: &[Run]| -> Option<(String, String)> {
        let mut starts: Vec<&String> = runs.iter().map(|run| &run.started).collect();
        starts.sort_unstable();
        Some(((*starts.first()?).clone(), (*starts.last()?).clone()))
    };
    if let Some(((base_first, base_last), (new_first, new_last))) = starts(base).zip(starts(new))
        && (base_last < new_first || new_last < base_first)
    {
        told.push(
            "the runs of one side are all older than those of the other: what else changed \
             meanwhile is in the difference, too; taking turns (old, new, new, old) avoids that"
                .to_owned(),
        );
    }
    told
}

/// Most changes that are told one by one.
const MAX_CHANGES: usize = 12;

/// What the runs of one side have in common and those of the other have otherwise: labels, and what
/// nodes are made of.
fn changed(base: &[Run], new: &[Run]) -> Vec<String> {
    let mut told = Vec::new();
    let common = |runs: &[Run], of: &dyn Fn(&Run) -> Option<String>| -> Option<String> {
        let values: BTreeSet<Option<String>> = runs.iter().map(of).collect();
        if values.len() == 1 { values.into_iter().next().flatten() } else { None }
    };
    let labels: BTreeSet<&String> =
        base.iter().chain(new).flat_map(|run| run.labels.keys()).collect();
    for label in labels {
        let of = |run: &Run| run.labels.get(label).cloned();
        if let Some((before, after)) = common(base, &of).zip(common(new, &of))
            && before != after
        {
            told.push(format!("{label}: {before} → {after}"));
        }
    }
    let software: BTreeSet<&String> =
        base.iter().chain(new).flat_map(|run| run.software.keys()).collect();
    for name in software {
        let of = |run: &Run| run.software.get(name).map(u64::to_string);
        if let Some((before, after)) = common(base, &of).zip(common(new, &of))
            && before != after
        {
            told.push(format!("{name} is not what it was"));
        }
    }
    if told.len() > MAX_CHANGES {
        let more = told.len() - MAX_CHANGES;
        told.truncate(MAX_CHANGES);
        told.push(format!("{more} more"));
    }
    told
}

#[cfg(test)]
mod tests;
