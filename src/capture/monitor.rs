//! What Redis told a client that monitored it, as exchanges: the output of `redis-cli MONITOR`, or
//! the bytes of that connection.
//!
//! Such a file has no replies and no sizes, and of a transaction all commands at the moment of its
//! `EXEC`. A connection is an address and a port; a port that was used twice is one connection.
//! What scripts did is left out: the line of the script itself comes before.

use std::io::{BufRead, Read};
use std::time::Duration;

use ::bytes::Bytes;

use crate::bytes::fnv1a;
use crate::capture::CaptureError;
use crate::capture::documents::{ALONE, Documents, Numbers};
use crate::capture::line::text;
use crate::capture::monitor_line::{Monitored, monitored};
use crate::capture::source::Source;
use crate::capture::streams::MAX_BODY;
use crate::protocol::Protocol;
use crate::protocol::resp::command;
use crate::protocol::resp::commands::first_key;
use crate::protocol::resp::words::redact;
use crate::recording::ledger::{Ledger, cut, guess};
use crate::recording::route::route_of_key;
use crate::recording::{Exchange, Flags, Servers};

/// Longest line that is read, in bytes: what is longer holds a value of many MiB.
pub const MAX_LINE: u64 = 64 << 20;

/// Longest target, in bytes.
const MAX_TARGET: usize = 4 << 10;

/// What the server writes in the place of a secret.
const REDACTED: &[u8] = b"(redacted)";

/// Reads such files; `at` counts from the Unix epoch. They may be pieces of one, in any order.
pub fn read_monitor(
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Exchange),
) -> Result<Documents, CaptureError> {
    let mut import =
        Import { sink, ledger: Ledger::default(), numbers: Numbers::new(), warnings: Vec::new() };
    for mut source in sources {
        let name = source.name().to_owned();
        import.file(&name, &mut source)?;
        if let Some(damage) = source.note_damage(&mut import.ledger) {
            import.warnings.push(format!("{name}: {damage}"));
        }
    }
    Ok(Documents {
        ledger: import.ledger,
        servers: Servers::default(),
        clock_resolution_ns: 1_000,
        one_at_a_time: false,
        no_connections: false,
        warnings: import.warnings,
    })
}

struct Import<'a> {
    sink: &'a mut dyn FnMut(Exchange),
    ledger: Ledger,
    numbers: Numbers<Vec<u8>>,
    warnings: Vec<String>,
}

impl Import<'_> {
    fn file(&mut self, name: &str, source: &mut Source) -> Result<(), CaptureError> {
        let (mut line, mut number, mut offset) = (Vec::new(), 0_u64, 0_u64);
        let (mut bad, mut first_bad) = (0_u64, 0);
        loop {
            line.clear();
            let read = (&mut *source).take(MAX_LINE).read_until(b'\n', &mut line);
            let read = read.map_err(|source| CaptureError::Read {
                name: name.to_owned(),
                offset,
                source,
            })?;
            if read == 0 {
                break;
            }
            let is_long = read as u64 == MAX_LINE && !line.ends_with(b"\n");
            offset += read as u64;
            if is_long {
                offset += skip_line(source);
            }
            number += 1;
            self.ledger.frames.enter(1);
            let bucket = if is_long { "line too long" } else { self.line(&line) };
            self.ledger.frames.end(bucket, 1);
            if bucket == NOT_UNDERSTOOD {
                self.ledger.note(cut::LINE, u64::from(!line.ends_with(b"\n")));
                first_bad = if bad == 0 { number } else { first_bad };
                bad += 1;
            }
        }
        if bad > 0 {
            self.warnings.push(format!(
                "{name}: {bad} lines were not understood; the first is line {first_bad}"
            ));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> &'static str {
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() || trimmed == b"OK" || trimmed == b"+OK" {
            return "line that is no command";
        }
        let Some(monitored) = monitored(line) else {
            return NOT_UNDERSTOOD;
        };
        if monitored.address == b"lua" {
            return "command of a script";
        }
        self.ledger.messages.enter(1);
        self.ledger.messages.end("request without response", 1);
        self.push(&monitored);
        "command"
    }

    fn push(&mut self, monitored: &Monitored<'_>) {
        let words: Vec<&[u8]> = monitored
            .words
            .iter()
            .map(|range| monitored.bytes.get(range.clone()).unwrap_or_default())
            .collect();
        let mut body = command(&words);
        let mut flags = Flags::SYNTHESISED;
        let is_redacted = words.contains(&REDACTED);
        self.ledger.note("commands with secrets that the server left out", is_redacted.into());
        if redact(&mut body) || is_redacted {
            flags.insert(Flags::REDACTED);
        }
        let request_body_bytes = body.len() as u64;
        if body.len() > MAX_BODY {
            body.truncate(MAX_BODY);
            flags.insert(Flags::REQUEST_TRUNCATED);
        }
        let name = words.first().copied().unwrap_or_default().to_ascii_uppercase();
        let key = if name == b"AUTH" { None } else { first_key(&words) };
        let key = key.and_then(|at| words.get(at)).copied().unwrap_or_default();
        let (method, method_escaped) = text(&name);
        let (target, target_escaped) = text(&key[..key.len().min(MAX_TARGET)]);
        if method_escaped || target_escaped {
            flags.insert(Flags::ESCAPED);
        }
        // All who come over a socket of the machine have its path for an address.
        let is_named = !monitored.address.starts_with(b"unix:");
        let (connection, seq) = self.numbers.next(is_named.then(|| monitored.address.to_vec()));
        self.ledger.note(guess::UNNAMED, u64::from(seq == ALONE));
        (self.sink)(Exchange {
            at: Duration::from_nanos(u64::try_from(monitored.at_ns).unwrap_or(0)),
            connection,
            session: fnv1a(b"address ".iter().chain(monitored.address).copied()),
            seq,
            stream: None,
            protocol: Protocol::Redis,
            method,
            scheme: Protocol::Redis.name().to_owned(),
            authority: String::new(),
            route: route_of_key(&target),
            target,
            request_head: Bytes::new(),
            request_body: body.into(),
            request_body_bytes,
            request_stored: None,
            request_chunks: None,
            response: None,
            flags,
        });
    }
}

const NOT_UNDERSTOOD: &str = "line not understood";

/// Skips to the end of a line; returns how many bytes that took. An error comes again with the
/// next line.
fn skip_line(source: &mut Source) -> u64 {
    let mut skipped = 0;
    loop {
        let (used, is_end) = match source.fill_buf() {
            Ok([]) | Err(_) => return skipped,
            Ok(bytes) => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (bytes.len(), false),
            },
        };
        source.consume(used);
        skipped += used as u64;
        if is_end {
            return skipped;
        }
    }
}
