//! Bodies of requests: what they are is told by their head, and by how they begin.

use std::ops::Range;

use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::json::find_json;
use crate::recording::redaction::multipart::find_multipart;
use crate::recording::redaction::patterns;
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::find_form;

/// Bytes of a body that are searched, from its start: sixteen times what an import of packets
/// keeps of one.
pub const MAX_SEARCHED: usize = 16 << 20;

/// Why a body, or a part of it, was not searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsearched {
    /// It is compressed.
    Encoded,
    /// It is no text.
    Binary,
    /// It goes on behind [`MAX_SEARCHED`].
    Long,
}

impl Unsearched {
    pub(crate) const ALL: [Self; 3] = [Self::Encoded, Self::Binary, Self::Long];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Encoded => "compressed body",
            Self::Binary => "binary body",
            Self::Long => "rest of a long body",
        }
    }
}

/// Finds what is to be replaced in a body; says what of it was not searched. A row without a head
/// is no HTTP: its body is a command, and a text whatever its first bytes are.
pub(crate) fn find_body(
    rules: &Rules,
    head: &[u8],
    body: &[u8],
    hits: &mut Hits,
) -> Option<Unsearched> {
    let searched = 0..body.len().min(MAX_SEARCHED);
    let told = Told::by(head);
    if told.is_encoded {
        return Some(Unsearched::Encoded);
    }
    let is_declared = matches!(told.kind, Kind::Form | Kind::Json);
    if let Kind::Parts(boundary) = &told.kind {
        find_multipart(rules, body, searched.clone(), boundary, hits);
    } else if head.is_empty() {
        find_patterns(rules, body, searched.clone(), hits);
    } else if !is_declared && !is_text(body) {
        return Some(Unsearched::Binary);
    } else if told.kind == Kind::Json {
        find_json(rules, body, searched.clone(), hits);
        find_patterns(rules, body, searched.clone(), hits);
    } else {
        if told.kind != Kind::Other {
            find_form(rules, body, searched.clone(), hits);
        }
        find_in_text(rules, body, searched.clone(), hits);
    }
    (searched.end < body.len()).then_some(Unsearched::Long)
}

/// Searches a text for fields where it begins like JSON, and for patterns.
pub(crate) fn find_in_text(rules: &Rules, body: &[u8], range: Range<usize>, hits: &mut Hits) {
    let text = body.get(range.clone()).unwrap_or_default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    // A quote begins the rest of JSON whose own beginning is missing.
    if matches!(text.first(), Some(b'{' | b'[' | b'"')) {
        find_json(rules, body, range.clone(), hits);
    }
    find_patterns(rules, body, range, hits);
}

fn find_patterns(rules: &Rules, body: &[u8], range: Range<usize>, hits: &mut Hits) {
    hits.settle();
    patterns::find(&rules.patterns, body, range, &[], hits);
}

/// Bytes of a body that tell whether it is a text.
const TOLD_BY: usize = 1 << 10;

/// There are neither zeros nor other bytes that no text has. It may be cut inside a character.
pub(crate) fn is_text(body: &[u8]) -> bool {
    let start = body.get(..TOLD_BY).unwrap_or(body);
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31);
    let wrong = start.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
    // Other alphabets than UTF-8 have some; what is compressed has mostly such.
    !start.iter().any(is_control) && wrong <= start.len() / 8 + 3
}

/// What a head says of its body.
#[derive(Debug, Default)]
struct Told {
    kind: Kind,
    is_encoded: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Kind {
    /// The head says nothing that tells.
    #[default]
    Unknown,
    Form,
    Json,
    /// Parts between lines with this boundary.
    Parts(Vec<u8>),
    Other,
}

impl Told {
    fn by(head: &[u8]) -> Self {
        let mut told = Self::default();
        for line in head.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii();
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if name.eq_ignore_ascii_case(b"Content-Encoding") {
                told.is_encoded |= !value.eq_ignore_ascii_case(b"identity") && !value.is_empty();
            } else if name.eq_ignore_ascii_case(b"Content-Type") {
                told.kind = Kind::by(value);
            }
        }
        told
    }
}

impl Kind {
    fn by(content_type: &[u8]) -> Self {
        let lower = content_type.to_ascii_lowercase();
        let has = |text: &[u8]| lower.windows(text.len()).any(|window| window == text);
        let boundary = boundary(content_type, &lower).filter(|_| lower.starts_with(b"multipart/"));
        match boundary {
            Some(boundary) => Self::Parts(boundary),
            None if has(b"x-www-form-urlencoded") => Self::Form,
            None if has(b"json") => Self::Json,
            None if has(b"text/plain") => Self::Unknown,
            None => Self::Other,
        }
    }
}

fn boundary(value: &[u8], lower: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"boundary=";
    let at = lower.windows(NAME.len()).position(|window| window == NAME)?;
    let rest = value.get(at + NAME.len()..)?;
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next(),
        None => rest.split(|byte| matches!(byte, b';' | b' ')).next(),
    };
    boundary.filter(|boundary| !boundary.is_empty()).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::hit::Hit;
    use crate::recording::redaction::policy::Policy;

    fn found(headers: &str, body: &[u8]) -> (Vec<String>, Option<Unsearched>) {
        let mut hits = Hits::default();
        let head = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        let left = find_body(&Rules::new(&Policy::default()), head.as_bytes(), body, &mut hits);
        let text = |hit: Hit| String::from_utf8_lossy(&body[hit.range]).into_owned();
        (hits.0.into_iter().map(text).collect(), left)
    }

    #[test]
    fn the_content_decides_what_is_searched() {
        let form = "content-type: application/x-www-form-urlencoded; charset=utf-8";
        let multipart = "Content-Type: multipart/form-data; boundary=\"xy\"";
        let part = "--xy\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\n12\r\n--xy--";
        for (headers, body, expected, why) in [
            (form, "pin=12&a=b", &["12"][..], "a form"),
            (form, "{\"pin\":\"12\"}", &["12"], "JSON that a tool sends as a form"),
            ("A: b", "pin=12&a=b", &["12"], "a form without a type"),
            ("A: b", " [{\"pin\":\"12\"}]", &["12"], "JSON without a type"),
            ("Content-Type: application/vnd.x+json", "\"pin\":\"12\"", &["12"], "JSON by type"),
            ("Content-Type: image/svg+xml", "pin=12", &[], "no form"),
            ("Content-Type: text/xml", "<a>a@b.de</a>", &["a@b.de"], "a text"),
            (multipart, part, &["12"], "parts"),
        ] {
            assert_eq!(
                found(headers, body.as_bytes()),
                (expected.iter().map(|text| (*text).to_owned()).collect(), None),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_not_searched_is_told() {
        let left = |headers: &str, body: &[u8]| found(headers, body).1;
        assert_eq!(left("Content-Encoding: gzip", b"pin=12"), Some(Unsearched::Encoded));
        assert_eq!(left("A: b", b"\x89PNG\0\0a@b.de"), Some(Unsearched::Binary));
        let long = [&b"pin=12&"[..], &vec![b'a'; MAX_SEARCHED], b"&pin=12"].concat();
        assert_eq!(found("A: b", &long), (vec!["12".to_owned()], Some(Unsearched::Long)));
        assert_eq!(left("A: b", "größe=ü".as_bytes()), None);
        assert_eq!(left("A: b", b"gr\xf6\xdfe=\xfc und mehr Text"), None, "another alphabet");
    }
}
