//! Heads put together from what a file says of them, and exchanges made of heads.

use std::fmt::Write;
use std::time::Duration;

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::capture::line::line_of;
use crate::protocol::Protocol;
use crate::protocol::http1::head::{MAX_HEAD, Progress, Scan, read};
use crate::protocol::http1::start::Kind;
use crate::recording::file;
use crate::recording::route::route_of;
use crate::recording::{Exchange, Flags, Response};

/// A header line, name and value.
pub(super) type Line = (String, String);

/// The parts of an absolute URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Host and port as written, without user.
    pub(super) authority: String,
    /// Path and query, bytes that no target can have percent-escaped; without the fragment.
    pub(super) target: String,
}

/// The parts of a URL of HTTP or WebSocket; `None` for every other one.
pub(super) fn url_of(text: &str) -> Option<Url> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit('@').next().unwrap_or_default().to_owned();
    let target = target_of(&rest[end..]);
    (!authority.is_empty()).then_some(Url { scheme, authority, target })
}

/// A target that stands in one word of a request line.
pub(super) fn target_of(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let mut target = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        target.push('/');
    }
    for byte in text.bytes() {
        if byte.is_ascii_graphic() {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
    target
}

/// The head of a request: `Host` first, then the lines as they are, `Content-Length` last and by
/// the body that is there. `None` when it would be none.
pub(super) fn request_head(
    start: [&str; 3],
    authority: &str,
    lines: &[Line],
    length: Option<u64>,
) -> Option<Bytes> {
    let [method, target, version] = start;
    let mut head = format!("{method} {target} {version}\r\n");
    let named = |wanted: &str| {
        let is_named = |line: &&Line| line.0.eq_ignore_ascii_case(wanted);
        lines.iter().find(is_named).map(|line| line.1.trim())
    };
    let host = named("host").or_else(|| named(":authority")).filter(|host| !host.is_empty());
    push_line(&mut head, "Host", host.unwrap_or(authority));
    for (name, value) in lines {
        let replaced = ["host", "content-length", "transfer-encoding"];
        if !replaced.iter().any(|replaced| name.eq_ignore_ascii_case(replaced)) {
            push_line(&mut head, name, value);
        }
    }
    if let Some(length) = length {
        push_line(&mut head, "Content-Length", &length.to_string());
    }
    head.push_str("\r\n");
    let whole = read(Kind::Request, head.as_bytes(), &mut Scan::default());
    let is_whole = matches!(whole, Progress::Whole { consumed, .. } if consumed == head.len());
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    (is_whole && is_word(method) && is_word(target)).then(|| head.into())
}

/// The head of a response; one that is too long is left without its header lines.
pub(super) fn response_head(status: u16, reason: &str, lines: &[Line]) -> Bytes {
    let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
    let start = format!("HTTP/1.1 {status:03} {reason}\r\n");
    let mut head = start.clone();
    for (name, value) in lines {
        push_line(&mut head, name, value);
    }
    if head.len() + 2 > MAX_HEAD {
        head = start;
    }
    head.push_str("\r\n");
    head.into()
}

/// Adds a header line, or one for each line of a value: browsers join repeated ones like that.
/// Left out are pseudo headers and what is no header line.
fn push_line(head: &mut String, name: &str, value: &str) {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return;
    }
    for value in value.split(['\r', '\n']) {
        let value: String = value.trim().chars().filter(|c| !c.is_control()).collect();
        let _ = write!(head, "{name}: {value}\r\n");
        if head.len() > MAX_HEAD {
            return;
        }
    }
}

/// An exchange but for the columns that its head tells.
pub(super) struct Draft {
    /// Since the Unix epoch.
    pub(super) at_ns: i64,
    pub(super) connection: (u64, u32),
    pub(super) protocol: Protocol,
    /// Where the head does not tell.
    pub(super) scheme: Option<&'static str>,
    pub(super) head: Bytes,
    pub(super) body: Vec<u8>,
    /// Length of the body on the wire.
    pub(super) body_bytes: u64,
    pub(super) flags: Flags,
    pub(super) response: Option<Response>,
}

impl Draft {
    /// The exchange; `None` when no recording can hold it.
    pub(super) fn exchange(self) -> Option<Exchange> {
        let line = line_of(&self.head);
        let mut flags = self.flags;
        if line.is_escaped {
            flags.insert(Flags::ESCAPED);
        }
        if (self.body.len() as u64) < self.body_bytes {
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        let (connection, seq) = self.connection;
        let exchange = Exchange {
            at: Duration::from_nanos(u64::try_from(self.at_ns).ok()?),
            connection,
            session: line.cookies.unwrap_or_else(|| {
                fnv1a(b"connection ".iter().chain(&connection.to_le_bytes()).copied())
            }),
            seq,
            stream: None,
            protocol: self.protocol,
            method: line.method,
            scheme: self.scheme.map_or(line.scheme, str::to_owned),
            authority: line.authority,
            route: route_of(&line.target),
            target: line.target,
            request_head: self.head,
            request_body: self.body.into(),
            request_body_bytes: self.body_bytes,
            request_stored: None,
            request_chunks: None,
            response: self.response,
            flags,
        };
        file::check(&exchange).is_ok().then_some(exchange)
    }
}
