//! Errors by class, so that those which another finding explains can be told from the rest.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::Arrival;
use crate::protocol::resp::ERROR_REPLY;
use crate::sample::{Fate, Sample};
use crate::summary::evidence::openings::{TurnedAway, turned_away};

/// Distinct classes kept; further ones are [`ErrorClass::Other`]. Pairs of status codes could be
/// very many when a target answers nonsense.
pub const MAX_CLASSES: usize = 200;

/// Errors by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// How many of each class; together all errors of the run.
    pub by_class: BTreeMap<ErrorClass, u64>,
}

/// What an error was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// An answer of an error class that production did not give.
    Status {
        /// What was answered.
        status: u16,
        /// What production answered.
        recorded: Option<u16>,
    },
    /// A new connection that was turned away.
    TurnedAway(TurnedAway),
    /// No whole answer: the fate's name.
    Lost(&'static str),
    /// Beyond [`MAX_CLASSES`].
    Other,
}

impl Errors {
    /// Takes one error.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let class = match (&sample.fate, turned_away(arrival, sample)) {
            (_, Some(way)) => ErrorClass::TurnedAway(way),
            (&Fate::Answered { status }, None) => {
                ErrorClass::Status { status, recorded: arrival.recorded.status }
            }
            (fate, None) => ErrorClass::Lost(fate.name()),
        };
        self.count(class, 1);
    }

    /// Adds the errors of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        for (&class, &count) in &other.by_class {
            self.count(class, count);
        }
    }

    fn count(&mut self, class: ErrorClass, count: u64) {
        let known = self.by_class.len() < MAX_CLASSES || self.by_class.contains_key(&class);
        let class = if known { class } else { ErrorClass::Other };
        *self.by_class.entry(class).or_default() += count;
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status: ERROR_REPLY, recorded: Some(_) } => {
                formatter.write_str("answered with an error where production was not")
            }
            Self::Status { status: ERROR_REPLY, recorded: None } => {
                formatter.write_str("answered with an error")
            }
            Self::Status { status, recorded: Some(recorded) } => {
                write!(formatter, "answered {status} where production answered {recorded}")
            }
            Self::Status { status, recorded: None } => write!(formatter, "answered {status}"),
            Self::TurnedAway(way) => write!(formatter, "new connection {}", way.name()),
            Self::Lost(name) => formatter.write_str(name),
            Self::Other => formatter.write_str("of many other classes"),
        }
    }
}
