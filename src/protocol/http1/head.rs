//! Heads of messages as they are in the wild: read without judging, byte for byte.
//!
//! The reader takes what servers and clients really accept (bare line feeds, blank lines in
//! front, any method, blanks inside the target, folded lines, no version) and says what was odd.
//! It never copies: a head is a view of the bytes it was read from.

use memchr::{memchr_iter, memmem};

use crate::protocol::http1::names::{Names, look_at_lines};
use crate::protocol::http1::start::{self, Kind, Start, Version, find, is_blank, is_token};

/// Longest head, in bytes, blank lines in front of it included. Servers refuse heads beyond 8 to
/// 64 KiB; a stream that never ends its head must not hold the reader for ever.
pub const MAX_HEAD: usize = 256 * 1024;

/// Longest name of a header line that makes a request line without version have header lines.
const MAX_NAME: usize = 256;

/// A whole head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The head exactly as on the wire, its empty line included, without blank lines in front.
    pub bytes: &'a [u8],
    /// Its first line.
    pub start: Start<'a>,
    /// It has something that no server should accept: no version, odd line ends, bad lines.
    pub malformed: bool,
    fields: &'a [u8],
    names: Names,
}

/// A header line; a folded one counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, without blanks around it.
    pub name: &'a [u8],
    /// The value, without blanks around it; the line ends of folds are still inside.
    pub value: &'a [u8],
}

/// What the bytes at hand amount to.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The head is not whole yet.
    Partial,
    /// A head; the message's body begins after `consumed` bytes.
    Whole {
        /// The head.
        head: Head<'a>,
        /// Its length and that of blank lines in front of it.
        consumed: usize,
    },
    /// These bytes do not begin a message.
    NotHttp,
    /// A head longer than [`MAX_HEAD`].
    TooLong,
}

/// How far earlier calls of [`read`] have looked into the same bytes, so that a head arriving byte
/// by byte is not read again and again. Start a message with the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// The line feed of the start line, once that line is known to be one.
    line_end: Option<usize>,
    /// Bytes in which neither the wanted line feed nor the empty line ends.
    seen: usize,
}

/// Reads the head at the front of `bytes`.
pub fn read<'a>(kind: Kind, bytes: &'a [u8], scan: &mut Scan) -> Progress<'a> {
    let blank = blank_lines(bytes);
    let message = &bytes[blank..];
    match head_end(kind, message, scan) {
        End::At { end, start, line_end } if end <= MAX_HEAD => Progress::Whole {
            head: head_of(&message[..end], start, line_end),
            consumed: blank + end,
        },
        End::At { .. } => Progress::TooLong,
        End::NotHttp => Progress::NotHttp,
        End::NotYet if bytes.len() > MAX_HEAD => Progress::TooLong,
        End::NotYet => Progress::Partial,
    }
}

/// Reads what there is of a head that will never be whole: the capture was cut, or bytes are
/// missing behind it, or nothing but a request line without version was sent. Takes all of
/// `bytes`; `None` when not even the start line is certain.
pub fn salvage(kind: Kind, bytes: &[u8]) -> Option<Head<'_>> {
    let message = &bytes[blank_lines(bytes)..];
    let line_end = find(b'\n', message, 0);
    let start = start::parse(kind, &message[..line_end.unwrap_or(message.len())])?;
    let certain = match start {
        Start::Request { version, .. } => version != Version::Http09 || line_end.is_some(),
        Start::Response { status, .. } => status != 0,
    };
    let line_end = line_end.unwrap_or(message.len().saturating_sub(1));
    certain.then(|| head_of(message, start, line_end))
}

impl<'a> Head<'a> {
    /// The header lines, in order. Lines without a colon are left out.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.fields }
    }

    /// The values of all header lines of that name, in order, whatever the case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let rest = match self.names.span(name) {
            Some((from, to)) => self.bytes.get(from..to).unwrap_or_default(),
            None => self.fields,
        };
        Fields { rest }
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    /// The version of the message.
    pub fn version(&self) -> Version {
        match self.start {
            Start::Request { version, .. } | Start::Response { version, .. } => version,
        }
    }
}

/// An iterator over header lines.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while !self.rest.is_empty() {
            let mut end = find(b'\n', self.rest, 0).map_or(self.rest.len(), |at| at + 1);
            while self.rest.get(end).is_some_and(|byte| is_blank(*byte)) {
                end = find(b'\n', self.rest, end).map_or(self.rest.len(), |at| at + 1);
            }
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest;
            if let Some(colon) = find(b':', line, 0) {
                let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
                return Some(Field { name, value });
            }
        }
        None
    }
}

enum End<'a> {
    At { end: usize, start: Start<'a>, line_end: usize },
    NotYet,
    NotHttp,
}

/// The position behind the empty line that ends the head, and its first line.
fn head_end<'a>(kind: Kind, message: &'a [u8], scan: &mut Scan) -> End<'a> {
    let is_known = scan.line_end.is_some();
    let Some(line_end) = scan.line_end.or_else(|| find(b'\n', message, scan.seen)) else {
        if start::could_become(kind, message) {
            scan.seen = message.len();
            return End::NotYet;
        }
        return End::NotHttp;
    };
    let line = message.get(..line_end).unwrap_or_default();
    if is_known {
        // The first line is read again once the head is whole, and not with each piece of it.
        let parsed = |end| start::parse(kind, line).map(|start| End::At { end, start, line_end });
        return empty_line(message, scan)
            .map_or(End::NotYet, |end| parsed(end).unwrap_or(End::NotHttp));
    }
    let Some(start) = start::parse(kind, line) else {
        return End::NotHttp;
    };
    match after_start(&start, &message[line_end + 1..]) {
        After::Fields => *scan = Scan { line_end: Some(line_end), seen: line_end },
        After::Nothing => return End::At { end: line_end + 1, start, line_end },
        After::Unknown => return End::NotYet,
    }
    empty_line(message, scan).map_or(End::NotYet, |end| End::At { end, start, line_end })
}

/// What follows a start line.
enum After {
    Fields,
    Nothing,
    Unknown,
}

/// A request line without version may stand alone, or have header lines although it should not.
fn after_start(start: &Start<'_>, rest: &[u8]) -> After {
    let Start::Request { version: Version::Http09, .. } = start else {
        return After::Fields;
    };
    let front = &rest[..rest.len().min(MAX_NAME)];
    let line = front.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let ends = line.len() < front.len();
    if find(b':', line, 0).is_some_and(|colon| is_token(&line[..colon])) {
        return After::Fields;
    }
    match line.trim_ascii().is_empty() {
        true if ends => After::Fields,
        _ if ends || front.len() == MAX_NAME => After::Nothing,
        _ => After::Unknown,
    }
}

/// Most carriage returns of an empty line: with every byte that arrives they are looked at again.
const MAX_RETURNS: usize = 64;

/// The position behind the empty line: a line feed behind another one, or with nothing but
/// carriage returns between them.
fn empty_line(message: &[u8], scan: &mut Scan) -> Option<usize> {
    let from = scan.seen;
    for feed in memchr_iter(b'\n', message.get(from..)?) {
        let feed = from + feed;
        let rest = &message[feed + 1..];
        let returns = rest.iter().take(MAX_RETURNS).take_while(|byte| **byte == b'\r').count();
        match rest.get(returns) {
            Some(b'\n') => return Some(feed + returns + 2),
            Some(_) => {}
            // The empty line may be cut right here: look at this line feed again.
            None => {
                scan.seen = feed;
                return None;
            }
        }
    }
    scan.seen = message.len();
    None
}

fn head_of<'a>(bytes: &'a [u8], start: Start<'a>, line_end: usize) -> Head<'a> {
    let fields = bytes.get(line_end + 1..).unwrap_or_default();
    let (odd, names) = look_at_lines(bytes);
    Head { bytes, start, malformed: odd || is_start_odd(bytes, &start), fields, names }
}

fn is_start_odd(bytes: &[u8], start: &Start<'_>) -> bool {
    match start {
        Start::Request { target, version, .. } => {
            let strange = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
            !matches!(version, Version::Http10 | Version::Http11)
                || target.is_empty()
                || target.iter().any(strange)
                || memmem::find(bytes, b"HTTP/").is_none()
        }
        Start::Response { status, version } => {
            *status == 0 || *version == Version::Other || !bytes.starts_with(b"HTTP/")
        }
    }
}

fn blank_lines(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http1::start::MAX_METHOD;

    /// `method|target|version|length of the head|fields`, `!` in front when malformed.
    fn show(kind: Kind, wire: &[u8]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match read(kind, wire, &mut Scan::default()) {
            Progress::Partial => "partial".into(),
            Progress::NotHttp => "not http".into(),
            Progress::TooLong => "too long".into(),
            Progress::Whole { head, consumed } => {
                let start = match head.start {
                    Start::Request { method, target, version } => {
                        format!("{}|{}|{version:?}", text(method), text(target))
                    }
                    Start::Response { version, status } => format!("{status}|{version:?}"),
                };
                let odd = if head.malformed { "!" } else { "" };
                let field = |field: Field| format!("|{}={}", text(field.name), text(field.value));
                let fields: String = head.fields().map(field).collect();
                format!("{odd}{start}|{consumed}{fields}")
            }
        }
    }

    fn request(wire: &str, expected: &str) {
        assert_eq!(show(Kind::Request, wire.as_bytes()), expected, "{wire:?}");
    }

    fn response(wire: &str, expected: &str) {
        assert_eq!(show(Kind::Response, wire.as_bytes()), expected, "{wire:?}");
    }

    #[test]
    fn requests_as_they_should_be() {
        request("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", "GET|/|Http11|27|Host=a");
        request("PURGE /x HTTP/1.0\r\n\r\n", "PURGE|/x|Http10|21");
        request("GET / HTTP/1.1\r\nHost: a\r\n", "partial");
        request("GET / HTTP/1.1\r\nHost: a\r\n\r", "partial");
        request("GE", "partial");
        request("", "partial");
    }

    #[test]
    fn requests_as_they_are() {
        request("\r\n\nGET / HTTP/1.1\n\n", "!GET|/|Http11|19");
        request("GET /a b  c HTTP/1.1\r\n\r\n", "!GET|/a b  c|Http11|24");
        request("get / http/1.1\r\n\r\n", "!get|/|Http11|18");
        request("GET / HTTP/1.1\r\nA : 1\r\nB\r\nC:\n\n", "!GET|/|Http11|30|A=1|C=");
        request("GET / HTTP/1.1\r\nA: 1\r\n\t2\r\n\r\n", "!GET|/|Http11|28|A=1\r\n\t2");
        request("GET / HTTP/1.1\r\nA: \0\r\n\r\n", "!GET|/|Http11|24|A=\0");
        request("GET / HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n", "!GET|/|Http11|29|A=1\rB: 2");
        request("GET / HTTP/1.1\n\r\r\n", "!GET|/|Http11|18");
        request("OPTIONS HTTP/1.1\r\n\r\n", "!OPTIONS||Http11|20");
    }

    #[test]
    fn requests_without_a_version() {
        request("GET /\r\n", "partial");
        request("GET /\r\nHos", "partial");
        request("GET /\r\nHost: a\r\n\r\n", "!GET|/|Http09|18|Host=a");
        request("GET /\r\n\r\n", "!GET|/|Http09|9");
        request("GET /\r\nGET /\r\n", "!GET|/|Http09|7");
        request("GET key\r\n", "not http");
        assert!(salvage(Kind::Request, b"GET /x\r\n").is_some());
        assert!(salvage(Kind::Request, b"GET /x").is_none());
    }

    #[test]
    fn what_is_no_request() {
        request("\x16\x03\x01", "not http");
        request("*3\r\n$3\r\n", "not http");
        request("HTTP/1.1 200 OK\r\n\r\n", "not http");
        request(&"x".repeat(MAX_METHOD + 1), "not http");
        request(&format!("GET /{}", "x".repeat(MAX_HEAD)), "too long");
        request(&format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD)), "too long");
    }

    #[test]
    fn responses() {
        response("HTTP/1.1 200 OK\r\n\r\n", "200|Http11|19");
        response("HTTP/1.1 520\r\n\r\n", "520|Http11|16");
        response("http/1.1 499 \n\n", "!499|Http11|15");
        response("HTTP/1.1 200\rA:b\r\n\r\n", "!200|Http11|20");
        response("HTTP/1.1 0200\r\n\r\n", "!0|Http11|17");
        response("HTTP/1.1 2XX ?\r\n\r\n", "!0|Http11|18");
        response("HTTP/2.0 200\r\n\r\n", "!200|Other|16");
        response("HTT", "partial");
        response("<html>", "not http");
        assert!(salvage(Kind::Response, b"HTTP/1.0 200 OK").is_some());
        assert!(salvage(Kind::Response, b"HTTP/1.0 20").is_none());
    }

    #[test]
    fn ten_thousand_headers_arriving_byte_by_byte() {
        let wire = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(10_000));
        let mut scan = Scan::default();
        for length in (wire.len() - 99)..wire.len() {
            let progress = read(Kind::Request, &wire.as_bytes()[..length], &mut scan);
            assert!(matches!(progress, Progress::Partial));
        }
        assert!(scan.seen >= wire.len() - 3, "earlier bytes are not looked at again");
        let Progress::Whole { head, .. } = read(Kind::Request, wire.as_bytes(), &mut scan) else {
            panic!("the head is whole");
        };
        assert_eq!((head.bytes.len(), head.fields().count()), (wire.len(), 10_000));
        assert!(!head.malformed);
    }
}
