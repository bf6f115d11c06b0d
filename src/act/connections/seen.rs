//! What was seen of an endpoint, as plain data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many connections an endpoint admits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StaticLimit {
    /// Most that were held at once.
    pub held: u64,
    /// Those of others at that moment, by the endpoint's own count.
    pub others: Option<u64>,
    /// How the next one was turned away; `None` where none was.
    pub refusal: Option<Refusal>,
    /// Why the search ended, where none was turned away.
    pub ended: Option<Ended>,
    /// How often of three, one was closed, one was admitted, and the next one was turned away.
    /// Where closing makes no room: how often of three one more was turned away.
    pub confirmed: u64,
    /// Closing one makes no room for another: a queue that nobody empties.
    pub queue: bool,
    /// Held connections that the endpoint closed, other than to turn away a new one.
    pub lost: u64,
    /// What it says its limit is.
    pub configured: Option<u64>,
    /// Of these, what only privileged users may have.
    pub reserved: u64,
    /// How long it took.
    pub took_ns: u64,
}

impl StaticLimit {
    /// The server's number: what was held and what others held.
    pub fn total(&self) -> u64 {
        self.held.saturating_add(self.others.unwrap_or(0))
    }

    /// It was met, confirmed three times of three, and nobody who was held was lost meanwhile.
    pub fn is_certain(&self) -> bool {
        self.refusal.is_some() && self.confirmed >= TRIES && self.lost == 0
    }

    /// It closed what was held, and serves nobody any more.
    pub fn is_gone(&self) -> bool {
        self.held == 0 && self.lost > 0 && self.refusal == Some(Refusal::NoListener)
    }

    /// What services may have: privileged users get more of some servers.
    pub fn usable(&self) -> u64 {
        let plain = self.configured.map(|all| all.saturating_sub(self.reserved));
        plain.map_or(self.total(), |plain| plain.min(self.total()))
    }
}

/// How often a limit is confirmed.
pub const TRIES: u64 = 3;

/// Why a search ended although none was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The scenario allows no more.
    Max,
    /// This process may hold no more open files.
    OpenFiles,
    /// It took too long.
    Time,
    /// The user wished it.
    Stopped,
}

/// How a connection was turned away, as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Nobody listens, or a rule resets it.
    NoListener,
    /// The connect hung: the kernel's queue is full, or packets are dropped.
    Hung,
    /// It was told so in its protocol.
    Told(String),
    /// It was connected, and closed before a byte.
    Closed,
    /// It was connected, and nothing came.
    Silent,
    /// The endpoint cannot be used for another reason; no limit.
    Denied(String),
    /// This machine could not open it; no limit of the endpoint.
    Local(String),
}

impl Refusal {
    /// It may be a limit of the endpoint.
    pub fn is_limit(&self) -> bool {
        !matches!(self, Self::Denied(_) | Self::Local(_))
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::NoListener => "refused (nobody listens, or a rule resets it)".to_owned(),
            Self::Hung => "connecting hung (the accept queue is full)".to_owned(),
            Self::Told(said) => format!("told so ({said})"),
            Self::Closed => "accepted and closed without a byte".to_owned(),
            Self::Silent => "connected, but not answered".to_owned(),
            Self::Denied(why) | Self::Local(why) => why.clone(),
        }
    }
}

/// How many connections may come at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Burst {
    /// Largest burst that connected at once.
    pub clean: u64,
    /// Smallest that did not.
    pub broken: Option<u64>,
    /// How late the connects of the smallest that did not were.
    pub late: Late,
    /// The protocol's own client connects, and does not tell which connects were repeated.
    pub untimed: bool,
    /// Most of a burst that were connected, and then turned away.
    pub turned_away: u64,
    /// Why nothing, or nothing more, is known.
    pub trouble: Option<String>,
}

/// Connects that took longer than the others of their burst.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Late {
    /// Repeated by the kernel of this machine, by the seconds after which it repeats them.
    pub repeated: BTreeMap<u64, u64>,
    /// Not connected in time.
    pub hung: u64,
    /// As late as a repeated connect, but at none of the moments at which the kernel repeats them.
    pub slow: u64,
}

impl Late {
    /// Those that the endpoint's queue did not take at once.
    pub fn lost(&self) -> u64 {
        self.repeated.values().sum::<u64>().saturating_add(self.hung)
    }
}

/// How soon an endpoint serves again after all connections were closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// Connections that were to be served: the limit less one.
    pub wanted: u64,
    /// Of these, served at once in the end.
    pub served: u64,
    /// Rounds of tries in which somebody was turned away.
    pub refused: u64,
    /// From the release until the end of the last of them, ns.
    pub last_refused_ns: u64,
    /// From the release until the end, the time to open them included, ns.
    pub took_ns: u64,
    /// This machine failed: why.
    pub trouble: Option<String>,
}

/// The connections that services will need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DemandSum {
    /// Of one generation.
    pub connections: u64,
    /// Generations at once.
    pub generations: u64,
    /// Where the figure comes from.
    pub from: String,
    /// It is the recording's own peak: nothing is kept in reserve, and there is one generation.
    pub recorded: bool,
}

impl DemandSum {
    /// Everything at once, with a tenth in reserve for people and probes.
    pub fn total(&self) -> u64 {
        let all = self.connections.saturating_mul(self.generations);
        if self.recorded { all } else { all.saturating_add(all.div_ceil(10)) }
    }
}

/// The demand, opened at once from nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LazyPools {
    /// Generations at once.
    pub generations: u64,
    /// Connections that these need.
    pub needed: u64,
    /// Connections asked for: all, unless `max` is less.
    pub asked: u64,
    /// Admitted.
    pub opened: u64,
    /// Turned away, by how.
    pub refused: BTreeMap<String, u64>,
    /// This machine failed, or the endpoint could not be used: why.
    pub trouble: Option<String>,
    /// Connects that were repeated, hung, or slow.
    pub late: Late,
    /// Median until admitted.
    pub median_ns: u64,
    /// Longest until admitted.
    pub longest_ns: u64,
}
