//! One file of a recording under way.

use std::path::PathBuf;
use std::time::Duration;

use crate::capture::import;
use crate::recording::closings::{self, MAX_CLOSINGS};
use crate::recording::file::RecordingError;
use crate::recording::file::writer::RecordingWriter;
use crate::recording::handshakes::{self, Handshakes};
use crate::recording::ledger::Ledger;
use crate::recording::redaction::Redactor;
use crate::recording::{Exchange, FORMAT_VERSION, Flags, Header, Part as Place, Servers};

/// Where exchanges end whose file could not be written.
pub(super) const NOT_WRITTEN: &str = "exchange, its file could not be written";

/// A file, and what is known of it so far.
pub(super) struct Part {
    pub(super) path: PathBuf,
    writer: Option<RecordingWriter>,
    redactor: Option<Redactor>,
    /// Which of several files it is, once it is finished.
    pub(super) place: Option<Place>,
    /// Its beginning, nanoseconds since the Unix epoch; of the first file of all it is the first
    /// payload's moment.
    pub(super) started_ns: Option<i64>,
    /// Exchanges that it was given, written or not.
    pub(super) exchanges: u64,
    /// What became of every byte in its time; complete once it was cut.
    pub(super) ledger: Ledger,
    /// Connections that closed in its time and when, nanoseconds since the Unix epoch; at most
    /// [`MAX_CLOSINGS`].
    closed: Vec<(u64, i64)>,
    /// How the connections began whose first exchange was complete in its time.
    handshakes: Handshakes,
    /// The last moment of its time.
    pub(super) latest_ns: i64,
}

impl Part {
    /// Begins a file. An error is the disk's; the part is then there to count what it loses.
    pub(super) fn begin(
        path: PathBuf,
        started_ns: Option<i64>,
        redactor: Option<Redactor>,
    ) -> (Self, Option<RecordingError>) {
        let (writer, error) = match RecordingWriter::create(&path) {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(error)),
        };
        (Self { writer, redactor, started_ns, ..Self::none(path) }, error)
    }

    /// No file.
    pub(super) fn none(path: PathBuf) -> Self {
        Self {
            path,
            writer: None,
            redactor: None,
            place: None,
            started_ns: None,
            exchanges: 0,
            ledger: Ledger::default(),
            closed: Vec::new(),
            handshakes: Handshakes::default(),
            latest_ns: 0,
        }
    }

    /// It takes no exchanges any more: the disk refused one.
    pub(super) fn is_lost(&self) -> bool {
        self.writer.is_none()
    }

    /// The size of its file so far, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.writer.as_ref().map_or(0, RecordingWriter::size)
    }

    /// Takes an exchange, whose `at` counts from `origin_ns`.
    pub(super) fn keep(
        &mut self,
        mut exchange: Exchange,
        origin_ns: i64,
    ) -> Result<(), RecordingError> {
        self.exchanges += 1;
        let started_ns = *self.started_ns.get_or_insert(origin_ns);
        if move_to(&mut exchange, origin_ns, started_ns) {
            self.ledger.note(BEGAN_BEFORE, 1);
        }
        if let Some(redactor) = &mut self.redactor {
            redactor.redact(&mut exchange);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let pushed = writer.push(exchange);
        if pushed.is_err() {
            // What there is of it takes room that the next one may need.
            self.writer = None;
        }
        pushed
    }

    /// Takes connections that have closed; those there is no room for are counted.
    pub(super) fn keep_closed(&mut self, closed: Vec<(u64, i64)>) {
        let room = MAX_CLOSINGS.saturating_sub(self.closed.len());
        self.ledger.note(closings::UNKEPT, closed.len().saturating_sub(room) as u64);
        self.closed.extend(closed.into_iter().take(room));
    }

    /// Takes how connections began; those there is no room for are counted.
    pub(super) fn keep_handshakes(&mut self, begun: &Handshakes) {
        let unkept = self.handshakes.merge(begun, 0);
        self.ledger.note(handshakes::UNKEPT, unkept);
    }

    /// What goes into its file, and its header; no writer where it was lost.
    pub(super) fn ended(
        self,
        origin: String,
        servers: Servers,
    ) -> (Option<RecordingWriter>, Header) {
        let started_unix_ns = self.started_ns.unwrap_or(self.latest_ns);
        let redactor = self.redactor.as_ref();
        let header = Header {
            format_version: FORMAT_VERSION,
            origin,
            started_unix_ns,
            duration_ns: u64::try_from(self.latest_ns - started_unix_ns).unwrap_or(0),
            clock_resolution_ns: 1,
            exchanges: self.exchanges,
            connections: 0,
            servers,
            redacted_headers: redactor.map_or(Vec::new(), Redactor::headers),
            redaction: redactor.map(Redactor::account),
            ledger: self.ledger,
            closings: import::closings(&self.closed, started_unix_ns),
            handshakes: self.handshakes,
            part: self.place,
        };
        (self.writer, header)
    }
}

/// Requests that had begun when their file did: they were long under way when it was cut.
const BEGAN_BEFORE: &str = "requests that began before the file, put at its start";

/// Counts the moments of an exchange from the start of a file instead of from `origin_ns`. Where it
/// had begun before, it is put at the start, and every later moment stays where it was; tells
/// whether it had.
fn move_to(exchange: &mut Exchange, origin_ns: i64, started_ns: i64) -> bool {
    let shift = Duration::from_nanos(started_ns.abs_diff(origin_ns));
    if started_ns <= origin_ns {
        exchange.at += shift;
        return false;
    }
    let before = shift.saturating_sub(exchange.at);
    exchange.at = exchange.at.saturating_sub(shift);
    if before.is_zero() {
        return false;
    }
    exchange.flags.insert(Flags::MID_STREAM);
    if let Some(response) = &mut exchange.response {
        for moment in [&mut response.first_byte, &mut response.last_byte].into_iter().flatten() {
            *moment = moment.saturating_sub(before);
        }
    }
    true
}

/// The account of a file that could not be written, to go on to the next.
pub(super) fn unwritten(mut ledger: Ledger) -> Ledger {
    for bucket in ["exchange", "request without response"] {
        ledger.messages.rename(bucket, NOT_WRITTEN);
    }
    ledger
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::recording::jsonl::read_lines;

    fn took_three_seconds(at: Duration) -> Exchange {
        let line = r#"{"at_ns":0,"connection":0,"method":"GET","authority":"shop",
            "target":"/","status":200,
            "first_byte_ns":1000000000,"last_byte_ns":3000000000}"#;
        let mut read = Vec::new();
        let mut input = Cursor::new(line.replace('\n', ""));
        read_lines(&mut input, "test", &mut |exchange| {
            read.push(exchange);
            Ok(())
        })
        .unwrap();
        Exchange { at, ..read.remove(0) }
    }

    #[test]
    fn what_began_before_its_file_is_put_at_its_start_and_ends_when_it_did() {
        let seconds = |moment: &Option<Duration>| moment.map(|moment| moment.as_secs());
        for (at, started, expected) in [
            (7, 0, (7, Some(1), Some(3), false)),
            (7, 5, (2, Some(1), Some(3), false)),
            (7, 9, (0, Some(0), Some(1), true)),
            // The first payload came after the file began.
            (7, -2, (9, Some(1), Some(3), false)),
        ] {
            let mut exchange = took_three_seconds(Duration::from_secs(at));
            let origin = 1_000_000_000_000;
            let moved = move_to(&mut exchange, origin, origin + started * 1_000_000_000);
            let response = exchange.response.as_ref().unwrap();
            let shown = (
                exchange.at.as_secs(),
                seconds(&response.first_byte),
                seconds(&response.last_byte),
                moved,
            );
            assert_eq!(shown, expected, "at {at}, file from {started}");
            assert_eq!(exchange.flags.contains(Flags::MID_STREAM), moved);
        }
    }
}
