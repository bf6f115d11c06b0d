//! The target of a run: allowed by the scenario, and no server of the recording.

mod reach;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::record::tls::TlsError;
use crate::recording::Servers;
use crate::scenario::TargetSpec;
use crate::scenario::hosts::{is_loopback, plain_host, split_host_port};
use crate::scenario::network::{Destination, Goal, Network, Sources, Way};
use crate::scenario::redis::RedisTarget;
use crate::scenario::tls::Tls;

pub use reach::{check_hosts, check_names, check_way, reach, reach_hosts};

/// Where requests are sent. It exists only by [`resolve`], which refuses every server of the
/// recording; its name is looked up once, so that a later answer cannot lead elsewhere.
#[derive(Clone, Debug)]
pub struct Target {
    /// Value of the `Host` header.
    pub authority: String,
    /// Address of every connection.
    pub address: SocketAddr,
    /// It is a Redis, and who we are there.
    pub redis: Option<RedisTarget>,
    /// What is spoken inside of, where its URL is `https://`.
    pub tls: Option<Tls>,
    /// It is the embedded stage.
    pub is_stage: bool,
    /// The unix socket that stands in place of the address.
    pub unix: Option<PathBuf>,
    /// Addresses of this machine that connections come from.
    pub sources: Sources,
    /// Those of other hosts of the recording, in the order of the scenario.
    pub hosts: Vec<Target>,
    /// Further addresses of its name, all of them checked. They also keep other modules from
    /// making a target.
    others: Vec<SocketAddr>,
}

impl Target {
    /// The target at the first of its addresses that `is_there`, as clients choose one; the error
    /// of the first otherwise. `localhost` is often `::1` first, where few servers listen.
    pub fn at_first<E>(
        mut self,
        is_there: impl Fn(SocketAddr) -> Result<(), E>,
    ) -> Result<Self, E> {
        let Err(error) = is_there(self.address) else { return Ok(self) };
        match self.others.iter().position(|other| is_there(*other).is_ok()) {
            Some(found) => {
                std::mem::swap(&mut self.address, &mut self.others[found]);
                Ok(self)
            }
            None => Err(error),
        }
    }

    /// Where the connections of a load go to and come from.
    pub fn way(&self) -> Way {
        let (sources, redis, tls) = (&self.sources, &self.redis, &self.tls);
        Way {
            to: self.goal(),
            sources: sources.clone(),
            redis: redis.clone(),
            tls: tls.clone(),
            hosts: self.hosts.iter().map(Self::destination).collect(),
        }
    }

    fn goal(&self) -> Goal {
        self.unix.clone().map_or(Goal::Tcp(self.address), Goal::Unix)
    }

    fn destination(&self) -> Destination {
        Destination { to: self.goal(), tls: self.tls.clone() }
    }

    /// It is on this machine.
    pub fn is_here(&self) -> bool {
        self.unix.is_some() || self.address.ip().to_canonical().is_loopback()
    }
}

/// Why a target is refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The scenario does not allow it.
    #[error(
        "{authority} is not allowed: add `{host}` to `target.allow` in the scenario if the load \
         may go there"
    )]
    NotAllowed {
        /// Host and port of the target.
        authority: String,
        /// Its host.
        host: String,
    },
    /// It is a server of the recording, by name.
    #[error(
        "{authority} is refused: the recording was made from it (clients asked for `{recorded}`); \
         name a staging host, or give the staging stack another name if it only shares this one"
    )]
    RecordedName {
        /// Host and port of the target.
        authority: String,
        /// The authority in the recording.
        recorded: String,
    },
    /// It is a server of the recording, by address.
    #[error(
        "{authority} is refused: it leads to {address}, and {recorded} answered in the recording; \
         check its DNS entry or /etc/hosts, and name a staging host"
    )]
    RecordedAddress {
        /// Host and port of the target.
        authority: String,
        /// What its name was resolved to.
        address: SocketAddr,
        /// The address in the recording.
        recorded: SocketAddr,
    },
    /// `0.0.0.0` and `[::]` mean this machine to some systems and nothing to others.
    #[error("{authority} is no address to send to: write 127.0.0.1 for this machine")]
    Unspecified {
        /// Host and port of the target.
        authority: String,
    },
    /// The name cannot be looked up.
    #[error("cannot look up {authority}: check the host in `target.url`, and this machine's DNS")]
    Lookup {
        /// Host and port of the target.
        authority: String,
        /// Why.
        source: io::Error,
    },
    /// The name has no address.
    #[error("{authority} has no address: check the host in `target.url`")]
    NoAddress {
        /// Host and port of the target.
        authority: String,
    },
    /// It has addresses of the other family only.
    #[error(
        "{authority} has no {family} address: leave the family out, or name the host's other one"
    )]
    NoFamily {
        /// Host and port of the target.
        authority: String,
        /// The family that was asked for.
        family: &'static str,
    },
    /// TLS cannot be spoken to it.
    #[error("cannot speak TLS to {authority}")]
    Tls {
        /// Host and port of the target.
        authority: String,
        /// Which file is wrong, and what to do.
        source: TlsError,
    },
    /// The target is the stage, and it was not started.
    #[error("the embedded stage has no address: it was not started")]
    NoStage,
}

impl TargetSpec {
    /// The value of the `Host` header. The stage's is always the same, though its port is not, so
    /// that plans for it are.
    pub fn authority(&self) -> String {
        match self {
            Self::Stage => "stage".to_owned(),
            Self::Http { host, port, tls } => {
                let host = plain_host(host);
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                // As clients write it: the scheme's own port is left out.
                let own = if tls.is_some() { 443 } else { 80 };
                if *port == own { host } else { format!("{host}:{port}") }
            }
            Self::Redis(redis) => redis.to_string(),
        }
    }

    /// Host and port, unless it is the stage.
    pub(crate) fn place(&self) -> Option<(&str, u16)> {
        match self {
            Self::Stage => None,
            Self::Http { host, port, .. } => Some((host, *port)),
            Self::Redis(redis) => Some((&redis.endpoint.host, redis.endpoint.port)),
        }
    }
}

/// Checks a target and looks up its address.
///
/// Hosts on other machines are refused by name whatever their port, and by address whatever their
/// port. Loopback is shared by everything on a machine, so all of its addresses are compared by
/// port. The stage is ours and listens at `stage_address`: nothing is compared.
pub async fn resolve(
    spec: &TargetSpec,
    allow: &[String],
    servers: &Servers,
    stage_address: Option<SocketAddr>,
) -> Result<Target, TargetError> {
    reach(spec, allow, servers, &Network::default(), stage_address).await
}

/// What can be said about a target without looking up its name, so that a dry run says it too.
pub fn check_name(
    spec: &TargetSpec,
    allow: &[String],
    servers: &Servers,
) -> Result<(), TargetError> {
    let Some((host, port)) = spec.place() else { return Ok(()) };
    let (authority, host) = (spec.authority(), plain_host(host));
    if !is_allowed(&host, port, allow) {
        return Err(TargetError::NotAllowed { authority, host });
    }
    match recorded_name(&host, port, servers) {
        Some(recorded) => Err(TargetError::RecordedName { authority, recorded }),
        None => Ok(()),
    }
}

/// One of the allowed hosts is this one; `host` is plain.
pub(super) fn is_allowed(host: &str, port: u16, allow: &[String]) -> bool {
    allow.iter().filter_map(|entry| split_host_port(entry)).any(|(allowed, allowed_port)| {
        plain_host(&allowed) == host && allowed_port.is_none_or(|allowed| allowed == port)
    })
}

/// The authority of the recording that is this host.
fn recorded_name(host: &str, port: u16, servers: &Servers) -> Option<String> {
    let is_it = |recorded: &&String| {
        // What clients write is not always a host and a port: `shop.example:`, `user@shop.example`.
        let name = recorded.rsplit('@').next().unwrap_or_default().trim();
        let (name, recorded_port) = split_host_port(name)
            .unwrap_or_else(|| (name.split(':').next().unwrap_or_default().to_owned(), None));
        let name = plain_host(&name);
        match (is_loopback(host), is_loopback(&name)) {
            // Without a port it was that of http or that of https.
            (true, true) => recorded_port.map_or([80, 443].contains(&port), |it| it == port),
            (false, false) => name == host,
            _ => false,
        }
    };
    servers.authorities.iter().find(is_it).cloned()
}

/// The address to use, when none of those found is a recorded server's: a name that leads to one
/// of them now and then must not be tried at all.
fn check_addresses(
    authority: &str,
    found: &[SocketAddr],
    servers: &Servers,
) -> Result<SocketAddr, TargetError> {
    for address in found {
        let ip = address.ip().to_canonical();
        if ip.is_unspecified() {
            return Err(TargetError::Unspecified { authority: authority.to_owned() });
        }
        let is_it = |recorded: &&SocketAddr| {
            let theirs = recorded.ip().to_canonical();
            if ip.is_loopback() && theirs.is_loopback() {
                address.port() == recorded.port()
            } else {
                ip == theirs
            }
        };
        if let Some(recorded) = servers.addresses.iter().find(is_it) {
            return Err(TargetError::RecordedAddress {
                authority: authority.to_owned(),
                address: *address,
                recorded: *recorded,
            });
        }
        // Clients may have asked for an address that a router translated before the capture.
        if let Some(recorded) = recorded_name(&ip.to_string(), address.port(), servers) {
            return Err(TargetError::RecordedName { authority: authority.to_owned(), recorded });
        }
    }
    found.first().copied().ok_or_else(|| TargetError::NoAddress { authority: authority.to_owned() })
}

#[cfg(test)]
mod tests;
