//! How the body behind a head is delimited (RFC 9112, section 6.3), with one policy for heads
//! that contradict themselves.
//!
//! The policy: `Transfer-Encoding: chunked` wins over `Content-Length`; of several lengths the
//! first wins; a length that is no number counts as absent. Each of these is reported as
//! ambiguous, because two servers may read such a message differently.

use crate::protocol::http1::body::Framing;
use crate::protocol::http1::head::Head;
use crate::protocol::http1::start::{Start, Version};

/// The framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimited {
    /// Where the body ends.
    pub framing: Framing,
    /// Other readers may find another end.
    pub ambiguous: bool,
}

/// The framing of the body behind a request's head.
pub fn of_request(head: &Head<'_>) -> Delimited {
    let (declared, ambiguous) = declared(head);
    Delimited { framing: declared.unwrap_or(Framing::None), ambiguous }
}

/// The framing of the body behind a response's head; `method` is that of the request it answers,
/// `None` where that is not known.
pub fn of_response(head: &Head<'_>, method: Option<&[u8]>) -> Delimited {
    let status = match head.start {
        Start::Response { status, .. } => status,
        Start::Request { .. } => 0,
    };
    let tunnel = method == Some(b"CONNECT") && (200..300).contains(&status);
    if tunnel || method == Some(b"HEAD") || matches!(status, 100..=199 | 204 | 304) {
        return Delimited { framing: Framing::None, ambiguous: false };
    }
    let (declared, ambiguous) = declared(head);
    Delimited { framing: declared.unwrap_or(Framing::UntilClose), ambiguous }
}

/// What the header lines say, and whether they agree.
fn declared(head: &Head<'_>) -> (Option<Framing>, bool) {
    let (length, lengths_differ) = content_length(head);
    match transfer_encoding(head) {
        Coding::Absent => (length.map(Framing::Length), lengths_differ),
        Coding::Chunked => {
            let has_length = head.values("content-length").next().is_some();
            let old = head.version() != Version::Http11;
            (Some(Framing::Chunked), has_length || old)
        }
        // An unknown coding: the length is the best guess there is.
        Coding::Other => (length.map(Framing::Length), true),
    }
}

enum Coding {
    Absent,
    Chunked,
    Other,
}

fn transfer_encoding(head: &Head<'_>) -> Coding {
    let mut last = Coding::Absent;
    for value in head.values("transfer-encoding") {
        for coding in value.split(|byte| *byte == b',') {
            let name = trim(coding.split(|byte| *byte == b';').next().unwrap_or_default());
            last = match name {
                b"" => last,
                _ if name.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                _ if name.eq_ignore_ascii_case(b"identity") => Coding::Absent,
                _ => Coding::Other,
            };
        }
    }
    last
}

/// Without blanks and control characters around it: servers disagree about the latter, but no
/// other coding is meant.
fn trim(mut word: &[u8]) -> &[u8] {
    let is_outside = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    while let [first, rest @ ..] = word
        && is_outside(first)
    {
        word = rest;
    }
    while let [rest @ .., last] = word
        && is_outside(last)
    {
        word = rest;
    }
    word
}

/// The first length, and whether another one or a bad one stands beside it.
fn content_length(head: &Head<'_>) -> (Option<u64>, bool) {
    let (mut first, mut doubtful) = (None, false);
    let words = head.values("content-length").flat_map(|value| value.split(|byte| *byte == b','));
    for word in words {
        match number(word.trim_ascii()) {
            Some(length) if first.is_none() => first = Some(length),
            Some(length) if first == Some(length) => {}
            _ => doubtful = true,
        }
    }
    (first, doubtful)
}

/// A decimal number below 2^63: no sign, no blank inside.
fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte - b'0'));
    word.iter().try_fold(0, digit).filter(|number| *number < 1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http1::head::{Progress, Scan, read};
    use crate::protocol::http1::start::Kind;

    fn check(kind: Kind, method: Option<&str>, wire: &str, expected: (Framing, bool)) {
        let Progress::Whole { head, .. } = read(kind, wire.as_bytes(), &mut Scan::default()) else {
            panic!("not a head: {wire:?}");
        };
        let found = match kind {
            Kind::Request => of_request(&head),
            Kind::Response => of_response(&head, method.map(str::as_bytes)),
        };
        assert_eq!((found.framing, found.ambiguous), expected, "{wire:?}");
    }

    fn request(fields: &str, expected: (Framing, bool)) {
        check(Kind::Request, None, &format!("POST / HTTP/1.1\r\n{fields}\r\n"), expected);
    }

    #[test]
    fn a_request_has_a_body_only_when_it_says_so() {
        request("", (Framing::None, false));
        request("Content-Length: 7\r\n", (Framing::Length(7), false));
        request("content-length:0007\r\n", (Framing::Length(7), false));
        request("Transfer-Encoding: gzip, Chunked\r\n", (Framing::Chunked, false));
        request("Transfer-Encoding: chunked\0\r\n", (Framing::Chunked, false));
        request("Transfer-Encoding:\r\n\tchunked\r\n", (Framing::Chunked, false));
    }

    #[test]
    fn lengths_that_disagree_are_ambiguous_and_the_first_wins() {
        request("Content-Length: 7\r\nContent-Length: 7\r\n", (Framing::Length(7), false));
        request("Content-Length: 7, 8\r\n", (Framing::Length(7), true));
        request("Content-Length: 7\r\nContent-Length: 9\r\n", (Framing::Length(7), true));
        request("Content-Length: -7\r\n", (Framing::None, true));
        request("Content-Length: +7\r\n", (Framing::None, true));
        request("Content-Length: 9223372036854775808\r\n", (Framing::None, true));
        request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", (Framing::Chunked, true));
        request("Content-Length: 3\r\nTransfer-Encoding: x\r\n", (Framing::Length(3), true));
    }

    #[test]
    fn some_answers_never_have_a_body() {
        let none = (Framing::None, false);
        let sized = |status| format!("HTTP/1.1 {status} \r\nContent-Length: 5\r\n\r\n");
        check(Kind::Response, Some("HEAD"), &sized(200), none);
        check(Kind::Response, Some("CONNECT"), &sized(200), none);
        for status in [100, 101, 199, 204, 304] {
            check(Kind::Response, Some("GET"), &sized(status), none);
        }
        check(Kind::Response, Some("GET"), &sized(520), (Framing::Length(5), false));
        check(Kind::Response, Some("CONNECT"), &sized(407), (Framing::Length(5), false));
        check(Kind::Response, None, "HTTP/1.0 200\r\n\r\n", (Framing::UntilClose, false));
    }
}
