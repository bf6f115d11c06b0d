//! One line: its fields, their defaults, and what is wrong with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;

use crate::protocol::Protocol;
use crate::recording::contents::MAX_SHAPE;
use crate::recording::jsonl::blob::Blob;
use crate::recording::route::route_for;
use crate::recording::{Exchange, Flags, Response};

/// The fields of a line; those that are `None` are left out.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    at_ns: u64,
    /// By default the number of the line: each request on a connection of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<u64>,
    /// By default the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    /// By default one more than the largest so far on the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<u32>,
    #[serde(default = "http1")]
    protocol: Protocol,
    method: String,
    #[serde(default = "http")]
    scheme: String,
    authority: String,
    target: String,
    /// By default the target without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// By default the request line, `Host`, and `Content-Length` where there is a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_head: Option<Blob>,
    #[serde(default)]
    request_body: Blob,
    /// By default the length of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body_bytes: Option<u64>,
    /// What stood around the bytes of a chunked body: it is sent as one chunk otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_chunks: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_head: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_digest: Option<String>,
    /// The fields of a JSON body with their types, a line each.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_shape: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_byte_ns: Option<u64>,
    /// The connection resumed an earlier session of TLS, or did not; any of its lines may say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_resumed: Option<bool>,
    #[serde(default)]
    flags: u32,
}

fn http1() -> Protocol {
    Protocol::Http1
}

fn http() -> String {
    "http".to_owned()
}

/// Latest moment accepted, in nanoseconds: thirty years. Anything later is a wall clock.
const AT_NS_MAX: u64 = 1_000_000_000_000_000_000;

/// Where the numbers of connections come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    Given,
    ByLine,
}

/// A line that could not be used. Its text never shows a value, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Where in the line, from 1; 0 where the line as a whole is meant.
    pub column: usize,
    /// What is wrong, naming the field.
    pub problem: String,
}

impl BadLine {
    pub(crate) fn new(line: u64, problem: String) -> Self {
        Self { line, column: 0, problem }
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, problem } = self;
        match column {
            0 => write!(formatter, "{line}: {problem}"),
            _ => write!(formatter, "{line}, column {column}: {problem}"),
        }
    }
}

impl Line {
    /// The line that says everything about an exchange.
    pub(crate) fn of(exchange: &Exchange) -> Result<Self, &'static str> {
        let nanos = |at: Duration| u64::try_from(at.as_nanos()).map_err(|_| "a time is too large");
        let response = exchange.response.as_ref();
        let first_byte = response.and_then(|response| response.first_byte);
        let last_byte = response.and_then(|response| response.last_byte);
        let digest = response.and_then(|response| response.digest);
        let shape = response.and_then(|response| response.shape.as_ref());
        Ok(Self {
            at_ns: nanos(exchange.at)?,
            connection: Some(exchange.connection),
            session: Some(exchange.session),
            seq: Some(exchange.seq),
            stream: exchange.stream,
            protocol: exchange.protocol,
            method: exchange.method.clone(),
            scheme: exchange.scheme.clone(),
            authority: exchange.authority.clone(),
            target: exchange.target.clone(),
            route: Some(exchange.route.clone()),
            request_head: Some(Blob(exchange.request_head.clone())),
            request_body: Blob(exchange.request_body.clone()),
            request_body_bytes: Some(exchange.request_body_bytes),
            request_chunks: exchange.request_chunks.clone().map(Blob),
            status: response.map(|response| response.status),
            response_head: response.map(|response| Blob(response.head.clone())),
            response_body_bytes: response.and_then(|response| response.body_bytes),
            response_digest: digest.map(|digest| format!("{:032x}", u128::from_be_bytes(digest))),
            response_shape: shape.map(ToString::to_string),
            first_byte_ns: first_byte.map(nanos).transpose()?,
            last_byte_ns: last_byte.map(nanos).transpose()?,
            tls_resumed: None,
            flags: exchange.flags.0,
        })
    }

    pub(crate) fn parse(number: u64, text: &[u8]) -> Result<Self, BadLine> {
        serde_json::from_slice(text).map_err(|error| BadLine {
            line: number,
            column: error.column(),
            problem: without_values(&error.to_string()),
        })
    }

    pub(crate) fn numbering(&self) -> Numbering {
        if self.connection.is_some() { Numbering::Given } else { Numbering::ByLine }
    }

    /// The exchange of line `number`, at `position` of its connection unless it says otherwise.
    pub(crate) fn exchange(self, number: u64, position: u32) -> Result<Exchange, BadLine> {
        let bad = |problem: &str| BadLine::new(number, problem.to_owned());
        if self.at_ns >= AT_NS_MAX {
            return Err(bad("`at_ns` is a wall clock: subtract the recording's start"));
        }
        let request_head = match &self.request_head {
            Some(head) => head.0.clone(),
            None => self.plain_head().map_err(bad)?,
        };
        let body_bytes = self.request_body.0.len() as u64;
        let request_body_bytes = self.request_body_bytes.unwrap_or(body_bytes);
        if request_body_bytes < body_bytes {
            return Err(bad("`request_body_bytes` is less than `request_body` has"));
        }
        let response = self.response().map_err(bad)?;
        let connection = self.connection.unwrap_or(number);
        let route = self.route.unwrap_or_else(|| route_for(self.protocol, &self.target));
        Ok(Exchange {
            at: Duration::from_nanos(self.at_ns),
            connection,
            session: self.session.unwrap_or(connection),
            seq: self.seq.unwrap_or(position),
            stream: self.stream,
            protocol: self.protocol,
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            target: self.target,
            route,
            request_head,
            request_body: self.request_body.0,
            request_stored: None,
            request_body_bytes,
            request_chunks: self.request_chunks.map(|chunks| chunks.0),
            response,
            flags: Flags(self.flags),
        })
    }

    /// A head that says no more than the line does. A blank in one of its parts would change what
    /// it says, a line end smuggle in another header.
    fn plain_head(&self) -> Result<Bytes, &'static str> {
        let Self { method, target, authority, .. } = self;
        let splits = |part: &str| part.contains(|c: char| c.is_whitespace() || c.is_control());
        if method.is_empty() || splits(method) {
            return Err("`method` is no single word, and there is no `request_head`");
        }
        if target.is_empty() || splits(target) {
            return Err("`target` is no single word, and there is no `request_head`");
        }
        if splits(authority) {
            return Err("`authority` has a blank, and there is no `request_head`");
        }
        let length = match self.request_body_bytes.unwrap_or(self.request_body.0.len() as u64) {
            0 => String::new(),
            bytes => format!("Content-Length: {bytes}\r\n"),
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n{length}\r\n");
        Ok(head.into())
    }

    fn response(&self) -> Result<Option<Response>, &'static str> {
        let Some(status) = self.status else {
            let parts = self.response_head.is_some()
                || self.response_body_bytes.is_some()
                || self.response_digest.is_some()
                || self.response_shape.is_some()
                || self.first_byte_ns.is_some()
                || self.last_byte_ns.is_some();
            return if parts { Err("there is a response without `status`") } else { Ok(None) };
        };
        Ok(Some(Response {
            status,
            head: self.response_head.clone().unwrap_or_default().0,
            body_bytes: self.response_body_bytes,
            digest: self.response_digest.as_deref().map(parse_digest).transpose()?,
            shape: self.response_shape.as_deref().map(parse_shape).transpose()?,
            first_byte: self.first_byte_ns.map(Duration::from_nanos),
            last_byte: self.last_byte_ns.map(Duration::from_nanos),
        }))
    }
}

fn parse_shape(text: &str) -> Result<Arc<str>, &'static str> {
    let fits = text.len() <= MAX_SHAPE;
    if fits { Ok(text.into()) } else { Err("`response_shape` is longer than 4 KiB") }
}

fn parse_digest(text: &str) -> Result<[u8; 16], &'static str> {
    let hexadecimal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| hexadecimal);
    let problem = "`response_digest` has not 32 hexadecimal digits";
    number.map(u128::to_be_bytes).ok_or(problem)
}

/// What the parser says, without the value that it quotes and without the position, which is told
/// apart. Names of fields stay.
fn without_values(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(problem, _)| problem);
    let kinds = ["invalid type", "invalid value", "invalid length", "unknown variant"];
    let kind = kinds.into_iter().find(|kind| message.starts_with(kind));
    let expected = message.rsplit_once(", expected ").map_or("", |(_, expected)| expected);
    let short = match kind {
        Some(kind) => format!("{kind}, expected {expected}"),
        // The parser goes on to list all fields that it knows.
        None => message.split(", expected one of").next().unwrap_or_default().to_owned(),
    };
    short.chars().take(PROBLEM_CHARS).collect()
}

/// Longest problem told: the name of an unknown field is the file's.
const PROBLEM_CHARS: usize = 100;
