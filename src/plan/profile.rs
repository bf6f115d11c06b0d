//! The rate of a generated load over time, in closed form: the moment of each request follows from
//! its position alone, so that no error adds up however long the load is.
//!
//! All of it is whole numbers. With `L` the common denominator of all rates, amounts of requests
//! are counted in units of `1 / (2·L·10⁹)`: in those, what a stage sends is the sum of its two
//! rates times its nanoseconds, exactly.

use std::time::Duration;

use crate::scenario::load::Stage;
use crate::units::rate::{PerSecond, gcd};

/// Stages on end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    segments: Vec<Segment>,
    /// Units of one request.
    unit: u128,
    /// Units of all requests.
    total: u128,
    /// Highest rate, rounded up.
    peak: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    start_ns: u64,
    length_ns: u64,
    /// `L` times the rates at begin and end.
    from: u128,
    to: u128,
    /// Units sent before it.
    before: u128,
}

/// The stages are too long, or their rates have too many digits, to be computed exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "these rates and durations are too large, or have too many digits, to be planned exactly; \
     use shorter stages and rounder rates"
)]
pub struct TooFine;

/// Largest common denominator of the rates: a quarter of a billion, so that a unit of a request
/// has 60 bits.
const MAX_DENOMINATOR: u128 = 1 << 28;

impl Profile {
    /// The profile of some stages.
    pub fn new(stages: &[Stage]) -> Result<Self, TooFine> {
        let rates = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
        let denominator = rates().try_fold(1_u128, |common, rate| {
            let next = lcm(common, u128::from(rate.seconds.max(1)));
            (next <= MAX_DENOMINATOR).then_some(next).ok_or(TooFine)
        })?;
        let scaled = |rate: PerSecond| {
            u128::from(rate.things) * (denominator / u128::from(rate.seconds.max(1)))
        };
        let (mut segments, mut start, mut before) = (Vec::new(), Duration::ZERO, 0_u128);
        for stage in stages {
            let length_ns = whole_ns(stage.length)?;
            let (from, to) = (scaled(stage.from), scaled(stage.to));
            let segment = Segment { start_ns: whole_ns(start)?, length_ns, from, to, before };
            segment.check()?;
            before = before.checked_add(segment.units()).ok_or(TooFine)?;
            start = start.checked_add(stage.length).ok_or(TooFine)?;
            segments.push(segment);
        }
        whole_ns(start)?;
        let peak = rates().map(|rate| rate.things.div_ceil(rate.seconds.max(1))).max();
        Ok(Self { segments, unit: 2 * denominator * NS, total: before, peak: peak.unwrap_or(0) })
    }

    /// Requests in all of it: those at whole positions.
    pub fn requests(&self) -> u64 {
        u64::try_from(self.total.div_ceil(self.unit)).unwrap_or(u64::MAX)
    }

    /// The highest rate in it, in requests a second, rounded up.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The moment of a request by its position, from 0, to the nearest nanosecond; `None` behind
    /// the end.
    pub fn moment(&self, position: u64) -> Option<Duration> {
        self.moment_of_units(u128::from(position).checked_mul(self.unit)?)
    }

    /// The same for a position between two requests, in 2⁻⁶⁴ of one.
    pub(crate) fn moment_between(&self, position: u128) -> Option<Duration> {
        let (whole, part) = (position >> 64, position & u128::from(u64::MAX));
        // A unit has at most 60 bits, see MAX_DENOMINATOR.
        let units = whole.checked_mul(self.unit)?.checked_add((part * self.unit) >> 64)?;
        self.moment_of_units(units)
    }

    /// Where nothing is sent for a while, what comes next is due at the end of it.
    fn moment_of_units(&self, units: u128) -> Option<Duration> {
        if units >= self.total {
            return None;
        }
        let passed = self.segments.partition_point(|segment| segment.before <= units);
        let segment = self.segments.get(passed.checked_sub(1)?)?;
        let within = segment.moment(units - segment.before);
        Some(Duration::from_nanos(segment.start_ns.saturating_add(within)))
    }
}

const NS: u128 = 1_000_000_000;

impl Segment {
    /// Refuses what [`Segment::is_reached`] could not multiply.
    fn check(&self) -> Result<(), TooFine> {
        let length = u128::from(self.length_ns);
        let most = self.from.max(self.to).checked_mul(length).and_then(|all| all.checked_mul(16));
        let most = most.and_then(|all| all.checked_mul(length));
        most.filter(|most| i128::try_from(*most).is_ok()).map(drop).ok_or(TooFine)
    }

    fn units(&self) -> u128 {
        (self.from + self.to) * u128::from(self.length_ns)
    }

    /// The moment, in nanoseconds since its start, at which so many units are sent.
    fn moment(&self, units: u128) -> u64 {
        if self.from == self.to {
            let nearest = (units + self.from) / (2 * self.from).max(1);
            return u64::try_from(nearest).unwrap_or(self.length_ns).min(self.length_ns);
        }
        // The answer is the largest nanosecond that is reached: it is looked for between two
        // others, of which the first is reached and the second is not.
        let [mut low, mut high] = self.guess(units).unwrap_or([0, self.length_ns + 1]);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.is_reached(middle, units) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Whether the moment of so many units is at most half a nanosecond before `ns`. With `a` and
    /// `b` the rates, `d` the length and `s = 2·ns − 1`: `4·a·d·s + (b − a)·s² ≤ 4·d·units`.
    fn is_reached(&self, ns: u64, units: u128) -> bool {
        if ns == 0 {
            return true;
        }
        let [from, to] = [self.from, self.to].map(|rate| i128::try_from(rate).unwrap_or(i128::MAX));
        let (twice, length) = (2 * i128::from(ns) - 1, i128::from(self.length_ns));
        let units = i128::try_from(units).unwrap_or(i128::MAX);
        4 * from * length * twice + (to - from) * twice * twice <= 4 * length * units
    }

    /// Two moments near the answer, by the formula in floating point; `None` where they are not on
    /// either side of it.
    #[expect(clippy::cast_precision_loss, reason = "a guess")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn guess(&self, units: u128) -> Option<[u64; 2]> {
        let (from, to, length) = (self.from as f64, self.to as f64, self.length_ns as f64);
        let root = (from * from + (to - from) * units as f64 / length).max(0.0).sqrt();
        let near = (units as f64 / (from + root)) as u64;
        let margin = 8 + near / (1 << 40);
        let [low, high] = [near.saturating_sub(margin), near.saturating_add(margin)];
        let high = high.min(self.length_ns + 1);
        let encloses = low < high && self.is_reached(low, units) && !self.is_reached(high, units);
        encloses.then_some([low, high])
    }
}

fn whole_ns(length: Duration) -> Result<u64, TooFine> {
    u64::try_from(length.as_nanos()).ok().filter(|ns| *ns < u64::MAX / 4).ok_or(TooFine)
}

fn lcm(a: u128, b: u128) -> u128 {
    (a / gcd(a, b).max(1)).saturating_mul(b)
}

#[cfg(test)]
mod tests;
