//! The values of `Cookie`, `Set-Cookie` and `Authorization`: what is a secret in them, and what
//! says how to read it.

use std::ops::Range;

use memchr::memchr;

use crate::recording::redaction::coding::Coding;
use crate::recording::redaction::hit::Hits;
use crate::recording::redaction::names::Entry;
use crate::recording::redaction::rules::Rules;

/// First words of credentials that say what follows, and stay.
const SCHEMES: &[&str] =
    &["Basic", "Bearer", "Negotiate", "NTLM", "Token", "DPoP", "ApiKey", "JWT"];

/// The same of credentials that are `name=value` pairs, of which the names stay.
const PAIRED: &[&str] = &["Digest", "AWS4-HMAC-SHA256", "OAuth", "Signature", "Hawk"];

/// Attributes of a cookie whose values are no secret, and stay.
const ATTRIBUTES: &[&str] =
    &["Path", "Domain", "Expires", "Max-Age", "SameSite", "Secure", "HttpOnly", "Partitioned"];

/// Finds the credentials behind their scheme.
pub(crate) fn find_credentials(entry: Entry, head: &[u8], range: Range<usize>, hits: &mut Hits) {
    let value = head.get(range.clone()).unwrap_or_default();
    let start = value.len() - value.trim_ascii_start().len();
    let rest = value.get(start..).unwrap_or_default();
    let end = start + rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let first = value.get(start..end).unwrap_or_default();
    let is_one = |schemes: &[&str]| {
        schemes.iter().any(|scheme| first.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let behind = value.get(end..).unwrap_or_default().trim_ascii_start();
    let is_token = behind.get(..6).is_some_and(|name| name.eq_ignore_ascii_case(b"token="));
    if is_one(PAIRED) || is_one(SCHEMES) && is_token {
        find_pairs(entry, head, range.start + end..range.end, hits);
    } else {
        let start = if is_one(SCHEMES) { end } else { start };
        hits.add(head, range.start + start..range.end, entry, Coding::Percent);
    }
}

/// Pairs between commas. What is no pair is all value.
fn find_pairs(entry: Entry, head: &[u8], range: Range<usize>, hits: &mut Hits) {
    let mut at = range.start;
    while at < range.end {
        let rest = head.get(at..range.end).unwrap_or_default();
        let length = pair_length(rest, b',');
        let pair = rest.get(..length).unwrap_or_default();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let equals = pair.iter().position(|byte| *byte == b'=').filter(|equals| {
            pair.get(..*equals).is_some_and(|name| name.trim_ascii().iter().all(is_name))
        });
        let start = at + equals.map_or(0, |equals| equals + 1);
        add_unquoted(head, start..at + length, entry, hits);
        at += length + 1;
    }
}

/// Finds the values of `name=value` pairs; of `Set-Cookie`, attributes stay. A pair without a name
/// is all value.
pub(crate) fn find_cookies(
    rules: &Rules,
    header: Entry,
    is_set: bool,
    (head, range): (&[u8], Range<usize>),
    hits: &mut Hits,
) {
    let (mut at, mut is_first) = (range.start, true);
    while at < range.end {
        let rest = head.get(at..range.end).unwrap_or_default();
        let mut length = plain_length(rest, b';');
        let pair = rest.get(..length).unwrap_or_default();
        let equals = pair.iter().position(|byte| *byte == b'=');
        let name = pair.get(..equals.unwrap_or(length)).unwrap_or_default().trim_ascii();
        let is_attribute = is_set
            && !is_first
            && ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let entry = rules.cookies.get(if equals.is_some() { name } else { b"" });
        // Some servers split inside quotes, too: only a value that is replaced is taken whole.
        if let Some(entry) = entry.filter(|_| !is_attribute) {
            length = pair_length(rest, b';');
            let start = at + equals.map_or(0, |equals| equals + 1);
            add_unquoted(head, start..at + length, of_header(rules, entry, header), hits);
        }
        is_first = false;
        at += length + 1;
    }
}

/// What a protocol of a WebSocket is called that carries credentials, since browsers send no header
/// of their own with it: at its end they follow, as another one.
const CARRIERS: &[&[u8]] = &[b"bearer", b"token", b"authorization", b"auth"];

/// Finds the credentials among the protocols of a WebSocket; the others say how it is spoken.
pub(crate) fn find_protocols(entry: Entry, head: &[u8], range: Range<usize>, hits: &mut Hits) {
    let (mut start, mut follows) = (range.start, false);
    for protocol in head.get(range).unwrap_or_default().split(|byte| *byte == b',') {
        let name = protocol.trim_ascii().to_ascii_lowercase();
        let carries =
            CARRIERS.iter().any(|word| name.windows(word.len()).any(|window| window == *word));
        let is_end = CARRIERS.iter().any(|word| name.ends_with(word));
        if follows || carries && !is_end {
            hits.add(head, start..start + protocol.len(), entry, Coding::Percent);
        }
        follows = is_end && !follows;
        start += protocol.len() + 1;
    }
}

fn of_header(rules: &Rules, cookie: Entry, header: Entry) -> Entry {
    if rules.any_cookie != Some(cookie.rule) {
        return cookie;
    }
    Entry { is_filled: header.is_filled || cookie.is_filled, ..header }
}

/// Quotes around a value are none of it.
fn add_unquoted(head: &[u8], range: Range<usize>, entry: Entry, hits: &mut Hits) {
    let value = head.get(range.clone()).unwrap_or_default();
    let start = range.end - value.trim_ascii_start().len();
    let inner = value.trim_ascii();
    let is_quoted = inner.len() > 1 && inner.starts_with(b"\"") && inner.ends_with(b"\"");
    let margin = usize::from(is_quoted);
    let end = start + inner.len();
    hits.add(head, start + margin..end.max(start + margin) - margin, entry, Coding::Percent);
}

/// Up to the next separator, wherever it stands.
fn plain_length(pairs: &[u8], separator: u8) -> usize {
    memchr(separator, pairs).unwrap_or(pairs.len())
}

/// Up to the next separator that is not inside a quoted value; all, where a quote is not closed.
fn pair_length(pairs: &[u8], separator: u8) -> usize {
    let find = |byte: u8, from: usize| Some(from + memchr(byte, pairs.get(from..)?)?);
    let plain = plain_length(pairs, separator);
    let Some(equals) = pairs.get(..plain).and_then(|pair| memchr(b'=', pair)) else {
        return plain;
    };
    let value = pairs.get(equals + 1..).unwrap_or_default().trim_ascii_start();
    if value.first() != Some(&b'"') {
        return plain;
    }
    let open = pairs.len() - value.len();
    find(b'"', open + 1).and_then(|close| find(separator, close)).unwrap_or(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::Redactor;
    use crate::recording::redaction::policy::{Action, Listed, Policy};

    /// A value that stays must not hide the one behind it.
    #[test]
    fn quotes_hold_nothing_together_that_stays() {
        let mut policy = Policy::default();
        policy.cookies.own = vec![Listed { name: "lang".to_owned(), action: Action::Keep }];
        let rules = Rules::new(&policy);
        let entry = rules.headers.get(b"Cookie").unwrap();
        for (is_set, value, expected) in [
            (false, "lang=\"de; sid=s3cret", &["s3cret"][..]),
            (false, "lang=\"de; sid=s3cret\"; a=b", &["s3cret\"", "b"]),
            (true, "a=1; Path=\"/; b=s3cret", &["1", "s3cret"]),
            (true, "a=\"1;2\"; Path=/", &["1;2"]),
        ] {
            let mut hits = Hits::default();
            let head = (value.as_bytes(), 0..value.len());
            find_cookies(&rules, entry, is_set, head, &mut hits);
            let found: Vec<&str> = hits.0.into_iter().map(|hit| &value[hit.range]).collect();
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn names_of_pairs_stay_and_their_values_do_not() {
        for (value, expected, why) in [
            (
                "Digest username=\"me\", uri=\"/a,b\", nc=01",
                "Digest username=\"xx\", uri=\"xxxx\", nc=xx",
                "quotes hold a comma",
            ),
            (
                "AWS4-HMAC-SHA256 Credential=AK/2026, Signature=ab",
                "AWS4-HMAC-SHA256 Credential=xxxxxxx, Signature=xx",
                "signed requests",
            ),
            ("Token token=\"ab\"", "Token token=\"xx\"", "a pair behind a scheme without"),
            ("Token ab", "Token xx", "no pair"),
            ("Digest ab, c=d", "Digest xx, c=x", "no name"),
            ("Digest a b=c", "Digest x xxx", "no name, either"),
        ] {
            let head = format!("GET / HTTP/1.1\r\nAuthorization: {value}\r\n\r\n");
            let shown = Redactor::filler().shown_head(head.as_bytes());
            let shown = String::from_utf8(shown).unwrap();
            assert_eq!(
                shown.lines().nth(1).unwrap(),
                format!("Authorization: {expected}"),
                "{why}"
            );
        }
    }
}
