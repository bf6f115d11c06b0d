//! Asks each node that has a URL for the same few pages, so that one that behaves otherwise shows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::act::Ground;
use crate::act::fingerprint::Behaviour;
use crate::act::request::{Server, get};
use crate::drive::clock::nanoseconds;
use crate::scenario::TargetSpec;
use crate::scenario::acts::fingerprint::FingerprintOptions;

/// The behaviour of every node that has a URL.
pub(super) fn observe(ground: &Ground<'_>, options: &FingerprintOptions) -> Vec<Behaviour> {
    let mut seen = Vec::new();
    let mut servers = Vec::new();
    for node in &ground.scenario.nodes {
        let Some(url) = &node.url else { continue };
        let mut behaviour =
            Behaviour { node: node.name.clone(), url: url.to_string(), ..Behaviour::default() };
        let spec = TargetSpec::Http { host: url.host.clone(), port: url.port, tls: None };
        match ground.reach(url) {
            Ok(address) => {
                let authority = spec.authority();
                servers.push(Some(Server { authority, address, tls: None }));
            }
            Err(error) => {
                behaviour.problem = Some(error.to_string());
                servers.push(None);
            }
        }
        seen.push(behaviour);
    }
    if seen.is_empty() {
        return seen;
    }
    let targets = frequent_targets(ground);
    if targets.is_empty() {
        for behaviour in &mut seen {
            behaviour.problem.get_or_insert_with(|| {
                "the recording has no GET that production answered".to_owned()
            });
        }
        return seen;
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async {
            let mut stopped = ground.stop.subscribe();
            tokio::select! {
                () = ask_all(ground, options, (&targets, &servers), &mut seen) => {}
                _ = stopped.wait_for(|requested| *requested) => {}
            }
        }),
        Err(error) => {
            for behaviour in &mut seen {
                behaviour.problem.get_or_insert_with(|| format!("no runtime: {error}"));
            }
        }
    }
    seen
}

async fn ask_all(
    ground: &Ground<'_>,
    options: &FingerprintOptions,
    (targets, servers): (&[String], &[Option<Server>]),
    seen: &mut [Behaviour],
) {
    let headers: Vec<(String, String)> =
        ground.scenario.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let patience = ground.scenario.limits.response_timeout.min(PATIENCE);
    let mut times: Vec<Vec<u64>> = vec![Vec::new(); seen.len()];
    let mut silent = vec![0; seen.len()];
    let until = ground.epoch.now() + TIME_MAX;
    // Target by target and not node by node, so that all nodes meet the same moments.
    for (round, target) in targets.iter().cycle().take(options.requests as usize).enumerate() {
        // Whoever is asked first fills the cache that all nodes share: that does not count.
        if round < targets.len()
            && let Some(first) = servers.iter().flatten().next()
        {
            let _ = get(first, target, &headers, patience).await;
        }
        for (at, server) in servers.iter().enumerate() {
            let Some(server) = server.as_ref().filter(|_| silent[at] < SILENT_MAX) else {
                continue;
            };
            if ground.epoch.now() > until {
                return;
            }
            seen[at].requests += 1;
            if let Some(answer) = get(server, target, &headers, patience).await {
                silent[at] = 0;
                seen[at].errors += u32::from(answer.status >= 400);
                times[at].push(nanoseconds(answer.took));
            } else {
                silent[at] += 1;
                seen[at].errors += 1;
                seen[at].unanswered += 1;
            }
            times[at].sort_unstable();
            seen[at].median_ns = times[at].get(times[at].len() / 2).copied();
        }
    }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that left this many requests in a row unanswered is not asked again.
const SILENT_MAX: u32 = 5;

/// Longest time for all nodes together.
const TIME_MAX: Duration = Duration::from_mins(1);

/// What GETs asked for most, where production answered well, the most frequent first.
fn frequent_targets(ground: &Ground<'_>) -> Vec<String> {
    let [from, to] = ground.facts.window_ns.map(Duration::from_nanos);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    // A recording that ends in an error was told about already.
    let exchanges = ground.recording.exchanges(Some((from, to))).map_while(Result::ok);
    for exchange in exchanges.take(EXCHANGES_MAX) {
        let answered = exchange.response.as_ref().map(|response| response.status);
        let is_good = answered.is_none_or(|status| (200..400).contains(&status));
        let is_path = exchange.target.starts_with('/') && exchange.target.len() <= TARGET_BYTES_MAX;
        let is_plain = exchange.target.bytes().all(|byte| byte.is_ascii_graphic());
        if exchange.method == "GET" && is_good && is_path && is_plain {
            *counts.entry(exchange.target).or_default() += 1;
        }
    }
    let mut targets: Vec<(String, u64)> = counts.into_iter().collect();
    targets.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    targets.truncate(TARGETS_MAX);
    targets.into_iter().map(|(target, _)| target).collect()
}

/// Most exchanges that are looked at: enough to know what is frequent.
const EXCHANGES_MAX: usize = 100_000;

/// Longest target that is asked for, in bytes.
const TARGET_BYTES_MAX: usize = 4096;

/// Most different targets.
const TARGETS_MAX: usize = 50;
