//! Frames of several captures, in the order of time.
//!
//! Pieces of one capture come one after the other, captures of one time are interleaved; neither
//! depends on the order in which they are named. The rule: the capture whose next frame is due
//! first is read next. A frame is due at its own time, but not before an earlier frame of its
//! file, since a file is read from front to back: where its clock steps back, what follows waits
//! for nobody. Captures whose frames are due at one time are read in the order of their first
//! frames, then of their names.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::capture::CaptureError;
use crate::capture::frame::Frame;
use crate::capture::pcap::FrameReader;
use crate::capture::source::Source;

/// What a capture holds.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// The next frame.
    Frame(&'a Frame<'a>),
    /// Secrets of TLS connections that stand before the next frame: the text of a key log.
    Secrets(&'a [u8]),
}

/// A capture of several that are read together.
#[derive(Debug)]
pub(crate) struct Member {
    /// The file.
    pub(crate) frames: FrameReader<Source>,
    /// Its frames so far.
    pub(crate) count: u64,
    /// Earliest and latest time of them.
    pub(crate) times: Option<(i64, i64)>,
    /// When the next frame is due; `None` at the end.
    due_ns: Option<i64>,
}

/// Opens captures and puts them in the order of their first frames.
pub(crate) fn members(sources: Vec<Source>) -> Result<Vec<Member>, CaptureError> {
    let mut members = Vec::new();
    for source in sources {
        let name = source.name().to_owned();
        let shift_ns = source.clock_shift_ns();
        let mut frames = FrameReader::new(source, &name)?;
        frames.shift_clock(shift_ns);
        let due_ns = frames.peek()?;
        members.push(Member { frames, count: 0, times: None, due_ns });
    }
    // One without frames is over at once, wherever it stands.
    let name = |member: &Member| member.frames.source().name().to_owned();
    members.sort_by_cached_key(|member| (member.due_ns, name(member)));
    Ok(members)
}

/// Hands out the frames of all members in the order in which they are due.
pub(crate) fn merge(
    members: &mut [Member],
    sink: &mut dyn FnMut(Piece<'_>),
) -> Result<(), CaptureError> {
    for member in &mut *members {
        member.tell_secrets(sink);
    }
    let due = |(rank, member): (usize, &Member)| Some(Reverse((member.due_ns?, rank)));
    let mut heap: BinaryHeap<_> = members.iter().enumerate().filter_map(due).collect();
    while let Some(Reverse((_, rank))) = heap.pop() {
        let Some(member) = members.get_mut(rank) else { break };
        let next = heap.peek().map(|Reverse(next)| *next);
        // A capture is read on while it is first, which is all of it where times do not overlap.
        while let Some(due_ns) = member.due_ns
            && next.is_none_or(|next| (due_ns, rank) < next)
        {
            member.hand_out(due_ns, sink)?;
        }
        heap.extend(member.due_ns.map(|due_ns| Reverse((due_ns, rank))));
    }
    Ok(())
}

impl Member {
    fn hand_out(
        &mut self,
        due_ns: i64,
        sink: &mut dyn FnMut(Piece<'_>),
    ) -> Result<(), CaptureError> {
        if let Some(frame) = self.frames.next()? {
            let at = frame.at_ns;
            self.count += 1;
            self.times = Some(self.times.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
            sink(Piece::Frame(&frame));
        }
        self.due_ns = self.frames.peek()?.map(|at_ns| at_ns.max(due_ns));
        self.tell_secrets(sink);
        Ok(())
    }

    /// Secrets come as soon as they are met: nothing has to wait for them then.
    fn tell_secrets(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        let secrets = self.frames.take_secrets();
        if !secrets.is_empty() {
            sink(Piece::Secrets(&secrets));
        }
    }
}
