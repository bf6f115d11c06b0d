//! The pcap file format: a file header, then records of a head and a frame. There is nothing
//! to synchronise on, so a record head that cannot be one starts a search for two that can.

use std::io::{self, Read};

use crate::bytes::{ByteOrder, Cursor};
use crate::capture::clock::Clock;
use crate::capture::frame::{Found, LinkType, Notes};
use crate::capture::window::Window;

/// A pcap file behind its header.
#[derive(Debug)]
pub(crate) struct Legacy {
    order: ByteOrder,
    clock: Clock,
    link: LinkType,
    /// Bytes of a record head: 16, or 24 in the modified format.
    head_bytes: usize,
    /// Longest frame that is believed.
    frame_limit: usize,
    minor_version: u16,
    last_second: Option<u32>,
}

/// Longest frame believed where the file names no larger limit: twice Linux' largest GSO packet.
const FRAME_LIMIT: usize = 1024 * 1024;

/// Longest frame believed in any case; it bounds the reader's memory.
const FRAME_LIMIT_MAX: usize = 64 * 1024 * 1024;

/// Bytes of the file header.
const HEADER_BYTES: usize = 24;

/// Seconds that a record's time may be away from the last one's while looking for a record.
const SEARCH_SECONDS: u32 = 86_400;

/// A record's head.
#[derive(Clone, Copy)]
struct Head {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Legacy {
    /// Reads the file header; otherwise says what is not supported about it.
    pub(crate) fn open<R: Read>(
        window: &mut Window<R>,
        notes: &mut Notes,
    ) -> io::Result<Result<Self, String>> {
        let visible = window.reach(HEADER_BYTES)?;
        let Some(legacy) = header(window.bytes(), notes) else {
            return Ok(Err(format!("a pcap file of {visible} bytes, less than its header,")));
        };
        window.consume(HEADER_BYTES);
        Ok(legacy)
    }

    /// The next record, left at the front of the window.
    pub(crate) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
        notes: &mut Notes,
    ) -> io::Result<Option<Found>> {
        loop {
            let visible = window.reach(self.head_bytes)?;
            let Some(head) = self.head(window.bytes()) else {
                if visible > 0 {
                    notes.cut(window.offset(), visible);
                }
                return Ok(None);
            };
            let captured = head.captured as usize;
            if captured > self.frame_limit {
                self.search(window, notes)?;
                continue;
            }
            let consumed = self.head_bytes + captured;
            let visible = window.reach(consumed)?;
            if visible < consumed {
                notes.cut(window.offset(), visible);
                return Ok(None);
            }
            self.last_second = Some(head.seconds);
            return Ok(Some(Found {
                at_ns: self.at_ns(head, notes),
                link: self.link,
                data: (self.head_bytes, consumed),
                wire_bytes: head.wire,
                consumed,
            }));
        }
    }

    /// Smallest step of the file's clock.
    pub(crate) fn step_ns(&self) -> u64 {
        self.clock.step_ns()
    }

    fn head(&self, bytes: &[u8]) -> Option<Head> {
        let mut cursor = Cursor::new(bytes.get(..self.head_bytes)?);
        let mut next = || cursor.u32_in(self.order);
        let (seconds, fraction, captured, wire) = (next()?, next()?, next()?, next()?);
        // Files before version 2.3 have the two lengths the other way round; those of 2.3 may.
        let swapped = self.minor_version < 3 || (self.minor_version == 3 && captured > wire);
        let (captured, wire) = if swapped { (wire, captured) } else { (captured, wire) };
        Some(Head { seconds, fraction, captured, wire })
    }

    fn at_ns(&self, head: Head, notes: &mut Notes) -> Option<i64> {
        if head.fraction >= self.fractions() {
            notes.count("timestamp with more than a second of fraction", 1);
        }
        let units = u64::from(head.seconds) * u64::from(self.fractions());
        self.clock.at_ns(units + u64::from(head.fraction))
    }

    fn fractions(&self) -> u32 {
        if self.clock == Clock::NANOSECONDS { 1_000_000_000 } else { 1_000_000 }
    }

    /// Moves on to the next place where two records in a row, or the last one, are plausible.
    fn search<R: Read>(&self, window: &mut Window<R>, notes: &mut Notes) -> io::Result<()> {
        let begin = window.offset();
        loop {
            window.consume(1);
            let visible = window.reach(2 * self.head_bytes + FRAME_LIMIT)?;
            if visible == 0 || self.plausible_pair(window.bytes()) {
                notes.skipped(begin, window.offset());
                return Ok(());
            }
        }
    }

    fn plausible_pair(&self, bytes: &[u8]) -> bool {
        let Some(first) = self.plausible(bytes, self.last_second) else { return false };
        let behind = bytes.get(self.head_bytes + first.captured as usize..);
        behind.is_some_and(|behind| {
            behind.is_empty() || self.plausible(behind, Some(first.seconds)).is_some()
        })
    }

    fn plausible(&self, bytes: &[u8], near: Option<u32>) -> Option<Head> {
        let head = self.head(bytes)?;
        let timely = near.is_none_or(|near| head.seconds.abs_diff(near) <= SEARCH_SECONDS)
            && head.fraction < self.fractions();
        let sized = (1..=FRAME_LIMIT).contains(&(head.captured as usize))
            && head.captured <= head.wire
            && head.wire as usize <= FRAME_LIMIT;
        (timely && sized).then_some(head)
    }
}

/// Reads the file header; `None` when it is not whole.
fn header(bytes: &[u8], notes: &mut Notes) -> Option<Result<Legacy, String>> {
    let mut cursor = Cursor::new(bytes.get(..HEADER_BYTES)?);
    let magic = cursor.u32_be()?;
    let (order, magic) = match magic {
        0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34 => (ByteOrder::Big, magic),
        swapped => (ByteOrder::Little, swapped.swap_bytes()),
    };
    let major_version = cursor.u16_in(order)?;
    let minor_version = cursor.u16_in(order)?;
    cursor.skip(8)?; // Time zone and accuracy, which no tool fills in.
    let snap_length = cursor.u32_in(order)? as usize;
    let network = cursor.u32_in(order)?;
    // 543.0 is how one vendor wrote 2.4.
    if !matches!((major_version, minor_version), (2, _) | (543, 0)) {
        return Some(Err(format!("pcap version {major_version}.{minor_version}")));
    }
    // Above the link type are bits for a frame check sequence, and bits that must be zero.
    if network & 0x03ff_0000 != 0 {
        notes.count("reserved bits set beside the link type", 1);
    }
    let link = LinkType((network & 0xffff).cast_signed());
    let frame_limit = if snap_length > FRAME_LIMIT_MAX { FRAME_LIMIT } else { snap_length };
    Some(Ok(Legacy {
        order,
        clock: if magic == 0xa1b2_3c4d { Clock::NANOSECONDS } else { Clock::MICROSECONDS },
        link,
        head_bytes: if magic == 0xa1b2_cd34 { 24 } else { 16 },
        frame_limit: frame_limit.max(FRAME_LIMIT),
        minor_version: if major_version == 543 { 4 } else { minor_version },
        last_second: None,
    }))
}
