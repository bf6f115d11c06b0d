//! Ports of this machine to connect from.
//!
//! A kernel that is left to choose looks at every port that is taken, one after the other: beyond
//! half of the range each connect takes milliseconds. Whoever counts finds the next one at once.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::{TcpSocket, TcpStream};

/// Ports that are tried before the kernel is left to choose.
const TRIES: u32 = 8;

/// After a port that is taken its neighbours are likely to be, too.
const LEAP: u32 = 509;

/// The next port to connect from.
#[derive(Debug)]
pub(crate) struct Ports {
    first: u32,
    count: u32,
    next: AtomicU32,
}

impl Ports {
    /// Those that the kernel would choose from.
    pub(crate) fn of_kernel() -> Self {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        Self::new(&text.unwrap_or_default(), std::process::id())
    }

    fn new(text: &str, seed: u32) -> Self {
        let mut numbers = text.split_whitespace().map(|word| word.parse::<u16>().ok());
        let range = numbers.next().flatten().zip(numbers.next().flatten());
        let (first, last) = range.unwrap_or((0, 0));
        let count = u32::from(last.saturating_sub(first));
        // Several of these at once begin apart.
        Self { first: u32::from(first), count, next: AtomicU32::new(seed.wrapping_mul(7_919)) }
    }

    /// The next one; `None` where the range is not known.
    fn next(&self, step: u32) -> Option<u16> {
        let nth = self.next.fetch_add(step, Ordering::Relaxed).checked_rem(self.count)?;
        u16::try_from(self.first + nth).ok()
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
        let ports = Ports::new("100\t103\n", 0);
        let given: Vec<_> = (0..5).filter_map(|_| ports.next(1)).collect();
        assert_eq!(given, [100, 101, 102, 100, 101]);
        for unknown in ["", "9 9", "9", "70000 80000"] {
            assert_eq!(Ports::new(unknown, 7).next(1), None, "{unknown}");
        }
    }
}
