//! The key of pseudonyms, and what is drawn with it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A secret from which pseudonyms are drawn. Whoever has it can test guesses of what a pseudonym
/// stands for; whoever has not learns nothing from a pseudonym but length and kinds of characters.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// A key from a secret of any length; it is as hard to guess as the secret.
    pub fn from_secret(secret: &[u8]) -> Self {
        // A key shorter than a block counts as one that ends in zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&Sha256::digest(secret));
        Self(Hmac::new(&block.into()))
    }

    /// What a value is replaced with follows from this.
    pub(crate) fn seed(&self, value: &[u8]) -> [u8; 32] {
        self.drawn(b"value ", value)
    }

    /// The number of a session whose own would let its cookies be guessed.
    pub(crate) fn session(&self, session: u64) -> u64 {
        let drawn = self.drawn(b"session ", &session.to_le_bytes());
        drawn.first_chunk().copied().map_or(0, u64::from_le_bytes)
    }

    /// Prefixes keep what is drawn for one purpose apart from all others.
    fn drawn(&self, purpose: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hmac = self.0.clone();
        hmac.update(purpose);
        hmac.update(value);
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(not shown)")
    }
}

/// Bytes as good as random, the same for the same seed and attempt.
pub(crate) struct Stream<'a> {
    seed: &'a [u8; 32],
    attempt: u32,
    block: [u8; 32],
    taken: usize,
    blocks: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(seed: &'a [u8; 32], attempt: u32) -> Self {
        Self { seed, attempt, block: [0; 32], taken: 32, blocks: 0 }
    }

    /// One of `count` numbers from 0, nearly equally likely; `count` is 1 at least.
    pub(crate) fn below(&mut self, count: u8) -> u8 {
        if self.taken == self.block.len() {
            let mut hash = Sha256::new();
            hash.update(self.seed);
            hash.update(self.attempt.to_le_bytes());
            hash.update(self.blocks.to_le_bytes());
            self.block = hash.finalize().into();
            (self.taken, self.blocks) = (0, self.blocks + 1);
        }
        let random = self.block.get(self.taken).copied().unwrap_or_default();
        self.taken += 1;
        // The upper byte of the product: below `count`, for the other factor is below 256.
        (u16::from(random) * u16::from(count)).to_be_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_purposes_and_attempts_draw_apart() {
        let (one, other) = (Key::from_secret(b"one"), Key::from_secret(b"other"));
        assert_eq!(one.seed(b"value"), Key::from_secret(b"one").seed(b"value"));
        assert_ne!(one.seed(b"value"), other.seed(b"value"));
        assert_eq!(one.session(7), Key::from_secret(b"one").session(7));
        assert_ne!(one.session(7), one.session(8));
        assert_ne!(one.session(7), other.session(7));
        let drawn = |attempt| {
            let seed = one.seed(b"value");
            let mut stream = Stream::new(&seed, attempt);
            (0..100).map(|_| stream.below(10)).collect::<Vec<u8>>()
        };
        assert_ne!(drawn(0), drawn(1));
        assert_ne!(drawn(0)[..32], drawn(0)[32..64]);
        assert!((0..10).all(|digit| drawn(0).contains(&digit)));
        assert!(drawn(0).iter().all(|digit| *digit < 10));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", Key::from_secret(b"s3cret")), "Key(not shown)");
    }
}
