//! Sessions of Proxy Verifier and of the `traffic_dump` plugin of Apache Traffic Server, as
//! exchanges: a session is a connection, times are nanoseconds. Files are JSON, or YAML with the
//! same keys.
//!
//! They say what was asked, not the bytes: heads are put together as for HAR. Bodies of requests
//! are rarely there; where only their size is, as many bytes of filler are sent.

mod yaml;

use crate::capture::CaptureError;
use crate::capture::documents::{Documents, Known, Numbers};
use crate::capture::elements::{Element, End, Pattern, State, elements};
use crate::capture::heads::{Draft, Line, request_head, response_head, target_of, url_of};
use crate::capture::lenient::{Several, Text};
use crate::capture::source::Source;
use crate::protocol::Protocol;
use crate::recording::file::CELL_BYTES_MAX;
use crate::recording::ledger::{Ledger, cut};
use crate::recording::{Exchange, Flags, Response};

/// Transactions, and what a session says of all of its own.
const WANTED: &[Pattern] = &[
    &["sessions", "*", "transactions", "*"],
    &["sessions", "*", "connection-time"],
    &["sessions", "*", "start-time"],
    &["sessions", "*", "connect-time"],
    &["sessions", "*", "delay"],
    &["sessions", "*", "keep-connection-open"],
];

/// Places in [`WANTED`].
const TRANSACTION: usize = 0;
const DELAY: usize = 4;
const KEEP_OPEN: usize = 5;

/// What is sent where a body is not known but for its size.
const FILLER: u8 = b'x';

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Transaction {
    #[serde(alias = "connection-time", alias = "connect-time")]
    start_time: Option<i64>,
    delay: Option<Text>,
    #[serde(default)]
    all: Message,
    client_request: Message,
    server_response: Option<Message>,
    proxy_response: Option<Message>,
}

#[derive(Default, serde::Deserialize)]
struct Message {
    version: Option<Text>,
    scheme: Option<String>,
    method: Option<String>,
    url: Option<String>,
    status: Option<u16>,
    reason: Option<Text>,
    headers: Option<Headers>,
    content: Option<Content>,
    http2: Option<serde::de::IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Headers {
    #[serde(default)]
    fields: Several<Several<Text>>,
}

#[derive(serde::Deserialize)]
struct Content {
    size: Option<u64>,
    data: Option<Text>,
    encoding: Option<String>,
}

/// Reads session files; `at` counts from the Unix epoch, or from whatever they count from.
pub fn read_sessions(
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Exchange),
) -> Result<Documents, CaptureError> {
    let mut import = Import {
        file: 0,
        ledger: Ledger::default(),
        known: Known::default(),
        numbers: Numbers::new(),
        session: Session::default(),
        last_ns: 0,
    };
    let mut warnings = Vec::new();
    for (file, mut source) in sources.into_iter().enumerate() {
        let name = source.name().to_owned();
        import.file = file;
        import.session = Session::default();
        let failed = |(offset, source)| CaptureError::Read { name: name.clone(), offset, source };
        let mut bad = None;
        let mut take = |element: &Element<'_>| {
            if element.pattern != TRANSACTION {
                return import.about_session(element);
            }
            let (bucket, exchange) = import.element(element);
            import.ledger.frames.enter(1);
            import.ledger.frames.end(bucket, 1);
            match exchange {
                Some(exchange) => sink(exchange),
                None => bad = bad.or(Some((bucket, element.outer, element.place))),
            }
        };
        let is_yaml = yaml::is_yaml(&mut source).map_err(|error| failed((0, error)))?;
        let end = if is_yaml {
            match yaml::json_of(&mut source).map_err(|error| failed((0, error)))? {
                Ok(json) => elements(&mut &json[..], WANTED, &mut take),
                Err(problem) => {
                    import.ledger.frames.enter(1);
                    import.ledger.frames.end("file not understood", 1);
                    warnings.push(format!("{name}: {problem}"));
                    continue;
                }
            }
        } else {
            elements(&mut source, WANTED, &mut take)
        };
        let end = end.map_err(failed)?;
        if let Some((bucket, session, place)) = bad {
            let place = if is_yaml {
                format!("in session {}", session + 1)
            } else {
                format!("line {}, column {}", place.line, place.column)
            };
            warnings.push(format!("{name}: first {bucket}: {place}"));
        }
        if let End::Cut(place) | End::Damaged(place) = end {
            let is_cut = matches!(end, End::Cut(_));
            let note = if is_cut { cut::DOCUMENT } else { cut::DAMAGED_DOCUMENT };
            import.ledger.note(note, 1);
            warnings.push(format!(
                "{name}: cut off or damaged at byte {} (line {}, column {}): what comes before \
                 was used",
                place.offset, place.line, place.column
            ));
        }
        if let Some(damage) = source.note_damage(&mut import.ledger) {
            warnings.push(format!("{name}: {damage}"));
        }
    }
    let Import { mut ledger, known, .. } = import;
    let servers = known.servers(&mut ledger);
    let clock_resolution_ns = 1;
    Ok(Documents { ledger, servers, clock_resolution_ns, warnings, ..Documents::default() })
}

struct Import {
    file: usize,
    ledger: Ledger,
    known: Known,
    numbers: Numbers<(usize, u64)>,
    session: Session,
    last_ns: i64,
}

/// The session that is being read.
#[derive(Default)]
struct Session {
    number: Option<u64>,
    /// Its beginning, later that of the last transaction.
    at_ns: Option<i64>,
    /// What the next transaction is late by, if it has no time of its own.
    delay_ns: i64,
}

impl Import {
    /// What a session says of itself, in front of its transactions: when it began, and by how much
    /// the first transaction is delayed.
    fn about_session(&mut self, element: &Element<'_>) {
        let text = str::from_utf8(element.text).unwrap_or_default().trim_matches('"');
        let session = self.session(element.outer);
        match element.pattern {
            DELAY => session.delay_ns = delay_ns(text),
            // A recording says when requests were sent, not when their connections ended.
            KEEP_OPEN => self.ledger.note("wishes to keep a connection open, not used", 1),
            _ => session.at_ns = text.parse().ok(),
        }
    }

    fn session(&mut self, number: u64) -> &mut Session {
        if self.session.number != Some(number) {
            self.session = Session { number: Some(number), ..Session::default() };
        }
        &mut self.session
    }

    fn element(&mut self, element: &Element<'_>) -> (&'static str, Option<Exchange>) {
        match element.state {
            State::TooLong => return ("transaction too long", None),
            State::Cut => return ("transaction cut off", None),
            State::Whole => {}
        }
        let Ok(transaction) = serde_json::from_slice(element.text) else {
            return ("transaction not understood", None);
        };
        match self.transaction(&transaction, element.outer) {
            Ok(exchange) => {
                let is_answered = exchange.response.is_some();
                let bucket = if is_answered { "exchange" } else { "request without response" };
                self.ledger.messages.enter(1);
                self.ledger.messages.end(bucket, 1);
                ("transaction", Some(exchange))
            }
            Err(bucket) => (bucket, None),
        }
    }

    fn transaction(
        &mut self,
        transaction: &Transaction,
        session: u64,
    ) -> Result<Exchange, &'static str> {
        let request = &transaction.client_request;
        let mut lines = lines_of(&transaction.all);
        lines.extend(lines_of(request));
        let pseudo =
            |name: &str| lines.iter().find(|line| line.0 == name).map(|line| line.1.clone());
        let method = request.method.clone().or_else(|| pseudo(":method"));
        let written = request.url.clone().or_else(|| pseudo(":path"));
        let method = method.ok_or("transaction without method")?;
        let written = written.ok_or("transaction without URL")?;
        let (authority, target) = match url_of(&written) {
            Some(url) => (url.authority, url.target),
            None => (pseudo(":authority").unwrap_or_default(), target_of(&written)),
        };
        let protocol = protocol_of(request, &lines);
        let body = self.body(request.content.as_ref());
        let length = (!body.is_empty()).then_some(body.len() as u64);
        let head = request_head([&method, &target, "HTTP/1.1"], &authority, &lines, length)
            .ok_or("transaction whose request is no HTTP")?;
        let scheme = request.scheme.clone().or_else(|| pseudo(":scheme"));
        let at_ns = self.moment(transaction, session);
        let answer = transaction.proxy_response.as_ref().or(transaction.server_response.as_ref());
        let draft = Draft {
            at_ns,
            connection: self.numbers.next(Some((self.file, session))),
            protocol,
            scheme: Some(if scheme.as_deref() == Some("https") { "https" } else { "http" }),
            head,
            body_bytes: length.unwrap_or(0),
            body,
            flags: Flags::SYNTHESISED,
            response: answer.and_then(answered),
        };
        let exchange = draft.exchange().ok_or("transaction that no recording can hold")?;
        self.known.keep(&exchange.authority, None);
        Ok(exchange)
    }

    /// When a transaction was sent; without a time as its session says, or with the one before it,
    /// later by its delay.
    fn moment(&mut self, transaction: &Transaction, session: u64) -> i64 {
        let last_ns = self.last_ns;
        let session = self.session(session);
        let before = session.at_ns.unwrap_or(last_ns).saturating_add(session.delay_ns);
        let delay = transaction.delay.as_ref().map_or(0, |delay| delay_ns(&delay.0));
        let at_ns = transaction.start_time.unwrap_or_else(|| before.saturating_add(delay));
        (session.at_ns, session.delay_ns) = (Some(at_ns), 0);
        let name = "transactions without time, put with their session or the one before";
        self.ledger.note(name, u64::from(transaction.start_time.is_none()));
        self.last_ns = at_ns;
        at_ns
    }

    fn body(&mut self, content: Option<&Content>) -> Vec<u8> {
        let Some(content) = content else {
            return Vec::new();
        };
        if let Some(data) = &content.data {
            let is_plain = content.encoding.as_deref().is_none_or(|name| name == "plain");
            self.ledger.note("encoded request bodies, taken as written", u64::from(!is_plain));
            return data.0.clone().into_bytes();
        }
        let size = content.size.unwrap_or(0);
        self.ledger.note("request bodies of which only the size is known", u64::from(size > 0));
        vec![FILLER; usize::try_from(size).unwrap_or(usize::MAX).min(CELL_BYTES_MAX)]
    }
}

/// Digits and `s`, `ms` or `us`, perhaps with a blank between them; 0 for what is none.
fn delay_ns(text: &str) -> i64 {
    let text = text.trim();
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim() {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        _ => 0,
    };
    text[..end].parse::<i64>().unwrap_or(0).saturating_mul(unit)
}

fn protocol_of(request: &Message, lines: &[Line]) -> Protocol {
    let version = request.version.as_ref().map_or("", |version| &version.0);
    if version.starts_with('3') {
        Protocol::Http3
    } else if version.starts_with('2')
        || request.http2.is_some()
        || lines.iter().any(|line| line.0.starts_with(':'))
    {
        Protocol::Http2
    } else {
        Protocol::Http1
    }
}

/// Fields are pairs of texts; what follows the pair, or stands in the value's place, is for a
/// verifier.
fn lines_of(message: &Message) -> Vec<Line> {
    let fields = message.headers.iter().flat_map(|headers| &headers.fields.0);
    let line = |field: &Several<Text>| match &field.0[..] {
        [name, value, ..] => Some((name.0.clone(), value.0.clone())),
        _ => None,
    };
    fields.filter_map(line).collect()
}

fn answered(answer: &Message) -> Option<Response> {
    let lines = lines_of(answer);
    let pseudo = lines.iter().find(|line| line.0 == ":status");
    let status = answer.status.or_else(|| pseudo?.1.parse().ok())?;
    Some(Response {
        status,
        head: response_head(status, answer.reason.as_ref().map_or("", |reason| &reason.0), &lines),
        body_bytes: answer.content.as_ref().and_then(|content| content.size),
        digest: None,
        shape: None,
        first_byte: None,
        last_byte: None,
    })
}
