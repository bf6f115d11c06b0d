//! Bodies of requests: what they are is told by their head, and by how they begin.

use crate::recording::redaction::declared::{Declared, Kind, begins_like_json};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::json::find_json;
use crate::recording::redaction::multipart::{find_multipart, first_boundary};
use crate::recording::redaction::patterns::{self, Place};
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::find_form;

/// Bytes of a body that are searched, from its start: sixteen times what is held of one in memory
/// otherwise, so that texts are searched whole, and those of uploads do not take the memory.
pub const MAX_SEARCHED: usize = 16 << 20;

/// Why a body, or a part of it, was not searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsearched {
    /// It is compressed.
    Encoded,
    /// It is no text.
    Binary,
    /// One of its parts is no text.
    BinaryPart,
    /// Its parts could not be told apart: it was searched as a text.
    Unparted,
    /// It goes on behind [`MAX_SEARCHED`].
    Long,
    /// It stands on the disk and cannot be read.
    Unread,
}

impl Unsearched {
    pub(crate) const ALL: [Self; 6] =
        [Self::Encoded, Self::Binary, Self::BinaryPart, Self::Unparted, Self::Long, Self::Unread];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Encoded => "compressed body",
            Self::Binary => "binary body",
            Self::BinaryPart => "form with a binary part",
            Self::Unparted => "form without its boundary",
            Self::Long => "rest of a long body",
            Self::Unread => "body that could not be read",
        }
    }
}

/// Finds what is to be replaced in a body; says what of it was not searched. Without a head it is
/// a command of a database, and a text whatever its first bytes are.
pub(crate) fn find_body(
    rules: &Rules,
    head: Option<&[u8]>,
    body: &[u8],
    hits: &mut Hits,
) -> Vec<Unsearched> {
    let end = body.len().min(MAX_SEARCHED);
    let mut left = Vec::new();
    left.extend((end < body.len()).then_some(Unsearched::Long));
    let Some(head) = head else {
        find_patterns(rules, body, Place { end, ..Place::default() }, hits);
        return left;
    };
    let declared = Declared::by(head);
    if declared.is_encoded {
        return vec![Unsearched::Encoded];
    }
    let text = body.get(..end).unwrap_or_default();
    let is_parts = matches!(declared.kind, Kind::Parts(_));
    let mut boundaries = [None, first_boundary(text).filter(|_| declared.kind != Kind::Other)];
    if let Kind::Parts(boundary) = &declared.kind {
        boundaries[0] = Some(boundary.as_slice());
    }
    for boundary in boundaries.into_iter().flatten() {
        if let Some(parts) = find_multipart(rules, text, boundary, hits) {
            let place = Place { end, spared: &parts.spared, json: &parts.json, start: 0 };
            find_patterns(rules, body, place, hits);
            left.extend(parts.has_binary.then_some(Unsearched::BinaryPart));
            left.extend(parts.is_cut.then_some(Unsearched::Unparted));
            return left;
        }
    }
    left.extend(is_parts.then_some(Unsearched::Unparted));
    if !matches!(declared.kind, Kind::Form | Kind::Json) && !is_text(body) {
        return vec![Unsearched::Binary];
    }
    let is_json = begins_like_json(text);
    let mut json = Vec::new();
    if is_json || declared.kind == Kind::Json {
        find_json(rules, body, 0..end, hits);
        json.push(0..end);
    }
    if !is_json && declared.kind != Kind::Other {
        find_form(rules, body, 0..end, hits);
    }
    find_patterns(rules, body, Place { end, json: &json, ..Place::default() }, hits);
    left
}

fn find_patterns(rules: &Rules, body: &[u8], place: Place<'_>, hits: &mut Hits) {
    hits.settle();
    patterns::find(&rules.patterns, body, place, hits);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::hit::Hit;
    use crate::recording::redaction::policy::Policy;

    fn found(headers: &str, body: &[u8]) -> (Vec<String>, Vec<Unsearched>) {
        let mut hits = Hits::default();
        let head = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        let rules = Rules::new(&Policy::default());
        let left = find_body(&rules, Some(head.as_bytes()), body, &mut hits);
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
            ("A: b", "{\"url\":\"https://h/?token=ab\",\"b\":10}", &["ab"], "JSON with a URL"),
            (form, "{\"url\":\"https://h/?token=ab\",\"b\":10}", &["ab"], "and as a form"),
            (form, "[a]=b&pin=12", &["12"], "a form that begins with a bracket"),
            (form, "pin=12?3#4;5&a=b", &["12?3#4;5"], "a value ends at & alone"),
            ("Content-Type: application/json", "pin=12", &["12"], "a form said to be JSON"),
            ("Content-Type: multipart/form-data; boundary=z", part, &["12"], "another boundary"),
            ("A: b", part, &["12"], "parts without a type"),
            ("A: b", "--xy&pin=12\n", &["12"], "a form that begins like them"),
            ("Content-Type:", "pin=12", &["12"], "an empty type"),
            (
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: image/png",
                "pin=12",
                &["12"],
                "two types",
            ),
        ] {
            assert_eq!(
                found(headers, body.as_bytes()),
                (expected.iter().map(|text| (*text).to_owned()).collect(), vec![]),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_not_searched_is_told() {
        let left = |headers: &str, body: &[u8]| found(headers, body).1;
        assert_eq!(left("Content-Encoding: gzip", b"pin=12"), [Unsearched::Encoded]);
        assert_eq!(left("A: b", b"\x89PNG\0\0a@b.de"), [Unsearched::Binary]);
        let parts = "Content-Type: multipart/form-data; boundary=xy";
        assert_eq!(found(parts, b"pin=12"), (vec!["12".to_owned()], vec![Unsearched::Unparted]));
        let binary = b"--xy\r\nContent-Disposition: form-data; filename=a\r\n\r\n\0a@b.de";
        assert_eq!(found(parts, binary), (vec![], vec![Unsearched::BinaryPart]));
        let long = [&b"pin=12&"[..], &vec![b'a'; MAX_SEARCHED], b"&pin=12"].concat();
        assert_eq!(found("A: b", &long), (vec!["12".to_owned()], vec![Unsearched::Long]));
        assert_eq!(left("A: b", "größe=ü".as_bytes()), []);
        assert_eq!(left("A: b", b"gr\xf6\xdfe=\xfc und mehr Text"), [], "another alphabet");
    }
}
