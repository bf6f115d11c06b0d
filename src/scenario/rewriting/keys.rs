//! The keys of `rewrite`, where a value may have several forms.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use crate::scenario::keys::{OneOrMany, Text};

/// A value, or `null`.
pub(crate) type Maybe = Spanned<Option<String>>;

/// The text of a value that may be missing, with its place.
pub(crate) trait MaybeText {
    /// An empty one where there is none.
    fn text(&self) -> Text;
}

impl MaybeText for Maybe {
    fn text(&self) -> Text {
        Spanned {
            value: self.value.clone().unwrap_or_default(),
            referenced: self.referenced,
            defined: self.defined,
        }
    }
}

/// A rule for paths.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathKeys {
    pub(crate) from: Text,
    pub(crate) to: Text,
}

/// `learn`, `off`, or a list.
pub(crate) enum TokenList {
    Word(String),
    Items(Vec<Spanned<TokenItem>>),
}

/// `learn`, or a token that is said.
pub(crate) enum TokenItem {
    Word(String),
    Declared(Box<TokenKeys>),
}

/// A token that is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenKeys {
    pub(crate) name: Text,
    pub(crate) from: Text,
    pub(crate) pattern: Option<Text>,
    pub(crate) path: Option<Text>,
    pub(crate) to: Spanned<OneOrMany>,
}

/// A program with its arguments, and how long it may take.
pub(crate) struct HookKeys {
    pub(crate) command: Vec<Text>,
    pub(crate) timeout: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookMap {
    command: Vec<Text>,
    timeout: Option<Text>,
}

// All of them by hand, since an untagged enum would lose the places of what is in them.
impl<'de> Deserialize<'de> for TokenList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = TokenList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`learn`, `off` or a list of tokens")
            }

            fn visit_str<E>(self, word: &str) -> Result<TokenList, E> {
                Ok(TokenList::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TokenList, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(TokenList::Items(list))
            }
        }
        deserializer.deserialize_any(List)
    }
}

impl<'de> Deserialize<'de> for TokenItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = TokenItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`learn`, or a token such as { name: csrf, from: body, ... }")
            }

            fn visit_str<E>(self, word: &str) -> Result<TokenItem, E> {
                Ok(TokenItem::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TokenItem, A::Error> {
                let keys = TokenKeys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TokenItem::Declared(Box::new(keys)))
            }
        }
        deserializer.deserialize_any(Item)
    }
}

impl<'de> Deserialize<'de> for HookKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Program;
        impl<'de> Visitor<'de> for Program {
            type Value = HookKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list such as [\"./sign.py\"], or { command: [...], timeout: 1s }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<HookKeys, A::Error> {
                let mut command = Vec::new();
                while let Some(item) = items.next_element()? {
                    command.push(item);
                }
                checked(HookKeys { command, timeout: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HookKeys, A::Error> {
                let HookMap { command, timeout } =
                    HookMap::deserialize(MapAccessDeserializer::new(map))?;
                checked(HookKeys { command, timeout })
            }
        }
        deserializer.deserialize_any(Program)
    }
}

fn checked<E: Error>(keys: HookKeys) -> Result<HookKeys, E> {
    if keys.command.is_empty() {
        return Err(E::custom("the hook names no program: write such as `hook: [./sign.py]`"));
    }
    Ok(keys)
}
