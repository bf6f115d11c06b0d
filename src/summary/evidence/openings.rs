//! How new connections fared: what a limit on connections does to them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plan::{Arrival, Touch};
use crate::record::failures::TlsFailure;
use crate::sample::{Fate, Sample};
use crate::stats::histograms::{self, coarse_times, nanoseconds, record_time};
use crate::summary::evidence::is_large;

/// A connect this slow lost its first SYN: the kernel sends the next one after a second, whatever
/// the network. A full accept queue does that.
pub const SYN_RETRY: Duration = Duration::from_millis(900);

/// A first byte this late, or none at all, counts as slow when new and reused connections are
/// compared. The handshake of TLS counts with it: the kernel takes a connection that waits to be
/// accepted, and only what its server has to say is late.
pub const SLOW_ANSWER: Duration = Duration::from_millis(500);

/// Distinct banners kept; further ones are counted under [`OTHER_BANNERS`]. A limit has one text,
/// and a server that puts a counter into it must not grow the summary.
pub const MAX_BANNERS: usize = 8;

/// Where banners beyond [`MAX_BANNERS`] are counted.
pub const OTHER_BANNERS: &str = "(other)";

/// How new connections fared.
#[derive(Clone, Debug, PartialEq)]
pub struct Openings {
    /// Connections whose opening was tried.
    pub tried: u64,
    /// Those that were turned away, by way.
    pub turned_away: BTreeMap<TurnedAway, u64>,
    /// What was said while turning away, with counts.
    pub banners: BTreeMap<String, u64>,
    /// Time to connect, without TLS, of the first opening of each connection, ns.
    pub connect: Histogram<u64>,
    /// How long shaking hands took, of every connection with TLS, ns.
    pub handshake: Histogram<u64>,
    /// Connects that needed a second SYN.
    pub syn_retries: u64,
    /// Small requests of any touch.
    pub all: Compared,
    /// Small requests that were no first touch: a cold cache does not slow these.
    pub warm: Compared,
}

/// How a new connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TurnedAway {
    /// The connection was refused.
    Refused,
    /// The connect did not complete.
    ConnectTimedOut,
    /// A text that is not HTTP, then closed.
    Banner,
    /// Closed or reset before the first byte.
    Closed,
}

/// Requests on new and on reused connections. Large bodies are left out, since they take their time
/// anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// The first ones on their connection.
    pub first: Waits,
    /// The others.
    pub reused: Waits,
}

/// Requests, and how many of them waited long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Requests sent.
    pub requests: u64,
    /// Those whose first byte took [`SLOW_ANSWER`] or never came.
    pub slow: u64,
}

impl TurnedAway {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ConnectTimedOut => "did not complete",
            Self::Banner => "closed after a banner",
            Self::Closed => "closed without a byte",
        }
    }
}

/// How a sample's connection was turned away, if it was. A reused connection that ends is no
/// matter of a limit, and neither is one that is cut while a large body is sent.
pub fn turned_away(arrival: &Arrival, sample: &Sample) -> Option<TurnedAway> {
    match sample.fate {
        Fate::Refused => Some(TurnedAway::Refused),
        Fate::ConnectTimedOut | Fate::Tls { failure: TlsFailure::TooSlow } => {
            Some(TurnedAway::ConnectTimedOut)
        }
        Fate::Tls { failure: TlsFailure::Left } => Some(TurnedAway::Closed),
        Fate::Rejected { .. } if sample.opened => Some(TurnedAway::Banner),
        Fate::ClosedEarly { after_bytes: 0 } | Fate::Reset
            if sample.opened && sample.first_byte.is_none() && !is_large(arrival) =>
        {
            Some(TurnedAway::Closed)
        }
        _ => None,
    }
}

impl Openings {
    /// Takes what one sample shows.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample) {
        let way = turned_away(arrival, sample);
        self.tried += u64::from(sample.opened || way.is_some());
        if let Some(way) = way {
            *self.turned_away.entry(way).or_default() += 1;
        }
        if let Fate::Rejected { banner } = &sample.fate {
            self.count_banner(banner, 1);
        }
        // A later opening on the same connection waits for the previous answer first, so that
        // its wait is no connect time.
        if let (true, 0, Some(from), Some(to)) =
            (sample.opened, arrival.seq, sample.dispatched, sample.established)
        {
            let connect = to.saturating_sub(from);
            record_time(&mut self.connect, nanoseconds(connect));
            self.syn_retries += u64::from(connect >= SYN_RETRY);
        }
        if let Some(handshake) = sample.handshake() {
            record_time(&mut self.handshake, nanoseconds(handshake));
        }
        self.add_wait(arrival, sample);
    }

    /// Adds the evidence of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.tried += other.tried;
        for (&way, &count) in &other.turned_away {
            *self.turned_away.entry(way).or_default() += count;
        }
        for (banner, &count) in &other.banners {
            self.count_banner(banner, count);
        }
        histograms::merge(&mut self.connect, &other.connect);
        histograms::merge(&mut self.handshake, &other.handshake);
        self.syn_retries += other.syn_retries;
        self.all.merge(other.all);
        self.warm.merge(other.warm);
    }

    fn add_wait(&mut self, arrival: &Arrival, sample: &Sample) {
        let Some(sent) = sample.sent else { return };
        if is_large(arrival) {
            return;
        }
        let hung = sample.first_byte.is_none() && sample.fate == Fate::TimedOut;
        let shaking = sample.handshake().unwrap_or_default();
        let wait = sample.first_byte.map(|at| at.saturating_sub(sent));
        let late = wait.is_some_and(|wait| wait.saturating_add(shaking) >= SLOW_ANSWER);
        let waits = Waits { requests: 1, slow: u64::from(hung || late) };
        self.all.of(sample).merge(waits);
        if arrival.touch != Touch::First {
            self.warm.of(sample).merge(waits);
        }
    }

    fn count_banner(&mut self, banner: &str, count: u64) {
        let known = self.banners.len() < MAX_BANNERS || self.banners.contains_key(banner);
        let key = if known { banner } else { OTHER_BANNERS };
        *self.banners.entry(key.to_owned()).or_default() += count;
    }
}

impl Default for Openings {
    fn default() -> Self {
        Self {
            tried: 0,
            turned_away: BTreeMap::new(),
            banners: BTreeMap::new(),
            connect: coarse_times(),
            handshake: coarse_times(),
            syn_retries: 0,
            all: Compared::default(),
            warm: Compared::default(),
        }
    }
}

impl Compared {
    fn of(&mut self, sample: &Sample) -> &mut Waits {
        if sample.opened { &mut self.first } else { &mut self.reused }
    }

    fn merge(&mut self, other: Self) {
        self.first.merge(other.first);
        self.reused.merge(other.reused);
    }
}

impl Waits {
    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.slow += other.slow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::examples::{answered, arrival, failed};

    #[test]
    fn banners_are_bounded_and_all_counted() {
        let mut openings = Openings::default();
        for number in 0..20 {
            let arrival = arrival(number, Duration::ZERO);
            let banner = format!("-ERR {number} clients");
            openings.add(&arrival, &failed(&arrival, Fate::Rejected { banner }));
        }
        assert_eq!(openings.banners.len(), MAX_BANNERS + 1);
        assert_eq!(openings.banners.values().sum::<u64>(), 20);
        assert_eq!(openings.turned_away[&TurnedAway::Banner], 20);
    }

    #[test]
    fn only_new_connections_are_turned_away() {
        let arrival = arrival(0, Duration::ZERO);
        for (fate, opened, expected) in [
            (Fate::Refused, true, Some(TurnedAway::Refused)),
            (Fate::ConnectTimedOut, true, Some(TurnedAway::ConnectTimedOut)),
            (Fate::Tls { failure: TlsFailure::TooSlow }, true, Some(TurnedAway::ConnectTimedOut)),
            (Fate::Tls { failure: TlsFailure::Left }, true, Some(TurnedAway::Closed)),
            (Fate::Tls { failure: TlsFailure::Alert }, true, None),
            (Fate::Reset, true, Some(TurnedAway::Closed)),
            (Fate::Reset, false, None),
            (Fate::ClosedEarly { after_bytes: 0 }, true, Some(TurnedAway::Closed)),
            (Fate::ClosedEarly { after_bytes: 9 }, true, None),
            (Fate::Rejected { banner: String::new() }, false, None),
            (Fate::TimedOut, true, None),
        ] {
            let sample = Sample { opened, ..failed(&arrival, fate.clone()) };
            assert_eq!(turned_away(&arrival, &sample), expected, "{fate:?} {opened}");
        }
    }

    #[test]
    fn a_connect_of_a_second_lost_its_syn() {
        let mut openings = Openings::default();
        let arrival = arrival(0, Duration::ZERO);
        let mut sample = answered(&arrival, Duration::from_millis(1));
        openings.add(&arrival, &sample);
        sample.established = Some(Duration::from_millis(1_030));
        openings.add(&arrival, &sample);
        assert_eq!((openings.tried, openings.syn_retries), (2, 1));
    }

    /// The kernel takes what its server does not accept, and that server shakes hands late. It lost
    /// no packet, and it is not quick because its answer, at last, was.
    #[test]
    fn a_handshake_is_no_connect_and_a_slow_one_is_a_slow_answer() {
        let millis = Duration::from_millis;
        let arrival = arrival(0, Duration::ZERO);
        let shaken = |took: Duration, seq| {
            let quick = answered(&arrival, millis(1));
            let at = |moment: Option<Duration>| moment.map(|moment| moment + took);
            let sample = Sample {
                secured: at(quick.established),
                connected: at(quick.connected),
                sent: at(quick.sent),
                first_byte: at(quick.first_byte),
                ..quick
            };
            let mut openings = Openings::default();
            openings.add(&Arrival { seq, ..arrival.clone() }, &sample);
            let lengths = [openings.connect.len(), openings.handshake.len()];
            let tenths = (openings.handshake.max() + 50_000_000) / 100_000_000;
            (lengths, tenths, openings.syn_retries, openings.all.first.slow)
        };
        assert_eq!(shaken(millis(1_200), 0), ([1, 1], 12, 0, 1));
        // A later one may have waited for an answer; its handshake has not.
        assert_eq!(shaken(millis(300), 7), ([0, 1], 3, 0, 0));
        let mut plain = Openings::default();
        plain.add(&arrival, &answered(&arrival, millis(1)));
        let mut merged = Openings::default();
        merged.merge(&plain);
        assert_eq!([merged.connect.len(), merged.handshake.len()], [1, 0]);
    }
}
