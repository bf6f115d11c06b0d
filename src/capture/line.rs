//! The text columns of a request, read from its head.

use crate::bytes::fnv1a;
use crate::protocol::http1::head::{Head, Progress, Scan, read, salvage};
use crate::protocol::http1::start::{Kind, Start};

/// The text columns of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Request method.
    pub method: String,
    /// `http`, `https`, or the name of another protocol.
    pub scheme: String,
    /// The `Host` header, or the authority of an absolute target.
    pub authority: String,
    /// Request target.
    pub target: String,
    /// A hash of all `Cookie` values.
    pub cookies: Option<u64>,
    /// Bytes that are not UTF-8 were percent-escaped in one of the texts.
    pub is_escaped: bool,
}

impl Line {
    /// Bytes of its texts.
    pub fn size(&self) -> usize {
        self.method.len() + self.scheme.len() + self.authority.len() + self.target.len()
    }
}

/// The text columns of a request whose head is `bytes`, all of it or its front.
pub(super) fn line_of(bytes: &[u8]) -> Line {
    let whole = read(Kind::Request, bytes, &mut Scan::default());
    let head = match whole {
        Progress::Whole { head, .. } => Some(head),
        _ => salvage(Kind::Request, bytes),
    };
    line_of_head(head.as_ref())
}

/// The same, of a head that was read.
pub(super) fn line_of_head(head: Option<&Head<'_>>) -> Line {
    let (method, target) = match head.map(|head| head.start) {
        Some(Start::Request { method, target, .. }) => (method, target),
        _ => (&[][..], &[][..]),
    };
    let (scheme, authority) = destination(head, target);
    let (method, method_escaped) = text(method);
    let (target, target_escaped) = text(target);
    let (authority, authority_escaped) = text(authority);
    Line {
        method,
        scheme: scheme.to_owned(),
        authority,
        target,
        cookies: head.and_then(cookies),
        is_escaped: method_escaped || target_escaped || authority_escaped,
    }
}

/// The scheme, and the authority of an absolute target or else of the `Host` header.
fn destination<'a>(head: Option<&Head<'a>>, target: &'a [u8]) -> (&'static str, &'a [u8]) {
    let after = |prefix: &[u8]| {
        let (front, rest) = target.split_at_checked(prefix.len())?;
        front.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    let absolute = after(b"http://")
        .map(|rest| ("http", rest))
        .or_else(|| after(b"https://").map(|rest| ("https", rest)));
    if let Some((scheme, rest)) = absolute {
        let authority = rest.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
        let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
        return (scheme, host);
    }
    ("http", head.and_then(|head| head.values("host").next()).unwrap_or_default())
}

fn cookies(head: &Head<'_>) -> Option<u64> {
    let mut values = head.values("cookie").peekable();
    values.peek()?;
    Some(fnv1a(values.flat_map(|value| value.iter().copied().chain(*b";"))))
}

/// Bytes as text: what is not UTF-8 is percent-escaped. The flag tells whether anything was.
pub(crate) fn text(bytes: &[u8]) -> (String, bool) {
    let (mut text, mut is_escaped) = (String::with_capacity(bytes.len()), false);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            is_escaped = true;
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    (text, is_escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_utf8_and_escapes_the_rest() {
        assert_eq!(text("/zürich".as_bytes()), ("/zürich".into(), false));
        assert_eq!(text(b"/z\xfcrich"), ("/z%FCrich".into(), true));
    }

    #[test]
    fn the_hash_of_cookies_never_changes() {
        assert_eq!(fnv1a(b"a".iter().copied()), 0xaf63_dc4c_8601_ec8c);
        let line = line_of(b"GET / HTTP/1.1\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n");
        assert_eq!(line.cookies, Some(fnv1a(b"a=1;b=2;".iter().copied())));
        assert_eq!(line_of(b"GET / HTTP/1.1\r\n\r\n").cookies, None);
    }

    #[test]
    fn the_authority_is_that_of_an_absolute_target_first() {
        let authority = |head: &[u8]| {
            let line = line_of(head);
            format!("{} {}", line.scheme, line.authority)
        };
        assert_eq!(authority(b"GET / HTTP/1.1\r\nHost: a:80\r\n\r\n"), "http a:80");
        assert_eq!(authority(b"GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n"), "http b");
        assert_eq!(authority(b"GET HTTPS://b:1?q HTTP/1.1\r\n\r\n"), "https b:1");
        assert_eq!(authority(b"GET / HTTP/1.1\r\n\r\n"), "http ");
    }
}
