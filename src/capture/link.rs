//! Everything below IP: link-layer headers of captures, Ethernet and what it nests.

use crate::bytes::Cursor;
use crate::capture::frame::LinkType;
use crate::capture::layer::{Layer, Peeled, Piece};
use crate::capture::wireless;

/// Peels one header off a frame. A frame that is not whole, or does not lead to IP, ends in the
/// returned bucket.
pub(crate) fn peel(layer: Layer, piece: Piece<'_>) -> Peeled<'_> {
    match layer {
        Layer::Link(link) => captured(link, piece),
        Layer::Ethernet => ethernet(piece).unwrap_or(Err(CUT)),
        Layer::EtherType(kind) => ether_type(kind, piece).unwrap_or(Err(CUT)),
        Layer::Ppp => ppp(piece).unwrap_or(Err(CUT)),
        Layer::Ip | Layer::Transport(..) => Ok((layer, piece)),
    }
}

/// Bucket of frames that end inside of a header below IP.
const CUT: &str = "link header cut";

/// Bucket of frames that carry something else.
pub(crate) const NOT_IP: &str = "not ip";

/// Bucket of frames whose link layer nobody here can read.
const UNSUPPORTED: &str = "link type not supported";

fn captured(link: LinkType, piece: Piece<'_>) -> Peeled<'_> {
    let peeled = match link {
        LinkType(1) => Some(Ok((Layer::Ethernet, piece))),
        LinkType(0 | 108) => loopback(piece),
        LinkType(7) => arcnet(piece, 0),
        LinkType(9) => ppp_framed(piece),
        LinkType(50) => ppp_serial(piece),
        LinkType(51) => pppoe(piece), // Without its Ethernet header.
        LinkType(12 | 14 | 101 | 228 | 229) => Some(Ok((Layer::Ip, piece))),
        LinkType(104) => hdlc(piece),
        LinkType(105) => wireless::wireless(piece, false),
        LinkType(113) => cooked(piece),
        LinkType(127) => wireless::radiotap(piece),
        LinkType(129) => arcnet(piece, 2),
        LinkType(149 | 258) => packet_tap(link, piece),
        LinkType(192) => wireless::per_packet(piece),
        LinkType(219) => Some(Ok((Layer::EtherType(0x8847), piece))),
        LinkType(239) => netfilter_log(piece),
        LinkType(276) => cooked_2(piece),
        LinkType::UNDECLARED => Some(Err("interface not declared")),
        _ => Some(Err(UNSUPPORTED)),
    };
    peeled.unwrap_or(Err(CUT))
}

/// The layer behind `count` bytes; `None` when they were cut.
fn next(piece: Piece<'_>, count: usize, layer: Layer) -> Option<Peeled<'_>> {
    piece.behind(count).map(|rest| Ok((layer, rest)))
}

fn ethernet(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    cursor.skip(12)?;
    let kind = cursor.u16_be()?;
    // Up to 1500 it is a length, and a logical link control header follows.
    if kind <= 1500 {
        logical_link(piece.behind(14)?)
    } else {
        next(piece, 14, Layer::EtherType(kind))
    }
}

/// Peels a header of logical link control off, with the Ethernet type behind it.
pub(crate) fn logical_link(piece: Piece<'_>) -> Option<Peeled<'_>> {
    match piece.cursor().array::<3>()? {
        [0xaa, 0xaa, 0x03] => {
            let mut cursor = piece.cursor();
            cursor.skip(6)?;
            let kind = cursor.u16_be()?;
            next(piece, 8, Layer::EtherType(kind))
        }
        [0x06, 0x06, 0x03] => next(piece, 3, Layer::Ip),
        _ => Some(Err(NOT_IP)),
    }
}

fn ether_type(kind: u16, piece: Piece<'_>) -> Option<Peeled<'_>> {
    match kind {
        0x0800 | 0x86dd => Some(Ok((Layer::Ip, piece))),
        // Tags of virtual networks: two bytes of tag, then the next type. Others have more.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => tag(piece, 2),
        0x8926 => tag(piece, 4), // VN-Tag
        0x893f => tag(piece, 6), // E-Tag
        0x8847 | 0x8848 => labels(piece),
        0x8864 => pppoe(piece),
        0x880b => next(piece, 0, Layer::Ppp),
        0x6558 => next(piece, 0, Layer::Ethernet), // Bridged over a tunnel.
        0x88e7 => next(piece, 4, Layer::Ethernet), // Provider backbone bridge
        0x8903 => next(piece, 2, Layer::Ethernet), // FabricPath
        0x88e5 => Some(Err("encrypted link")),
        // Cooked captures number logical link control like a type.
        0x0004 => logical_link(piece),
        _ => Some(Err(NOT_IP)),
    }
}

fn tag(piece: Piece<'_>, tag_bytes: usize) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    cursor.skip(tag_bytes)?;
    let kind = cursor.u16_be()?;
    // A tag may be followed by a length, like Ethernet itself.
    let rest = piece.behind(tag_bytes + 2)?;
    if kind <= 1500 { logical_link(rest) } else { Some(Ok((Layer::EtherType(kind), rest))) }
}

/// MPLS: labels up to the one marked as the last, then IP or an Ethernet frame, untold which.
fn labels(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut rest = piece;
    loop {
        let [_, _, flags, _] = rest.cursor().array::<4>()?;
        rest = rest.behind(4)?;
        if flags & 1 != 0 {
            break;
        }
    }
    match rest.version()? {
        4 | 6 => Some(Ok((Layer::Ip, rest))),
        0 => next(rest, 4, Layer::Ethernet), // Behind a pseudowire's control word.
        _ => Some(Err(NOT_IP)),
    }
}

fn ppp_framed(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let address_and_control = piece.bytes.starts_with(&[0xff, 0x03]);
    next(piece, if address_and_control { 2 } else { 0 }, Layer::Ppp)
}

fn ppp_serial(piece: Piece<'_>) -> Option<Peeled<'_>> {
    match piece.cursor().u8()? {
        0x0f | 0x8f => hdlc(piece),
        _ => ppp_framed(piece),
    }
}

fn ppp(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let first = piece.cursor().u8()?;
    // The protocol number may be compressed to one byte, which is odd; a first of two is even.
    let (protocol, rest) = if first & 1 == 1 {
        (u16::from(first), piece.behind(1)?)
    } else {
        (piece.cursor().u16_be()?, piece.behind(2)?)
    };
    Some(match protocol {
        0x0021 | 0x0057 => Ok((Layer::Ip, rest)),
        0x0281 => Ok((Layer::EtherType(0x8847), rest)),
        _ => Err(NOT_IP),
    })
}

/// PPP over Ethernet has a length of its own: what lies behind is Ethernet's padding.
fn pppoe(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    cursor.skip(4)?;
    let length = cursor.u16_be()?;
    next(piece.behind(6)?.limit(usize::from(length)), 0, Layer::Ppp)
}

/// Cisco HDLC: address, control, then a type as in Ethernet.
fn hdlc(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    cursor.skip(2)?;
    let kind = cursor.u16_be()?;
    next(piece, 4, Layer::EtherType(kind))
}

/// ARCNET: two addresses, on Linux an offset of two bytes, and a type; newer types have a flag for
/// fragments and a number behind it, which may be preceded by an exception of as many bytes.
fn arcnet(piece: Piece<'_>, offset_bytes: usize) -> Option<Peeled<'_>> {
    let piece = piece.behind(offset_bytes)?;
    let [_, _, kind] = piece.cursor().array::<3>()?;
    let flag = |at: usize| piece.bytes.get(at).copied();
    match kind {
        240 => next(piece, 3, Layer::Ip),
        196 | 212 => match flag(3)? {
            0 => next(piece, 6, Layer::Ip),
            0xff if flag(7)? == 0 => next(piece, 10, Layer::Ip),
            _ => Some(Err("link fragment")),
        },
        _ => Some(Err(NOT_IP)),
    }
}

/// BSD loopback: an address family in the byte order of the machine that captured.
fn loopback(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let family = piece.cursor().u32_be()?;
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        // IPv4 everywhere; IPv6 on Linux, NetBSD, FreeBSD and macOS.
        2 | 10 | 24 | 28 | 30 => next(piece, 4, Layer::Ip),
        _ => Some(Err(NOT_IP)),
    }
}

/// Apple's packet tap: its own length, whether a packet follows, and the link type of that. It is
/// also written under a number that anybody may use, where the header must look right.
fn packet_tap(link: LinkType, piece: Piece<'_>) -> Option<Peeled<'_>> {
    const RECORD: LinkType = LinkType(258);
    const HEADER_BYTES: std::ops::RangeInclusive<u32> = 108..=1024;
    const PACKET: u32 = 1;
    let mut cursor = piece.cursor();
    let mut next = || cursor.array::<4>().map(u32::from_le_bytes);
    let (length, kind, inner) = (next()?, next()?, next()?);
    if !HEADER_BYTES.contains(&length) {
        return Some(Err(if link == RECORD { "link header malformed" } else { UNSUPPORTED }));
    }
    if kind != PACKET {
        return Some(Err(NOT_IP));
    }
    let inner = LinkType(i32::try_from(inner).unwrap_or(-2));
    Some(Ok((Layer::Link(inner), piece.behind(length as usize)?)))
}

/// Hardware type of netlink, whose cooked frames have no Ethernet type.
const NETLINK: u16 = 824;

/// Linux cooked capture, version 1.
fn cooked(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    cursor.skip(2)?;
    let hardware = cursor.u16_be()?;
    cursor.skip(10)?;
    let kind = cursor.u16_be()?;
    if hardware == NETLINK {
        return Some(Err(NOT_IP));
    }
    next(piece, 16, Layer::EtherType(kind))
}

/// Linux cooked capture, version 2.
fn cooked_2(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut cursor = piece.cursor();
    let kind = cursor.u16_be()?;
    cursor.skip(6)?;
    let hardware = cursor.u16_be()?;
    if hardware == NETLINK {
        return Some(Err(NOT_IP));
    }
    next(piece, 20, Layer::EtherType(kind))
}

/// Netfilter log: values with type and length in the byte order of the machine that captured;
/// the packet is the one of type 9.
fn netfilter_log(piece: Piece<'_>) -> Option<Peeled<'_>> {
    let mut at = 4;
    loop {
        let mut cursor = Cursor::new(piece.bytes.get(at..)?);
        let (length, kind) = (cursor.array::<2>()?, cursor.array::<2>()?);
        let little = kind[1] == 0;
        let order =
            |bytes| if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
        let (length, kind) = (usize::from(order(length)), order(kind));
        if length < 4 {
            return Some(Err("link header malformed"));
        }
        if kind == 9 {
            return next(piece.behind(at)?, 4, Layer::Ip);
        }
        at += length.next_multiple_of(4);
    }
}
