//! The bytes of a recorded request, for another host. What need not change stays as it was on the
//! wire: order, case and spacing of headers included.

use std::collections::BTreeMap;

use ::bytes::Bytes;

use crate::plan::framing::chunked;
use crate::plan::streamed::Streamed;
use crate::recording::stored::Stored;

/// A request for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Request line and headers, the empty line included.
    pub head: Bytes,
    /// The body with its chunk framing; as it is where the head names a length.
    pub body: Bytes,
    /// The body, where it is on the disk.
    pub streamed: Option<Streamed>,
    /// The body waits for the `100 Continue` that the head asks for.
    pub expects: bool,
}

/// Rewrites a request. `None` when there is no request line, or when the head announces another
/// body than there is: sending it would make the target wait for bytes, or take them for the next
/// request.
///
/// - The value of `Host` becomes `authority`; HTTP/1.1 without one gets one after its first line.
/// - An absolute target's authority becomes `authority`.
/// - `headers` replace the values of headers of the same name where they stand (further ones of
///   that name are dropped), and follow the last header otherwise.
/// - Lines after the empty line are no part of a head, and a missing empty line is added.
/// - A chunked body has the chunks and trailers that were `recorded` with it.
pub fn rewrite(
    head: &[u8],
    (body, recorded): (&Bytes, Option<&[u8]>),
    authority: &str,
    headers: &BTreeMap<String, String>,
) -> Option<Rewritten> {
    let framing = framing(head)?;
    if framing.length.unwrap_or(0) != body.len() as u64 && !framing.chunked {
        return None;
    }
    let head = rewrite_head(head, authority, headers);
    let body = if framing.chunked { chunked(body, recorded) } else { body.clone() };
    let expects = framing.expects && !body.is_empty();
    Some(Rewritten { head, body, streamed: None, expects })
}

/// The same for a body on the disk.
pub(crate) fn rewrite_stored(
    head: &[u8],
    (body, recorded): (&Stored, Option<&[u8]>),
    authority: &str,
    headers: &BTreeMap<String, String>,
) -> Option<Rewritten> {
    let framing = framing(head)?;
    if framing.length.unwrap_or(0) != body.length() && !framing.chunked {
        return None;
    }
    let streamed =
        if framing.chunked { Streamed::chunked(body, recorded) } else { Streamed::of_length(body) };
    let head = rewrite_head(head, authority, headers);
    let expects = framing.expects;
    Some(Rewritten { head, body: Bytes::new(), streamed: Some(streamed), expects })
}

/// Whether the request line begins with this method and a blank: policies are about methods.
pub(crate) fn is_asked_with(head: &[u8], method: &str) -> bool {
    let rest = Lines::new(head).request_line.strip_prefix(method.as_bytes());
    !method.is_empty() && rest.is_some_and(|rest| rest.starts_with(b" "))
}

/// How a head announces its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Framing {
    chunked: bool,
    length: Option<u64>,
    expects: bool,
}

/// `None` when the head contradicts itself, or has no request line.
fn framing(head: &[u8]) -> Option<Framing> {
    let mut framing = Framing::default();
    let lines = Lines::new(head);
    if lines.request_line.is_empty() {
        return None;
    }
    for line in lines.headers() {
        if line.is_named("Transfer-Encoding") {
            let value = line.value.to_ascii_lowercase();
            framing.chunked |= value.windows(7).any(|part| part == b"chunked");
        } else if line.is_named("Content-Length") {
            let value = line.value.trim_ascii();
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let length: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
            if framing.length.is_some_and(|other| other != length) {
                return None;
            }
            framing.length = Some(length);
        } else if line.is_named("Expect") {
            framing.expects |= line.expects_continue();
        }
    }
    (!framing.chunked || framing.length.is_none()).then_some(framing)
}

fn rewrite_head(head: &[u8], authority: &str, headers: &BTreeMap<String, String>) -> Bytes {
    let lines = Lines::new(head);
    let mut out = Vec::with_capacity(head.len() + authority.len() + 64);
    out.extend_from_slice(lines.before);
    push_request_line(&mut out, lines.request_line, authority);
    let end = if lines.request_line.ends_with(b"\n") && !lines.request_line.ends_with(b"\r\n") {
        "\n"
    } else {
        "\r\n"
    };
    let is_http_1_1 = lines.request_line.trim_ascii_end().ends_with(b"HTTP/1.1");
    if is_http_1_1 && !lines.headers().any(|line| line.is_named("Host")) {
        out.extend_from_slice(format!("Host: {authority}{end}").as_bytes());
    }
    let mut set: Vec<&str> = Vec::new();
    for line in lines.headers() {
        if line.is_named("Host") {
            line.push_with_value(&mut out, authority.as_bytes());
        } else if let Some((name, value)) = headers.iter().find(|(name, _)| line.is_named(name)) {
            if !set.contains(&name.as_str()) {
                set.push(name);
                line.push_with_value(&mut out, value.as_bytes());
            }
        } else {
            out.extend_from_slice(line.bytes);
            // Only the last line of a head that was cut can lack its end.
            if !line.bytes.ends_with(b"\n") {
                out.extend_from_slice(end.as_bytes());
            }
        }
    }
    for (name, value) in headers.iter().filter(|(name, _)| !set.contains(&name.as_str())) {
        out.extend_from_slice(format!("{name}: {value}{end}").as_bytes());
    }
    out.extend_from_slice(lines.empty_line.unwrap_or(end.as_bytes()));
    Bytes::from(out)
}

fn push_request_line(out: &mut Vec<u8>, line: &[u8], authority: &str) {
    match absolute_authority(line) {
        Some((start, end)) => {
            out.extend_from_slice(&line[..start]);
            out.extend_from_slice(authority.as_bytes());
            out.extend_from_slice(&line[end..]);
        }
        None => out.extend_from_slice(line),
    }
    if !line.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
}

/// Where the authority of `GET http://authority/path HTTP/1.1` stands in its line.
fn absolute_authority(line: &[u8]) -> Option<(usize, usize)> {
    let method_end = line.iter().position(|byte| *byte == b' ')?;
    let spaces = line[method_end..].iter().take_while(|byte| **byte == b' ').count();
    let target = method_end + spaces;
    // Whatever the scheme: a proxy in front of the target may follow any of them.
    let length = line[target..].windows(3).position(|part| part == b"://")?;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if length == 0 || !line[target..target + length].iter().all(is_scheme) {
        return None;
    }
    let start = target + length + b"://".len();
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b' ' | b'\r' | b'\n');
    let length = line[start..].iter().position(is_end).unwrap_or(line.len() - start);
    Some((start, start + length))
}

/// A head cut into its parts.
#[derive(Clone, Copy, Debug)]
struct Lines<'a> {
    /// Empty lines that a client sent first.
    before: &'a [u8],
    /// The request line with its end.
    request_line: &'a [u8],
    /// The headers with their ends.
    headers: &'a [u8],
    /// The empty line; `None` when the head was cut.
    empty_line: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    fn new(head: &'a [u8]) -> Self {
        let mut at = 0;
        while let Some(line) = next_line(&head[at..]).filter(|line| is_empty_line(line)) {
            at += line.len();
        }
        let (before, rest) = head.split_at(at);
        let (request_line, rest) = rest.split_at(next_line(rest).map_or(0, <[u8]>::len));
        let mut at = 0;
        while let Some(line) = next_line(&rest[at..]).filter(|line| !is_empty_line(line)) {
            at += line.len();
        }
        let (headers, rest) = rest.split_at(at);
        Self { before, request_line, headers, empty_line: next_line(rest) }
    }

    fn headers(self) -> impl Iterator<Item = HeaderLine<'a>> {
        let mut rest = self.headers;
        std::iter::from_fn(move || {
            let mut length = next_line(rest)?.len();
            // A line that begins with a blank continues the one before.
            while let Some(line) = next_line(&rest[length..]) {
                if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                    break;
                }
                length += line.len();
            }
            let (line, left) = rest.split_at(length);
            rest = left;
            Some(HeaderLine::new(line))
        })
    }
}

/// A header line, or what stands in its place.
#[derive(Clone, Copy, Debug)]
struct HeaderLine<'a> {
    /// All of it, its end and its continuations included.
    bytes: &'a [u8],
    /// The name as written, without the colon; empty where there is no colon.
    name: &'a [u8],
    /// From after the colon to before the line's end.
    value: &'a [u8],
}

impl<'a> HeaderLine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let content = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        let (name, value) = content
            .iter()
            .position(|byte| *byte == b':')
            .map_or((&content[..0], content), |colon| (&content[..colon], &content[colon + 1..]));
        Self { bytes, name, value }
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
    }

    fn expects_continue(&self) -> bool {
        self.value.trim_ascii().eq_ignore_ascii_case(b"100-continue")
    }

    /// The line with another value: its name, the blanks before the value and the line's end stay.
    fn push_with_value(&self, out: &mut Vec<u8>, value: &[u8]) {
        let blanks = self.value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        out.extend_from_slice(self.name);
        out.push(b':');
        out.extend_from_slice(&self.value[..blanks]);
        out.extend_from_slice(value);
        let end = self.name.len() + 1 + self.value.len();
        out.extend_from_slice(
            self.bytes.get(end..).filter(|end| !end.is_empty()).unwrap_or(b"\r\n"),
        );
    }
}

/// The next line with its end; `None` at the end.
fn next_line(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    (length > 0).then(|| &bytes[..length])
}

fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n" | b"\r")
}

#[cfg(test)]
mod tests;
