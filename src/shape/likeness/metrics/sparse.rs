//! Rates of a load that is so sparse that windows of ten seconds hold nothing to compare: windows
//! of minutes, hours or a day, each as fine as chance allows.
//!
//! No limit is any wider than at a second. A scale is chosen at which two samples of one law are
//! less apart than what can be told from another load, and the verdict claims nothing below it.

use crate::shape::MetricOutcome;
use crate::shape::floor::{BURSTS_TAIL, EVENEST, FACTOR, LEAST_SESSIONS, TAIL};
use crate::shape::gate::{Gate, metric};
use crate::shape::judged::{Judged, Kind, STEPS, counts};
use crate::shape::likeness::Input;
use crate::shape::likeness::metrics::{
    at_most, band, band_of_estimates, ceiling, clients, supported, three_digits, with_floor,
};
use crate::shape::metrics::{EVEN, Evaluated, MIN_WINDOWS, scale_of_ms};
use crate::shape::profile::minutes::Minutes;
use crate::stats::counts::as_f64;
use crate::stats::dispersion::{of_few, successive_dispersion, successive_error};
use crate::stats::distances::wape;

/// Minutes in each scale, the finest first.
const SCALES: [usize; 6] = [1, 10, 60, 180, 360, 1_440];

/// Scales of which bursts are told: coarser ones are those of the curve.
const BURST_SCALES: usize = 3;

/// Fewest windows from which the error of a dispersion is known.
const LEAST_BURSTS: usize = 50;

/// A minute, in milliseconds.
const MINUTE_MS: u64 = 60_000;

/// The rate curve at each scale; the peak and the connections at the first one at which the curve
/// can be told; and the bursts. What is slow is seen by coarse scales best, where chance does
/// least.
pub(super) fn all(input: &Input) -> Vec<Judged> {
    let mut metrics = Vec::new();
    let whole = Scale::of(input, SCALES[0]).whole;
    if whole[0].min(whole[1]) < MIN_WINDOWS {
        // It is not sparse but short, as the finer scales say.
        return metrics;
    }
    let (mut dispersion, mut is_told) = (input.floors.common.max(EVENEST), false);
    for minutes in SCALES {
        let scale = Scale::of(input, minutes);
        // Dispersion grows with the windows, and of few of them it is known badly.
        let minutes = &input.reference.profile.minutes;
        dispersion = dispersion.max(minutes.dispersion(scale.minutes).unwrap_or(0.0));
        let curve = scale.curve(dispersion);
        let is_first = !is_told && curve.metric.outcome != MetricOutcome::NotEvaluable;
        metrics.push(curve);
        if is_first {
            is_told = true;
            metrics.extend([scale.peak(dispersion), scale.opens()]);
        }
    }
    metrics.extend(SCALES.iter().take(BURST_SCALES).map(|&it| Scale::of(input, it).bursts()));
    metrics
}

/// Takes back what is said of bursts in windows that mostly have no request: whether two of them
/// are in one window is chance, and windows of minutes, of the whole load, tell of its bursts.
pub(super) fn leave_to_wider_windows(judged: &mut Judged, input: &Input) {
    let Kind::Burst(ms) = judged.kind else { return };
    if input.reference.profile.fine_rate() * as_f64(ms) / 1e3 >= 1.0 || !input.allows_chance() {
        return;
    }
    let metric = &mut judged.metric;
    (metric.value, metric.ratio) = (None, None);
    metric.outcome = MetricOutcome::NotEvaluable;
    metric.note = String::from("most windows have no request: bursts are told in wider ones");
}

/// How many times its floor the curve of two samples of one law is apart at most. The floor is what
/// a mean of windows is expected to be, and a mean of many is near that: those of one window
/// scatter by 0.76 of their mean, and what is known of the dispersion by as much as of `3 / n`, of
/// which the floor has the root. Together that is `1.15 / √n`, three times of which chance hardly
/// reaches; of few windows, it is what is tolerated everywhere.
fn times_the_floor(windows: usize) -> f64 {
    (1.0 + 3.0 * 1.15 / as_f64(windows.max(1) as u64).sqrt()).min(FACTOR)
}

/// Both loads in windows of one length.
struct Scale<'a> {
    input: &'a Input<'a>,
    minutes: usize,
    /// The last windows need not be whole.
    counts: [Vec<u64>; 2],
    /// Windows that are whole.
    whole: [usize; 2],
}

impl<'a> Scale<'a> {
    fn of(input: &'a Input, minutes: usize) -> Self {
        let profiles = [input.reference.profile, input.other.profile];
        let counts = profiles.map(|profile| profile.minutes.counts(minutes));
        let whole = [0, 1].map(|side| {
            let seconds = profiles[side].length.as_secs();
            let whole = usize::try_from(seconds / 60).unwrap_or(usize::MAX) / minutes;
            whole.min(counts[side].len())
        });
        Self { input, minutes, counts, whole }
    }

    fn ms(&self) -> u64 {
        self.minutes as u64 * MINUTE_MS
    }

    fn named(&self, what: &str) -> String {
        format!("{what} {}", scale_of_ms(self.ms()))
    }

    /// The scale has enough windows and is not finer than the clocks, and chance is known.
    fn evaluable(&self, least: usize) -> Result<(), String> {
        let whole = self.whole[0].min(self.whole[1]);
        if whole < least {
            let scale = scale_of_ms(self.ms());
            return Err(format!("{whole} windows of {scale}; {least} are needed"));
        }
        let Input { reference, other, .. } = self.input;
        let step_ns = reference.clock_step_ns.max(other.clock_step_ns);
        if self.ms().saturating_mul(1_000_000) < step_ns.saturating_mul(STEPS) {
            return Err("a clock's steps are more than a tenth of it".to_owned());
        }
        let sessions = reference.profile.sessions;
        if self.input.allows_chance() && sessions.iter().any(|&half| half < LEAST_SESSIONS) {
            return Err("there are too few sessions to know what chance alone does".to_owned());
        }
        Ok(())
    }

    fn floor(&self, of: Option<f64>) -> f64 {
        of.filter(|floor| self.input.allows_chance() && floor.is_finite()).unwrap_or(0.0)
    }

    fn curve(&self, dispersion: f64) -> Judged {
        let [first, second] = &self.counts;
        let minutes = &self.input.reference.profile.minutes;
        let floor = self.floor(minutes.wape_floor(self.minutes, dispersion));
        let apart = || -> Evaluated {
            self.evaluable(MIN_WINDOWS)?;
            wape(first, second).ok_or_else(|| "there is nothing to compare".into())
        };
        let value = supported(apart(), floor, ceiling::WAPE);
        let chance = three_digits(floor * times_the_floor(self.whole[0].min(self.whole[1])));
        let gate = Gate::AtMost(self.input.tolerances.wape.max(chance));
        with_floor(counts(self.ms(), &self.named("WAPE"), "%", value, gate), floor)
    }

    fn peak(&self, dispersion: f64) -> Judged {
        let [before, after] =
            self.counts.each_ref().map(|counts| as_f64(counts.iter().copied().max().unwrap_or(0)));
        let floor = self.floor(Some((2.0 * dispersion / before.max(1.0)).sqrt() * TAIL));
        let ratio = if before > 0.0 { Ok(after / before) } else { Err("there is none".to_owned()) };
        let value = supported(ratio, floor, ceiling::RATIO);
        let gate = Gate::Band(band(self.input.tolerances.peak, floor));
        with_floor(counts(self.ms(), &self.named("peak ratio"), "", value, gate), floor)
    }

    fn opens(&self) -> Judged {
        let opens: [&Minutes; 2] =
            [self.input.reference, self.input.other].map(|side| &side.profile.opens_by_minute);
        let dispersion = opens[0].dispersion(self.minutes).unwrap_or(1.0);
        let dispersion = dispersion.max(opens[0].common_dispersion());
        let floor = self.floor(opens[0].wape_floor(self.minutes, dispersion));
        let apart = || -> Evaluated {
            clients::are_followed(self.input)?;
            let [first, second] = opens.map(|opens| opens.counts(self.minutes));
            wape(&first, &second).ok_or_else(|| "no connection was opened".into())
        };
        let value = supported(apart(), floor, ceiling::COARSE);
        let gate = at_most(self.input.tolerances.opens, floor);
        let name = self.named("connection opens WAPE");
        with_floor(counts(self.ms(), &name, "%", value, gate), floor)
    }

    /// Of neighbouring windows, so that a trend over many of them is no burst.
    fn bursts(&self) -> Judged {
        let [first, second] = [0, 1].map(|side| &self.counts[side][..self.whole[side]]);
        let [before, after] = [first, second].map(successive_dispersion);
        // That of the second one, which has the same law, is as much larger as it is shorter.
        let length = 1.0 + as_f64(first.len() as u64) / as_f64(second.len().max(1) as u64);
        let error = successive_error(first).zip(before);
        // Where that is small by luck, it is the error of counts that vary like normal ones.
        let least = (3.0 / as_f64(first.len().max(1) as u64)).sqrt();
        let error = error.map(|(error, before)| of_few((error / before).max(least)));
        let error = error.map(|error| error * length.sqrt() * BURSTS_TAIL);
        let floor = self.floor(error);
        let ratio = || -> Evaluated {
            self.evaluable(LEAST_BURSTS)?;
            let (Some(before), Some(after)) = (before, after) else {
                return Err("there is nothing to compare".into());
            };
            Ok(after.max(EVEN) / before.max(EVEN))
        };
        let value = supported(ratio(), floor, ceiling::DISPERSION);
        let gate = Gate::Band(band_of_estimates(self.input.tolerances.dispersion, floor));
        let metric = metric(&self.named("IDC ratio"), "", value, gate);
        with_floor(Judged { kind: Kind::Burst(self.ms()), metric }, floor)
    }
}
