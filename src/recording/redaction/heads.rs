//! Credentials in the heads of requests and responses, which may be malformed in every way.

use crate::recording::redaction::urls::redact_url;
use crate::recording::redaction::{REDACTED_HEADERS, fill};

/// Headers whose value is a URL, in which parameters are replaced.
const URL_HEADERS: &[&str] = &["Referer", "Location", "Content-Location", "Host", "Origin"];

/// First words of credentials that say what follows, and stay.
const SCHEMES: &[&str] =
    &["Basic", "Bearer", "Digest", "Negotiate", "NTLM", "Token", "AWS4-HMAC-SHA256"];

/// Attributes of a cookie whose values are no secret, and stay.
const ATTRIBUTES: &[&str] =
    &["Path", "Domain", "Expires", "Max-Age", "SameSite", "Secure", "HttpOnly", "Partitioned"];

/// Replaces credentials in a head; tells whether there were any.
pub(crate) fn redact_head(head: &mut [u8]) -> bool {
    let (mut replaced, mut started, mut rule) = (false, false, Rule::Keep);
    for line in head.split_mut(|byte| *byte == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !started {
            // Empty lines before the first are skipped by servers.
            started = !line.trim_ascii().is_empty();
            replaced |= redact_start_line(line);
        } else if folded && rule.hides() {
            // The rest of a value whose structure cannot be told here: nothing of it stays.
            replaced |= fill(line);
        } else {
            let (of_line, replaced_here) = redact_line(line);
            rule = of_line;
            replaced |= replaced_here;
        }
    }
    replaced
}

/// The request's body is a form of parameters, as in a URL.
pub(crate) fn is_form(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return false;
        };
        let form = b"application/x-www-form-urlencoded";
        let value = line[colon + 1..].trim_ascii();
        line[..colon].trim_ascii().eq_ignore_ascii_case(b"Content-Type")
            && value.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form))
    })
}

/// The target is what stands between the method and the version, if there is one.
fn redact_start_line(line: &mut [u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = line.iter().position(blank) else {
        return false;
    };
    let version = line.iter().rposition(blank).filter(|at| line[at + 1..].starts_with(b"HTTP/"));
    let end = version.unwrap_or(line.len()).max(start);
    redact_url(&mut line[start..end])
}

/// What happens to the value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Keep,
    Url,
    Fill,
    Credentials,
    Cookies,
    SetCookie,
}

impl Rule {
    fn of(name: &[u8]) -> Self {
        let name = name.trim_ascii();
        let is = |listed: &str| name.eq_ignore_ascii_case(listed.as_bytes());
        if URL_HEADERS.iter().copied().any(is) {
            Self::Url
        } else if !REDACTED_HEADERS.iter().copied().any(is) {
            Self::Keep
        } else if is("Cookie") {
            Self::Cookies
        } else if is("Set-Cookie") {
            Self::SetCookie
        } else if is("Authorization") || is("Proxy-Authorization") {
            Self::Credentials
        } else {
            Self::Fill
        }
    }

    /// Folded lines that follow belong to a value that does not stay.
    fn hides(self) -> bool {
        !matches!(self, Self::Keep | Self::Url)
    }

    fn apply(self, value: &mut [u8]) -> bool {
        match self {
            Self::Keep => false,
            Self::Url => redact_url(value),
            Self::Fill => fill(value),
            Self::Credentials => redact_credentials(value),
            Self::Cookies => redact_cookies(value, &[]),
            Self::SetCookie => redact_cookies(value, ATTRIBUTES),
        }
    }
}

/// Replaces what a line hides; returns also the rule for lines folded into it. Some servers end a
/// line at a bare CR, so a header is looked for behind each; but one that hides hides all up to
/// the line's end.
fn redact_line(line: &mut [u8]) -> (Rule, bool) {
    let (mut start, mut replaced) = (0, false);
    while start < line.len() {
        let length = line[start..].iter().position(|byte| *byte == b'\r');
        let end = length.map_or(line.len(), |length| start + length);
        if let Some(colon) = line[start..end].iter().position(|byte| *byte == b':') {
            let rule = Rule::of(&line[start..start + colon]);
            if rule.hides() {
                return (rule, rule.apply(&mut line[start + colon + 1..]) || replaced);
            }
            replaced |= rule.apply(&mut line[start + colon + 1..end]);
        }
        start = end + 1;
    }
    (Rule::Keep, replaced)
}

fn redact_credentials(value: &mut [u8]) -> bool {
    let start = value.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(value.len());
    let end = value[start..]
        .iter()
        .position(u8::is_ascii_whitespace)
        .map_or(value.len(), |length| start + length);
    let first = &value[start..end];
    let known = SCHEMES.iter().any(|scheme| first.eq_ignore_ascii_case(scheme.as_bytes()));
    fill(&mut value[if known { end } else { start }..])
}

/// Replaces the values of `name=value` pairs; the attributes named stay as they are. A pair
/// without a name is all value.
fn redact_cookies(value: &mut [u8], attributes: &[&str]) -> bool {
    let (mut rest, mut replaced, mut first) = (value, false, true);
    while !rest.is_empty() {
        let length = pair_length(rest);
        let (pair, tail) = rest.split_at_mut(length);
        let equals = pair.iter().position(|byte| *byte == b'=');
        let name = pair[..equals.unwrap_or(length)].trim_ascii();
        let is_name = |attribute: &&str| name.eq_ignore_ascii_case(attribute.as_bytes());
        if first || !attributes.iter().any(is_name) {
            replaced |= fill(&mut pair[equals.map_or(0, |equals| equals + 1)..]);
        }
        first = false;
        rest = tail.get_mut(1..).unwrap_or_default();
    }
    replaced
}

/// Up to the next semicolon that is not inside a quoted value; all, where a quote is not closed.
fn pair_length(pairs: &[u8]) -> usize {
    let find = |byte: u8, from: usize| {
        let found = pairs[from..].iter().position(|found| *found == byte);
        found.map(|length| from + length)
    };
    let plain = find(b';', 0).unwrap_or(pairs.len());
    let Some(equals) = find(b'=', 0).filter(|equals| *equals < plain) else {
        return plain;
    };
    let value = pairs[equals + 1..].trim_ascii_start();
    if value.first() != Some(&b'"') {
        return plain;
    }
    let open = pairs.len() - value.len();
    find(b'"', open + 1).and_then(|close| find(b';', close)).unwrap_or(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(lines: &str) -> String {
        let mut head = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes();
        redact_head(&mut head);
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
            ("Cookie: a=1; b=22;c=", "Cookie: a=x; b=xx;c=", "names stay"),
            (
                "Cookie: a=1=2; secret",
                "Cookie: a=xxx; xxxxxx",
                "a value with =, one without a name",
            ),
            ("Cookie: a=\"1;2\"; b=3", "Cookie: a=xxxxx; b=x", "a semicolon in quotes"),
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
    fn targets_are_found_in_odd_start_lines() {
        for (head, expected) in [
            ("GET /?sid=1 HTTP/1.1\r\n", "GET /?sid=x HTTP/1.1\r\n"),
            ("\r\nGET http://a:b@c/ HTTP/1.0\r\n", "\r\nGET http://x:x@c/ HTTP/1.0\r\n"),
            ("GET /?sid=1 2\r\n", "GET /?sid=x x\r\n"),
            ("GET /?sid=1", "GET /?sid=x"),
            ("HTTP/1.1 200 OK\r\nSet-Cookie: a=b", "HTTP/1.1 200 OK\r\nSet-Cookie: a=x"),
            ("", ""),
        ] {
            let mut bytes = head.as_bytes().to_vec();
            redact_head(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }
}
