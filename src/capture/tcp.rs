//! Byte streams out of TCP segments: in order, without duplicates, with every missing byte said.
//!
//! Both directions of a connection are put together side by side, because each tells about the
//! other: what one side has acknowledged was received, so it is either late in the capture or
//! lost to it, and data that acknowledges bytes of the other side was sent after them. Events of
//! a connection therefore come in causal order even where the capture is shuffled a little.
//!
//! The policies, stated once: of overlapping bytes the first seen win; a hole is waited for until
//! the receiver is known to have the bytes (and a few segments more), or a limit is reached, and
//! is then a gap; a stream without handshake begins at the first of its first few segments;
//! urgent data is ordinary data.

mod connection;
mod half;

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::capture::tcp::connection::{Connection, Turn};
use crate::capture::{ACK, SYN, Segment};
use crate::recording::ledger::Ledger;

/// Most connections held at once, open or closed: about 200 MiB of them. Beyond it a quarter is
/// ended, closed ones first, then those that were quiet for longest.
pub const MAX_CONNECTIONS: usize = 1 << 17;

/// Most payload bytes waiting for missing ones, in all. Beyond it nobody waits.
pub const MAX_HELD_IN_ALL: usize = 256 << 20;

/// Most payload bytes of one direction waiting for missing ones: a large receive window.
pub const MAX_HELD: usize = 4 << 20;

/// Most segments of one direction waiting, for streams of tiny segments.
pub const MAX_HELD_SEGMENTS: usize = 4096;

/// Segments of the connection to wait for after the receiver acknowledged missing bytes, and
/// before data is taken although it acknowledges bytes not seen. Captures reorder by a few
/// segments only (several queues of a network card).
pub const PATIENCE: u64 = 16;

/// Segments of the connection to wait for a handshake, or earlier data, after the first data of
/// a direction whose start was not seen.
pub const START_PATIENCE: u64 = 8;

/// Largest plausible distance, in bytes, from the next expected one: the largest TCP window.
pub const MAX_WINDOW: u64 = 1 << 30;

/// Delivered bytes kept per direction, to compare retransmissions with.
pub const RECENT: usize = 512;

/// One end of a connection: an index into [`Link::ends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `ends[0]`, who sent the first segment seen.
    First,
    /// `ends[1]`.
    Second,
}

impl Side {
    /// The index into a pair.
    pub fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The peer.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the connection, from 0 in order of first segments.
    pub number: u64,
    /// The two addresses.
    pub ends: [SocketAddr; 2],
    /// Who opened the connection, where a handshake was seen.
    pub client: Option<Side>,
    /// Its handshake of TLS, once it was seen, resumed an earlier session or did not.
    pub resumed: Option<bool>,
}

/// What happened next on one side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The connection.
    pub link: Link,
    /// Who sent it.
    pub side: Side,
    /// What it is.
    pub what: What<'a>,
}

/// The kinds of events, in stream order per side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// The next bytes of the stream.
    Data(Data<'a>),
    /// As many bytes of the stream are missing from the capture.
    Gap(u64),
    /// The side sends nothing more. Comes once per side.
    End(End),
    /// Nothing more comes from either side. The last event of a connection.
    Closed,
}

/// A run of bytes from one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Where and when it was sent.
    pub mark: Mark,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// They stood at the front of a segment: a message may begin here.
    pub fresh: bool,
}

impl Data<'_> {
    /// Leaves out bytes at the front, which were used.
    pub fn advance(&mut self, used: usize) {
        self.bytes = self.bytes.get(used..).unwrap_or_default();
        self.mark.offset += used as u64;
        self.fresh &= used == 0;
    }
}

/// A position in a stream and the moment at which it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Capture time, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Count of the connection's segments when it was captured: a clock that never steps back.
    pub tick: u64,
    /// Offset in the sender's stream; the origin is arbitrary.
    pub offset: u64,
    /// Offset in the peer's stream up to which the sender had received everything.
    pub ack: Option<u64>,
}

/// Why a side sends nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It said so.
    Fin,
    /// Either side reset the connection.
    Reset,
    /// The capture ended, or the same addresses began anew, or limits forced it.
    Cut,
}

/// All connections of a capture.
#[derive(Debug, Default)]
pub struct Reassembly {
    index: HashMap<(SocketAddr, SocketAddr), usize>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    opened: u64,
    segments: u64,
    held: usize,
}

impl Reassembly {
    /// Takes the next segment of the capture. Its payload enters `ledger.stream_bytes`; whatever
    /// does not become data ends there too.
    pub fn segment(
        &mut self,
        segment: &Segment<'_>,
        ledger: &mut Ledger,
        sink: &mut dyn FnMut(Event<'_>, &mut Ledger),
    ) {
        self.segments += 1;
        ledger.stream_bytes.enter(segment.payload.len() as u64);
        ledger.note("payload bytes cut by the snap length", u64::from(segment.cut_bytes));
        let slot = self.slot_of(segment, ledger, sink);
        let pressed = self.held > MAX_HELD_IN_ALL;
        let Some(connection) = self.slots[slot].as_mut() else {
            return;
        };
        let before = connection.held();
        connection.segment(segment, &mut Turn { pressed, finish: false, ledger, sink });
        connection.last_segment = self.segments;
        self.held = self.held + connection.held() - before;
    }

    /// Ends all connections that are still open, in the order in which they are stored.
    pub fn finish(mut self, ledger: &mut Ledger, sink: &mut dyn FnMut(Event<'_>, &mut Ledger)) {
        for slot in 0..self.slots.len() {
            self.end(slot, ledger, sink);
        }
    }

    /// The connection of a segment; a new one where the addresses are new or used again.
    fn slot_of(
        &mut self,
        segment: &Segment<'_>,
        ledger: &mut Ledger,
        sink: &mut dyn FnMut(Event<'_>, &mut Ledger),
    ) -> usize {
        let (low, high) = if segment.source <= segment.destination {
            (segment.source, segment.destination)
        } else {
            (segment.destination, segment.source)
        };
        if let Some(slot) = self.index.get(&(low, high)).copied() {
            let reused = self.slots[slot].as_ref().is_some_and(|open| open.is_reused_by(segment));
            if !reused {
                return slot;
            }
            ledger.note("addresses used again", 1);
            self.end(slot, ledger, sink);
        }
        if self.index.len() >= MAX_CONNECTIONS {
            self.end_quiet_ones(ledger, sink);
        }
        let link = Link {
            number: self.opened,
            ends: [segment.source, segment.destination],
            client: client_of(segment),
            resumed: None,
        };
        self.opened += 1;
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(Connection::new(link));
        self.index.insert((low, high), slot);
        slot
    }

    fn end(
        &mut self,
        slot: usize,
        ledger: &mut Ledger,
        sink: &mut dyn FnMut(Event<'_>, &mut Ledger),
    ) {
        let Some(mut connection) = self.slots[slot].take() else {
            return;
        };
        self.held -= connection.held();
        connection.finish(&mut Turn { pressed: false, finish: true, ledger, sink });
        let [first, second] = connection.link.ends;
        let key = if first <= second { (first, second) } else { (second, first) };
        self.index.remove(&key);
        self.free.push(slot);
    }

    fn end_quiet_ones(
        &mut self,
        ledger: &mut Ledger,
        sink: &mut dyn FnMut(Event<'_>, &mut Ledger),
    ) {
        let mut quiet: Vec<(bool, u64, usize)> = Vec::with_capacity(self.slots.len());
        for (slot, connection) in self.slots.iter().enumerate() {
            if let Some(open) = connection {
                quiet.push((!open.is_closed(), open.last_segment, slot));
            }
        }
        quiet.sort_unstable();
        for (open, _, slot) in quiet.into_iter().take(MAX_CONNECTIONS / 4) {
            ledger.note("open connections ended by the limit", u64::from(open));
            self.end(slot, ledger, sink);
        }
    }
}

/// Whoever sends the first SYN opens the connection; whoever answers it does not.
fn client_of(segment: &Segment<'_>) -> Option<Side> {
    match segment.flags & (SYN | ACK) {
        SYN => Some(Side::First),
        flags if flags == SYN | ACK => Some(Side::Second),
        _ => None,
    }
}
