//! The options that say how connections reach the target, in curl's spellings.

use std::path::PathBuf;

use clap::builder::FalseyValueParser as Flag;

use crate::cli::checked;
use crate::scenario::network::{self, ConnectTo, Family, Network, Resolve, Sources, unix_socket};

/// How connections reach the target. What is given replaces what a scenario says of it.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Where connections go")]
pub(super) struct NetworkOptions {
    /// Connect to another host and port than the URL names, as of curl; `Host` stays. Each part may
    /// be empty. May be repeated. Where it leads must be allowed, too.
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", env = "PEAKHOUR_CONNECT_TO")]
    #[arg(value_delimiter = ' ')]
    #[arg(value_parser = checked(network::connect_to, "PEAKHOUR_CONNECT_TO"))]
    connect_to: Vec<ConnectTo>,
    /// Use these addresses for a host and port (`*` is any host) instead of looking it up, as of
    /// curl. May be repeated. Each address must be allowed, too. Names that are looked up are so
    /// once, before anything is sent.
    #[arg(long, value_name = "HOST:PORT:ADDRESS", env = "PEAKHOUR_RESOLVE")]
    #[arg(value_delimiter = ' ')]
    #[arg(value_parser = checked(network::resolve, "PEAKHOUR_RESOLVE"))]
    resolve: Vec<Resolve>,
    /// Connect to this unix socket.
    #[arg(long, value_name = "PATH", env = "PEAKHOUR_UNIX_SOCKET")]
    #[arg(value_parser = checked(unix_socket, "PEAKHOUR_UNIX_SOCKET"))]
    unix_socket: Option<PathBuf>,
    /// Use addresses of IPv4 only.
    #[arg(short = '4', long, env = "PEAKHOUR_IPV4", value_parser = Flag::new())]
    #[arg(conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use addresses of IPv6 only.
    #[arg(short = '6', long, env = "PEAKHOUR_IPV6", value_parser = Flag::new())]
    ipv6: bool,
    /// Connect from these addresses of this machine in turn: addresses and ranges such as
    /// 10.1.0.0/24, separated by commas. Each has its own 28 000 ports.
    #[arg(long, value_name = "ADDRESSES", env = "PEAKHOUR_SOURCE_IP")]
    #[arg(value_parser = checked(Sources::read, "PEAKHOUR_SOURCE_IP"))]
    source_ip: Option<Sources>,
}

impl NetworkOptions {
    /// Changes what a scenario says.
    pub(super) fn apply(&self, network: &mut Network) -> anyhow::Result<()> {
        if !self.connect_to.is_empty() {
            network.connect_to.clone_from(&self.connect_to);
        }
        if !self.resolve.is_empty() {
            network.resolve.clone_from(&self.resolve);
        }
        if self.unix_socket.is_some() {
            network.unix_socket.clone_from(&self.unix_socket);
        }
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        };
        network.family = family.or(network.family);
        if let Some(sources) = &self.source_ip {
            network.sources.clone_from(sources);
        }
        Ok(network.check()?)
    }
}
