//! Options of the act `payloads`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::scenario::endpoint::{Endpoint, Service};
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};

/// Which sizes to send, and what must not suffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadsOptions {
    /// Redis and MySQL servers that get large values, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Paths of the target that get large bodies; where it is empty, the recorded target with the
    /// largest body does.
    pub http: Vec<String>,
    /// Nothing larger is sent or asked for, in bytes.
    pub max: u64,
    /// What a bystander may wait.
    pub slo: Duration,
    /// Large requests of each size; fewer where they are very large.
    pub repeats: u32,
    /// Time for all sweeps together.
    pub budget: Duration,
}

impl Default for PayloadsOptions {
    fn default() -> Self {
        Self {
            endpoints: BTreeMap::new(),
            http: Vec::new(),
            max: 64 << 20,
            slo: Duration::from_millis(100),
            repeats: 20,
            budget: Duration::from_mins(1),
        }
    }
}

/// Largest `max`: what Redis takes by default, and twice what fits comfortably into memory here.
const LARGEST: u64 = 512 << 20;

/// Most paths and endpoints: each costs its share of the budget.
const MOST: usize = 16;

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayloadsKeys {
    endpoints: Option<BTreeMap<String, Text>>,
    http: Option<Vec<Text>>,
    max: Option<Text>,
    slo: Option<Text>,
    repeats: Option<Text>,
    budget: Option<Text>,
}

pub(crate) fn read(place: Place<'_>, keys: PayloadsKeys) -> Result<PayloadsOptions, ScenarioError> {
    let default = PayloadsOptions::default();
    let mut endpoints = BTreeMap::new();
    for (name, text) in keys.endpoints.unwrap_or_default() {
        let endpoint = place.read(&text, |text| endpoint(text, place))?;
        if name.is_empty() || name.len() > 60 || name.chars().any(char::is_control) {
            let hint = "name the endpoint with a short word, such as `redis`";
            return Err(place.mistake(&text, Mistake::new("this name is no short word", hint)));
        }
        if endpoints.len() == MOST {
            return Err(place.mistake(&text, too_many("endpoints")));
        }
        endpoints.insert(name, endpoint);
    }
    let paths = keys.http.unwrap_or_default();
    if let Some(beyond) = paths.get(MOST) {
        return Err(place.mistake(beyond, too_many("paths")));
    }
    let second = Duration::from_secs(1);
    Ok(PayloadsOptions {
        endpoints,
        http: place.each(&paths, path)?,
        max: place.or(keys.max.as_ref(), default.max, largest)?,
        slo: place.or(keys.slo.as_ref(), default.slo, |text| {
            fields::duration(text, Duration::from_millis(1)..=60 * second)
        })?,
        repeats: place
            .or(keys.repeats.as_ref(), default.repeats, |text| fields::whole32(text, 3..=200))?,
        budget: place.or(keys.budget.as_ref(), default.budget, |text| {
            fields::duration(text, second..=3_600 * second)
        })?,
    })
}

fn too_many(what: &str) -> Mistake {
    Mistake::new(format!("more than {MOST} {what}"), "keep those whose payloads are the largest")
}

fn endpoint(text: &str, place: Place<'_>) -> Result<Endpoint, Mistake> {
    let endpoint = Endpoint::read(text, place.environment)?;
    match endpoint.service {
        Service::Redis | Service::Mysql => Ok(endpoint),
        other => Err(Mistake::new(
            format!("no payloads are known for {}", other.scheme()),
            "name redis:// and mysql:// endpoints; the HTTP target is swept by itself, see `http`",
        )),
    }
}

fn path(text: &str) -> Result<String, Mistake> {
    let plain = |c: char| c.is_ascii_graphic();
    if !text.starts_with('/') || text.len() > 2_000 || !text.chars().all(plain) {
        return Err(Mistake::new(
            format!("`{}` is not a path", crop(text)),
            "write a path of the target as it is sent, such as `/sync`",
        ));
    }
    Ok(text.to_owned())
}

fn largest(text: &str) -> Result<u64, Mistake> {
    let bytes = fields::size(text)?;
    if (1..=LARGEST).contains(&bytes) {
        return Ok(bytes);
    }
    Err(Mistake::new(
        format!("{} is out of range", crop(text)),
        "write a size from 1B to 512MiB, such as 64MiB",
    ))
}

#[cfg(test)]
mod tests {
    use crate::scenario::acts::tests::with_act;

    use super::*;

    fn read(act: &str) -> Result<PayloadsOptions, String> {
        Ok(with_act(act)?.payloads.unwrap())
    }

    #[test]
    fn a_word_has_the_defaults_and_options_are_read() {
        assert_eq!(read("payloads"), Ok(PayloadsOptions::default()));
        let options = read(
            "payloads: { endpoints: { redis: 'redis://127.0.0.1:1' }, http: [/sync], max: 1MiB, \
             slo: 50ms, repeats: 5, budget: 10s }",
        )
        .unwrap();
        assert_eq!(options.endpoints["redis"].port, 1);
        assert_eq!((options.http, options.max), (vec!["/sync".to_owned()], 1 << 20));
        assert_eq!((options.slo, options.repeats), (Duration::from_millis(50), 5));
        assert_eq!(options.budget, Duration::from_secs(10));
    }

    #[test]
    fn mistakes_have_their_line_and_say_what_to_write() {
        for (options, message) in [
            ("max: 64", "has no unit"),
            ("max: 1GiB", "out of range"),
            ("max: 0B", "out of range"),
            ("slo: 100", "has no unit"),
            ("repeats: 1", "out of range"),
            ("budget: 2h", "out of range"),
            ("http: [sync]", "is not a path"),
            ("http: ['/a b']", "is not a path"),
            ("endpoints: { pg: 'postgres://h' }", "no payloads are known for postgres"),
            ("endpoints: { redis: h }", "not the URL"),
            ("size: 3MiB", "unknown key `size`"),
            ("max: 513MiB", "513MiB is out of range"),
            ("slo: 900us", "900us is out of range"),
            ("slo: 61s", "61s is out of range"),
            ("repeats: 201", "201 is out of range"),
            ("budget: 900ms", "900ms is out of range"),
            ("budget: 61m", "61m is out of range"),
            ("endpoints: { '': 'redis://h' }", "this name is no short word"),
            ("endpoints: { \"a\\tb\": 'redis://h' }", "this name is no short word"),
            (&format!("endpoints: {{ {}: 'redis://h' }}", "e".repeat(61)), "is no short word"),
            (&format!("http: [ /{} ]", "p".repeat(2_000)), "is not a path"),
            (&format!("http: [ {} ]", many(17, |n| format!("/{n}"))), "more than 16 paths"),
            (
                &format!("endpoints: {{ {} }}", many(17, |n| format!("e{n}: 'redis://h'"))),
                "more than 16 endpoints",
            ),
        ] {
            let error = read(&format!("payloads: {{ {options} }}")).unwrap_err();
            assert!(error.contains(message), "{options}: {error}");
            assert!(error.contains("s.yaml:4:"), "{options}: {error}");
        }
        let most = many(16, |n| format!("/{n}"));
        assert_eq!(read(&format!("payloads: {{ http: [ {most} ] }}")).unwrap().http.len(), 16);
    }

    fn many(count: usize, one: impl Fn(usize) -> String) -> String {
        (0..count).map(one).collect::<Vec<_>>().join(", ")
    }
}
