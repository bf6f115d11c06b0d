//! Which sizes are sent.

/// Fewest sizes by which a line can be told from chance.
pub(super) const FEWEST: usize = 3;

/// From one size to the next.
const FACTOR: u64 = 4;

/// Smallest size that any sweep begins with.
const SMALLEST: u64 = 64;

/// Sizes from `from` to `to`, each four times the one before, and `to` itself; never more than
/// `max`. Where that would be too few for a line, they begin lower.
pub(super) fn ladder(from: u64, to: u64, max: u64) -> Vec<u64> {
    let to = to.min(max).max(1);
    let lowest = (to / FACTOR.pow(3)).max(SMALLEST).min(to);
    let mut size = from.clamp(1, to).min(lowest);
    let mut sizes = Vec::new();
    while size < to {
        sizes.push(size);
        size = size.saturating_mul(FACTOR);
    }
    sizes.push(to);
    // The last step may be tiny: two sizes that are all but equal tell nothing.
    if let [.., below, last] = sizes[..]
        && below > last - last / FACTOR
    {
        sizes.remove(sizes.len() - 2);
    }
    sizes
}

/// Limits that many servers have by default, in bytes: a body at each of them, and a byte to both
/// sides, tells them exactly.
pub(super) const KNOWN_LIMITS: [u64; 8] = [
    64 << 10,    // Inline commands and many buffers.
    100 * 1_024, // body-parser of Express.
    1 << 20,     // client_max_body_size of nginx.
    2 << 20,     // post_max_size of older PHP, axum.
    8 << 20,     // post_max_size of PHP.
    10 << 20,    // API gateways.
    16 << 20,    // max_allowed_packet of MySQL's clients and of MariaDB.
    64 << 20,    // max_allowed_packet of MySQL.
];

/// How many large requests of a size: fewer where they are very large.
pub(super) fn repeats(bytes: u64, wanted: u32) -> u32 {
    let fit = BYTES_A_RUNG / bytes.max(1);
    u32::try_from(fit).unwrap_or(u32::MAX).clamp(FEWEST_REPEATS, wanted.max(FEWEST_REPEATS))
}

/// Bytes sent or asked for of one size.
const BYTES_A_RUNG: u64 = 512 << 20;

const FEWEST_REPEATS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_up_by_four_to_the_last() {
        let mib = 1 << 20;
        for (from, to, max, sizes) in [
            (1_000, 64_000, mib, vec![1_000, 4_000, 16_000, 64_000]),
            // Begun lower, for a line: production's bodies are all alike.
            (50_000, 200_000, mib, vec![3_125, 12_500, 50_000, 200_000]),
            // 64 000 lies too close to the last.
            (1_000, 70_000, mib, vec![1_000, 4_000, 16_000, 70_000]),
            (1_000, 900_000, 100_000, vec![1_000, 4_000, 16_000, 64_000, 100_000]),
            (1, 40, mib, vec![1, 4, 16, 40]),
            (0, 0, mib, vec![1]),
        ] {
            assert_eq!(ladder(from, to, max), sizes, "{from} {to} {max}");
        }
    }

    #[test]
    fn very_large_ones_are_few() {
        assert_eq!(repeats(1_000, 20), 20);
        assert_eq!(repeats(64 << 20, 20), 8);
        assert_eq!(repeats(512 << 20, 20), 3);
        assert_eq!(repeats(u64::MAX, 20), 3);
        assert_eq!(repeats(0, 5), 5);
    }
}
