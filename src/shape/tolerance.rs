//! How far a produced shape may be from the planned one, in three tiers.
//!
//! They were checked against simulated faults: all of them accept jitter up to 1 ms, and
//! [`STANDARD`] fails stalls of 100 ms every 10 s, a rate cap at the peak second, even spacing
//! inside seconds, 1 % lost requests, and time stretched by 1 %.

/// Tolerances of one tier. Shares are ratios (0.01 is 1 %), bands are lowest and highest ratio.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    /// Name of the tier in reports.
    pub name: &'static str,
    /// Least share of planned requests that is sent.
    pub completeness: f64,
    /// Largest lateness at p99, p99.9 and at all, in milliseconds.
    pub lateness_ms: [f64; 3],
    /// Largest p99 of lateness as a share of the latency bound under test.
    pub lateness_of_bound: f64,
    /// Largest WAPE of the rate curve at 1 s.
    pub wape: f64,
    /// Largest cumulative lag in seconds.
    pub lag_seconds: f64,
    /// Band of the ratio of the busiest seconds.
    pub peak: [f64; 2],
    /// Band of the IDC ratio at 100 ms, 1 s and 10 s.
    pub dispersion: [f64; 2],
    /// Band of the IDC ratio at 10 ms.
    pub fine_dispersion: FineDispersion,
    /// Largest distance of the gaps between requests: of Kolmogorov and Smirnov, and Wasserstein-1
    /// as a share of the mean gap.
    pub gaps: f64,
    /// Largest total variation distance of the request mix.
    pub mix: f64,
    /// Band of the ratio of quantiles of request sizes.
    pub size: [f64; 2],
    /// Largest WAPE of connections opened a second.
    pub opens: f64,
    /// Largest mean distance of the miss-ratio curves of caches.
    pub miss_curve: f64,
}

/// What the IDC ratio at 10 ms gates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FineDispersion {
    /// It must be in the band.
    Gate([f64; 2]),
    /// It must be in the band where this machine resolves 1 ms: ten times the p99 of lateness is at
    /// most that. Otherwise it is printed only.
    GateIfResolved([f64; 2]),
    /// It is printed only.
    Report,
}

/// For bare metal.
pub const STRICT: Tolerances = Tolerances {
    name: "strict",
    completeness: 0.9999,
    lateness_ms: [1.0, 5.0, 100.0],
    lateness_of_bound: 0.10,
    wape: 0.005,
    lag_seconds: 0.05,
    peak: [0.99, 1.01],
    dispersion: [0.95, 1.05],
    fine_dispersion: FineDispersion::Gate([0.90, 1.10]),
    gaps: 0.02,
    mix: 0.001,
    size: [0.999, 1.001],
    opens: 0.02,
    miss_curve: 0.002,
};

/// The default.
pub const STANDARD: Tolerances = Tolerances {
    name: "standard",
    completeness: 0.999,
    lateness_ms: [10.0, 50.0, 1_000.0],
    lateness_of_bound: 0.10,
    wape: 0.01,
    lag_seconds: 0.2,
    peak: [0.98, 1.02],
    dispersion: [0.90, 1.10],
    fine_dispersion: FineDispersion::GateIfResolved([0.90, 1.10]),
    gaps: 0.05,
    mix: 0.005,
    size: [0.99, 1.01],
    opens: 0.05,
    miss_curve: 0.01,
};

/// For shared virtual machines.
pub const CI: Tolerances = Tolerances {
    name: "ci",
    completeness: 0.995,
    lateness_ms: [50.0, 200.0, 2_000.0],
    lateness_of_bound: 0.25,
    wape: 0.03,
    lag_seconds: 1.0,
    peak: [0.95, 1.05],
    dispersion: [0.80, 1.25],
    fine_dispersion: FineDispersion::Report,
    gaps: 0.10,
    mix: 0.01,
    size: [0.98, 1.02],
    opens: 0.10,
    miss_curve: 0.02,
};
