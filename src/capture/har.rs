//! HAR files, of browsers, proxies and other tools, as exchanges.
//!
//! A HAR says what was asked, not the bytes: heads are put together (`Host` first, then the header
//! lines in their order, without pseudo headers, and a `Content-Length` that fits the body), and
//! flagged as such. The request's first byte is `startedDateTime` plus the waiting, the name
//! look-up and the connecting before it; `send` and `wait` lead from there to the response's first
//! byte, `receive` to its last.
//!
//! A `connection` is honoured unless it is the server's port, which some browsers write there, or
//! requests of HTTP/1 overlap on it; without one, each request has a connection of its own.

mod bodies;
mod entry;

use ::bytes::Bytes;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::bytes::fnv1a;
use crate::capture::CaptureError;
use crate::capture::documents::{Documents, Known, Numbers};
use crate::capture::elements::{Element, End, Pattern, State, elements};
use crate::capture::har::bodies::{request_body, response_bytes};
use crate::capture::har::entry::{Answer, Entry, Pair, Timings};
use crate::capture::heads::{Draft, Line, Url, request_head, response_head, url_of};
use crate::capture::lenient::Several;
use crate::capture::source::Source;
use crate::protocol::Protocol;
use crate::recording::ledger::{Ledger, cut, guess};
use crate::recording::{Exchange, Flags, Response};

const ENTRIES: &[Pattern] = &[&["log", "entries", "*"]];

/// Longest phase of an exchange that is believed, in milliseconds: a day.
pub const PHASE_MS_MAX: f64 = 86_400_000.0;

/// Reads HAR files; exchanges come in the order of the files, `at` counts from the Unix epoch.
pub fn read_har(
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Exchange),
) -> Result<Documents, CaptureError> {
    let mut import = Import::new();
    for (file, mut source) in sources.into_iter().enumerate() {
        let name = source.name().to_owned();
        import.file = file;
        let (mut bad, mut first_bad) = (0_u64, None);
        let end = elements(&mut source, ENTRIES, &mut |element| match import.element(element) {
            Ok(Some(exchange)) => sink(exchange),
            Ok(None) => {}
            Err(problem) => {
                bad += 1;
                let place = element.place;
                let at = format!("line {}, column {}: {problem}", place.line, place.column);
                first_bad.get_or_insert(at);
            }
        })
        .map_err(|(offset, source)| CaptureError::Read {
            name: name.clone(),
            offset,
            source,
        })?;
        import.warn_end(&name, end);
        if let Some(first) = first_bad {
            import
                .warnings
                .push(format!("{name}: {bad} entries were not understood; the first: {first}"));
        }
        if let Some(damage) = source.note_damage(&mut import.ledger) {
            import.warnings.push(format!("{name}: {damage}"));
        }
    }
    Ok(import.finish())
}

struct Import {
    file: usize,
    ledger: Ledger,
    known: Known,
    /// By a hash of file, authority and `connection`.
    numbers: Numbers<u64>,
    /// Where an entry without time is put: with the one before it.
    last_ns: Option<i64>,
    /// Digits behind the second, the most of any entry.
    digits: u32,
    warnings: Vec<String>,
}

impl Import {
    fn new() -> Self {
        Self {
            file: 0,
            ledger: Ledger::default(),
            known: Known::default(),
            numbers: Numbers::new(),
            last_ns: None,
            digits: 3,
            warnings: Vec::new(),
        }
    }

    fn warn_end(&mut self, name: &str, end: End) {
        let (place, what) = match end {
            End::Whole => return,
            End::Cut(place) => (place, cut::DOCUMENT),
            End::Damaged(place) => (place, cut::DAMAGED_DOCUMENT),
        };
        self.ledger.note(what, 1);
        self.warnings.push(format!(
            "{name}: {what} at byte {} (line {}, column {}): what comes before was used",
            place.offset, place.line, place.column
        ));
    }

    /// Counts an element, and makes an exchange of it if it is one.
    fn element(&mut self, element: &Element<'_>) -> Result<Option<Exchange>, String> {
        self.ledger.frames.enter(1);
        let bucket = match element.state {
            State::Whole => match serde_json::from_slice(element.text) {
                Ok(entry) => match self.entry(&entry) {
                    Ok(exchange) => {
                        self.count(&exchange);
                        return Ok(Some(exchange));
                    }
                    Err(bucket) => bucket,
                },
                // Its text may quote what is secret.
                Err(error) => {
                    self.ledger.frames.end("entry not understood", 1);
                    return Err(format!(
                        "no entry of HAR (after {} lines and {} columns of it)",
                        error.line().saturating_sub(1),
                        error.column()
                    ));
                }
            },
            State::TooLong => "entry too long",
            State::Cut => "entry cut off",
        };
        self.ledger.frames.end(bucket, 1);
        Ok(None)
    }

    fn count(&mut self, exchange: &Exchange) {
        let is_cached = exchange.flags.contains(Flags::FROM_CACHE);
        let bucket = if is_cached { "entry answered from a cache" } else { "entry" };
        self.ledger.frames.end(bucket, 1);
        self.ledger.messages.enter(1);
        let is_answered = exchange.response.is_some();
        let bucket = if is_answered { "exchange" } else { "request without response" };
        self.ledger.messages.end(bucket, 1);
        let version = match exchange.protocol {
            Protocol::Http2 => "entries spoken in HTTP/2",
            Protocol::Http3 => "entries spoken in HTTP/3",
            _ => return,
        };
        self.ledger.note(version, 1);
    }

    fn entry(&mut self, entry: &Entry) -> Result<Exchange, &'static str> {
        if entry.request.method.0.is_empty() || entry.request.url.0.is_empty() {
            return Err("entry without method or URL");
        }
        let url = url_of(&entry.request.url.0).ok_or("entry whose URL is not HTTP")?;
        let timings = entry.timings.as_ref();
        let Moments { before, first, last } = Moments::of(timings, entry.time);
        let at_ns = self.sent_at(&entry.started_date_time.0, before)?;
        let messages = entry.messages.as_ref().map_or(0, Vec::len);
        self.ledger.note("WebSocket messages, not replayed", messages as u64);

        let mut lines = request_lines(entry);
        let (protocol, version) = version_of(entry, &lines);
        let (body, body_bytes, mime_type) = request_body(&entry.request, &mut self.ledger);
        let has_type = lines.iter().any(|line| line.0.eq_ignore_ascii_case("content-type"));
        if let Some(mime_type) = mime_type.filter(|_| !has_type) {
            lines.push(("Content-Type".to_owned(), mime_type.to_owned()));
        }
        let head = head_of(entry, &url, version, &lines, body_bytes)?;

        let mut flags = Flags::SYNTHESISED;
        if is_cached(entry) {
            flags.insert(Flags::FROM_CACHE);
        }
        let response = entry
            .response
            .as_ref()
            .and_then(|answer| answered(answer, &entry.request.method.0, first, last));
        if response.as_ref().is_some_and(|response| response.status == 101) {
            flags.insert(Flags::UPGRADED);
        }
        let name = connection_name(&entry.connection.0, &url);
        let key = name.map(|name| {
            let words = format!(
                "{}
{}
{name}",
                self.file, url.authority
            );
            fnv1a(words.into_bytes().into_iter())
        });
        let is_unknown = key.is_none() && !is_cached(entry);
        self.ledger.note(guess::ENTRY, u64::from(is_unknown));
        let connection = self.numbers.next(key);
        let scheme = Some(url.scheme);
        let draft =
            Draft { at_ns, connection, protocol, scheme, head, body, body_bytes, flags, response };
        let exchange = draft.exchange().ok_or("entry that no recording can hold")?;
        self.known.keep(&exchange.authority, address_of(&entry.server_ip_address.0, &url));
        Ok(exchange)
    }

    /// When the request's first byte was sent, in nanoseconds since the Unix epoch.
    fn sent_at(&mut self, started: &str, before: Duration) -> Result<i64, &'static str> {
        let at = if started.is_empty() {
            self.ledger.note("entries without time, put with the one before", 1);
            self.last_ns.unwrap_or(0)
        } else {
            let at: jiff::Timestamp = moment(started).ok_or("entry with a wrong time")?;
            let fraction = started.split('.').nth(1).unwrap_or_default();
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(9);
            self.digits = self.digits.max(u32::try_from(digits).unwrap_or(9));
            let at = i64::try_from(at.as_nanosecond()).map_err(|_| "entry with a wrong time")?;
            at.saturating_add(i64::try_from(before.as_nanos()).unwrap_or(i64::MAX))
        };
        if at < 0 {
            return Err("entry with a wrong time");
        }
        self.last_ns = Some(at);
        Ok(at)
    }

    fn finish(mut self) -> Documents {
        let untimed = self.ledger.notes.get("entries without time, put with the one before");
        if let Some(untimed) = untimed {
            self.warnings.push(format!(
                "{untimed} entries do not say when they were sent and fall on one moment with the \
                 entry before them: the load over time is not that of the recording"
            ));
        }
        let servers = self.known.servers(&mut self.ledger);
        Documents {
            ledger: self.ledger,
            servers,
            clock_resolution_ns: 10_u64.pow(9 - self.digits),
            one_at_a_time: true,
            no_connections: false,
            warnings: self.warnings,
        }
    }
}

/// A point of time in ISO 8601; without an offset it counts as UTC.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    let text = text.trim();
    let at = text.parse().ok();
    at.or_else(|| format!("{text}Z").parse().ok())
}

struct Moments {
    /// From `startedDateTime` to the request's first byte.
    before: Duration,
    /// From there to the response's first byte.
    first: Option<Duration>,
    /// And to its last.
    last: Option<Duration>,
}

impl Moments {
    fn of(timings: Option<&Timings>, time: Option<f64>) -> Self {
        let Some(timings) = timings else {
            return Self { before: Duration::ZERO, first: None, last: time.and_then(phase) };
        };
        let length = |phase_ms: Option<f64>| phase_ms.and_then(phase).unwrap_or_default();
        let before = length(timings.blocked) + length(timings.dns) + length(timings.connect);
        let first = timings.wait.and_then(phase).map(|wait| length(timings.send) + wait);
        let receive = timings.receive.and_then(phase);
        let last = first.and_then(|first| Some(first + receive?));
        Self { before, first, last }
    }
}

fn phase(milliseconds: f64) -> Option<Duration> {
    let is_length = (0.0..=PHASE_MS_MAX).contains(&milliseconds);
    is_length.then(|| Duration::from_secs_f64(milliseconds / 1000.0))
}

fn request_lines(entry: &Entry) -> Vec<Line> {
    let mut lines = lines_of(entry.request.headers.as_ref());
    let cookies = entry.request.cookies.as_ref().map_or(&[][..], |cookies| &cookies.0);
    let has_cookies = lines.iter().any(|line| line.0.eq_ignore_ascii_case("cookie"));
    if !has_cookies && !cookies.is_empty() {
        let pairs: Vec<String> =
            cookies.iter().map(|pair| format!("{}={}", pair.name.0, pair.value.0)).collect();
        lines.push(("Cookie".to_owned(), pairs.join("; ")));
    }
    lines
}

fn lines_of(pairs: Option<&Several<Pair>>) -> Vec<Line> {
    let pairs = pairs.map_or(&[][..], |pairs| &pairs.0).iter();
    pairs.map(|pair| (pair.name.0.clone(), pair.value.0.clone())).collect()
}

/// What was spoken, and the version for the request line. A request whose version is not known is
/// taken to be of the response's.
fn version_of(entry: &Entry, lines: &[Line]) -> (Protocol, &'static str) {
    let answer = entry.response.as_ref().map_or("", |answer| &answer.http_version.0);
    let names = [entry.request.http_version.0.as_str(), answer].map(str::to_ascii_lowercase);
    let known = names.iter().find(|name| !name.is_empty() && *name != "unknown");
    let name = known.map_or("", |name| name.trim());
    let has_pseudo = lines.iter().any(|line| line.0.starts_with(':'));
    if name.contains("quic") || name.starts_with("h3") || name.starts_with("http/3") {
        (Protocol::Http3, "HTTP/1.1")
    } else if has_pseudo || ["h2", "http/2", "spdy"].iter().any(|two| name.starts_with(two)) {
        (Protocol::Http2, "HTTP/1.1")
    } else if name == "http/1.0" || name == "1.0" {
        (Protocol::Http1, "HTTP/1.0")
    } else {
        (Protocol::Http1, "HTTP/1.1")
    }
}

fn head_of(
    entry: &Entry,
    url: &Url,
    version: &str,
    lines: &[Line],
    body_bytes: u64,
) -> Result<Bytes, &'static str> {
    let method = entry.request.method.0.trim();
    let target = if method == "CONNECT" { &url.authority } else { &url.target };
    let usually_has_body = ["POST", "PUT", "PATCH"].contains(&method);
    let length = (body_bytes > 0 || usually_has_body).then_some(body_bytes);
    request_head([method, target, version], &url.authority, lines, length)
        .ok_or("entry whose request is no HTTP")
}

fn is_cached(entry: &Entry) -> bool {
    ["memory", "disk", "true"].contains(&entry.from_cache.0.as_str())
        || entry.fetch_type.0.ends_with("Cache")
}

/// The connection's name; `None` when there is none, or it is the server's port.
fn connection_name<'a>(name: &'a str, url: &Url) -> Option<&'a str> {
    let is_port = name.parse() == Ok(port_of(url));
    (!name.is_empty() && name != "0" && !is_port).then_some(name)
}

fn port_of(url: &Url) -> u16 {
    let written = url.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    written.unwrap_or(if url.scheme == "https" { 443 } else { 80 })
}

fn address_of(text: &str, url: &Url) -> Option<SocketAddr> {
    let host = text.trim().trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(address, port_of(url)))
}

/// The response; a status of 0 means that there was none.
fn answered(
    answer: &Answer,
    method: &str,
    first_byte: Option<Duration>,
    last_byte: Option<Duration>,
) -> Option<Response> {
    let status: u16 = answer.status.0.parse().ok().filter(|status| (1..1000).contains(status))?;
    let lines = lines_of(answer.headers.as_ref());
    Some(Response {
        status,
        head: response_head(status, &answer.status_text.0, &lines),
        body_bytes: response_bytes(answer, status, method, &lines),
        digest: None,
        shape: None,
        first_byte,
        last_byte,
    })
}
