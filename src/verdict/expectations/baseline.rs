//! What an earlier run measured, to be held against: the same load, as far as it can be told.

use std::collections::BTreeMap;

use crate::scenario::expectation::{Expectation, MetricName};
use crate::stats::histograms::Stat;
use crate::verdict::expectations::stretches::fits;

/// The figures of an earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Its folder, as it was named.
    pub name: String,
    /// Why nothing can be held against it; `None` where it was the same load under the same
    /// conditions, and says something of its target.
    pub refused: Option<String>,
    /// Values of the whole run by [`key`]; those that it cannot tell are not there.
    pub values: BTreeMap<String, f64>,
    /// The same by route.
    pub routes: BTreeMap<String, BTreeMap<String, f64>>,
    /// It has more routes than it tells one by one.
    pub hides: bool,
}

/// What a value is found by, such as `latency p99` or `errors`.
pub fn key(metric: MetricName, stat: Option<Stat>) -> String {
    match stat {
        None => metric.name().to_owned(),
        Some(Stat::Mean) => format!("{} mean", metric.name()),
        Some(Stat::Max) => format!("{} max", metric.name()),
        Some(Stat::Percentile(percentile)) => format!("{} p{percentile}", metric.name()),
    }
}

impl Baseline {
    /// The value that an expectation is held against, without its factor; or why there is none.
    pub(super) fn value(&self, expectation: &Expectation) -> Result<f64, String> {
        if let Some(refused) = &self.refused {
            return Err(format!("the baseline {} cannot be compared with: {refused}", self.name));
        }
        let key = key(expectation.metric, expectation.stat);
        let values = match &expectation.clauses.route {
            None => &self.values,
            Some(pattern) => {
                let is_one = !pattern.contains('*') && !pattern.starts_with('/');
                if self.hides && !is_one {
                    return Err(format!(
                        "the baseline has more routes than it tells one by one, and some of the \
                         others may fit {pattern}, too"
                    ));
                }
                let mut found = self.routes.iter().filter(|(name, _)| fits(pattern, name));
                match (found.next(), found.next()) {
                    (Some((_, values)), None) => values,
                    (None, _) => return Err(format!("the baseline knows no route like {pattern}")),
                    (Some(_), Some(_)) => {
                        return Err(format!(
                            "the baseline keeps its routes one by one, and {pattern} fits several"
                        ));
                    }
                }
            }
        };
        values.get(&key).copied().ok_or_else(|| format!("the baseline does not tell its {key}"))
    }
}
