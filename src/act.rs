//! The drills of a rehearsal, one file each, from cheap to dear. A drill gathers evidence, which is
//! plain data; [`crate::verdict::acts`] says what it means.

pub mod fingerprint;
pub mod canary;
pub mod connections;
pub mod payloads;
pub mod cold;
pub mod replay;
pub mod abort;
pub mod capacity;

mod request;
mod shell;
mod wall;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::capacity::seen::{Capacity, Checked};
use crate::drive::clock::{Epoch, nanoseconds};
use crate::drive::hold::Control;
use crate::drive::stop::Stop;
use crate::plan::facts::Facts;
use crate::probe::Watching;
use crate::probe::record::Record;
use crate::recording::file::reader::RecordingReader;
use crate::scenario::Scenario;
use crate::scenario::acts::ActName;
use crate::scenario::endpoint::Endpoint;
use crate::scenario::target::{Target, TargetError};
use crate::summary::Summary;

/// What drills stand on.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What to rehearse, with the options of every act.
    pub scenario: &'a Scenario,
    /// The HTTP target, which exists only if it may be put under load.
    pub target: &'a Target,
    /// What production did.
    pub recording: &'a RecordingReader,
    /// The outline of the plan.
    pub facts: &'a Facts,
    /// The start of the rehearsal: every moment of every act and probe is since then.
    pub epoch: Epoch,
    /// The user wants it to end: a drill stops, cleans up and returns what it has.
    pub stop: &'a Stop,
    /// Tells a person how it goes, a line at a time.
    pub say: &'a dyn Fn(&str),
    /// The folder of this run.
    pub folder: &'a Path,
    /// The user has consented to caches being emptied.
    pub consent: bool,
    /// The probes that watch meanwhile.
    pub watching: Option<&'a Watching>,
    /// What the embedded stage lends, where it is the target.
    pub stage: Option<&'a StageHandle>,
    /// What loads follow of the target's answers, and what changes them.
    pub control: &'a Control,
    /// Holds a load against what the scenario expects of this act.
    pub check: &'a dyn Fn(ActName, &Load<'_>) -> Vec<Checked>,
}

/// A load that an act has sent, and what was seen meanwhile.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// What came of it.
    pub summary: &'a Summary,
    /// How long it was.
    pub length: Duration,
    /// What the probes saw so far.
    pub probes: &'a [Record],
    /// From when to when it counts, ns since the start of the rehearsal.
    pub span_ns: [u64; 2],
}

/// A handle on the embedded stage, which is ours: to change it needs nobody's consent.
pub struct StageHandle {
    /// Empties its cache.
    pub empty_cache: Box<dyn Fn()>,
    /// The reads that its store has answered.
    pub store_reads: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Ground<'_> {
    /// Looks up a dependency that is to be put under load: its host must be among those that
    /// `target.allow` names, and must not have answered in the recording.
    pub fn reach(&self, endpoint: &Endpoint) -> Result<SocketAddr, TargetError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| TargetError::Lookup { authority: endpoint.to_string(), source })?;
        let servers = &self.recording.header().servers;
        runtime.block_on(endpoint.resolve(Some(&self.scenario.allow), servers))
    }
}

/// What a drill has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// See [`fingerprint`].
    Fingerprint(fingerprint::Fingerprint),
    /// See [`canary`].
    Canary(canary::Canary),
    /// See [`connections`].
    Connections(connections::Connections),
    /// See [`payloads`].
    Payloads(payloads::Payloads),
    /// See [`cold`].
    Cold(Box<cold::Cold>),
    /// See [`capacity`].
    Capacity(Box<Capacity>),
}

/// A drill that was performed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Performed {
    /// Which.
    pub act: ActName,
    /// When it began, ns since the start of the rehearsal.
    pub started_ns: u64,
    /// When it ended, having cleaned up.
    pub ended_ns: u64,
    /// What it has seen.
    pub evidence: Evidence,
}

/// Performs a drill of the scenario; `None` where the scenario leaves it out. The replay is no
/// drill: it yields a summary and is carried out by [`replay::replay`].
pub fn perform(act: ActName, ground: &Ground<'_>) -> Option<Performed> {
    let started_ns = nanoseconds(ground.epoch.now());
    let acts = &ground.scenario.acts;
    let evidence = match act {
        ActName::Fingerprint => {
            Evidence::Fingerprint(fingerprint::perform(ground, acts.fingerprint.as_ref()?))
        }
        ActName::Canary => Evidence::Canary(canary::perform(ground, acts.canary.as_ref()?)),
        ActName::Connections => {
            Evidence::Connections(connections::perform(ground, acts.connections.as_ref()?))
        }
        ActName::Payloads => Evidence::Payloads(payloads::perform(ground, acts.payloads.as_ref()?)),
        ActName::Cold => Evidence::Cold(Box::new(cold::perform(ground, acts.cold.as_ref()?))),
        ActName::Capacity => {
            Evidence::Capacity(Box::new(capacity::perform(ground, acts.capacity.as_ref()?)))
        }
        ActName::Replay => return None,
    };
    Some(Performed { act, started_ns, ended_ns: nanoseconds(ground.epoch.now()), evidence })
}
