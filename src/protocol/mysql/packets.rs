//! Packets: three bytes of length, a sequence number, a payload. One of the greatest length goes
//! on in the next.

/// Greatest length of one packet's payload; a payload of as many bytes goes on in another packet.
pub const MAX_PACKET: usize = 0xff_ffff;

/// A whole payload, of one packet or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Sequence number of its first packet.
    pub sequence: u8,
    /// The front of the payload, as far as it is kept.
    pub kept: Vec<u8>,
    /// Length of the payload.
    pub length: u64,
    /// Length on the wire, heads included.
    pub bytes: u64,
}

/// Reads one side, from whatever pieces arrive.
#[derive(Debug)]
pub struct Packets {
    /// Most bytes of a payload that are kept.
    keep: usize,
    /// The same of the one being read.
    limit: usize,
    head: [u8; 4],
    head_bytes: usize,
    /// Payload bytes to come of the packet being read, once its head is whole.
    left: usize,
    goes_on: bool,
    now: Packet,
}

impl Packets {
    /// At the head of a packet; at most `keep` bytes of each payload are kept.
    pub fn new(keep: usize) -> Self {
        let now = Packet::default();
        Self { keep, limit: keep, head: [0; 4], head_bytes: 0, left: 0, goes_on: false, now }
    }

    /// Bytes of the payload being read.
    pub fn kept(&self) -> usize {
        self.now.kept.len()
    }

    /// No byte of the next packet has come.
    pub fn is_at_boundary(&self) -> bool {
        self.now.bytes == 0
    }

    /// Takes bytes off the front of `input`, until a payload is whole or nothing is left.
    pub fn read(&mut self, input: &mut &[u8]) -> Option<Packet> {
        while !input.is_empty() {
            if self.head_bytes < self.head.len() {
                let (byte, rest) = input.split_first()?;
                self.head[self.head_bytes] = *byte;
                self.head_bytes += 1;
                self.now.bytes += 1;
                *input = rest;
                if self.head_bytes < self.head.len() {
                    continue;
                }
                self.open();
            }
            let (piece, rest) = input.split_at(self.left.min(input.len()));
            let room = self.limit.saturating_sub(self.now.kept.len());
            self.now.kept.extend_from_slice(&piece[..piece.len().min(room)]);
            self.passed(piece.len());
            *input = rest;
            if self.left == 0 {
                self.head_bytes = 0;
                if !self.goes_on {
                    self.limit = self.keep;
                    return Some(std::mem::take(&mut self.now));
                }
            }
        }
        None
    }

    /// Keeps only the front of the payload being read: memory is short.
    pub fn shorten(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
        self.now.kept.truncate(limit);
        self.now.kept.shrink_to_fit();
    }

    /// What there is of the payload being read, which will never be whole.
    pub fn cut(&mut self) -> Packet {
        self.head_bytes = 0;
        self.goes_on = false;
        self.limit = self.keep;
        let mut cut = std::mem::take(&mut self.now);
        // Its length is as the head says.
        cut.length += self.left as u64;
        cut
    }

    /// Bytes are missing. True when they are all inside of one payload, whose end is not among
    /// them; what was kept of it is not its front any more when they come early.
    pub fn skip_lost(&mut self, bytes: u64) -> bool {
        let inside = self.head_bytes == self.head.len()
            && usize::try_from(bytes).is_ok_and(|bytes| bytes < self.left);
        if inside {
            self.limit = self.now.kept.len();
            self.passed(usize::try_from(bytes).unwrap_or_default());
        }
        inside
    }

    fn open(&mut self) {
        let [low, middle, high, sequence] = self.head;
        self.left = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        if !self.goes_on {
            self.now.sequence = sequence;
        }
        self.goes_on = self.left == MAX_PACKET;
    }

    fn passed(&mut self, count: usize) {
        self.left -= count;
        self.now.length += count as u64;
        self.now.bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(keep: usize, pieces: &[&[u8]]) -> Vec<Packet> {
        let (mut packets, mut found) = (Packets::new(keep), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                found.extend(packets.read(&mut rest));
            }
        }
        found
    }

    #[test]
    fn every_cut_reads_alike() {
        let wire = b"\x03\0\0\x05abc\0\0\0\x06\x01\0\0\0\x0e";
        let expected =
            [(5, "abc", 7), (6, "", 4), (0, "\x0e", 5)].map(|(sequence, text, bytes)| {
                let length = text.len() as u64;
                Packet { sequence, kept: text.as_bytes().to_vec(), length, bytes }
            });
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read(9, &[wire]), expected);
        assert_eq!(read(9, &bytes), expected);
        assert_eq!(read(1, &[wire])[0].kept, b"a");
    }

    #[test]
    fn a_payload_of_sixteen_mebibytes_goes_on() {
        let mut wire = b"\xff\xff\xff\x00".to_vec();
        wire.resize(4 + MAX_PACKET, b'x');
        wire.extend_from_slice(b"\x02\0\0\x01yz\x00\0\0\x00");
        let found = read(4, &[&wire]);
        let front = Packet {
            sequence: 0,
            kept: b"xxxx".to_vec(),
            length: MAX_PACKET as u64 + 2,
            bytes: MAX_PACKET as u64 + 10,
        };
        assert_eq!((found.len(), &found[0]), (2, &front));
    }

    #[test]
    fn a_gap_inside_of_a_payload_is_stepped_over() {
        let mut packets = Packets::new(100);
        assert_eq!(packets.read(&mut &b"\x08\0\0\0ab"[..]), None);
        assert!(packets.skip_lost(3));
        let packet = packets.read(&mut &b"xyz"[..]).unwrap();
        assert_eq!((packet.kept, packet.length), (b"ab".to_vec(), 8));
        assert!(!packets.skip_lost(1));
        // The next one is kept as before.
        assert_eq!(packets.read(&mut &b"\x03\0\0\0abc"[..]).unwrap().kept, b"abc");
        assert_eq!(packets.read(&mut &b"\x04\0\0\0abc"[..]), None);
        packets.shorten(2);
        assert_eq!(packets.read(&mut &b"d"[..]).unwrap().kept, b"ab");
    }
}
