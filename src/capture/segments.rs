//! A capture's TCP segments, and the account of every frame that led to one or did not.

use crate::capture::fragments::{Added, Fragments};
use crate::capture::merge::{Member, Piece, members, merge};
use crate::capture::packet::{Dissected, dissect, dissect_datagram};
use crate::capture::source::{Content, Source};
use crate::capture::{CaptureError, Segment};
use crate::recording::ledger::Ledger;
use crate::units::format_count;

/// What is known about a capture once it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFacts {
    /// The capture's name.
    pub name: String,
    /// [`Content::Pcap`] or [`Content::Pcapng`].
    pub content: Content,
    /// Smallest step of the capture's clock, in nanoseconds; of several clocks the coarsest.
    pub clock_resolution_ns: u64,
    /// Number of its frames.
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
    let name = source.name().to_owned();
    let facts = read_merged(vec![source], ledger, &mut |part| {
        if let Part::Segment(segment) = part {
            sink(segment);
        }
    })?;
    facts.into_iter().next().ok_or(CaptureError::Empty { name })
}

/// Reads captures to their ends and hands out what is in them in the order of time, as
/// [`merge`](crate::capture::merge) tells it; what is known about each of them, in the order of
/// their first frames. Warnings name the file where there are several.
///
/// An IP datagram may have fragments in several of them.
pub fn read_merged(
    sources: Vec<Source>,
    ledger: &mut Ledger,
    sink: &mut dyn FnMut(Part<'_>),
) -> Result<Vec<ReadFacts>, CaptureError> {
    let is_packets = |source: &Source| matches!(source.content(), Content::Pcap | Content::Pcapng);
    if let Some(other) = sources.iter().find(|source| !is_packets(source)) {
        return Err(other.not_a_capture());
    }
    let mut members = members(sources)?;
    let mut reading = Reading { ledger, sink, fragments: Fragments::default(), frames: 0 };
    let outcome = merge(&mut members, &mut |piece| match piece {
        Piece::Frame(frame) => reading.frame(frame.at_ns, &dissect(frame)),
        Piece::Secrets(text) => (reading.sink)(Part::Secrets(text)),
    });
    reading.finish();
    let is_one = members.len() == 1;
    let facts = members.iter().map(|member| facts(member, is_one, ledger)).collect();
    outcome.map(|()| facts)
}

/// What is known about one of the captures; its notes become those of the ledger.
fn facts(member: &Member, is_one: bool, ledger: &mut Ledger) -> ReadFacts {
    let source = member.frames.source();
    for (name, amount) in &member.frames.notes().counts {
        ledger.note(name, *amount);
    }
    let mut warnings = member.frames.notes().warnings.clone();
    warnings.extend(source.note_damage(ledger));
    if !is_one {
        for warning in &mut warnings {
            *warning = format!("{}: {warning}", source.name());
        }
    }
    ReadFacts {
        name: source.name().to_owned(),
        content: source.content(),
        clock_resolution_ns: member.frames.clock_resolution_ns(),
        frames: member.count,
        earliest_ns: member.times.map(|(earliest, _)| earliest),
        latest_ns: member.times.map(|(_, latest)| latest),
        warnings,
    }
}

/// Says that captures of one time saw the same traffic: two fifths of the payload came again,
/// which no network does on its own.
pub(crate) fn repeated_payload(facts: &[ReadFacts], ledger: &Ledger) -> Option<String> {
    let overlap = |pair: &[ReadFacts]| matches!(pair, [a, b] if b.earliest_ns < a.latest_ns);
    let (again, all) = (ledger.stream_bytes.count("retransmitted"), ledger.stream_bytes.total);
    (facts.windows(2).any(overlap) && again > 0 && again / 2 >= all / 5).then(|| {
        format!(
            "captures overlap in time and {} of {} payload bytes were captured again, as at two \
             interfaces: each is used once",
            format_count(again),
            format_count(all)
        )
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
