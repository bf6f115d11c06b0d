//! A value that an answer gave and that later requests carry: where it is in either of them.

use std::borrow::Cow;

use ::bytes::Bytes;
use percent_encoding::percent_decode;

use crate::plan::edit::fields;

/// What an arrival has to do with values of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// What its answer gives.
    pub takes: Vec<Take>,
    /// What it carries.
    pub uses: Vec<Use>,
}

/// A value that an answer gives, in place of one that production gave there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Tells production's value from others of its client.
    pub id: u64,
    /// Where it is.
    pub part: Part,
}

/// A value that a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// See [`Take::id`].
    pub id: u64,
    /// Production's value, as it stands in the request.
    pub recorded: Bytes,
    /// It is escaped there, as in a form.
    pub is_escaped: bool,
    /// Where it stands.
    pub place: Place,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Path and query.
    Target,
    /// Headers of this name.
    Header(String),
    /// The body.
    Body,
}

/// A part of the head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of a header.
    pub header: String,
    /// What of its value.
    pub piece: Piece,
}

/// A piece of the value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// All of it, without quotes around it.
    Whole,
    /// The value of a cookie.
    Cookie(String),
    /// A parameter of the query of a URL.
    Query(String),
    /// A segment of the path of a URL, from 0.
    Segment(usize),
}

/// Pieces of a URL that are looked at: nobody's path is deeper.
const MAX_PIECES: usize = 64;

/// Headers of answers that say nothing a client could send back.
const SILENT: [&str; 6] =
    ["Content-Length", "Content-Type", "Date", "Age", "Cache-Control", "Strict-Transport-Security"];

/// Every part of the head of an answer, with its value.
pub(crate) fn parts(head: &[u8]) -> Vec<(Part, Cow<'_, [u8]>)> {
    let mut found = Vec::new();
    for field in fields(head) {
        let name = String::from_utf8_lossy(head.get(field.name.clone()).unwrap_or_default());
        let value = head.get(field.value.clone()).unwrap_or_default();
        if name.is_empty() || SILENT.iter().any(|silent| field.is_named(head, silent)) {
            continue;
        }
        let mut add = |piece, value| {
            found.push((Part { header: name.clone().into_owned(), piece }, value));
        };
        if field.is_named(head, "Set-Cookie") {
            if let Some((name, value)) = cookie(value) {
                let name = String::from_utf8_lossy(name).into_owned();
                add(Piece::Cookie(name), Cow::Borrowed(value));
            }
        } else if field.is_named(head, "Location") || field.is_named(head, "Content-Location") {
            let (path, query) = url(value);
            for (at, segment) in path.split(|byte| *byte == b'/').enumerate().take(MAX_PIECES) {
                add(Piece::Segment(at), Cow::Borrowed(segment));
            }
            for (name, value) in parameters(query).take(MAX_PIECES) {
                add(Piece::Query(String::from_utf8_lossy(name).into_owned()), meant(value));
            }
        } else {
            add(Piece::Whole, Cow::Borrowed(bare(value)));
        }
    }
    found
}

impl Part {
    /// Its value in the head of an answer; the last one, where there are several.
    pub fn of<'a>(&self, head: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        fields(head)
            .filter(|field| field.is_named(head, &self.header))
            .filter_map(|field| {
                let value = head.get(field.value)?;
                match &self.piece {
                    Piece::Whole => Some(Cow::Borrowed(bare(value))),
                    Piece::Cookie(wanted) => cookie(value)
                        .filter(|(name, _)| *name == wanted.as_bytes())
                        .map(|(_, value)| Cow::Borrowed(value)),
                    Piece::Segment(at) => {
                        url(value).0.split(|byte| *byte == b'/').nth(*at).map(Cow::Borrowed)
                    }
                    Piece::Query(wanted) => parameters(url(value).1)
                        .find(|(name, _)| *name == wanted.as_bytes())
                        .map(|(_, value)| meant(value)),
                }
            })
            .filter(|value| !value.is_empty())
            .last()
    }
}

/// Where a value stands in a text, with neither a letter nor a digit on either side.
pub(crate) fn occurrences<'a>(text: &'a [u8], value: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let is_edge = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    memchr::memmem::find_iter(text, value).filter(move |at| {
        is_edge(at.checked_sub(1).and_then(|before| text.get(before)))
            && is_edge(text.get(at + value.len()))
    })
}

/// Without `W/` and quotes, as validators are written.
fn bare(value: &[u8]) -> &[u8] {
    let strong = value.strip_prefix(b"W/").unwrap_or(value);
    let quoted = strong.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\""));
    quoted.unwrap_or(value)
}

/// Name and value of what `Set-Cookie` sets.
fn cookie(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = value.split(|byte| *byte == b';').next()?;
    let equal = first.iter().position(|byte| *byte == b'=')?;
    Some((first.get(..equal)?.trim_ascii(), first.get(equal + 1..)?.trim_ascii()))
}

/// Path and query of a URL, whether it names a host or not.
fn url(value: &[u8]) -> (&[u8], &[u8]) {
    let start = match memchr::memmem::find(value, b"://") {
        Some(scheme) if !value.starts_with(b"/") => {
            let rest = value.get(scheme + 3..).unwrap_or_default();
            let host = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
            scheme + 3 + host.unwrap_or(rest.len())
        }
        _ => 0,
    };
    let rest = value.get(start..).unwrap_or_default();
    let rest = rest.split(|byte| *byte == b'#').next().unwrap_or_default();
    match rest.iter().position(|byte| *byte == b'?') {
        Some(query) => (&rest[..query], rest.get(query + 1..).unwrap_or_default()),
        None => (rest, b""),
    }
}

fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter_map(|part| {
        let equal = part.iter().position(|byte| *byte == b'=')?;
        Some((part.get(..equal)?, part.get(equal + 1..)?))
    })
}

fn meant(value: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 302 Found\r\nDate: now\r\nETag: W/\"abc-1\"\r\n\
        Location: https://h/orders/77?next=a%2Fb&x\r\nSet-Cookie: sid=one; Path=/\r\n\
        Set-Cookie: csrf=two\r\nx-token:  three \r\n\r\n";

    #[test]
    fn each_part_is_found_by_what_it_is() {
        let found: Vec<(String, String)> = parts(HEAD)
            .into_iter()
            .map(|(part, value)| {
                assert_eq!(part.of(HEAD).unwrap_or_default(), value, "{part:?}");
                let value = String::from_utf8_lossy(&value).into_owned();
                (format!("{} {:?}", part.header, part.piece), value)
            })
            .collect();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(part, value)| (part.as_str(), value.as_str())).collect();
        let expected = [
            ("ETag Whole", "abc-1"),
            ("Location Segment(0)", ""),
            ("Location Segment(1)", "orders"),
            ("Location Segment(2)", "77"),
            ("Location Query(\"next\")", "a/b"),
            ("Set-Cookie Cookie(\"sid\")", "one"),
            ("Set-Cookie Cookie(\"csrf\")", "two"),
            ("x-token Whole", "three"),
        ];
        assert_eq!(found, expected);
        let absent = Part { header: "X-Other".into(), piece: Piece::Whole };
        assert_eq!(absent.of(HEAD), None);
    }

    proptest::proptest! {
        /// For all bytes: no panic, and what is found is found again.
        #[test]
        fn any_head_can_be_looked_at(rest in "(Location|ETag|Set-Cookie|X)?[ -~\\r\\n]{0,80}") {
            let head = format!("HTTP/1.1 200 OK\r\n{rest}");
            for (part, value) in parts(head.as_bytes()) {
                let again = part.of(head.as_bytes());
                proptest::prop_assert!(value.is_empty() || again.is_some(), "{part:?}");
                proptest::prop_assert!(value.len() <= head.len());
            }
        }
    }

    #[test]
    fn a_value_stands_alone() {
        let at = |text: &str| occurrences(text.as_bytes(), b"ab12").collect::<Vec<_>>();
        assert_eq!(at("ab12 xab12 ab123 /ab12? ab12"), [0, 18, 24]);
        assert_eq!(at("Bearer ab12"), [7]);
        assert!(at("").is_empty());
    }
}
