//! The statistics that a recording and what is drawn are compared by, and how far apart they may
//! be.

/// A statistic of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// Requests.
    Requests,
    /// Sessions, as recorded.
    Sessions,
    /// The index of dispersion for counts, by window.
    Dispersion10Ms,
    /// At 100 ms.
    Dispersion100Ms,
    /// At 1 s.
    Dispersion1S,
    /// At 10 s.
    Dispersion10S,
    /// Correlation of each second with the next.
    Memory,
    /// WAPE of seconds around their trend.
    Noise,
    /// Requests in the busiest second.
    BusiestSecond,
    /// The quantile 0.9999 of requests in 10 ms.
    Busiest10Ms,
    /// Quantile 0.5 of requests in a session.
    Length50,
    /// Quantile 0.9.
    Length90,
    /// Quantile 0.99.
    Length99,
    /// Quantile 0.5 of bytes of requests, their heads included.
    Request50,
    /// Quantile 0.99.
    Request99,
    /// Quantile 0.999.
    Request999,
    /// Bytes of all requests.
    RequestBytes,
    /// Quantile 0.5 of bytes of responses' bodies.
    Response50,
    /// Quantile 0.99.
    Response99,
    /// Quantile 0.999.
    Response999,
    /// Bytes of all responses' bodies.
    ResponseBytes,
    /// Misses of an LRU cache for 1 % of the keys, as a share of requests.
    Misses1,
    /// For 5 %.
    Misses5,
    /// For 10 %.
    Misses10,
    /// For 25 %.
    Misses25,
    /// For 50 %.
    Misses50,
    /// Exponent of the popularity of keys.
    Popularity,
    /// Most requests in flight at once, by the times that they took.
    InFlight,
    /// The same where each takes an exponential time of one second.
    Held,
    /// Connections.
    Connections,
    /// Distance of the mix of routes from that of all that are drawn.
    Mix,
    /// Distance of the curve of the rate from that of all that are drawn.
    Rate,
}

/// How far a statistic of the recording may be from the mean of those drawn: the tolerances of
/// shapes on shared machines (science: tolerances, column `ci`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// As a share of the mean, down and up.
    Share(f64, f64),
    /// In the unit of the statistic, which is a share or a distance itself.
    Units(f64),
    /// That table has none.
    None,
}

impl Statistic {
    /// Quantiles of lengths of sessions.
    pub const LENGTHS: [Self; 3] = [Self::Length50, Self::Length90, Self::Length99];
    /// Quantiles of requests' bytes, and all of them.
    pub const REQUEST_SIZES: [Self; 4] =
        [Self::Request50, Self::Request99, Self::Request999, Self::RequestBytes];
    /// The same of responses.
    pub const RESPONSE_SIZES: [Self; 4] =
        [Self::Response50, Self::Response99, Self::Response999, Self::ResponseBytes];
    /// Misses of caches.
    pub const MISSES: [Self; 5] =
        [Self::Misses1, Self::Misses5, Self::Misses10, Self::Misses25, Self::Misses50];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Sessions => "sessions",
            Self::Dispersion10Ms => "IDC at 10 ms",
            Self::Dispersion100Ms => "IDC at 100 ms",
            Self::Dispersion1S => "IDC at 1 s",
            Self::Dispersion10S => "IDC at 10 s",
            Self::Memory => "memory of a second (ACF)",
            Self::Noise => "noise of a second (WAPE)",
            Self::BusiestSecond => "busiest second",
            Self::Busiest10Ms => "busiest 10 ms",
            Self::Length50 => "session length p50",
            Self::Length90 => "session length p90",
            Self::Length99 => "session length p99",
            Self::Request50 => "request p50",
            Self::Request99 => "request p99",
            Self::Request999 => "request p99.9",
            Self::RequestBytes => "request bytes",
            Self::Response50 => "response p50",
            Self::Response99 => "response p99",
            Self::Response999 => "response p99.9",
            Self::ResponseBytes => "response bytes",
            Self::Misses1 => "misses, cache of 1% of keys",
            Self::Misses5 => "misses, cache of 5% of keys",
            Self::Misses10 => "misses, cache of 10% of keys",
            Self::Misses25 => "misses, cache of 25% of keys",
            Self::Misses50 => "misses, cache of 50% of keys",
            Self::Popularity => "popularity of keys (Zipf)",
            Self::InFlight => "in flight at most",
            Self::Held => "held for 1 s at most (M/G/∞)",
            Self::Connections => "connections",
            Self::Mix => "mix (TVD)",
            Self::Rate => "rate curve (WAPE)",
        }
    }

    /// What the table of tolerances says of it. Sizes are told by route there, and here of all.
    pub fn tolerance(self) -> Tolerance {
        match self {
            // Completeness.
            Self::Requests => Tolerance::Share(0.005, 0.005),
            Self::Dispersion100Ms | Self::Dispersion1S | Self::Dispersion10S => {
                Tolerance::Share(0.2, 0.25)
            }
            Self::Noise | Self::Rate => Tolerance::Units(0.03),
            Self::BusiestSecond | Self::Busiest10Ms => Tolerance::Share(0.05, 0.05),
            Self::Request50
            | Self::Request99
            | Self::Request999
            | Self::RequestBytes
            | Self::Response50
            | Self::Response99
            | Self::Response999
            | Self::ResponseBytes => Tolerance::Share(0.02, 0.02),
            Self::Misses1 | Self::Misses5 | Self::Misses10 | Self::Misses25 | Self::Misses50 => {
                Tolerance::Units(0.02)
            }
            Self::Connections => Tolerance::Share(0.1, 0.1),
            Self::Mix => Tolerance::Units(0.01),
            Self::Sessions
            | Self::Dispersion10Ms
            | Self::Memory
            | Self::Length50
            | Self::Length90
            | Self::Length99
            | Self::Popularity
            | Self::InFlight
            | Self::Held => Tolerance::None,
        }
    }
}
