//! What is kept of a body without the body: a digest of its bytes, and of JSON which fields it has.
//! By these a replay's answers are compared with the recorded ones.
//!
//! Names of fields are kept as they are where they look like names; whatever may be a value that
//! somebody used as a name, such as an address or a number, is a star. No value is kept at all.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;
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

/// What is known of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// First 16 bytes of the SHA-256 of it, as it came, without chunk framing.
    pub digest: Option<[u8; 16]>,
    /// Its fields with their types, a line each, in order: `items[].price: number`. `None` where
    /// it is no JSON, or too much of it. A body that gzip packed is unpacked for this.
    pub shape: Option<Arc<str>>,
}

/// Sees a body pass, and keeps at most [`MAX_JSON`] of it.
#[derive(Clone, Debug)]
pub struct Witness {
    hash: Sha256,
    /// What may be JSON, from its first byte on; `None` once it cannot be.
    json: Option<Vec<u8>>,
}

impl Default for Witness {
    fn default() -> Self {
        Self { hash: Sha256::new(), json: Some(Vec::new()) }
    }
}

impl Witness {
    /// Takes the next bytes of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        let Some(json) = &mut self.json else { return };
        let is_begin = json.is_empty();
        let fits = json.len() + piece.len() <= MAX_JSON;
        if fits && (!is_begin || piece.is_empty() || may_be_json(piece)) {
            json.extend_from_slice(piece);
        } else {
            self.json = None;
        }
    }

    /// Bytes that it holds.
    pub fn held(&self) -> usize {
        self.json.as_ref().map_or(0, Vec::len)
    }

    /// Holds no bytes any more: memory is short.
    pub fn let_go(&mut self) {
        self.json = None;
    }

    /// What is known of the body, now that it is whole.
    pub fn finish(self) -> Contents {
        let hash = self.hash.finalize();
        let digest = hash.first_chunk::<16>().copied();
        let shape = self.json.and_then(|json| shape_of(&json));
        Contents { digest, shape }
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

/// The fields of a JSON text, which gzip may have packed.
fn shape_of(bytes: &[u8]) -> Option<Arc<str>> {
    let mut unpacked = Vec::new();
    let text = if bytes.starts_with(&GZIP) {
        let limit = MAX_JSON as u64 + 1;
        GzDecoder::new(bytes).take(limit).read_to_end(&mut unpacked).ok()?;
        if unpacked.len() > MAX_JSON {
            return None;
        }
        &unpacked
    } else {
        bytes
    };
    let value: Value = serde_json::from_slice(text).ok()?;
    let mut fields = BTreeSet::new();
    walk(&value, &mut String::new(), 0, &mut fields)?;
    let shape = fields.into_iter().collect::<Vec<_>>().join("\n");
    (!shape.is_empty() && shape.len() <= MAX_SHAPE).then(|| shape.into())
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
            let is_table = object.len() > MAX_NAMES;
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

/// It looks like what a programmer named a field, and not like somebody's value.
fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix(['@', '$', '_']).unwrap_or(name);
    rest.len() <= MAX_NAME
        && rest.starts_with(|first: char| first.is_ascii_alphabetic())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !is_variable(rest)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn contents(pieces: &[&[u8]]) -> Contents {
        let mut witness = Witness::default();
        for piece in pieces {
            witness.push(piece);
        }
        witness.finish()
    }

    fn shape(text: &str) -> Option<String> {
        contents(&[text.as_bytes()]).shape.map(|shape| shape.replace('\n', ", "))
    }

    #[test]
    fn fields_and_types_are_kept_and_no_value_is() {
        for (text, expected) in [
            (
                r#"{"b":[{"c":1},{"d":null}],"a":"x"}"#,
                Some(".: object, a: string, b: array, b[].c: number, b[].d: null, b[]: object"),
            ),
            (
                r#"{"b":[{"d":null},{"c":2}],"a":"y"}"#,
                Some(".: object, a: string, b: array, b[].c: number, b[].d: null, b[]: object"),
            ),
            ("[]", Some(".: array")),
            (" \n[true]", Some(".: array, []: boolean")),
            // Whatever may be somebody's value is a star.
            (r#"{"ann@shop.example":1}"#, Some("*: number, .: object")),
            (r#"{"0049301234567":1}"#, Some("*: number, .: object")),
            (r#"{"9f8e7d6c5b4a3":1,"Ann Lee":2}"#, Some("*: number, .: object")),
            (r#"{"@type":"a","_id":"b"}"#, Some(".: object, @type: string, _id: string")),
            (
                r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}}}"#,
                Some(
                    ".: object, a.b.c.d.e.f: object, a.b.c.d.e: object, a.b.c.d: object, \
                     a.b.c: object, a.b: object, a: object",
                ),
            ),
            ("<html>", None),
            (r#"{"a":1"#, None),
            ("", None),
            ("7", None),
        ] {
            assert_eq!(shape(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn too_much_has_no_shape_and_a_table_has_one_name() {
        let of = |names: usize, what: &str| {
            let all: Vec<_> = (0..names).map(|at| format!("\"{what}{at:x}k\":1")).collect();
            shape(&format!("{{{}}}", all.join(",")))
        };
        assert_eq!(of(MAX_NAMES + 1, "n").as_deref(), Some("*: number, .: object"));
        assert!(of(MAX_NAMES, "n").is_some_and(|shape| shape.contains("n0k: number")));
        assert_eq!(of(MAX_NAMES, &"n".repeat(MAX_NAME)).as_deref(), Some("*: number, .: object"));
        assert!(shape(&format!("[{}1]", "1,".repeat(MAX_JSON))).is_none(), "too long");
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(shape(&deep).is_none());
    }

    /// for all cuts: what is known of a body does not depend on the pieces it came in.
    #[test]
    fn pieces_do_not_matter_and_gzip_is_unpacked() {
        let text: &[u8] = br#" {"a":[1,2],"b":"x"}"#;
        let whole = contents(&[text]);
        assert!(whole.shape.is_some());
        for cut in 0..text.len() {
            assert_eq!(contents(&[&text[..cut], b"", &text[cut..]]), whole, "{cut}");
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        let packed = encoder.finish().unwrap();
        for cut in 0..packed.len() {
            let unpacked = contents(&[&packed[..cut], &packed[cut..]]);
            assert_eq!(unpacked.shape, whole.shape, "{cut}");
            assert_ne!(unpacked.digest, whole.digest);
        }
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(format!("[{}1]", " ".repeat(10 << 20)).as_bytes()).unwrap();
        assert_eq!(contents(&[&bomb.finish().unwrap()]).shape, None);
    }
}
