//! Access logs: a line a request, without bodies, without most headers, and with a clock that is
//! often as coarse as a second. Lines become exchanges, and everything that is not in a log but in
//! an exchange is marked as made ([`crate::recording::Flags::SYNTHESISED`]).

pub mod stamp;
pub mod zone;
pub mod text;
pub mod entry;
pub mod common;
pub mod envoy;
pub mod haproxy;
pub mod elb;
pub mod w3c;
pub mod json;
pub mod template;
pub mod nginx;
pub mod apache;
pub mod format;
pub mod sample;
pub mod exchange;
pub mod connections;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use crate::capture::access_log::entry::{Entry, Miss};
use crate::capture::access_log::exchange::{Remarks, UNNAMED_HOST, exchange};
use crate::capture::access_log::sample::Log;
use crate::capture::access_log::stamp::Known;
use crate::capture::import::{MAX_AUTHORITY, MAX_SERVERS};
use crate::recording::file::{self, RecordingError};
use crate::recording::ledger::{Ledger, cut};
use crate::recording::{Exchange, Servers, host_of};

/// What was read, as far as a header needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// In `frames` every line, in `messages` every exchange.
    pub ledger: Ledger,
    /// Who answered, where lines say.
    pub servers: Servers,
    /// Smallest step that arrivals are known to; of several logs the coarsest.
    pub clock_resolution_ns: u64,
    /// Sentences for people about what the logs do not tell.
    pub warnings: Vec<String>,
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read any further.
    #[error("{file}: cannot read line {line}")]
    Read {
        /// Name of the file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Why not.
        source: io::Error,
    },
    /// There is no line that could be used.
    #[error(
        "{file}: none of {lines} lines of the {format} is a request{}; name the format with \
         --format, or give the server's own format string with --log-format{}",
        told(bad.as_deref(), "; the first problem is in line ", ""),
        told(cut.as_deref(), " (", ")")
    )]
    NothingUsable {
        /// Names of the files.
        file: String,
        /// How many lines there were.
        lines: u64,
        /// The format that they were read in.
        format: &'static str,
        /// The first line that was not understood, and why.
        bad: Option<String>,
        /// That one was not read to its end.
        cut: Option<String>,
    },
    /// The exchange of a line could not be kept.
    #[error("{file}: cannot keep line {line}")]
    Keep {
        /// Name of the file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Why not.
        source: RecordingError,
    },
}

/// What there is, between two others; nothing where there is nothing.
fn told(what: Option<&str>, front: &str, back: &str) -> String {
    what.map_or_else(String::new, |what| format!("{front}{what}{back}"))
}

/// Takes exchanges whose moments are since the Unix epoch, in any order.
pub type Sink<'a> = &'a mut dyn FnMut(Exchange) -> Result<(), RecordingError>;

/// Reads logs, one after the other. What they yield is in order only after sorting, and is then
/// given to [`connections::Connections::place`].
pub fn read_logs(logs: Vec<Log>, sink: Sink<'_>) -> Result<Imported, LogError> {
    let mut import = Import::default();
    let mut names = Vec::new();
    let mut format = "log";
    for log in logs {
        names.push(log.name.clone());
        format = log.format.name();
        import.log(log, sink)?;
    }
    if import.ledger.messages.total == 0 {
        return Err(LogError::NothingUsable {
            file: names.join(", "),
            lines: import.ledger.frames.total,
            format,
            bad: import.first_bad,
            cut: import.cut,
        });
    }
    Ok(import.finish())
}

#[derive(Debug, Default)]
struct Import {
    ledger: Ledger,
    lines: u64,
    authorities: BTreeSet<String>,
    addresses: BTreeSet<SocketAddr>,
    resolution_ns: u64,
    first_bad: Option<String>,
    /// That a log was not read to its end.
    cut: Option<String>,
    warnings: Vec<String>,
    counts: Counts,
}

/// What is told about all lines together.
#[derive(Debug, Default)]
struct Counts {
    methods_assumed: u64,
    moments_unknown: u64,
    /// Of the current log: times without a zone.
    zones_unknown: u64,
    shown_twice: u64,
    uncorrected: u64,
    bodies_unknown: u64,
}

impl Import {
    fn log(&mut self, mut log: Log, sink: Sink<'_>) -> Result<(), LogError> {
        let name = log.name.clone();
        let mut text = Vec::new();
        let (mut step_ns, mut bad) = (None, 0);
        for number in 1.. {
            let read = log.line(&mut text);
            let read =
                read.map_err(|source| LogError::Read { file: name.clone(), line: number, source })?;
            let Some(whole) = read else {
                break;
            };
            self.lines += 1;
            self.ledger.frames.enter(1);
            let made = if whole {
                self.line(&mut log, &text)
            } else {
                Err(Ended::Miss(Miss::NotUnderstood("it is longer than 64 KiB")))
            };
            match made {
                Ok((exchange, step)) => {
                    step_ns = Some(step_ns.map_or(step, |before: u64| before.min(step)));
                    sink(exchange).map_err(|source| LogError::Keep {
                        file: name.clone(),
                        line: number,
                        source,
                    })?;
                }
                Err(ended) => {
                    let is_bad = ended.bucket() == NOT_UNDERSTOOD;
                    let is_cut = is_bad && whole && !text.ends_with(b"\n");
                    self.ledger.note(cut::LINE, u64::from(is_cut));
                    bad += u64::from(is_bad);
                    self.miss(&name, number, &ended);
                }
            }
        }
        // A log's own clock is its finest stamp: zeros at the end may be left out.
        self.resolution_ns = self.resolution_ns.max(step_ns.unwrap_or(0));
        self.warn(&log, bad);
        Ok(())
    }

    /// The exchange of a line, and the step of its clock.
    fn line(&mut self, log: &mut Log, text: &[u8]) -> Result<(Exchange, u64), Ended> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Err(Ended::Empty);
        }
        let mut entry = log.format.read(text).map_err(Ended::Miss)?;
        if let (Some(zone), Known::Not | Known::ByRule) = (&log.zone, entry.time.zone) {
            let (ns, is_twice) = zone.moment(entry.time.ns);
            entry.time.ns = ns;
            self.counts.shown_twice += u64::from(is_twice);
            self.counts.zones_unknown += 1;
        } else {
            self.counts.zones_unknown += u64::from(entry.time.zone == Known::Not);
        }
        entry.time.ns = entry.time.ns.saturating_add(log.clock_shift_ns());
        let (exchange, remarks) = exchange(&entry, self.lines).map_err(Ended::Miss)?;
        file::check(&exchange)
            .map_err(|_| Ended::Miss(Miss::NotUnderstood("no recording can hold its numbers")))?;
        self.ledger.frames.end("exchange line", 1);
        self.ledger.messages.enter(1);
        let answered = exchange.response.is_some();
        let bucket = if answered { "exchange" } else { "request without response" };
        self.ledger.messages.end(bucket, 1);
        self.keep(&entry, &exchange, remarks);
        Ok((exchange, remarks.step_ns))
    }

    fn keep(&mut self, entry: &Entry<'_>, exchange: &Exchange, remarks: Remarks) {
        let counts = &mut self.counts;
        counts.methods_assumed += u64::from(remarks.method_assumed);
        counts.moments_unknown += u64::from(remarks.moment_unknown);
        counts.uncorrected += u64::from(remarks.uncorrected);
        counts.bodies_unknown += u64::from(remarks.body_unknown);
        let authority = host_of(&exchange.authority);
        if authority != UNNAMED_HOST && !self.authorities.contains(&authority) {
            if authority.len() > MAX_AUTHORITY || self.authorities.len() >= MAX_SERVERS {
                self.ledger.note("authorities and addresses not kept", 1);
            } else {
                self.authorities.insert(authority);
            }
        }
        if let Some(address) = entry.server {
            if self.addresses.len() < MAX_SERVERS {
                self.addresses.insert(address);
            } else {
                self.ledger.note("authorities and addresses not kept", 1);
            }
        }
    }

    fn miss(&mut self, name: &str, number: u64, ended: &Ended) {
        self.ledger.frames.end(ended.bucket(), 1);
        if let (Ended::Miss(Miss::NotUnderstood(why)), None) = (ended, &self.first_bad) {
            let bad = format!("{number}: {why}");
            self.ledger.note(&format!("first line not understood in {name}: line {bad}"), 1);
            self.first_bad = Some(bad);
        }
    }

    fn warn(&mut self, log: &Log, bad: u64) {
        let Log { name, zone, .. } = log;
        if let (Some(first), 1..) = (&self.first_bad, bad) {
            self.warnings.push(format!(
                "{name}: {bad} lines were not understood; the first problem is in line {first}"
            ));
        }
        if let Some(damage) = log.note_damage(&mut self.ledger) {
            self.cut = Some(format!("{name}: {damage}"));
            self.warnings.extend(self.cut.clone());
        }
        match (std::mem::take(&mut self.counts.zones_unknown), zone) {
            (0, _) => {}
            (_, None) => self.warnings.push(format!(
                "{name}: its times have no zone and were taken for UTC (say another with \
                 --time-zone)"
            )),
            (_, Some(zone)) => self.warnings.push(format!(
                "{name}: its times have no zone and were taken for those of {}",
                zone.name
            )),
        }
    }

    fn finish(mut self) -> Imported {
        let Counts { methods_assumed, moments_unknown, uncorrected, bodies_unknown, .. } =
            self.counts;
        let ledger = &mut self.ledger;
        ledger.note("method not logged, taken for GET", methods_assumed);
        ledger.note("arrival or end of the request: not known which", moments_unknown);
        ledger.note("end of the request taken for its arrival: no duration", uncorrected);
        ledger.note("request body not in the log", bodies_unknown);
        let twice = self.counts.shown_twice;
        ledger.note("time that its zone's clock showed twice or never", twice);
        let mut warnings = self.warnings;
        if moments_unknown > 0 {
            warnings.push(
                "the lines do not tell whether their time is the arrival of the request or its \
                 end, and it was taken for the arrival; for the common and combined formats say it \
                 with --format nginx (end) or --format apache (arrival)"
                    .to_owned(),
            );
        }
        if uncorrected > 0 {
            warnings.push(
                "lines are stamped with the end of their request and have no duration, so that \
                 slow requests are replayed late: log $request_time as well"
                    .to_owned(),
            );
        }
        if self.authorities.is_empty() && self.addresses.is_empty() {
            warnings.push(
                "the log does not name the hosts that answered, so that nothing keeps a replay \
                 away from them but the scenario's own target"
                    .to_owned(),
            );
        }
        Imported {
            ledger: self.ledger,
            servers: Servers {
                authorities: self.authorities.into_iter().collect(),
                addresses: self.addresses.into_iter().collect(),
            },
            clock_resolution_ns: self.resolution_ns.max(1),
            warnings,
        }
    }
}

/// How a line ended that is no exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Empty,
    Miss(Miss),
}

const NOT_UNDERSTOOD: &str = "line not understood";

impl Ended {
    fn bucket(self) -> &'static str {
        match self {
            Self::Empty => "empty line",
            Self::Miss(Miss::Directive) => "directive",
            Self::Miss(Miss::OtherMessage) => "line about something else",
            Self::Miss(Miss::NoRequest) => "line without a request",
            Self::Miss(Miss::NotUnderstood(_)) => NOT_UNDERSTOOD,
        }
    }
}
