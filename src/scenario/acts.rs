//! Which drills to perform, and how: the `acts` of a scenario, an options file each.

pub mod fingerprint;
pub mod canary;
pub mod connections;
pub mod payloads;
pub mod cold;
pub mod capacity;

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::scenario::TargetSpec;
use crate::scenario::acts::canary::{CanaryKeys, CanaryOptions};
use crate::scenario::acts::capacity::{CapacityKeys, CapacityOptions};
use crate::scenario::acts::cold::{ColdKeys, ColdOptions};
use crate::scenario::acts::connections::{ConnectionsKeys, ConnectionsOptions};
use crate::scenario::acts::fingerprint::{FingerprintKeys, FingerprintOptions};
use crate::scenario::acts::payloads::{PayloadsKeys, PayloadsOptions};
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop, did_you_mean};

/// A drill.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ActName {
    /// What the nodes are made of, and who is odd.
    Fingerprint,
    /// A marked request must show up in every log.
    Canary,
    /// How many connections there may be, and how many there will be.
    Connections,
    /// What large bodies do to everybody else.
    Payloads,
    /// The recorded load on cold caches and then on warm ones.
    Cold,
    /// The recorded load.
    Replay,
    /// The highest multiple of the recorded load that is held.
    Capacity,
}

impl ActName {
    /// All of them, from cheap to dear: the order in which they are performed, whatever the order
    /// in the scenario.
    pub const ALL: [Self; 7] = [
        Self::Fingerprint,
        Self::Canary,
        Self::Connections,
        Self::Payloads,
        Self::Cold,
        Self::Replay,
        Self::Capacity,
    ];

    /// The name in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fingerprint => "fingerprint",
            Self::Canary => "canary",
            Self::Connections => "connections",
            Self::Payloads => "payloads",
            Self::Cold => "cold",
            Self::Replay => "replay",
            Self::Capacity => "capacity",
        }
    }

    /// The act of a name.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|act| act.name() == text).ok_or_else(|| {
            Mistake::new(
                format!("unknown act `{}`", crop(text)),
                did_you_mean(text, &names, "the acts are"),
            )
        })
    }
}

/// The drills of a rehearsal with their options; `None` is not performed.
#[derive(Clone, Debug, PartialEq)]
pub struct Acts {
    /// What the nodes are made of.
    pub fingerprint: Option<FingerprintOptions>,
    /// Marked requests in logs.
    pub canary: Option<CanaryOptions>,
    /// Limits of connections.
    pub connections: Option<ConnectionsOptions>,
    /// Large bodies.
    pub payloads: Option<PayloadsOptions>,
    /// Cold caches.
    pub cold: Option<ColdOptions>,
    /// The recorded load.
    pub replay: bool,
    /// Multiples of it.
    pub capacity: Option<CapacityOptions>,
}

impl Acts {
    /// Whether an act is performed.
    pub fn has(&self, act: ActName) -> bool {
        match act {
            ActName::Fingerprint => self.fingerprint.is_some(),
            ActName::Canary => self.canary.is_some(),
            ActName::Connections => self.connections.is_some(),
            ActName::Payloads => self.payloads.is_some(),
            ActName::Cold => self.cold.is_some(),
            ActName::Replay => self.replay,
            ActName::Capacity => self.capacity.is_some(),
        }
    }

    /// Leaves out every act but one, which must be among them.
    pub fn keep_only(&mut self, act: ActName) {
        let all = std::mem::replace(self, Self::none());
        match act {
            ActName::Fingerprint => self.fingerprint = all.fingerprint,
            ActName::Canary => self.canary = all.canary,
            ActName::Connections => self.connections = all.connections,
            ActName::Payloads => self.payloads = all.payloads,
            ActName::Cold => self.cold = all.cold,
            ActName::Replay => self.replay = all.replay,
            ActName::Capacity => self.capacity = all.capacity,
        }
    }

    /// The replay and nothing else: what a scenario without `acts` means.
    pub fn replay() -> Self {
        Self { replay: true, ..Self::none() }
    }

    fn none() -> Self {
        Self {
            fingerprint: None,
            canary: None,
            connections: None,
            payloads: None,
            cold: None,
            replay: false,
            capacity: None,
        }
    }
}

/// An item of `acts`: a word, or a word with options.
pub(crate) enum ActItem {
    Word(String),
    Fingerprint(Box<FingerprintKeys>),
    Canary(Box<CanaryKeys>),
    Connections(Box<ConnectionsKeys>),
    Payloads(Box<PayloadsKeys>),
    Cold(Box<ColdKeys>),
    Capacity(Box<CapacityKeys>),
}

/// Reads the acts. Where a scenario names none, it replays. `expects` says whether it expects
/// anything.
pub(crate) fn read(
    place: Place<'_>,
    items: Option<Vec<Spanned<ActItem>>>,
    target: &TargetSpec,
    expects: bool,
) -> Result<Acts, ScenarioError> {
    let Some(items) = items else { return Ok(Acts::replay()) };
    let mut acts = Acts::none();
    for item in items {
        let name = match &item.value {
            ActItem::Word(word) => {
                ActName::parse(word).map_err(|mistake| place.mistake(&item, mistake))?
            }
            ActItem::Fingerprint(_) => ActName::Fingerprint,
            ActItem::Canary(_) => ActName::Canary,
            ActItem::Connections(_) => ActName::Connections,
            ActItem::Payloads(_) => ActName::Payloads,
            ActItem::Cold(_) => ActName::Cold,
            ActItem::Capacity(_) => ActName::Capacity,
        };
        if acts.has(name) {
            let mistake = Mistake::new(
                format!("the act `{}` is listed twice", name.name()),
                "name each act once; they are performed from cheap to dear in any case",
            );
            return Err(place.mistake(&item, mistake));
        }
        let at = Spanned { value: (), referenced: item.referenced, defined: item.defined };
        add(place, &mut acts, name, item.value)?;
        if target.tls().is_some() && speaks_no_tls(&acts, name) {
            return Err(place.mistake(&at, no_tls(name)));
        }
        if name == ActName::Capacity && !expects {
            return Err(place.mistake(&at, nothing_expected()));
        }
    }
    Ok(acts)
}

/// The act opens connections of its own to the target, which are plain.
fn speaks_no_tls(acts: &Acts, name: ActName) -> bool {
    match name {
        ActName::Connections => acts.connections.as_ref().is_some_and(|options| options.target),
        ActName::Payloads => true,
        ActName::Fingerprint
        | ActName::Canary
        | ActName::Cold
        | ActName::Replay
        | ActName::Capacity => false,
    }
}

fn nothing_expected() -> Mistake {
    Mistake::new(
        "the act `capacity` looks for the highest load that holds what is expected, and nothing is",
        "add such as `expect: [ latency p99 < 250ms, errors < 0.1% ]`",
    )
}

fn no_tls(name: ActName) -> Mistake {
    let hint = if name == ActName::Connections {
        "name a plain http port of the stack as `target.url`, or write `target: false` in its \
         options to look at its endpoints only"
    } else {
        "name a plain http port of the stack as `target.url`, or leave the act out"
    };
    Mistake::new(format!("the act `{}` does not speak TLS to the target yet", name.name()), hint)
}

fn add(
    place: Place<'_>,
    acts: &mut Acts,
    name: ActName,
    item: ActItem,
) -> Result<(), ScenarioError> {
    match item {
        ActItem::Fingerprint(keys) => {
            acts.fingerprint = Some(fingerprint::read(place, *keys)?);
        }
        ActItem::Canary(keys) => acts.canary = Some(canary::read(place, *keys)?),
        ActItem::Connections(keys) => acts.connections = Some(connections::read(place, *keys)?),
        ActItem::Payloads(keys) => acts.payloads = Some(payloads::read(place, *keys)?),
        ActItem::Cold(keys) => acts.cold = Some(cold::read(place, *keys)?),
        ActItem::Capacity(keys) => acts.capacity = Some(capacity::read(place, &keys)?),
        ActItem::Word(_) => match name {
            ActName::Fingerprint => {
                acts.fingerprint = Some(fingerprint::read(place, FingerprintKeys::default())?);
            }
            ActName::Canary => acts.canary = Some(canary::read(place, CanaryKeys::default())?),
            ActName::Connections => {
                acts.connections = Some(connections::read(place, ConnectionsKeys::default())?);
            }
            ActName::Payloads => {
                acts.payloads = Some(payloads::read(place, PayloadsKeys::default())?);
            }
            ActName::Cold => acts.cold = Some(cold::read(place, ColdKeys::default())?),
            ActName::Replay => acts.replay = true,
            ActName::Capacity => acts.capacity = Some(CapacityOptions::default()),
        },
    }
    Ok(())
}

/// Acts that have options.
const WITH_OPTIONS: [&str; 6] =
    ["fingerprint", "canary", "connections", "payloads", "cold", "capacity"];

// By hand, since an untagged enum would lose the places of the options.
impl<'de> Deserialize<'de> for ActItem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = ActItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an act such as `replay`, or an act with options")
            }

            fn visit_str<E>(self, word: &str) -> Result<ActItem, E> {
                Ok(ActItem::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ActItem, A::Error> {
                let name: String = map
                    .next_key()?
                    .ok_or_else(|| A::Error::custom("an act without a name: write `- replay`"))?;
                let item = match name.as_str() {
                    "fingerprint" => ActItem::Fingerprint(map.next_value()?),
                    "canary" => ActItem::Canary(map.next_value()?),
                    "connections" => ActItem::Connections(map.next_value()?),
                    "payloads" => ActItem::Payloads(map.next_value()?),
                    "cold" => ActItem::Cold(map.next_value()?),
                    "capacity" => ActItem::Capacity(map.next_value()?),
                    "replay" => {
                        return Err(A::Error::custom(
                            "`replay` is no act with options: write `- replay`",
                        ));
                    }
                    other => return Err(A::Error::unknown_variant(other, &WITH_OPTIONS)),
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom(
                        "two acts in one item: begin each with a dash of its own",
                    ));
                }
                Ok(item)
            }
        }
        deserializer.deserialize_any(Item)
    }
}

#[cfg(test)]
mod tests;
