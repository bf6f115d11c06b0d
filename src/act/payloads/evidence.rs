//! What the act has seen, as plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{format_counted, format_size};

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Payloads {
    /// What a bystander may wait, ns.
    pub slo_ns: u64,
    /// Nothing larger was to be sent, in bytes.
    pub max_bytes: u64,
    /// What production sent.
    pub recorded: Recorded,
    /// One for each place and direction.
    pub sweeps: Vec<Sweep>,
    /// The user stopped it.
    pub interrupted: bool,
}

/// The request bodies of the recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Requests that had a body.
    pub bodies: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Half of them were no larger.
    pub p50: u64,
    /// 99 % of them were no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
    /// The largest body of a response.
    pub response_max: u64,
    /// Who sent the largest, the largest first: one entry a client and route.
    pub largest: Vec<Largest>,
    /// Clients and routes beyond a bound, whose sums are not kept.
    pub beyond_bound: u64,
    /// Why not all of it was read.
    pub problem: Option<String>,
}

/// The largest bodies of one client on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Largest {
    /// The route.
    pub route: String,
    /// The client: a hash of what it called itself.
    pub session: u64,
    /// Its largest body.
    pub max: u64,
    /// Bytes of all its bodies there.
    pub bytes: u64,
}

/// What was large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Request bodies.
    HttpRequest,
    /// Response bodies.
    HttpResponse,
    /// Values that are stored.
    RedisSet,
    /// Values that are read.
    RedisGet,
    /// Lists that are read.
    RedisRange,
    /// Hashes that are read.
    RedisHash,
    /// Hashes that are deleted.
    RedisDelete,
    /// Packets of a statement.
    MysqlPacket,
}

impl What {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HttpRequest => "request bodies",
            Self::HttpResponse => "responses",
            Self::RedisSet => "SET of values",
            Self::RedisGet => "GET of values",
            Self::RedisRange => "LRANGE of lists",
            Self::RedisHash => "HGETALL of hashes",
            Self::RedisDelete => "DEL of hashes",
            Self::MysqlPacket => "packets",
        }
    }
}

/// One place, swept in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// `target`, or the name of an endpoint.
    pub endpoint: String,
    /// What was large.
    pub what: What,
    /// Method and route, where it is HTTP.
    pub place: String,
    /// One for each size, from small to large.
    pub rungs: Vec<Rung>,
    /// Small requests while nothing large was under way.
    pub outside: Bystanders,
    /// Median time of a new connection while nothing large was under way, ns.
    pub connect_outside_ns: Option<u64>,
    /// Single requests just below, at and just above known limits, and those that looked for an
    /// exact limit.
    pub attempts: Vec<Attempt>,
    /// A limit that the server says it has, in bytes.
    pub announced: Option<u64>,
    /// Between which sizes it begins to refuse.
    pub boundary: Option<Boundary>,
    /// Why larger sizes were not sent, where that is so.
    pub ended: Option<String>,
    /// Why nothing can be said.
    pub unknown: Option<String>,
}

/// Large requests of one size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rung {
    /// Their size.
    pub bytes: u64,
    /// Each of them.
    pub requests: Vec<Big>,
    /// Small requests meanwhile.
    pub inside: Bystanders,
    /// Those of them that waited for [`BLOCKED_NS`] longer than is usual.
    pub blocked: u64,
}

/// From one small request to the next, ns: 100 a second.
pub const PERIOD_NS: u64 = 10_000_000;

/// A bystander is blocked when it waits this much longer than usual: half the time between two.
pub const BLOCKED_NS: u64 = PERIOD_NS / 2;

/// One large request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Big {
    /// What became of it.
    pub fate: Fate,
    /// From its first byte sent to the last byte of its answer, ns.
    pub latency_ns: u64,
    /// The server's part of that, ns: for what is large in the answer, until its first byte.
    pub own_ns: u64,
    /// The longest that a small request waited meanwhile, ns.
    pub worst_ns: Option<u64>,
    /// The longest that a new connection took meanwhile, ns.
    pub connect_ns: Option<u64>,
}

/// Latencies of small requests, from the moment they were planned for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bystanders {
    /// How many.
    pub count: u64,
    /// Those without an answer.
    pub failed: u64,
    /// Half of them were as fast, ns.
    pub p50_ns: u64,
    /// 99 % of them were as fast, ns.
    pub p99_ns: u64,
    /// The slowest, ns.
    pub max_ns: u64,
}

impl Bystanders {
    /// Sums latencies up.
    pub(super) fn of(mut latencies: Vec<u64>, failed: u64) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100).max(1) - 1;
            latencies.get(rank).copied().unwrap_or(0)
        };
        Self {
            count: latencies.len() as u64,
            failed,
            p50_ns: at(50),
            p99_ns: at(99),
            max_ns: at(100),
        }
    }
}

/// A single request of a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Its size.
    pub bytes: u64,
    /// What became of it.
    pub fate: Fate,
}

/// Where a server begins to refuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Boundary {
    /// The largest size that passed; 0 when none did.
    pub accepted: u64,
    /// The smallest size that was refused.
    pub refused: u64,
    /// How it was refused.
    pub fate: Fate,
}

impl Boundary {
    /// It is known to the byte.
    pub fn is_exact(&self) -> bool {
        self.refused - self.accepted.min(self.refused) <= 1
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// HTTP: the status. 0 is no HTTP at all.
    Status(u16),
    /// Any other protocol: it was done.
    Done,
    /// Any other protocol: the first word of the error.
    Error(String),
    /// The connection was reset.
    Reset,
    /// The connection was closed without an answer.
    Closed,
    /// There was no answer in time.
    TimedOut,
    /// No connection could be opened.
    NoConnection,
    /// The user stopped it, or its time was over.
    Stopped,
}

impl Fate {
    /// Size was the reason, seen that the smallest request had `usual`.
    pub fn refuses(&self, usual: &Self) -> bool {
        match self {
            Self::Stopped | Self::NoConnection | Self::Done => false,
            Self::Status(413 | 414 | 431) => true,
            // Whatever else a server says about a request is its answer, until it says that it
            // cannot deal with it although it could with a smaller one.
            Self::Status(status) => (*status == 400 || *status >= 500) && self != usual,
            Self::Error(_) | Self::Reset | Self::Closed | Self::TimedOut => self != usual,
        }
    }

    /// Something was done about it.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Done) || matches!(self, Self::Status(status) if *status > 0)
    }

    /// For people: `answered 413`, `reset`.
    pub fn told(&self) -> String {
        match self {
            Self::Status(0) => "answered with something that is no HTTP".to_owned(),
            Self::Status(413) => "answered 413 (content too large)".to_owned(),
            Self::Status(414) => "answered 414 (target too long)".to_owned(),
            Self::Status(431) => "answered 431 (headers too large)".to_owned(),
            Self::Status(status) => format!("answered {status}"),
            Self::Done => "done".to_owned(),
            Self::Error(word) => format!("refused with {word}"),
            Self::Reset => "cut off by a reset".to_owned(),
            Self::Closed => "cut off without an answer".to_owned(),
            Self::TimedOut => "not answered in time".to_owned(),
            Self::NoConnection => "not sent: no connection could be opened".to_owned(),
            Self::Stopped => "not finished: the time was over".to_owned(),
        }
    }
}

impl Sweep {
    /// A sweep that has not begun.
    pub(super) fn new(endpoint: &str, what: What, place: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            what,
            place: place.to_owned(),
            rungs: Vec::new(),
            outside: Bystanders::default(),
            connect_outside_ns: None,
            attempts: Vec::new(),
            announced: None,
            boundary: None,
            ended: None,
            unknown: None,
        }
    }

    /// A sweep that cannot be performed.
    pub(super) fn unknown(endpoint: &str, what: What, place: &str, reason: String) -> Self {
        Self { unknown: Some(reason), ..Self::new(endpoint, what, place) }
    }

    /// It is about HTTP bodies.
    pub fn is_http(&self) -> bool {
        matches!(self.what, What::HttpRequest | What::HttpResponse)
    }

    /// What became of the smallest request.
    pub fn usual(&self) -> Option<&Fate> {
        self.rungs.first().and_then(|rung| rung.requests.first()).map(|big| &big.fate)
    }

    /// The fate of a request says that its size is no problem.
    pub fn passes(&self, fate: &Fate) -> bool {
        fate.is_answer() && !self.usual().is_some_and(|usual| fate.refuses(usual))
    }

    /// The largest size that passed; 0 when none did.
    pub fn accepted(&self) -> u64 {
        let rungs =
            self.rungs.iter().filter(|rung| rung.requests.iter().any(|big| self.passes(&big.fate)));
        let attempts = self.attempts.iter().filter(|attempt| self.passes(&attempt.fate));
        let sizes = rungs.map(|rung| rung.bytes).chain(attempts.map(|attempt| attempt.bytes));
        sizes.max().unwrap_or(0)
    }

    /// Where and what: `request bodies at POST /sync`.
    pub fn name(&self) -> String {
        let at = if self.place.is_empty() { &self.endpoint } else { &self.place };
        format!("{} at {at}", self.what.name())
    }

    /// A line for a person who waits.
    pub(super) fn told(&self) -> String {
        if let Some(reason) = &self.unknown {
            return format!("{}: {reason}", self.name());
        }
        let sizes = format_counted(self.rungs.len() as u64, "size", "sizes");
        let largest = self.rungs.last().map_or(0, |rung| rung.bytes);
        match &self.boundary {
            Some(boundary) => {
                format!("{}: refused from {} on", self.name(), format_size(boundary.refused))
            }
            None => format!("{}: {sizes}, up to {}", self.name(), format_size(largest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_to_blame_for_what_the_smallest_request_did_not_meet() {
        let ok = Fate::Status(200);
        for (fate, usual, refuses) in [
            (Fate::Status(413), &ok, true),
            (Fate::Status(431), &ok, true),
            (Fate::Status(400), &ok, true),
            (Fate::Status(502), &ok, true),
            (Fate::Reset, &ok, true),
            (Fate::Closed, &ok, true),
            (Fate::TimedOut, &ok, true),
            (Fate::Status(404), &ok, false),
            (Fate::Status(500), &Fate::Status(500), false),
            (Fate::Stopped, &ok, false),
            (Fate::NoConnection, &ok, false),
            (Fate::Error("OOM".to_owned()), &Fate::Done, true),
        ] {
            assert_eq!(fate.refuses(usual), refuses, "{fate:?}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let all = Bystanders::of((1..=200).rev().collect(), 3);
        assert_eq!((all.count, all.failed), (200, 3));
        assert_eq!((all.p50_ns, all.p99_ns, all.max_ns), (100, 198, 200));
        assert_eq!(Bystanders::of(vec![], 0), Bystanders::default());
    }
}
