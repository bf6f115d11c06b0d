//! When sessions begin: a Poisson process whose rate changes, by inversion.

use rand::{Rng, RngExt};
use rand_distr::Exp1;

use crate::model::draw::nanos;
use crate::model::{Bursts, Level, Model};

/// Beginnings, in the order of time.
#[derive(Debug)]
pub struct Begin {
    rate: Vec<Level>,
    bursts: Option<Bursts>,
    /// How long the rate lasts before it begins anew.
    lasts: f64,
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
        let mut begin = Self {
            rate: model.rate.clone(),
            bursts: model.bursts,
            lasts: model.duration,
            until,
            now: 0.0,
            anew: 0.0,
            level: 0,
            is_busy: false,
            switches: f64::INFINITY,
        };
        if let Some(bursts) = model.bursts {
            let busy = bursts.busy_lasts / (bursts.busy_lasts + bursts.calm_lasts);
            begin.is_busy = random.random::<f64>() < busy;
            begin.switch(bursts, random);
        }
        begin
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
            let level = self.rate.get(self.level)?;
            let end_of_level = self.anew
                + self
                    .rate
                    .get(self.level + 1)
                    .map_or(self.lasts, |next| next.from.min(self.lasts));
            let end = end_of_level.min(self.switches);
            let rate = level.sessions * self.factor();
            let reach = rate * (end - self.now);
            if left < reach {
                self.now += left / rate;
                return (self.now < self.until).then(|| nanos(self.now));
            }
            left -= reach.max(0.0);
            self.now = end.max(self.now);
            if self.switches <= end_of_level {
                let bursts = self.bursts?;
                self.switch(bursts, random);
            } else {
                self.level += 1;
                if self.level >= self.rate.len() || self.now >= self.anew + self.lasts {
                    self.level = 0;
                    self.anew += self.lasts;
                }
            }
        }
        None
    }

    fn factor(&self) -> f64 {
        self.bursts.map_or(1.0, |bursts| if self.is_busy { bursts.busy } else { bursts.calm })
    }
}
