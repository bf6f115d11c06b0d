//! What a plan needs of the machine that carries it out, known before anything is sent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long the port of a connection stays taken once it was closed from here: the time that the
/// kernel waits for stray segments, which is no setting of it.
pub const TIME_WAIT: Duration = Duration::from_mins(1);

/// What the program takes before the first connection: its code, its histograms, a page of reports.
const BASE_BYTES: u64 = 48 * 1024 * 1024;

/// What a connection takes of memory at most: a task here, and a socket with small buffers in the
/// kernel. Bodies that wait in socket buffers come on top, and are the kernel's to bound.
const CONNECTION_BYTES: u64 = 20 * 1024;

/// How far ahead of the clock a plan is read: longer than any stall of a disk that is worth
/// surviving.
pub const READ_AHEAD: Duration = Duration::from_secs(5);

/// Most bytes of requests that are read but not due. A single larger request is let through.
pub const READ_AHEAD_BYTES: usize = 128 * 1024 * 1024;

/// Seconds that are told apart, a day: what comes later counts in the last one.
const MAX_SECONDS: usize = 24 * 60 * 60;

/// What a plan needs at its busiest, if the target is as fast as production was. A slower target
/// holds connections and requests for longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Needs {
    /// Connections open at once, each of which is a file descriptor.
    pub connections: u64,
    /// Local ports: of connections that are open, and of those closed less than [`TIME_WAIT`] ago.
    pub ports: u64,
    /// Bytes to send in a second, heads and bodies.
    pub sent_a_second: u64,
    /// Bytes of bodies that production answered in a second, by the second of their requests.
    pub received_a_second: u64,
    /// Bytes of memory, about.
    pub memory: u64,
}

/// Bytes by the second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume {
    sent: Vec<u64>,
    received: Vec<u64>,
}

impl Volume {
    /// Counts a request of that second.
    pub(crate) fn add(&mut self, due: Duration, sent: u64, received: u64) {
        let second = usize::try_from(due.as_secs()).unwrap_or(usize::MAX).min(MAX_SECONDS - 1);
        if self.sent.len() <= second {
            self.sent.resize(second + 1, 0);
            self.received.resize(second + 1, 0);
        }
        self.sent[second] = self.sent[second].saturating_add(sent);
        self.received[second] = self.received[second].saturating_add(received);
    }
}

impl Needs {
    /// Those of connections that are open between two moments each, and of what they carry.
    pub(crate) fn new(spans: impl Iterator<Item = (Duration, Duration)>, volume: &Volume) -> Self {
        let (mut opened, mut closed): (Vec<_>, Vec<_>) = spans.unzip();
        opened.sort_unstable();
        closed.sort_unstable();
        let sent_a_second = volume.sent.iter().copied().max().unwrap_or(0);
        Self::of(
            peak(&opened, &closed, Duration::ZERO),
            peak(&opened, &closed, TIME_WAIT),
            (sent_a_second, volume.received.iter().copied().max().unwrap_or(0)),
        )
    }

    /// Those of a number of connections that stay open, and of what is sent in a second.
    pub fn of_steady(connections: u64, sent_a_second: u64) -> Self {
        Self::of(connections, connections, (sent_a_second, 0))
    }

    fn of(connections: u64, ports: u64, (sent, received): (u64, u64)) -> Self {
        let ahead = sent.saturating_mul(READ_AHEAD.as_secs()).min(READ_AHEAD_BYTES as u64);
        let memory = BASE_BYTES
            .saturating_add(connections.saturating_mul(CONNECTION_BYTES))
            .saturating_add(ahead);
        Self { connections, ports, sent_a_second: sent, received_a_second: received, memory }
    }
}

/// Most of them at once, where each lasts for `longer` than it says. Both lists are sorted.
fn peak(opened: &[Duration], closed: &[Duration], longer: Duration) -> u64 {
    let (mut peak, mut gone) = (0, 0);
    for (index, moment) in opened.iter().enumerate() {
        // At the same moment the new one is opened first, to be on the safe side.
        while closed.get(gone).is_some_and(|end| end.saturating_add(longer) < *moment) {
            gone += 1;
        }
        peak = peak.max(index + 1 - gone);
    }
    peak as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection a second, each open for half of one.
    fn one_a_second(count: u32) -> impl Iterator<Item = (Duration, Duration)> {
        (0..count).map(|at| (SECOND * at, SECOND * at + SECOND / 2))
    }

    #[test]
    fn a_port_is_taken_for_a_minute_longer_than_its_connection() {
        let needs = Needs::new(one_a_second(200), &Volume::default());
        assert_eq!((needs.connections, needs.ports), (1, 61));
        let few = Needs::new(one_a_second(10), &Volume::default());
        assert_eq!((few.connections, few.ports), (1, 10));
    }

    #[test]
    fn who_goes_as_another_comes_is_counted_with_it() {
        let touching = [(SECOND, SECOND * 2), (SECOND * 2, SECOND * 3)];
        assert_eq!(Needs::new(touching.into_iter(), &Volume::default()).connections, 2);
        assert_eq!(Needs::new(std::iter::empty(), &Volume::default()).connections, 0);
    }

    #[test]
    fn bytes_are_those_of_the_busiest_second() {
        let mut volume = Volume::default();
        for (second, sent, received) in [(0, 10, 100), (0, 20, 200), (3, 25, 500), (9, 1, 1)] {
            volume.add(SECOND * second, sent, received);
        }
        volume.add(Duration::MAX, 7, u64::MAX);
        volume.add(Duration::MAX, 7, 1);
        let needs = Needs::new(one_a_second(1), &volume);
        assert_eq!((needs.sent_a_second, needs.received_a_second), (30, u64::MAX));
        assert_eq!(needs.memory, BASE_BYTES + CONNECTION_BYTES + 5 * 30);
        assert_eq!(volume.sent.len(), MAX_SECONDS);
    }
}
