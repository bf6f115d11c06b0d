//! Ports of this machine to connect from.
//!
//! A kernel that is left to choose looks at every port that is taken, one after the other: beyond
//! half of the range each connect takes milliseconds. Whoever counts finds the next one at once.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpSocket, TcpStream};

/// Ports that are tried before the kernel is left to choose.
const TRIES: u32 = 8;

/// After a port that is taken its neighbours are likely to be, too.
const LEAP: usize = 509;

/// The ports that the kernel would choose from, in their order; empty where that is not known. An
/// administrator reserves ports for servers that are to start later: the kernel passes them over,
/// though not where somebody asks for one by its number.
pub(crate) fn of_kernel() -> Vec<u16> {
    let read = |name| fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(name));
    let range = read("ip_local_port_range").unwrap_or_default();
    available(&range, &read("ip_local_reserved_ports").unwrap_or_default())
}

/// `32768 60999`, without those of `8080,40000-40099`.
fn available(range: &str, reserved: &str) -> Vec<u16> {
    let mut numbers = range.split_whitespace().map(|word| word.parse::<u16>().ok());
    let Some((first, last)) = numbers.next().flatten().zip(numbers.next().flatten()) else {
        return Vec::new();
    };
    let mut reserved: Vec<RangeInclusive<u16>> = reserved
        .split([',', '\n'])
        .filter_map(|span| {
            let (from, to) = span.split_once('-').unwrap_or((span, span));
            Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
        })
        .collect();
    reserved.sort_by_key(|span| *span.start());
    let mut ahead = reserved.iter().peekable();
    let is_free = |port: &u16| {
        while ahead.next_if(|span| span.end() < port).is_some() {}
        ahead.peek().is_none_or(|span| !span.contains(port))
    };
    (first..=last).filter(is_free).collect()
}

/// The next port to connect from.
#[derive(Debug)]
pub(crate) struct Ports {
    all: Vec<u16>,
    next: AtomicUsize,
}

impl Ports {
    /// Those that the kernel would choose from.
    pub(crate) fn of_kernel() -> Self {
        Self::new(of_kernel(), std::process::id() as usize)
    }

    fn new(all: Vec<u16>, seed: usize) -> Self {
        // Several of these at once begin apart.
        Self { all, next: AtomicUsize::new(seed.wrapping_mul(7_919)) }
    }

    /// The next one; `None` where they are not known.
    fn next(&self, step: usize) -> Option<u16> {
        let nth = self.next.fetch_add(step, Ordering::Relaxed).checked_rem(self.all.len())?;
        self.all.get(nth).copied()
    }

    /// Connects from one of them.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut step = 1;
        for _ in 0..TRIES {
            let Some(port) = self.next(step) else { break };
            if port == address.port() {
                continue; // Where nobody listens, it would be connected with itself.
            }
            let (socket, any) = if address.is_ipv4() {
                (TcpSocket::new_v4()?, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            } else {
                (TcpSocket::new_v6()?, IpAddr::V6(Ipv6Addr::UNSPECIFIED))
            };
            if socket.bind(SocketAddr::new(any, port)).is_ok() {
                return socket.connect(address).await;
            }
            step = LEAP;
        }
        TcpStream::connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_round_and_round() {
        let ports = Ports::new(available("100\t103\n", "\n"), 0);
        let given: Vec<_> = (0..5).filter_map(|_| ports.next(1)).collect();
        assert_eq!(given, [100, 101, 102, 103, 100]);
        for unknown in ["", "9", "9 1", "70000 80000"] {
            assert_eq!(Ports::new(available(unknown, ""), 7).next(1), None, "{unknown}");
        }
    }

    #[test]
    fn reserved_ports_are_passed_over() {
        for (reserved, left) in [
            ("8080,101,104-60000\n", &[100, 102, 103][..]),
            ("1-100,103-105", &[101, 102]),
            ("65535", &[100, 101, 102, 103, 104, 105]),
            ("100-105", &[]),
            ("x,102-,-,104", &[100, 101, 102, 103, 105]),
        ] {
            assert_eq!(available("100 105", reserved), left, "{reserved}");
        }
        let ports = Ports::new(available("65534 65535", "65534"), 3);
        assert_eq!([ports.next(1), ports.next(LEAP), ports.next(1)], [Some(65_535); 3]);
        assert_eq!(available("1 65535", "").len(), 65_535);
    }
}
