//! Files of `GoReplay`, of all versions since 0.10, as exchanges.
//!
//! The format has no version of its own and has meant different things by its fields; what a pair
//! of records looks like tells which. Latencies are as good as their version knew them:
//!
//! | request | response | first byte | last byte |
//! |---|---|---|---|
//! | `1 id start` | `2 id duration` (0.10 to 0.14) | not known | the duration |
//! | `1 id start` | `2 id start latency` (0.15, 0.16) | not known | the latency |
//! | `1 id start` | `2 id time latency` (1.0, 1.1) | its time | not before latency, nor time |
//! | `1 id first span` | `2 id first span` (1.2 and later) | its time | its time and span |
//!
//! Connections are the clients' ports and addresses in the IDs of 1.3 and later, and the IDs
//! themselves in 1.2; before, and where IDs are random (`--input-http`), each request has a
//! connection of its own. A port that was used twice is one connection.

mod message;
mod pairs;
mod records;

use std::time::Duration;

use crate::capture::CaptureError;
use crate::capture::documents::{ALONE, Documents, Known, Numbers};
use crate::capture::gor::message::{Message, message};
use crate::capture::gor::pairs::Waiting;
use crate::capture::gor::records::{Record, Records};
use crate::capture::gor_header::Header;
use crate::capture::heads::Draft;
use crate::capture::source::Source;
use crate::protocol::Protocol;
use crate::protocol::http1::start::Kind;
use crate::recording::ledger::{Ledger, cut, guess};
use crate::recording::{Exchange, Flags, Response};

pub use crate::capture::gor::pairs::{WAITING_BYTES_MAX, WAITING_MAX};
pub use crate::capture::gor::records::RECORD_BYTES_MAX;

/// Times below are durations, in nanoseconds: eleven days.
const DURATION_MAX: i64 = 1_000_000_000_000_000;

/// Reads files of `GoReplay`; `at` counts from the Unix epoch. The files may be pieces of one, in
/// any order.
pub fn read_gor(
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Exchange),
) -> Result<Documents, CaptureError> {
    let mut import = Import::new(sink);
    for mut source in sources {
        let name = source.name().to_owned();
        import.file(&name, &mut source)?;
        if let Some(damage) = source.note_damage(&mut import.ledger) {
            import.warnings.push(format!("{name}: {damage}"));
        }
    }
    Ok(import.finish())
}

/// A request that waits for its response.
#[derive(Debug)]
struct Sent {
    at_ns: i64,
    /// The request's own span; `None` where there is no fourth field.
    span: Option<i64>,
    id: Vec<u8>,
    message: Message,
}

/// A response, alone until its request comes.
#[derive(Debug)]
struct Answered {
    time: i64,
    latency: Option<i64>,
    message: Message,
}

struct Import<'a> {
    sink: &'a mut dyn FnMut(Exchange),
    ledger: Ledger,
    known: Known,
    numbers: Numbers<[u8; 16]>,
    sent: Waiting<Vec<u8>, Sent>,
    answered: Waiting<Vec<u8>, Answered>,
    ports: Ports,
    warnings: Vec<String>,
}

impl<'a> Import<'a> {
    fn new(sink: &'a mut dyn FnMut(Exchange)) -> Self {
        Self {
            sink,
            ledger: Ledger::default(),
            known: Known::default(),
            numbers: Numbers::new(),
            sent: Waiting::new(),
            answered: Waiting::new(),
            ports: Ports::default(),
            warnings: Vec::new(),
        }
    }

    fn file(&mut self, name: &str, source: &mut Source) -> Result<(), CaptureError> {
        let (mut bad, mut first_bad) = (0_u64, 0);
        let mut records = Records::new(source);
        let mut before: Option<Record> = None;
        loop {
            let record = records.next().map_err(|source| CaptureError::Read {
                name: name.to_owned(),
                offset: before.as_ref().map_or(0, |record| record.offset),
                source,
            })?;
            if let (Some(record), Some(last)) = (&record, &mut before)
                && record.parts().is_none()
                && lacks_bytes(last)
            {
                last.join(record);
                self.ledger.note("separator lines inside of bodies", 1);
                continue;
            }
            if let Some(last) = before.take()
                && !self.record(&last)
            {
                first_bad = if bad == 0 { last.offset } else { first_bad };
                bad += 1;
            }
            before = record;
            if before.is_none() {
                break;
            }
        }
        if bad > 0 {
            self.warnings.push(format!(
                "{name}: {bad} records were not understood; the first is at byte {first_bad}"
            ));
        }
        Ok(())
    }

    /// Counts a record and uses it; false when it is not understood.
    fn record(&mut self, record: &Record) -> bool {
        self.ledger.frames.enter(1);
        let bucket = self.use_record(record);
        self.ledger.frames.end(bucket, 1);
        self.ledger.note(cut::RECORD, u64::from(!record.is_ended));
        bucket != NOT_UNDERSTOOD && bucket != NOT_HTTP
    }

    fn use_record(&mut self, record: &Record) -> &'static str {
        if record.is_too_long {
            return "record too long";
        }
        let Some((header, payload)) = record.parts() else {
            return NOT_UNDERSTOOD;
        };
        match header.kind {
            1 => self.request(&header, payload),
            2 => self.response(&header, payload),
            _ => "response to a replay",
        }
    }

    fn request(&mut self, header: &Header<'_>, payload: &[u8]) -> &'static str {
        let Some(message) = message(Kind::Request, payload) else {
            return NOT_HTTP;
        };
        if header.time < 0 {
            return "request with a wrong time";
        }
        self.ledger.note("bytes behind request bodies", message.behind);
        self.ledger.messages.enter(1);
        self.ports.count(header);
        let id = header.id.to_vec();
        let sent = Sent { at_ns: header.time, span: header.latency, id: id.clone(), message };
        if let Some(answer) = self.answered.take(&id, |answer| !is_before(answer, header.time)) {
            self.pair(sent, Some(answer));
            return "request";
        }
        let bytes = sent.message.head.len() + sent.message.body.len() + id.len();
        for sent in self.sent.put(id, bytes, sent) {
            self.pair(sent, None);
        }
        "request"
    }

    fn response(&mut self, header: &Header<'_>, payload: &[u8]) -> &'static str {
        let Some(message) = message(Kind::Response, payload) else {
            return NOT_HTTP;
        };
        let (time, latency) = in_order(header);
        let id = header.id.to_vec();
        let answer = Answered { time, latency, message };
        if let Some(sent) = self.sent.take(&id, |sent| !is_before(&answer, sent.at_ns)) {
            self.pair(sent, Some(answer));
        } else {
            let bytes = answer.message.head.len() + id.len();
            let gone = self.answered.put(id, bytes, answer).len();
            self.orphans(gone as u64);
        }
        "response"
    }

    fn pair(&mut self, sent: Sent, answer: Option<Answered>) {
        let is_answered = answer.is_some();
        let bucket = if is_answered { "exchange" } else { "request without response" };
        let connection = self.numbers.next(connection_of(&sent));
        self.ledger.note(guess::UNNAMED, u64::from(connection.1 == ALONE));
        let mut flags = sent.message.flags;
        let response = answer.map(|answer| respond(&sent, answer, &mut flags));
        let body_bytes = match sent.message.declared {
            Some(declared) => declared.max(sent.message.here),
            None => sent.message.here,
        };
        if !sent.message.is_whole {
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        let draft = Draft {
            at_ns: sent.at_ns,
            connection,
            protocol: Protocol::Http1,
            scheme: None,
            head: sent.message.head,
            body: sent.message.body,
            body_bytes,
            flags,
            response,
        };
        let bucket = if let Some(exchange) = draft.exchange() {
            self.known.keep(&exchange.authority, None);
            (self.sink)(exchange);
            bucket
        } else {
            "request that no recording can hold"
        };
        self.ledger.messages.end(bucket, 1);
    }

    fn orphans(&mut self, count: u64) {
        self.ledger.messages.enter(count);
        self.ledger.messages.end("response without request", count);
    }

    fn finish(mut self) -> Documents {
        while let Some(sent) = self.sent.oldest() {
            self.pair(sent, None);
        }
        let mut orphans = 0;
        while self.answered.oldest().is_some() {
            orphans += 1;
        }
        self.orphans(orphans);
        let is_random = self.ports.are_random();
        self.ledger.note(guess::RANDOM, u64::from(is_random));
        let servers = self.known.servers(&mut self.ledger);
        Documents {
            ledger: self.ledger,
            servers,
            clock_resolution_ns: 1,
            one_at_a_time: false,
            no_connections: is_random,
            warnings: self.warnings,
        }
    }
}

const NOT_UNDERSTOOD: &str = "record not understood";
const NOT_HTTP: &str = "record of another protocol";

/// The payload ends before its message does: the separator behind it may be one of its lines.
fn lacks_bytes(record: &Record) -> bool {
    let Some((header, payload)) = record.parts() else {
        return false;
    };
    let kind = if header.kind == 1 { Kind::Request } else { Kind::Response };
    record.is_ended && message(kind, payload).is_some_and(|message| !message.is_whole)
}

/// The time before the latency: some versions wrote them the other way round.
fn in_order(header: &Header<'_>) -> (i64, Option<i64>) {
    match header.latency {
        Some(time) if header.time < DURATION_MAX && time >= 1_000 * DURATION_MAX => {
            (time, Some(header.time))
        }
        latency => (header.time, latency),
    }
}

/// The response came before a request of that time; durations say nothing about it.
fn is_before(answer: &Answered, at_ns: i64) -> bool {
    answer.time >= DURATION_MAX && answer.time < at_ns
}

/// The response, and when it came.
fn respond(sent: &Sent, answer: Answered, flags: &mut Flags) -> Response {
    let Message { head, here, is_whole, status, flags: odd, .. } = answer.message;
    let is_head = sent.message.head.starts_with(b"HEAD ");
    let is_whole = is_whole || is_head;
    flags.insert(odd);
    if !is_whole {
        flags.insert(Flags::RESPONSE_TRUNCATED);
    }
    if status == 101 {
        flags.insert(Flags::UPGRADED);
    }
    let (first_byte, last_byte) = moments(sent, answer.time, answer.latency);
    let body_bytes = is_whole.then_some(if is_head { 0 } else { here });
    Response { status, head, body_bytes, digest: None, shape: None, first_byte, last_byte }
}

/// First and last byte of the response since the request's first, by the table above.
fn moments(sent: &Sent, time: i64, latency: Option<i64>) -> (Option<Duration>, Option<Duration>) {
    let length = |ns: i64| u64::try_from(ns).ok().map(Duration::from_nanos);
    let latency = latency.and_then(length);
    if time < DURATION_MAX {
        return (None, length(time));
    }
    let after = length(time.saturating_sub(sent.at_ns));
    if sent.span.is_some() {
        return (after, after.and_then(|after| Some(after + latency?)));
    }
    if time == sent.at_ns && latency.is_some() {
        return (None, latency);
    }
    (after, after.and_then(|after| Some(after.max(latency?))))
}

/// What names the connection of a request.
fn connection_of(sent: &Sent) -> Option<[u8; 16]> {
    if !sent.id.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let front = sent.id.first_chunk::<16>().copied();
    match sent.id.len() {
        // A hash of both addresses, of which the front tells connections apart.
        40 => front.filter(|_| sent.span.is_some()),
        24 if !has_time(&sent.id, sent.at_ns) => front,
        _ => None,
    }
}

/// The ID of a candidate of 1.3.0: its last sixteen digits are the time of the request's end.
fn has_time(id: &[u8], at_ns: i64) -> bool {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let digits = std::str::from_utf8(&id[8..]).unwrap_or_default();
    let time = u64::from_str_radix(digits, 16).unwrap_or(0);
    time.abs_diff(at_ns.unsigned_abs()) < HOUR_NS
}

/// The servers' ports that the IDs of 1.3 and later hold; random ones do not repeat.
#[derive(Debug, Default)]
struct Ports {
    requests: u64,
    seen: std::collections::BTreeSet<[u8; 4]>,
}

impl Ports {
    fn count(&mut self, header: &Header<'_>) {
        if header.id.len() == 24
            && !has_time(header.id, header.time)
            && let Some(port) = header.id[4..].first_chunk::<4>()
        {
            self.requests += 1;
            self.seen.insert(*port);
        }
    }

    fn are_random(&self) -> bool {
        self.requests > 1 && self.seen.len() as u64 * 2 > self.requests.min(1 << 16)
    }
}
