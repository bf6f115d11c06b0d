//! The record layer: headers, and the opening of what is sealed.

use std::fmt;

use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::capture::tls::cbc::Cbc;

/// Bytes of a record's header.
pub(in crate::capture) const HEADER: usize = 5;

/// Longest payload of a record: 16 KiB of content, and what a suite may add to it.
pub(in crate::capture) const MAX_PAYLOAD: usize = (16 << 10) + 2048;

/// Type of a record.
pub(in crate::capture) const CHANGE_CIPHER_SPEC: u8 = 20;
/// Type of a record.
pub(in crate::capture) const ALERT: u8 = 21;
/// Type of a record.
pub(in crate::capture) const HANDSHAKE: u8 = 22;
/// Type of a record.
pub(in crate::capture) const APPLICATION_DATA: u8 = 23;
/// Type of a record.
const HEARTBEAT: u8 = 24;

/// The front of a record as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Header {
    pub(in crate::capture) bytes: [u8; HEADER],
}

impl Header {
    /// `None` where `bytes` begin with no record.
    pub(in crate::capture) fn read(bytes: &[u8]) -> Option<Self> {
        let header = Self { bytes: *bytes.first_chunk()? };
        let [kind, major, minor, ..] = header.bytes;
        let is_known = (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind) && major == 3 && minor <= 4;
        (is_known && header.length() <= MAX_PAYLOAD).then_some(header)
    }

    pub(in crate::capture) fn kind(self) -> u8 {
        self.bytes[0]
    }

    /// Bytes of the payload.
    pub(in crate::capture) fn length(self) -> usize {
        let [.., high, low] = self.bytes;
        usize::from(u16::from_be_bytes([high, low]))
    }
}

/// What was sealed in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Content {
    pub(in crate::capture) kind: u8,
    pub(in crate::capture) bytes: Vec<u8>,
}

/// Opens the records of one side under one key.
pub(in crate::capture) enum Opener {
    /// TLS 1.3.
    Tls13 { key: LessSafeKey, iv: [u8; 12] },
    /// GCM before TLS 1.3: half of each nonce is sent.
    Gcm { key: LessSafeKey, salt: [u8; 4] },
    /// ChaCha20-Poly1305 before TLS 1.3.
    ChaCha { key: LessSafeKey, iv: [u8; 12] },
    /// Before TLS 1.3.
    Cbc(Box<Cbc>),
}

impl fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Opener(not shown)")
    }
}

/// Bytes of the authentication of all AEADs here.
const TAG: usize = 16;

/// Bytes of a nonce that GCM sends before TLS 1.3.
const SENT_NONCE: usize = 8;

impl Opener {
    /// The content of a record that is the `seq`-th under this key, if it is authentic.
    pub(in crate::capture) fn open(
        &self,
        seq: u64,
        header: Header,
        payload: &[u8],
    ) -> Option<Content> {
        let [kind, major, minor, ..] = header.bytes;
        let mut front = [0; 11];
        front[..8].copy_from_slice(&seq.to_be_bytes());
        front[8..].copy_from_slice(&[kind, major, minor]);
        match self {
            Self::Tls13 { key, iv } => {
                let bytes = unseal(key, masked(*iv, seq), &header.bytes, payload)?;
                without_padding(bytes)
            }
            Self::Gcm { key, salt } => {
                let (sent, sealed) = payload.split_first_chunk::<SENT_NONCE>()?;
                let mut nonce = [0; 12];
                nonce[..4].copy_from_slice(salt);
                nonce[4..].copy_from_slice(sent);
                let bytes = unseal(key, nonce, &with_length(&front, sealed)?, sealed)?;
                Some(Content { kind, bytes })
            }
            Self::ChaCha { key, iv } => {
                let front = with_length(&front, payload)?;
                let bytes = unseal(key, masked(*iv, seq), &front, payload)?;
                Some(Content { kind, bytes })
            }
            Self::Cbc(cbc) => Some(Content { kind, bytes: cbc.open(&front, payload)? }),
        }
    }

    /// A record has passed, opened or not.
    pub(in crate::capture) fn passed(&mut self, payload: &[u8]) {
        if let Self::Cbc(cbc) = self {
            cbc.passed(payload);
        }
    }

    /// Bytes of a payload before the content.
    pub(in crate::capture) fn front(&self) -> usize {
        match self {
            Self::Tls13 { .. } | Self::ChaCha { .. } => 0,
            Self::Gcm { .. } => SENT_NONCE,
            Self::Cbc(cbc) => cbc.front(),
        }
    }

    /// Bytes that a record has beyond its content, header and all; at least these many in CBC
    /// suites.
    pub(in crate::capture) fn overhead(&self) -> usize {
        HEADER
            + match self {
                Self::Tls13 { .. } => TAG + 1,
                Self::Gcm { .. } => SENT_NONCE + TAG,
                Self::ChaCha { .. } => TAG,
                Self::Cbc(cbc) => cbc.overhead(),
            }
    }
}

fn unseal(key: &LessSafeKey, nonce: [u8; 12], front: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(front), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// The vector with the sequence number mixed in.
fn masked(mut iv: [u8; 12], seq: u64) -> [u8; 12] {
    iv.iter_mut().skip(4).zip(seq.to_be_bytes()).for_each(|(byte, mask)| *byte ^= mask);
    iv
}

/// What is authenticated beside the content, before TLS 1.3: it names the content's length.
fn with_length(front: &[u8; 11], sealed: &[u8]) -> Option<[u8; 13]> {
    let length = u16::try_from(sealed.len().checked_sub(TAG)?).ok()?;
    let mut whole = [0; 13];
    whole[..11].copy_from_slice(front);
    whole[11..].copy_from_slice(&length.to_be_bytes());
    Some(whole)
}

/// In TLS 1.3 the content is followed by its type and any number of zeros.
fn without_padding(mut bytes: Vec<u8>) -> Option<Content> {
    let end = bytes.iter().rposition(|byte| *byte != 0)?;
    bytes.truncate(end + 1);
    let kind = bytes.pop()?;
    Some(Content { kind, bytes })
}
