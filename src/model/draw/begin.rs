//! When sessions begin: a Poisson process whose rate changes, by inversion.

use rand::{Rng, RngExt};
use rand_distr::Exp1;

use crate::model::draw::nanos;
use crate::model::edit::Crowd;
use crate::model::file::read::MAX_RATE;
use crate::model::{Bursts, Level, Model};

/// Sessions in a time of calm and one of busyness, below which the rate counts as even; and in all
/// of the rate, below which it is passed at once as often as nothing begins in it. So however long
/// a recording is and however little begins, some thousand steps are a session.
const RARE: f64 = 1e-3;

/// Beginnings, in the order of time.
#[derive(Debug)]
pub struct Begin {
    rate: Vec<Level>,
    bursts: Option<Bursts>,
    /// Crowds come once, however often the rate begins anew.
    crowds: Vec<Crowd>,
    /// How long the rate lasts before it begins anew.
    lasts: f64,
    /// Sessions that are to be expected in that time without a crowd.
    expected: f64,
    until: f64,
    now: f64,
    /// When the rate began last.
    anew: f64,
    level: usize,
    is_busy: bool,
    switches: f64,
}

impl Begin {
    /// Those of a model, up to a moment in seconds.
    pub fn new(model: &Model, until: f64, random: &mut impl Rng) -> Self {
        let mut begin = Self::of(model.rate.clone(), model.bursts, model.duration, until);
        begin.crowds.clone_from(&model.edits.crowds);
        if let Some(bursts) = model.bursts {
            let busy = bursts.busy_lasts / (bursts.busy_lasts + bursts.calm_lasts);
            // The switch turns it round.
            begin.is_busy = random.random::<f64>() >= busy;
            begin.switch(bursts, random);
        }
        begin
    }

    /// The rate as it is in the middle: calm, and with no switch yet.
    fn of(rate: Vec<Level>, bursts: Option<Bursts>, lasts: f64, until: f64) -> Self {
        let ends = rate.iter().skip(1).map(|level| level.from).chain([lasts]);
        let sum: f64 = rate
            .iter()
            .zip(ends)
            .map(|(level, end)| level.sessions * (end.min(lasts) - level.from).max(0.0))
            .sum();
        Self {
            rate,
            bursts,
            crowds: Vec::new(),
            lasts,
            expected: sum * bursts.map_or(1.0, mean_factor),
            until,
            now: 0.0,
            anew: 0.0,
            level: 0,
            is_busy: false,
            switches: f64::INFINITY,
        }
    }

    fn switch(&mut self, bursts: Bursts, random: &mut impl Rng) {
        self.is_busy = !self.is_busy;
        let lasts = if self.is_busy { bursts.busy_lasts } else { bursts.calm_lasts };
        let exponential: f64 = random.sample(Exp1);
        self.switches = self.now + exponential * lasts;
    }

    /// The next beginning in nanoseconds.
    pub fn next(&mut self, random: &mut impl Rng) -> Option<u64> {
        // How much of the rate, summed up over time, lies before the next one.
        let mut left: f64 = random.sample(Exp1);
        while self.now < self.until {
            if self.level == 0 && self.now <= self.anew {
                left = self.pass(left)?;
            }
            let level = self.rate.get(self.level)?;
            let end_of_level = self.anew
                + self
                    .rate
                    .get(self.level + 1)
                    .map_or(self.lasts, |next| next.from.min(self.lasts));
            // Where sessions are much rarer than switches, these make no difference.
            let mean = self.bursts.map_or(1.0, mean_factor);
            let sessions = (level.sessions * self.crowd()).min(MAX_RATE);
            let is_even = self.expected * self.crowd() < RARE
                || self.bursts.is_none_or(|bursts| {
                    sessions * mean * (bursts.calm_lasts + bursts.busy_lasts) < RARE
                });
            let edge = self.edge();
            let end = end_of_level.min(edge);
            let end = if is_even { end } else { end.min(self.switches) };
            let rate = sessions * if is_even { mean } else { self.factor() };
            let reach = rate * (end - self.now);
            if left < reach {
                self.now += left / rate;
                return (self.now < self.until).then(|| nanos(self.now));
            }
            left -= reach.max(0.0);
            self.now = end.max(self.now);
            if self.switches <= end_of_level.min(edge) && !is_even {
                let bursts = self.bursts?;
                self.switch(bursts, random);
            } else if end_of_level <= edge {
                self.level += 1;
                if self.level >= self.rate.len() || self.now >= self.anew + self.lasts {
                    self.level = 0;
                    self.anew += self.lasts;
                }
            }
        }
        None
    }

    /// Passes the times of the rate in which nothing begins, where that is nearly all of them;
    /// what of the sum is left then. `None` where nothing begins any more.
    fn pass(&mut self, left: f64) -> Option<f64> {
        let expected = self.expected * self.crowd();
        if expected >= RARE {
            return Some(left);
        }
        let (edge, wanted) = (self.edge(), (left / expected).floor());
        let times = ((self.until - self.now) / self.lasts).ceil();
        if edge >= self.until && (wanted.is_nan() || wanted >= times) {
            self.now = self.until;
            return None;
        }
        // Not beyond a moment at which a crowd comes or goes. A `NaN` is never the smaller one.
        let passed = ((edge.min(self.until) - self.now) / self.lasts).floor().min(wanted);
        if passed < 1.0 {
            return Some(left);
        }
        self.anew += passed * self.lasts;
        self.now = self.anew;
        Some(left - passed * expected)
    }

    /// Times as many sessions that crowds make now.
    fn crowd(&self) -> f64 {
        let here = |crowd: &&Crowd| (crowd.at..crowd.at + crowd.lasts).contains(&self.now);
        self.crowds.iter().filter(here).map(|crowd| crowd.times).product()
    }

    /// When the next crowd comes or goes.
    fn edge(&self) -> f64 {
        let edges = self.crowds.iter().flat_map(|crowd| [crowd.at, crowd.at + crowd.lasts]);
        edges.filter(|edge| *edge > self.now).fold(f64::INFINITY, f64::min)
    }

    fn factor(&self) -> f64 {
        self.bursts.map_or(1.0, |bursts| if self.is_busy { bursts.busy } else { bursts.calm })
    }
}

/// The multiple of the rate over a long time.
fn mean_factor(bursts: Bursts) -> f64 {
    let Bursts { calm, busy, calm_lasts, busy_lasts } = bursts;
    (calm * calm_lasts + busy * busy_lasts) / (calm_lasts + busy_lasts)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    fn begun(rate: Vec<Level>, bursts: Option<Bursts>, until: f64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut begin = Begin::of(rate, bursts, 100.0, until);
        if bursts.is_some() {
            begin.switches = 0.0;
        }
        let mut all = Vec::new();
        while let Some(ns) = begin.next(&mut random) {
            all.push(crate::stats::counts::as_f64(ns) / 1e9);
        }
        all
    }

    fn level(from: f64, sessions: f64) -> Level {
        Level { from, sessions, busiest: 0 }
    }

    #[test]
    fn sessions_begin_at_the_rate_of_their_moment_and_the_rate_begins_anew() {
        let all = begun(vec![level(0.0, 10.0), level(50.0, 0.0), level(60.0, 40.0)], None, 200.0);
        let within = |from: f64, to: f64| all.iter().filter(|at| (from..to).contains(*at)).count();
        for start in [0.0, 100.0] {
            assert!(within(start, start + 50.0).abs_diff(500) < 90, "{}", within(0.0, 50.0));
            assert_eq!(within(start + 50.0, start + 60.0), 0);
            assert!(within(start + 60.0, start + 100.0).abs_diff(1_600) < 160);
        }
        assert!(all.is_sorted());
    }

    #[test]
    fn a_rate_that_switches_keeps_its_mean() {
        let bursts = Bursts { calm: 0.5, busy: 2.5, calm_lasts: 0.3, busy_lasts: 0.1 };
        let all = begun(vec![level(0.0, 20.0)], Some(bursts), 1_000.0);
        assert!(all.len().abs_diff(20_000) < 1_200, "{}", all.len());
    }

    #[test]
    fn a_year_in_which_hardly_anything_begins_is_passed_at_once() {
        let bursts = Bursts { calm: 0.5, busy: 2.5, calm_lasts: 1e-3, busy_lasts: 1e-3 };
        let all = begun(vec![level(0.0, 1e-9)], Some(bursts), 366.0 * 86_400.0);
        assert!(all.len() < 5, "{}", all.len());
        // Many sessions a second, of which the switches leave none; and many stretches of nothing.
        let none = Bursts { calm: 0.0, busy: 0.0, ..bursts };
        assert!(begun(vec![level(0.0, 1e6)], Some(none), 366.0 * 86_400.0).is_empty());
        let many = (0..100_000_u32).map(|n| level(f64::from(n) * 1e-3, 1e-12)).collect();
        assert!(begun(many, None, 366.0 * 86_400.0).len() < 5);
    }

    #[test]
    fn what_seldom_begins_begins_as_often_as_the_rate_says() {
        // One in four thousand times of the rate, half of them in its second half.
        let rate = vec![level(0.0, 1.25e-6), level(50.0, 3.75e-6)];
        let all = begun(rate, None, 100.0 * 1e6);
        assert!(all.len().abs_diff(250) < 50, "{}", all.len());
        let late = all.iter().filter(|at| **at % 100.0 >= 50.0).count();
        assert!((late * 4).abs_diff(all.len() * 3) < all.len() / 2, "{late} of {}", all.len());
        assert!(all.is_sorted());
    }

    /// Of a model that is busy for a tenth of the time, a tenth of all draws begin busy.
    #[test]
    fn draws_begin_busy_as_often_as_the_rate_is() {
        let bursts = Bursts { calm: 0.5, busy: 5.5, calm_lasts: 9.0, busy_lasts: 1.0 };
        let model = Model {
            fitted: crate::model::Fitted::default(),
            duration: 100.0,
            rate: vec![level(0.0, 1.0)],
            bursts: Some(bursts),
            routes: Vec::new(),
            groups: Vec::new(),
            connections: crate::model::Connections {
                shared: false,
                when_busy: 1.0,
                when_idle: Vec::new(),
                held: None,
            },
            edits: crate::model::edit::Edits::default(),
        };
        let begins_busy = |seed: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(*seed);
            Begin::new(&model, 100.0, &mut random).is_busy
        };
        let busy = (0..400).filter(begins_busy).count();
        assert!((20..70).contains(&busy), "{busy} of 400");
    }

    /// A crowd comes at its moment, once, whole, however long the model is.
    #[test]
    fn a_crowd_comes_once_and_at_its_own_time() {
        let with = |rate: Vec<Level>, crowds: &[Crowd], until: f64| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let mut begin = Begin::of(rate, None, 100.0, until);
            begin.crowds = crowds.to_vec();
            let mut all = Vec::new();
            while let Some(ns) = begin.next(&mut random) {
                all.push(crate::stats::counts::as_f64(ns) / 1e9);
            }
            all
        };
        let rate = || vec![level(0.0, 10.0), level(60.0, 20.0)];
        let crowd = |at, lasts, times| Crowd { at, lasts, times };
        // Within, over the end of the model, and in the second time of it.
        let all = with(rate(), &[crowd(40.0, 10.0, 30.0), crowd(290.0, 20.0, 10.0)], 400.0);
        let within = |from: f64, to: f64| all.iter().filter(|at| (from..to).contains(*at)).count();
        for (from, to, wanted) in [
            (30.0, 40.0, 100),
            (40.0, 50.0, 3_000),
            (140.0, 150.0, 100),
            (280.0, 290.0, 200),
            (290.0, 300.0, 2_000),
            (300.0, 310.0, 1_000),
            (310.0, 320.0, 100),
        ] {
            let found = within(from, to);
            assert!(found.abs_diff(wanted) * 3 < wanted, "{found} for {wanted} from {from}");
        }
        // One in a year of hardly anything, and none where none comes.
        let year = 366.0 * 86_400.0;
        let quiet = || vec![level(0.0, 1e-9)];
        let crowded = with(quiet(), &[crowd(1e7, 10.0, 1e10)], year);
        assert!(crowded.len().abs_diff(100) < 40, "{}", crowded.len());
        assert!(crowded.iter().filter(|at| !(1e7..=1e7 + 10.0).contains(*at)).count() < 5);
        assert!(with(quiet(), &[crowd(0.0, year, 0.0)], year).is_empty());
    }
}
