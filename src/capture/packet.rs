//! From a frame to its TCP segment, through whatever lies between.

use std::net::SocketAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::bytes::Cursor;
use crate::capture::Segment;
use crate::capture::fragments::{Datagram, Fragment, Key};
use crate::capture::frame::Frame;
use crate::capture::layer::{Ends, Layer, Peeled, Piece};
use crate::capture::link;
use crate::capture::tunnel;

/// What a frame turns out to be.
#[derive(Debug)]
pub(crate) enum Dissected<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A part of an IP datagram.
    Fragment(Fragment<'a>),
    /// Anything else: the bucket it ends in.
    Other(&'static str),
}

/// Peels a frame down to its segment.
pub(crate) fn dissect<'a>(frame: &Frame<'a>) -> Dissected<'a> {
    let captured = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
    let piece = Piece { bytes: frame.data, cut: frame.wire_bytes.saturating_sub(captured) };
    walk(frame.at_ns, Layer::Link(frame.link), piece)
}

/// Peels a datagram that was put together from fragments.
pub(crate) fn dissect_datagram(at_ns: i64, datagram: &Datagram) -> Dissected<'_> {
    let piece = Piece { bytes: &datagram.bytes, cut: datagram.cut };
    walk(at_ns, Layer::Transport(datagram.ends, datagram.protocol), piece)
}

/// Headers of a frame; real ones have a dozen at most.
const MAX_HEADERS: usize = 64;

/// IP headers of a frame: eight tunnels deep.
const MAX_IP_HEADERS: usize = 9;

/// What a header leads to.
enum Step<'a> {
    Deeper(Layer, Piece<'a>),
    Done(Dissected<'a>),
}

fn walk(at_ns: i64, mut layer: Layer, mut piece: Piece<'_>) -> Dissected<'_> {
    let mut ip_headers = 0;
    for _ in 0..MAX_HEADERS {
        let step = match layer {
            Layer::Ip if ip_headers == MAX_IP_HEADERS => Err(tunnel::NOT_OPENED),
            Layer::Ip => {
                ip_headers += 1;
                internet(piece)
            }
            Layer::Transport(ends, protocol) => transport(at_ns, ends, protocol, piece),
            _ => deeper(link::peel(layer, piece)),
        };
        match step {
            Ok(Step::Deeper(next, rest)) => (layer, piece) = (next, rest),
            Ok(Step::Done(dissected)) => return dissected,
            Err(bucket) => return Dissected::Other(bucket),
        }
    }
    Dissected::Other("too many headers")
}

fn deeper(peeled: Peeled<'_>) -> Result<Step<'_>, &'static str> {
    peeled.map(|(layer, rest)| Step::Deeper(layer, rest))
}

const IP_CUT: &str = "ip header cut";
const IP_MALFORMED: &str = "ip header malformed";

fn internet(piece: Piece<'_>) -> Result<Step<'_>, &'static str> {
    match piece.version() {
        Some(4) => ipv4(piece),
        Some(6) => ipv6(piece),
        Some(_) => Err(IP_MALFORMED),
        None => Err(IP_CUT),
    }
}

fn ipv4(piece: Piece<'_>) -> Result<Step<'_>, &'static str> {
    let header = Ipv4HeaderSlice::from_slice(piece.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => IP_CUT,
        ipv4::HeaderSliceError::Content(_) => IP_MALFORMED,
    })?;
    let header_bytes = header.slice().len();
    let wire = match usize::from(header.total_len()) {
        // Captured before segmentation offload filled the length in.
        0 => piece.wire_len(),
        total if total < header_bytes => return Err(IP_MALFORMED),
        total => total,
    };
    let payload = piece.limit(wire).behind(header_bytes).ok_or(IP_CUT)?;
    let source = header.source_addr().into();
    let ends = Ends { source, destination: header.destination_addr().into() };
    let protocol = header.protocol().0;
    if !header.is_fragmenting_payload() {
        return Ok(Step::Deeper(Layer::Transport(ends, protocol), payload));
    }
    let identification = u32::from(header.identification());
    Ok(Step::Done(Dissected::Fragment(Fragment {
        key: Key { ends, identification, protocol },
        offset: u32::from(header.fragments_offset().byte_offset()),
        more: header.more_fragments(),
        piece: payload,
    })))
}

fn ipv6(piece: Piece<'_>) -> Result<Step<'_>, &'static str> {
    const HEADER_BYTES: usize = 40;
    let header = Ipv6HeaderSlice::from_slice(piece.bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => IP_CUT,
        ipv6::HeaderSliceError::Content(_) => IP_MALFORMED,
    })?;
    let wire = match usize::from(header.payload_length()) {
        // A jumbogram, or captured before segmentation offload filled the length in.
        0 => piece.wire_len(),
        payload => HEADER_BYTES + payload,
    };
    let payload = piece.limit(wire).behind(HEADER_BYTES).ok_or(IP_CUT)?;
    let source = header.source_addr().into();
    let ends = Ends { source, destination: header.destination_addr().into() };
    Ok(Step::Deeper(Layer::Transport(ends, header.next_header().0), payload))
}

/// What an IP protocol number says; the extension headers of IPv6 are such protocols.
fn transport(
    at_ns: i64,
    ends: Ends,
    protocol: u8,
    piece: Piece<'_>,
) -> Result<Step<'_>, &'static str> {
    match protocol {
        6 => Ok(Step::Done(tcp(at_ns, ends, piece))),
        17 => udp(piece),
        4 | 41 => Ok(Step::Deeper(Layer::Ip, piece)),
        47 => deeper(tunnel::gre(piece)),
        137 => Ok(Step::Deeper(Layer::EtherType(0x8847), piece)), // MPLS in IP
        44 => fragment_extension(ends, piece).ok_or(IP_CUT),
        0 | 43 | 51 | 60 | 135 | 139 | 140 => extension(ends, protocol, piece).ok_or(IP_CUT),
        1 | 58 => Err("icmp"),
        50 => Err("encrypted ip"),
        132 => Err("sctp"),
        _ => Err("other ip protocol"),
    }
}

/// Options, routing, authentication and the like: only their length matters here.
fn extension(ends: Ends, protocol: u8, piece: Piece<'_>) -> Option<Step<'_>> {
    const AUTHENTICATION: u8 = 51;
    let [next, length] = piece.cursor().array::<2>()?;
    let header_bytes = match protocol {
        AUTHENTICATION => 4 * (usize::from(length) + 2),
        _ => 8 * (usize::from(length) + 1),
    };
    Some(Step::Deeper(Layer::Transport(ends, next), piece.behind(header_bytes)?))
}

fn fragment_extension(ends: Ends, piece: Piece<'_>) -> Option<Step<'_>> {
    let mut cursor = piece.cursor();
    let [protocol, _] = cursor.array::<2>()?;
    let offset_and_more = cursor.u16_be()?;
    let identification = cursor.u32_be()?;
    let payload = piece.behind(8)?;
    // A fragment header on a datagram that is whole.
    if offset_and_more & !6 == 0 {
        return Some(Step::Deeper(Layer::Transport(ends, protocol), payload));
    }
    Some(Step::Done(Dissected::Fragment(Fragment {
        key: Key { ends, identification, protocol },
        offset: u32::from(offset_and_more & !7),
        more: offset_and_more & 1 != 0,
        piece: payload,
    })))
}

fn udp(piece: Piece<'_>) -> Result<Step<'_>, &'static str> {
    let mut cursor = piece.cursor();
    let ports = cursor.u16_be().zip(cursor.u16_be());
    let tunnelled =
        ports.zip(piece.behind(8)).and_then(|(ports, payload)| tunnel::in_udp(ports, payload));
    tunnelled.map(|(layer, inner)| Step::Deeper(layer, inner)).ok_or("udp")
}

fn tcp(at_ns: i64, ends: Ends, piece: Piece<'_>) -> Dissected<'_> {
    let Some(header) = tcp_header(piece.cursor()) else {
        return Dissected::Other("tcp header cut");
    };
    let Some(payload_wire) =
        piece.wire_len().checked_sub(header.bytes).filter(|_| header.bytes >= TcpHeader::MIN_BYTES)
    else {
        return Dissected::Other("tcp header malformed");
    };
    // Where a snap length cut inside of the options, all of the payload is cut.
    let rest = piece.behind(header.bytes).unwrap_or(Piece { bytes: &[], cut: 0 });
    let payload = rest.limit(payload_wire);
    Dissected::Segment(Segment {
        at_ns,
        source: SocketAddr::new(ends.source, header.source_port),
        destination: SocketAddr::new(ends.destination, header.destination_port),
        seq: header.seq,
        ack: header.ack,
        flags: header.flags,
        payload: payload.bytes,
        cut_bytes: payload.cut,
    })
}

struct TcpHeader {
    source_port: u16,
    destination_port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    /// Length by its own account, options included.
    bytes: usize,
}

impl TcpHeader {
    const MIN_BYTES: usize = 20;
}

fn tcp_header(mut cursor: Cursor<'_>) -> Option<TcpHeader> {
    let (source_port, destination_port) = (cursor.u16_be()?, cursor.u16_be()?);
    let (seq, ack) = (cursor.u32_be()?, cursor.u32_be()?);
    let (words, flags) = (cursor.u8()? >> 4, cursor.u8()?);
    cursor.skip(6)?; // Window, checksum, urgent pointer.
    let bytes = 4 * usize::from(words);
    Some(TcpHeader { source_port, destination_port, seq, ack, flags, bytes })
}
