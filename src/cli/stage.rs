//! `peakhour stage`: the embedded stack under test, to point any load at.

use std::net::SocketAddr;

use crate::cli::catalogue::catalogue;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::load::load;
use crate::cli::{Voice, outputs};
use crate::scenario::knobs::StageKnobs;
use crate::scenario::parse;
use crate::stage::catalogue::Catalogue;
use crate::stage::faults::Fault;
use crate::stage::server;
use crate::units::{format_count, format_duration};

/// Arguments of `stage`.
#[derive(Debug, clap::Args)]
pub struct StageCommand {
    /// Where to listen. Keep it on loopback: the stage is a test double, not a server.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A scenario: its `stage:` knobs are used, and its recording says what is answered.
    #[arg(long, value_name = "FILE")]
    scenario: Option<std::path::PathBuf>,
    /// Switch a fault on: cold-cache, connection-limit, connection-hang, body-limit, event-loop,
    /// stall, capacity (or such as capacity=500: answers a second), other-status, half-body.
    #[arg(long, value_name = "KIND")]
    fault: Option<String>,
    /// Connections that the load is going to open at once: the connection faults cut it in half.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    peak_connections: u64,
}

/// Runs `stage` until it is interrupted.
pub fn stage(command: &StageCommand, voice: Voice) -> anyhow::Result<Exit> {
    let (mut knobs, answers) = match &command.scenario {
        Some(path) => {
            let scenario = parse::load(path)?;
            let loaded = load(&scenario.recording)?;
            (scenario.stage, catalogue(&loaded.reader, &scenario.rewriting)?)
        }
        None => (StageKnobs::default(), Catalogue::new()),
    };
    if let Some(name) = &command.fault {
        Fault::parse(name)?.apply(&mut knobs, command.peak_connections);
    }
    let interrupt = Interrupt::listen()?;
    let stage = server::start(knobs, answers, command.listen)?;
    outputs::note(voice.quiet, &format!("stage: http://{} (Ctrl-C ends it)", stage.address));
    interrupt.wait();
    let counters = stage.stop();
    outputs::result(&format!(
        "connections: {} accepted, {} at once, {} refused\nrequests: {}\ncache: {} hits, {} \
         misses\nbodies refused: {}\nblocked: {}\nstalls: {}\nslowed by retries: {}\n",
        format_count(counters.connections_accepted),
        format_count(counters.connections_peak),
        format_count(counters.connections_refused),
        format_count(counters.requests),
        format_count(counters.cache_hits),
        format_count(counters.cache_misses),
        format_count(counters.bodies_refused),
        format_duration(counters.blocked),
        counters.stalled,
        format_count(counters.stormed),
    ));
    Ok(Exit::Pass)
}
