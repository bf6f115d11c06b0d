//! Tunnels that carry whole frames or packets: GRE with ERSPAN, VXLAN, Geneve, GTP, Teredo.

use crate::capture::layer::{Layer, Peeled, Piece};

/// Bucket of tunnels whose header asks for something that is not understood here.
pub(crate) const NOT_OPENED: &str = "tunnel not opened";

/// Peels a GRE header off.
pub(crate) fn gre(piece: Piece<'_>) -> Peeled<'_> {
    gre_payload(piece).unwrap_or(Err("tunnel header cut"))
}

/// Peels a tunnel's header off a UDP datagram; `None` when it is no tunnel.
///
/// A port alone proves little, so that the header must look right as well.
pub(crate) fn in_udp<'a>(ports: (u16, u16), payload: Piece<'a>) -> Option<(Layer, Piece<'a>)> {
    match ports {
        (_, 4789 | 8472) => vxlan(payload),
        (_, 6081) => geneve(payload),
        (2152, _) | (_, 2152) => gtp(payload),
        (3544, _) | (_, 3544) => teredo(payload),
        _ => None,
    }
}

fn gre_payload(piece: Piece<'_>) -> Option<Peeled<'_>> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    let mut cursor = piece.cursor();
    let (flags, kind) = (cursor.u16_be()?, cursor.u16_be()?);
    if flags & ROUTING != 0 || flags & 7 > 1 {
        return Some(Err(NOT_OPENED));
    }
    let optional = [CHECKSUM, KEY, SEQUENCE, ACKNOWLEDGEMENT];
    let fields = optional.iter().filter(|flag| flags & **flag != 0).count();
    let payload = piece.behind(4 + 4 * fields)?;
    let erspan_bytes = match kind {
        0x88be if flags & SEQUENCE != 0 => 8,
        0x88be => 0,
        0x22eb => {
            let [.., last] = payload.cursor().array::<12>()?;
            if last & 1 != 0 { 20 } else { 12 }
        }
        _ => return Some(Ok((Layer::EtherType(kind), payload))),
    };
    Some(Ok((Layer::Ethernet, payload.behind(erspan_bytes)?)))
}

fn vxlan(payload: Piece<'_>) -> Option<(Layer, Piece<'_>)> {
    let network_is_valid = payload.cursor().u8()? & 0x08 != 0;
    let frame = payload.behind(8)?;
    network_is_valid.then_some((Layer::Ethernet, frame))
}

fn geneve(payload: Piece<'_>) -> Option<(Layer, Piece<'_>)> {
    let mut cursor = payload.cursor();
    let [version_and_length, _] = cursor.array::<2>()?;
    let kind = cursor.u16_be()?;
    let inner = payload.behind(8 + 4 * usize::from(version_and_length & 0x3f))?;
    (version_and_length >> 6 == 0).then_some((Layer::EtherType(kind), inner))
}

/// GTP version 1, user data.
fn gtp(payload: Piece<'_>) -> Option<(Layer, Piece<'_>)> {
    const USER_DATA: u8 = 0xff;
    const OPTIONAL_FIELDS: u8 = 7;
    const EXTENSION: u8 = 4;
    let [flags, kind] = payload.cursor().array::<2>()?;
    if flags >> 4 != 3 || kind != USER_DATA {
        return None;
    }
    let mut at = if flags & OPTIONAL_FIELDS == 0 { 8 } else { 12 };
    let mut extension = if flags & EXTENSION == 0 { 0 } else { *payload.bytes.get(11)? };
    while extension != 0 {
        let length = 4 * usize::from(*payload.bytes.get(at)?);
        if length == 0 {
            return None;
        }
        at += length;
        extension = *payload.bytes.get(at - 1)?;
    }
    ip(payload.behind(at)?)
}

/// IPv6 in UDP, behind an optional authentication and an optional origin.
fn teredo(payload: Piece<'_>) -> Option<(Layer, Piece<'_>)> {
    let mut rest = payload;
    if let [0, 1, id_bytes, key_bytes, ..] = rest.bytes {
        rest = rest.behind(13 + usize::from(*id_bytes) + usize::from(*key_bytes))?;
    }
    if rest.bytes.starts_with(&[0, 0]) {
        rest = rest.behind(8)?;
    }
    ip(rest).filter(|_| rest.version() == Some(6))
}

fn ip(piece: Piece<'_>) -> Option<(Layer, Piece<'_>)> {
    matches!(piece.version()?, 4 | 6).then_some((Layer::Ip, piece))
}
