//! What to watch while the rehearsal runs: the `watch` of a scenario, a probe each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde_yaml::Spanned;

use crate::scenario::endpoint::{Endpoint, Service};
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};

/// One probe.
#[derive(Clone, PartialEq)]
pub struct Watch {
    /// Its name in reports.
    pub name: String,
    /// Time from one look to the next.
    pub every: Duration,
    /// The value that the gauge of a command must not come near.
    pub limit: Option<f64>,
    /// What it looks at.
    pub what: Watched,
}

// A command may hold a password.
impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({} every {:?})", self.name, self.every)
    }
}

/// What a probe looks at. None of them changes anything.
#[derive(Clone, PartialEq)]
pub enum Watched {
    /// Redis, MySQL, PostgreSQL or memcached, in their own protocol.
    Server(Endpoint),
    /// A page of Prometheus' or OpenMetrics' text.
    Prometheus {
        /// Where it is.
        endpoint: Endpoint,
        /// Names of the series to keep; empty keeps those of the process.
        series: Vec<String>,
    },
    /// A shell command that prints a number.
    Command(String),
    /// Lines of a log.
    Log {
        /// Where they come from.
        source: LogSource,
        /// Text of the lines that should not be there.
        matching: Option<String>,
    },
    /// A machine, through a command prefix such as `ssh node1`; empty for this one.
    Host(String),
}

/// Where lines come from.
#[derive(Clone, PartialEq, Eq)]
pub enum LogSource {
    /// A file, read from its end; rotation and truncation are followed.
    File(PathBuf),
    /// A command that prints lines for as long as it runs.
    Command(String),
}

/// Most probes of a scenario: more than anybody could read in a report.
pub const MAX_WATCHES: usize = 50;

/// Most series that one probe of a page keeps.
pub const MAX_SERIES: usize = 64;

/// An item of `watch`: a URL, or options.
pub(crate) enum WatchItem {
    Url(String),
    Options(Box<WatchKeys>),
}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchKeys {
    url: Option<Text>,
    prometheus: Option<Text>,
    series: Option<Vec<Text>>,
    command: Option<Text>,
    limit: Option<Text>,
    log: Option<Text>,
    log_command: Option<Text>,
    matching: Option<Text>,
    host: Option<Text>,
    every: Option<Text>,
}

/// Reads the probes, in the order of their names.
pub(crate) fn read(
    place: Place<'_>,
    items: Option<BTreeMap<String, Spanned<WatchItem>>>,
) -> Result<Vec<Watch>, ScenarioError> {
    let items = items.unwrap_or_default();
    let mut watches = Vec::new();
    for (name, item) in items {
        if watches.len() == MAX_WATCHES {
            let hint = "watch what the incident would show first";
            let mistake = Mistake::new(format!("more than {MAX_WATCHES} probes"), hint);
            return Err(place.mistake(&item, mistake));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            let message = format!("`{}` is not a name for a probe", crop(&name));
            let hint = "write at most 40 letters, digits, `-`, `_` and `.`, such as `redis`";
            return Err(place.mistake(&item, Mistake::new(message, hint)));
        }
        watches.push(watch(place, name, item)?);
    }
    Ok(watches)
}

fn watch(place: Place<'_>, name: String, item: Spanned<WatchItem>) -> Result<Watch, ScenarioError> {
    if let WatchItem::Url(url) = &item.value {
        let what = server(url, place).map_err(|mistake| place.mistake(&item, mistake))?;
        return Ok(Watch { name, every: EVERY, limit: None, what });
    }
    let at = Spanned { value: (), referenced: item.referenced, defined: item.defined };
    let WatchItem::Options(keys) = item.value else {
        return Err(place.mistake(&at, Mistake::new("nothing to watch", HINT)));
    };
    let keys = *keys;
    let every = place.or(keys.every.as_ref(), EVERY, |text| {
        fields::duration(text, Duration::from_millis(100)..=Duration::from_hours(1))
    })?;
    let limit = place.or(keys.limit.as_ref(), None, |text| {
        fields::factor(text, f64::MIN_POSITIVE..=1e18).map(Some)
    })?;
    let what = what(place, &at, keys)?;
    Ok(Watch { name, every, limit, what })
}

/// Time from one look to the next where a scenario names none.
const EVERY: Duration = Duration::from_secs(1);

const HINT: &str = "write a URL, or one of `url`, `prometheus`, `command`, `log`, `log_command` \
                    and `host`";

fn what(place: Place<'_>, at: &Spanned<()>, keys: WatchKeys) -> Result<Watched, ScenarioError> {
    let sources =
        [&keys.url, &keys.prometheus, &keys.command, &keys.log, &keys.log_command, &keys.host];
    match sources.iter().filter(|source| source.is_some()).count() {
        0 => return Err(place.mistake(at, Mistake::new("nothing to watch", HINT))),
        1 => {}
        _ => {
            let mistake = Mistake::new("a probe watches one thing", HINT);
            return Err(place.mistake(at, mistake));
        }
    }
    let is_log = keys.log.is_some() || keys.log_command.is_some();
    for (key, belongs, name, owner) in [
        (keys.matching.as_ref(), is_log, "matching", "`log` or `log_command`"),
        (keys.limit.as_ref(), keys.command.is_some(), "limit", "`command`"),
        (
            keys.series.as_ref().and_then(|list| list.first()),
            keys.prometheus.is_some(),
            "series",
            "`prometheus`",
        ),
    ] {
        if let Some(key) = key.filter(|_| !belongs) {
            let message = format!("`{name}` belongs to {owner}");
            return Err(place.mistake(key, Mistake::new(message, "take it out")));
        }
    }
    // Spaces at its ends may be meant.
    let matching = place
        .or(keys.matching.as_ref(), None, |text| given(text).map(|_| Some(text.to_owned())))?;
    let listed = keys.series.unwrap_or_default();
    if let Some(series) = listed.get(MAX_SERIES) {
        let mistake = Mistake::new(format!("more than {MAX_SERIES} series"), "watch fewer");
        return Err(place.mistake(series, mistake));
    }
    if let Some(url) = &keys.url {
        return place.read(url, |text| server(text, place));
    }
    if let Some(url) = &keys.prometheus {
        return Ok(Watched::Prometheus {
            endpoint: place.read(url, |text| page(text, place))?,
            series: place.each(&listed, series)?,
        });
    }
    if let Some(command) = &keys.command {
        return Ok(Watched::Command(place.read(command, given)?));
    }
    if let Some(prefix) = &keys.host {
        return Ok(Watched::Host(place.read(prefix, no_zero)?));
    }
    let source = match (&keys.log, &keys.log_command) {
        (Some(file), _) => LogSource::File(PathBuf::from(place.read(file, given)?)),
        (None, Some(command)) => LogSource::Command(place.read(command, given)?),
        (None, None) => return Err(place.mistake(at, Mistake::new("nothing to watch", HINT))),
    };
    Ok(Watched::Log { source, matching })
}

fn server(text: &str, place: Place<'_>) -> Result<Watched, Mistake> {
    let endpoint = Endpoint::read(text, place.environment)?;
    match endpoint.service {
        Service::Redis | Service::Mysql | Service::Postgres | Service::Memcached => {
            Ok(Watched::Server(endpoint))
        }
        Service::Http => Err(Mistake::new(
            "a page over http is watched by its series",
            "write `{ prometheus: \"http://HOST:PORT/metrics\" }`",
        )),
        Service::Tcp => Err(Mistake::new(
            "bytes over TCP cannot be watched",
            "write a URL with redis, mysql, postgres or memcached, or a `command`",
        )),
    }
}

fn page(text: &str, place: Place<'_>) -> Result<Endpoint, Mistake> {
    let endpoint = Endpoint::read(text, place.environment)?;
    if endpoint.service != Service::Http {
        let message = format!("`{}` is no page", endpoint.service.scheme());
        return Err(Mistake::new(message, "write a URL such as `http://127.0.0.1:9100/metrics`"));
    }
    if endpoint.path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        let hint = "write `%20` and the like for them";
        return Err(Mistake::new("this path has spaces or control characters", hint));
    }
    Ok(endpoint)
}

fn series(text: &str) -> Result<String, Mistake> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if text.is_empty() || text.len() > 200 || !text.chars().all(plain) {
        return Err(Mistake::new(
            format!("`{}` is not the name of a series", crop(text)),
            "write its name without labels, such as `process_open_fds`",
        ));
    }
    Ok(text.to_owned())
}

fn given(text: &str) -> Result<String, Mistake> {
    if text.trim().is_empty() {
        return Err(Mistake::new("this is empty", "write what is to be watched"));
    }
    no_zero(text)
}

fn no_zero(text: &str) -> Result<String, Mistake> {
    if text.contains('\0') {
        return Err(Mistake::new("this holds a zero byte", "take it out"));
    }
    Ok(text.trim().to_owned())
}

// By hand, since an untagged enum would lose the places of the options.
impl<'de> Deserialize<'de> for WatchItem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = WatchItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL such as `redis://127.0.0.1:6379`, or options in braces")
            }

            fn visit_str<E>(self, url: &str) -> Result<WatchItem, E> {
                Ok(WatchItem::Url(url.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WatchItem, A::Error> {
                let keys = WatchKeys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WatchItem::Options(Box::new(keys)))
            }
        }
        deserializer.deserialize_any(Item)
    }
}

#[cfg(test)]
mod tests;
