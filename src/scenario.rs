//! What to rehearse: a scenario file, and the target that may be contacted.
//!
//! A [`target::Target`] exists only by being parsed from the scenario together with the servers
//! of the recording: replaying into a recorded host is unrepresentable.

pub mod expectation;
pub mod knobs;
pub mod ramp;
mod hosts;
pub mod problem;
pub mod network;
pub mod target;
pub mod endpoint;
pub mod parse;
mod keys;
pub(crate) mod fields;
mod place;
pub mod nodes;
pub mod mapped;
pub mod tls;
pub mod acts;
pub mod watch;
pub mod abort;
pub mod load;
pub mod redis;
pub mod rewriting;
pub mod clones;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::scenario::abort::AbortRule;
use crate::scenario::acts::Acts;
use crate::scenario::clones::Clones;
use crate::scenario::expectation::Expectation;
use crate::scenario::knobs::StageKnobs;
use crate::scenario::mapped::MappedHost;
use crate::scenario::network::Network;
use crate::scenario::nodes::Node;
use crate::scenario::ramp::Ramp;
use crate::scenario::redis::RedisTarget;
use crate::scenario::rewriting::Rewriting;
use crate::scenario::tls::TlsSpec;
use crate::scenario::watch::Watch;
use crate::shape::tolerance::{CI, STANDARD, STRICT, Tolerances};
use crate::units::format_duration;

/// One rehearsal, parsed: every value in it is valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Name, for reports and for the folder of the run.
    pub name: String,
    /// A recording, or any capture that import reads; relative paths are relative to the working
    /// directory.
    pub recording: PathBuf,
    /// The part of the recording to replay.
    pub window: Window,
    /// Share of sessions kept (below 1), or copies made of them (above 1).
    pub scale: f64,
    /// What clones have of their own, where `scale` makes some.
    pub clones: Clones,
    /// How users are let in; `None` lets all in from the start.
    pub ramp: Option<Ramp>,
    /// Speed of time: 2 replays an hour in half an hour.
    pub speed: f64,
    /// When a request is sent.
    pub pace: Pace,
    /// Seed of every random choice of the plan.
    pub seed: u64,
    /// Where to send.
    pub target: TargetSpec,
    /// Hosts of the recording whose requests go elsewhere.
    pub hosts: Vec<MappedHost>,
    /// Hosts besides the stage that may be contacted: `host` or `host:port`, lower case.
    pub allow: Vec<String>,
    /// How connections reach the target.
    pub network: Network,
    /// Methods that are replayed; the others are counted as skipped.
    pub methods: MethodPolicy,
    /// Headers set on every request, `${NAME}` already replaced from the environment.
    pub headers: BTreeMap<String, String>,
    /// What else is changed in requests.
    pub rewriting: Rewriting,
    /// Tier of load-shape tolerances.
    pub tolerance: Tier,
    /// What must hold, in order.
    pub expect: Vec<Expectation>,
    /// The run that they are held against, by its folder or file.
    pub baseline: Option<PathBuf>,
    /// What ends the replay early.
    pub abort: Vec<AbortRule>,
    /// Ceilings that bound every run.
    pub limits: Limits,
    /// Knobs of the embedded stage; used when the target is the stage.
    pub stage: StageKnobs,
    /// The machines of the stack, by name.
    pub nodes: Vec<Node>,
    /// The drills to perform.
    pub acts: Acts,
    /// What to watch meanwhile.
    pub watch: Vec<Watch>,
}

/// A part of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// All of it.
    All,
    /// The part of this length with the most requests.
    Busiest(Duration),
    /// From and to, since the recording's start.
    Offset(Duration, Duration),
    /// From and to, as seconds since midnight UTC; `to` is above 86 400 where the window ends on
    /// the next day. The first such window that was not over before the recording started.
    Clock(u32, u32),
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A window over midnight ends tomorrow, and a day ends at 24:00.
        let of_day = |s: u32| if s > 86_400 { s - 86_400 } else { s };
        let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
        match *self {
            Self::All => write!(f, "all"),
            Self::Busiest(length) => write!(f, "busiest {}", format_duration(length)),
            Self::Offset(from, to) => {
                write!(f, "+{} .. +{}", format_duration(from), format_duration(to))
            }
            Self::Clock(from, to) => write!(f, "{} .. {} UTC", clock(from), clock(of_day(to))),
        }
    }
}

/// When a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At its recorded moment, whatever the target does (open loop).
    Recorded,
    /// As [`Pace::Recorded`], but not before its session has the answer that it followed in the
    /// recording, and has thought about it as long as it did there (partly open).
    Session,
}

/// Where to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSpec {
    /// The embedded stack under test.
    Stage,
    /// An HTTP server.
    Http {
        /// Host name or address literal, lower case, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// It speaks TLS.
        tls: Option<Box<TlsSpec>>,
    },
    /// A Redis, which gets the recorded commands.
    Redis(RedisTarget),
}

/// Which methods are replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodPolicy {
    /// Every method.
    All,
    /// Commands of Redis that change nothing ([`crate::protocol::resp::effects`]).
    Reading,
    /// These only, upper case.
    Only(Vec<String>),
}

/// Tier of tolerances of the load-shape verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Bare metal.
    Strict,
    /// The default.
    Standard,
    /// Shared virtual machines.
    Ci,
}

impl Tier {
    /// Its tolerances.
    pub fn tolerances(self) -> &'static Tolerances {
        match self {
            Self::Strict => &STRICT,
            Self::Standard => &STANDARD,
            Self::Ci => &CI,
        }
    }
}

/// Ceilings. Each hit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight at once; further ones are not sent and counted.
    pub max_in_flight: u32,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a whole response, from the first byte sent.
    pub response_timeout: Duration,
    /// How long to wait for outstanding answers after the last arrival.
    pub grace: Duration,
    /// Highest planned rate in any second; a plan above it is refused.
    pub max_rate: u32,
    /// Most connections open at once. A plan above it is refused; where a slow target keeps more
    /// open than planned, what would need another is not sent, and counted.
    pub max_connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_in_flight: 10_000,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            max_rate: 50_000,
            // One address has about 28 000 ephemeral ports to one target by default.
            max_connections: 20_000,
        }
    }
}
