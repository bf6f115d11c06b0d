//! An entry of a log as an exchange. A log has no bytes of the wire: the head is made from what
//! the line says, and marked as made.

use std::borrow::Cow;
use std::time::Duration;

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::capture::access_log::entry::{Entry, Miss, Moment};
use crate::capture::access_log::text::is_token;
use crate::capture::line::text;
use crate::protocol::Protocol;
use crate::recording::route::route_of;
use crate::recording::{Exchange, Flags, Response};

/// The host of a request whose line names none; it is never one to keep away from.
pub const UNNAMED_HOST: &str = "host-not-logged.invalid";

/// Latest moment that is taken, in nanoseconds since the epoch: the year 2200.
const LATEST_NS: i64 = 7_258_118_400_000_000_000;

/// What is worth counting about a line that became an exchange.
#[expect(clippy::struct_excessive_bools, reason = "each is counted on its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The format has no method; it is taken for GET.
    pub method_assumed: bool,
    /// The line's time is the arrival or the end, and nothing tells which.
    pub moment_unknown: bool,
    /// It is stamped with the end, and has no duration that leads back to the arrival.
    pub uncorrected: bool,
    /// It had a body that the log does not hold.
    pub body_unknown: bool,
    /// Step of the arrival's clock, in nanoseconds.
    pub step_ns: u64,
}

/// Makes an exchange of an entry. `line` is a number that no other line of the import has.
///
/// Until connections are told apart in the order of time, `at` is since the Unix epoch,
/// `connection` is 0, and `seq` tells which exchanges came on the same connection: 0 where that is
/// not known.
pub fn exchange(entry: &Entry<'_>, line: u64) -> Result<(Exchange, Remarks), Miss> {
    let mut remarks = Remarks::default();
    let at = arrival(entry, line, &mut remarks)?;
    let method = if entry.method.is_empty() {
        remarks.method_assumed = true;
        Cow::Borrowed(&b"GET"[..])
    } else {
        Cow::Borrowed(&entry.method[..])
    };
    let mut flags = Flags::SYNTHESISED;
    let body_bytes = entry.received.unwrap_or(0);
    let may_have_body = matches!(&method[..], b"POST" | b"PUT" | b"PATCH");
    if body_bytes > 0 || may_have_body && entry.received.is_none() {
        remarks.body_unknown = true;
        flags.insert(Flags::REQUEST_TRUNCATED);
    }
    if entry.is_versionless || !is_token(&method) || !is_word(&entry.target) {
        flags.insert(Flags::MALFORMED);
    }
    if entry.status == Some(101) || method[..] == *b"CONNECT" {
        flags.insert(Flags::UPGRADED);
    }
    let authority = if is_word(&entry.authority) { &entry.authority[..] } else { b"" };
    let (method, method_escaped) = text(&method);
    let (target, target_escaped) = text(&entry.target);
    let (authority, authority_escaped) = text(authority);
    if method_escaped || target_escaped || authority_escaped {
        flags.insert(Flags::ESCAPED);
    }
    let authority = if authority.is_empty() { UNNAMED_HOST.to_owned() } else { authority };
    let head = head(entry, method.as_bytes(), authority.as_bytes());
    let exchange = Exchange {
        at,
        connection: 0,
        session: session(entry),
        seq: same_connection(entry),
        stream: None,
        protocol: Protocol::Http1,
        method,
        scheme: if entry.scheme.eq_ignore_ascii_case(b"https") { "https" } else { "http" }.into(),
        authority,
        route: route_of(&target),
        target,
        request_head: head,
        request_body: Bytes::new(),
        request_body_bytes: body_bytes,
        request_stored: None,
        request_chunks: None,
        response: entry.status.map(|status| Response {
            status,
            head: Bytes::new(),
            body_bytes: entry.sent,
            digest: None,
            shape: None,
            first_byte: None,
            last_byte: entry.duration.map(|duration| Duration::from_nanos(duration.ns)),
        }),
        flags,
    };
    Ok((exchange, remarks))
}

/// When the request arrived: the duration before its end, and somewhere within the step of the
/// clock that its line was stamped with.
fn arrival(entry: &Entry<'_>, line: u64, remarks: &mut Remarks) -> Result<Duration, Miss> {
    let mut at = entry.time.ns;
    let mut step = entry.time.step_ns;
    match (entry.moment, entry.duration) {
        (Moment::End, Some(duration)) => {
            at = at.saturating_sub(i64::try_from(duration.ns).unwrap_or(i64::MAX));
            step = step.max(duration.step_ns);
        }
        (Moment::End, None) => remarks.uncorrected = true,
        (Moment::Unknown, _) => remarks.moment_unknown = true,
        (Moment::Start, _) => {}
    }
    remarks.step_ns = step.max(1);
    if !(0..LATEST_NS).contains(&at) || entry.duration.is_some_and(|taken| taken.ns > MAX_TAKEN) {
        return Err(Miss::NotUnderstood("its time is out of range"));
    }
    let within = mixed(line) % step.max(1);
    Ok(Duration::from_nanos(at.unsigned_abs() + within))
}

/// Longest duration that is taken: a year.
const MAX_TAKEN: u64 = 366 * 86_400 * 1_000_000_000;

/// A number as good as random, the same for the same line in every import (`SplitMix64`).
fn mixed(line: u64) -> u64 {
    let mut bits = line.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A client is its address and its program.
fn session(entry: &Entry<'_>) -> u64 {
    let of = [b"client ", &entry.client[..], b"\n", &entry.agent[..]];
    fnv1a(of.into_iter().flatten().copied())
}

/// 31 bits of a hash of what the line says about its connection; 0 where it says nothing.
fn same_connection(entry: &Entry<'_>) -> u32 {
    if entry.connection.is_empty() {
        return 0;
    }
    u32::try_from(fnv1a(entry.connection.iter().copied()) >> 33).unwrap_or(0).max(1)
}

fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && !text.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)
}

/// The request line, `Host`, `User-Agent` and `Referer`, and how long the body was.
fn head(entry: &Entry<'_>, method: &[u8], authority: &[u8]) -> Bytes {
    let mut head = Vec::with_capacity(128 + entry.target.len() + entry.agent.len());
    head.extend_from_slice(method);
    head.push(b' ');
    // A line end would smuggle in a header.
    for byte in entry.target.iter() {
        match byte {
            0..b' ' | 0x7f => head.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            _ => head.push(*byte),
        }
    }
    if entry.is_versionless {
        head.extend_from_slice(b"\r\n");
        return Bytes::from(head);
    }
    let is_old = entry.version[..] == *b"HTTP/1.0";
    head.extend_from_slice(if is_old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let mut header = |name: &[u8], value: &[u8]| {
        let breaks = value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f);
        if !value.is_empty() && !breaks {
            for part in [name, b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
    };
    header(b"Host", authority);
    header(b"User-Agent", &entry.agent);
    header(b"Referer", &entry.referer);
    if let Some(bytes) = entry.received.filter(|bytes| *bytes > 0) {
        header(b"Content-Length", bytes.to_string().as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}
