//! A load that was never recorded, as it is asked for on the command line: one request, sent again
//! and again.
//!
//! The URL that a person types is the permission for this machine itself (loopback); any other host
//! is named a second time, as a scenario names it under `target.allow`.

pub mod wave;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::scenario::expectation::Expectation;
use crate::scenario::fields::{self, TIERS};
use crate::scenario::hosts::{is_loopback, plain_host};
use crate::scenario::network::Network;
use crate::scenario::problem::{Mistake, crop};
use crate::scenario::target::is_allowed;
use crate::scenario::{Limits, TargetSpec, Tier};
use crate::units::rate::{PerSecond, parse_per_second};
use crate::units::{format_counted, format_duration};

/// What to send, where, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Where to send.
    pub target: TargetSpec,
    /// Hosts that may be contacted, as in a scenario.
    pub allow: Vec<String>,
    /// How connections reach the target.
    pub network: Network,
    /// What to send.
    pub request: Request,
    /// Over how many connections, in turn.
    pub connections: u32,
    /// When.
    pub pace: LoadPace,
    /// Seed of every random choice.
    pub seed: u64,
    /// Ceilings.
    pub limits: Limits,
    /// Tier of load-shape tolerances.
    pub tolerance: Tier,
    /// What must hold.
    pub expect: Vec<Expectation>,
}

/// The one request of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers besides those that every request needs.
    pub headers: BTreeMap<String, String>,
    /// Body; may be empty.
    pub body: Vec<u8>,
    /// It is spoken in HTTP/2.
    pub http2: bool,
}

/// When the requests of a load are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadPace {
    /// At moments that are fixed before, whatever the target does.
    Open {
        /// The rate over time.
        stages: Vec<Stage>,
        /// How requests lie within it.
        spacing: Spacing,
    },
    /// Each connection sends its next request when it has the answer to the one before.
    Closed {
        /// For so long.
        length: Duration,
    },
}

/// A time in which the rate goes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How long.
    pub length: Duration,
    /// The rate at its begin.
    pub from: PerSecond,
    /// The rate at its end.
    pub to: PerSecond,
}

/// How requests lie within a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// As evenly as can be.
    Even,
    /// As those of many users who know nothing of each other: a Poisson process.
    Poisson,
}

impl Load {
    /// The load in a line, for people.
    pub fn description(&self) -> String {
        let connections = format_counted(u64::from(self.connections), "connection", "connections");
        match &self.pace {
            LoadPace::Closed { length } => {
                format!("closed, {connections}, {}", format_duration(*length))
            }
            LoadPace::Open { stages, spacing } => {
                let spacing = match spacing {
                    Spacing::Even => "",
                    Spacing::Poisson => " at random (Poisson)",
                };
                format!("{}{spacing}, {connections}", told(stages))
            }
        }
    }

    /// The pace in a word, for programs.
    pub fn pace_name(&self) -> &'static str {
        match &self.pace {
            LoadPace::Closed { .. } => CLOSED,
            LoadPace::Open { spacing: Spacing::Even, .. } => "constant",
            LoadPace::Open { spacing: Spacing::Poisson, .. } => "poisson",
        }
    }
}

/// The pace of a closed load, in a word.
pub const CLOSED: &str = "closed";

/// Stages that are named one by one; more would fill the page.
const MAX_TOLD: usize = 6;

fn told(stages: &[Stage]) -> String {
    if stages.len() > MAX_TOLD {
        let rates = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
        let (low, high) = (rates().min().unwrap_or_default(), rates().max().unwrap_or_default());
        let length = format_duration(stages.iter().map(|stage| stage.length).sum());
        return format!("between {low} and {high} for {length}, in {} stages", stages.len());
    }
    let parts: Vec<String> = stages
        .iter()
        .map(|Stage { length, from, to }| match format_duration(*length) {
            length if from == to => format!("{from} for {length}"),
            length => format!("{from} to {to} in {length}"),
        })
        .collect();
    parts.join(", ")
}

/// Longest stage and longest load: a day.
const LONGEST: Duration = Duration::from_hours(24);

/// Most stages of a load: more are a recording.
pub const MAX_STAGES: usize = 1_000;

/// How long.
pub fn length(text: &str) -> Result<Duration, Mistake> {
    fields::duration(text, Duration::from_millis(1)..=LONGEST)
}

/// How fast, above 0.
pub fn rate(text: &str) -> Result<PerSecond, Mistake> {
    match parse_per_second(text)? {
        PerSecond::ZERO => Err(Mistake::new("a rate of 0 sends nothing", "write such as 1000")),
        rate => Ok(rate),
    }
}

/// How many connections.
pub fn connections(text: &str) -> Result<u32, Mistake> {
    fields::whole32(text, 1..=1_000_000)
}

/// A method, upper case.
pub fn method(text: &str) -> Result<String, Mistake> {
    fields::method(text)
}

/// A host that may be contacted, lower case.
pub fn allowed(text: &str) -> Result<String, Mistake> {
    fields::allowed(text)
}

/// What must hold.
pub fn expectation(text: &str) -> Result<Expectation, Mistake> {
    Expectation::option(text)
}

/// Tier of tolerances.
pub fn tolerance(text: &str) -> Result<Tier, Mistake> {
    fields::word(text, &TIERS)
}

/// A header, with `${NAME}` from the environment.
pub fn header(text: &str) -> Result<(String, String), Mistake> {
    let Some((name, value)) = text.split_once(':') else {
        let mistake = "a header has a name, a colon and a value";
        return Err(Mistake::new(mistake, "write such as 'Accept: text/html'"));
    };
    fields::header_name(name.trim())?;
    let value = fields::header_value(value, &|name| std::env::var(name).ok())?;
    Ok((name.trim().to_owned(), value))
}

/// Where a stage leads: a rate, or so many times the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// Requests a second.
    Rate(PerSecond),
    /// A factor, as it was typed.
    Times(String),
}

/// A stage such as `30s:2x` or `1m:500`.
pub fn stage(text: &str) -> Result<(Duration, Level), Mistake> {
    const HINT: &str = "write how long and to which rate, such as `30s:2x` (twice the --rate) or \
                        `1m:500`; a length of 0s steps there at once";
    let Some((length, level)) = text.split_once(':') else {
        return Err(Mistake::new(format!("`{}` is no stage", crop(text)), HINT));
    };
    let length = fields::duration(length, Duration::ZERO..=LONGEST)?;
    let level = match level.trim().strip_suffix('x') {
        Some(factor) => {
            PerSecond { things: 1, seconds: 1 }.times(factor)?;
            Level::Times(factor.to_owned())
        }
        None => Level::Rate(parse_per_second(level)?),
    };
    Ok((length, level))
}

/// The rate over time: from a first rate on, evenly to that of each stage in its time.
pub fn stages(first: PerSecond, typed: &[(Duration, Level)]) -> Result<Vec<Stage>, Mistake> {
    if typed.len() > MAX_STAGES {
        return Err(Mistake::new("these are more than 1000 stages", "use fewer and longer ones"));
    }
    let mut from = first;
    let mut stages = Vec::new();
    for (length, level) in typed {
        let to = match level {
            Level::Rate(rate) => *rate,
            Level::Times(factor) => first.times(factor)?,
        };
        // A step takes no time; the next stage begins where it leads.
        if !length.is_zero() {
            stages.push(Stage { length: *length, from, to });
        }
        from = to;
    }
    let whole: Duration = stages.iter().map(|stage| stage.length).sum();
    if whole > LONGEST || whole.is_zero() {
        return Err(Mistake::new(
            "the stages together are nothing, or longer than a day",
            "a step takes no time: let a stage such as `30s:1x` follow that holds the rate",
        ));
    }
    Ok(stages)
}

/// A URL: the target, and the path with its query. What stands behind a `#` is never sent.
pub fn url(text: &str) -> Result<(TargetSpec, String), Mistake> {
    const HINT: &str = "write such as http://127.0.0.1:8080/path?query";
    let scheme = text.find("://").map_or(0, |at| at + 3);
    let rest = text.get(scheme..).unwrap_or_default();
    let (origin, path) = text.split_at(scheme + rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let target = match fields::url(origin)? {
        TargetSpec::Stage => {
            return Err(Mistake::new(
                "the embedded stage has no address before it is started",
                "start it with `peakhour stage`, and name the address that it tells",
            ));
        }
        target @ (TargetSpec::Http { .. } | TargetSpec::Redis(_)) => target,
    };
    let path = path.split('#').next().unwrap_or_default();
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let mistake = "the path holds a blank, or a letter that URLs have in their %-form only";
        return Err(Mistake::new(mistake, HINT));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((target, format!("{slash}{path}")))
}

/// Hosts that may be contacted: those named, and this machine where the URL, or a way that is typed
/// beside it, names it. Any other that is not named is refused.
pub fn permitted(
    target: &TargetSpec,
    network: &Network,
    named: &[String],
) -> Result<Vec<String>, Mistake> {
    let mut allow = named.to_vec();
    let Some((host, port)) = target.place() else { return Ok(allow) };
    let host = plain_host(host);
    let (to, at) = network.destination(&host, port);
    let pinned = network.addresses(&to, at).iter().map(IpAddr::to_canonical);
    let pinned: Vec<(String, u16)> = pinned.map(|address| (address.to_string(), at)).collect();
    for (host, port) in [(host, port), (to, at)].into_iter().chain(pinned) {
        if is_loopback(&host) {
            allow.push(host);
        } else if !is_allowed(&host, port, named) {
            return Err(Mistake::new(
                format!("{host} is not this machine"),
                format!("add `--allow {host}` if the load may go there"),
            ));
        }
    }
    Ok(allow)
}

/// The host that is connected to is one of those named: it may be another machine.
pub fn is_named(target: &TargetSpec, network: &Network, named: &[String]) -> bool {
    let TargetSpec::Http { host, port, .. } = target else { return false };
    let (host, port) = network.destination(&plain_host(host), *port);
    is_allowed(&host, port, named)
}

#[cfg(test)]
mod tests;
