//! What has a part in what a run measures, besides its plan, its target and its machine: limits,
//! the way to the target, what is broken on purpose. Runs that differ in it are not compared.
//!
//! What is long, or may hold a secret, is told by its hash alone.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::bytes::fnv1a;
use crate::scenario::acts::cold::ColdOptions;
use crate::scenario::load::Load;
use crate::scenario::network::Network;
use crate::scenario::rewriting::Tokens;
use crate::scenario::{Limits, Scenario, TargetSpec};
use crate::units::format_duration;

/// Settings by name, each with its value for people.
pub type Settings = BTreeMap<String, String>;

/// The name of the request of a load that was not recorded.
pub const REQUEST: &str = "request";

/// Those of a scenario, with the fault of its stage.
pub fn of_scenario(scenario: &Scenario, fault: Option<&str>) -> Settings {
    let Scenario { target, network, limits, rewriting, hosts, stage, acts, .. } = scenario;
    let mut settings = common(target, network, limits);
    let mut add = |name: &str, value: String| settings.insert(name.to_owned(), value);
    let is_following = rewriting.follow_cookies || rewriting.tokens != Tokens::default();
    let followed = (rewriting.follow_cookies, &rewriting.tokens);
    add("followed", hash_of(&followed, is_following));
    add("hook", hash_of(&rewriting.hook, rewriting.hook.is_some()));
    add("hosts", hash_of(hosts, !hosts.is_empty()));
    // What else the act has are bounds and forecasts, which change nothing that is measured.
    if let Some(ColdOptions { reset, origin, bins, trickle, .. }) = &acts.cold {
        add("cold caches", hash_of(&(reset, origin, bins, trickle), true));
    }
    if *target == TargetSpec::Stage {
        add("stage", hash_of(stage, true));
        add("stage fault", fault.unwrap_or(NONE).to_owned());
    }
    settings
}

/// Those of a load that was not recorded.
pub fn of_load(load: &Load) -> Settings {
    let mut settings = common(&load.target, &load.network, &load.limits);
    settings.insert(REQUEST.to_owned(), hash_of(&load.request, true));
    settings
}

const NONE: &str = "none";

fn common(target: &TargetSpec, network: &Network, limits: &Limits) -> Settings {
    // The highest planned rate only refuses plans.
    let Limits { max_in_flight, connect_timeout, response_timeout, grace, max_connections, .. } =
        *limits;
    [
        ("most in flight", max_in_flight.to_string()),
        ("most connections", max_connections.to_string()),
        ("connect timeout", format_duration(connect_timeout)),
        ("response timeout", format_duration(response_timeout)),
        ("grace", format_duration(grace)),
        ("way to the target", hash_of(network, *network != Network::default())),
        ("tls", tls(target)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// How TLS is spoken. Where certificates lie on this machine makes no difference.
fn tls(target: &TargetSpec) -> String {
    let TargetSpec::Http { tls: Some(tls), .. } = target else { return NONE.to_owned() };
    let name = tls.server_name.as_ref().map(|name| name.to_str().into_owned());
    let told = [
        Some(if tls.insecure { "any certificate" } else { "checked" }.to_owned()),
        tls.identity.as_ref().map(|_| "with a client's certificate".to_owned()),
        name.map(|name| format!("as {name}")),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn hash_of(value: &impl Debug, is_there: bool) -> String {
    if !is_there {
        return NONE.to_owned();
    }
    format!("{:016x}", fnv1a(format!("{value:?}").bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scenario(change: impl FnOnce(&mut Scenario)) -> Settings {
        let text = "name: a\nrecording: a.pcap\ntarget: { url: stage }\n";
        let mut scenario = crate::scenario::parse::from_text(text, "s.yaml").unwrap();
        change(&mut scenario);
        of_scenario(&scenario, None)
    }

    #[test]
    fn each_setting_that_changes_what_is_measured_is_told() {
        type Change = fn(&mut Scenario);
        let plain = scenario(|_| ());
        assert_eq!(plain, scenario(|_| ()));
        assert_eq!(plain["response timeout"], "30 s");
        let differing = |other: &Settings| -> Vec<String> {
            let changed = plain.iter().filter(|(name, value)| other[*name] != **value);
            changed.map(|(name, _)| name.clone()).collect()
        };
        let cases: [(&str, Change); 6] = [
            ("response timeout", |of| of.limits.response_timeout = Duration::from_mins(1)),
            ("connect timeout", |of| of.limits.connect_timeout = Duration::from_secs(1)),
            ("most in flight", |of| of.limits.max_in_flight = 7),
            ("way to the target", |of| of.network.unix_socket = Some("a.sock".into())),
            ("followed", |of| of.rewriting.follow_cookies = true),
            ("stage", |of| of.stage.block_ns_per_byte = 7),
        ];
        for (name, change) in cases {
            assert_eq!(differing(&scenario(change)), [name]);
        }
        assert_eq!(plain["stage fault"], NONE);
        assert!(!plain.contains_key("cold caches"), "the act is not there");
        let cold = |options: &str| {
            let acts = format!("acts: [ cold: {{ {options} }} ]\n");
            let text = format!("name: a\nrecording: a.pcap\ntarget: {{ url: stage }}\n{acts}");
            let scenario = crate::scenario::parse::from_text(&text, "s.yaml").unwrap();
            of_scenario(&scenario, None)["cold caches"].clone()
        };
        assert_ne!(cold("trickle: 1s"), cold("trickle: 2s"));
        assert_ne!(cold("reset: 'true'"), cold("reset: 'false'"));
        assert_eq!(cold("warmup: 1m"), cold("warmup: 2m"), "a bound measures nothing");
        let text = "name: a\nrecording: a.pcap\ntarget: { url: stage }\n";
        let scenario = crate::scenario::parse::from_text(text, "s.yaml").unwrap();
        assert_eq!(of_scenario(&scenario, Some("stall"))["stage fault"], "stall");
    }
}
