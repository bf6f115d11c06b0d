//! Cipher suites, as far as records can be opened that use them.

/// How records of a suite are sealed, and which hash derives the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Suite {
    pub(in crate::capture) cipher: Cipher,
    /// Of the pseudo-random function from TLS 1.2 on.
    pub(in crate::capture) hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Hash {
    Sha256,
    Sha384,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Cbc(Mac),
    Aes256Cbc(Mac),
}

/// What authenticates the records of a CBC suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

impl Mac {
    /// Bytes of its key and of its value.
    pub(in crate::capture) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

impl Cipher {
    /// Bytes of its key.
    pub(in crate::capture) fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc(_) => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::Aes256Cbc(_) => 32,
        }
    }
}

/// The suite of this number; `None` where records of it cannot be opened.
pub(in crate::capture) fn suite(number: u16) -> Option<Suite> {
    let (_, cipher, hash) = SUITES.iter().find(|(numbers, ..)| numbers.contains(&number))?;
    Some(Suite { cipher: *cipher, hash: *hash })
}

/// How keys are agreed on does not matter to whoever is told the secret, so that many numbers
/// mean the same here. CBC suites are given the hash that they use from TLS 1.2 on.
const SUITES: [(&[u16], Cipher, Hash); 8] = [
    (
        &[
            0x1301, 0x009c, 0x009e, 0x00a0, 0x00a2, 0x00a4, 0x00a6, 0x00a8, 0x00aa, 0x00ac, 0xc02b,
            0xc02d, 0xc02f, 0xc031, 0xd001,
        ],
        Cipher::Aes128Gcm,
        Hash::Sha256,
    ),
    (
        &[
            0x1302, 0x009d, 0x009f, 0x00a1, 0x00a3, 0x00a5, 0x00a7, 0x00a9, 0x00ab, 0x00ad, 0xc02c,
            0xc02e, 0xc030, 0xc032, 0xd002,
        ],
        Cipher::Aes256Gcm,
        Hash::Sha384,
    ),
    (
        &[0x1303, 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae],
        Cipher::ChaCha20Poly1305,
        Hash::Sha256,
    ),
    (
        &[
            0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0x0090, 0x0094, 0xc004, 0xc009,
            0xc00e, 0xc013, 0xc018, 0xc01d, 0xc01e, 0xc01f, 0xc035,
        ],
        Cipher::Aes128Cbc(Mac::Sha1),
        Hash::Sha256,
    ),
    (
        &[
            0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0x0091, 0x0095, 0xc005, 0xc00a,
            0xc00f, 0xc014, 0xc019, 0xc020, 0xc021, 0xc022, 0xc036,
        ],
        Cipher::Aes256Cbc(Mac::Sha1),
        Hash::Sha256,
    ),
    (
        &[
            0x003c, 0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0x00b2, 0x00b6, 0xc023, 0xc025,
            0xc027, 0xc029, 0xc037,
        ],
        Cipher::Aes128Cbc(Mac::Sha256),
        Hash::Sha256,
    ),
    (
        &[0x003d, 0x0068, 0x0069, 0x006a, 0x006b, 0x006d],
        Cipher::Aes256Cbc(Mac::Sha256),
        Hash::Sha256,
    ),
    (
        &[0x00af, 0x00b3, 0x00b7, 0xc024, 0xc026, 0xc028, 0xc02a, 0xc038],
        Cipher::Aes256Cbc(Mac::Sha384),
        Hash::Sha384,
    ),
];

/// The suite of a number that belongs to TLS 1.3.
pub(in crate::capture) fn is_of_tls13(number: u16) -> bool {
    number >> 8 == 0x13
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_by_number() {
        let cipher = |number| suite(number).map(|suite| suite.cipher);
        // TLS_AES_256_GCM_SHA384
        assert_eq!(cipher(0x1302), Some(Cipher::Aes256Gcm));
        // TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        assert_eq!(cipher(0xcca8), Some(Cipher::ChaCha20Poly1305));
        // TLS_DHE_RSA_WITH_AES_256_CBC_SHA
        assert_eq!(cipher(0x0039), Some(Cipher::Aes256Cbc(Mac::Sha1)));
        // TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
        assert_eq!(cipher(0xc024), Some(Cipher::Aes256Cbc(Mac::Sha384)));
        // TLS_RSA_WITH_RC4_128_SHA
        assert_eq!(cipher(0x0005), None);
    }
}
