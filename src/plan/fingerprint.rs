//! A hash that is the same on every machine and in every version of this program.

/// FNV-1a of 64 bits. It tells equal plans from different ones; it is no defence against somebody
/// who wants two plans to look alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// A text of any length, so that no two sequences of texts look alike.
    pub(crate) fn text(self, text: &[u8]) -> Self {
        self.number(text.len() as u64).bytes(text)
    }

    pub(crate) fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values_come_out() {
        assert_eq!(Fnv::new().finish(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::new().bytes(b"a").finish(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::new().bytes(b"foobar").finish(), 0x8594_4171_f739_67e8);
        assert_ne!(
            Fnv::new().text(b"ab").text(b"c").finish(),
            Fnv::new().text(b"a").text(b"bc").finish()
        );
    }
}
