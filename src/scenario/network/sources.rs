//! Addresses of this machine that connections come from, in turn.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::scenario::network::Family;
use crate::scenario::problem::{Mistake, crop};

/// Addresses, all of one family. None at all leaves the choice to the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    ranges: Vec<Range>,
}

/// Addresses that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: IpAddr,
    count: u64,
}

/// Most source addresses: 65 536, of which each has some 28 000 ports to one target.
pub const MAX_SOURCES: u64 = 1 << 16;

const HINT: &str = "write addresses of this machine, or ranges of them, separated by commas, such \
                    as `10.1.0.7` or `10.1.0.0/24`";

impl Sources {
    /// Reads addresses and ranges such as `10.1.0.0/24`, separated by commas. Of a range of IPv4
    /// with more than two addresses, the first and the last are left out: they name the network and
    /// all of its machines.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let (mut sources, mut offset) = (Self::default(), 0);
        for one in text.split(',') {
            let blank = one.chars().take_while(|c| c.is_whitespace()).count();
            let range = range(one.trim())
                .map_err(|mistake| Mistake { offset: offset + blank, ..mistake })?;
            sources.ranges.push(range);
            offset += one.chars().count() + 1;
        }
        sources.checked()
    }

    /// Those of several lists together.
    pub fn join(lists: impl IntoIterator<Item = Self>) -> Result<Self, Mistake> {
        let ranges = lists.into_iter().flat_map(|list| list.ranges).collect();
        Self { ranges }.checked()
    }

    fn checked(self) -> Result<Self, Mistake> {
        let family = self.family();
        if self.ranges.iter().any(|range| Some(Family::of(range.first)) != family) {
            let mistake = "these are addresses of IPv4 and of IPv6";
            return Err(Mistake::new(mistake, "name sources of one family: that of the target"));
        }
        if self.count() > MAX_SOURCES {
            return Err(Mistake::new("these are more than 65536 addresses", "name fewer"));
        }
        Ok(self)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| range.count).fold(0, u64::saturating_add)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Their family.
    pub fn family(&self) -> Option<Family> {
        self.ranges.first().map(|range| Family::of(range.first))
    }

    /// The address whose turn it is; `None` where there are none.
    pub fn at(&self, turn: u64) -> Option<IpAddr> {
        let mut position = turn.checked_rem(self.count())?;
        for range in &self.ranges {
            if position < range.count {
                return Some(plus(range.first, position));
            }
            position -= range.count;
        }
        None
    }
}

fn range(text: &str) -> Result<Range, Mistake> {
    let refused = || Mistake::new(format!("`{}` is no address and no range", crop(text)), HINT);
    let Some((address, length)) = text.split_once('/') else {
        let first: IpAddr = text.parse().map_err(|_| refused())?;
        return Ok(Range { first: first.to_canonical(), count: 1 });
    };
    let address: IpAddr = address.parse().map_err(|_| refused())?;
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = length.parse().ok().filter(|_| digits).ok_or_else(refused)?;
    let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
    let free = bits.checked_sub(length).ok_or_else(refused)?;
    if free > 16 {
        return Err(Mistake::new(
            format!("`{}` holds more than 65536 addresses", crop(text)),
            format!("write a range of at most 65536, such as one of length /{}", bits - 16),
        ));
    }
    let count = 1_u64 << free;
    let first = network(address, free);
    if address.is_ipv4() && count > 2 {
        return Ok(Range { first: plus(first, 1), count: count - 2 });
    }
    Ok(Range { first, count })
}

/// The first address of a range with so many free bits, at most 16.
fn network(address: IpAddr, free: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits((address.to_bits() >> free) << free)),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits((address.to_bits() >> free) << free)),
    }
}

fn plus(address: IpAddr, by: u64) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let by = u32::try_from(by).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits().wrapping_add(by)))
        }
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits().wrapping_add(u128::from(by))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let sources = Sources::read(text).unwrap();
        (0..sources.count()).filter_map(|turn| sources.at(turn)).map(|a| a.to_string()).collect()
    }

    #[test]
    fn addresses_take_turns() {
        assert_eq!(shown("127.0.0.2"), ["127.0.0.2"]);
        let listed = ["10.0.0.1", "10.0.0.2", "10.9.0.0", "10.9.0.1", "10.3.0.9"];
        assert_eq!(shown("10.0.0.3/30, 10.9.0.1/31,10.3.0.9/32"), listed);
        assert_eq!(shown("fd00::7/127"), ["fd00::6", "fd00::7"]);
        assert_eq!(shown("::ffff:127.0.0.2"), ["127.0.0.2"]);
        let wide = Sources::read("10.1.0.0/16").unwrap();
        assert_eq!(wide.count(), 65_534);
        assert_eq!(wide.at(65_534), wide.at(0), "after the last comes the first");
        assert_eq!(wide.at(65_533).unwrap().to_string(), "10.1.255.254");
        assert_eq!(Sources::default().at(3), None);
    }

    #[test]
    fn what_is_no_source_is_pointed_at() {
        for (text, offset, message) in [
            ("", 0, "is no address"),
            ("10.0.0.1, x", 10, "`x` is no address"),
            ("10.0.0.0/33", 0, "is no address and no range"),
            ("10.0.0.0/+8", 0, "is no address and no range"),
            ("10.0.0.0/8", 0, "more than 65536"),
            ("fd00::/64", 0, "such as one of length /112"),
            ("10.0.0.1,fd00::1", 0, "of IPv4 and of IPv6"),
            ("10.1.0.0/16,10.2.0.0/16", 0, "more than 65536"),
        ] {
            let mistake = Sources::read(text).unwrap_err();
            assert_eq!(mistake.offset, offset, "{text}: {mistake}");
            assert!(mistake.to_string().contains(message), "{text}: {mistake}");
        }
    }
}
