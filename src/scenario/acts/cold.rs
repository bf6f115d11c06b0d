//! Options of the act `cold`.

use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Spanned;

use crate::scenario::endpoint::{Endpoint, Service};
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};
use crate::units::{parse_duration, parse_share};

/// How caches are emptied, and what counts as warm.
#[derive(Clone, Debug, PartialEq)]
pub struct ColdOptions {
    /// The command that empties the caches. It needs the user's consent; the stage needs none.
    pub reset: Option<String>,
    /// The cache in front of the origin, as far as it is known; its misses are forecast.
    pub cache: CacheSize,
    /// Whose reads are counted.
    pub origin: Option<Origin>,
    /// Reads per second that the origin stands.
    pub origin_capacity: Option<f64>,
    /// Reads of the origin for each miss of the cache.
    pub reads_per_miss: f64,
    /// What a miss takes, for the forecast of stampedes; what production took where absent.
    pub miss_time: Option<Duration>,
    /// What a request may take: slower ones and errors are violations.
    pub slo: Option<Duration>,
    /// Share of requests that may violate it while caches are cold.
    pub budget: f64,
    /// Longest time until the cold run is as fast as the warm one.
    pub warmup: Duration,
    /// Length of the bins by which the runs are compared; chosen by the traffic where absent.
    pub bins: Option<Duration>,
    /// A few requests a second for this long come first, so that what is slow only for the first
    /// requests of a process (names, TLS, compilers) is not taken for a cold cache.
    pub trickle: Duration,
    /// How long a stack that stays slow after the load may take to recover; five times the time
    /// constant of its warm-up where absent, from two minutes to ten.
    pub recovery: Option<Duration>,
}

/// How much a cache keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSize {
    /// Keys kept; `None` keeps all.
    pub keys: Option<usize>,
    /// How long a key is kept after it was read; `None` for good.
    pub ttl: Option<Duration>,
}

/// Where the reads of the origin are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a probe of this name.
    Probe(String),
    /// By a MySQL or MariaDB server of its own.
    Mysql(Endpoint),
}

impl Default for ColdOptions {
    fn default() -> Self {
        Self {
            reset: None,
            cache: CacheSize::default(),
            origin: None,
            origin_capacity: None,
            reads_per_miss: 1.0,
            miss_time: None,
            slo: None,
            budget: 0.01,
            warmup: Duration::from_mins(10),
            bins: None,
            trickle: Duration::from_secs(10),
            recovery: None,
        }
    }
}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColdKeys {
    reset: Option<Text>,
    cache: Option<CacheSizeKeys>,
    origin: Option<Text>,
    origin_capacity: Option<Text>,
    reads_per_miss: Option<Text>,
    miss_time: Option<Text>,
    slo: Option<Text>,
    budget: Option<Text>,
    warmup: Option<Text>,
    bins: Option<Text>,
    trickle: Option<Text>,
    recovery: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheSizeKeys {
    keys: Option<Spanned<String>>,
    ttl: Option<Text>,
}

pub(crate) fn read(place: Place<'_>, keys: ColdKeys) -> Result<ColdOptions, ScenarioError> {
    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);
    let default = ColdOptions::default();
    let some = |from: Duration, to: Duration| {
        move |text: &str| fields::duration(text, from..=to).map(Some)
    };
    let cache = keys.cache.unwrap_or_default();
    let millisecond = Duration::from_millis(1);
    Ok(ColdOptions {
        reset: place.or(keys.reset.as_ref(), None, |text| command(text).map(Some))?,
        cache: CacheSize {
            keys: place.or(cache.keys.as_ref(), None, |text| cache_keys(text).map(Some))?,
            ttl: place.or(cache.ttl.as_ref(), None, |text| cache_ttl(text).map(Some))?,
        },
        origin: place.or(keys.origin.as_ref(), None, |text| origin(place, text).map(Some))?,
        origin_capacity: place
            .or(keys.origin_capacity.as_ref(), None, |text| rate(text).map(Some))?,
        reads_per_miss: place.or(keys.reads_per_miss.as_ref(), 1.0, reads_per_miss)?,
        miss_time: place.or(keys.miss_time.as_ref(), None, |text| miss_time(text).map(Some))?,
        slo: place.or(keys.slo.as_ref(), None, some(millisecond, HOUR))?,
        budget: place.or(keys.budget.as_ref(), default.budget, |text| Ok(parse_share(text)?))?,
        warmup: place.or(keys.warmup.as_ref(), default.warmup, |text| {
            fields::duration(text, SECOND..=24 * HOUR)
        })?,
        bins: place.or(keys.bins.as_ref(), None, whole_seconds)?,
        trickle: place.or(keys.trickle.as_ref(), default.trickle, |text| match text {
            "0s" => Ok(Duration::ZERO),
            _ => fields::duration(text, Duration::ZERO..=Duration::from_mins(1)),
        })?,
        recovery: place.or(keys.recovery.as_ref(), None, some(SECOND, HOUR))?,
    })
}

/// Keys that a cache keeps.
pub(crate) fn cache_keys(text: &str) -> Result<usize, Mistake> {
    let keys = fields::whole(text, 1..=1_000_000_000)?;
    usize::try_from(keys).map_err(|_| Mistake::new("the number is out of range", "write less"))
}

/// How long it keeps them.
pub(crate) fn cache_ttl(text: &str) -> Result<Duration, Mistake> {
    fields::duration(text, Duration::from_millis(1)..=Duration::from_hours(24))
}

/// Reads of the origin for each miss.
pub(crate) fn reads_per_miss(text: &str) -> Result<f64, Mistake> {
    fields::factor(text, 0.001..=10_000.0)
}

/// What a miss takes.
pub(crate) fn miss_time(text: &str) -> Result<Duration, Mistake> {
    fields::duration(text, Duration::from_micros(1)..=Duration::from_mins(1))
}

/// Bins are whole seconds, because the summary of a replay keeps a row each second.
fn whole_seconds(text: &str) -> Result<Option<Duration>, Mistake> {
    let length = parse_duration(text)?;
    if length.subsec_nanos() == 0 && (1..=60).contains(&length.as_secs()) {
        return Ok(Some(length));
    }
    let message = format!("`{}` is no length of a bin", crop(text));
    Err(Mistake::new(message, "write whole seconds from 1s to 60s, such as `bins: 1s`"))
}

fn command(text: &str) -> Result<String, Mistake> {
    if text.trim().is_empty() || text.contains('\0') || text.len() > 10_000 {
        return Err(Mistake::new(
            "there is no command",
            "write the command that empties the caches, such as `redis-cli -h staging flushall`",
        ));
    }
    Ok(text.to_owned())
}

/// `500/s`, or `500`.
pub(crate) fn rate(text: &str) -> Result<f64, Mistake> {
    let number = text.strip_suffix("/s").unwrap_or(text).trim();
    fields::factor(number, 0.001..=1e9).map_err(|mistake| {
        Mistake::new(mistake.message, "write the reads per second it stands, such as `500/s`")
    })
}

fn origin(place: Place<'_>, text: &str) -> Result<Origin, Mistake> {
    if !text.contains("://") && !text.trim().is_empty() {
        return Ok(Origin::Probe(text.trim().to_owned()));
    }
    let endpoint = Endpoint::read(text, place.environment)?;
    if endpoint.service == Service::Mysql {
        return Ok(Origin::Mysql(endpoint));
    }
    Err(Mistake::new(
        format!("the reads of a `{}` origin cannot be counted", endpoint.service.scheme()),
        "write the name of a probe in `watch`, or a URL such as `mysql://probe@127.0.0.1:3306`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::scenario::parse::from_text;

    fn scenario(cold: &str) -> Result<Scenario, String> {
        let text = format!("# t\nrecording: a\ntarget: {{ url: stage }}\nacts:\n  - {cold}\n");
        from_text(&text, "t.yaml").map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_read() {
        let read = scenario(
            "cold: { reset: 'flush it', cache: { keys: 10_000, ttl: 5m }, slo: 250ms, \
             origin: 'mysql://u:s3cret@db:3307', origin_capacity: 500/s, reads_per_miss: 2, \
             miss_time: 20ms, \
             budget: 0.5%, warmup: 2m, bins: 2s, trickle: 0s, recovery: 3m }",
        );
        let cold = read.unwrap().acts.cold.unwrap();
        assert_eq!(cold.reset.as_deref(), Some("flush it"));
        let ttl = Some(Duration::from_mins(5));
        assert_eq!(cold.cache, CacheSize { keys: Some(10_000), ttl });
        assert!(matches!(&cold.origin, Some(Origin::Mysql(at)) if at.port == 3307));
        assert!(!format!("{cold:?}").contains("s3cret"));
        assert_eq!(cold.origin_capacity, Some(500.0));
        assert!((cold.budget - 0.005).abs() < 1e-12 && (cold.reads_per_miss - 2.0).abs() < 1e-12);
        assert_eq!((cold.warmup, cold.trickle), (Duration::from_mins(2), Duration::ZERO));
        assert_eq!(cold.recovery, Some(Duration::from_mins(3)));
        assert_eq!(cold.miss_time, Some(Duration::from_millis(20)));
        assert_eq!(
            (cold.bins, cold.slo),
            (Some(Duration::from_secs(2)), Some(Duration::from_millis(250)))
        );
        let probe =
            scenario("cold: { origin: ' mysql ', origin_capacity: 9 }").unwrap().acts.cold.unwrap();
        assert_eq!(probe.origin, Some(Origin::Probe("mysql".to_owned())));
        assert_eq!(scenario("cold").unwrap().acts.cold, Some(ColdOptions::default()));
    }

    #[test]
    fn mistakes_have_their_place_and_a_hint() {
        for (cold, said) in [
            ("cold: { rset: x }", "rset"),
            ("cold: { reset: '' }", "there is no command"),
            ("cold: { bins: 1500ms }", "whole seconds"),
            ("cold: { cache: { keys: many } }", "whole number"),
            ("cold: { origin_capacity: lots }", "500/s"),
            ("cold: { origin: 'redis://h' }", "cannot be counted"),
            ("cold: { trickle: 1h }", "out of range"),
            ("cold: { cache: { keys: 0 } }", "0 is out of range"),
            ("cold: { cache: { keys: 1_000_000_001 } }", "out of range"),
            ("cold: { cache: { ttl: 900us } }", "900us is out of range"),
            ("cold: { cache: { ttl: 25h } }", "25h is out of range"),
            ("cold: { reads_per_miss: 0 }", "0 is out of range"),
            ("cold: { reads_per_miss: 10001 }", "10001 is out of range"),
            ("cold: { miss_time: 900ns }", "900ns is out of range"),
            ("cold: { miss_time: 61s }", "61s is out of range"),
            ("cold: { slo: 900us }", "900us is out of range"),
            ("cold: { slo: 61m }", "61m is out of range"),
            ("cold: { budget: 101% }", "101"),
            ("cold: { warmup: 900ms }", "900ms is out of range"),
            ("cold: { warmup: 25h }", "25h is out of range"),
            ("cold: { bins: 61s }", "whole seconds from 1s to 60s"),
            ("cold: { bins: 0s }", "whole seconds from 1s to 60s"),
            ("cold: { recovery: 900ms }", "900ms is out of range"),
            ("cold: { recovery: 61m }", "61m is out of range"),
            ("cold: { origin_capacity: 0 }", "0 is out of range"),
            ("cold: { origin_capacity: 1000000001 }", "1000000001 is out of range"),
            ("cold: { origin: ' ' }", "origin"),
            ("cold: { reset: \"a\\0\" }", "there is no command"),
            (&format!("cold: {{ reset: {} }}", "x".repeat(10_001)), "there is no command"),
        ] {
            let error = scenario(cold).unwrap_err();
            assert!(error.contains(said) && error.contains("t.yaml:"), "{cold}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
