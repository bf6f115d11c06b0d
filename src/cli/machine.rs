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
    Machine::look().shortages(needs, towards(target, network))
}

fn towards(target: &TargetSpec, network: &Network) -> Towards {
    Towards {
        within: *target == TargetSpec::Stage,
        loopback: target.place().is_none_or(|place| leads_here(place, network)),
        sources: network.sources.count(),
        portless: network.unix_socket.is_some(),
    }
}

/// Where connections go counts, not whom they ask for.
fn leads_here((host, port): (&str, u16), network: &Network) -> bool {
    let (host, port) = network.destination(host, port);
    let given = network.addresses(&host, port).iter().filter(|address| network.admits(**address));
    let given: Vec<_> = given.map(|address| address.to_canonical().is_loopback()).collect();
    if given.is_empty() { is_loopback(&host) } else { given.iter().all(|is_here| *is_here) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::network;

    #[test]
    fn the_address_counts_that_connections_lead_to() {
        let leads = |host: &str, connect_to: &str, resolve: &str| {
            // Without a text there is none.
            let connect_to = network::connect_to(connect_to).into_iter().collect();
            let resolve = network::resolve(resolve).into_iter().collect();
            let network = Network { connect_to, resolve, ..Network::default() };
            let target = TargetSpec::Http { host: host.to_owned(), port: 80, tls: None };
            towards(&target, &network).loopback
        };
        assert!(leads("localhost", "", "") && leads("127.0.0.2", "", ""));
        assert!(!leads("staging", "", "") && !leads("192.0.2.1", "", ""));
        assert!(leads("staging", "", "staging:80:127.0.0.1"));
        assert!(!leads("staging", "", "staging:81:127.0.0.1"), "another port");
        assert!(!leads("localhost", "", "localhost:80:192.0.2.1"));
        assert!(!leads("staging", "", "staging:80:127.0.0.1,192.0.2.1"), "it may be the other");
        assert!(leads("staging", "staging:80:localhost:8080", ""));
        assert!(!leads("127.0.0.1", "::192.0.2.1:80", ""));
        assert!(leads("staging", "staging:80:node:8080", "node:8080:127.0.0.1"));
    }
}
