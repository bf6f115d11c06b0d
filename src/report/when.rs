//! When what a finding says was seen: at a time, in an act, or all along.

use std::fmt;

use crate::report::model::{Mark, Report};
use crate::verdict::moments::act_of;
use crate::verdict::{Finding, abort, hold};

/// When a finding was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// From one time to another since the start of the replay, ns.
    Time(u64, u64),
    /// In an act.
    Act(&'static str),
    /// In no part of the run more than in others, such as a cache that was cold from the start.
    Whole,
}

/// When a finding of a run was seen.
pub(crate) fn when(report: &Report, finding: &Finding) -> When {
    let named = |marks: &[Mark], name: &str| {
        let mark = marks.iter().find(|mark| mark.name == name)?;
        Some(When::Time(mark.from_ns, mark.to_ns))
    };
    let marked = match finding.check.as_str() {
        hold::CHECK => named(&report.marks, "Held"),
        abort::CHECK => named(&report.marks, "Aborted"),
        check => named(&report.figures.moments, check),
    };
    let act = || act_of(&finding.check).map(|act| When::Act(act.name()));
    marked.or_else(act).unwrap_or(When::Whole)
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64();
        match *self {
            Self::Time(from, to) if to > from => {
                write!(f, "second {:.1} to {:.1}", seconds(from), seconds(to))
            }
            Self::Time(at, _) => write!(f, "second {:.1}", seconds(at)),
            Self::Act(name) => write!(f, "act {name}"),
            Self::Whole => f.write_str("whole run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_seconds_of_the_replay() {
        assert_eq!(When::Time(42_000_000_000, 60_250_000_000).to_string(), "second 42.0 to 60.2");
        assert_eq!(When::Time(9_000_000_000, 9_000_000_000).to_string(), "second 9.0");
        assert_eq!(When::Act("cold").to_string(), "act cold");
        assert_eq!(When::Whole.to_string(), "whole run");
    }
}
