//! A capture's TCP segments, and the account of every frame that led to one or did not.

use crate::capture::fragments::{Added, Fragments};
use crate::capture::packet::{Dissected, dissect, dissect_datagram};
use crate::capture::pcap::FrameReader;
use crate::capture::source::{Content, Source};
use crate::capture::{CaptureError, Segment};
use crate::recording::ledger::Ledger;

/// What is known about a capture once it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFacts {
    /// [`Content::Pcap`] or [`Content::Pcapng`].
    pub content: Content,
    /// Smallest step of the capture's clock, in nanoseconds; of several clocks the coarsest.
    pub clock_resolution_ns: u64,
    /// Number of frames.
    pub frames: u64,
    /// Earliest time of a frame, nanoseconds since the Unix epoch; `None` without frames.
    pub earliest_ns: Option<i64>,
    /// Latest time of a frame.
    pub latest_ns: Option<i64>,
    /// Sentences for people about what is wrong with the file, with byte offsets.
    pub warnings: Vec<String>,
}

/// What a capture holds for those who put streams together.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// A TCP segment.
    Segment(&'a Segment<'a>),
    /// Secrets of TLS connections: the text of a key log.
    Secrets(&'a [u8]),
}

/// Reads a capture to its end and hands out its TCP segments in the order of the file.
pub fn read_segments(
    source: Source,
    ledger: &mut Ledger,
    sink: &mut dyn FnMut(&Segment<'_>),
) -> Result<ReadFacts, CaptureError> {
    read_parts(source, ledger, &mut |part| {
        if let Part::Segment(segment) = part {
            sink(segment);
        }
    })
}

/// Reads a capture to its end and hands out what is in it in the order of the file.
///
/// Every frame is entered in `ledger.frames` and ends in exactly one bucket, also when reading
/// fails half-way; what is no frame becomes a note.
pub fn read_parts(
    source: Source,
    ledger: &mut Ledger,
    sink: &mut dyn FnMut(Part<'_>),
) -> Result<ReadFacts, CaptureError> {
    let content = source.content();
    if !matches!(content, Content::Pcap | Content::Pcapng) {
        return Err(source.not_a_capture());
    }
    let name = source.name().to_owned();
    let mut frames = FrameReader::new(source, &name)?;
    let mut reading = Reading { ledger, sink, fragments: Fragments::default(), frames: 0 };
    let mut times: Option<(i64, i64)> = None;
    let outcome = loop {
        let advanced = frames.advance();
        let secrets = frames.take_secrets();
        if !secrets.is_empty() {
            (reading.sink)(Part::Secrets(&secrets));
        }
        match advanced.map(|_| frames.frame()) {
            Ok(Some(frame)) => {
                let at = frame.at_ns;
                times = Some(times.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
                reading.frame(at, &dissect(&frame));
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let count = reading.frames;
    reading.finish();
    for (name, amount) in &frames.notes().counts {
        ledger.note(name, *amount);
    }
    outcome?;
    let mut warnings = frames.notes().warnings.clone();
    if let Some(damage) = frames.source().damage() {
        ledger.note("compressed input is cut or damaged", 1);
        warnings.push(format!("{damage}: what comes before it was used"));
    }
    Ok(ReadFacts {
        content,
        clock_resolution_ns: frames.clock_resolution_ns(),
        frames: count,
        earliest_ns: times.map(|(earliest, _)| earliest),
        latest_ns: times.map(|(_, latest)| latest),
        warnings,
    })
}

/// The state between frames.
struct Reading<'a> {
    ledger: &'a mut Ledger,
    sink: &'a mut dyn FnMut(Part<'_>),
    fragments: Fragments,
    frames: u64,
}

impl Reading<'_> {
    fn frame(&mut self, at_ns: i64, dissected: &Dissected<'_>) {
        self.frames += 1;
        self.ledger.frames.enter(1);
        match dissected {
            Dissected::Segment(segment) => {
                self.segment(segment);
                self.ledger.frames.end(bucket(segment), 1);
            }
            Dissected::Other(bucket) => self.ledger.frames.end(bucket, 1),
            Dissected::Fragment(fragment) => {
                let added = self.fragments.add(fragment, self.frames, 1);
                self.added(at_ns, added, 1);
                self.give_up();
            }
        }
    }

    /// Follows a fragment to what it completes, which may be a fragment again. This ends, since
    /// what is inside of a datagram is smaller than the datagram.
    fn added(&mut self, at_ns: i64, mut added: Added, mut frames: u64) {
        loop {
            let datagram = match added {
                Added::Held => return,
                Added::Malformed => {
                    return self.ledger.frames.end("ip fragment malformed", frames);
                }
                Added::Whole(datagram) => datagram,
            };
            frames = datagram.frames;
            match dissect_datagram(at_ns, &datagram) {
                Dissected::Segment(segment) => {
                    self.segment(&segment);
                    return self.ledger.frames.end("ip fragment", frames);
                }
                Dissected::Other(bucket) => return self.ledger.frames.end(bucket, frames),
                Dissected::Fragment(inner) => {
                    added = self.fragments.add(&inner, self.frames, frames);
                }
            }
        }
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        self.ledger.note("tcp payload bytes cut by snaplen", u64::from(segment.cut_bytes));
        (self.sink)(Part::Segment(segment));
    }

    fn give_up(&mut self) {
        let given_up = self.fragments.take_given_up();
        self.ledger.frames.end("ip fragment of incomplete datagram", given_up.frames);
        self.ledger.note("incomplete ip datagram", given_up.datagrams);
        self.ledger.note("ip fragments overlap with other bytes", given_up.overlaps);
    }

    fn finish(mut self) {
        self.fragments.finish();
        self.give_up();
    }
}

fn bucket(segment: &Segment<'_>) -> &'static str {
    match (segment.payload, segment.cut_bytes) {
        ([], 0) => "tcp without payload",
        ([], _) => "tcp payload cut by snaplen",
        _ => "tcp payload",
    }
}
