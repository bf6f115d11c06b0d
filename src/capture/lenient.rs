//! Values of JSON as programs write them, read leniently and in bounded memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most values of an array that is kept: far more header lines than fit into a head. An empty
/// value of two bytes takes fifty in memory.
pub(super) const SEVERAL_MAX: usize = 1 << 16;

/// A string; numbers and truth values become one, and what is neither becomes the empty one.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Text, E> {
        Ok(Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Text, E> {
        Ok(Text(truth.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

/// An array of at most [`SEVERAL_MAX`] values; more are an error.
pub(super) struct Several<T>(pub(super) Vec<T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SeveralVisitor(PhantomData))
    }
}

struct SeveralVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SeveralVisitor<T> {
    type Value = Several<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array of at most {SEVERAL_MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Several<T>, A::Error> {
        let mut several = Vec::new();
        while let Some(value) = seq.next_element()? {
            if several.len() >= SEVERAL_MAX {
                return Err(A::Error::custom("too many values"));
            }
            several.push(value);
        }
        Ok(Several(several))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_that_fills_the_memory_is_no_array() {
        let array = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        let read = |text: &str| serde_json::from_str::<Several<Text>>(text).map(|it| it.0.len());
        assert_eq!(read(&array(SEVERAL_MAX)).unwrap(), SEVERAL_MAX);
        assert!(read(&array(SEVERAL_MAX + 1)).is_err());
    }

    #[test]
    fn what_is_no_text_becomes_one() {
        let read = |text: &str| serde_json::from_str::<Text>(text).unwrap().0;
        let texts = ["\"a\"", "17", "-1", "0.5", "true", "null", "[1, {}]", "{\"a\": [1]}"];
        assert_eq!(texts.map(read), ["a", "17", "-1", "0.5", "true", "", "", ""]);
    }
}
