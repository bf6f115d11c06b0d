//! Recordings as JSON Lines, an exchange each, with the names of the columns: the way in and out
//! for other programs.
//!
//! Bytes are a string where they are text, else `{"base64": "..."}`; a digest is 32 hexadecimal
//! digits. Required are `at_ns`, `method`, `target` and `authority`; the rest has defaults, and a
//! request without a head gets a plain one. A line that cannot be used is counted, never guessed.

pub mod line;
mod blob;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read, Write};

use crate::recording::file::{self, CELL_BYTES_MAX, RecordingError};
use crate::recording::handshakes::{self, Handshakes};
use crate::recording::jsonl::line::{BadLine, Line, Numbering};
use crate::recording::ledger::{Ledger, cut};
use crate::recording::{Exchange, Flags, Servers, host_of};

/// Longest line read, in bytes: room for the largest body in base64 and for the heads. The rest of
/// a longer line is skipped, so that a file without line ends does not fill the memory.
pub const LINE_BYTES_MAX: usize = 192 * 1024 * 1024;

/// Most authorities and numbered connections remembered, each; a few hundred megabytes.
pub const REMEMBERED_MAX: usize = 1 << 22;

/// Writes an exchange as one line; false where its body is too large for a line, which then says
/// how long it was and that it was cut.
pub fn write_line(exchange: &Exchange, out: &mut dyn Write) -> io::Result<bool> {
    write_line_of(exchange, &Handshakes::default(), out)
}

/// The same, in a recording that knows how connections began: the first line of each tells it.
pub fn write_line_of(
    exchange: &Exchange,
    handshakes: &Handshakes,
    out: &mut dyn Write,
) -> io::Result<bool> {
    match &exchange.request_stored {
        None => write_held(exchange, handshakes, out).map(|()| true),
        Some(stored) => {
            let mut held = Exchange { request_stored: None, ..exchange.clone() };
            let is_whole = stored.length() <= CELL_BYTES_MAX as u64;
            if is_whole {
                held.request_body = stored.front(CELL_BYTES_MAX)?.into();
            } else {
                held.flags.insert(Flags::REQUEST_TRUNCATED);
            }
            write_held(&held, handshakes, out).map(|()| is_whole)
        }
    }
}

fn write_held(exchange: &Exchange, handshakes: &Handshakes, out: &mut dyn Write) -> io::Result<()> {
    let mut line = Line::of(exchange).map_err(|problem| {
        io::Error::new(io::ErrorKind::InvalidData, format!("cannot write an exchange: {problem}"))
    })?;
    if exchange.seq == 0 {
        line.tls_resumed = handshakes.of(exchange.connection);
    }
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// What was read, as far as a header needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// In `frames` every line, in `messages` every exchange.
    pub ledger: Ledger,
    /// The authorities of all exchanges; JSON Lines have no addresses.
    pub servers: Servers,
    /// The first line that could not be used, for people.
    pub first_bad: Option<BadLine>,
    /// How connections began, of which a line tells it.
    pub handshakes: Handshakes,
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
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
        "{file}: none of {lines} lines is an exchange; the first problem is in line {}",
        bad.as_ref().map_or_else(|| "1: the file is empty".to_owned(), ToString::to_string)
    )]
    NothingUsable {
        /// Name of the file.
        file: String,
        /// How many lines there were.
        lines: u64,
        /// The first of them that is not empty.
        bad: Option<BadLine>,
    },
    /// More of something than is remembered.
    #[error("{file}: line {line} is beyond {REMEMBERED_MAX} {things}; import parts of the file")]
    TooMany {
        /// Name of the file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Connections or authorities.
        things: &'static str,
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

/// Reads exchanges, in the order of their lines, which need not be that of time. `file` names the
/// input in errors.
pub fn read_lines(
    input: &mut dyn BufRead,
    file: &str,
    sink: &mut dyn FnMut(Exchange) -> Result<(), RecordingError>,
) -> Result<Imported, JsonlError> {
    let mut import = Import { file, ..Import::default() };
    let mut text = Vec::new();
    for number in 1.. {
        let read = read_line(input, &mut text, LINE_BYTES_MAX)
            .map_err(|source| JsonlError::Read { file: file.to_owned(), line: number, source })?;
        let Some(length) = read else {
            break;
        };
        import.ledger.frames.enter(1);
        if let Some(exchange) = import.line(number, length, &text) {
            if let Some(things) = import.remember(&exchange) {
                return Err(JsonlError::TooMany { file: file.to_owned(), line: number, things });
            }
            sink(exchange).map_err(|source| JsonlError::Keep {
                file: file.to_owned(),
                line: number,
                source,
            })?;
        }
    }
    import.finish()
}

/// Reads up to and including a line end. Returns how long the line is, `None` at the end of the
/// input; `text` has the line, unless it reaches `limit`.
pub(crate) fn read_line(
    input: &mut dyn BufRead,
    text: &mut Vec<u8>,
    limit: usize,
) -> io::Result<Option<Length>> {
    text.clear();
    let read = input.take(limit as u64).read_until(b'\n', text)?;
    if read == 0 {
        return Ok(None);
    }
    if read < limit || text.ends_with(b"\n") {
        return Ok(Some(Length::Whole));
    }
    text.clear();
    loop {
        let (used, ended) = {
            let more = match input.fill_buf() {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match more.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (more.len(), more.is_empty()),
            }
        };
        input.consume(used);
        if ended {
            return Ok(Some(Length::TooLong));
        }
    }
}

/// How long a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Whole,
    TooLong,
}

#[derive(Default)]
struct Import<'a> {
    file: &'a str,
    ledger: Ledger,
    authorities: BTreeSet<String>,
    /// Next position on each connection that had a number.
    positions: BTreeMap<u64, u32>,
    handshakes: Handshakes,
    numbering: Option<Numbering>,
    first_bad: Option<BadLine>,
}

impl Import<'_> {
    /// The exchange of a line, if it is one; counts it in any case.
    fn line(&mut self, number: u64, length: Length, text: &[u8]) -> Option<Exchange> {
        // A byte order mark is no part of the first line.
        let text =
            if number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        if length == Length::Whole && text.trim_ascii().is_empty() {
            self.ledger.frames.end("empty line", 1);
            return None;
        }
        let parsed = match length {
            Length::Whole => self.parse(number, text),
            Length::TooLong => {
                Err(BadLine::new(number, format!("longer than {LINE_BYTES_MAX} bytes")))
            }
        };
        match parsed {
            Ok(exchange) => {
                self.ledger.frames.end("exchange line", 1);
                self.ledger.messages.enter(1);
                let bucket = match exchange.response {
                    Some(_) => "exchange",
                    None => "request without response",
                };
                self.ledger.messages.end(bucket, 1);
                Some(exchange)
            }
            Err(bad) => {
                self.ledger.frames.end("line not understood", 1);
                let is_cut = length == Length::Whole && !text.ends_with(b"\n");
                self.ledger.note(cut::LINE, u64::from(is_cut));
                if self.first_bad.is_none() {
                    let note = format!("first line not understood in {}: line {bad}", self.file);
                    self.ledger.note(&note, 1);
                    self.first_bad = Some(bad);
                }
                None
            }
        }
    }

    fn parse(&mut self, number: u64, text: &[u8]) -> Result<Exchange, BadLine> {
        let line = Line::parse(number, text)?;
        let numbering = line.numbering();
        if self.numbering.is_some_and(|before| before != numbering) {
            let problem = "`connection` must be in every line or in none";
            return Err(BadLine::new(number, problem.to_owned()));
        }
        let position = match line.connection {
            Some(connection) => self.positions.get(&connection).copied().unwrap_or(0),
            None => 0,
        };
        let is_resumed = line.tls_resumed;
        let exchange = line.exchange(number, position)?;
        file::check(&exchange).map_err(|error| BadLine::new(number, error.to_string()))?;
        self.numbering = Some(numbering);
        let handshake = is_resumed.map(|it| self.handshakes.add(exchange.connection, it));
        self.ledger.note(handshakes::UNKEPT, u64::from(handshake == Some(false)));
        Ok(exchange)
    }

    /// Remembers what an exchange adds; names what there is too much of.
    fn remember(&mut self, exchange: &Exchange) -> Option<&'static str> {
        if self.numbering == Some(Numbering::Given) {
            let next = exchange.seq.saturating_add(1);
            let position = self.positions.entry(exchange.connection).or_default();
            *position = next.max(*position);
        }
        let authority = host_of(&exchange.authority);
        if !authority.is_empty() && !self.authorities.contains(&authority) {
            self.authorities.insert(authority);
        }
        if self.positions.len() > REMEMBERED_MAX {
            return Some("connections");
        }
        (self.authorities.len() > REMEMBERED_MAX).then_some("authorities")
    }

    fn finish(self) -> Result<Imported, JsonlError> {
        if self.ledger.messages.total == 0 {
            return Err(JsonlError::NothingUsable {
                file: self.file.to_owned(),
                lines: self.ledger.frames.total,
                bad: self.first_bad,
            });
        }
        let authorities = self.authorities.into_iter().collect();
        Ok(Imported {
            ledger: self.ledger,
            servers: Servers { authorities, addresses: Vec::new() },
            first_bad: self.first_bad,
            handshakes: self.handshakes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn a_line_beyond_the_limit_is_skipped_to_its_end() {
        for buffer in 1..20 {
            let text = b"12345678\n1234\n\n123456789".as_slice();
            let mut input = BufReader::with_capacity(buffer, text);
            let mut line = Vec::new();
            let mut read = || {
                let length = read_line(&mut input, &mut line, 8).unwrap()?;
                Some((length, line.clone()))
            };
            assert_eq!(read(), Some((Length::TooLong, vec![])));
            assert_eq!(read(), Some((Length::Whole, b"1234\n".to_vec())));
            assert_eq!(read(), Some((Length::Whole, b"\n".to_vec())));
            assert_eq!(read(), Some((Length::TooLong, vec![])));
            assert_eq!(read(), None);
        }
    }
}
