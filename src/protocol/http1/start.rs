//! The first line of a message, as it is in the wild.

use memchr::memchr;

/// Longest method, in bytes: enough for every registered one, and a bound on how long bytes
/// without a blank are taken for the beginning of a request.
pub const MAX_METHOD: usize = 256;

/// A version as the start line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No version at all: HTTP/0.9, with or without header lines.
    Http09,
    /// `HTTP/1.0`, in any case.
    Http10,
    /// `HTTP/1.1`, in any case.
    Http11,
    /// Any other number.
    Other,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request line.
    Request {
        /// The method, any token.
        method: &'a [u8],
        /// Everything between the method and the version, blanks included.
        target: &'a [u8],
        /// The version.
        version: Version,
    },
    /// A status line.
    Response {
        /// The version.
        version: Version,
        /// Three digits, or 0 where there were none.
        status: u16,
    },
}

/// Which kind of message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Begins with a request line.
    Request,
    /// Begins with a status line.
    Response,
}

/// The head of a request asks for another protocol: only then may a target switch to one.
pub fn asks_to_upgrade(head: &[u8]) -> bool {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.any(|line| line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"upgrade:")))
}

/// The bytes, at the start of a segment, certainly begin a message: the mark to resume at behind
/// missing bytes. A request must show its version, or a usual method whose line is cut here.
pub fn is_certain_start(kind: Kind, bytes: &[u8]) -> bool {
    let line_end = find(b'\n', bytes, 0);
    match parse(kind, &bytes[..line_end.unwrap_or(bytes.len())]) {
        Some(Start::Request { version, target, .. }) if version != Version::Http09 => {
            !target.is_empty()
        }
        Some(Start::Request { method, target, .. }) => {
            line_end.is_none() && is_usual(method) && is_target(target)
        }
        Some(Start::Response { status, .. }) => status != 0,
        None => false,
    }
}

/// The bytes of a first line that is not whole yet could become a start line.
pub(super) fn could_become(kind: Kind, bytes: &[u8]) -> bool {
    match kind {
        Kind::Response => {
            let length = bytes.len().min(5);
            bytes[..length].eq_ignore_ascii_case(&b"HTTP/"[..length])
        }
        Kind::Request => {
            let front = &bytes[..bytes.len().min(MAX_METHOD + 2)];
            let method = front.split(|byte| is_blank(*byte)).next().unwrap_or_default();
            let method = method.strip_suffix(b"\r").unwrap_or(method);
            bytes.is_empty() || method.len() <= MAX_METHOD && is_token(method)
        }
    }
}

pub(super) fn parse(kind: Kind, line: &[u8]) -> Option<Start<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match kind {
        Kind::Request => request_line(line),
        Kind::Response => status_line(line),
    }
}

fn request_line(line: &[u8]) -> Option<Start<'_>> {
    let method_end = line.iter().position(|byte| is_blank(*byte))?;
    let (method, rest) = (&line[..method_end], line[method_end..].trim_ascii());
    if method.len() > MAX_METHOD || !is_token(method) {
        return None;
    }
    let last = rest.iter().rposition(|byte| is_blank(*byte)).map_or(0, |at| at + 1);
    if let Some(version) = version_of(&rest[last..]) {
        return Some(Start::Request { method, target: rest[..last].trim_ascii(), version });
    }
    let plain = !rest.iter().any(u8::is_ascii_control);
    (is_usual(method) && is_target(rest) && plain).then_some(Start::Request {
        method,
        target: rest,
        version: Version::Http09,
    })
}

fn status_line(line: &[u8]) -> Option<Start<'_>> {
    let mut words = line.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
    let version = version_of(words.next()?)?;
    let word = words.next().unwrap_or_default();
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // A control character behind the digits ends them as well as a blank.
    let is_ended = word.get(digits).is_none_or(u8::is_ascii_control);
    let status = if digits == 3 && is_ended {
        word[..3].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    } else {
        0
    };
    Some(Start::Response { version, status })
}

fn version_of(word: &[u8]) -> Option<Version> {
    let (name, number) = word.split_at_checked(5)?;
    if !name.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    match number {
        b"1.1" => Some(Version::Http11),
        b"1.0" => Some(Version::Http10),
        [first, ..] if first.is_ascii_digit() => Some(Version::Other),
        _ => None,
    }
}

/// Methods that are certain even where no version follows.
fn is_usual(method: &[u8]) -> bool {
    const USUAL: [&[u8]; 9] =
        [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"];
    USUAL.contains(&method)
}

/// A target that cannot be an argument of another protocol's command, such as a cache key.
fn is_target(bytes: &[u8]) -> bool {
    bytes.starts_with(b"/") || bytes.windows(3).any(|window| window == b"://")
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// How many bytes at the front could be a token.
pub(super) fn token_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| TOKEN[usize::from(**byte)]).count()
}

/// Which bytes a token may have. A table, since each name of each header line is looked at.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

pub(super) fn find(wanted: u8, bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr(wanted, bytes.get(from..)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_resume_behind_missing_bytes() {
        assert!(is_certain_start(Kind::Request, b"PROPFIND /x HTTP/1.1\r\n"));
        assert!(is_certain_start(Kind::Request, b"GET /a-long-target"));
        assert!(!is_certain_start(Kind::Request, b"GET /x\r\n"));
        assert!(!is_certain_start(Kind::Request, b"and so on"));
        assert!(!is_certain_start(Kind::Request, b"more HTTP/1.1\r\n"));
        assert!(is_certain_start(Kind::Response, b"HTTP/1.1 304 Not"));
        assert!(!is_certain_start(Kind::Response, b"HTTP/1.1"));
    }
}
