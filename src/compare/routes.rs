//! The routes of new runs beside those of a baseline, one by one: what is slower on one of them may
//! not show in the whole.

use std::collections::BTreeSet;

use crate::compare::metric::Metric;
use crate::compare::run::{OfRoute, Run};
use crate::compare::tested::{Tested, tested};
use crate::compare::{Judged, Options, Outcome, told};
use crate::stats::shares::Share;
use crate::units::format_counted;

/// A route of fewer requests in some run is not compared: of those, neither a percentile nor a
/// share is known.
pub const LEAST_REQUESTS: u64 = 100;

/// A route that every run has often enough.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RouteJudged {
    /// Method and template, such as `GET /cart/*`.
    pub route: String,
    /// What could be compared of it.
    pub metrics: Vec<Judged>,
}

/// All routes.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Routes {
    /// Those that every run has often enough, by name.
    pub compared: Vec<RouteJudged>,
    /// Routes that some run has and another one does not tell.
    pub absent: u64,
    /// Routes of fewer than [`LEAST_REQUESTS`] in some run.
    pub few: u64,
    /// Routes that a run counts without telling them one by one; the most of all runs.
    pub unlisted: u64,
}

impl Routes {
    /// Each metric of each route.
    pub fn judged(&self) -> impl Iterator<Item = (&str, &Judged)> {
        self.compared
            .iter()
            .flat_map(|of| of.metrics.iter().map(|judged| (of.route.as_str(), judged)))
    }

    /// Those that a person should see first: what is worse, then what is better, then what moved
    /// most; at most so many.
    pub fn foremost(&self, most: usize) -> Vec<(&str, &Judged)> {
        let mut all: Vec<(&str, &Judged)> = self.judged().collect();
        let rank = |outcome: Outcome| match outcome {
            Outcome::Regression => 0,
            Outcome::Improvement => 1,
            Outcome::Unknown | Outcome::NoRegression => 2,
        };
        let size = |judged: &Judged| judged.change.map_or(0.0, f64::abs);
        all.sort_by(|(_, a), (_, b)| {
            rank(a.outcome).cmp(&rank(b.outcome)).then(size(b).total_cmp(&size(a)))
        });
        all.truncate(most);
        all
    }

    /// Of how many routes too little is seen for saying that they did not change.
    pub(super) fn blind(&self, options: &Options) -> Option<String> {
        let is_blind = |judged: &Judged| judged.outcome == Outcome::Unknown && judged.is_there();
        let blind = self.compared.iter().filter(|of| of.metrics.iter().any(is_blind)).count();
        (blind > 0).then(|| {
            format!(
                "{blind} of {} have a figure of which a change of {} could go unseen, or of \
                 errors one by 1 in 100",
                format_counted(self.compared.len() as u64, "route", "routes"),
                told(options.unseen)
            )
        })
    }

    /// The routes that could not be compared, and why.
    pub(super) fn left_out(&self) -> Option<String> {
        let routes = |count: u64| format_counted(count, "route", "routes");
        let reasons: Vec<String> = [
            (self.absent, "that not every run tells".to_owned()),
            (self.few, format!("with fewer than {LEAST_REQUESTS} requests in some run")),
            (self.unlisted, "that runs count without telling them one by one".to_owned()),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{} {why}", routes(count)))
        .collect();
        let compared = format_counted(
            self.compared.len() as u64,
            "route was compared by itself",
            "routes were compared one by one",
        );
        (!reasons.is_empty()).then(|| format!("{compared}; not compared: {}", reasons.join(", ")))
    }
}

/// What is compared of a route.
const METRICS: [Metric; 5] = [
    Metric::LatencyP50,
    Metric::LatencyP95,
    Metric::LatencyP99,
    Metric::LatencyP999,
    Metric::Errors,
];

/// The routes before all that is tested is known.
#[derive(Default)]
pub(super) struct ByRoute {
    pub(super) tests: Vec<Tested>,
    /// The name of each route, and how many of the tests are of it.
    names: Vec<(String, usize)>,
    left: Routes,
}

impl ByRoute {
    /// Tests each route that all runs have often enough. Where there is one route only, it is the
    /// whole, and not tested a second time.
    pub(super) fn of(base: &[Run], new: &[Run], options: &Options) -> Self {
        let runs = || base.iter().chain(new);
        let names: BTreeSet<&String> = runs().flat_map(|run| run.routes.keys()).collect();
        let unlisted = runs().map(|run| run.unlisted).max().unwrap_or(0);
        let mut all = Self { left: Routes { unlisted, ..Routes::default() }, ..Self::default() };
        if names.len() < 2 && unlisted == 0 {
            return all;
        }
        for name in names {
            let side = |runs: &[Run]| -> Option<Vec<OfRoute>> {
                runs.iter().map(|run| run.routes.get(name).cloned()).collect()
            };
            let Some(sides) = side(base).zip(side(new)).map(|(base, new)| [base, new]) else {
                all.left.absent += 1;
                continue;
            };
            let is_often = |of: &OfRoute| of.errors.is_some_and(|it| it.whole >= LEAST_REQUESTS);
            if !sides.iter().flatten().all(is_often) {
                all.left.few += 1;
                continue;
            }
            let before = all.tests.len();
            all.tests.extend(METRICS.into_iter().filter_map(|it| route(it, &sides, options)));
            all.names.push((name.clone(), all.tests.len() - before));
        }
        all
    }

    /// What is said of each, once p-values are corrected.
    pub(super) fn decided(self, runs: [usize; 2], options: &Options) -> Routes {
        let mut tests = self.tests.into_iter();
        let mut routes = self.left;
        for (route, count) in self.names {
            let metrics = tests.by_ref().take(count).map(|it| it.decided(runs, options)).collect();
            routes.compared.push(RouteJudged { route, metrics });
        }
        routes
    }
}

/// A metric of a route; `None` where some run has too few answers to tell it.
fn route(metric: Metric, sides: &[Vec<OfRoute>; 2], options: &Options) -> Option<Tested> {
    if metric == Metric::Errors {
        let shares = sides.each_ref().map(|side| side.iter().filter_map(|of| of.errors).collect());
        let ratios = shares
            .each_ref()
            .map(|side: &Vec<Share>| side.iter().map(|share| Some(share.ratio())).collect());
        return Some(tested(metric, ratios, Some(shares), options));
    }
    let values = |side: &Vec<OfRoute>| -> Option<Vec<Option<f64>>> {
        side.iter().map(|of| of.values.get(&metric).copied()).collect()
    };
    let [base, new] = sides;
    let mut tested = tested(metric, [values(base)?, values(new)?], None, options);
    if !tested.judged.is_there() {
        let lacking = |side: &[Option<f64>]| side.iter().filter(|value| value.is_none()).count();
        let [before, after] = tested.judged.values.each_ref().map(|side| lacking(side));
        tested.judged.note = format!(
            "too many of its requests had no answer in {before} of {} baseline runs and {after} \
             of {} new ones",
            base.len(),
            new.len()
        );
    }
    Some(tested)
}

#[cfg(test)]
mod tests;
