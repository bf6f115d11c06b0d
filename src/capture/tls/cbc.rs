//! Records of the CBC suites of TLS 1.0 to 1.2.

use aes::{Aes128, Aes256};
use cbc::Decryptor;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use ring::hmac;

use crate::capture::tls::suite::Mac;

const BLOCK: usize = 16;

/// What opens the records of one side.
pub(in crate::capture) struct Cbc {
    pub(super) cipher_key: Vec<u8>,
    pub(super) mac: Mac,
    pub(super) mac_key: hmac::Key,
    /// Of TLS 1.0: the last block of the record before. Later versions send a vector of their own
    /// with each record.
    pub(super) chained: Option<[u8; BLOCK]>,
    pub(super) encrypt_then_mac: bool,
}

impl Cbc {
    /// The content of a record, if it is authentic. `front` are its number, type and version.
    pub(super) fn open(&self, front: &[u8; 11], payload: &[u8]) -> Option<Vec<u8>> {
        let length = self.mac.length();
        let sealed = if self.encrypt_then_mac {
            let (sealed, tag) = payload.split_at_checked(payload.len().checked_sub(length)?)?;
            self.check(front, sealed, tag)?;
            sealed
        } else {
            payload
        };
        let (vector, blocks) = match &self.chained {
            Some(vector) => (vector, sealed),
            None => sealed.split_first_chunk()?,
        };
        let mut content = self.decrypt(vector, blocks)?;
        let padding = usize::from(*content.last()?);
        let end = content.len().checked_sub(padding + 1)?;
        if content.iter().skip(end).any(|byte| usize::from(*byte) != padding) {
            return None;
        }
        content.truncate(end);
        if !self.encrypt_then_mac {
            let tag = content.split_off(end.checked_sub(length)?);
            self.check(front, &content, &tag)?;
        }
        Some(content)
    }

    /// A record has passed, opened or not.
    pub(super) fn passed(&mut self, payload: &[u8]) {
        if let Some(vector) = &mut self.chained {
            let length = if self.encrypt_then_mac { self.mac.length() } else { 0 };
            let sealed = payload.get(..payload.len().saturating_sub(length)).unwrap_or_default();
            if let Some(last) = sealed.last_chunk() {
                *vector = *last;
            }
        }
    }

    /// Bytes that a record has at least beyond its content, without its header.
    pub(super) fn overhead(&self) -> usize {
        self.front() + self.mac.length() + 1
    }

    /// Bytes of a vector that is sent before the content.
    pub(super) fn front(&self) -> usize {
        if self.chained.is_some() { 0 } else { BLOCK }
    }

    fn check(&self, front: &[u8; 11], content: &[u8], tag: &[u8]) -> Option<()> {
        let mut signed = front.to_vec();
        signed.extend(u16::try_from(content.len()).ok()?.to_be_bytes());
        signed.extend_from_slice(content);
        hmac::verify(&self.mac_key, &signed, tag).ok()
    }

    fn decrypt(&self, vector: &[u8; BLOCK], blocks: &[u8]) -> Option<Vec<u8>> {
        if blocks.is_empty() || !blocks.len().is_multiple_of(BLOCK) {
            return None;
        }
        if self.cipher_key.len() == 16 {
            let cipher = Decryptor::<Aes128>::new_from_slices(&self.cipher_key, vector).ok()?;
            cipher.decrypt_padded_vec::<NoPadding>(blocks).ok()
        } else {
            let cipher = Decryptor::<Aes256>::new_from_slices(&self.cipher_key, vector).ok()?;
            cipher.decrypt_padded_vec::<NoPadding>(blocks).ok()
        }
    }
}

/// The key of a suite's authentication.
pub(super) fn mac_key(mac: Mac, key: &[u8]) -> hmac::Key {
    let algorithm = match mac {
        Mac::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Mac::Sha256 => hmac::HMAC_SHA256,
        Mac::Sha384 => hmac::HMAC_SHA384,
    };
    hmac::Key::new(algorithm, key)
}
