//! What is counted about exchanges on their way out, and what they are made of.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::capture::import::made::exchange;
use crate::capture::import::{Found, MAX_AUTHORITY, MAX_SERVERS};
use crate::capture::pairing::Paired;
use crate::capture::streams::Origin;
use crate::recording::handshakes::{self, Handshakes};
use crate::recording::ledger::Ledger;
use crate::recording::{Servers, host_of};

/// What is counted about exchanges on their way out.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Earliest moment of the recording: that of the first payload.
    pub(super) start_ns: Option<i64>,
    pub(super) latest_ns: i64,
    authorities: BTreeSet<String>,
    addresses: BTreeSet<SocketAddr>,
    pub(super) connections: u64,
    pub(super) exchanges: u64,
    pub(super) orphans: u64,
    unkept_servers: u64,
    /// How connections began; those of TLS only.
    pub(super) handshakes: Handshakes,
    unkept_handshakes: u64,
    before_start: u64,
    /// The authority and the address that were kept last: most exchanges have those of the one
    /// before.
    last: Option<(String, SocketAddr)>,
}

impl Tally {
    pub(super) fn servers(&self) -> Servers {
        Servers {
            authorities: self.authorities.iter().cloned().collect(),
            addresses: self.addresses.iter().copied().collect(),
        }
    }

    /// Payload was sent then.
    pub(super) fn saw(&mut self, at_ns: i64) {
        self.start_ns.get_or_insert(at_ns);
        self.latest_ns = self.latest_ns.max(at_ns);
    }

    pub(super) fn found(&mut self, origin: Origin, paired: Paired) -> Found {
        match paired {
            Paired::Exchange(request, answer) => {
                let at = self.since_start(request.mark.at_ns);
                let exchange = exchange(at, origin.connection, request, answer);
                self.exchanges += 1;
                if exchange.seq == 0 {
                    self.connections += 1;
                    self.keep_handshake(origin);
                }
                self.keep_server(&exchange.authority, origin);
                Found::Exchange(exchange)
            }
            Paired::Orphan(answer) => {
                self.orphans += 1;
                Found::OrphanResponse {
                    at: self.since_start(answer.mark.at_ns),
                    connection: origin.connection,
                    status: answer.status,
                    body_bytes: answer.whole.then_some(answer.body_bytes),
                }
            }
        }
    }

    fn keep_handshake(&mut self, origin: Origin) {
        if let Some(is_resumed) = origin.link.resumed {
            let is_kept = self.handshakes.add(origin.connection, is_resumed);
            self.unkept_handshakes += u64::from(!is_kept);
        }
    }

    /// What there was no room for, or no place.
    pub(super) fn account(&self, ledger: &mut Ledger) {
        ledger.note("authorities and addresses not kept", self.unkept_servers);
        ledger.note(handshakes::UNKEPT, self.unkept_handshakes);
        ledger.note("messages before the start", self.before_start);
    }

    /// A clock that stepped back may put a message before the start: it counts as at the start.
    fn since_start(&mut self, at_ns: i64) -> Duration {
        let start = self.start_ns.unwrap_or(at_ns);
        self.before_start += u64::from(at_ns < start);
        between(start, at_ns)
    }

    fn keep_server(&mut self, authority: &str, origin: Origin) {
        let address = origin.link.client.map(|side| origin.link.ends[side.other().index()]);
        if let (Some((name, last)), Some(address)) = (&self.last, address)
            && name == authority
            && *last == address
        {
            return;
        }
        let unkept = self.unkept_servers;
        let host = host_of(authority);
        if host.len() > MAX_AUTHORITY || self.authorities.len() >= MAX_SERVERS {
            self.unkept_servers += 1;
        } else if !host.is_empty() {
            self.authorities.insert(host);
        }
        if let Some(address) = address {
            if self.addresses.len() < MAX_SERVERS {
                self.addresses.insert(address);
            } else {
                self.unkept_servers += 1;
            }
        }
        let kept = address.filter(|_| self.unkept_servers == unkept);
        self.last = kept.map(|address| (authority.to_owned(), address));
    }
}

/// From one capture time to a later one; zero where the clock stepped back.
pub(super) fn between(from_ns: i64, to_ns: i64) -> Duration {
    let nanoseconds = (i128::from(to_ns) - i128::from(from_ns)).max(0);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
