//! How connections reach the target, in curl's words: another host or address than its URL names, a
//! unix socket, one family of addresses, and from which addresses of this machine.
//!
//! Names are looked up once, before anything is sent, so that a later answer cannot lead elsewhere.
//! Whatever is named here must be allowed like the target itself: see [`super::target::reach`].

mod sources;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::scenario::hosts::{plain_host, split_host_port};
use crate::scenario::problem::{Mistake, crop};
use crate::scenario::redis::RedisTarget;
use crate::scenario::tls::Tls;

pub use sources::{MAX_SOURCES, Sources};

/// Where connections go instead, and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Another host and port for that of the target; the first that fits counts.
    pub connect_to: Vec<ConnectTo>,
    /// Addresses of a host and port, instead of looking them up; the first that fits counts.
    pub resolve: Vec<Resolve>,
    /// A unix socket that all connections go to.
    pub unix_socket: Option<PathBuf>,
    /// The only family of addresses that is used.
    pub family: Option<Family>,
    /// Addresses of this machine that connections come from, in turn.
    pub sources: Sources,
}

/// A host and port that is connected to in place of another; the `Host` header stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host in the URL, plain; `None` is any.
    from_host: Option<String>,
    /// The port in the URL; `None` is any.
    from_port: Option<u16>,
    /// The host to connect to, plain; `None` keeps that of the URL.
    host: Option<String>,
    /// The port to connect to; `None` keeps that of the URL.
    port: Option<u16>,
}

/// What a host and port is looked up as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The host, plain; `None` is any.
    host: Option<String>,
    port: u16,
    /// At least one.
    addresses: Vec<IpAddr>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Where the connections of a run go to and come from.
#[derive(Clone, Debug)]
pub struct Way {
    /// To.
    pub to: Goal,
    /// From.
    pub sources: Sources,
    /// It is a Redis, and who we are there.
    pub redis: Option<RedisTarget>,
    /// What is spoken inside of, if anything.
    pub tls: Option<Tls>,
    /// Where connections to other hosts of the recording go, in the order of the scenario.
    pub hosts: Vec<Destination>,
}

/// Where connections to a host go that has a target of its own.
#[derive(Clone, Debug)]
pub struct Destination {
    /// To.
    pub to: Goal,
    /// What is spoken inside of, if anything.
    pub tls: Option<Tls>,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Way {
    fn from(address: SocketAddr) -> Self {
        let (to, sources) = (Goal::Tcp(address), Sources::default());
        Self { to, sources, redis: None, tls: None, hosts: Vec::new() }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "the unix socket {}", path.display()),
        }
    }
}

impl Network {
    /// The host and port to connect to for those of the target, both plain.
    pub(crate) fn destination(&self, host: &str, port: u16) -> (String, u16) {
        let fits = |each: &&ConnectTo| {
            each.from_host.as_ref().is_none_or(|from| from == host)
                && each.from_port.is_none_or(|from| from == port)
        };
        match self.connect_to.iter().find(fits) {
            Some(to) => {
                (to.host.clone().unwrap_or_else(|| host.to_owned()), to.port.unwrap_or(port))
            }
            None => (host.to_owned(), port),
        }
    }

    /// The addresses that are given for a host and port; empty where it is to be looked up.
    pub(crate) fn addresses(&self, host: &str, port: u16) -> &[IpAddr] {
        let fits = |each: &&Resolve| {
            each.host.as_ref().is_none_or(|name| name == host) && each.port == port
        };
        self.resolve.iter().find(fits).map_or(&[], |found| &found.addresses)
    }

    /// An address that may be used, by its family.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        self.wanted_family().is_none_or(|family| family == Family::of(address))
    }

    /// The only family that can be used: connections from an address go to one of its kind.
    pub(crate) fn wanted_family(&self) -> Option<Family> {
        self.family.or(self.sources.family())
    }

    /// What contradicts itself.
    pub fn check(&self) -> Result<(), Mistake> {
        if let (Some(family), Some(sources)) = (self.family, self.sources.family())
            && family != sources
        {
            return Err(Mistake::new(
                format!(
                    "connections from {} addresses cannot go to {}",
                    sources.name(),
                    family.name()
                ),
                "leave out one of the two, or name sources of the other family",
            ));
        }
        let elsewhere = !self.connect_to.is_empty()
            || !self.resolve.is_empty()
            || self.family.is_some()
            || !self.sources.is_empty();
        if self.unix_socket.is_some() && elsewhere {
            return Err(Mistake::new(
                "a unix socket has no host, no port and no addresses",
                "keep the unix socket alone, or leave it out",
            ));
        }
        Ok(())
    }
}

impl Family {
    /// The family of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The families, by the words of scenarios.
pub(crate) const FAMILIES: [(&str, Family); 2] = [("v4", Family::V4), ("v6", Family::V6)];

/// Most entries of each kind: a test bed has some dozen names.
pub const MAX_ENTRIES: usize = 1_000;

/// Reads `HOST1:PORT1:HOST2:PORT2`. Each part may be empty: any host or port before, the same host
/// or port behind. Addresses of IPv6 stand in brackets.
pub fn connect_to(text: &str) -> Result<ConnectTo, Mistake> {
    const HINT: &str = "write HOST1:PORT1:HOST2:PORT2, such as `shop.example:80:10.1.2.3:8080`; \
                        each part may be empty, and addresses of IPv6 stand in brackets";
    let parts = split(text);
    let [(_, from_host), (from_port_at, from_port), (host_at, host), (port_at, port)] = parts[..]
    else {
        return Err(Mistake::new(format!("`{}` has not four parts", crop(text)), HINT));
    };
    let place = |byte: usize| text.get(..byte).map_or(0, |before| before.chars().count());
    Ok(ConnectTo {
        from_host: part(from_host, 0, HINT, host_of)?,
        from_port: part(from_port, place(from_port_at), HINT, port_of)?,
        host: part(host, place(host_at), HINT, host_of)?,
        port: part(port, place(port_at), HINT, port_of)?,
    })
}

/// Reads `HOST:PORT:ADDRESS[,ADDRESS]`; `*` is any host.
pub fn resolve(text: &str) -> Result<Resolve, Mistake> {
    const HINT: &str = "write HOST:PORT:ADDRESS, such as `staging.example:80:10.1.2.3`; several \
                        addresses are separated by commas, and `*` is any host";
    // curl's plus sign lets an entry time out; with a single look-up that is the same.
    let plain = text.trim_start_matches('+');
    let place = |byte: usize| {
        let before = plain.get(..byte).map_or(0, |before| before.chars().count());
        before + text.len() - plain.len()
    };
    let parts = split(plain);
    let [(_, host), (port_at, port), (list_at, _), ..] = parts[..] else {
        return Err(Mistake::new(format!("`{}` has not three parts", crop(text)), HINT));
    };
    let at = |byte: usize, message: String| Mistake {
        offset: place(byte),
        message,
        hint: HINT.to_owned(),
    };
    let name = match host {
        "*" => None,
        "" => return Err(at(0, "there is no host".to_owned())),
        _ => part(host, place(0), HINT, host_of)?,
    };
    let port = part(port, place(port_at), HINT, port_of)?
        .ok_or_else(|| at(port_at, "there is no port".to_owned()))?;
    let (mut addresses, mut start) = (Vec::new(), list_at);
    for one in plain.get(list_at..).unwrap_or_default().split(',') {
        let bare = one.trim().trim_start_matches('[').trim_end_matches(']');
        let address: IpAddr =
            bare.parse().map_err(|_| at(start, format!("`{}` is not an address", crop(one))))?;
        addresses.push(address);
        start += one.len() + 1;
    }
    Ok(Resolve { host: name, port, addresses })
}

/// Reads the path of a unix socket.
pub fn unix_socket(text: &str) -> Result<PathBuf, Mistake> {
    if text.is_empty() || text.len() > MAX_UNIX_PATH || text.contains('\0') {
        return Err(Mistake::new(
            "this is not the path of a unix socket",
            format!("write a path of 1 to {MAX_UNIX_PATH} bytes, such as `/run/app.sock`"),
        ));
    }
    Ok(PathBuf::from(text))
}

/// Longest path of a unix socket, as the kernel has it.
const MAX_UNIX_PATH: usize = 107;

/// The parts between colons, each with the byte it begins at; colons in brackets separate nothing.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut is_inside) = (Vec::new(), 0, false);
    for (index, c) in text.char_indices() {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            ':' if !is_inside => {
                parts.push((start, text.get(start..index).unwrap_or_default()));
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push((start, text.get(start..).unwrap_or_default()));
    parts
}

/// A part that may be empty.
fn part<T>(
    text: &str,
    offset: usize,
    hint: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Mistake> {
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some).ok_or_else(|| Mistake {
        offset,
        message: format!("`{}` is no host or port here", crop(text)),
        hint: hint.to_owned(),
    })
}

fn host_of(text: &str) -> Option<String> {
    let (host, port) = split_host_port(text)?;
    port.is_none().then(|| plain_host(&host))
}

fn port_of(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// An address of this machine that leads nowhere: what stands for the address of a unix socket.
pub(crate) const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[cfg(test)]
mod tests;
