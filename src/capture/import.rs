//! A capture becomes exchanges: segments to streams, streams to messages, messages to pairs.

mod made;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use crate::capture::import::tally::{Tally, between};
use crate::capture::pairing::Paired;
use crate::capture::segments::{Part, read_merged, repeated_payload};
use crate::capture::source::{Content, Source};
use crate::capture::streams::Streams;
use crate::capture::tcp::{Event, Reassembly, What};
use crate::capture::tls::keylog::Secrets;
use crate::capture::{CaptureError, Segment};
use crate::recording::closings::{self, Closings, MAX_CLOSINGS};
use crate::recording::handshakes::Handshakes;
use crate::recording::ledger::Ledger;
use crate::recording::stored::spool::Spool;
use crate::recording::{Exchange, Servers};

/// Most authorities and most server addresses kept. They are what a replay must never be sent
/// to, so the bound is far above any real capture, and exceeding it is noted.
pub const MAX_SERVERS: usize = 1 << 20;

/// Longest authority kept, in bytes: a host name has 255 at most, a port 5.
pub const MAX_AUTHORITY: usize = 261;

/// What an import yields, in order of completion, not of time.
#[expect(clippy::large_enum_variant, reason = "nearly all of what is found is exchanges")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A request, and its response where there was one.
    Exchange(Exchange),
    /// A response that no captured request asked for.
    OrphanResponse {
        /// First byte of the response, since the recording's start.
        at: Duration,
        /// The connection, numbered like those of exchanges.
        connection: u64,
        /// Its status.
        status: u16,
        /// Bytes of its body; `None` when it was not whole.
        body_bytes: Option<u64>,
    },
}

/// What is known about a capture once all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Capture time of the first payload, nanoseconds since the Unix epoch.
    pub started_unix_ns: i64,
    /// From there to the latest payload, in nanoseconds.
    pub duration_ns: u64,
    /// Smallest step of the capture's clock, in nanoseconds; of several clocks the coarsest.
    pub clock_resolution_ns: u64,
    /// Who answered.
    pub servers: Servers,
    /// Number of exchanges, with and without response.
    pub exchanges: u64,
    /// Number of connections with at least one exchange.
    pub connections: u64,
    /// Number of responses without request.
    pub orphans: u64,
    /// What became of every frame, byte and message.
    pub ledger: Ledger,
    /// When connections of HTTP/1 were closed, or the capture ended.
    pub closings: Closings,
    /// How connections began to speak TLS.
    pub handshakes: Handshakes,
    /// Sentences for people about what is wrong with the files.
    pub warnings: Vec<String>,
}

/// Reads captures in the order of time, whatever the order in which they are given: pieces of one
/// capture come one after the other, captures of one time are merged frame by frame. What two of
/// them saw both is a retransmission, and counted as such.
pub fn read_capture(
    sources: Vec<Source>,
    sink: &mut dyn FnMut(Found),
) -> Result<Imported, CaptureError> {
    read_capture_with(sources, Secrets::default(), None, false, sink)
}

/// The same, with secrets of TLS connections in it; pcapng files may bring more of them. Bodies
/// that are too large for memory are kept whole where there is a spool for them; `contents` are
/// kept of the bodies of answers where they are asked for.
pub fn read_capture_with(
    sources: Vec<Source>,
    secrets: Secrets,
    spool: Option<Arc<Spool>>,
    contents: bool,
    sink: &mut dyn FnMut(Found),
) -> Result<Imported, CaptureError> {
    let may_grow = sources.iter().any(|source| source.content() == Content::Pcapng);
    let mut import = Import::default();
    import.streams.set_secrets(secrets, may_grow);
    if let Some(spool) = spool {
        import.keep_bodies(spool);
    }
    if contents {
        import.keep_contents();
    }
    let mut frames = Ledger::default();
    let facts = read_merged(sources, &mut frames, &mut |part| match part {
        Part::Segment(segment) => import.segment(segment, sink),
        Part::Secrets(text) => import.streams.add_secrets(text),
    })?;
    let mut imported = import.finish(sink);
    imported.ledger.merge(&frames);
    let steps = facts.iter().map(|facts| facts.clock_resolution_ns);
    imported.clock_resolution_ns = steps.max().unwrap_or(0);
    let repeated = repeated_payload(&facts, &imported.ledger);
    imported.warnings = facts.into_iter().flat_map(|facts| facts.warnings).collect();
    imported.warnings.extend(repeated);
    Ok(imported)
}

/// An import under way, for segments from anywhere.
#[derive(Debug, Default)]
pub struct Import {
    reassembly: Reassembly,
    streams: Streams,
    tally: Tally,
    ledger: Ledger,
    /// Capture time of the first segment, until one has payload.
    first_ns: Option<i64>,
    /// What [`Import::event`] brings was inside of TLS.
    is_inside_tls: bool,
    /// Connections that have closed and when, nanoseconds since the Unix epoch.
    closed: Vec<(u64, i64)>,
    /// Capture time of the latest segment.
    latest_ns: i64,
}

impl Import {
    /// Takes the next segment.
    pub fn segment(&mut self, segment: &Segment<'_>, sink: &mut dyn FnMut(Found)) {
        self.latest_ns = self.latest_ns.max(segment.at_ns);
        let Self { reassembly, streams, tally, ledger, first_ns, closed, .. } = self;
        first_ns.get_or_insert(segment.at_ns);
        if !segment.payload.is_empty() {
            tally.saw(segment.at_ns);
        }
        reassembly.segment(segment, ledger, &mut |event, ledger| {
            streams.event(&event, ledger, &mut |origin, paired| {
                sink(tally.found(origin, paired));
            });
            keep_closed(closed, streams.take_closed(), segment.at_ns, ledger);
        });
    }

    /// Takes the next event of a connection whose bytes needed no reassembly: each piece of it is
    /// entered as a frame. `at_ns` is its moment, nanoseconds since the Unix epoch.
    pub fn event(&mut self, at_ns: i64, event: &Event<'_>, sink: &mut dyn FnMut(Found)) {
        let Self { streams, tally, ledger, is_inside_tls, closed, .. } = self;
        match event.what {
            What::Data(data) => {
                let bytes = data.bytes.len() as u64;
                ledger.frames.enter(1);
                ledger.frames.end("passed on", 1);
                ledger.stream_bytes.enter(bytes);
                tally.saw(data.mark.at_ns);
            }
            What::Gap(bytes) => {
                ledger.note("gaps", 1);
                ledger.note("gap bytes", bytes);
            }
            What::End(_) | What::Closed => {}
        }
        streams.event(event, ledger, &mut |origin, mut paired| {
            if let (true, Paired::Exchange(request, _)) = (*is_inside_tls, &mut paired) {
                request.came_inside_tls();
            }
            sink(tally.found(origin, paired));
        });
        keep_closed(closed, streams.take_closed(), at_ns, ledger);
    }

    /// Connections that have closed since this was asked, and when, nanoseconds since the Unix
    /// epoch.
    pub fn take_closed(&mut self) -> Vec<(u64, i64)> {
        std::mem::take(&mut self.closed)
    }

    /// How the connections began to speak TLS whose first exchange was complete since this was
    /// asked.
    pub fn take_handshakes(&mut self) -> Handshakes {
        std::mem::take(&mut self.tally.handshakes)
    }

    /// Keeps a digest of each answer's body, and the fields of JSON.
    pub fn keep_contents(&mut self) {
        self.streams.keep_contents();
    }

    /// Keeps bodies whole that are too large for memory.
    pub fn keep_bodies(&mut self, spool: Arc<Spool>) {
        self.streams.keep_bodies(spool);
    }

    /// What [`Import::event`] is told was inside of TLS, though it comes without it.
    pub fn inside_tls(&mut self) {
        self.is_inside_tls = true;
    }

    /// The earliest moment of the recording, nanoseconds since the Unix epoch; `None` before there
    /// was any payload.
    pub fn started_unix_ns(&self) -> Option<i64> {
        self.tally.start_ns
    }

    /// The latest moment at which there was payload.
    pub fn latest_unix_ns(&self) -> i64 {
        self.tally.latest_ns
    }

    /// Who answered so far.
    pub fn servers(&self) -> Servers {
        self.tally.servers()
    }

    /// The account so far, for a file that ends now; what is under way goes on to the next.
    pub fn take_ledger(&mut self) -> Ledger {
        self.ledger.take_ended()
    }

    /// Hands the account of a message over to the file that it went to.
    pub fn hand_over(&mut self, bucket: &str, to: &mut Ledger) {
        self.ledger.messages.hand_over(bucket, &mut to.messages);
    }

    /// Ends all connections and says what was found. The clock's resolution is not known here.
    pub fn finish(self, sink: &mut dyn FnMut(Found)) -> Imported {
        let latest_ns = self.latest_ns.max(self.tally.latest_ns);
        let Self { reassembly, mut streams, mut tally, mut ledger, first_ns, mut closed, .. } =
            self;
        reassembly.finish(&mut ledger, &mut |event, ledger| {
            streams.event(&event, ledger, &mut |origin, paired| {
                sink(tally.found(origin, paired));
            });
            keep_closed(&mut closed, streams.take_closed(), latest_ns, ledger);
        });
        streams.end_secrets(&mut ledger, &mut |origin, paired| sink(tally.found(origin, paired)));
        tally.account(&mut ledger);
        let started = tally.start_ns.or(first_ns).unwrap_or(0);
        let duration = i128::from(tally.latest_ns.max(started)) - i128::from(started);
        Imported {
            started_unix_ns: started,
            duration_ns: u64::try_from(duration).unwrap_or(u64::MAX),
            clock_resolution_ns: 0,
            servers: tally.servers(),
            closings: closings(&closed, started),
            handshakes: std::mem::take(&mut tally.handshakes),
            exchanges: tally.exchanges,
            connections: tally.connections,
            orphans: tally.orphans,
            ledger,
            warnings: Vec::new(),
        }
    }
}

fn keep_closed(
    closed: &mut Vec<(u64, i64)>,
    connection: Option<u64>,
    at_ns: i64,
    ledger: &mut Ledger,
) {
    let Some(connection) = connection else { return };
    if closed.len() < MAX_CLOSINGS {
        closed.push((connection, at_ns));
    } else {
        ledger.note(closings::UNKEPT, 1);
    }
}

/// When connections were closed, since `started_ns`.
pub fn closings(closed: &[(u64, i64)], started_ns: i64) -> Closings {
    let mut closings = Closings::default();
    for (connection, at_ns) in closed {
        closings.add(*connection, between(started_ns, *at_ns));
    }
    closings
}
