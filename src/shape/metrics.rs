//! The metrics of a load shape, each as a value that the data supports, or the reason why not.
//!
//! Shapes are paired: every produced request belongs to a planned one, so there is no sampling
//! error to allow for. What remains is the quantum: where one request or one connection that
//! crosses the edge of a window would alone break the tolerance, the metric says nothing about the
//! run and is not evaluable, unless it is off by more than [`ACCIDENTS`] such events: then it is no
//! accident, however small the recording. Losses are never one: completeness and mix count from the
//! first request on.
//!
//! Mix and sizes are those of the arrivals that left: a pair shows what is missing, not what became
//! of the bytes on their way. That these are the planned ones is held by the tests of `drive`.
//!
//! Distances of the gaps between requests (KS, Wasserstein) are not among the metrics of a run: its
//! requests come from several threads in no order that would have gaps. They forgive an offset and
//! a shuffled order, which lateness, arrival by arrival, does not; and they fail a harmless timer
//! tick. Two recordings are compared by them, too: see [`likeness`](crate::shape::likeness).

use std::ops::RangeInclusive;

use hdrhistogram::Histogram;

use crate::shape::{Shape, WINDOW_NS};
use crate::stats::counts::{as_f64, as_index, coarsen, quantile};
use crate::stats::dispersion::index_of_dispersion;
use crate::stats::distances::{
    jensen_shannon, max_cumulative_lag, normalised_rmse, total_variation, wape,
};
use crate::stats::memory::autocorrelation;

/// A value, or why the data cannot support one.
pub type Evaluated = Result<f64, String>;

/// Fewest windows of a scale from which something is said about it.
pub const MIN_WINDOWS: usize = 10;

/// A dispersion below this counts as this. The stream is then as good as even (Poisson has 1), and
/// no target can tell 0.01 from 0.05, although their ratio is 5.
pub const EVEN: f64 = 0.1;

/// Events in the wrong window that may be an accident where one of them breaks the tolerance.
pub const ACCIDENTS: f64 = 3.0;

/// Windows of 10 ms in a second.
const PER_SECOND: usize = 100;

/// A planned and a produced shape, to be set side by side.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// As planned.
    pub planned: &'a Shape,
    /// As produced.
    pub produced: &'a Shape,
}

impl Pair<'_> {
    /// Share of planned requests that were produced.
    pub fn completeness(self) -> Evaluated {
        if self.planned.total == 0 {
            return Err("nothing was planned".into());
        }
        Ok(as_f64(self.produced.total) / as_f64(self.planned.total))
    }

    /// WAPE of the rate curve at 1 s, where one request in the wrong second is within `limit`.
    pub fn rate_wape(self, limit: f64) -> Evaluated {
        self.rate_wape_in(1, limit)
    }

    /// The same in windows of so many seconds.
    pub fn rate_wape_in(self, seconds: usize, limit: f64) -> Evaluated {
        let factor = PER_SECOND * seconds;
        let planned = coarsen(&self.planned.counts, factor);
        enough_windows(planned.len(), &scale_name(factor))?;
        let produced = coarsen(&self.produced.counts, factor);
        let value = wape(&planned, &produced).ok_or_else(nothing)?;
        let change = 2.0 / as_f64(self.planned.total);
        supported(value, 0.0, Quantum { change, limit, what: "one request in the next second" })
    }

    /// Normalised root mean square error of the rate curve at 1 s.
    pub fn rate_rmse(self) -> Evaluated {
        let [planned, produced] = self.coarse(PER_SECOND);
        enough_windows(planned.len(), "1 s")?;
        normalised_rmse(&planned, &produced).ok_or_else(nothing)
    }

    /// The largest difference of the autocorrelations of counts in windows of `factor` × 10 ms.
    pub fn memory(self, factor: usize, lags: RangeInclusive<usize>) -> Evaluated {
        let [planned, produced] = self.coarse(factor);
        enough_windows(planned.len().min(produced.len()), &scale_name(factor))?;
        let apart = lags.filter_map(|lag| {
            Some((autocorrelation(&planned, lag)? - autocorrelation(&produced, lag)?).abs())
        });
        apart.reduce(f64::max).ok_or_else(|| "counts do not vary".into())
    }

    fn coarse(self, factor: usize) -> [Vec<u64>; 2] {
        [self.planned, self.produced].map(|shape| coarsen(&shape.counts, factor))
    }

    /// Largest cumulative lag in seconds, where one lost request is within `limit`.
    pub fn lag_seconds(self, limit: f64) -> Evaluated {
        let planned = coarsen(&self.planned.counts, 1);
        let seconds = as_f64(planned.len() as u64) * seconds_of(1);
        let produced = coarsen(&self.produced.counts, 1);
        let value = max_cumulative_lag(&planned, &produced, seconds_of(1)).ok_or_else(nothing)?;
        let change = seconds / as_f64(self.planned.total);
        supported(value, 0.0, Quantum { change, limit, what: "one missing request" })
    }

    /// Ratio of the busiest seconds, where one request more or less is within `band`.
    pub fn peak_second(self, band: [f64; 2]) -> Evaluated {
        let planned = coarsen(&self.planned.counts, PER_SECOND);
        enough_windows(planned.len(), "1 s")?;
        let produced = coarsen(&self.produced.counts, PER_SECOND);
        let peak = as_f64(planned.iter().copied().max().unwrap_or(0));
        if peak <= 0.0 {
            return Err(nothing());
        }
        let value = as_f64(produced.iter().copied().max().unwrap_or(0)) / peak;
        let what = "one request more in the busiest second";
        supported(value, 1.0, Quantum { change: 1.0 / peak, limit: band[1] - 1.0, what })
    }

    /// Ratio of the 99.99 % quantiles of the counts in 10 ms.
    pub fn peak_window(self) -> Evaluated {
        enough_windows(self.planned.counts.len(), "10 ms")?;
        // Both over the same windows: idle ones at the end count.
        let windows = self.planned.counts.len().max(self.produced.counts.len());
        let peak = |counts: &[u32]| {
            let mut counts = counts.to_vec();
            counts.resize(windows, 0);
            quantile(&counts, 0.9999).unwrap_or(0.0)
        };
        let planned = peak(&self.planned.counts);
        if planned <= 0.0 {
            return Err("the planned quantile is 0".into());
        }
        Ok(peak(&self.produced.counts) / planned)
    }

    /// Ratio of the indices of dispersion at `factor` × 10 ms, where one request in the next window
    /// is within `band`.
    pub fn dispersion(self, factor: usize, band: [f64; 2]) -> Evaluated {
        // An incomplete last window would pass for a burst. One that lacks less than a hundredth
        // is complete: the last request just came a little before its end.
        let complete = (self.planned.counts.len() + factor / 100) / factor;
        enough_windows(complete, &scale_name(factor))?;
        let cut = |counts: &[u32]| {
            let mut coarse = coarsen(counts, factor);
            coarse.resize(complete, 0);
            coarse
        };
        let planned = cut(&self.planned.counts);
        let total = as_f64(planned.iter().sum());
        let before = index_of_dispersion(&planned, seconds_of(factor)).ok_or_else(nothing)?;
        let before = before.max(EVEN);
        // A request that moves from one window to the next changes Σ(N − μ)² by 2(d₂ − d₁) + 2,
        // and the windows' distances d from their mean are of the order of √(I·mean).
        let spread = (2.0 * before * total / as_f64(complete as u64)).sqrt();
        let change = (2.0 + 2.0 * spread) / (total * before);
        let produced = cut(&self.produced.counts);
        let after = index_of_dispersion(&produced, seconds_of(factor)).unwrap_or(0.0);
        let what = "one request in the next window";
        let quantum = Quantum { change, limit: band[1] - 1.0, what };
        supported(after.max(EVEN) / before, 1.0, quantum)
    }

    /// Total variation distance of the request mixes.
    pub fn mix(self) -> Evaluated {
        total_variation(&self.planned.mix, &self.produced.mix).ok_or_else(nothing)
    }

    /// Jensen–Shannon divergence of the request mixes, in bits.
    pub fn divergence(self) -> Evaluated {
        jensen_shannon(&self.planned.mix, &self.produced.mix).ok_or_else(nothing)
    }

    /// Ratio of a quantile of request sizes; 1 asks for the largest size. Where requests are
    /// missing, the quantile must not depend on which ones.
    pub fn size(self, q: f64, band: [f64; 2]) -> Evaluated {
        let (planned, produced) = (&self.planned.request_bytes, &self.produced.request_bytes);
        if planned.is_empty() || produced.is_empty() {
            return Err(nothing());
        }
        if q >= 1.0 {
            return Ok(as_f64(produced.max()) / as_f64(planned.max().max(1)));
        }
        let missing = self.planned.total.saturating_sub(self.produced.total);
        if missing > 0 {
            let share = as_f64(missing + 1) / as_f64(self.planned.total);
            let low = planned.value_at_quantile((q - share).max(0.0));
            let high = planned.value_at_quantile((q + share).min(1.0));
            let change = as_f64(high) / as_f64(low.max(1)) - 1.0;
            if change > band[1] - 1.0 {
                return Err("too few requests: it depends on which of them are missing".into());
            }
        }
        let before = as_f64(planned.value_at_quantile(q).max(1));
        Ok(as_f64(produced.value_at_quantile(q)) / before)
    }

    /// WAPE of the connections opened a second, where one in the wrong second is within `limit`.
    pub fn opens_wape(self, limit: f64) -> Evaluated {
        let planned: Vec<u64> = coarsen(&self.planned.opens, 1);
        enough_windows(coarsen(&self.planned.counts, PER_SECOND).len(), "1 s")?;
        let total: u64 = planned.iter().sum();
        let value = wape(&planned, &coarsen(&self.produced.opens, 1)).ok_or_else(nothing)?;
        let change = 2.0 / as_f64(total);
        supported(value, 0.0, Quantum { change, limit, what: "one connection in the next second" })
    }
}

/// A quantile of lateness in milliseconds. Where fewer requests than `1/(1 − q)` were sent, it
/// leaves out the largest, since a single late request must not decide: the largest has a limit of
/// its own.
pub fn lateness_ms(lateness: &Histogram<u64>, q: f64) -> Evaluated {
    if lateness.is_empty() {
        return Err("no request was dispatched".into());
    }
    let supported = 1.0 - 1.5 / as_f64(lateness.len());
    let q = if q >= 1.0 { 1.0 } else { q.min(supported).max(0.0) };
    Ok(as_f64(lateness.value_at_quantile(q)) / 1e6)
}

/// The name of a scale of `factor` × 10 ms.
pub fn scale_name(factor: usize) -> String {
    scale_of_ms(factor as u64 * 10)
}

/// The name of a scale of so many milliseconds.
pub fn scale_of_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{} s", ms / 1_000),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..86_400_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

fn seconds_of(factor: usize) -> f64 {
    as_f64(factor as u64) * as_f64(WINDOW_NS) / 1e9
}

fn nothing() -> String {
    "there is nothing to compare".into()
}

fn enough_windows(windows: usize, scale: &str) -> Result<(), String> {
    if windows >= MIN_WINDOWS {
        return Ok(());
    }
    let plural = if windows == 1 { "" } else { "s" };
    Err(format!("{windows} window{plural} of {scale}; {MIN_WINDOWS} are needed"))
}

/// What one event changes of a metric, and what its tolerance allows.
#[derive(Clone, Copy, Debug)]
struct Quantum {
    change: f64,
    limit: f64,
    what: &'static str,
}

/// The value, unless one event alone would break the tolerance and no more than [`ACCIDENTS`] of
/// them explain how far the value is from `ideal`.
fn supported(value: f64, ideal: f64, quantum: Quantum) -> Evaluated {
    let Quantum { change, limit, what } = quantum;
    if change <= limit || (value - ideal).abs() > change * ACCIDENTS {
        return Ok(value);
    }
    if !change.is_finite() {
        return Err(nothing());
    }
    let percent = as_index((change * 100.0).ceil());
    Err(format!("too few events: {what} alone would change it by {percent} %"))
}
