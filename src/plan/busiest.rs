//! The busiest stretch of a scenario's window, for trials that are far shorter than the window.

use std::time::Duration;

use crate::plan::PlanError;
use crate::plan::redis;
use crate::plan::select::{busiest, skip_reason, span};
use crate::plan::source::{Rows, Source, with_reader};
use crate::recording::file::reader::RecordingReader;
use crate::recording::file::rows::Outline;
use crate::scenario::Scenario;

/// A part of a recording: moments since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// What comes before, from here ...
    pub from: Duration,
    /// ... until here, where what counts begins.
    pub counted: Duration,
    /// The end, not included.
    pub to: Duration,
}

/// Where the scenario's window is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooShort {
    /// What it holds, in the time of a replay.
    pub holds: Duration,
}

/// The stretch of `length` in the scenario's window with the most requests that can be replayed,
/// and `run_in` before it; both in the time of a replay. Where the busiest one begins too early to
/// have anything before it, it begins as early as it may.
pub fn busiest_stretch(
    reader: &RecordingReader,
    scenario: &Scenario,
    run_in: Duration,
    length: Duration,
) -> Result<Result<Stretch, TooShort>, PlanError> {
    let duration = Duration::from_nanos(reader.header().duration_ns);
    with_reader(reader, |source| find(&source, duration, scenario, [run_in, length]))
}

fn find(
    source: &Source<'_>,
    duration: Duration,
    scenario: &Scenario,
    times: [Duration; 2],
) -> Result<Result<Stretch, TooShort>, PlanError> {
    let window = span(source, scenario.window)?;
    let (start, end) = window.unwrap_or((Duration::ZERO, Duration::MAX));
    // The last request belongs to it.
    let end = end.min(duration.saturating_add(Duration::from_nanos(1)));
    let [run_in, length] = times.map(|time| time.mul_f64(scenario.speed));
    let holds = end.saturating_sub(start);
    if holds < run_in.saturating_add(length) {
        return Ok(Err(TooShort { holds: holds.div_f64(scenario.speed) }));
    }
    let is_redis = scenario.target.redis().is_some();
    let methods = scenario.methods.clone();
    let is_sent = move |outline: &Outline| {
        let Outline { protocol, flags, ref method, .. } = *outline;
        let skip = if is_redis {
            redis::skip_reason(protocol, flags)
        } else {
            skip_reason(protocol, flags, method, &methods)
        };
        skip.is_none()
    };
    let rows = (source.outlines)(window);
    let mut rows: Rows<Outline> =
        Box::new(rows.filter(move |row| row.as_ref().map_or(true, &is_sent)));
    let (most, _) = busiest(&mut rows, length)?;
    let counted = most.clamp(start + run_in, end.saturating_sub(length));
    Ok(Ok(Stretch { from: counted.saturating_sub(run_in), counted, to: counted + length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{exchange, scenario, with_source};
    use crate::recording::closings::Closings;
    use crate::scenario::Window;

    const S: Duration = Duration::from_secs(1);

    /// Ten requests a second for a minute, and thirty from second 40 to 50.
    fn minute() -> Vec<u64> {
        let even = (0..600).map(|at| at * 100);
        let more = (0..200).map(|at| 40_000 + at * 50);
        let mut all: Vec<u64> = even.chain(more).collect();
        all.sort_unstable();
        all
    }

    fn found(scenario: &Scenario, times: [u32; 2]) -> Result<Stretch, TooShort> {
        let exchanges: Vec<_> = minute().into_iter().map(|at| exchange(at, 1, 1)).collect();
        let times = times.map(|time| time * S);
        let find = |source: Source<'_>| find(&source, 60 * S, scenario, times);
        with_source(Closings::default(), &exchanges, find).unwrap()
    }

    #[test]
    fn the_busiest_stretch_is_found_with_what_comes_before_it() {
        let near = |found: Duration, second: u32| {
            let off = found.abs_diff(second * S);
            assert!(off < S / 5, "{found:?}, not {second}");
        };
        let Stretch { from, counted, to } = found(&scenario(), [4, 10]).unwrap();
        near(from, 36);
        near(counted, 40);
        near(to, 50);
        // At twice the speed, twenty recorded seconds pass in ten.
        let fast = Scenario { speed: 2.0, ..scenario() };
        let Stretch { from, to, .. } = found(&fast, [4, 10]).unwrap();
        assert_eq!(to, from + 28 * S);
        // Within the window only, and never before its start.
        let early = Scenario { window: Window::Offset(Duration::ZERO, 20 * S), ..scenario() };
        let Stretch { from, to, .. } = found(&early, [4, 10]).unwrap();
        assert!(from <= 6 * S && to <= 20 * S, "{from:?} {to:?}");
        let late = Scenario { window: Window::Offset(42 * S, 60 * S), ..scenario() };
        let Stretch { from, counted, .. } = found(&late, [4, 10]).unwrap();
        assert_eq!((from, counted), (42 * S, 46 * S));
    }

    #[test]
    fn a_window_that_is_too_short_is_told_with_what_it_holds() {
        let short = Scenario { window: Window::Offset(S, 13 * S), ..scenario() };
        assert_eq!(found(&short, [4, 10]), Err(TooShort { holds: 12 * S }));
        let fast = Scenario { speed: 2.0, ..short };
        assert_eq!(found(&fast, [4, 10]), Err(TooShort { holds: 6 * S }));
        assert!(found(&scenario(), [50, 11]).is_err());
    }
}
