//! What was seen of a capacity, as plain data.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;

use crate::probe::record::SeriesKind;
use crate::stats::kneedle::{Bend, knee};
use crate::stats::slopes::median;
use crate::stats::usl::{NoFit, Usl, fit};

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Capacity {
    /// What the scenario asks for.
    pub asked: Asked,
    /// What a load of 1 is.
    pub base: Base,
    /// Every trial, in the order of time.
    pub trials: Vec<Trial>,
    /// Why the search ended; `None` where it never began.
    pub ended: Option<Ended>,
    /// The highest multiple that is held.
    pub held: Option<f64>,
    /// The lowest multiple above it that is not.
    pub failed: Option<f64>,
    /// Most of so many trials decided on `held`: else it is by fewer.
    pub is_confirmed: bool,
    /// Loads whose trials did not agree.
    pub noisy: u64,
    /// What the probes saw at both, what changed most first.
    pub moved: Vec<Moved>,
    /// Probes that saw something at both.
    pub probes: u64,
    /// Why nothing was tried.
    pub untried: Option<String>,
    /// What a person should know about how it went.
    pub notes: Vec<String>,
}

/// What the scenario asks for.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Asked {
    /// The multiple that must be held.
    pub at_least: f64,
    /// The highest multiple to try: of the scenario, or what its `limits` leave.
    pub max: f64,
    /// The limit that leaves no more than `max`; `None` where the act's own option does.
    pub max_by: Option<String>,
    /// How near what failed is to what held in the end, as a share.
    pub resolution: f64,
    /// What of a trial counts, ns.
    pub trial_ns: u64,
    /// What of it comes before, ns.
    pub run_in_ns: u64,
    /// Trials of a load, of which the majority decides.
    pub trials: u32,
    /// The time for all of it, ns.
    pub within_ns: u64,
    /// The load is the recording's: neither its scale nor its speed is another.
    pub is_recorded: bool,
}

/// A load of 1: the busiest stretch of the scenario's window, as the scenario replays it.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Base {
    /// Where the stretch that counts begins and ends, ns since the recording's start.
    pub stretch_ns: [u64; 2],
    /// Requests due in it.
    pub requests: u64,
    /// The same by the second.
    pub rate: f64,
}

/// A trial.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Trial {
    /// The multiple that was asked for.
    pub load: f64,
    /// The multiple that was planned: sessions are cloned whole.
    pub planned: f64,
    /// Requests that were due in the time that counts.
    pub requests: u64,
    /// Requests sent, by the second.
    pub sent_rate: f64,
    /// Answers, by the second.
    pub answered_rate: f64,
    /// Latency (due to done) at p50, p95, p99 and at most, ns: by rank among all requests, of which
    /// those without an answer come last. `None` where there were none.
    pub latency_ns: Option<[u64; 4]>,
    /// Which of the four lie among requests without an answer: those took at least so long.
    #[serde(default)]
    pub at_least: [bool; 4],
    /// Requests that were answered ...
    #[serde(default)]
    pub answered: u64,
    /// ... and those that were not, though this machine did its part.
    #[serde(default)]
    pub unanswered: u64,
    /// Share of errors among the requests that were not kept from being sent.
    pub errors: f64,
    /// What it says.
    pub outcome: Outcome,
    /// Why, in a sentence; empty where everything held.
    pub reason: String,
    /// The expectations, where it was driven to its end.
    pub expectations: Vec<Checked>,
    /// How much of the time that counts it was driven, ns: less where it could not hold any more.
    pub driven_ns: u64,
    /// When it began, ns since the start of the rehearsal.
    pub started_ns: u64,
    /// When its requests that count began.
    pub counted_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// How long the target needs for what was left unanswered, at the rate at which it answered,
    /// ns: the next trial waits for that.
    pub left_ns: u64,
}

impl Trial {
    /// Whether it is one of this load.
    pub fn is_of(&self, load: f64) -> bool {
        is_same(self.load, load)
    }

    /// The target answered nothing at all, and this machine was in time.
    pub fn is_mute(&self) -> bool {
        self.outcome == Outcome::Failed && self.is_unanswered()
    }

    /// Nothing was answered at all.
    pub fn is_unanswered(&self) -> bool {
        self.answered == 0 && self.unanswered > 0
    }
}

/// Whether two loads are one. A search comes back to a load by its very number.
pub fn is_same(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

/// What a trial says.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that is expected held.
    Held,
    /// Something did not.
    Failed,
    /// The generator was late: no evidence.
    #[default]
    Spoiled,
    /// The load was produced, but what is expected cannot be told of it: no evidence.
    Unjudged,
}

impl Outcome {
    /// It says something of the target.
    pub fn is_evidence(self) -> bool {
        matches!(self, Self::Held | Self::Failed)
    }
}

/// An expectation in a trial.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Checked {
    /// As written in the scenario.
    pub text: String,
    /// Whether it held; `None` where that is not known.
    pub holds: Option<bool>,
    /// What it was compared with, or why there is nothing.
    pub actual: String,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The limit was found.
    Found,
    /// The highest multiple that may be asked for is held.
    Max,
    /// Not even the lowest is.
    Lowest,
    /// The generator was late, again and again.
    Generator,
    /// What is expected could not be told of a trial, again and again.
    Unjudged,
    /// The target answered nothing any more, not even at a load that it had held.
    Gone,
    /// The time was over.
    Time,
    /// Too many trials.
    Trials,
    /// The user wished it.
    Stopped,
    /// A trial could not be planned or driven.
    Broken,
}

/// A figure of a probe while the highest load that is held was tried, and while the lowest that is
/// not was.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
pub struct Moved {
    /// The probe.
    pub probe: String,
    /// Its figure.
    pub metric: String,
    /// How to read it.
    pub kind: SeriesKind,
    /// What a gauge cannot exceed.
    pub limit: Option<f64>,
    /// Largest value of a gauge, or what a counter grew by in a second, where it was held ...
    pub held: f64,
    /// ... and where it was not.
    pub failed: f64,
}

/// The load and what came of it, one for each load that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The multiple that was asked for.
    pub load: f64,
    /// The one that was planned.
    pub planned: f64,
    /// Requests sent by the second, the median of its trials.
    pub sent_rate: f64,
    /// Answers by the second.
    pub answered_rate: f64,
    /// Latency at p50 and p99, ns ...
    pub latency_ns: [u64; 2],
    /// ... which are at least that where they lie among requests without an answer.
    pub at_least: [bool; 2],
    /// Most of its trials held.
    pub held: bool,
    /// Most of its trials had no answer at all.
    pub is_mute: bool,
}

impl Capacity {
    /// The curve from low to high loads, of the trials that were driven for a second or longer by a
    /// generator that was in time.
    pub fn curve(&self) -> Vec<CurvePoint> {
        let mut whole: Vec<&Trial> = self
            .trials
            .iter()
            .filter(|trial| trial.outcome.is_evidence() && trial.driven_ns >= SHORTEST)
            .collect();
        whole.sort_by(|a, b| a.load.total_cmp(&b.load));
        whole.chunk_by(|a, b| b.is_of(a.load)).filter_map(point).collect()
    }

    /// The multiple at which the latency curve bends upwards; see [`knee`]. Of loads whose p99 is
    /// not known but for the least that it can be, the curve has no points: there it would bend
    /// where the trials gave up waiting.
    pub fn knee(&self) -> Option<f64> {
        let known = self.curve().into_iter().filter(|point| !point.at_least[1]);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour are exact")]
        let p99 = |point: CurvePoint| (point.planned, point.latency_ns[1] as f64);
        knee(&known.map(p99).collect::<Vec<_>>(), Bend::Convex)
    }

    /// The law of throughput over load. Answers are counted, so that those of a load of which some
    /// requests had none are known, too; where there was none at all, there is no throughput.
    pub fn usl(&self) -> Result<Usl, NoFit> {
        let curve = self.curve();
        let yielded = curve.iter().filter(|point| !point.is_mute);
        fit(&yielded.map(|point| (point.planned, point.answered_rate)).collect::<Vec<_>>())
    }

    /// Requests a second of the trials of a load that count.
    pub fn rate_at(&self, load: f64) -> Option<f64> {
        median(self.that_count(load).map(|trial| trial.sent_rate))
    }

    /// The multiple that the plans of a load came to: sessions are cloned whole, so that it is not
    /// quite the one that was asked for.
    pub fn multiple_at(&self, load: f64) -> f64 {
        median(self.that_count(load).map(|trial| trial.planned)).unwrap_or(load)
    }

    fn that_count(&self, load: f64) -> impl Iterator<Item = &Trial> {
        let counts = move |trial: &&Trial| trial.is_of(load) && trial.outcome.is_evidence();
        self.trials.iter().filter(counts)
    }
}

/// Shorter trials tell no rate.
const SHORTEST: u64 = 1_000_000_000;

fn point(trials: &[&Trial]) -> Option<CurvePoint> {
    let middle = |of: &dyn Fn(&Trial) -> f64| median(trials.iter().map(|trial| of(trial)));
    let most = |is: &dyn Fn(&Trial) -> bool| {
        2 * trials.iter().filter(|trial| is(trial)).count() > trials.len()
    };
    let mut known: Vec<_> = trials
        .iter()
        .filter_map(|trial| Some((trial.at_least, trial.latency_ns?)))
        .map(|([p50, _, p99, _], at)| ([p50, p99], [at[0], at[2]]))
        .collect();
    // What was not waited for to its end is longer than what was.
    known.sort_unstable_by_key(|(at_least, [_, p99])| (at_least[1], *p99));
    let (at_least, latency_ns) = *known.get(known.len() / 2)?;
    Some(CurvePoint {
        load: trials.first()?.load,
        planned: middle(&|trial| trial.planned)?,
        sent_rate: middle(&|trial| trial.sent_rate)?,
        answered_rate: middle(&|trial| trial.answered_rate)?,
        latency_ns,
        at_least,
        held: most(&|trial| trial.outcome == Outcome::Held),
        is_mute: most(&Trial::is_mute),
    })
}
