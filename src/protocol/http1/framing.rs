//! How the body behind a head is delimited (RFC 9112, section 6.3), with one policy for heads
//! that contradict themselves.
//!
//! The policy: of several lengths the first wins; a length that is no number counts as absent.
//! Whether a body is chunked may be in doubt: `chunked` stands beside a length, or in a message
//! before HTTP/1.1, or in front of another coding (`identity`, too), or is part of the name of one,
//! or stands behind a lone carriage return in the start line. Then the first line of the body
//! decides: a chunk size means chunks, anything else means the length, or else what holds without
//! one. Each of these is reported as ambiguous, because two servers may read such a message
//! differently.

use memchr::memchr;

use crate::protocol::http1::body::Framing;
use crate::protocol::http1::head::Head;
use crate::protocol::http1::start::{Start, Version, is_blank};

/// The framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimited {
    /// Where the body ends.
    pub framing: Framing,
    /// The framing where the body does not begin with a chunk size; `None` where that does not
    /// matter. `framing` is chunked where this is `Some`.
    pub otherwise: Option<Framing>,
    /// Other readers may find another end.
    pub ambiguous: bool,
}

/// Longest front of a body in which a chunk size is looked for, in bytes: more digits than any size
/// has, and some blanks.
pub const MAX_SIZE_FRONT: usize = 64;

/// Whether the front of a body is a line with a chunk size; `None` while it may still become one,
/// which it cannot beyond [`MAX_SIZE_FRONT`] bytes.
pub fn begins_with_size(front: &[u8]) -> Option<bool> {
    let word = &front[front.iter().take_while(|byte| is_blank(**byte)).count()..];
    let digits = word.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = &word[digits..];
    let behind = &behind[behind.iter().take_while(|byte| is_blank(**byte)).count()..];
    if digits > 0 && !is_size(&word[..digits]) {
        return Some(false);
    }
    match behind {
        [] | [b'\r'] if word.is_empty() || digits > 0 => {
            (front.len() >= MAX_SIZE_FRONT).then_some(false)
        }
        [b'\n' | b';', ..] | [b'\r', b'\n', ..] => Some(digits > 0),
        _ => Some(false),
    }
}

/// A hexadecimal number below 2^63, which is all that a chunk can have.
fn is_size(digits: &[u8]) -> bool {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    match &digits[zeros..] {
        [first, rest @ ..] => rest.len() < 15 || rest.len() == 15 && (b'1'..=b'7').contains(first),
        [] => true,
    }
}

/// The framing of the body behind a request's head.
pub fn of_request(head: &Head<'_>) -> Delimited {
    declared(head, Framing::None)
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
        return Delimited { framing: Framing::None, otherwise: None, ambiguous: false };
    }
    declared(head, Framing::UntilClose)
}

/// What the header lines say, and whether they agree; `silent` holds where they say nothing.
fn declared(head: &Head<'_>, silent: Framing) -> Delimited {
    let (length, lengths_differ) = content_length(head);
    let by_length = length.map_or(silent, Framing::Length);
    let chunked_or =
        |otherwise, ambiguous| Delimited { framing: Framing::Chunked, otherwise, ambiguous };
    match transfer_encoding(head) {
        // A length that cannot be read is one as well.
        Coding::Chunked
            if head.version() == Version::Http11
                && head.values("content-length").next().is_none() =>
        {
            chunked_or(None, false)
        }
        Coding::Chunked | Coding::Doubtful => chunked_or(Some(by_length), true),
        Coding::Absent => {
            Delimited { framing: by_length, otherwise: None, ambiguous: lengths_differ }
        }
        // An unknown coding: the length is the best guess there is.
        Coding::Other => Delimited { framing: by_length, otherwise: None, ambiguous: true },
    }
}

enum Coding {
    Absent,
    Chunked,
    /// Some servers may take it for chunked.
    Doubtful,
    Other,
}

fn transfer_encoding(head: &Head<'_>) -> Coding {
    let (mut last, mut was_chunked) = (Coding::Absent, false);
    for value in head.values("transfer-encoding") {
        for coding in value.split(|byte| *byte == b',') {
            let name = trim(coding.split(|byte| *byte == b';').next().unwrap_or_default());
            last = match name {
                b"" => last,
                _ if name.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                _ if name.eq_ignore_ascii_case(b"identity") => Coding::Absent,
                _ if names_chunked(name) => Coding::Doubtful,
                _ => Coding::Other,
            };
            was_chunked |= names_chunked(name);
        }
    }
    match last {
        // Some servers look for the word anywhere, or at the first of the codings.
        Coding::Absent | Coding::Other if was_chunked => Coding::Doubtful,
        Coding::Absent if head.malformed && is_chunked_in_start_line(head) => Coding::Doubtful,
        last => last,
    }
}

/// `chunked` is a part of the bytes.
fn names_chunked(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"chunked";
    bytes.windows(NAME.len()).any(|window| window.eq_ignore_ascii_case(NAME))
}

/// A lone carriage return in the start line, which some take for the end of it, is followed by
/// a header line that says chunked.
fn is_chunked_in_start_line(head: &Head<'_>) -> bool {
    let end = memchr(b'\n', head.bytes).unwrap_or(head.bytes.len());
    let mut parts = head.bytes[..end].split(|byte| *byte == b'\r').skip(1);
    parts.any(|part| {
        let name = part.split(|byte| *byte == b':').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding") && names_chunked(part)
    })
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
        let framing = found.otherwise.unwrap_or(found.framing);
        assert_eq!((framing, found.ambiguous), expected, "{wire:?}");
        let is_in_doubt = found.otherwise.is_some();
        assert!(!is_in_doubt || found.framing == Framing::Chunked && found.ambiguous, "{wire:?}");
        assert_eq!(is_in_doubt, wire.contains("chunked") && found.ambiguous, "{wire:?}");
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
        request("Content-Length: 3\r\nTransfer-Encoding: x\r\n", (Framing::Length(3), true));
    }

    #[test]
    fn where_chunked_is_in_doubt_the_first_line_of_the_body_decides() {
        request("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", (Framing::Length(3), true));
        request("Transfer-Encoding: chunked x\r\n", (Framing::None, true));
        request(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            (Framing::None, true),
        );
        request(
            "Transfer-Encoding: chunked, gzip\r\nContent-Length: 4\r\n",
            (Framing::Length(4), true),
        );
        let response = |wire, framing| check(Kind::Response, Some("GET"), wire, (framing, true));
        response("http/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::UntilClose);
        response("HTTP/1.1 200\r\nTransfer-Encoding: x \r\n chunked\r\n\r\n", Framing::UntilClose);
        response("HTTP/1.1\rTransfer-Encoding:chunked\r\n\r\n", Framing::UntilClose);
    }

    #[test]
    fn the_front_of_a_body_with_a_chunk_size() {
        for (front, expected) in [
            ("", None),
            (" 1f", None),
            ("1f\r", None),
            ("1f\n", Some(true)),
            (" 1F \r\n", Some(true)),
            ("0;", Some(true)),
            ("X5O!P", Some(false)),
            ("\r\n", Some(false)),
            ("bad", None),
            ("bad luck", Some(false)),
            ("d41d8cd98f00b204e9800998ecf8427e\n", Some(false)),
            ("8000000000000000\n", Some(false)),
            ("7fffffffffffffff\n", Some(true)),
            ("00000000000000000001\n", Some(true)),
            ("5\rx", Some(false)),
        ] {
            assert_eq!(begins_with_size(front.as_bytes()), expected, "{front:?}");
        }
        assert_eq!(begins_with_size(&[b'0'; MAX_SIZE_FRONT - 1]), None);
        assert_eq!(begins_with_size(&[b'0'; MAX_SIZE_FRONT]), Some(false));
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
