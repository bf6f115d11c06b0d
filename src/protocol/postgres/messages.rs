//! Messages: a byte that tells the kind, four of length, a payload.

use crate::protocol::postgres::is_of_server;

/// Longest message that is believed: what a server takes.
pub const MAX_MESSAGE: u32 = 1 << 30;

/// Bytes in front of a payload.
const HEAD: usize = 5;

/// A whole message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: u8,
    /// The front of the payload, as far as it is kept.
    pub kept: Vec<u8>,
    /// Length on the wire, kind and length included.
    pub bytes: u64,
}

/// No message is like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no message of PostgreSQL has this kind and length")]
pub struct NotPostgres;

/// Reads one side, from whatever pieces arrive.
#[derive(Debug)]
pub struct Messages {
    /// Most bytes of a payload that are kept.
    keep: usize,
    /// The same of the one being read.
    limit: usize,
    is_kind: fn(u8) -> bool,
    head: [u8; HEAD],
    head_bytes: usize,
    left: u64,
    now: Message,
}

impl Messages {
    /// At the front of a message, of the kinds that `is_kind` knows; at most `keep` bytes of each
    /// payload are kept.
    pub fn new(keep: usize, is_kind: fn(u8) -> bool) -> Self {
        let now = Message::default();
        Self { keep, limit: keep, is_kind, head: [0; HEAD], head_bytes: 0, left: 0, now }
    }

    /// Bytes of the payload being read.
    pub fn kept(&self) -> usize {
        self.now.kept.len()
    }

    /// No byte of the next message has come.
    pub fn is_at_boundary(&self) -> bool {
        self.head_bytes == 0
    }

    /// Takes bytes off the front of `input`, until a message is whole or nothing is left.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, NotPostgres> {
        while self.head_bytes < HEAD {
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            self.head[self.head_bytes] = *byte;
            self.head_bytes += 1;
            *input = rest;
            if self.head_bytes == 1 && !(self.is_kind)(*byte) {
                return Err(NotPostgres);
            }
            if self.head_bytes == HEAD {
                let length = length_at(&self.head, 0).ok_or(NotPostgres)?;
                self.left = (length - HEAD) as u64;
                self.now.kind = self.head[0];
                self.now.bytes = HEAD as u64;
            }
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(count);
        let room = self.limit.saturating_sub(self.now.kept.len());
        self.now.kept.extend_from_slice(&piece[..count.min(room)]);
        self.left -= count as u64;
        self.now.bytes += count as u64;
        *input = rest;
        if self.left > 0 {
            return Ok(None);
        }
        self.head_bytes = 0;
        self.limit = self.keep;
        Ok(Some(std::mem::take(&mut self.now)))
    }

    /// Keeps only the front of the payload being read: memory is short.
    pub fn shorten(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
        self.now.kept.truncate(limit);
        self.now.kept.shrink_to_fit();
    }

    /// What there is of the message being read, which will never be whole; its length is as it
    /// says.
    pub fn cut(&mut self) -> Message {
        self.head_bytes = 0;
        self.limit = self.keep;
        let mut cut = std::mem::take(&mut self.now);
        cut.bytes += std::mem::take(&mut self.left);
        cut
    }

    /// Bytes are missing. True when they are all inside of one payload, whose end is not among
    /// them.
    pub fn skip_lost(&mut self, bytes: u64) -> bool {
        let is_inside = self.head_bytes == HEAD && bytes < self.left;
        if is_inside {
            self.limit = self.now.kept.len();
            self.left -= bytes;
            self.now.bytes += bytes;
        }
        is_inside
    }
}

/// A run of messages of a server begins here: all that the bytes show have known kinds, and no
/// length is beyond what a row has.
pub fn are_messages(bytes: &[u8]) -> bool {
    const MAX_ROW: usize = 64 << 20;
    let mut at = 0;
    while let Some(kind) = bytes.get(at) {
        let is_cut = bytes.len() - at < HEAD;
        if !is_of_server(*kind) || is_cut && at == 0 {
            return false;
        }
        if is_cut {
            break;
        }
        match length_at(bytes, at) {
            Some(length) if length <= MAX_ROW => at = at.saturating_add(length),
            _ => return false,
        }
    }
    at > 0
}

/// The length on the wire of the message at `at`, if one can have it.
pub(crate) fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = bytes.get(at + 1..at + HEAD)?.first_chunk::<4>()?;
    let length = u32::from_be_bytes(*digits);
    (4..=MAX_MESSAGE).contains(&length).then_some(usize::try_from(length).ok()? + 1)
}

/// A message on the wire.
#[cfg(test)]
pub(crate) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<(u8, Vec<u8>, u64)>, NotPostgres> {
        let (mut messages, mut found) = (Messages::new(4, is_of_server), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                found.extend(messages.read(&mut rest)?.map(|it| (it.kind, it.kept, it.bytes)));
            }
        }
        Ok(found)
    }

    #[test]
    fn every_cut_reads_alike() {
        let wire = [message(b'C', b"SELECT 1\0"), message(b'1', b""), message(b'Z', b"I")].concat();
        let expected =
            vec![(b'C', b"SELE".to_vec(), 14), (b'1', vec![], 5), (b'Z', b"I".to_vec(), 6)];
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read(&[&wire]), Ok(expected.clone()));
        assert_eq!(read(&bytes), Ok(expected));
    }

    #[test]
    fn what_is_none_is_told() {
        assert_eq!(read(&[b"HTTP/1.1 200 OK\r\n"]), Err(NotPostgres));
        assert_eq!(read(&[b"Z\0\0\0\x03"]), Err(NotPostgres));
        assert_eq!(read(&[b"!\0\0\0\x05I"]), Err(NotPostgres));
    }

    #[test]
    fn runs_of_messages() {
        let run = [message(b'D', b"\0\0"), message(b'C', b"x\0"), message(b'Z', b"I")].concat();
        for length in [run.len(), 12, 7] {
            assert!(are_messages(&run[..length]), "{length}");
        }
        assert!(!are_messages(&run[..4]));
        assert!(!are_messages(b"HTTP/1.1 200 OK\r\n"));
        assert!(!are_messages(&[&run[..7], b"?"].concat()));
    }

    #[test]
    fn a_gap_inside_of_a_payload_is_stepped_over() {
        let mut messages = Messages::new(100, is_of_server);
        assert_eq!(messages.read(&mut &b"D\0\0\0\x0cab"[..]), Ok(None));
        assert!(messages.skip_lost(3));
        let message = messages.read(&mut &b"xyz"[..]).unwrap().unwrap();
        assert_eq!((message.bytes, message.kept), (13, b"ab".to_vec()));
        // The next one is kept as before.
        assert_eq!(messages.read(&mut &b"D\0\0\0\x06ab"[..]).unwrap().unwrap().kept, b"ab");
        assert!(!messages.skip_lost(1));
    }
}
