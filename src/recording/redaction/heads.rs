//! Credentials in the heads of requests and responses, which may be malformed in every way.

use std::ops::Range;

use memchr::memchr;

use crate::recording::redaction::address;
use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::cookies::{find_cookies, find_credentials, find_protocols};
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::known::KnownLines;
use crate::recording::redaction::names::Entry;
use crate::recording::redaction::patterns::{self, Place};
use crate::recording::redaction::rules::Rules;
use crate::recording::redaction::urls::{find_url, find_userinfo};

/// Headers whose value is a URL, in which parameters are replaced.
const URL_HEADERS: &[&str] = &[
    "Referer",
    "Location",
    "Content-Location",
    "Origin",
    "Destination",
    "Refresh",
    "X-Original-Url",
    "X-Rewrite-Url",
    "X-Forwarded-Uri",
    "X-Original-Uri",
    "X-Forwarded-Host",
];

/// Headers that say where a message and its parts end, and where it goes: whatever they hold
/// stays, but for users and passwords in front of a host.
const FRAMING: &[&str] = &["Content-Length", "Transfer-Encoding", "Content-Type", "Host"];

/// Finds what is to be replaced in a head. Lines that are known to hold nothing are not looked at.
pub(crate) fn find_head(rules: &Rules, head: &[u8], known: &mut KnownLines, hits: &mut Hits) {
    let (mut at, mut started) = (0, false);
    let mut framing = Vec::new();
    // An expression of a policy may find what is in two lines.
    let is_by_line = rules.patterns.expressions.is_empty();
    let mut unknown = Vec::new();
    while at < head.len() {
        let line = at..line_end(head, at);
        at = line.end + 1;
        if !started {
            // Empty lines before the first are skipped by servers.
            started = !head.get(line.clone()).unwrap_or_default().trim_ascii().is_empty();
            let end = find_in_start_line(rules, head, line.clone(), hits);
            find_in_line(rules, head, end..line.end, line.end, (&mut framing, hits));
            unknown.push(Unknown { range: line, may_learn: false });
            continue;
        }
        // Lines that begin with a blank belong to the one before, or are headers to some.
        let mut end = line.end;
        while matches!(head.get(end + 1), Some(b' ' | b'\t')) {
            end = line_end(head, end + 1);
        }
        let may_learn = is_by_line && end == line.end;
        if may_learn && known.has(head.get(line.clone()).unwrap_or_default()) {
            continue;
        }
        let folded = line.end + 1..end;
        unknown.push(Unknown { range: line.start..end, may_learn });
        let hides = find_in_line(rules, head, line.clone(), end, (&mut framing, hits));
        while at < folded.end {
            let line = at..line_end(head, at);
            at = line.end + 1;
            if let Some(entry) = hides {
                // A value whose structure cannot be told here: nothing of it stays.
                hits.add(head, line, entry, Coding::Percent);
            } else {
                find_in_line(rules, head, line.clone(), line.end, (&mut framing, hits));
            }
        }
    }
    hits.settle();
    if !is_by_line {
        let place = Place { end: head.len(), spared: &framing, ..Place::default() };
        patterns::find(&rules.patterns, head, place, hits);
        return;
    }
    for lines in unknown.chunk_by(|a, b| a.range.end + 1 == b.range.start) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        let (start, end) = (first.range.start, last.range.end);
        let place = Place { start, end, spared: &framing, ..Place::default() };
        patterns::find(&rules.patterns, head, place, hits);
    }
    for line in unknown.into_iter().filter(|line| line.may_learn && !hits.meets(&line.range)) {
        known.learn(head.get(line.range).unwrap_or_default());
    }
}

/// A header with its folded lines.
struct Unknown {
    range: Range<usize>,
    /// Whatever it holds, it holds it in every head.
    may_learn: bool,
}

fn line_end(head: &[u8], at: usize) -> usize {
    let rest = head.get(at..).unwrap_or_default();
    memchr(b'\n', rest).map_or(head.len(), |length| at + length)
}

/// The target is what stands between the method and the version, if there is one. Returns where
/// headers may follow: behind a bare CR, at which some servers end the line.
fn find_in_start_line(rules: &Rules, head: &[u8], range: Range<usize>, hits: &mut Hits) -> usize {
    let line = head.get(range.clone()).unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let version_of = |line: &[u8]| {
        let at = line.iter().rposition(blank)?;
        line.get(at + 1..)?.starts_with(b"HTTP/").then_some(at)
    };
    let first = memchr(b'\r', line).unwrap_or(line.len());
    let behind = range.start + first;
    if line.starts_with(b"HTTP/") {
        return behind;
    }
    let Some(start) = line.iter().position(blank) else { return behind };
    // A CR ends the line behind a version, and is part of a target otherwise.
    let of_first = line.get(..first).and_then(version_of);
    let version = of_first.or_else(|| version_of(line));
    let end = version.unwrap_or(line.trim_ascii_end().len()).max(start + 1);
    find_url(rules, head, range.start + start + 1..range.start + end, hits);
    behind
}

/// What happens to the value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Keep,
    Framing,
    /// User and password are none of what stays.
    Host,
    Url,
    /// URLs in angle brackets, and what they are for.
    Links,
    Value(Entry),
    Credentials(Entry),
    Cookies(Entry),
    SetCookie(Entry),
    Protocols(Entry),
    Addresses(Entry),
}

impl Rule {
    fn of(rules: &Rules, name: &[u8]) -> Self {
        let name = name.trim_ascii();
        let is = |listed: &str| name.eq_ignore_ascii_case(listed.as_bytes());
        if FRAMING.iter().any(|listed| listed.len() == name.len() && is(listed)) {
            return if is("Host") { Self::Host } else { Self::Framing };
        }
        if let Some(entry) = rules.headers.get(name) {
            let tail = name.get(name.len().saturating_sub(13)..).unwrap_or_default();
            return if is("Cookie") {
                Self::Cookies(entry)
            } else if is("Set-Cookie") {
                Self::SetCookie(entry)
            } else if is("Sec-WebSocket-Protocol") {
                Self::Protocols(entry)
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
        if is("Link") { Self::Links } else { Self::Keep }
    }

    /// Folded lines that follow belong to a value that does not stay.
    fn hides(self) -> Option<Entry> {
        match self {
            Self::Keep
            | Self::Framing
            | Self::Host
            | Self::Url
            | Self::Links
            | Self::Addresses(_) => None,
            Self::Value(entry)
            | Self::Credentials(entry)
            | Self::Cookies(entry)
            | Self::SetCookie(entry)
            | Self::Protocols(entry) => Some(entry),
        }
    }

    fn find(self, rules: &Rules, head: &[u8], value: Range<usize>, hits: &mut Hits) {
        match self {
            Self::Keep | Self::Framing => {}
            Self::Host => {
                let first = hits.0.len();
                find_userinfo(rules, head, value, hits, first);
            }
            Self::Url => find_url(rules, head, value, hits),
            Self::Links => {
                let mut start = value.start;
                let links = head.get(value).unwrap_or_default();
                for link in links.split(|byte| *byte == b'>') {
                    find_url(rules, head, start..start + link.len(), hits);
                    start += link.len() + 1;
                }
            }
            Self::Value(entry) => hits.add(head, value, entry, Coding::Percent),
            Self::Credentials(entry) => find_credentials(entry, head, value, hits),
            Self::Cookies(entry) => find_cookies(rules, entry, false, (head, value), hits),
            Self::SetCookie(entry) => find_cookies(rules, entry, true, (head, value), hits),
            Self::Protocols(entry) => find_protocols(entry, head, value, hits),
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

/// Finds what a line hides; returns what happens to lines folded into it, of which the last ends
/// at `end`. Some servers end a line at a bare CR, so a header is looked for behind each; but one
/// that hides hides all up to the line's end.
fn find_in_line(
    rules: &Rules,
    head: &[u8],
    range: Range<usize>,
    end: usize,
    (framing, hits): (&mut Vec<Range<usize>>, &mut Hits),
) -> Option<Entry> {
    let mut start = range.start;
    while start < range.end {
        let rest = head.get(start..range.end).unwrap_or_default();
        let length = memchr(b'\r', rest).unwrap_or(rest.len());
        let part = rest.get(..length).unwrap_or_default();
        let behind = start + length;
        if let Some(colon) = memchr(b':', part) {
            let rule = Rule::of(rules, part.get(..colon).unwrap_or_default());
            let value = start + colon + 1;
            if let Some(entry) = rule.hides() {
                rule.find(rules, head, value..range.end, hits);
                return Some(entry);
            }
            let is_last = head.get(behind..range.end).is_some_and(|rest| rest.len() < 2);
            rule.find(rules, head, value..if is_last { end } else { behind }, hits);
            if matches!(rule, Rule::Framing | Rule::Host) {
                framing.push(start..behind);
            }
        }
        start = behind + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::recording::redaction::key::Key;
    use crate::recording::redaction::policy::{Action, Listed, Policy};
    use crate::recording::redaction::{KeySource, Redactor};

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
        ] {
            assert_eq!(redacted(lines), expected, "{why}");
        }
    }

    #[test]
    fn values_are_found_wherever_a_head_has_them() {
        for (lines, expected, why) in [
            (
                "Sec-WebSocket-Protocol: v4.k8s.io, base64url.bearer.k8s.io.ab, token, cd, ef",
                "Sec-WebSocket-Protocol: v4.k8s.io, xxxxxxxxxxxxxxxxxxxxxxxxxx, token, xx, ef",
                "credentials among protocols",
            ),
            (
                "X-Session: ab\r\nX-Authentication: cd\r\nSession-Key: ef\r\nX-Page-Token: gh",
                "X-Session: xx\r\nX-Authentication: xx\r\nSession-Key: xx\r\nX-Page-Token: gh",
                "more names",
            ),
            (
                "Referer:\r\n http://h/?token=1\r\n 2&a=b\r\nA: b",
                "Referer:\r\n http://h/?token=x\r\n x&a=b\r\nA: b",
                "a folded URL",
            ),
            (
                "X-Forwarded-For:\r\n 93.184.216.34\r\nA: 93.184.216.34",
                "X-Forwarded-For:\r\n xxxxxxxxxxxxx\r\nA: 93.184.216.34",
                "folded clients",
            ),
            (
                "Link: <https://h/?token=1>; rel=\"next\", <https://h/?token=2>",
                "Link: <https://h/?token=x>; rel=\"next\", <https://h/?token=x>",
                "URLs in brackets",
            ),
            (
                "A: anna@b.de\rContent-Length: 0\rB: anna@b.de",
                "A: xxxxxxxxx\rContent-Length: 0\rB: xxxxxxxxx",
                "a bare CR before where a message ends",
            ),
            (
                "Host: 4111111111111111\r\n\
                 Content-Type: multipart/a; boundary=4111111111111111",
                "Host: 4111111111111111\r\n\
                 Content-Type: multipart/a; boundary=4111111111111111",
                "what a message is read by",
            ),
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
    fn what_a_message_is_read_by_stays_whatever_a_policy_lists() {
        let mut policy = Policy::default().filled();
        policy.headers.own = vec![Listed { name: "*".to_owned(), action: Action::Filler }];
        let mut redactor = Redactor::new(&policy, Key::from_secret(b""), KeySource::Random);
        let head = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 5\r\n\
                    Transfer-Encoding: chunked\r\nContent-Type: multipart/a; boundary=b\r\n\r\n";
        let shown = redactor.shown_head(head.as_bytes());
        assert_eq!(String::from_utf8(shown).unwrap(), head.replace("A: b", "A: x"));
    }

    #[test]
    fn targets_are_found_in_odd_start_lines() {
        for (head, expected) in [
            ("GET /?sid=1 HTTP/1.1\r\n", "GET /?sid=x HTTP/1.1\r\n"),
            ("\r\nGET http://a:b@c/ HTTP/1.0\r\n", "\r\nGET http://x:x@c/ HTTP/1.0\r\n"),
            ("GET /?sid=1 2\r\n", "GET /?sid=x x\r\n"),
            ("GET /?sid=1", "GET /?sid=x"),
            (
                "GET / HTTP/1.1\rCookie: sid=s3cret\rX-Api-Key: ab\r\n",
                "GET / HTTP/1.1\rCookie: sid=xxxxxx\rxxxxxxxxxx xx\r\n",
            ),
            ("GET /?sid=1\r2 HTTP/1.1\r\n", "GET /?sid=x\rx HTTP/1.1\r\n"),
            ("HTTP/1.1 200 OK\rSet-Cookie: a=b", "HTTP/1.1 200 OK\rSet-Cookie: a=x"),
            ("HTTP/1.1 200 OK\r\nSet-Cookie: a=b", "HTTP/1.1 200 OK\r\nSet-Cookie: a=x"),
            ("", ""),
        ] {
            let shown = Redactor::filler().shown_head(head.as_bytes());
            assert_eq!(String::from_utf8(shown).unwrap(), expected);
        }
    }
}
