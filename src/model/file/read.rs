//! A model's file becomes a [`Model`], or an error that says where and what to write instead.

mod chains;
mod parts;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde_yaml::Spanned;

use crate::model::file::keys::{FittedKeys, LevelKeys, ModelKeys, Text};
use crate::model::file::{VERSION, version_of};
use crate::model::{Fitted, Level, Model};
use crate::scenario::problem::{Mistake, Problem, ScenarioError, Source, crop};

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read the model {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be.
    #[error("{0}")]
    Invalid(Box<Problem>),
}

/// Largest file that is read: ten times that of a model with all routes and groups there may be.
pub const MAX_FILE: usize = 32 << 20;

/// Most stretches of the rate.
const MAX_LEVELS: usize = 100_000;

/// The longest time in a model, in seconds: a year.
const YEAR: f64 = 366.0 * 86_400.0;

/// Most sessions that begin in a second, over all edits.
pub(in crate::model) const MAX_RATE: f64 = 1e6;

/// By how much shares that ought to add up to 1 may not, since each was rounded.
const SLACK: f64 = 0.05;

/// Largest count of anything.
const MAX_COUNT: f64 = 1e15;

/// Reads a model's file.
pub fn load(path: &Path) -> Result<Model, ModelError> {
    let read_error = |source| ModelError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes))
        .map_err(read_error)?;
    let text = String::from_utf8_lossy(&bytes);
    from_text(&text, &path.display().to_string())
}

/// Reads the text of a model; `file` is for messages.
pub fn from_text(text: &str, file: &str) -> Result<Model, ModelError> {
    let place = Place { source: Source { file, text } };
    if text.len() > MAX_FILE {
        let source = Source { file, text: "" };
        let mistake = Mistake::new("the file is larger than any model", "was another file meant?");
        return Err(invalid(source.problem(0, 0, mistake)));
    }
    // Of another version, any key may be unknown: what is wrong is the version.
    if let Some((version, line)) = version_of(text).filter(|(version, _)| *version != VERSION) {
        let mistake = of_version(version);
        return Err(invalid(place.source.problem(line, "model: ".len() + 1, mistake)));
    }
    let keys: ModelKeys = serde_yaml::from_str_with_options(text, options())
        .map_err(|error| invalid(place.source.yaml_problem(&error)))?;
    model(place, &keys)
}

fn of_version(version: u64) -> Mistake {
    Mistake::new(
        format!("this is version {version} of the format"),
        format!(
            "this program reads version {VERSION}; fit the recording again, or use the peakhour \
             that wrote it"
        ),
    )
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: 4_000_000,
            max_events: 12_000_000,
            max_depth: 16,
            flow_nesting_limit: 16,
            max_documents: 2, // The second one is refused with a better message.
            max_aliases: 0,
            max_anchors: 0,
        },
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn invalid(error: ScenarioError) -> ModelError {
    match error {
        ScenarioError::Invalid(problem) => ModelError::Invalid(problem),
        ScenarioError::Read { path, source } => ModelError::Read { path, source },
    }
}

fn model(place: Place<'_>, keys: &ModelKeys) -> Result<Model, ModelError> {
    let version = place.whole(&keys.model, 0..=u64::MAX)?;
    if version != VERSION {
        let Mistake { message, hint, .. } = of_version(version);
        return Err(place.mistake(&keys.model, message, hint));
    }
    let routes = parts::routes(place, &keys.routes)?;
    let names: BTreeMap<&str, usize> =
        routes.iter().enumerate().map(|(number, route)| (&*route.name, number)).collect();
    let duration = place.number(&keys.duration, 1.0..=YEAR)?;
    let groups = chains::groups(place, &keys.groups, &names)?;
    Ok(Model {
        fitted: fitted(place, keys.fitted.as_ref())?,
        duration,
        rate: rate(place, &keys.rate, duration)?,
        bursts: keys.bursts.as_ref().map(|keys| parts::bursts(place, keys)).transpose()?,
        edits: parts::edits(place, keys.edits.as_ref())?,
        connections: parts::connections(place, &keys.connections)?,
        routes,
        groups,
    })
}

fn fitted(place: Place<'_>, keys: Option<&FittedKeys>) -> Result<Fitted, ModelError> {
    let Some(keys) = keys else { return Ok(Fitted::default()) };
    Ok(Fitted {
        requests: place.whole(&keys.requests, 0..=u64::MAX)?,
        sessions: place.whole(&keys.sessions, 0..=u64::MAX)?,
    })
}

fn rate(
    place: Place<'_>,
    keys: &Spanned<Vec<Spanned<LevelKeys>>>,
    duration: f64,
) -> Result<Vec<Level>, ModelError> {
    let mut rate: Vec<Level> = Vec::new();
    for level in &keys.value {
        let from = place.number(&level.value.from, 0.0..=YEAR)?;
        let begins = rate.last().map_or(from <= 0.0, |before| before.from < from);
        if from >= duration {
            return Err(place.mistake(
                level,
                format!("this stretch of the rate begins behind the model's end, {duration} s"),
                "write an earlier moment, or a longer `duration`".to_owned(),
            ));
        }
        if !begins || rate.len() >= MAX_LEVELS {
            return Err(place.mistake(
                level,
                "stretches of the rate begin at 0, each later than the one before".to_owned(),
                format!("write at most {MAX_LEVELS} of them, in the order of time"),
            ));
        }
        let busiest = level.value.busiest.as_ref();
        rate.push(Level {
            from,
            sessions: place.number(&level.value.sessions, 0.0..=MAX_RATE)?,
            busiest: busiest.map_or(Ok(0), |text| place.whole(text, 0..=u64::MAX))?,
        });
    }
    if !rate.iter().any(|level| level.sessions > 0.0) {
        return Err(place.mistake(
            keys,
            "no session ever begins".to_owned(),
            "write `- { from: 0, sessions: 10 }` for ten in each second".to_owned(),
        ));
    }
    Ok(rate)
}

/// The text of a model's file, for pointing into it.
#[derive(Clone, Copy)]
struct Place<'a> {
    source: Source<'a>,
}

impl Place<'_> {
    /// A number in a range.
    fn number(self, text: &Text, range: RangeInclusive<f64>) -> Result<f64, ModelError> {
        let is_plain = text.value.chars().all(|c| c.is_ascii_digit() || ".-+".contains(c));
        let number = text.value.parse::<f64>().ok().filter(|_| is_plain);
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(number),
            None => Err(self.mistake(
                text,
                match number {
                    Some(_) => format!("{} is out of range", crop(&text.value)),
                    None => format!("`{}` is not a plain number", crop(&text.value)),
                },
                format!("write a number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// A share.
    fn share(self, text: &Text) -> Result<f64, ModelError> {
        self.number(text, 0.0..=1.0)
    }

    /// A time in seconds.
    fn seconds(self, text: &Text) -> Result<f64, ModelError> {
        self.number(text, 0.0..=YEAR)
    }

    /// A whole number in a range.
    fn whole(self, text: &Text, range: RangeInclusive<u64>) -> Result<u64, ModelError> {
        let is_plain = text.value.chars().all(|c| c.is_ascii_digit());
        let number = text.value.parse::<u64>().ok().filter(|_| is_plain);
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            self.mistake(
                text,
                format!("`{}` is no such number", crop(&text.value)),
                format!("write a whole number from {} to {}", range.start(), range.end()),
            )
        })
    }

    /// A mistake at the place of a value.
    fn mistake<T>(self, at: &Spanned<T>, message: String, hint: String) -> ModelError {
        let number = |number: u64| usize::try_from(number).unwrap_or(0);
        let (line, column) = (number(at.referenced.line()), number(at.referenced.column()));
        invalid(self.source.problem(line, column, Mistake::new(message, hint)))
    }
}

#[cfg(test)]
mod tests;
