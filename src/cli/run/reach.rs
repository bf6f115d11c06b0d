//! The target of a run: allowed, no server of the recording, and answering.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail};

use crate::cli::load::Loaded;
use crate::cli::outputs;
use crate::cli::run::{Rehearsal, catalogue};
use crate::drive::dial::{knock, missing_source};
use crate::plan::facts::Facts;
use crate::recording::Servers;
use crate::scenario::network::{Goal, Network, Way};
use crate::scenario::target::{Target, reach};
use crate::scenario::{Scenario, TargetSpec};
use crate::stage::server::{self, Stage};

/// Whom to reach, and how.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) target: &'a TargetSpec,
    /// Hosts that may be contacted.
    pub(super) allow: &'a [String],
    /// Those of the recording, which may not.
    pub(super) servers: &'a Servers,
    pub(super) network: &'a Network,
}

/// Looks a target up, and checks that connections can come from where they should.
pub(super) fn resolved(wanted: Wanted<'_>, stage: Option<SocketAddr>) -> anyhow::Result<Target> {
    let Wanted { target, allow, servers, network } = wanted;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let target = runtime.block_on(reach(target, allow, servers, network, stage))?;
    if let Some((source, why)) = missing_source(&network.sources) {
        bail!(
            "connections cannot come from {source} ({why}): add it to this machine, such as with \
             `ip addr add {source} dev lo`, or leave it out"
        );
    }
    Ok(target)
}

/// The target, unless it is the stage.
pub(super) fn outside_target(
    scenario: &Scenario,
    recording: &Loaded,
) -> anyhow::Result<Option<Target>> {
    if scenario.target == TargetSpec::Stage {
        return Ok(None);
    }
    let servers = &recording.reader.header().servers;
    let Scenario { target, allow, network, .. } = scenario;
    let target = resolved(Wanted { target, allow, servers, network }, None)?;
    let problem = format!(
        "cannot reach the target {} at {}: start it, or correct `target.url`",
        target.authority,
        target.way().to
    );
    let (patience, way) = (scenario.limits.connect_timeout, target.way());
    let connect = |address| knock(&at(&way, address), patience);
    Ok(Some(target.at_first(connect).context(problem)?))
}

/// The same way to another address of the same name.
pub(super) fn at(way: &Way, address: SocketAddr) -> Way {
    let to = match &way.to {
        Goal::Tcp(_) => Goal::Tcp(address),
        unix @ Goal::Unix(_) => unix.clone(),
    };
    Way { to, ..way.clone() }
}

/// Starts the stage, with its fault, on a free port of loopback.
pub(super) fn staged(
    rehearsal: &Rehearsal<'_>,
    recording: &Loaded,
    facts: &Facts,
) -> anyhow::Result<(Target, Option<Stage>)> {
    let Scenario { target, allow, network, .. } = rehearsal.scenario;
    let mut knobs = rehearsal.scenario.stage.clone();
    if let Some(fault) = rehearsal.fault {
        fault.apply(&mut knobs, facts.peak_connections);
        let text = format!("stage fault {fault}: {}", fault.description());
        outputs::note(rehearsal.voice.quiet, &text);
    }
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stage = server::start(knobs, catalogue(&recording.reader)?, listen)?;
    let servers = &recording.reader.header().servers;
    let target = resolved(Wanted { target, allow, servers, network }, Some(stage.address))?;
    Ok((target, Some(stage)))
}
