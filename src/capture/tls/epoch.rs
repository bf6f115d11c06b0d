//! The keys of one side for a while: what they are made of, and what comes after them.

use ring::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

use crate::capture::tls::cbc::{Cbc, mac_key};
use crate::capture::tls::hello::ServerHello;
use crate::capture::tls::keylog::{Random, Secret};
use crate::capture::tls::record::Opener;
use crate::capture::tls::schedule::{Prf, expand_label, prf};
use crate::capture::tls::suite::{Cipher, Hash, Suite, is_of_tls13, suite};

/// What both hellos of a connection agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Agreed {
    pub(in crate::capture) client: Random,
    pub(in crate::capture) server: Random,
    pub(in crate::capture) version: Version,
    pub(in crate::capture) suite: Suite,
    pub(in crate::capture) encrypt_then_mac: bool,
}

/// A version of TLS, from old to new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::capture) enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl Agreed {
    /// `None` where records of this connection cannot be opened, whatever is known.
    pub(in crate::capture) fn new(client: Random, hello: &ServerHello) -> Option<Self> {
        let version = match hello.version {
            0x0301 => Version::Tls10,
            0x0302 => Version::Tls11,
            0x0303 => Version::Tls12,
            0x0304 => Version::Tls13,
            _ => return None,
        };
        let is_fitting = is_of_tls13(hello.suite) == (version == Version::Tls13);
        let suite = suite(hello.suite).filter(|_| is_fitting && !hello.is_compressed)?;
        let encrypt_then_mac = hello.encrypt_then_mac;
        Some(Self { client, server: hello.random, version, suite, encrypt_then_mac })
    }
}

/// The keys of one side between two changes.
#[derive(Debug)]
pub(in crate::capture) struct Epoch {
    pub(in crate::capture) opener: Opener,
    /// Number of the next record.
    pub(in crate::capture) seq: u64,
    /// In TLS 1.3: what the keys are made of, and the next ones.
    secret: Option<(Suite, Secret)>,
}

impl Epoch {
    /// Of a version before TLS 1.3, from the master secret; `None` never for suites that are known.
    pub(in crate::capture) fn of_master(
        agreed: &Agreed,
        master: &Secret,
        is_client: bool,
    ) -> Option<Self> {
        let Suite { cipher, hash } = agreed.suite;
        let function = match agreed.version {
            Version::Tls10 | Version::Tls11 => Prf::Md5Sha1,
            Version::Tls12 | Version::Tls13 => Prf::One(hash),
        };
        let (mac_length, vector_length) = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => (0, 4),
            Cipher::ChaCha20Poly1305 => (0, 12),
            Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) => (mac.length(), 16),
        };
        let lengths = [mac_length, cipher.key_length(), vector_length];
        let mut block = vec![0; 2 * lengths.iter().sum::<usize>()];
        let seed: [&[u8]; 2] = [&agreed.server, &agreed.client];
        prf(function, master.bytes(), b"key expansion", &seed, &mut block);
        // Each kind of key stands twice: that of the client, that of the server.
        let mut rest = &block[..];
        let mut parts = [&[][..]; 3];
        for (part, length) in parts.iter_mut().zip(lengths) {
            let (client, after) = rest.split_at_checked(length)?;
            let (server, after) = after.split_at_checked(length)?;
            *part = if is_client { client } else { server };
            rest = after;
        }
        let [mac_part, key, vector] = parts;
        let opener = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => {
                Opener::Gcm { key: aead(cipher, key)?, salt: vector.try_into().ok()? }
            }
            Cipher::ChaCha20Poly1305 => {
                Opener::ChaCha { key: aead(cipher, key)?, iv: vector.try_into().ok()? }
            }
            Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) => {
                let is_chained = agreed.version == Version::Tls10;
                Opener::Cbc(Box::new(Cbc {
                    cipher_key: key.to_vec(),
                    mac,
                    mac_key: mac_key(mac, mac_part),
                    chained: vector.try_into().ok().filter(|_| is_chained),
                    encrypt_then_mac: agreed.encrypt_then_mac,
                }))
            }
        };
        Some(Self { opener, seq: 0, secret: None })
    }

    /// Of TLS 1.3, from a traffic secret.
    pub(in crate::capture) fn of_secret(suite: Suite, secret: Secret) -> Option<Self> {
        let mut key = vec![0; suite.cipher.key_length()];
        let mut iv = [0; 12];
        expand_label(suite.hash, secret.bytes(), b"key", &mut key);
        expand_label(suite.hash, secret.bytes(), b"iv", &mut iv);
        let opener = Opener::Tls13 { key: aead(suite.cipher, &key)?, iv };
        Some(Self { opener, seq: 0, secret: Some((suite, secret)) })
    }

    /// What follows a key update.
    pub(in crate::capture) fn updated(&self) -> Option<Self> {
        let (suite, secret) = self.secret?;
        let mut next = [0; 48];
        let length = match suite.hash {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        };
        let next = next.get_mut(..length)?;
        expand_label(suite.hash, secret.bytes(), b"traffic upd", next);
        Self::of_secret(suite, Secret::new(next)?)
    }
}

fn aead(cipher: Cipher, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match cipher {
        Cipher::Aes128Gcm => &AES_128_GCM,
        Cipher::Aes256Gcm => &AES_256_GCM,
        Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        Cipher::Aes128Cbc(_) | Cipher::Aes256Cbc(_) => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tls::record::{HEADER, Header};

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(digit).collect()
    }

    /// RFC 8448, section 3: the client's first application data, which is the bytes from 0 to 49.
    fn record() -> Vec<u8> {
        hex("17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa
             66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2
             97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4")
    }

    fn epoch() -> Epoch {
        let secret = hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
        Epoch::of_secret(suite(0x1301).unwrap(), Secret::new(&secret).unwrap()).unwrap()
    }

    #[test]
    fn a_record_of_the_rfc_is_opened() {
        let record = record();
        let header = Header::read(&record).unwrap();
        assert_eq!((header.kind(), HEADER + header.length()), (23, record.len()));
        let content = epoch().opener.open(0, header, &record[HEADER..]).unwrap();
        assert_eq!((content.kind, content.bytes), (23, (0..50).collect()));
    }

    #[test]
    fn what_is_not_authentic_is_not_opened() {
        let epoch = epoch();
        let record = record();
        let header = Header::read(&record).unwrap();
        assert_eq!(epoch.opener.open(1, header, &record[HEADER..]), None, "another number");
        for bit in 0..8 * record.len() {
            let mut record = record.clone();
            record[bit / 8] ^= 1 << (bit % 8);
            let header = Header { bytes: *record.first_chunk().unwrap() };
            assert_eq!(epoch.opener.open(0, header, &record[HEADER..]), None, "bit {bit}");
        }
        assert_eq!(epoch.opener.open(0, header, &record[HEADER..20]), None, "cut");
        let updated = epoch.updated().unwrap();
        assert_eq!(updated.opener.open(0, header, &record[HEADER..]), None, "other keys");
    }
}
