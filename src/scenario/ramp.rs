//! Users who are let in little by little, by a file such as the act `cold` writes.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use crate::scenario::problem::{Mistake, crop};

/// From a moment on, a share of the users is let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Ramp {
    /// Moments since the start of the replay, in their order, and shares from 0 to 1.
    steps: Vec<(Duration, f64)>,
}

/// Largest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Longest ramp.
const LONGEST: f64 = 7.0 * 86_400.0;

const ADVICE: &str = "write `at_seconds,share_of_users` in the first line, and a moment and a \
                      share from 0 to 1 in each further one, as the act `cold` does in `ramp.csv`";

impl Ramp {
    /// Reads a file.
    pub(crate) fn read(path: &str) -> Result<Self, Mistake> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(|error| {
                Mistake::new(
                    format!("cannot read the ramp {}: {error}", crop(path)),
                    "name the `ramp.csv` in the folder of a run with the act `cold`",
                )
            })?;
        if text.len() as u64 > MAX_FILE {
            return Err(Mistake::new(format!("{} is larger than 1 MiB", crop(path)), ADVICE));
        }
        Self::parse(&text)
            .map_err(|problem| Mistake::new(format!("{}: {problem}", crop(path)), ADVICE))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(text.lines());
        let head = lines.next().map(|(_, line)| line.trim()).unwrap_or_default();
        if !(head == "at_seconds,share_of_users" || head.starts_with("at_seconds,share_of_users,"))
        {
            return Err(format!("line 1 is `{}`", crop(head)));
        }
        let mut steps: Vec<(Duration, f64)> = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let mut fields = line.split(',').map(|field| field.trim().parse::<f64>().ok());
            let at = fields.next().flatten().filter(|at| (0.0..=LONGEST).contains(at));
            let share = fields.next().flatten().filter(|share| (0.0..=1.0).contains(share));
            let step = at.map(Duration::from_secs_f64).zip(share);
            let step = step.ok_or_else(|| format!("line {number} is `{}`", crop(line)))?;
            if steps.last().is_some_and(|(before, _)| *before > step.0) {
                return Err(format!("line {number} is earlier than the one before it"));
            }
            steps.push(step);
        }
        if steps.is_empty() {
            return Err("it has no step".to_owned());
        }
        Ok(Self { steps })
    }

    /// The share that is let in at a moment; nobody before the first step.
    pub(crate) fn share(&self, at: Duration) -> f64 {
        let passed = self.steps.partition_point(|(from, _)| *from <= at);
        passed.checked_sub(1).map_or(0.0, |last| self.steps[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_until_the_next_step_and_the_last_one_for_good() {
        let text = "at_seconds,share_of_users,reads_per_second\n1.0,0.25,5\n\n2.5,1,20\n";
        let ramp = Ramp::parse(text).unwrap();
        let shares = [0, 999, 1_000, 2_499, 2_500, 9_000]
            .map(|ms| ramp.share(Duration::from_millis(ms)).to_string());
        assert_eq!(shares, ["0", "0", "0.25", "0.25", "1", "1"]);
    }

    #[test]
    fn what_is_no_ramp_is_told_with_its_line() {
        let head = "at_seconds,share_of_users\n";
        for (text, told) in [
            (String::new(), "line 1 is ``"),
            ("seconds,users\n0,1".to_owned(), "line 1 is `seconds,users`"),
            (head.to_owned(), "it has no step"),
            (format!("{head}0,1.5"), "line 2 is `0,1.5`"),
            (format!("{head}0,0.5\nNaN,1"), "line 3 is `NaN,1`"),
            (format!("{head}-1,1"), "line 2 is `-1,1`"),
            (format!("{head}1e300,1"), "line 2"),
            (format!("{head}0"), "line 2 is `0`"),
            (format!("{head}5,0.5\n4,1"), "line 3 is earlier"),
        ] {
            let said = Ramp::parse(&text).unwrap_err();
            assert!(said.contains(told), "{text}: {said}");
        }
        assert!(Ramp::read("/no/such/ramp.csv").is_err());
    }
}
