//! What is kept of a body without the body: a digest of its bytes, and of JSON which fields it has.
//! By these a replay's answers are compared with the recorded ones.
//!
//! Names of fields are kept as they are where they look like names; whatever may be a value that
//! somebody used as a name, such as an address or a number, is a star. No value is kept at all.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::recording::route::is_variable;

/// Longest JSON text, unpacked, whose fields are looked at: many answers are read at once.
pub const MAX_JSON: usize = 64 * 1024;

/// Longest shape that is kept, in bytes; answers with more fields have none.
pub const MAX_SHAPE: usize = 4 * 1024;

/// Levels of a JSON text that are told apart; what is deeper is left out.
const MAX_DEPTH: usize = 6;

/// An object with more names than this is a table of values by name.
const MAX_NAMES: usize = 64;

/// Longest name of a field.
const MAX_NAME: usize = 40;

/// Bytes that show whether a body is text: more than any coding leaves without a control character
/// or a broken one of UTF-8.
const MAX_TEXT: usize = 256;

/// An object of so many objects, all with the same names, is a table of values by name, too.
const MIN_ALIKE: usize = 3;

/// What is known of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// First 16 bytes of the SHA-256 of it, as it came, without chunk framing.
    pub digest: Option<[u8; 16]>,
    /// Its fields with their types, a line each, in order: `items[].price: number`. `None` where
    /// it is no JSON, or too much of it. A body that gzip packed is unpacked for this.
    pub shape: Option<Arc<str>>,
    /// It is surely no JSON object or list: another text, a broken one, or nothing at all. Where
    /// this is false and there is no shape, it is not known. A recording does not keep it.
    pub is_no_json: bool,
}

/// Sees a body pass, and keeps at most [`MAX_JSON`] of it.
#[derive(Clone, Debug)]
pub struct Witness {
    hash: Sha256,
    kept: Kept,
}

/// What of a body is kept while it passes.
#[derive(Clone, Debug)]
enum Kept {
    /// All of what may be JSON, from its first byte on.
    Json(Vec<u8>),
    /// The beginning of what is no JSON: it shows whether it is text, or packed.
    Other(Vec<u8>),
    /// Nothing.
    Nothing,
}

impl Default for Witness {
    fn default() -> Self {
        Self { hash: Sha256::new(), kept: Kept::Json(Vec::new()) }
    }
}

impl Witness {
    /// One that keeps nothing but the digest.
    pub fn of_bytes() -> Self {
        Self { hash: Sha256::new(), kept: Kept::Nothing }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        match &mut self.kept {
            Kept::Json(json) if !json.is_empty() || piece.is_empty() || may_be_json(piece) => {
                if json.len() + piece.len() <= MAX_JSON {
                    json.extend_from_slice(piece);
                } else {
                    self.kept = Kept::Nothing;
                }
            }
            Kept::Json(_) => self.kept = Kept::Other(beginning(piece, MAX_TEXT).to_vec()),
            Kept::Other(begin) => {
                begin.extend_from_slice(beginning(piece, MAX_TEXT - begin.len()));
            }
            Kept::Nothing => {}
        }
    }

    /// Bytes that it holds.
    pub fn held(&self) -> usize {
        match &self.kept {
            Kept::Json(bytes) | Kept::Other(bytes) => bytes.len(),
            Kept::Nothing => 0,
        }
    }

    /// Holds no bytes any more: memory is short. Says whether fields may be lost by that.
    pub fn let_go(&mut self) -> bool {
        matches!(std::mem::replace(&mut self.kept, Kept::Nothing), Kept::Json(_))
    }

    /// What is known of the body, now that it is whole.
    pub fn finish(self) -> Contents {
        self.finish_beside(&Contents::default())
    }

    /// The same; a body with the digest of another one has its fields, too, and need not be read.
    pub fn finish_beside(self, other: &Contents) -> Contents {
        let hash = self.hash.finalize();
        let digest = hash.first_chunk::<16>().copied();
        if other.shape.is_some() && other.digest == digest {
            return other.clone();
        }
        let (shape, is_no_json) = match self.kept {
            Kept::Json(bytes) => match fields_of(&bytes) {
                Reading::Fields(shape) => (Some(shape), false),
                Reading::NoJson => (None, true),
                Reading::Unknown => (None, false),
            },
            Kept::Other(begin) => (None, is_text(&begin)),
            Kept::Nothing => (None, false),
        };
        Contents { digest, shape, is_no_json }
    }
}

impl PartialEq for Witness {
    fn eq(&self, other: &Self) -> bool {
        self.clone().finish() == other.clone().finish()
    }
}

impl Eq for Witness {}

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

fn may_be_json(begin: &[u8]) -> bool {
    let first = begin.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|first| matches!(first, b'{' | b'[')) || begin.starts_with(&GZIP[..1])
}

fn beginning(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

/// Bytes that people could read, as far as they go; what brotli or zstd packed is not.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // It may be cut within a character.
        Err(error) if error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.chars().any(|c| c.is_control() && !c.is_ascii_whitespace())
}

/// What reading a body as JSON came to.
enum Reading {
    Fields(Arc<str>),
    NoJson,
    /// Too much of it, too deep, or packed in a way that is not read.
    Unknown,
}

/// Brackets that open, of which the reader follows fewer than this one into another.
const MAX_OPEN: usize = 128;

/// The fields of a JSON text, which gzip may have packed.
fn fields_of(bytes: &[u8]) -> Reading {
    let mut unpacked = Vec::new();
    let text = if bytes.starts_with(&GZIP) {
        let limit = MAX_JSON as u64 + 1;
        // What cannot be unpacked to its end is read as far as it goes, as clients do.
        _ = MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut unpacked);
        if unpacked.len() > MAX_JSON {
            return Reading::Unknown;
        }
        &unpacked
    } else {
        bytes
    };
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            let open = text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
            let may_be_too_deep = !error.is_eof() && open >= MAX_OPEN;
            return if is_text(text) && !may_be_too_deep {
                Reading::NoJson
            } else {
                Reading::Unknown
            };
        }
    };
    if !value.is_object() && !value.is_array() {
        return Reading::NoJson;
    }
    let mut fields = BTreeSet::new();
    if walk(&value, &mut String::new(), 0, &mut fields).is_none() {
        return Reading::Unknown;
    }
    let shape = fields.into_iter().collect::<Vec<_>>().join("\n");
    if shape.len() <= MAX_SHAPE { Reading::Fields(shape.into()) } else { Reading::Unknown }
}

/// Adds the fields of a value behind its path; `None` where they are too many.
fn walk(
    value: &Value,
    path: &mut String,
    depth: usize,
    fields: &mut BTreeSet<String>,
) -> Option<()> {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    fields.insert(format!("{}: {kind}", if path.is_empty() { "." } else { path.as_str() }));
    // What is longer in all than a shape may be is given up before it is much.
    if fields.len() > MAX_SHAPE / 4 {
        return None;
    }
    if depth == MAX_DEPTH {
        return Some(());
    }
    let length = path.len();
    match value {
        Value::Object(object) => {
            let is_table = is_table(object);
            for (name, value) in object {
                let name = if is_table || !is_name(name) { "*" } else { name };
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                walk(value, path, depth + 1, fields)?;
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            path.push_str("[]");
            for item in items {
                walk(item, path, depth + 1, fields)?;
            }
            path.truncate(length);
        }
        _ => {}
    }
    Some(())
}

/// Its names are values, such as people's, with what belongs to each: many of them, or some whose
/// objects all have the same names.
fn is_table(object: &Map<String, Value>) -> bool {
    if object.len() > MAX_NAMES {
        return true;
    }
    let mut all = object.values().map(|value| value.as_object().filter(|each| !each.is_empty()));
    let Some(Some(first)) = all.next() else { return false };
    object.len() >= MIN_ALIKE
        && all.all(|each| each.is_some_and(|each| each.keys().eq(first.keys())))
}

/// It looks like what a programmer named a field, and not like somebody's value.
fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix(['@', '$', '_']).unwrap_or(name);
    rest.len() <= MAX_NAME
        && rest.starts_with(|first: char| first.is_ascii_alphabetic())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !is_variable(rest)
}

#[cfg(test)]
mod tests;
