//! From secrets to keys: the pseudo-random functions of TLS 1.0 to 1.2, and the labelled expansion
//! of TLS 1.3.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use ring::hkdf;
use ring::hmac::{self as ring_hmac, Algorithm};

use crate::capture::tls::suite::Hash;

/// Which pseudo-random function a version of TLS uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Prf {
    /// TLS 1.0 and 1.1: MD5 and SHA-1, each with one half of the secret.
    Md5Sha1,
    /// TLS 1.2.
    One(Hash),
}

/// The function of RFC 5246, section 5, or of RFC 2246, section 5: fills `out`.
pub(in crate::capture) fn prf(
    prf: Prf,
    secret: &[u8],
    label: &[u8],
    seed: &[&[u8]],
    out: &mut [u8],
) {
    let mut whole_seed = label.to_vec();
    for part in seed {
        whole_seed.extend_from_slice(part);
    }
    let sha = |algorithm: Algorithm, secret: &[u8], out: &mut [u8]| {
        let key = ring_hmac::Key::new(algorithm, secret);
        expand(&|parts| ring_digest(&key, parts), &whole_seed, out);
    };
    match prf {
        Prf::One(Hash::Sha256) => sha(ring_hmac::HMAC_SHA256, secret, out),
        Prf::One(Hash::Sha384) => sha(ring_hmac::HMAC_SHA384, secret, out),
        Prf::Md5Sha1 => {
            // The halves share the middle byte of a secret of odd length.
            let half = secret.len().div_ceil(2);
            let first = secret.get(..half).unwrap_or_default();
            let second = secret.get(secret.len() - half..).unwrap_or_default();
            expand(&|parts| md5_digest(first, parts), &whole_seed, out);
            let mut other = vec![0; out.len()];
            sha(ring_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, second, &mut other);
            out.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
        }
    }
}

/// `HKDF-Expand-Label` of RFC 8446, section 7.1, without context: fills `out`.
pub(in crate::capture) fn expand_label(hash: Hash, secret: &[u8], label: &[u8], out: &mut [u8]) {
    let algorithm = match hash {
        Hash::Sha256 => hkdf::HKDF_SHA256,
        Hash::Sha384 => hkdf::HKDF_SHA384,
    };
    let length = u16::try_from(out.len()).unwrap_or(0).to_be_bytes();
    let label_length = [u8::try_from(6 + label.len()).unwrap_or(0)];
    let info: [&[u8]; 5] = [&length, &label_length, b"tls13 ", label, &[0]];
    let secret = hkdf::Prk::new_less_safe(algorithm, secret);
    // Keys are far shorter than the 255 blocks that can be expanded.
    if let Ok(key) = secret.expand(&info, Length(out.len())) {
        let _ = key.fill(out);
    }
}

/// `P_hash`: fills `out` with as many blocks as it takes.
fn expand(digest: &dyn Fn(&[&[u8]]) -> Vec<u8>, seed: &[u8], out: &mut [u8]) {
    let mut link = digest(&[seed]);
    let mut rest = out;
    while !rest.is_empty() {
        let block = digest(&[&link, seed]);
        let count = block.len().min(rest.len());
        let (front, back) = rest.split_at_mut(count);
        front.copy_from_slice(&block[..count]);
        rest = back;
        link = digest(&[&link]);
    }
}

fn ring_digest(key: &ring_hmac::Key, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = ring_hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// With MD5, which ring does not have.
fn md5_digest(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut context) = Hmac::<Md5>::new_from_slice(key) else {
        return vec![0; 16]; // A key of any length is taken.
    };
    for part in parts {
        context.update(part);
    }
    context.finalize().into_bytes().to_vec()
}

/// How much to expand to.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }

    /// The secret, label and seed of the test vectors that the TLS working group passed around.
    fn prf_of(function: Prf, secret: &str, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        let seed = hex("a0ba9f936cda311827a6f796ffd5198c");
        prf(function, &hex(secret), b"test label", &[&seed[..7], &seed[7..]], &mut out);
        out
    }

    #[test]
    fn the_functions_before_tls13() {
        let secret = "9bbe436ba940f017b17652849a71db35";
        let out = prf_of(Prf::One(Hash::Sha256), secret, 48);
        let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a\
                        6b301791e90d35c9c9a46b4e14baf9af";
        assert_eq!(out, hex(expected));
        // Computed with another implementation.
        let out = prf_of(Prf::One(Hash::Sha384), secret, 60);
        let expected = "dd88775cd827187b67a3f7652b5c13f715791cc46e0274a6d3fb16651103defc\
                        544cd8afb68369a219bb918b8b21ddb1764af0a70339e6dec085e574";
        assert_eq!(out, hex(expected));
        // The same with a secret whose halves share a byte.
        let out = prf_of(Prf::Md5Sha1, &format!("{secret}07"), 60);
        let expected = "11112e77b7963dfd472b87a806593b360cbc34cb21ba724aaa006091627b4793\
                        43748f66124338cfff36182f20b0e542c4f2c84c417e66632067df5e";
        assert_eq!(out, hex(expected));
    }

    #[test]
    fn the_labels_of_tls13() {
        // RFC 8448, section 3: keys of the server's handshake.
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(Hash::Sha256, &secret, b"key", &mut key);
        expand_label(Hash::Sha256, &secret, b"iv", &mut iv);
        assert_eq!(key[..], hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv[..], hex("5d313eb2671276ee13000b30"));
    }
}
