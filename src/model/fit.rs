//! A model of a recording.

mod routes;

use std::collections::{BTreeMap, HashMap};

use crate::model::arrivals::{self, Arrivals, Begun};
use crate::model::chains::{self, Limits, Visits, by_session};
use crate::model::edit::Edits;
use crate::model::fit::routes::routes;
use crate::model::groups::assign;
use crate::model::observe::{Event, Observation, unfit};
use crate::model::owners::MOST_OF_ONE;
use crate::model::routes::Seen;
use crate::model::{ANONYMOUS, Fitted, Group, Model, rounded};
use crate::recording::Exchange;
use crate::recording::closings::Closings;
use crate::stats::counts::{as_f64, as_index};
use crate::units::{format_count, format_share};

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
    /// The group of each visit whose requests were looked at.
    pub group_of: Vec<u8>,
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
        "{} clients with {} visits are too few: a model tells nothing that fewer than {ANONYMOUS} \
         have in common, so it would be empty; record for longer, or where more clients are",
        format_count(*clients),
        format_count(*visits)
    )]
    TooFewClients {
        /// How many.
        clients: u64,
        /// How often they came.
        visits: u64,
    },
    /// It is one client's.
    #[error(
        "{} of {} {what} are one client's: with more than {} of them, a model would tell what \
         that one does; record for longer, or leave it out",
        format_count(*most),
        format_count(*all),
        format_share(MOST_OF_ONE)
    )]
    OneClient {
        /// Visits or requests of that client.
        most: u64,
        /// All of them.
        all: u64,
        /// Which of both.
        what: &'static str,
    },
    /// Too long.
    #[error(
        "its requests span {seconds:.0} s: a model is of a year at most; make a shorter recording"
    )]
    TooLong {
        /// From its beginning to the last request.
        seconds: f64,
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

/// Longest recording, in seconds, so that a model's file can say how long it is: a year.
pub const MOST_SECONDS: f64 = 365.0 * 86_400.0;

/// Fewest steps of the clock in it.
pub const LEAST_STEPS: f64 = 60.0;

/// Share of connections that carry several sessions from which on sessions share them.
const SHARED: f64 = 0.1;

/// Connections that are looked at for that.
const MAX_CONNECTIONS: usize = 1 << 20;

/// Requests that are known, and not told apart.
const OTHER_ROUTES: &str = "are of routes beyond those that are told apart, and count as OTHER";
const OTHER_LINKS: &str = "are on connections beyond those that are followed";

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
    let mut beyond = vec![(OTHER_ROUTES, seen.beyond)];
    drop(seen);
    for exchange in open() {
        observation.add(&exchange?);
    }
    beyond.push((OTHER_LINKS, observation.links.beyond));
    observation.beyond.extend(beyond.into_iter().filter(|(_, count)| *count > 0));
    refuse(&observation, about)?;
    Ok(modelled(observation, about))
}

fn refuse<E: std::error::Error>(
    observation: &Observation,
    about: About<'_>,
) -> Result<(), FitError<E>> {
    let requests = observation.requests;
    if requests == 0 {
        return Err(FitError::Nothing { left_out: observation.left_out.clone() });
    }
    if requests < LEAST_REQUESTS {
        return Err(FitError::TooFewRequests { requests });
    }
    let visits = observation.owners.len() as u64;
    let mut clients = observation.owners.clone();
    clients.sort_unstable();
    let most = clients.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap_or(0) as u64;
    clients.dedup();
    if clients.len() < ANONYMOUS {
        return Err(FitError::TooFewClients { clients: clients.len() as u64, visits });
    }
    if as_f64(most) > MOST_OF_ONE * as_f64(visits) {
        return Err(FitError::OneClient { most, all: visits, what: "visits" });
    }
    let (most, all) = most_requests(observation);
    if as_f64(most) > MOST_OF_ONE * as_f64(all) {
        return Err(FitError::OneClient { most, all, what: "requests" });
    }
    let first = observation.starts.first().copied().unwrap_or(0.0);
    let seconds = observation.latest - first;
    if seconds < LEAST_SECONDS {
        return Err(FitError::TooShort { seconds });
    }
    if observation.latest > MOST_SECONDS {
        return Err(FitError::TooLong { seconds: observation.latest });
    }
    if about.resolution * LEAST_STEPS > seconds {
        return Err(FitError::TooCoarse { step: about.resolution, seconds });
    }
    Ok(())
}

/// Requests of the client that has most of them, and all, of those that are looked at.
fn most_requests(observation: &Observation) -> (u64, u64) {
    let mut requests: HashMap<u32, u64> = HashMap::new();
    let visits = Visits { lasts: &[], owners: &observation.owners };
    for event in &observation.events {
        *requests.entry(visits.owner(event)).or_default() += 1;
    }
    (requests.values().max().copied().unwrap_or(0), observation.events.len() as u64)
}

fn modelled(mut observation: Observation, about: About<'_>) -> Fit {
    // Requests may be later than what a header from elsewhere says.
    let last = observation.latest;
    // Whole milliseconds: a moment with four digits might be before a stretch of the rate begins.
    let length = (about.length.clamp(last, last + SILENCE) * 1e3).ceil() / 1e3;
    let arrivals = arrivals::fit(&Begun {
        starts: &observation.starts,
        owners: &observation.owners,
        length,
        resolution: about.resolution,
        busiest: observation.busiest.seconds(),
    });
    let mut events = std::mem::take(&mut observation.events);
    let (groups, group_of) = groups(&mut events, &observation, about.resolution, length);
    observation.events = events;
    let mut connections = observation.links.connections();
    connections.held = observation.links.held(about.closings);
    let in_digits = |count: u64| as_index(rounded(as_f64(count))) as u64;
    let model = Model {
        fitted: Fitted {
            requests: in_digits(observation.requests),
            sessions: in_digits(observation.starts.len() as u64),
        },
        duration: length,
        rate: arrivals.rate.clone(),
        bursts: arrivals.bursts,
        routes: routes(&observation.table.names, &observation.routes),
        groups,
        connections,
        edits: Edits::default(),
    };
    let left_out = observation.left_out.clone();
    Fit { model, arrivals, left_out, group_of, observation }
}

/// Seconds without a request at the end of a recording that count as part of it.
const SILENCE: f64 = 3_600.0;

/// The groups, and which of them each visit with requests belongs to, in the order of visits.
fn groups(
    events: &mut [Event],
    observation: &Observation,
    resolution: f64,
    length: f64,
) -> (Vec<Group>, Vec<u8>) {
    let embedded_below = chains::embedded_below(events, resolution);
    let ended_before = length - chains::ended_after(events, embedded_below, length);
    let limits = Limits { embedded_below, ended_before };
    let visits = Visits { lasts: &observation.lasts, owners: &observation.owners };
    let ranges = by_session(events);
    let sessions: Vec<&[Event]> =
        ranges.iter().filter_map(|range| events.get(range.clone())).collect();
    let owners: Vec<u32> = sessions
        .iter()
        .filter_map(|session| session.first())
        .map(|first| visits.owner(first))
        .collect();
    let group_of = assign(events, &ranges, &owners);
    let count = group_of.iter().max().map_or(0, |most| most + 1);
    let routes = observation.table.names.len();
    let all = chains::fit(&chains::seen(&sessions, visits, limits), routes, 1.0, None);
    if count < 2 {
        return (vec![all], group_of);
    }
    let of_group = |group: u8| {
        let of: Vec<&[Event]> = sessions
            .iter()
            .zip(&group_of)
            .filter(|(_, of)| **of == group)
            .map(|(session, _)| *session)
            .collect();
        let share = as_f64(of.len() as u64) / as_f64(sessions.len().max(1) as u64);
        chains::fit(&chains::seen(&of, visits, limits), routes, share, Some(&all))
    };
    ((0..count).map(of_group).collect(), group_of)
}
