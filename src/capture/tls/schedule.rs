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
    seed.iter().for_each(|part| whole_seed.extend_from_slice(part));
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
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

/// With MD5, which ring does not have.
fn md5_digest(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut context) = Hmac::<Md5>::new_from_slice(key) else {
        return vec![0; 16]; // A key of any length is taken.
    };
    parts.iter().for_each(|part| context.update(part));
    context.finalize().into_bytes().to_vec()
}

/// How much to expand to.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
