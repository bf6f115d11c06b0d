//! The act `cold`: caches are emptied, the recorded load is replayed, and at once replayed again.
//! What the first time took longer than the second is what a cold start costs.

pub mod compare;
pub mod forecast;
pub mod origin;
pub mod recovery;
mod reset;
mod sure;
mod trickle;
pub mod warming;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::capacity::seen::Checked;
use crate::act::cold::compare::{Comparison, Passes, compare};
use crate::act::cold::forecast::{add, assumed};
use crate::act::cold::origin::{Counter, OriginReads, Recorder};
use crate::act::cold::recovery::recovery;
use crate::act::cold::warming::warming;
use crate::act::replay::replay;
use crate::act::{Ground, Load};
use crate::drive::Driven;
use crate::drive::clock::nanoseconds;
use crate::drive::gauges::Gauges;
use crate::plan::arrivals::Plan;
use crate::plan::outline;
use crate::scenario::acts::ActName;
use crate::scenario::acts::cold::ColdOptions;
use crate::shape::forecast::ramp::{ramp_csv, unreadable};
use crate::shape::forecast::{Forecast, forecast};
use crate::shape::reads::Reads;
use crate::units::format_duration;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cold {
    /// What the scenario allows.
    pub bounds: Bounds,
    /// What was to be expected; `None` where the plan cannot be read.
    pub forecast: Option<Forecast>,
    /// The file that says how to let users in; `None` where the origin's capacity is not known.
    pub ramp_file: Option<String>,
    /// Why nothing was compared.
    pub untried: Option<String>,
    /// The cold run beside the warm one.
    pub comparison: Option<Comparison>,
    /// What the scenario expects of this act, held against the cold run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Checked>,
    /// What a person should know about how it went.
    pub notes: Vec<String>,
}

/// What the scenario allows a cold start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Longest time to the steady state, in nanoseconds.
    pub warmup_ns: u64,
    /// What a request may take, in nanoseconds.
    pub slo_ns: Option<u64>,
    /// Share of the requests that may take longer, or fail.
    pub budget: f64,
}

/// The file of a ramp, in the folder of the run.
const RAMP_FILE: &str = "ramp.csv";

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &ColdOptions) -> Cold {
    let mut cold = Cold { bounds: bounds(options), ..Cold::default() };
    match foresee(ground, options) {
        Ok(foreseen) => cold.take(ground, foreseen),
        Err(reason) => cold.untried = Some(reason),
    }
    if cold.untried.is_none() {
        match rehearse(ground, options, &mut cold) {
            Ok(comparison) => cold.comparison = Some(comparison),
            Err(reason) => cold.untried = Some(reason),
        }
    }
    cold
}

fn bounds(options: &ColdOptions) -> Bounds {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Bounds { warmup_ns: ns(options.warmup), slo_ns: options.slo.map(ns), budget: options.budget }
}

impl Cold {
    /// Keeps a forecast, warns of it before anything is sent, and writes its ramp.
    fn take(&mut self, ground: &Ground<'_>, foreseen: Forecast) {
        if foreseen.is_too_much() {
            (ground.say)(&format!(
                "warning: before anything is sent: a cold start will ask the origin for {:.0} \
                 reads/s, above the {:.0} reads/s that it stands",
                foreseen.peak_cold,
                foreseen.capacity.unwrap_or_default(),
            ));
        }
        if let Some(reason) = unreadable(&foreseen.ramp) {
            self.notes.push(format!("{RAMP_FILE} was not written: {reason}"));
        } else if !foreseen.ramp.is_empty() {
            let path = ground.folder.join(RAMP_FILE);
            match fs::write(&path, ramp_csv(&foreseen.ramp)) {
                Ok(()) => self.ramp_file = Some(RAMP_FILE.to_owned()),
                Err(error) => self.notes.push(format!("{RAMP_FILE} was not written: {error}")),
            }
        }
        self.forecast = Some(foreseen);
    }
}

fn plan(ground: &Ground<'_>) -> Result<Plan, String> {
    outline(ground.recording, ground.scenario, &ground.target.authority)
        .map(|(_, plan)| plan)
        .map_err(|error| format!("the recording cannot be planned again: {error}"))
}

fn foresee(ground: &Ground<'_>, options: &ColdOptions) -> Result<Forecast, String> {
    let mut reads = Reads::default();
    for arrival in plan(ground)? {
        add(&mut reads, &arrival.map_err(|error| error.to_string())?);
        if ground.stop.is_requested() {
            return Err(INTERRUPTED.to_owned());
        }
    }
    Ok(forecast(&reads, &assumed(options)))
}

const INTERRUPTED: &str = "the run was interrupted";

/// Trickle, reset, cold, warm.
fn rehearse(
    ground: &Ground<'_>,
    options: &ColdOptions,
    seen: &mut Cold,
) -> Result<Comparison, String> {
    reset::check(ground, options)?;
    // Opened before the load, so that it still counts when nobody else can connect.
    let mut counter = match origin::open(ground, options) {
        Ok(counter) => counter,
        Err(reason) => {
            seen.notes.push(format!("the origin's reads were not counted: {reason}"));
            None
        }
    };
    let trickled = trickle::trickle(ground, options.trickle, plan(ground)?)?;
    seen.notes.extend(reset::reset(ground, options)?);
    let mut pass = |name: &str| {
        if ground.stop.is_requested() {
            return Err(INTERRUPTED.to_owned());
        }
        // Of half a replay nothing is compared.
        let from_ns = nanoseconds(ground.epoch.now());
        let (driven, reads, ended) = replay_once(ground, counter.take(), name)?;
        counter = ended;
        let reads = reads.or_else(|| origin::watched(ground, options, from_ns));
        if driven.interrupted {
            return Err(INTERRUPTED.to_owned());
        }
        Ok((driven, reads))
    };
    let ((cold, cold_reads), (warm, warm_reads)) = (pass("cold")?, pass("warm")?);
    let length = Duration::from_nanos(ground.facts.duration_ns);
    // Figures of probes are asked of all of the act, and not of this load.
    let load = Load { summary: &cold.summary, length, probes: &[], span_ns: [0; 2] };
    seen.expectations = (ground.check)(ActName::Cold, &load);
    let passes = Passes {
        clock_step_ns: ground.facts.clock_step_ns,
        cold: &cold.summary,
        warm: &warm.summary,
        cold_reads: cold_reads.as_ref(),
        warm_reads: warm_reads.as_ref(),
        trickle: trickled.as_ref().map(|driven| &driven.summary),
    };
    let mut compared = compare(&passes, options, ground.scenario.tolerance);
    if let Some(before) = compared.trickle_p50_ns {
        let constant = warming(&compared).ok().and_then(|found| found.p50.time_constant);
        let allowed = recovery::allowed(options.recovery, constant);
        compared.recovery = Some(recovery(ground, before, allowed, || plan(ground))?);
    }
    Ok(compared)
}

/// Time between two lines on how a replay goes.
const TELL_EVERY: Duration = Duration::from_secs(10);

type Pass = (Driven, Option<OriginReads>, Option<Counter>);

/// Replays the plan once while the origin's reads are counted.
fn replay_once(ground: &Ground<'_>, counter: Option<Counter>, name: &str) -> Result<Pass, String> {
    let (plan, gauges) = (plan(ground)?, Arc::<Gauges>::default());
    let recorder = counter.map(|counter| Recorder::start(counter, &gauges)).transpose()?;
    let limits = &ground.scenario.limits;
    let whole = format_duration(Duration::from_nanos(ground.facts.duration_ns));
    let mut told = Duration::ZERO;
    // The plan is read as it is carried out, a little ahead.
    let plan = plan.inspect(|arrival| {
        if let Ok(arrival) = arrival
            && arrival.due >= told
        {
            let at = format_duration(Duration::from_secs(arrival.due.as_secs()));
            (ground.say)(&format!("cold: replaying on {name} caches: {at} of {whole}"));
            told = arrival.due + TELL_EVERY;
        }
    });
    let driven = replay(plan, ground.target, limits, gauges, ground.stop.clone().into());
    let (reads, counter) = recorder.map(Recorder::finish).unzip();
    let driven = driven.map_err(|error| format!("the replay broke off: {error}"))?;
    Ok((driven, reads, counter.flatten()))
}
