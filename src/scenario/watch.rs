//! What to watch while the rehearsal runs: the `watch` of a scenario, a probe each.

use std::collections::BTreeMap;
use std::fmt;
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
    /// A shell command that prints a number.
    Command(String),
}

/// Most probes of a scenario: more than anybody could read in a report.
pub const MAX_WATCHES: usize = 50;

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
    command: Option<Text>,
    limit: Option<Text>,
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

const HINT: &str = "write a URL, or `url` or `command` with options";

fn what(place: Place<'_>, at: &Spanned<()>, keys: WatchKeys) -> Result<Watched, ScenarioError> {
    match (keys.url, keys.command) {
        (Some(url), None) => {
            if let Some(limit) = &keys.limit {
                let mistake = Mistake::new("`limit` belongs to `command`", "take it out");
                return Err(place.mistake(limit, mistake));
            }
            place.read(&url, |text| server(text, place))
        }
        (None, Some(command)) => Ok(Watched::Command(place.read(&command, given)?)),
        (None, None) => Err(place.mistake(at, Mistake::new("nothing to watch", HINT))),
        _ => Err(place.mistake(at, Mistake::new("a probe watches one thing", HINT))),
    }
}

fn server(text: &str, place: Place<'_>) -> Result<Watched, Mistake> {
    let endpoint = Endpoint::read(text, place.environment)?;
    match endpoint.service {
        Service::Redis | Service::Mysql | Service::Postgres | Service::Memcached => {
            Ok(Watched::Server(endpoint))
        }
        Service::Http | Service::Tcp => Err(Mistake::new(
            "this cannot be watched",
            "write a URL with redis, mysql, postgres or memcached, or a `command`",
        )),
    }
}

fn given(text: &str) -> Result<String, Mistake> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Mistake::new("this is no command", "write one that prints a number"));
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
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    const BASE: &str = "recording: a.parquet\ntarget: { url: stage }\nwatch:\n";

    #[test]
    fn probes_are_urls_or_options_and_tell_no_secret() {
        let text = format!(
            "{BASE}  a: redis://:s3cret@127.0.0.1\n  \
             b: {{ command: 'echo 1', limit: 9, every: 2s }}\n"
        );
        let watch = from_text(&text, "s.yaml").unwrap().watch;
        assert_eq!((watch[0].name.as_str(), watch[0].every), ("a", EVERY));
        assert_eq!((watch[1].limit, watch[1].every), (Some(9.0), Duration::from_secs(2)));
        assert!(!format!("{watch:?}").contains("s3cret"));
    }

    #[test]
    fn mistakes_have_a_place_and_a_hint() {
        for (line, message) in [
            ("a: http://h/x", "s.yaml:4:6: this cannot be watched"),
            ("a: { every: 2s }", "s.yaml:4:6: nothing to watch"),
            ("a: { command: x, url: redis://h }", "a probe watches one thing"),
            ("a: { url: redis://h, limit: 3 }", "`limit` belongs to `command`"),
            ("a: { colour: red }", "unknown key `colour`"),
            ("a b: redis://h", "is not a name for a probe"),
        ] {
            let error = from_text(&format!("{BASE}  {line}\n"), "s.yaml").unwrap_err().to_string();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
