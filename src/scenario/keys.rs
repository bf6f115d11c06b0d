//! The keys of a scenario file, as YAML gives them: texts with their places, nothing checked.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use serde_yaml::Spanned;

use crate::scenario::acts::ActItem;
use crate::scenario::clones::CloneFileKeys;
use crate::scenario::nodes::NodeKeys;
use crate::scenario::rewriting::{HookKeys, Maybe, PathKeys, TokenList};
use crate::scenario::tls::TlsKeys;
use crate::scenario::watch::WatchItem;

/// A value as written, and where.
pub(crate) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) name: Option<Text>,
    pub(crate) recording: Text,
    pub(crate) window: Option<Text>,
    pub(crate) scale: Option<Text>,
    pub(crate) clones: Option<CloneFileKeys>,
    pub(crate) ramp: Option<Text>,
    pub(crate) speed: Option<Text>,
    pub(crate) pace: Option<Text>,
    pub(crate) seed: Option<Text>,
    pub(crate) target: TargetKeys,
    pub(crate) methods: Option<Spanned<OneOrMany>>,
    pub(crate) rewrite: Option<Spanned<RewriteKeys>>,
    pub(crate) tolerance: Option<Text>,
    pub(crate) expect: Option<Vec<Text>>,
    pub(crate) baseline: Option<Text>,
    pub(crate) abort: Option<Vec<Text>>,
    pub(crate) limits: Option<LimitKeys>,
    pub(crate) stage: Option<StageFileKeys>,
    pub(crate) nodes: Option<BTreeMap<String, Spanned<NodeKeys>>>,
    pub(crate) acts: Option<Vec<Spanned<ActItem>>>,
    pub(crate) watch: Option<BTreeMap<String, Spanned<WatchItem>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetKeys {
    pub(crate) url: Text,
    pub(crate) tls: Option<Spanned<TlsKeys>>,
    pub(crate) hosts: Option<BTreeMap<String, Text>>,
    pub(crate) allow: Option<Vec<Text>>,
    pub(crate) connect_to: Option<Vec<Text>>,
    pub(crate) resolve: Option<Vec<Text>>,
    pub(crate) unix_socket: Option<Text>,
    pub(crate) ip: Option<Text>,
    pub(crate) source_ip: Option<Spanned<OneOrMany>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RewriteKeys {
    pub(crate) headers: Option<BTreeMap<String, Maybe>>,
    pub(crate) paths: Option<Vec<PathKeys>>,
    pub(crate) query: Option<BTreeMap<String, Maybe>>,
    pub(crate) cookies: Option<Text>,
    pub(crate) tokens: Option<Spanned<TokenList>>,
    pub(crate) hook: Option<Spanned<HookKeys>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitKeys {
    pub(crate) max_in_flight: Option<Text>,
    pub(crate) connect_timeout: Option<Text>,
    pub(crate) response_timeout: Option<Text>,
    pub(crate) grace: Option<Text>,
    pub(crate) max_rate: Option<Text>,
    pub(crate) max_connections: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageFileKeys {
    pub(crate) service: Option<Text>,
    pub(crate) cache: Option<CacheKeys>,
    pub(crate) connection_limit: Option<ConnectionLimitKeys>,
    pub(crate) body_limit: Option<Text>,
    pub(crate) block_per_byte: Option<Text>,
    pub(crate) stall: Option<StallKeys>,
    pub(crate) answers: Option<Text>,
    pub(crate) retry_storm: Option<RetryStormKeys>,
    pub(crate) capacity: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheKeys {
    pub(crate) warm: Option<bool>,
    pub(crate) store_latency: Option<Text>,
    pub(crate) store_pool: Option<Text>,
    pub(crate) warms_over: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionLimitKeys {
    pub(crate) max: Text,
    pub(crate) beyond: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StallKeys {
    pub(crate) at: Text,
    pub(crate) length: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryStormKeys {
    pub(crate) beyond: Text,
    pub(crate) adds: Text,
}

/// A word, or a list of words.
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<Text>),
}

// By hand, since an untagged enum would lose the places of the list's items.
impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, `safe` or a list such as [GET, POST]")
            }

            fn visit_str<E>(self, word: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element()? {
                    words.push(word);
                }
                Ok(OneOrMany::Many(words))
            }
        }
        deserializer.deserialize_any(Words)
    }
}
