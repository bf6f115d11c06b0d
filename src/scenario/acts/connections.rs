//! Options of the act `connections`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::scenario::endpoint::Endpoint;
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop, did_you_mean};

/// What the HTTP target of the scenario is called among the endpoints.
pub const TARGET: &str = "target";

/// Never more connections than this at once, where the scenario says nothing: an address has about
/// 28 000 ephemeral ports to one endpoint.
pub const DEFAULT_MAX: u32 = 20_000;

/// Longest search for the limit of one endpoint, where the scenario says nothing.
pub const DEFAULT_WITHIN: Duration = Duration::from_secs(50);

/// Shortest and longest search that may be asked for.
const WITHIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(1)];

/// Most of instances, processes, threads and connections of a pool; their product fits 64 bits.
const MAX_FACTOR: u32 = 10_000;

/// Most endpoints, and most services that use one.
const MAX_ITEMS: usize = 64;

/// Whose limits to look for, and who will need connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionsOptions {
    /// The dependencies by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The HTTP target is looked at, too.
    pub target: bool,
    /// Never open more at once.
    pub max: u32,
    /// Longest search for the limit of one endpoint.
    pub within: Duration,
    /// Who will need connections.
    pub demand: Vec<Demand>,
    /// How many generations of the services hold their pools at once during a release.
    pub generations: u32,
    /// Open the whole demand at once, as pools do that are filled at the first request.
    pub drill: bool,
}

/// The connections of a service to an endpoint: the product of its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Demand {
    /// Name of the service, for reports.
    pub service: String,
    /// Name of the endpoint.
    pub to: String,
    /// Machines or containers.
    pub instances: u32,
    /// Processes of an instance.
    pub processes: u32,
    /// Threads of a process that have a pool of their own; 1 where all threads share one.
    pub threads: u32,
    /// Most connections of a pool.
    pub pool: u32,
}

impl Demand {
    /// Connections of one generation.
    pub fn connections(&self) -> u64 {
        [self.instances, self.processes, self.threads, self.pool]
            .into_iter()
            .fold(1, |product, factor| product * u64::from(factor))
    }
}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionsKeys {
    endpoints: Option<BTreeMap<String, Text>>,
    target: Option<bool>,
    max: Option<Text>,
    within: Option<Text>,
    demand: Option<Vec<DemandKeys>>,
    generations: Option<Text>,
    drill: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemandKeys {
    service: Text,
    to: Text,
    instances: Option<Text>,
    processes: Option<Text>,
    threads: Option<Text>,
    pool: Option<Text>,
}

pub(crate) fn read(
    place: Place<'_>,
    keys: ConnectionsKeys,
) -> Result<ConnectionsOptions, ScenarioError> {
    let mut endpoints = BTreeMap::new();
    for (index, (name, url)) in keys.endpoints.unwrap_or_default().into_iter().enumerate() {
        endpoint_name(&name, index).map_err(|mistake| place.mistake(&url, mistake))?;
        let endpoint = place.read(&url, |text| Endpoint::read(text, place.environment))?;
        endpoints.insert(name, endpoint);
    }
    let target = keys.target.unwrap_or(true);
    let mut names: Vec<&str> = endpoints.keys().map(String::as_str).collect();
    if target {
        names.push(TARGET);
    }
    let demand = keys.demand.unwrap_or_default();
    if let Some(beyond) = demand.get(MAX_ITEMS) {
        let mistake = Mistake::new("there are too many services", "sum the small ones up");
        return Err(place.mistake(&beyond.service, mistake));
    }
    let demand = demand.iter().map(|keys| read_demand(place, keys, &names));
    Ok(ConnectionsOptions {
        demand: demand.collect::<Result<_, _>>()?,
        target,
        max: number(place, keys.max.as_ref(), DEFAULT_MAX, 60_000)?,
        within: place.or(keys.within.as_ref(), DEFAULT_WITHIN, |text| {
            fields::duration(text, WITHIN[0]..=WITHIN[1])
        })?,
        generations: number(place, keys.generations.as_ref(), 2, 10)?,
        drill: keys.drill.unwrap_or(false),
        endpoints,
    })
}

/// A name of an endpoint that can stand in a report, and is not taken.
fn endpoint_name(name: &str, index: usize) -> Result<(), Mistake> {
    if index >= MAX_ITEMS {
        return Err(Mistake::new("there are too many endpoints", "name at most 64"));
    }
    if name == TARGET {
        return Err(Mistake::new(
            "`target` is the name of the scenario's own target, which is looked at in any case",
            "give this endpoint another name",
        ));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err(Mistake::new(
            format!("`{}` is no name of an endpoint", crop(name)),
            "write a short name of letters, digits, `-`, `_` and `.`, such as `redis`",
        ));
    }
    Ok(())
}

fn read_demand(
    place: Place<'_>,
    keys: &DemandKeys,
    names: &[&str],
) -> Result<Demand, ScenarioError> {
    let factor = |text: Option<&Text>| number(place, text, 1, MAX_FACTOR);
    Ok(Demand {
        service: place.read(&keys.service, service_name)?,
        to: place.read(&keys.to, |text| {
            if names.contains(&text) {
                return Ok(text.to_owned());
            }
            let message = format!("there is no endpoint `{}`", crop(text));
            Err(Mistake::new(message, did_you_mean(text, names, "the endpoints are")))
        })?,
        instances: factor(keys.instances.as_ref())?,
        processes: factor(keys.processes.as_ref())?,
        threads: factor(keys.threads.as_ref())?,
        pool: factor(keys.pool.as_ref())?,
    })
}

fn service_name(text: &str) -> Result<String, Mistake> {
    if text.is_empty() || text.chars().count() > 64 || text.chars().any(char::is_control) {
        return Err(Mistake::new("this is no name of a service", "write a short name"));
    }
    Ok(text.to_owned())
}

fn number(
    place: Place<'_>,
    text: Option<&Spanned<String>>,
    default: u32,
    most: u32,
) -> Result<u32, ScenarioError> {
    place.or(text, default, |text| fields::whole32(text, 1..=most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::acts::tests::with_act;

    fn read(act: &str) -> Result<ConnectionsOptions, String> {
        Ok(with_act(act)?.connections.unwrap())
    }

    #[test]
    fn a_word_has_the_defaults_and_options_are_read() {
        let word = read("connections").unwrap();
        assert_eq!((word.target, word.max, word.within), (true, DEFAULT_MAX, DEFAULT_WITHIN));
        assert_eq!((word.generations, word.drill, word.demand), (2, false, Vec::new()));
        let options = read(
            "connections: { endpoints: { redis: 'redis://127.0.0.1:1' }, target: false, \
             max: 60_000, within: 1s, generations: 10, drill: true, demand: [ \
             { service: app, to: redis, instances: 2, processes: 3, threads: 5, pool: 10_000 }, \
             { service: cron, to: redis } ] }",
        )
        .unwrap();
        assert_eq!((options.endpoints["redis"].port, options.target), (1, false));
        assert_eq!((options.max, options.within), (60_000, Duration::from_secs(1)));
        assert_eq!((options.generations, options.drill), (10, true));
        let needed: Vec<u64> = options.demand.iter().map(Demand::connections).collect();
        assert_eq!(needed, [300_000, 1]);
        let target = read("connections: { demand: [ { service: app, to: target } ] }").unwrap();
        assert_eq!(target.demand[0].to, TARGET);
    }

    #[test]
    fn mistakes_have_their_line_and_say_what_to_write() {
        let demand = |keys: &str| format!("demand: [ {{ service: app, to: target, {keys} }} ]");
        let named = |name: &str| format!("endpoints: {{ '{name}': 'redis://h' }}");
        let service = |name: &str| format!("demand: [ {{ service: \"{name}\", to: target }} ]");
        let many = |count: usize, one: &dyn Fn(usize) -> String| {
            (0..count).map(one).collect::<Vec<_>>().join(", ")
        };
        let endpoints = many(65, &|n| format!("e{n}: 'redis://h'"));
        let services = many(65, &|n| format!("{{ service: s{n}, to: target }}"));
        let no_name = "no name of a service";
        for (options, message) in [
            (named("target"), "the name of the scenario's own target"),
            (named("a b"), "`a b` is no name of an endpoint"),
            (named(""), "is no name of an endpoint"),
            (named(&"e".repeat(65)), "is no name of an endpoint"),
            ("endpoints: { a: h }".to_owned(), "not the URL"),
            (format!("endpoints: {{ {endpoints} }}"), "too many endpoints"),
            (format!("demand: [ {services} ]"), "too many services"),
            ("max: 0".to_owned(), "0 is out of range"),
            ("max: 60001".to_owned(), "60001 is out of range"),
            ("within: 900ms".to_owned(), "900ms is out of range"),
            ("within: 61m".to_owned(), "61m is out of range"),
            ("generations: 0".to_owned(), "0 is out of range"),
            ("generations: 11".to_owned(), "11 is out of range"),
            (demand("pool: 0"), "0 is out of range"),
            (demand("pool: 10001"), "10001 is out of range"),
            (service(""), no_name),
            (service("a\\tb"), no_name),
            (service(&"s".repeat(65)), no_name),
            ("demand: [ { service: a, to: rdis } ]".to_owned(), "there is no endpoint `rdis`"),
            (
                "target: false, demand: [ { service: a, to: target } ]".to_owned(),
                "there is no endpoint `target`",
            ),
            ("most: 3".to_owned(), "unknown key `most`"),
        ] {
            let error = read(&format!("connections: {{ {options} }}")).unwrap_err();
            assert!(error.contains(message), "{options}: {error}");
            assert!(error.contains("s.yaml:4:"), "{options}: {error}");
        }
        let most = many(64, &|n| format!("e{n}: 'redis://h'"));
        let most = read(&format!("connections: {{ endpoints: {{ {most} }} }}")).unwrap();
        assert_eq!(most.endpoints.len(), 64);
    }
}
