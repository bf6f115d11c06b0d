//! Targets of vegeta, as text or JSON: what to ask for, in order, and nothing else.
//!
//! They have no times, so that whoever imports them says how fast they are asked for; they are
//! spaced evenly, as vegeta does it. Nor have they connections: each target gets one of its own,
//! unless it is said over how many they are dealt out in turn. Answers are not known.
//!
//! A body stands in the target (JSON) or in a file that it names, which is looked for beside the
//! targets' file and below, and nowhere else.

mod body;
mod text;

use std::collections::BTreeMap;
use std::io::BufReader;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::capture::CaptureError;
use crate::capture::documents::{Documents, Known, Numbers};
use crate::capture::heads::{Draft, Line, request_head, url_of};
use crate::capture::lenient::{Several, Text};
use crate::capture::source::Source;
use crate::capture::vegeta::body::{Body, body_of};
use crate::capture::vegeta::text::Reading;
use crate::protocol::Protocol;
use crate::recording::jsonl::{LINE_BYTES_MAX, Length, read_line};
use crate::recording::ledger::{Ledger, cut, guess};
use crate::recording::{Exchange, Flags};
use crate::units::rate::Rate;

/// How fast targets are asked for, and over how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Evenly.
    pub rate: Rate,
    /// Targets are dealt out over them in turn; `None`: each has its own.
    pub connections: Option<u32>,
}

/// A target as it stands in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Target {
    method: String,
    url: String,
    lines: Vec<Line>,
    body: Body,
}

/// A target, or why what stands there is none.
type Read = Result<Target, &'static str>;

const NOT_UNDERSTOOD: &str = "target not understood";

/// Reads files of targets, one after the other; `at` counts from the first target on.
pub fn read_targets(
    sources: Vec<Source>,
    pace: Pace,
    sink: &mut dyn FnMut(Exchange),
) -> Result<Documents, CaptureError> {
    let mut import = Import {
        pace,
        number: 0,
        ledger: Ledger::default(),
        known: Known::default(),
        numbers: Numbers::new(),
    };
    let mut warnings = Vec::new();
    for source in sources {
        let name = source.name().to_owned();
        let folder = source.folder().map(std::path::Path::to_owned);
        let (mut reading, mut bad) = (Reading::default(), None);
        let mut input = BufReader::new(source);
        let (mut line, mut offset, mut is_ended) = (Vec::new(), 0, true);
        for number in 1_u64.. {
            let length = read_line(&mut input, &mut line, LINE_BYTES_MAX)
                .map_err(|source| CaptureError::Read { name: name.clone(), offset, source })?;
            offset += line.len() as u64;
            is_ended = length.map_or(is_ended, |_| line.is_empty() || line.ends_with(b"\n"));
            let read: Vec<Read> = match length {
                None => reading.end().into_iter().collect(),
                Some(Length::TooLong) => vec![Err("target too long")],
                // Only JSON opens a line with a brace.
                Some(Length::Whole) if line.trim_ascii_start().starts_with(b"{") => {
                    reading.end().into_iter().chain([json(&line)]).collect()
                }
                Some(Length::Whole) => reading.line(&line),
            };
            for target in read {
                let (bucket, exchange) = import.target(target, folder.as_deref());
                import.ledger.frames.enter(1);
                import.ledger.frames.end(bucket, 1);
                if let Some(exchange) = exchange {
                    sink(exchange);
                    continue;
                }
                let is_cut = bucket == NOT_UNDERSTOOD && !is_ended;
                import.ledger.note(cut::LINE, u64::from(is_cut));
                bad = bad.or(Some((bucket, number)));
            }
            if length.is_none() {
                break;
            }
        }
        import.ledger.note("targets without a blank line in front of them", reading.unparted);
        if let Some((bucket, line)) = bad {
            warnings.push(format!("{name}: first {bucket}: line {line}"));
        }
        if let Some(damage) = input.get_ref().note_damage(&mut import.ledger) {
            warnings.push(format!("{name}: {damage}"));
        }
    }
    let Import { mut ledger, known, .. } = import;
    if pace.connections.is_none() {
        ledger.note(guess::TARGET, ledger.messages.total);
    }
    let servers = known.servers(&mut ledger);
    Ok(Documents { ledger, servers, clock_resolution_ns: 1, warnings, ..Documents::default() })
}

struct Import {
    pace: Pace,
    /// Of the next target.
    number: u64,
    ledger: Ledger,
    known: Known,
    numbers: Numbers<u64>,
}

impl Import {
    /// The bucket of a target, and the request that it is. One that cannot be asked for leaves
    /// its moment empty, so that the others keep theirs.
    fn target(
        &mut self,
        read: Read,
        folder: Option<&std::path::Path>,
    ) -> (&'static str, Option<Exchange>) {
        let number = self.number;
        self.number += 1;
        match read.and_then(|target| self.exchange(number, target, folder)) {
            Ok(exchange) => {
                self.ledger.messages.enter(1);
                self.ledger.messages.end("request without response", 1);
                ("target", Some(exchange))
            }
            Err(bucket) => (bucket, None),
        }
    }

    fn exchange(
        &mut self,
        number: u64,
        target: Target,
        folder: Option<&std::path::Path>,
    ) -> Result<Exchange, &'static str> {
        let Target { method, url, lines, body } = target;
        let url = url_of(&url).ok_or("target without an absolute URL")?;
        let (body, body_bytes) = body_of(body, folder)?;
        let length = (body_bytes > 0).then_some(body_bytes);
        let start = [method.as_str(), &url.target, "HTTP/1.1"];
        let head = request_head(start, &url.authority, &lines, length).ok_or(NOT_UNDERSTOOD)?;
        let at = self.pace.rate.moment(number).as_nanos();
        let lane = self.pace.connections.map(|count| number % u64::from(count.max(1)));
        let draft = Draft {
            at_ns: i64::try_from(at).unwrap_or(i64::MAX),
            connection: self.numbers.next(lane),
            protocol: Protocol::Http1,
            scheme: Some(url.scheme),
            head,
            body,
            body_bytes,
            flags: Flags::SYNTHESISED,
            response: None,
        };
        let exchange = draft.exchange().ok_or("target that no recording can hold")?;
        // A `Host` line may name another than the URL: both are servers.
        self.known.keep(&url.authority, None);
        self.known.keep(&exchange.authority, None);
        Ok(exchange)
    }
}

#[derive(serde::Deserialize)]
struct Written {
    method: String,
    url: String,
    body: Option<String>,
    header: Option<BTreeMap<String, Several<Text>>>,
}

/// A target on a line of JSON.
fn json(line: &[u8]) -> Read {
    let written: Written = serde_json::from_slice(line).map_err(|_| NOT_UNDERSTOOD)?;
    let lines =
        written.header.unwrap_or_default().into_iter().flat_map(|(name, values)| {
            values.0.into_iter().map(move |value| (name.clone(), value.0))
        });
    let body = match written.body {
        Some(body) => Body::Bytes(STANDARD.decode(body.trim()).map_err(|_| NOT_UNDERSTOOD)?),
        None => Body::None,
    };
    let Written { method, url, .. } = written;
    Ok(Target { method, url, lines: lines.collect(), body })
}
