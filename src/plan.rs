//! Recording and scenario become arrivals: what to send, on which connection, and when. Pure,
//! seeded and streamed; the same recording, scenario and seed give the same plan, byte for byte.

pub mod answers;
pub mod needs;
pub mod facts;
pub mod profile;
pub(crate) mod edit;
pub(crate) mod retarget;
pub mod token;
pub mod bond;
pub mod arrivals;
mod framing;
pub mod streamed;
pub mod rewrite;
mod source;
pub(crate) mod clients;
pub(crate) mod learn;
mod remembered;
mod doubts;
mod select;
mod redis;
mod scale;
pub mod scaling;
pub mod turns;
mod fingerprint;
mod pending;
mod clones;
mod choice;
pub(crate) mod tally;
mod measure;
pub mod busiest;
pub mod generate;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::plan::answers::Answers;
use crate::plan::arrivals::Plan;
use crate::plan::bond::Bond;
use crate::plan::choice::Choice;
use crate::plan::facts::Facts;
use crate::plan::learn::{Learned, learn};
use crate::plan::redis::Commands;
use crate::plan::redis::transactions::{Broken, broken};
use crate::plan::scale::{Scale, Speed};
use crate::plan::source::{Source, Span, with_reader};
use crate::plan::streamed::Streamed;
use crate::plan::turns::Turn;
use crate::protocol::Protocol;
use crate::recording::file::RecordingError;
use crate::recording::file::reader::RecordingReader;
use crate::scenario::Scenario;
use crate::units::format_count;

/// Makes a plan, and finds out what it is about to do. `authority` is the `Host` of the target.
///
/// The recording is read three times: its small columns for the window and the groups (twice when
/// the window is to be the busiest one), everything for the facts, and everything again while the
/// plan is driven.
pub fn outline(
    reader: &RecordingReader,
    scenario: &Scenario,
    authority: &str,
) -> Result<(Facts, Plan), PlanError> {
    let recorded_ns = reader.header().duration_ns;
    let (mut facts, plan) =
        with_reader(reader, |source| outline_source(&source, scenario, authority))
            .map_err(|error| doubts::of_length(error, recorded_ns))?;
    facts.warnings.extend(doubts::window(scenario.window, facts.window_ns, recorded_ns));
    facts.window_ns[1] = facts.window_ns[1].min(recorded_ns);
    let step = Duration::from_nanos(reader.header().clock_resolution_ns);
    let step = Speed::new(scenario.speed)?.due(step);
    facts.clock_step_ns = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
    let cuts = reader.header().ledger.cuts();
    if !cuts.is_empty() {
        facts.warnings.push(format!(
            "the recording is partial ({}): what came later is missing, and its load is not \
             replayed",
            cuts.join(", ")
        ));
    }
    Ok((facts, plan))
}

fn outline_source(
    source: &Source<'_>,
    scenario: &Scenario,
    authority: &str,
) -> Result<(Facts, Plan), PlanError> {
    let scale = Scale::new(scenario.scale, scenario.seed)?.spread(scenario.clones.spread);
    let speed = Speed::new(scenario.speed)?;
    let span = select::span(source, scenario.window)?;
    let mut selection = select::select(source, span, scenario, scale)?;
    let stride = stride(selection.max_connection, scale, scenario.hosts.len())?;
    let learned = learned(source, span, scenario)?;
    let choice = Arc::new(Choice {
        methods: scenario.methods.clone(),
        headers: scenario.headers.clone(),
        authorities: authorities(authority, scenario),
        hosts: scenario.hosts.clone(),
        rewriting: scenario.rewriting.clone(),
        learned: learned.clone(),
        start: span.map_or(Duration::ZERO, |(start, _)| start),
        scale,
        seed: scenario.seed,
        clones: scenario.clones,
        speed,
        ramp: scenario.ramp.clone(),
        pace: scenario.pace,
        groups: std::mem::take(&mut selection.groups),
        closings: Arc::clone(&source.closings),
        handshakes: Arc::clone(&source.handshakes),
        stride,
        redis: redis_choice(source, span, scenario, selection.has_transactions)?,
    });
    let plan = Plan::new((source.exchanges)(span), Arc::clone(&choice), Totals::default());
    let (mut facts, totals) = measure::measure(plan, &selection, scenario)?;
    let ns = |moment: Duration| u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX);
    facts.window_ns = span.map_or([0, u64::MAX], |(start, end)| [ns(start), ns(end)]);
    facts.warnings.extend(choice.learned.as_ref().map(|learned| learned.told()));
    let plan = Plan::new((source.exchanges)(span), choice, totals);
    Ok((facts, plan))
}

/// How many arrivals there are of each, so that the last one is known.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) connections: HashMap<u64, u32>,
    /// Empty unless sessions set the pace.
    pub(crate) sessions: HashMap<u64, u32>,
    /// All of them; `None` where nobody has counted.
    pub(crate) arrivals: Option<u64>,
}

/// What decides about commands, where the target is a Redis.
fn redis_choice(
    source: &Source<'_>,
    span: Option<Span>,
    scenario: &Scenario,
    has_transactions: bool,
) -> Result<Option<(Commands, Arc<Broken>)>, PlanError> {
    let Some(target) = scenario.target.redis() else { return Ok(None) };
    let commands = Commands::new(target, scenario);
    let broken = if has_transactions {
        broken(&mut (source.exchanges)(span), &commands)?
    } else {
        Broken::default()
    };
    Ok(Some((commands, Arc::new(broken))))
}

/// What the recording tells of values that came back, where it is asked for.
fn learned(
    source: &Source<'_>,
    span: Option<Span>,
    scenario: &Scenario,
) -> Result<Option<Arc<Learned>>, PlanError> {
    let is_asked = scenario.rewriting.tokens.learn && scenario.target.redis().is_none();
    is_asked.then(|| learn((source.exchanges)(span)).map(Arc::new)).transpose()
}

/// The `Host` of the target, and those of the other hosts' targets behind it.
fn authorities(target: &str, scenario: &Scenario) -> Vec<String> {
    let others = scenario.hosts.iter().map(|host| host.to.authority());
    std::iter::once(target.to_owned()).chain(others).collect()
}

/// What is added to a connection's number for each copy and host, so that no two numbers meet.
fn stride(max_connection: u64, scale: Scale, hosts: usize) -> Result<u64, PlanError> {
    let stride = max_connection.checked_add(1);
    let copies = u64::from(scale.most_copies()).saturating_mul(hosts as u64 + 1);
    let fits = |stride: &u64| stride.checked_mul(copies).is_some();
    match stride.filter(fits) {
        Some(stride) => Ok(stride),
        // Nothing is added to the only copy.
        None if copies <= 1 => Ok(0),
        None => Err(PlanError::ConnectionNumbers { max_connection }),
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Rows are not in the order of time.
    #[error(
        "the recording is not in the order of time at {} ns; import its capture again",
        at.as_nanos()
    )]
    Unordered {
        /// Moment of the row that comes too late.
        at: Duration,
    },
    /// A scale or speed that makes no sense.
    #[error("a {name} of {value} cannot be planned; use a number above 0, at most 100")]
    Factor {
        /// `scale` or `speed`.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A time of day of a recording that was made from JSON Lines.
    #[error(
        "the recording has no date, so a time of day is nowhere in it; write the window as \
         `+30s..+90s`, since its start"
    )]
    NoDate,
    /// Nothing is left to send.
    #[error(
        "nothing is left to replay of {} exchanges in the window ({reasons}); choose another \
         `window`, `methods` or `scale` in the scenario",
        format_count(*exchanges)
    )]
    Empty {
        /// Exchanges in the window.
        exchanges: u64,
        /// How many of them were skipped, by reason.
        reasons: String,
    },
    /// More requests in a second than allowed.
    #[error(
        "the plan reaches {} requests/s at second {second}, above `limits.max_rate` of {}; lower \
         `scale` or `speed`, or raise the limit",
        format_count(*rate),
        format_count(u64::from(*limit))
    )]
    TooFast {
        /// Requests in the busiest second.
        rate: u64,
        /// That second, since the start of the run.
        second: u64,
        /// The limit.
        limit: u32,
    },
    /// More connections than allowed.
    #[error(
        "the plan holds {} connections open at once, above `limits.max_connections` of {}; lower \
         `scale`, or raise the limit",
        format_count(*connections),
        format_count(u64::from(*limit))
    )]
    TooManyConnections {
        /// Connections open at once.
        connections: u64,
        /// The limit.
        limit: u32,
    },
    /// Too many clones wait for their moment.
    #[error(
        "{} clones wait for their moment, more than fit into memory; lower `scale`, or choose a \
         quieter window",
        format_count(*pending as u64)
    )]
    TooFarAhead {
        /// Arrivals that wait.
        pending: usize,
    },
    /// More connections and sessions than groups are made of.
    #[error(
        "the window has more than {} connections and sessions, too many to scale; choose a \
         shorter window, or `scale: 1`",
        format_count(u64::from(*limit))
    )]
    TooManySessions {
        /// How many are kept.
        limit: u32,
    },
    /// Clones cannot be given numbers of their own.
    #[error(
        "the recording numbers a connection {max_connection}, which leaves no numbers for clones; \
         number connections from 0 in order of appearance"
    )]
    ConnectionNumbers {
        /// Largest number of a connection.
        max_connection: u64,
    },
}

/// A request ready to be sent, with its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Position in the plan, from 0, in order of `due`.
    pub index: u64,
    /// When to send it, since the start of the run.
    pub due: Duration,
    /// The connection to send it on. Clones of a session have connections of their own.
    pub connection: u64,
    /// What is spoken on that connection: HTTP/1, or HTTP/2.
    pub protocol: Protocol,
    /// The session it belongs to.
    pub session: u64,
    /// Position on its connection, from 0, without gaps.
    pub seq: u32,
    /// Nothing follows on this connection: close it after the response, or when it was closed.
    pub last_on_connection: bool,
    /// Method, for the framing of the response and for reports.
    pub method: Arc<str>,
    /// Route template with its method, such as `GET /cart/*`: what the mix is counted by.
    pub route: Arc<str>,
    /// Request line and headers as they go on the wire; those of HTTP/2 as HTTP/1 would say them.
    pub head: Bytes,
    /// Body as it goes on the wire, chunk framing included; empty where it is `streamed`.
    pub body: Bytes,
    /// The body, where it is read from the disk while it is sent.
    pub streamed: Option<Arc<Streamed>>,
    /// Whether its target (method and target) appeared earlier in the plan.
    pub touch: Touch,
    /// What it waits for besides its moment; `None` unless sessions set the pace.
    pub turn: Option<Turn>,
    /// What production answered, where the recording knows.
    pub recorded: Recorded,
    /// The same as an answer, to be compared with.
    pub answers: Answers,
    /// What ties it to other hosts, and to answers of the target.
    pub bond: Bond,
}

impl Arrival {
    /// Bytes of its body as it goes on the wire.
    pub fn body_bytes(&self) -> u64 {
        self.streamed.as_ref().map_or(self.body.len() as u64, |streamed| streamed.wire_bytes())
    }

    /// Bytes of it that are held in memory before it is sent.
    pub fn held_bytes(&self) -> usize {
        let streamed = self.streamed.as_ref().map_or(0, |streamed| streamed.held());
        self.head.len().saturating_add(self.body.len()).saturating_add(streamed)
    }

    /// Its body is large: see [`LARGE_BODY`].
    pub fn is_large(&self) -> bool {
        self.body_bytes() >= LARGE_BODY as u64
    }
}

/// Whether the plan asked for the same thing before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The first request for its target: a cold cache must miss.
    First,
    /// Asked for before in this plan: a warmed cache hits.
    Again,
    /// Not known: more distinct targets than are remembered.
    Unknown,
}

/// What production answered to the same request, and how it was asked.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Status code.
    pub status: Option<u16>,
    /// Body bytes, de-chunked.
    pub body_bytes: Option<u64>,
    /// First byte of the request to last byte of the response.
    pub latency: Option<Duration>,
    /// It was sent before the response to the request before it had come.
    pub pipelined: bool,
    /// Its body waited for a `100 Continue` that its head asked for.
    pub expects: bool,
    /// The client closed its side behind it, and had its answer nevertheless.
    pub half_closes: bool,
    /// Until when its client held the connection open, in the time of the run.
    pub closes: Option<Duration>,
    /// Its connection resumed an earlier session of TLS, or did not; `None` where that is not
    /// known.
    pub resumed: Option<bool>,
    /// The answer was an error, though its status does not say so.
    pub failed: bool,
}

/// A request body from this many bytes on counts as large: 64 KiB is far above an ordinary form
/// and is the size from which single-threaded servers are known to stall (science: payloads).
pub const LARGE_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests;
