//! How a capture counts time: units of a power of ten or of two, from an epoch that may be
//! shifted. All arithmetic is in 128 bits.

/// The clock of an interface, from the raw bytes of its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// As `if_tsresol`: a negative power of ten, or of two where the highest bit is set.
    pub(crate) resolution: u8,
    /// As `if_tsoffset`: seconds to add, which may be negative.
    pub(crate) offset_seconds: i64,
}

impl Clock {
    /// What holds where the file says nothing.
    pub(crate) const MICROSECONDS: Self = Self { resolution: 6, offset_seconds: 0 };
    pub(crate) const NANOSECONDS: Self = Self { resolution: 9, offset_seconds: 0 };

    /// Nanoseconds since the Unix epoch; `None` outside of what 64 bits hold (years 1677 to 2262).
    pub(crate) fn at_ns(self, units: u64) -> Option<i64> {
        let since_offset = scale(u128::from(units), self.resolution);
        let offset = i128::from(self.offset_seconds) * NS_PER_SECOND.cast_signed();
        i64::try_from(i128::try_from(since_offset).ok()? + offset).ok()
    }

    /// The smallest step in nanoseconds, at least 1.
    pub(crate) fn step_ns(self) -> u64 {
        u64::try_from(scale(1, self.resolution)).unwrap_or(u64::MAX).max(1)
    }
}

const NS_PER_SECOND: u128 = 1_000_000_000;

/// `units` in nanoseconds, rounded down. A count of 64 bits times 10^9 fits into 94 bits.
fn scale(units: u128, resolution: u8) -> u128 {
    let nanoseconds = units * NS_PER_SECOND;
    let power = u32::from(resolution & 0x7f);
    if resolution & 0x80 != 0 {
        return nanoseconds >> power;
    }
    // A divisor beyond 128 bits leaves nothing.
    10_u128.checked_pow(power).map_or(0, |divisor| nanoseconds / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_nanoseconds() {
        for (resolution, offset_seconds, units, at_ns, step_ns) in [
            (6, 0, 1_500_000, Some(1_500_000_000), 1_000), // microseconds
            (9, 0, 7, Some(7), 1),                         // nanoseconds
            (0, 0, 2, Some(2_000_000_000), 1_000_000_000), // seconds
            (12, 0, 2_999, Some(2), 1),                    // picoseconds, rounded down
            (127, 0, u64::MAX, Some(0), 1),                // finer than any count
            (0x80 | 10, 0, 512, Some(500_000_000), 976_562), // 1/1024 s
            (0x80 | 32, 0, 1 << 31, Some(500_000_000), 1), // NTP
            (0x80 | 127, 0, u64::MAX, Some(0), 1),
            (6, -1, 1, Some(-999_999_000), 1_000), // negative offset
            (6, 3600, 0, Some(3_600_000_000_000), 1_000),
            (0, 0, u64::MAX, None, 1_000_000_000), // beyond 64 bits
            (6, i64::MIN, 0, None, 1_000),
        ] {
            let clock = Clock { resolution, offset_seconds };
            assert_eq!((clock.at_ns(units), clock.step_ns()), (at_ns, step_ns), "{clock:?}");
        }
    }
}
