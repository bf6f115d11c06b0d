//! MySQL and `MariaDB` as heard on the wire: packets, the login as far as it says how to read on,
//! commands, and where a response ends.

pub mod packets;
pub mod login;
pub mod command;
pub mod response;

use crate::protocol::mysql::command::is_certain;
use crate::protocol::mysql::login::{greeting, refusal};

/// Bits of the capabilities that both sides agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Clear where the server is `MariaDB` and says more in bytes that were filler.
    pub const CLIENT_MYSQL: Self = Self(1);
    /// Packets are inside of compressed ones after the login, by zlib.
    pub const COMPRESS: Self = Self(1 << 5);
    /// The login has its present form.
    pub const PROTOCOL_41: Self = Self(1 << 9);
    /// TLS follows.
    pub const SSL: Self = Self(1 << 11);
    /// No packet of its own ends the descriptions of columns.
    pub const DEPRECATE_EOF: Self = Self(1 << 24);
    /// A result set may come without descriptions of its columns, and says so.
    pub const OPTIONAL_METADATA: Self = Self(1 << 25);
    /// Likewise compressed, by zstd.
    pub const ZSTD: Self = Self(1 << 26);
    /// Attributes stand in front of the text of a query.
    pub const QUERY_ATTRIBUTES: Self = Self(1 << 27);

    /// All bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// The bytes are a greeting, or a refusal in place of one.
pub fn greets(bytes: &[u8]) -> bool {
    payload(bytes).is_some_and(|(payload, is_cut)| {
        greeting(payload).is_some() || !is_cut && refusal(payload).is_some()
    })
}

/// The bytes may be the front of a greeting, or of a refusal, that cannot be told yet.
pub fn may_become_greeting(bytes: &[u8]) -> bool {
    const LENGTH: usize = 512;
    let front = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let head = front.iter().zip([255, 1, 0, 0]).all(|(byte, most)| *byte <= most);
    let whole = usize::from(front.first().copied().unwrap_or_default())
        | usize::from(front.get(1).copied().unwrap_or_default()) << 8;
    let version = bytes.iter().skip(5).take_while(|byte| **byte != 0);
    let is_plausible = match bytes.get(4) {
        Some(10) => {
            let mut version = version;
            version.all(u8::is_ascii_graphic)
        }
        Some(kind) => *kind == 0xff,
        None => true,
    };
    !bytes.is_empty() && head && is_plausible && bytes.len() < 4 + whole.min(LENGTH)
}

/// A command certainly begins a segment with `bytes`.
pub fn begins_command(bytes: &[u8]) -> bool {
    payload(bytes).is_some_and(|(payload, is_cut)| is_certain(payload, is_cut))
}

/// The payload of a first packet, and whether more of it is to come.
fn payload(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let ([low, middle, high, sequence], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    let is_cut = length > rest.len();
    (*sequence == 0 && length > 0).then(|| (&rest[..length.min(rest.len())], is_cut))
}

/// An integer of one to nine bytes at the front, and how many bytes it takes.
pub(crate) fn length_encoded(bytes: &[u8]) -> Option<(u64, usize)> {
    let little = |count: usize| {
        let digits = bytes.get(1..=count)?;
        let value = digits.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some((value, count + 1))
    };
    match bytes.first()? {
        small @ 0..=0xfa => Some((u64::from(*small), 1)),
        0xfc => little(2),
        0xfd => little(3),
        0xfe => little(8),
        _ => None,
    }
}
