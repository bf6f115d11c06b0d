//! Loads that come to the same plan. Sessions are cloned whole, so that where few of them carry the
//! load, many multiples are one: what a trial says of one of them, it says of all.

use crate::act::capacity::search::{Step, next, silent};
use crate::act::capacity::seen::{Ended, Trial, is_same};
use crate::scenario::acts::capacity::CapacityOptions;

/// The plans of loads so far.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// Loads that were tried, with how many requests each comes to.
    plans: Vec<(f64, f64)>,
    /// Loads that need not be, each with the one that stands for it.
    instead: Vec<(f64, f64)>,
}

/// What to do next. `P` is a plan, or why there is none.
#[derive(Debug, PartialEq)]
pub(super) enum Next<P> {
    /// Try this load, by this plan where it was planned already.
    Try(f64, Option<P>),
    /// The search has ended.
    Done(Ended),
}

/// Plans whose requests differ by less than this share of the resolution are one.
const SHARE: f64 = 1.0 / 3.0;

impl Alike {
    /// What to try next. `plan` makes the plan of a load, of which `requests` tells how many there
    /// are; that of a load that is new is handed on, so that there is never more than one, and each
    /// is made once. Where there is none, the load is tried, which then tells why.
    pub(super) fn next<P, E>(
        &mut self,
        trials: &[Trial],
        options: &CapacityOptions,
        mut plan: impl FnMut(f64) -> Result<P, E>,
        requests: impl Fn(&P) -> f64,
    ) -> Next<Result<P, E>> {
        loop {
            let gone = silent(trials, options.trials);
            let step = gone.unwrap_or_else(|| next(&self.with(trials), options));
            let load = match step {
                Step::Done(ended) => return Next::Done(ended),
                Step::Try(load) => self.standing_for(load),
            };
            if self.plans.iter().any(|(known, _)| is_same(*known, load)) {
                return Next::Try(load, None);
            }
            let planned = match plan(load) {
                Ok(planned) => planned,
                Err(error) => return Next::Try(load, Some(Err(error))),
            };
            let requests = requests(&planned);
            let near = SHARE * options.resolution * requests;
            let is_tried = |load: f64| trials.iter().any(|trial| trial.is_of(load));
            let mut tried = self.plans.iter().filter(|(load, _)| is_tried(*load));
            let Some((known, _)) = tried.find(|(_, known)| (known - requests).abs() <= near) else {
                self.plans.push((load, requests));
                return Next::Try(load, Some(Ok(planned)));
            };
            self.instead.push((load, *known));
        }
    }

    fn standing_for(&self, load: f64) -> f64 {
        let found = self.instead.iter().find(|(of, _)| is_same(*of, load));
        found.map_or(load, |(_, instead)| *instead)
    }

    /// The trials, and those of the loads that others stand for.
    fn with(&self, trials: &[Trial]) -> Vec<Trial> {
        let of = |(load, instead): &(f64, f64)| {
            let (load, instead) = (*load, *instead);
            let alike = trials.iter().filter(move |trial| trial.is_of(instead));
            alike.map(move |trial| Trial { load, ..trial.clone() })
        };
        trials.iter().cloned().chain(self.instead.iter().flat_map(of)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::capacity::search::{bracket, levels};
    use crate::act::capacity::seen::Outcome;

    /// The trials of a search for a limit, where a load comes to so many requests.
    fn searched(limit: f64, plan: impl Fn(f64) -> f64) -> (Vec<Trial>, Ended) {
        let options = CapacityOptions::default();
        let (mut alike, mut trials) = (Alike::default(), Vec::<Trial>::new());
        let mut planned = Vec::new();
        loop {
            let make = |load| {
                planned.push(load);
                Ok::<f64, ()>(plan(load))
            };
            match alike.next(&trials, &options, make, |requests| *requests) {
                Next::Done(ended) => {
                    let mut once = planned.clone();
                    once.sort_by(f64::total_cmp);
                    once.dedup();
                    assert_eq!(once.len(), planned.len(), "a load is planned once: {planned:?}");
                    return (trials, ended);
                }
                Next::Try(load, handed) => {
                    let is_new = !trials.iter().any(|trial| trial.is_of(load));
                    assert_eq!(handed, is_new.then(|| Ok(plan(load))), "its plan is handed on");
                    let is_held = plan(load) <= limit;
                    let outcome = if is_held { Outcome::Held } else { Outcome::Failed };
                    trials.push(Trial { load, outcome, ..Trial::default() });
                }
            }
        }
    }

    fn found(trials: &[Trial]) -> [f64; 2] {
        let found = bracket(&levels(trials), 3);
        [found.held, found.failed].map(|level| level.unwrap().load)
    }

    #[test]
    fn loads_with_the_same_plan_are_tried_once() {
        // One heavy session: it is cloned, or it is not.
        let (trials, ended) = searched(150.0, |load| 100.0 * load.floor());
        assert_eq!((found(&trials), ended), ([1.0, 2.0], Ended::Found));
        let loads: Vec<f64> = trials.iter().map(|trial| trial.load).collect();
        assert_eq!(loads, [1.0, 2.0, 2.0, 1.0], "by the majority, and nothing in between");
        // Steps of a third: those between are found.
        let (trials, ended) = searched(150.0, |load| (load * 3.0).floor() * 100.0 / 3.0);
        let [held, failed] = found(&trials);
        assert_eq!(ended, Ended::Found);
        assert!((4.0 / 3.0..1.7).contains(&held) && (1.6..=2.0).contains(&failed), "{trials:?}");
        assert!(trials.len() <= 8, "{}", trials.len());
    }

    /// The twin of many sessions: each load is a plan of its own.
    #[test]
    fn loads_with_plans_of_their_own_are_all_tried() {
        let (trials, ended) = searched(237.0, |load| 100.0 * load);
        let [held, failed] = found(&trials);
        assert_eq!(ended, Ended::Found);
        assert!((2.31..=2.37).contains(&held) && failed > 2.37 && failed <= held * 1.025);
        // A plan that cannot be told is tried, which says why.
        let options = CapacityOptions::default();
        let next = Alike::default().next(&[], &options, |_| Err::<(), _>("why"), |()| 1.0);
        assert_eq!(next, Next::Try(1.0, Some(Err("why"))));
    }
}
