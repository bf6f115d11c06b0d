//! The target of a run: allowed, no server of the recording, answering, and speaking what it is
//! said to speak.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection};

use crate::cli::catalogue::catalogue;
use crate::cli::load::Loaded;
use crate::cli::machine::shortages;
use crate::cli::run::{Rehearsal, say};
use crate::cli::{Voice, outputs};
use crate::drive::dial::{knock, missing_source};
use crate::plan::facts::Facts;
use crate::record::failures::TlsFailure;
use crate::recording::Servers;
use crate::scenario::network::{Goal, Network, Way};
use crate::scenario::target::{Target, reach, reach_hosts};
use crate::scenario::tls::Tls;
use crate::scenario::{Scenario, TargetSpec};
use crate::stage::faults::Fault;
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
    let patience = scenario.limits.connect_timeout;
    let mut target = answering(target, "`target.url`", patience, |_| Ok(()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hosts = runtime.block_on(reach_hosts(&scenario.hosts, allow, servers, network))?;
    for warning in scenario.hosts.iter().filter_map(|host| host.to.insecurity()) {
        outputs::note(false, &format!("WARNING: {warning}"));
    }
    for host in hosts {
        target.hosts.push(answering(host, "`target.hosts`", patience, |_| Ok(()))?);
    }
    Ok(Some(target))
}

/// The same way to another address of the same name.
fn at(way: &Way, address: SocketAddr) -> Way {
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
    let Scenario { target, allow, network, rewriting, .. } = rehearsal.scenario;
    let mut knobs = rehearsal.scenario.stage.clone();
    if let Some(fault) = rehearsal.fault {
        fault.apply(&mut knobs, facts.peak_connections);
        let text = format!("stage fault {fault}: {}", fault.description());
        outputs::note(rehearsal.voice.quiet, &text);
    }
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let stage = server::start(knobs, catalogue(&recording.reader, rewriting)?, listen)?;
    let servers = &recording.reader.header().servers;
    let target = resolved(Wanted { target, allow, servers, network }, Some(stage.address))?;
    Ok((target, Some(stage)))
}

/// The target at the first of its addresses that answers. `correct` is where its URL stands.
pub(super) fn answering(
    target: Target,
    correct: &str,
    patience: Duration,
    is_wanted: impl Fn(SocketAddr) -> io::Result<()>,
) -> anyhow::Result<Target> {
    let way = target.way();
    let problem = format!(
        "cannot reach the target {} at {}: start it, or correct {correct}",
        target.authority, way.to
    );
    target.at_first(|address| {
        let socket = is_wanted(address)
            .and_then(|()| knock(&at(&way, address), patience))
            .with_context(|| problem.clone())?;
        match &way.tls {
            None => Ok(()),
            Some(tls) => shake(tls, socket, patience).map_err(|error| {
                let advice = advice(TlsFailure::of(&error));
                anyhow::Error::from(error).context(format!("no TLS with {address}: {advice}"))
            }),
        }
    })
}

/// A handshake that leaves no session behind, which the load would resume.
fn shake(tls: &Tls, mut socket: TcpStream, patience: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    let mut config = ClientConfig::clone(&tls.config);
    config.resumption = Resumption::disabled();
    config.alpn_protocols.extend(tls.http2.alpn_protocols.iter().cloned());
    let session = ClientConnection::new(Arc::new(config), tls.name.clone());
    let mut session = session.map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    session.send_close_notify();
    let _ = session.write_tls(&mut socket);
    Ok(())
}

/// What to do about it.
fn advice(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::NotSpoken => {
            "it does not speak TLS; write the scheme without its last s, or name the port that does"
        }
        TlsFailure::UnknownIssuer => {
            "its certificate was issued by nobody who is trusted; name the issuer (`cacert`)"
        }
        TlsFailure::OtherName => {
            "its certificate is for another name; name that one (`server_name`)"
        }
        TlsFailure::Expired | TlsFailure::NotValidYet | TlsFailure::NotAccepted => {
            "its certificate is not accepted; issue it anew, or take any certificate (`insecure`)"
        }
        TlsFailure::ClientCertificate => {
            "it wants a client's certificate, or another one (`cert` and `key`)"
        }
        TlsFailure::NoCommonVersion => {
            "no version or cipher is common; TLS 1.2 and 1.3 are spoken here"
        }
        TlsFailure::NoCommonProtocol => {
            "it speaks neither HTTP/1.1 nor HTTP/2 inside of TLS (ALPN)"
        }
        TlsFailure::Left | TlsFailure::TooSlow => "it did not complete the handshake",
        TlsFailure::Alert | TlsFailure::Broken => "look into its log for what it did not like",
    }
}

/// Tells what a person should know before the run; that any certificate is taken even to who wants
/// to hear nothing else.
pub(super) fn warn(voice: Voice, target: &TargetSpec, network: &Network, facts: &mut Facts) {
    facts.warnings.extend(shortages(&facts.needs, target, network));
    say(voice, &facts.warnings);
    if let Some(warning) = target.insecurity() {
        outputs::note(false, &format!("WARNING: {warning}"));
        facts.warnings.push(warning);
    }
}

/// The fault that the embedded stage is to have, where it is the target.
pub(super) fn stage_fault(
    name: Option<&str>,
    scenario: &Scenario,
    file: &Path,
) -> anyhow::Result<Option<Fault>> {
    let Some(name) = name else { return Ok(None) };
    let fault = Fault::parse(name)?;
    if scenario.target != TargetSpec::Stage {
        bail!(
            "--stage-fault {name} breaks the embedded stage, but {} has another target; set \
             `target: {{ url: stage }}` or leave the option out",
            file.display()
        );
    }
    Ok(Some(fault))
}
