//! A model of a recording.

use std::collections::{BTreeMap, HashMap};

use crate::model::arrivals::{self, Arrivals};
use crate::model::chains::{self, Limits, by_session};
use crate::model::edit::Edits;
use crate::model::groups::assign;
use crate::model::keys;
use crate::model::observe::{Asked, Event, Observation, unfit};
use crate::model::routes::Seen;
use crate::model::sizes::Sizes;
use crate::model::sketch::{Law, Sketch, ceiling};
use crate::model::{ANONYMOUS, Fitted, Group, Model, Route, rounded};
use crate::recording::Exchange;
use crate::recording::closings::Closings;
use crate::stats::counts::as_f64;
use crate::units::format_count;

/// How a model is to be fitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Segments of paths are numbers in the model.
    pub hides_routes: bool,
}

/// What is known of a recording besides its exchanges.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Its length in seconds.
    pub length: f64,
    /// Smallest step of its clock in seconds.
    pub resolution: f64,
    /// When connections were closed.
    pub closings: &'a Closings,
}

/// A model, and what was found on the way.
#[derive(Debug)]
pub struct Fit {
    /// The model.
    pub model: Model,
    /// What was found of the beginnings of sessions.
    pub arrivals: Arrivals,
    /// Requests that it is not made of, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Everything that was seen, for checks.
    pub observation: Observation,
}

/// Why no model can be made.
#[derive(Debug, thiserror::Error)]
pub enum FitError<E: std::error::Error + 'static> {
    /// The recording cannot be read.
    #[error(transparent)]
    Source(#[from] E),
    /// It has nothing that a model is made of.
    #[error(
        "no request of HTTP/1 in it to make a model of{}; other protocols are not modelled yet",
        listed(left_out)
    )]
    Nothing {
        /// Requests by the reason why not.
        left_out: BTreeMap<&'static str, u64>,
    },
    /// Too few clients.
    #[error(
        "{} sessions are too few: a model tells nothing that fewer than {ANONYMOUS} have in \
         common, so it would be empty; record for longer, or where more clients are",
        format_count(*sessions)
    )]
    TooFewSessions {
        /// How many.
        sessions: u64,
    },
    /// Too few requests.
    #[error(
        "{} requests are too few: below {LEAST_REQUESTS} nothing is known of rates, sizes and \
         tails; record for longer",
        format_count(*requests)
    )]
    TooFewRequests {
        /// How many.
        requests: u64,
    },
    /// Too short.
    #[error(
        "its requests span {seconds:.3} s: a rate that changes and times between requests are \
         told by no less than {LEAST_SECONDS} s; record for longer"
    )]
    TooShort {
        /// From the first request to the last.
        seconds: f64,
    },
    /// Too coarse.
    #[error(
        "its clock has steps of {step:.3} s in {seconds:.3} s: with fewer than {LEAST_STEPS} steps \
         no rate is told; record for longer, or with a finer clock"
    )]
    TooCoarse {
        /// Step of the clock.
        step: f64,
        /// Length.
        seconds: f64,
    },
}

fn listed(left_out: &BTreeMap<&'static str, u64>) -> String {
    let all: Vec<String> = left_out
        .iter()
        .map(|(reason, count)| format!("{} {reason}", format_count(*count)))
        .collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// Fewest requests of a model.
pub const LEAST_REQUESTS: u64 = 200;

/// Shortest recording, in seconds.
pub const LEAST_SECONDS: f64 = 10.0;

/// Fewest steps of the clock in it.
pub const LEAST_STEPS: f64 = 60.0;

/// Share of connections that carry several sessions from which on sessions share them.
const SHARED: f64 = 0.1;

/// Connections that are looked at for that.
const MAX_CONNECTIONS: usize = 1 << 20;

/// Fits a model. `open` begins the recording anew; it is gone through twice.
pub fn fit<E, I>(
    open: &mut dyn FnMut() -> I,
    about: About<'_>,
    options: Options,
) -> Result<Fit, FitError<E>>
where
    E: std::error::Error + 'static,
    I: Iterator<Item = Result<Exchange, E>>,
{
    let mut seen = Seen::default();
    let mut sessions_of: HashMap<u64, (u64, bool)> = HashMap::new();
    for exchange in open() {
        let exchange = exchange?;
        if unfit(&exchange).is_some() {
            continue;
        }
        seen.add(&exchange.method, &exchange.route, exchange.session);
        if let Some((session, several)) = sessions_of.get_mut(&exchange.connection) {
            *several |= *session != exchange.session;
        } else if sessions_of.len() < MAX_CONNECTIONS {
            sessions_of.insert(exchange.connection, (exchange.session, false));
        }
    }
    let several = sessions_of.values().filter(|(_, several)| *several).count() as u64;
    let shared = as_f64(several) > SHARED * as_f64(sessions_of.len() as u64);
    drop(sessions_of);
    let mut observation = Observation::new(seen.table(options.hides_routes), shared);
    for exchange in open() {
        observation.add(&exchange?);
    }
    refuse(&observation, about)?;
    Ok(modelled(observation, about))
}

fn refuse<E: std::error::Error>(
    observation: &Observation,
    about: About<'_>,
) -> Result<(), FitError<E>> {
    let (requests, sessions) = (observation.requests, observation.starts.len() as u64);
    if requests == 0 {
        return Err(FitError::Nothing { left_out: observation.left_out.clone() });
    }
    if requests < LEAST_REQUESTS {
        return Err(FitError::TooFewRequests { requests });
    }
    if sessions < ANONYMOUS as u64 {
        return Err(FitError::TooFewSessions { sessions });
    }
    let first = observation.starts.first().copied().unwrap_or(0.0);
    let last = observation.lasts.iter().copied().fold(0.0, f64::max);
    let seconds = last - first;
    if seconds < LEAST_SECONDS {
        return Err(FitError::TooShort { seconds });
    }
    if about.resolution * LEAST_STEPS > seconds {
        return Err(FitError::TooCoarse { step: about.resolution, seconds });
    }
    Ok(())
}

fn modelled(mut observation: Observation, about: About<'_>) -> Fit {
    // Requests may be later than what a header from elsewhere says.
    let last = observation.lasts.iter().copied().fold(0.0, f64::max);
    let length = about.length.clamp(last, last + SILENCE);
    let arrivals =
        arrivals::fit(&observation.starts, length, about.resolution, &observation.per_second);
    let mut events = std::mem::take(&mut observation.events);
    let groups = groups(&mut events, &observation, about.resolution, length);
    observation.events = events;
    let mut connections = observation.links.connections();
    connections.held = observation.links.held(about.closings);
    let routes = observation.table.names.iter().zip(&observation.routes);
    let routes = routes.map(|(name, asked)| route(name, asked)).collect();
    let model = Model {
        fitted: Fitted {
            requests: observation.requests,
            sessions: observation.starts.len() as u64,
        },
        duration: rounded(length),
        rate: arrivals.rate.clone(),
        bursts: arrivals.bursts,
        routes,
        groups,
        connections,
        edits: Edits::default(),
    };
    let left_out = observation.left_out.clone();
    Fit { model, arrivals, left_out, observation }
}

/// Seconds without a request at the end of a recording that count as part of it.
const SILENCE: f64 = 3_600.0;

fn groups(
    events: &mut [Event],
    observation: &Observation,
    resolution: f64,
    length: f64,
) -> Vec<Group> {
    let embedded_below = chains::embedded_below(events, resolution);
    let ended_before = length - chains::ended_after(events, embedded_below, length);
    let limits = Limits { embedded_below, ended_before };
    let ranges = by_session(events);
    let group_of = assign(events, &ranges);
    let count = group_of.iter().max().map_or(0, |most| most + 1);
    let of_group = |group: u8| {
        let sessions: Vec<&[Event]> = ranges
            .iter()
            .zip(&group_of)
            .filter(|(_, of)| **of == group)
            .filter_map(|(range, _)| events.get(range.clone()))
            .collect();
        let share = as_f64(sessions.len() as u64) / as_f64(ranges.len().max(1) as u64);
        chains::fit(&sessions, &observation.lasts, limits, observation.table.names.len(), share)
    };
    (0..count).map(of_group).collect()
}

fn route(name: &str, asked: &Asked) -> Route {
    let mut head = asked.head.kept.clone();
    head.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let median = head.get(head.len() / 2).map_or(0.0, |(size, _)| ceiling(*size));
    let law = |sample: &[(f64, u32)]| Law::fit(&mut sample.to_vec());
    Route {
        name: name.to_owned(),
        keys: keys::fit(&asked.keys, &asked.references),
        head: Sketch::fit(&head).unwrap_or_else(|| Sketch::constant(median)),
        body: Sizes::fit(&asked.body.kept),
        answer: Sizes::fit(&asked.answer.kept),
        statuses: statuses(asked),
        first_byte: law(&asked.first_byte.kept),
        rest: law(&asked.rest.kept),
    }
}

/// Statuses with their shares. One that too few sessions got counts as the plainest of its kind.
fn statuses(asked: &Asked) -> Vec<(u16, f64)> {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    for (status, (count, owners)) in &asked.statuses {
        let told = if owners.are_enough() { *status } else { plainest(*status) };
        *counts.entry(told).or_default() += count;
    }
    let all = as_f64(counts.values().sum::<u64>().max(1));
    counts.into_iter().map(|(status, count)| (status, rounded(as_f64(count) / all))).collect()
}

fn plainest(status: u16) -> u16 {
    match status {
        0 => 0,
        300..400 => 302,
        400..500 => 400,
        500.. => 500,
        _ => 200,
    }
}
