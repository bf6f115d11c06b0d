//! Addresses of clients. A pseudonym is an address of as many characters, public where it was
//! public: servers trust the private ones among their proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str::FromStr;

use crate::recording::redaction::key::{Key, Stream};
use crate::recording::redaction::pseudonym::another;

/// Longest text of an address: a mapped one in full.
const LONGEST: usize = 45;

/// An address, as far as its pseudonym depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Numbers in front that stay, for they name a network that is not public.
    V4(usize),
    /// Bytes in front that stay; the rest is of colons and digits.
    V6(usize),
    /// Bytes in front of an IPv4 address.
    Mapped(usize),
}

impl Address {
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
        let is_address = value.len() <= LONGEST
            && value.iter().any(|byte| matches!(byte, b'.' | b':'))
            && value.iter().all(is_part);
        match parsed(value).filter(|_| is_address)? {
            IpAddr::V4(address) => Some(Self::V4(network(address))),
            IpAddr::V6(_) if value.contains(&b'.') => {
                value.iter().rposition(|byte| *byte == b':').map(|colon| Self::Mapped(colon + 1))
            }
            IpAddr::V6(address) => Some(Self::V6(prefix(address))),
        }
    }
}

fn parsed(value: &[u8]) -> Option<IpAddr> {
    IpAddr::from_str(std::str::from_utf8(value).ok()?).ok()
}

/// It names no client: the machine itself, nobody, or everybody.
pub(crate) fn is_of_client(value: &[u8]) -> bool {
    match parsed(value) {
        Some(IpAddr::V4(address)) => network(address) < 4,
        Some(IpAddr::V6(address)) => {
            let mapped = address.to_ipv4_mapped().map(|address| network(address) < 4);
            mapped.unwrap_or(!address.is_loopback() && !address.is_unspecified())
        }
        None => false,
    }
}

fn network(address: Ipv4Addr) -> usize {
    match address.octets() {
        [0 | 127 | 224.., ..] => 4,
        [10, ..] => 1,
        [172, 16..=31, ..] | [192, 168, ..] | [169, 254, ..] | [100, 64..=127, ..] => 2,
        _ => 0,
    }
}

/// `f` begins the local ones, of which two digits tell the kind; a public one begins with 2.
fn prefix(address: Ipv6Addr) -> usize {
    if address.segments()[0] >> 12 == 0xf { 2 } else { 1 }
}

/// Writes another address over one; false when all of it stays.
pub(crate) fn rewrite(
    value: &mut [u8],
    address: Address,
    key: &Key,
    stream: &mut Stream<'_>,
) -> bool {
    match address {
        Address::V4(kept) => rewrite_v4(value, kept, stream),
        Address::V6(kept) => rewrite_v6(value, kept, stream),
        Address::Mapped(start) => {
            // The pseudonym of the IPv4 address that it is.
            let inner = value.get_mut(start..).unwrap_or_default();
            let Some(Address::V4(kept)) = Address::of(inner) else { return false };
            let original = inner.to_vec();
            let seed = key.seed(&original);
            (0..64).any(|attempt| {
                rewrite_v4(inner, kept, &mut Stream::new(&seed, attempt)) && *inner != *original
            })
        }
    }
}

fn rewrite_v4(value: &mut [u8], kept: usize, stream: &mut Stream<'_>) -> bool {
    for (position, number) in value.split_mut(|byte| *byte == b'.').enumerate().skip(kept) {
        let other = match (number.len(), position) {
            (1, 0) => 1 + stream.below(9),
            (1, _) => stream.below(10),
            // 10 is private.
            (2, 0) => 11 + stream.below(89),
            (2, _) => 10 + stream.below(90),
            // Above are networks of special use.
            (_, 0) => 128 + stream.below(41),
            _ => 100 + stream.below(156),
        };
        let text = other.to_string();
        if text.len() == number.len() {
            number.copy_from_slice(text.as_bytes());
        }
    }
    kept < 4
}

fn rewrite_v6(value: &mut [u8], kept: usize, stream: &mut Stream<'_>) -> bool {
    let (mut is_first, mut replaced) = (true, false);
    for (at, byte) in value.iter_mut().enumerate() {
        // A group that is 0 stays: nobody writes zeros in front.
        let is_zero = is_first && *byte == b'0';
        let stays = at < kept || is_zero || !byte.is_ascii_hexdigit();
        if let Some(other) = another(*byte, true, is_first, stream).filter(|_| !stays) {
            *byte = other;
            replaced = true;
        }
        is_first = *byte == b':';
    }
    replaced
}

/// Finds the addresses in a text, with or without ports and brackets.
pub(crate) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let run = at..at + length;
        at = run.end + 1;
        if !(2..=LONGEST + 6).contains(&length) || !stands_alone(text, &run) {
            continue;
        }
        let run_text = text.get(run.clone()).unwrap_or_default();
        // `1.2.3.4:80` is an address and a port; `::1.2.3.4` is an address.
        let colon = run_text.iter().position(|byte| *byte == b':').unwrap_or(length);
        let full_stop = run_text.strip_suffix(b".").map_or(length, <[u8]>::len);
        // Behind the last colon of a mapped one, too, there may be a port.
        let last = run_text.iter().rposition(|byte| *byte == b':').unwrap_or(length);
        let ends = [length, full_stop, colon, last];
        let end = ends
            .into_iter()
            .find(|end| run_text.get(..*end).is_some_and(|text| Address::of(text).is_some()));
        if let Some(end) = end.filter(|end| is_of_client(run_text.get(..*end).unwrap_or_default()))
        {
            found(run.start..run.start + end);
        }
    }
}

/// No part of a word, nor of a version such as `1.2.3.4-rc`.
fn stands_alone(text: &[u8], run: &Range<usize>) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let before = run.start.checked_sub(1).and_then(|at| text.get(at));
    !before.is_some_and(is_word) && !text.get(run.end).is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::redaction::coding::Coding;
    use crate::recording::redaction::pseudonym::Pseudonyms;

    fn replaced(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        Pseudonyms::new(Key::from_secret(b"test")).replace(&mut bytes, Coding::Percent, false);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_address_becomes_one_of_the_same_length_and_reach() {
        for address in [
            "8.8.8.8",
            "93.184.216.34",
            "203.0.113.199",
            "10.1.2.3",
            "172.16.9.1",
            "192.168.1.77",
            "100.64.1.1",
            "2001:db8::1",
            "2a00:1450:4001:82a::200e",
            "fe80::1c2d",
            "fd12:3456::1",
            "::ffff:93.184.216.34",
        ] {
            let other = replaced(address);
            let kind = |text: &str| {
                let address = text.parse::<IpAddr>().unwrap_or_else(|_| panic!("{text}"));
                match address.to_canonical() {
                    IpAddr::V4(address) => network(address),
                    IpAddr::V6(address) => prefix(address),
                }
            };
            assert_ne!(other, address);
            assert_eq!((other.len(), kind(&other)), (address.len(), kind(address)), "{other}");
        }
        assert_eq!(replaced("::ffff:93.184.216.34")[7..], replaced("93.184.216.34"));
        assert!(replaced("192.168.1.77").starts_with("192.168."));
    }

    #[test]
    fn addresses_are_found_in_headers() {
        for (text, expected, why) in [
            (" 93.184.216.34, 10.0.0.1", &["93.184.216.34", "10.0.0.1"][..], "a list"),
            (" 93.184.216.34:8080", &["93.184.216.34"], "a port"),
            (" for=\"[2001:db8::1]:80\";by=1.2.3.4", &["2001:db8::1", "1.2.3.4"], "Forwarded"),
            (" ::ffff:1.2.3.4:8080", &["::ffff:1.2.3.4"], "a mapped one with a port"),
            (" for=_hidden, unknown", &[], "none"),
            (" 127.0.0.1, ::1, 0.0.0.0", &[], "no clients"),
            (" 1.2.3.4.", &["1.2.3.4"], "a full stop"),
            (" 1.2.3, 1.2.3.4.5, 300.1.1.1, 1.2.3.4-rc", &[], "no addresses"),
            (" 12:30:45 a:b", &[], "times"),
        ] {
            let mut found = Vec::new();
            find(text.as_bytes(), &mut |range| found.push(&text[range]));
            assert_eq!(found, expected, "{why}");
        }
    }
}
