//! Figures of probes: `PROBE.FIGURE OP NUMBER`, as rules that end a run have them, too.

use crate::scenario::expectation::clauses::{Clauses, KEYWORDS};
use crate::scenario::expectation::words::{byte_of, crop, mistake, words};
use crate::scenario::expectation::{
    Bound, Comparison, Expectation, ExpectationError, MetricName, Value,
};
use crate::scenario::problem::Mistake;
use crate::scenario::watch::Watch;

/// A figure held against a number.
pub(in crate::scenario) struct Claim {
    /// `PROBE.FIGURE`.
    pub(in crate::scenario) name: String,
    pub(in crate::scenario) op: Comparison,
    pub(in crate::scenario) value: f64,
}

/// Whether a line is about a figure of a probe: no other metric has a point in its name.
pub(in crate::scenario) fn is_about_one(text: &str) -> bool {
    words(text).first().is_some_and(|(_, word)| word.contains('.'))
}

const HINT: &str = "write such as `redis.connected_clients > 900`, with blanks around >";

const OPS: [(&str, Comparison); 4] = [
    ("<", Comparison::Below),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    (">=", Comparison::AtLeast),
];

/// The first word that is an operator, with its column. A figure may hold blanks, and signs in its
/// labels.
fn operator(text: &str) -> Option<(usize, &'static str, Comparison)> {
    let op = |word: &str| OPS.iter().find(|(sign, _)| *sign == word);
    words(text).into_iter().find_map(|(column, word)| {
        let (sign, op) = op(word)?;
        Some((column, *sign, *op))
    })
}

/// Reads `PROBE.FIGURE OP NUMBER`.
pub(in crate::scenario) fn claim(text: &str) -> Result<Claim, ExpectationError> {
    let Some((column, sign, op)) = operator(text) else {
        return Err(mistake(text.chars().count() + 1, "there is no operator", HINT));
    };
    let (name, rest) = text.split_at(byte_of(text, column));
    let value = rest.get(sign.len()..).unwrap_or_default();
    let column = column + rest.chars().count() - value.trim_start().chars().count();
    let number = value.trim().replace('_', "");
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    let read = number.parse::<f64>().ok().filter(|value| plain && value.is_finite());
    let Some(value) = read else {
        let message = format!("`{}` is not a plain number", crop(value.trim()));
        return Err(mistake(column, &message, HINT));
    };
    Ok(Claim { name: name.trim().to_owned(), op, value })
}

/// Reads an expectation.
pub(super) fn parse(text: &str) -> Result<Expectation, ExpectationError> {
    let from = operator(text).map_or(0, |(column, ..)| column);
    let all = words(text);
    let is_clause = |(column, word): &(usize, &str)| *column > from && KEYWORDS.contains(word);
    let first = all.iter().position(is_clause).unwrap_or(all.len());
    let cut = all.get(first).map_or(text.len(), |(column, _)| byte_of(text, *column));
    let Claim { name, op, value } = claim(text.get(..cut).unwrap_or(text).trim_end())?;
    let clauses = Clauses::parse(all.get(first..).unwrap_or_default(), text)?;
    clauses.check_probe()?;
    Ok(Expectation {
        text: text.trim().to_owned(),
        metric: MetricName::Probe,
        stat: None,
        figure: name,
        bound: Bound::Compared(op, Value::Absolute(value)),
        clauses,
    })
}

/// What is wrong where nobody watches the probe of `PROBE.FIGURE`.
pub(in crate::scenario) fn check(name: &str, watches: &[Watch]) -> Result<(), Mistake> {
    if watches.iter().any(|watch| figure_of(name, &watch.name).is_some()) {
        return Ok(());
    }
    let names: Vec<&str> = watches.iter().map(|watch| watch.name.as_str()).collect();
    let hint = if names.is_empty() {
        "the scenario watches nothing: add the probe under `watch`".to_owned()
    } else {
        format!("the probes under `watch` are {}", names.join(", "))
    };
    Err(Mistake::new(format!("no probe is called as in `{}`", crop(name)), hint))
}

/// The figure in `PROBE.FIGURE`, where the probe is this one.
pub(in crate::scenario) fn figure_of<'a>(name: &'a str, probe: &str) -> Option<&'a str> {
    name.strip_prefix(probe)?.strip_prefix('.').filter(|figure| !figure.is_empty())
}
