//! Arrivals that no recording holds: one request, at the moments of a [`Profile`], over a number of
//! connections in turn. Pure, seeded and streamed like a plan made of a recording.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::plan::answers::Answers;
use crate::plan::bond::Bond;
use crate::plan::facts::Facts;
use crate::plan::fingerprint::Fnv;
use crate::plan::needs::Needs;
use crate::plan::profile::{Profile, TooFine};
use crate::plan::tally::Counts;
use crate::plan::{Arrival, Recorded, Touch};
use crate::protocol::Protocol;
use crate::recording::route::route_of;
use crate::scenario::Limits;
use crate::scenario::load::{Load, Request, Spacing, Stage};
use crate::shape::Origin;
use crate::units::format_count;

/// Why a load cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Its moments cannot be computed exactly.
    #[error(transparent)]
    TooFine(#[from] TooFine),
    /// Not one request.
    #[error("this sends nothing: use a higher rate, or a longer time")]
    Empty,
    /// More requests in a second than allowed.
    #[error(
        "this reaches {} requests/s, above the ceiling of {}; ask for less, or raise it with \
         --max-rate {rate}",
        format_count(*rate),
        format_count(u64::from(*limit))
    )]
    TooFast {
        /// Highest rate.
        rate: u64,
        /// The ceiling.
        limit: u32,
    },
    /// More connections than allowed.
    #[error(
        "{} connections are above the ceiling of {}; ask for fewer, or raise it with \
         --max-connections {connections}",
        format_count(u64::from(*connections)),
        format_count(u64::from(*limit))
    )]
    TooManyConnections {
        /// Connections.
        connections: u32,
        /// The ceiling.
        limit: u32,
    },
}

/// Refuses more connections than allowed.
pub fn check_connections(connections: u32, limits: &Limits) -> Result<(), GenerateError> {
    if connections > limits.max_connections {
        let limit = limits.max_connections;
        return Err(GenerateError::TooManyConnections { connections, limit });
    }
    Ok(())
}

/// The arrivals of an open load, whose pace is that of `stages`, and their facts. Those of a closed
/// one are made as answers come back ([`Template`]).
pub fn generate(
    load: &Load,
    stages: &[Stage],
    spacing: Spacing,
) -> Result<(Facts, Generated), GenerateError> {
    check_connections(load.connections, &load.limits)?;
    let profile = Arc::new(Profile::new(stages)?);
    let limit = load.limits.max_rate;
    if profile.peak() > u64::from(limit) {
        return Err(GenerateError::TooFast { rate: profile.peak(), limit });
    }
    let moments = || Moments {
        profile: Arc::clone(&profile),
        next: 0,
        random: (spacing == Spacing::Poisson).then(|| Random::new(load.seed)),
    };
    let template = Template::new(&load.request, &load.target.authority());
    let facts = facts(moments(), &template, u64::from(load.connections));
    if facts.arrivals == 0 {
        return Err(GenerateError::Empty);
    }
    let generated = Generated {
        moments: moments(),
        template,
        connections: u64::from(load.connections),
        count: facts.arrivals,
    };
    Ok((facts, generated))
}

/// The one request of a load, ready to be sent.
#[derive(Clone, Debug)]
pub struct Template {
    method: Arc<str>,
    route: Arc<str>,
    head: Bytes,
    body: Bytes,
    http2: bool,
}

impl Template {
    /// The request as it goes on the wire to `authority`.
    pub fn new(request: &Request, authority: &str) -> Self {
        let Request { method, path, headers, body, http2 } = request;
        Self {
            method: Arc::from(method.as_str()),
            route: Arc::from(format!("{method} {}", route_of(path))),
            head: Bytes::from(head(method, path, authority, (headers, body.len()))),
            body: Bytes::from(body.clone()),
            http2: *http2,
        }
    }

    /// Bytes of it, head and body.
    pub(crate) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// It is spoken in HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    /// An arrival of it. No arrival is the last of its connection as far as is known here.
    pub(crate) fn arrival(&self, index: u64, due: Duration, connection: u64, seq: u64) -> Arrival {
        Arrival {
            answers: Answers::default(),
            bond: Bond::default(),
            index,
            due,
            connection,
            protocol: if self.http2 { Protocol::Http2 } else { Protocol::Http1 },
            session: connection,
            seq: u32::try_from(seq).unwrap_or(u32::MAX),
            last_on_connection: false,
            method: Arc::clone(&self.method),
            route: Arc::clone(&self.route),
            head: self.head.clone(),
            body: self.body.clone(),
            streamed: None,
            touch: if index == 0 { Touch::First } else { Touch::Again },
            turn: None,
            recorded: Recorded::default(),
        }
    }
}

fn head(
    method: &str,
    path: &str,
    authority: &str,
    (headers, body): (&BTreeMap<String, String>, usize),
) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
    if !headers.keys().any(|name| name.eq_ignore_ascii_case("User-Agent")) {
        head.push_str(concat!("User-Agent: peakhour/", env!("CARGO_PKG_VERSION"), "\r\n"));
    }
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if body > 0 || matches!(method, "POST" | "PUT" | "PATCH") {
        let _ = write!(head, "Content-Length: {body}\r\n");
    }
    head + "\r\n"
}

/// The arrivals of an open load, in the order of `due`, made while they are asked for: memory does
/// not depend on how many there are.
#[derive(Debug)]
pub struct Generated {
    moments: Moments,
    template: Template,
    connections: u64,
    /// All arrivals.
    count: u64,
}

impl Iterator for Generated {
    type Item = Result<Arrival, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.moments.next;
        let due = self.moments.next()?;
        let (connection, seq) = (index % self.connections, index / self.connections);
        let mut arrival = self.template.arrival(index, due, connection, seq);
        arrival.last_on_connection = self.count.saturating_sub(index) <= self.connections;
        Some(Ok(arrival))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.saturating_sub(self.moments.next);
        usize::try_from(left).map_or((usize::MAX, None), |left| (left, Some(left)))
    }
}

/// What is about to be done, found by going through all of it once.
fn facts(moments: Moments, request: &Template, connections: u64) -> Facts {
    let (mut counts, mut last, mut count) = (Counts::default(), Duration::ZERO, 0_u64);
    let mut print = Fnv::new().number(connections).text(&request.head).text(&request.body);
    if request.http2 {
        print = print.text(Protocol::Http2.name().as_bytes());
    }
    for moment in moments {
        count += 1;
        counts.count(moment);
        print = print.number(moment.as_secs()).number(u64::from(moment.subsec_nanos()));
        last = moment;
    }
    let connections = connections.min(count);
    let bytes = request.bytes() as u64;
    Facts {
        origin: Origin::Generated,
        arrivals: count,
        connections,
        peak_connections: connections,
        needs: Needs::of_steady(connections, counts.peak().0.saturating_mul(bytes)),
        sessions: connections,
        duration_ns: u64::try_from(last.as_nanos()).unwrap_or(u64::MAX),
        peak_rate: counts.peak().0,
        request_bytes: count.saturating_mul(bytes),
        fingerprint: format!("{:016x}", print.finish()),
        idc_after: counts.dispersion(),
        ..Facts::default()
    }
}

/// The moments of a load, one after the other.
#[derive(Debug)]
struct Moments {
    profile: Arc<Profile>,
    /// Position of the next one.
    next: u64,
    random: Option<Random>,
}

impl Iterator for Moments {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let moment = match &mut self.random {
            None => self.profile.moment(self.next),
            Some(random) => {
                random.position = random.position.saturating_add(random.exponential());
                self.profile.moment_between(random.position)
            }
        };
        self.next += u64::from(moment.is_some());
        moment
    }
}

/// A Poisson process of one request in a unit: where it stands, in 2⁻⁶⁴ of one. Whole numbers only,
/// so that it is the same on every machine.
#[derive(Debug)]
struct Random {
    random: ChaCha8Rng,
    position: u128,
}

impl Random {
    fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), position: 0 }
    }

    /// A number of the exponential distribution with mean 1, by von Neumann's comparisons: a run of
    /// falling uniform numbers is of odd length with the probability `e⁻ˣ`, `x` being its first.
    fn exponential(&mut self) -> u128 {
        let mut whole = 0;
        loop {
            let first = self.random.next_u64();
            let (mut last, mut is_odd) = (first, true);
            loop {
                let next = self.random.next_u64();
                if next >= last {
                    break;
                }
                (last, is_odd) = (next, !is_odd);
            }
            if is_odd {
                return (whole << 64) | u128::from(first);
            }
            whole += 1;
        }
    }
}

#[cfg(test)]
mod tests;
