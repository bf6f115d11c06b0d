//! Options of the act `capacity`.

use std::time::Duration;

use serde::Deserialize;

use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError};
use crate::units::{format_duration, parse_share};

/// How the highest load is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityOptions {
    /// The multiple of the scenario's load that must be held.
    pub at_least: f64,
    /// Never ask for more than this multiple.
    pub max: f64,
    /// The search ends when what failed is within this share of what held.
    pub resolution: f64,
    /// What of a trial counts.
    pub trial: Duration,
    /// What of a trial does not: the load rises to its multiple, and the stack warms up.
    pub run_in: Duration,
    /// Trials of a load, of which the majority decides; odd.
    pub trials: u32,
    /// No trial begins that would end later than this.
    pub within: Duration,
}

/// Lowest multiple that is asked for: below a tenth there is nothing left to plan capacity with.
pub const LOWEST: f64 = 0.1;

/// Highest multiple that may be asked for; a plan makes no more clones of a session.
pub const HIGHEST: f64 = 100.0;

impl Default for CapacityOptions {
    /// Ends within six minutes: a trial takes 14 s, and a limit is found in 10 to 20 of them.
    fn default() -> Self {
        Self {
            at_least: 1.0,
            max: 32.0,
            resolution: 0.025,
            trial: Duration::from_secs(10),
            run_in: Duration::from_secs(4),
            trials: 3,
            within: Duration::from_secs(350),
        }
    }
}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapacityKeys {
    at_least: Option<Text>,
    max: Option<Text>,
    resolution: Option<Text>,
    trial: Option<Text>,
    run_in: Option<Text>,
    trials: Option<Text>,
    within: Option<Text>,
}

pub(crate) fn read(
    place: Place<'_>,
    keys: &CapacityKeys,
) -> Result<CapacityOptions, ScenarioError> {
    let default = CapacityOptions::default();
    let multiple = |text: &str| {
        fields::factor(text.strip_suffix('x').unwrap_or(text).trim(), LOWEST..=HIGHEST)
    };
    let max = place.or(keys.max.as_ref(), default.max, multiple)?;
    let at_least = place.or(keys.at_least.as_ref(), default.at_least, |text| {
        let at_least = multiple(text)?;
        if at_least <= max {
            return Ok(at_least);
        }
        let message = format!("`at_least` is above `max`, which is {max}");
        Err(Mistake::new(message, "raise `max`, or ask for less"))
    })?;
    let read = CapacityOptions {
        at_least: at_least.min(max),
        max,
        resolution: place.or(keys.resolution.as_ref(), default.resolution, resolution)?,
        trial: place.or(keys.trial.as_ref(), default.trial, |text| whole_seconds(text, 2, 600))?,
        run_in: place
            .or(keys.run_in.as_ref(), default.run_in, |text| whole_seconds(text, 1, 600))?,
        trials: place.or(keys.trials.as_ref(), default.trials, trials)?,
        within: place.or(keys.within.as_ref(), default.within, |text| {
            fields::duration(text, Duration::from_secs(10)..=Duration::from_hours(6))
        })?,
    };
    // At the option that is there, since all of them have a value without.
    let written = keys.within.as_ref().or(keys.trial.as_ref()).or(keys.run_in.as_ref());
    if let Some(written) = written.filter(|_| read.run_in + read.trial > read.within) {
        let [needed, within] = [read.run_in + read.trial, read.within].map(format_duration);
        let message = format!("a trial takes {needed}, and all of them have {within} (`within`)");
        let mistake = Mistake::new(message, "raise `within`, or shorten `trial` and `run_in`");
        return Err(place.mistake(written, mistake));
    }
    Ok(read)
}

fn resolution(text: &str) -> Result<f64, Mistake> {
    const HINT: &str = "write a share from 0.5% to 50%, such as 2.5%";
    let share = parse_share(text).map_err(|error| Mistake::new(error.problem, HINT))?;
    if (0.005..=0.5).contains(&share) {
        return Ok(share);
    }
    Err(Mistake::new("the resolution is out of range", HINT))
}

/// Latency is kept by the second.
fn whole_seconds(text: &str, from: u64, to: u64) -> Result<Duration, Mistake> {
    let time = fields::duration(text, Duration::from_secs(from)..=Duration::from_secs(to))?;
    if time.subsec_nanos() == 0 {
        return Ok(time);
    }
    Err(Mistake::new("this is not in whole seconds", "write such as `10s`"))
}

fn trials(text: &str) -> Result<u32, Mistake> {
    let trials = fields::whole32(text, 1..=9)?;
    if trials % 2 == 1 {
        return Ok(trials);
    }
    Err(Mistake::new("an even number of trials may end in a draw", "write 1, 3, 5, 7 or 9"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::scenario::parse::from_text;

    fn scenario(capacity: &str) -> Result<Scenario, String> {
        let text = format!(
            "# t\nrecording: a\ntarget: {{ url: stage }}\nacts:\n  - {capacity}\n\
             expect: [ errors < 1% ]\n"
        );
        from_text(&text, "t.yaml").map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_read() {
        let read = scenario(
            "capacity: { at_least: 1.5x, max: 12, resolution: 5%, trial: 6s, run_in: 3s, \
             trials: 5, within: 10m }",
        );
        let expected = CapacityOptions {
            at_least: 1.5,
            max: 12.0,
            resolution: 0.05,
            trial: Duration::from_secs(6),
            run_in: Duration::from_secs(3),
            trials: 5,
            within: Duration::from_mins(10),
        };
        assert_eq!(read.unwrap().acts.capacity, Some(expected));
        let plain = scenario("capacity").unwrap().acts.capacity;
        assert_eq!(plain, Some(CapacityOptions::default()));
        // What must be held cannot be more than what is asked for.
        let low = scenario("capacity: { max: 0.5 }").unwrap().acts.capacity.unwrap();
        assert!((low.at_least - 0.5).abs() < 1e-12);
    }

    #[test]
    fn mistakes_have_their_place_and_a_hint() {
        for (capacity, said) in [
            ("capacity: { maximum: 3 }", "maximum"),
            ("capacity: { max: 200 }", "out of range"),
            ("capacity: { max: 3, at_least: 4 }", "above `max`"),
            ("capacity: { resolution: 90% }", "2.5%"),
            ("capacity: { resolution: much }", "2.5%"),
            ("capacity: { trial: 2500ms }", "whole seconds"),
            ("capacity: { trial: 1s }", "out of range"),
            ("capacity: { trials: 4 }", "draw"),
            ("capacity: { within: 12s }", "a trial takes 14 s, and all of them have 12 s"),
            ("capacity: { trial: 6m }", "raise `within`"),
            ("capacity: { trial: 10m, run_in: 10m, within: 20m, trials: 2 }", "draw"),
            ("capacity: { trials: 0 }", "0 is out of range"),
            ("capacity: { trials: 11 }", "11 is out of range"),
            ("capacity: { within: 9s }", "9s is out of range"),
            ("capacity: { within: 7h }", "7h is out of range"),
            ("capacity: { max: 0.09 }", "0.09 is out of range"),
            ("capacity: { resolution: 0.4% }", "the resolution is out of range"),
            ("capacity: { trial: 601s }", "out of range"),
            ("capacity: { run_in: 0s }", "0s is out of range"),
            ("capacity: { run_in: 601s }", "out of range"),
            ("capacity: { run_in: 1500ms }", "whole seconds"),
        ] {
            let error = scenario(capacity).unwrap_err();
            assert!(error.contains(said) && error.contains("t.yaml:5"), "{capacity}: {error}");
        }
    }

    /// Without expectations nothing could be held.
    #[test]
    fn a_search_without_expectations_is_refused_with_its_place() {
        let text = "# t\nrecording: a\ntarget: { url: stage }\nacts: [ replay, capacity ]\n";
        let error = from_text(text, "t.yaml").unwrap_err().to_string();
        assert!(error.contains("t.yaml:4:17"), "{error}");
        assert!(error.contains("expect") && error.contains("latency p99 < 250ms"), "{error}");
        // Of the recorded load only: each multiple has another rate.
        let rate = format!("{text}expect: [ throughput > 400/s ]\n");
        assert!(from_text(&rate, "t.yaml").is_err());
        let of_trials = format!("{text}expect: [ latency p99 < 1s in act capacity ]\n");
        assert!(from_text(&of_trials, "t.yaml").is_ok());
    }
}
