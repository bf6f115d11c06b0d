//! Credentials in the heads of requests and responses, which may be malformed in every way.

use std::ops::Range;

use crate::recording::redaction::address;
use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::cookies::{find_cookies, find_credentials};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::names::Entry;
use crate::recording::redaction::patterns::{self, Place};
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::find_url;

/// Headers whose value is a URL, in which parameters are replaced.
const URL_HEADERS: &[&str] = &[
    "Referer",
    "Location",
    "Content-Location",
    "Host",
    "Origin",
    "Destination",
    "Refresh",
    "Link",
    "X-Original-Url",
    "X-Rewrite-Url",
    "X-Forwarded-Uri",
    "X-Original-Uri",
    "X-Forwarded-Host",
];

/// Headers that say where a message ends: whatever they hold stays.
const FRAMING: &[&str] = &["Content-Length", "Transfer-Encoding"];

/// Finds what is to be replaced in a head.
pub(crate) fn find_head(rules: &Rules, head: &[u8], hits: &mut Hits) {
    let (mut start, mut started, mut rule) = (0, false, Rule::Keep);
    let mut framing = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let range = start..start + line.len();
        start = range.end + 1;
        let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !started {
            // Empty lines before the first are skipped by servers.
            started = !line.trim_ascii().is_empty();
            find_in_start_line(rules, head, range, hits);
        } else if let Some(entry) = rule.hides().filter(|_| is_folded) {
            // The rest of a value whose structure cannot be told here: nothing of it stays.
            hits.add(head, range, entry, Coding::Percent);
        } else {
            rule = find_in_line(rules, head, range.clone(), hits);
            if rule == Rule::Framing {
                framing.push(range);
            }
        }
    }
    hits.settle();
    let place = Place { end: head.len(), spared: &framing, ..Place::default() };
    patterns::find(&rules.patterns, head, place, hits);
}

/// The target is what stands between the method and the version, if there is one.
fn find_in_start_line(rules: &Rules, head: &[u8], range: Range<usize>, hits: &mut Hits) {
    let line = head.get(range.clone()).unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = line.iter().position(blank) else {
        return;
    };
    let is_version = |at: &usize| line.get(at + 1..).is_some_and(|rest| rest.starts_with(b"HTTP/"));
    let version = line.iter().rposition(blank).filter(is_version);
    let end = version.unwrap_or(line.trim_ascii_end().len()).max(start);
    if !line.starts_with(b"HTTP/") {
        find_url(rules, head, range.start + start + 1..range.start + end.max(start + 1), hits);
    }
}

/// What happens to the value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Keep,
    Framing,
    Url,
    Value(Entry),
    Credentials(Entry),
    Cookies(Entry),
    SetCookie(Entry),
    Addresses(Entry),
}

impl Rule {
    fn of(rules: &Rules, name: &[u8]) -> Self {
        let name = name.trim_ascii();
        let is = |listed: &str| name.eq_ignore_ascii_case(listed.as_bytes());
        if let Some(entry) = rules.headers.get(name) {
            let tail = name.get(name.len().saturating_sub(13)..).unwrap_or_default();
            return if is("Cookie") {
                Self::Cookies(entry)
            } else if is("Set-Cookie") {
                Self::SetCookie(entry)
            } else if tail.eq_ignore_ascii_case(b"authorization") {
                Self::Credentials(entry)
            } else {
                Self::Value(entry)
            };
        }
        if let Some(entry) = rules.address_headers.get(name) {
            return Self::Addresses(entry);
        }
        if URL_HEADERS.iter().any(|listed| listed.len() == name.len() && is(listed)) {
            return Self::Url;
        }
        if FRAMING.iter().any(|listed| listed.len() == name.len() && is(listed)) {
            return Self::Framing;
        }
        Self::Keep
    }

    /// Folded lines that follow belong to a value that does not stay.
    fn hides(self) -> Option<Entry> {
        match self {
            Self::Keep | Self::Framing | Self::Url | Self::Addresses(_) => None,
            Self::Value(entry)
            | Self::Credentials(entry)
            | Self::Cookies(entry)
            | Self::SetCookie(entry) => Some(entry),
        }
    }

    fn find(self, rules: &Rules, head: &[u8], value: Range<usize>, hits: &mut Hits) {
        match self {
            Self::Keep | Self::Framing => {}
            Self::Url => find_url(rules, head, value, hits),
            Self::Value(entry) => hits.add(head, value, entry, Coding::Percent),
            Self::Credentials(entry) => find_credentials(entry, head, value, hits),
            Self::Cookies(entry) => find_cookies(rules, entry, false, (head, value), hits),
            Self::SetCookie(entry) => find_cookies(rules, entry, true, (head, value), hits),
            Self::Addresses(entry) => {
                let text = head.get(value.clone()).unwrap_or_default();
                address::find(text, &mut |found| {
                    let range = value.start + found.start..value.start + found.end;
                    hits.add(head, range, entry, Coding::Percent);
                });
            }
        }
    }
}

/// Finds what a line hides; returns also the rule for lines folded into it. Some servers end a
/// line at a bare CR, so a header is looked for behind each; but one that hides hides all up to
/// the line's end.
fn find_in_line(rules: &Rules, head: &[u8], range: Range<usize>, hits: &mut Hits) -> Rule {
    let line = head.get(range.clone()).unwrap_or_default();
    let (mut start, mut last) = (range.start, Rule::Keep);
    for part in line.split(|byte| *byte == b'\r') {
        let end = start + part.len();
        if let Some(colon) = part.iter().position(|byte| *byte == b':') {
            let rule = Rule::of(rules, part.get(..colon).unwrap_or_default());
            if rule.hides().is_some() {
                rule.find(rules, head, start + colon + 1..range.end, hits);
                return rule;
            }
            rule.find(rules, head, start + colon + 1..end, hits);
            if rule == Rule::Framing || last == Rule::Keep {
                last = rule;
            }
        }
        start = end + 1;
    }
    last
}

#[cfg(test)]
mod tests {
    use crate::recording::redaction::Redactor;

    fn redacted(lines: &str) -> String {
        let head = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        let head = Redactor::filler().shown_head(head.as_bytes());
        let head = String::from_utf8(head).unwrap();
        let lines = head.strip_prefix("GET / HTTP/1.1\r\n").unwrap();
        lines.strip_suffix("\r\n\r\n").unwrap().to_owned()
    }

    #[test]
    fn values_of_listed_headers_are_replaced() {
        for (lines, expected, why) in [
            ("Authorization: Bearer abc.d", "Authorization: Bearer xxxxx", "the scheme stays"),
            ("authorization:abc def", "authorization:xxx xxx", "no scheme that is known"),
            ("AUTHORIZATION : Basic a=", "AUTHORIZATION : Basic xx", "blank before the colon"),
            ("X-Api-Key: k1", "X-Api-Key: xx", "a single value"),
            ("X-Api-Keys: k1", "X-Api-Keys: k1", "another name"),
            ("X-Shop-Csrf-Token: k1", "X-Shop-Csrf-Token: xx", "the end of a name"),
            ("Cookie: a=1; b=22;c=", "Cookie: a=x; b=xx;c=", "names stay"),
            (
                "Cookie: a=1=2; secret",
                "Cookie: a=xxx; xxxxxx",
                "a value with =, one without a name",
            ),
            ("Cookie: a=\"1;2\"; b=3", "Cookie: a=\"xxx\"; b=x", "a semicolon in quotes"),
            ("Cookie: a=\"1; b=3", "Cookie: a=xxx xxx", "a quote that is not closed"),
            (
                "Set-Cookie: a=1; Path=/; secure; x=2; Path",
                "Set-Cookie: a=x; Path=/; secure; x=x; Path",
                "attributes stay",
            ),
            ("Set-Cookie: path=1", "Set-Cookie: path=x", "a cookie named like an attribute"),
            ("Cookie: a=1;\r\n b=2", "Cookie: a=x;\r\n xxx", "folded, by a blank"),
            ("Cookie: a\n\t=1\nB: c", "Cookie: x\n\txx\nB: c", "folded, by a tab, bare LF"),
            ("A: b\rCookie: c=d", "A: b\rCookie: c=x", "behind a bare CR"),
            ("Cookie: a=b\rc", "Cookie: a=x\rx", "a bare CR in a value"),
            ("A: b\n Cookie: c=d", "A: b\n Cookie: c=x", "folded into another header"),
            ("Referer: http://h/?token=1&a=b", "Referer: http://h/?token=x&a=b", "URLs"),
            ("Host: me@h", "Host: xx@h", "user information"),
            ("Cookie", "Cookie", "no colon"),
            ("X-Forwarded-For: 1.2.3.4, ::1", "X-Forwarded-For: xxxxxxx, ::1", "clients"),
            ("Host: 1.2.3.4:80", "Host: 1.2.3.4:80", "a server"),
            ("From: anna@shop.example", "From: xxxxxxxxxxxxxxxxx", "a pattern"),
            (
                "Content-Length: 4111111111111111\r\nA: 4111111111111111",
                "Content-Length: 4111111111111111\r\nA: xxxxxxxxxxxxxxxx",
                "where a message ends is no card",
            ),
        ] {
            assert_eq!(redacted(lines), expected, "{why}");
        }
    }

    #[test]
    fn targets_are_found_in_odd_start_lines() {
        for (head, expected) in [
            ("GET /?sid=1 HTTP/1.1\r\n", "GET /?sid=x HTTP/1.1\r\n"),
            ("\r\nGET http://a:b@c/ HTTP/1.0\r\n", "\r\nGET http://x:x@c/ HTTP/1.0\r\n"),
            ("GET /?sid=1 2\r\n", "GET /?sid=x x\r\n"),
            ("GET /?sid=1", "GET /?sid=x"),
            ("HTTP/1.1 200 OK\r\nSet-Cookie: a=b", "HTTP/1.1 200 OK\r\nSet-Cookie: a=x"),
            ("", ""),
        ] {
            let shown = Redactor::filler().shown_head(head.as_bytes());
            assert_eq!(String::from_utf8(shown).unwrap(), expected);
        }
    }
}
