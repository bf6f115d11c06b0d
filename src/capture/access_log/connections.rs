//! Which requests of a log came on which connection: a guess, since few logs say.
//!
//! A client is an address and a `User-Agent`. Its next request goes on the connection that became
//! free last, as a browser does; one that comes while all are busy opens a further connection, and
//! so does the first after half an hour. Where the log has the client's port or the server's
//! number of the connection, only requests that share it share a connection. HTTP/1.0 closes after
//! each response.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::recording::Exchange;

/// A client that was silent for longer has left: the usual limit between two visits.
pub const SESSION_TIMEOUT: Duration = Duration::from_mins(30);

/// Connections kept in mind at once; some hundred bytes each. Clients that were silent longest go
/// first, and start again on a new connection when they come back.
pub const OPEN_MAX: usize = 1 << 20;

/// Numbers connections of exchanges that come in the order of time.
#[derive(Debug, Default)]
pub struct Connections {
    clients: HashMap<(u64, u32), Client>,
    /// How many connections are in `clients`.
    open: usize,
    next: u64,
    start: Option<Duration>,
    /// How exact moments are.
    step: Duration,
    /// When clients that have left were last looked for.
    swept: Duration,
    /// Clients that were forgotten before their time.
    pub forgotten: u64,
    /// Requests of which the log says nothing about their connection.
    pub guessed: u64,
}

/// When each connection of a client becomes free, its number, and the position of its next
/// request.
type Client = BTreeSet<(Duration, u64, u32)>;

impl Connections {
    /// For a log whose arrivals are exact to `step_ns`.
    pub fn new(step_ns: u64) -> Self {
        Self { step: Duration::from_nanos(step_ns), ..Self::default() }
    }

    /// Moment of the first exchange, since the Unix epoch.
    pub fn start(&self) -> Duration {
        self.start.unwrap_or_default()
    }

    /// Gives an exchange its moment since the start, its connection and its position there.
    pub fn place(&mut self, exchange: &mut Exchange) {
        let at = exchange.at;
        let start = *self.start.get_or_insert(at);
        exchange.at = at.saturating_sub(start);
        if at.saturating_sub(self.swept) > SESSION_TIMEOUT || self.open >= OPEN_MAX {
            self.sweep(at);
        }
        let known = exchange.seq;
        self.guessed += u64::from(known == 0);
        let client = self.clients.entry((exchange.session, known)).or_default();
        // Two moments of one connection overlap where both are only known to a step.
        let free_by = if known == 0 { at } else { at.saturating_add(self.step * 2) };
        let free = client.range(..=(free_by, u64::MAX, u32::MAX)).next_back().copied();
        let free = free.filter(|(since, ..)| at.saturating_sub(*since) <= SESSION_TIMEOUT);
        let (connection, seq) = if let Some(free) = free {
            client.remove(&free);
            self.open -= 1;
            (free.1, free.2)
        } else {
            self.next += 1;
            (self.next - 1, 0)
        };
        (exchange.connection, exchange.seq) = (connection, seq);
        let last = exchange.response.as_ref().and_then(|response| response.last_byte);
        let closes = known == 0 && is_http_1_0(&exchange.request_head);
        if !closes && seq < SEQ_MAX {
            let end = at.saturating_add(last.unwrap_or_default());
            client.insert((end, connection, seq + 1));
            self.open += 1;
        }
    }

    /// Forgets connections of clients that have left, and all where there are too many.
    fn sweep(&mut self, now: Duration) {
        self.swept = now;
        self.clients.retain(|_, client| {
            client.retain(|(free, ..)| now.saturating_sub(*free) <= SESSION_TIMEOUT);
            !client.is_empty()
        });
        self.open = self.clients.values().map(BTreeSet::len).sum();
        if self.open >= OPEN_MAX {
            self.forgotten += self.clients.len() as u64;
            self.clients.clear();
            self.open = 0;
        }
    }
}

/// Positions on a connection fit 31 bits.
const SEQ_MAX: u32 = i32::MAX.unsigned_abs() - 1;

fn is_http_1_0(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.ends_with(b" HTTP/1.0") || !line.ends_with(b" HTTP/1.1")
}
