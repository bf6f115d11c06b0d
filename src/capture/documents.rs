//! What importers of files that are not packets have in common.
//!
//! Such files need not be in the order of time, so that the first moment is known only at the end:
//! they yield exchanges whose `at` counts from the Unix epoch and whose connections are numbered
//! as they come. [`Settle`] makes the recording of them, once they are sorted.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

use crate::capture::import::{MAX_AUTHORITY, MAX_SERVERS};
use crate::protocol::Protocol;
use crate::recording::ledger::Ledger;
use crate::recording::{Exchange, Flags, Servers, host_of};

/// Most connections told apart; exchanges of further ones get a connection each.
pub const MAX_CONNECTIONS: usize = 1 << 22;

/// `seq` of an exchange whose connection is not known, until [`Settle`] gives it one of its own.
pub const ALONE: u32 = i32::MAX as u32;

/// What is known about files once all of them were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// In `frames` every record, in `messages` every request.
    pub ledger: Ledger,
    /// Who answered.
    pub servers: Servers,
    /// Smallest step of the clock, in nanoseconds; of several clocks the coarsest.
    pub clock_resolution_ns: u64,
    /// Requests are sent one after the other on a connection: where two overlap, the file's
    /// connections are not those of the wire.
    pub one_at_a_time: bool,
    /// What names connections in the files turned out to name none.
    pub no_connections: bool,
    /// Sentences for people about what is wrong with the files.
    pub warnings: Vec<String>,
}

/// Servers, as many as are kept.
#[derive(Debug, Default)]
pub(super) struct Known {
    authorities: BTreeSet<String>,
    addresses: BTreeSet<SocketAddr>,
    unkept: u64,
}

impl Known {
    pub(super) fn keep(&mut self, authority: &str, address: Option<SocketAddr>) {
        let authority = host_of(authority);
        if authority.len() > MAX_AUTHORITY || self.authorities.len() >= MAX_SERVERS {
            self.unkept += 1;
        } else if !authority.is_empty() {
            self.authorities.insert(authority);
        }
        if self.addresses.len() < MAX_SERVERS {
            self.addresses.extend(address);
        } else {
            self.unkept += u64::from(address.is_some());
        }
    }

    pub(super) fn servers(self, ledger: &mut Ledger) -> Servers {
        ledger.note("authorities and addresses not kept", self.unkept);
        Servers {
            authorities: self.authorities.into_iter().collect(),
            addresses: self.addresses.into_iter().collect(),
        }
    }
}

/// Numbers of connections by whatever names them in a file.
#[derive(Debug)]
pub(super) struct Numbers<K> {
    known: HashMap<K, (u64, u32)>,
    next: u64,
}

impl<K: Eq + Hash> Numbers<K> {
    pub(super) fn new() -> Self {
        Self { known: HashMap::new(), next: 0 }
    }

    /// The connection and the position on it of the next exchange; without a name, or beyond
    /// [`MAX_CONNECTIONS`], it is [`ALONE`].
    pub(super) fn next(&mut self, name: Option<K>) -> (u64, u32) {
        let is_full = self.known.len() >= MAX_CONNECTIONS;
        if let Some(name) = name
            && (!is_full || self.known.contains_key(&name))
        {
            let (number, seq) = self.known.entry(name).or_insert_with(|| {
                self.next += 1;
                (self.next - 1, 0)
            });
            *seq += u32::from(*seq + 2 < ALONE);
            return (*number, *seq - 1);
        }
        self.next += 1;
        (self.next - 1, ALONE)
    }
}

/// Makes a recording of exchanges in the order of time: it starts with the first of them, and
/// connections are numbered as they appear.
#[derive(Debug)]
pub struct Settle {
    start: Option<Duration>,
    connections: HashMap<u64, Connection>,
    next: u64,
    one_at_a_time: bool,
    no_connections: bool,
    /// Requests that were taken from a connection that was busy.
    pub moved: u64,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    seq: u32,
    /// The last answer on it was over.
    free_at: Duration,
}

/// Requests may overlap by as much: times are rounded.
const ROUNDING: Duration = Duration::from_millis(3);

impl Settle {
    /// For what the files of `documents` yielded.
    pub fn new(documents: &Documents) -> Self {
        let Documents { one_at_a_time, no_connections, .. } = *documents;
        let connections = HashMap::new();
        Self { start: None, connections, next: 0, one_at_a_time, no_connections, moved: 0 }
    }

    /// The wall clock of the start, nanoseconds since the Unix epoch; 0 before the first exchange.
    pub fn started_unix_ns(&self) -> i64 {
        i64::try_from(self.start.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
    }

    /// The same exchange, in the recording.
    pub fn settle(&mut self, mut exchange: Exchange) -> Exchange {
        let start = *self.start.get_or_insert(exchange.at);
        exchange.at = exchange.at.saturating_sub(start);
        (exchange.connection, exchange.seq) = self.connection(&exchange);
        exchange
    }

    fn connection(&mut self, exchange: &Exchange) -> (u64, u32) {
        if exchange.seq == ALONE || self.no_connections {
            self.next += 1;
            return (self.next - 1, 0);
        }
        let is_wire = !exchange.flags.contains(Flags::FROM_CACHE);
        let is_alone = self.one_at_a_time && is_wire && exchange.protocol == Protocol::Http1;
        let response = exchange.response.as_ref();
        let after = response.and_then(|response| response.last_byte.or(response.first_byte));
        let end = exchange.at.saturating_add(after.unwrap_or_default());
        let connection = self.connections.entry(exchange.connection).or_insert_with(|| {
            self.next += 1;
            Connection { number: self.next - 1, seq: 0, free_at: Duration::ZERO }
        });
        if is_alone && exchange.at + ROUNDING < connection.free_at {
            self.moved += 1;
            self.next += 1;
            return (self.next - 1, 0);
        }
        if is_alone {
            connection.free_at = end.max(connection.free_at);
        }
        let seq = connection.seq;
        connection.seq += u32::from(seq + 1 < ALONE);
        (connection.number, seq)
    }
}
