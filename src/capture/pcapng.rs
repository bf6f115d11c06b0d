//! The pcapng file format: sections of blocks that describe interfaces or carry packets.
//!
//! pcap-parser takes whole blocks apart where it is right. Not used from it, because wrong: its
//! timestamps, the options of big-endian sections, and simple packets. Obsolete packets it does
//! not know.

use std::io::{self, Read};

use pcap_parser::{Block, OptionCode, PcapNGOption, parse_block_be, parse_block_le};

use crate::bytes::{ByteOrder, Cursor};
use crate::capture::blocks;
use crate::capture::clock::Clock;
use crate::capture::frame::{Found, LinkType, Notes};
use crate::capture::window::Window;

/// A pcapng file behind its first section header.
#[derive(Debug)]
pub(crate) struct Pcapng {
    order: ByteOrder,
    /// The section is of a version we know.
    readable: bool,
    /// Of the current section, by interface number.
    interfaces: Vec<Interface>,
    /// The coarsest clock step of a frame so far.
    step_ns: u64,
    /// TLS secrets since they were taken last: the text of a key log.
    secrets: Vec<u8>,
}

/// An interface of a section.
#[derive(Debug)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    clock: Clock,
    /// Frames lost by the capturing kernel, as told packet by packet.
    dropped_singly: u64,
    /// The same, as told in total.
    dropped_in_all: u64,
}

/// Interfaces of a section; more are described by nothing but a hostile file.
const MAX_INTERFACES: usize = 65_536;

/// Bytes of secrets between two packets: those of 300 000 connections of TLS 1.2.
const MAX_SECRETS: usize = 64 << 20;

/// Secrets of this type are the text of an NSS key log: `TLSK`.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// What a packet block says about its packet.
struct Packet {
    interface: u32,
    units: u64,
    captured: u32,
    wire: u32,
    dropped: u64,
}

impl Pcapng {
    /// Reads the first section header; otherwise says what is not supported about it.
    pub(crate) fn open<R: Read>(
        window: &mut Window<R>,
        notes: &mut Notes,
    ) -> io::Result<Result<Self, String>> {
        let mut pcapng = Self {
            order: ByteOrder::Little,
            readable: false,
            interfaces: Vec::new(),
            step_ns: 1,
            secrets: Vec::new(),
        };
        let Some(length) = blocks::next_block(window, pcapng.order, notes)? else {
            return Ok(Err("a pcapng file without a whole section header".to_owned()));
        };
        let block = window.bytes().get(..length).unwrap_or_default();
        let (major, minor) = pcapng.begin_section(block, notes);
        if !pcapng.readable {
            return Ok(Err(format!("pcapng version {major}.{minor}")));
        }
        window.consume(length);
        Ok(Ok(pcapng))
    }

    /// The next packet block, left at the front of the window.
    pub(crate) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
        notes: &mut Notes,
    ) -> io::Result<Option<Found>> {
        while let Some(length) = blocks::next_block(window, self.order, notes)? {
            let block = window.bytes().get(..length).unwrap_or_default();
            if let Some(found) = self.take_in(block, notes) {
                return Ok(Some(found));
            }
            window.consume(length);
        }
        self.end_section(notes);
        Ok(None)
    }

    /// The coarsest clock step of any frame so far.
    pub(crate) fn step_ns(&self) -> u64 {
        self.step_ns
    }

    /// Takes a whole block in; a packet is returned.
    fn take_in(&mut self, block: &[u8], notes: &mut Notes) -> Option<Found> {
        let kind = Cursor::new(block).u32_in(self.order)?;
        if kind == blocks::SECTION_HEADER {
            self.end_section(notes);
            let (major, minor) = self.begin_section(block, notes);
            if !self.readable {
                notes.warn(format!("a section of pcapng version {major}.{minor} is not used"));
            }
            return None;
        }
        if !self.readable {
            notes.count("block of an unknown pcapng version", 1);
            return None;
        }
        match kind {
            blocks::INTERFACE_DESCRIPTION => self.describe_interface(block, notes),
            blocks::INTERFACE_STATISTICS => self.note_statistics(block, notes),
            blocks::ENHANCED_PACKET => return self.enhanced_packet(block, notes),
            blocks::OBSOLETE_PACKET => return self.obsolete_packet(block, notes),
            blocks::SIMPLE_PACKET => return self.simple_packet(block, notes),
            blocks::DECRYPTION_SECRETS => self.keep_secrets(block, notes),
            blocks::CUSTOM | blocks::CUSTOM_DO_NOT_COPY => {
                notes.count("custom block not used", 1);
            }
            blocks::NAME_RESOLUTION => notes.count("block of names not used", 1),
            _ => notes.count("block of unknown type", 1),
        }
        None
    }

    /// Begins a section; says which version it has.
    fn begin_section(&mut self, block: &[u8], notes: &mut Notes) -> (u16, u16) {
        self.order = blocks::section_order(block).unwrap_or(self.order);
        let version = if let Some(Block::SectionHeader(header)) = self.parse(block) {
            (header.major_version, header.minor_version)
        } else {
            notes.count("corrupt block", 1);
            (0, 0)
        };
        // 1.2 was written by mistake and means 1.0.
        self.readable = matches!(version, (1, 0 | 2));
        version
    }

    /// The kernel's losses are cumulative, hence known when a section ends.
    fn end_section(&mut self, notes: &mut Notes) {
        for interface in self.interfaces.drain(..) {
            let dropped = interface.dropped_in_all.max(interface.dropped_singly);
            notes.count("dropped by the capturing kernel", dropped);
        }
    }

    fn parse<'a>(&self, block: &'a [u8]) -> Option<Block<'a>> {
        let parsed = match self.order {
            ByteOrder::Big => parse_block_be(block),
            ByteOrder::Little => parse_block_le(block),
        };
        // The block is whole, so that even `Incomplete` means a length inside of it is corrupt.
        parsed.ok().map(|(_, block)| block)
    }

    fn describe_interface(&mut self, block: &[u8], notes: &mut Notes) {
        let Some(Block::InterfaceDescription(description)) = self.parse(block) else {
            notes.count("corrupt block", 1);
            return;
        };
        if self.interfaces.len() == MAX_INTERFACES {
            notes.count("interface beyond the limit", 1);
            return;
        }
        let resolution = value(&description.options, OptionCode::IfTsresol);
        let offset = integer(&description.options, OptionCode::IfTsoffset, self.order);
        let clock = Clock {
            resolution: resolution
                .and_then(|bytes| bytes.first().copied())
                .unwrap_or(Clock::MICROSECONDS.resolution),
            offset_seconds: offset.unwrap_or(0).cast_signed(),
        };
        self.interfaces.push(Interface {
            link: LinkType(description.linktype.0),
            snap_length: description.snaplen,
            clock,
            dropped_singly: 0,
            dropped_in_all: 0,
        });
    }

    fn note_statistics(&mut self, block: &[u8], notes: &mut Notes) {
        let Some(Block::InterfaceStatistics(statistics)) = self.parse(block) else {
            notes.count("corrupt block", 1);
            return;
        };
        let count = |code| integer(&statistics.options, code, self.order).unwrap_or(0);
        let dropped = count(OptionCode::IsbIfDrop).saturating_add(count(OptionCode::IsbOsDrop));
        if let Some(interface) = self.interfaces.get_mut(statistics.if_id as usize) {
            interface.dropped_in_all = interface.dropped_in_all.max(dropped);
        }
    }

    /// Secrets of TLS are the text of a key log; those of others are not used.
    fn keep_secrets(&mut self, block: &[u8], notes: &mut Notes) {
        let mut cursor = Cursor::new(block);
        let kind = cursor.skip(8).and_then(|()| cursor.u32_in(self.order));
        let length = cursor.u32_in(self.order);
        let text = length.and_then(|length| cursor.take(length as usize));
        match (kind, text) {
            (Some(TLS_KEY_LOG), Some(text)) if self.secrets.len() + text.len() <= MAX_SECRETS => {
                notes.count("block of tls secrets", 1);
                self.secrets.extend_from_slice(text);
                self.secrets.push(b'\n');
            }
            (Some(TLS_KEY_LOG), Some(_)) => notes.count("block of tls secrets beyond the limit", 1),
            _ => notes.count("block of decryption secrets not used", 1),
        }
    }

    /// The TLS secrets that were found since this was asked last.
    pub(crate) fn take_secrets(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.secrets)
    }

    fn enhanced_packet(&mut self, block: &[u8], notes: &mut Notes) -> Option<Found> {
        let Some(Block::EnhancedPacket(packet)) = self.parse(block) else {
            notes.count("corrupt packet block", 1);
            return None;
        };
        let packet = Packet {
            interface: packet.if_id,
            units: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
            captured: packet.caplen,
            wire: packet.origlen,
            dropped: integer(&packet.options, DROP_COUNT, self.order).unwrap_or(0),
        };
        self.found(&packet, block, notes)
    }

    fn obsolete_packet(&mut self, block: &[u8], notes: &mut Notes) -> Option<Found> {
        let mut cursor = Cursor::new(block);
        cursor.skip(8)?;
        let interface = u32::from(cursor.u16_in(self.order)?);
        // All bits set mean that the number is not known.
        let dropped = cursor.u16_in(self.order).filter(|dropped| *dropped != u16::MAX);
        let mut next = || cursor.u32_in(self.order);
        let units = u64::from(next()?) << 32 | u64::from(next()?);
        let (captured, wire) = (next()?, next()?);
        let dropped = u64::from(dropped.unwrap_or(0));
        self.found(&Packet { interface, units, captured, wire, dropped }, block, notes)
    }

    /// Where the packet's data lies; in both kinds of blocks with a time it begins at one place.
    fn found(&mut self, packet: &Packet, block: &[u8], notes: &mut Notes) -> Option<Found> {
        const DATA: usize = 28;
        let end = DATA.checked_add(packet.captured as usize)?;
        if end > block.len() - 4 {
            notes.count("corrupt packet block", 1);
            return None;
        }
        let (link, clock) = match self.interfaces.get_mut(packet.interface as usize) {
            Some(interface) => {
                let dropped = interface.dropped_singly.saturating_add(packet.dropped);
                interface.dropped_singly = dropped;
                (interface.link, interface.clock)
            }
            None => (LinkType::UNDECLARED, Clock::MICROSECONDS),
        };
        self.step_ns = self.step_ns.max(clock.step_ns());
        Some(Found {
            at_ns: clock.at_ns(packet.units),
            link,
            data: (DATA, end),
            wire_bytes: packet.wire,
            consumed: block.len(),
        })
    }

    /// A packet without a time or a captured length: it is as long as the block, its interface's
    /// snap length and its length on the wire allow.
    fn simple_packet(&mut self, block: &[u8], notes: &mut Notes) -> Option<Found> {
        const DATA: usize = 12;
        let mut cursor = Cursor::new(block);
        let wire = cursor.skip(8).and_then(|()| cursor.u32_in(self.order));
        let (Some(wire), Some(room)) = (wire, block.len().checked_sub(DATA + 4)) else {
            notes.count("corrupt packet block", 1);
            return None;
        };
        let interface = self.interfaces.first();
        let snap_length = match interface.map_or(0, |interface| interface.snap_length) {
            0 => usize::MAX, // No limit.
            bytes => bytes as usize,
        };
        let captured = room.min(wire as usize).min(snap_length);
        Some(Found {
            at_ns: None,
            link: interface.map_or(LinkType::UNDECLARED, |interface| interface.link),
            data: (DATA, DATA + captured),
            wire_bytes: wire,
            consumed: block.len(),
        })
    }
}

/// Option of a packet block: frames lost between this packet and the one before.
const DROP_COUNT: OptionCode = OptionCode(4);

/// The first option with this code.
fn value<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    options.iter().find(|option| option.code == code)?.as_bytes().ok()
}

/// The same as an integer of 64 bits.
fn integer(options: &[PcapNGOption<'_>], code: OptionCode, order: ByteOrder) -> Option<u64> {
    let bytes = value(options, code)?.try_into().ok()?;
    Some(match order {
        ByteOrder::Big => u64::from_be_bytes(bytes),
        ByteOrder::Little => u64::from_le_bytes(bytes),
    })
}
