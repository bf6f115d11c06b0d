//! Captures built by hand, byte by byte, and what is read from them.

use std::io::Cursor;
use std::net::SocketAddr;

use peakhour::capture::CaptureError;
use peakhour::capture::segments::{ReadFacts, read_segments};
use peakhour::capture::source::Source;
use peakhour::recording::ledger::Ledger;

/// The byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Big,
    Little,
}

impl Order {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn u64(self, value: u64) -> [u8; 8] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

pub(crate) const MICROSECONDS: u32 = 0xa1b2_c3d4;

/// The header of a pcap file.
pub(crate) fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for field in [0, 0, 65_535, link] {
        file.extend(order.u32(field));
    }
    file
}

/// A record of a pcap file whose frame is whole.
pub(crate) fn record(order: Order, seconds: u32, fraction: u32, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let mut record = Vec::new();
    for field in [seconds, fraction, length, length] {
        record.extend(order.u32(field));
    }
    record.extend(frame);
    record
}

/// A block of a pcapng file; the body is padded to whole words.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let body_bytes = body.len().next_multiple_of(4);
    let length = u32::try_from(body_bytes + 12).unwrap();
    let mut block = order.u32(kind).to_vec();
    block.extend(order.u32(length));
    block.extend(body);
    block.resize(8 + body_bytes, 0);
    block.extend(order.u32(length));
    block
}

/// The block that begins a section.
pub(crate) fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend(order.u64(u64::MAX));
    block(order, 0x0a0d_0d0a, &body)
}

/// The block that describes an interface.
pub(crate) fn interface(order: Order, link: u16, snap_length: u32, options: &[u8]) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend(order.u16(0));
    body.extend(order.u32(snap_length));
    body.extend(options);
    block(order, 1, &body)
}

/// An option of a block.
pub(crate) fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut option = order.u16(code).to_vec();
    option.extend(order.u16(u16::try_from(value.len()).unwrap()));
    option.extend(value);
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

/// An enhanced packet block whose frame is whole.
pub(crate) fn packet(order: Order, interface: u32, units: u64, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let (high, low) = ((units >> 32) as u32, (units & 0xffff_ffff) as u32);
    let mut body = Vec::new();
    for field in [interface, high, low, length, length] {
        body.extend(order.u32(field));
    }
    body.extend(frame);
    block(order, 6, &body)
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(protocol, 0, payload)
}

/// The same with the bits of fragmentation: flags, and the offset in units of eight bytes.
pub(crate) fn ipv4_fragment(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 7, high, low, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}

/// An IPv6 packet from `fd00::1` to `fd00::2`.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next_header, 64];
    for last in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

/// A TCP segment from port 40000 to port 80, with ACK and PSH.
pub(crate) fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 24];
    segment.extend([0; 6]);
    segment.extend(payload);
    segment
}

/// A UDP datagram.
pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = Vec::new();
    for field in [source, destination, length, 0] {
        datagram.extend(field.to_be_bytes());
    }
    datagram.extend(payload);
    datagram
}

/// An Ethernet frame.
pub(crate) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A segment, kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) at_ns: i64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) cut_bytes: u32,
}

/// All that came out of a capture.
#[derive(Debug, PartialEq)]
pub(crate) struct ReadBack {
    pub(crate) facts: ReadFacts,
    pub(crate) segments: Vec<Kept>,
    pub(crate) ledger: Ledger,
}

impl ReadBack {
    /// How often something was noted.
    pub(crate) fn note(&self, name: &str) -> u64 {
        self.ledger.notes.get(name).copied().unwrap_or(0)
    }
}

/// Reads a capture and checks that its frames add up.
pub(crate) fn read(file: &[u8]) -> Result<ReadBack, CaptureError> {
    let mut ledger = Ledger::default();
    let mut segments = Vec::new();
    let source = Source::from_reader("test", Box::new(Cursor::new(file.to_vec())))?;
    let outcome = read_segments(source, &mut ledger, &mut |segment| {
        segments.push(Kept {
            at_ns: segment.at_ns,
            source: segment.source,
            destination: segment.destination,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            payload: segment.payload.to_vec(),
            cut_bytes: segment.cut_bytes,
        });
    });
    assert!(ledger.frames.reconciles(), "{ledger:?}");
    let facts = outcome?;
    assert_eq!(facts.frames, ledger.frames.total);
    Ok(ReadBack { facts, segments, ledger })
}
