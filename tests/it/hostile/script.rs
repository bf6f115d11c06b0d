//! Conversations as bytes that a fuzzer can cut, join and repeat: pieces between marks, each
//! behind a byte that says what it is.

/// Stands between pieces. No text has the first byte; a seed that has both is cut there.
pub(crate) const MARK: [u8; 2] = [0xf5, 0x7e];

/// Bits of the byte in front of a piece.
pub(crate) const SECOND: u8 = 1;
/// Events: the bytes did not stand at the front of a segment. Segments: SYN.
pub(crate) const STALE: u8 = 1 << 1;
/// Events: bytes are missing, as many as the piece's first three bytes say. Segments: FIN.
pub(crate) const GAP: u8 = 1 << 2;
/// Events: the side has ended. Segments: RST.
pub(crate) const END: u8 = 1 << 3;
/// A minute goes by before.
pub(crate) const LATER: u8 = 1 << 4;
/// Segments: the piece's first two bytes move its sequence number.
pub(crate) const ASTRAY: u8 = 1 << 5;
/// Segments: it was cut by a snap length, half of it is there.
pub(crate) const SNAPPED: u8 = 1 << 6;
/// What the sender had received is not said. Of the first piece: who opened is not known.
pub(crate) const SILENT: u8 = 1 << 7;

/// The pieces, each with the byte in front of it. Any bytes are a script.
pub(crate) fn pieces(mut script: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some((control, rest)) = script.split_first() {
        let end = rest.windows(2).position(|two| two == MARK);
        let (piece, behind) = match end {
            Some(end) => (&rest[..end], &rest[end + 2..]),
            None => (rest, &[][..]),
        };
        found.push((*control, piece));
        script = behind;
    }
    found
}

/// Adds a piece.
pub(crate) fn push(script: &mut Vec<u8>, control: u8, piece: &[u8]) {
    if !script.is_empty() {
        script.extend(MARK);
    }
    script.push(control);
    script.extend(piece);
}

/// A capture file of these frames, of one link type; the byte of each says how many bytes of it
/// were not captured.
pub(crate) fn pcap(link: u16, frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]);
    file.extend(u32::from(link).to_le_bytes());
    for (number, (cut, frame)) in (0_u32..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        file.extend((1_577_836_800 + number / 1_000).to_le_bytes());
        file.extend((number % 1_000 * 1_000).to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(length.saturating_add(u32::from(*cut)).to_le_bytes());
        file.extend(frame);
    }
    file
}

/// The link type of IP packets without a link layer.
pub(crate) const RAW_IP: u16 = 101;

/// A TCP segment in IPv4 without a link layer, between 10.0.0.1 and 10.0.0.2.
pub(crate) fn frame(side: u8, flags: u8, [seq, ack]: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(60_000)];
    let length = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
    let ports = [50_000_u16.to_be_bytes(), 443_u16.to_be_bytes()];
    let (own, peer) = (usize::from(side & 1), usize::from(side & 1 == 0));
    let mut frame = vec![0x45, 0];
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1 + (side & 1), 10, 0, 0, 2 - (side & 1)]);
    frame.extend(ports[own]);
    frame.extend(ports[peer]);
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}
