//! This machine: whether it has what a plan needs, and whether it keeps its pace.

use std::net::IpAddr;

use crate::cli::{Voice, outputs};
use crate::drive::calibrate::{Trial, calibrate};
use crate::drive::health::Calibration;
use crate::drive::machine::{Machine, Towards};
use crate::drive::stop::Stop;
use crate::plan::facts::Facts;
use crate::plan::needs::Needs;
use crate::scenario::TargetSpec;
use crate::scenario::network::Network;
use crate::units::format_count;

/// What the plan needs beyond what this machine has, with what to do about it.
pub(super) fn shortages(needs: &Needs, target: &TargetSpec, network: &Network) -> Vec<String> {
    let towards = Towards {
        within: *target == TargetSpec::Stage,
        loopback: target.place().is_none_or(|(host, _)| is_loopback(host)),
        sources: network.sources.count(),
        portless: network.unix_socket.is_some(),
    };
    Machine::look().shortages(needs, towards)
}

/// By its name alone: nothing is looked up for a hint.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Tries the machine with twice the plan's peak, and says so where it does not even keep up with
/// the peak. `None` where there is no pace to keep, or nothing came of it.
pub(super) fn tried(facts: &Facts, stop: &Stop, voice: Voice) -> Option<Calibration> {
    let trial = Trial::of(facts)?;
    let mut found = calibrate(trial, stop)?;
    if found.sent_rate() < facts.peak_rate {
        // One stall spoils a short trial, and says nothing of the machine.
        let again = calibrate(trial, stop)?;
        found = if again.sent_rate() > found.sent_rate() { again } else { found };
    }
    if found.sent_rate() < facts.peak_rate {
        let told = format!(
            "warning: this machine sends no more than {}/s to itself, and the peak of the plan is \
             {}/s: the load will hardly be the planned one",
            format_count(found.sent_rate()),
            format_count(facts.peak_rate)
        );
        outputs::note(voice.quiet, &told);
    }
    Some(found)
}
