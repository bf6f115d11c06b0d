//! A program of the user's that changes each request, such as one that signs it: a line of JSON in,
//! a line of JSON out ([`message`]).
//!
//! It is started once for a run and asked for one request after the other, in the order of the
//! plan, by the thread that reads the plan ahead: what it takes is part of our preparation and
//! delays no request, as long as it keeps up with the plan on average. Where it does not, the
//! requests are late, and the run says so of this machine. What it does not answer is not sent, and
//! counted.

mod message;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drive::clock::monotonic_ns;
use crate::drive::hook::message::{Made, apply, line};
use crate::drive::hook::process::{Process, Silence};
use crate::drive::stop::Stop;
use crate::plan::Arrival;
use crate::plan::bond::Hooked as Fate;
use crate::sample::Unsent;
use crate::scenario::rewriting;

pub use process::MAX_LINE;

/// How often a program that failed is started again: one that always fails must not be started for
/// each request.
pub const MAX_RESTARTS: u32 = 10;

/// What is longer counts as this: timeouts are at most a minute.
const LONGEST_NS: u64 = 120_000_000_000;

/// A hook that runs, shared by the reader of the plan and by whoever reports.
#[derive(Clone, Debug)]
pub struct Hook {
    spec: rewriting::Hook,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    process: Option<Process>,
    report: HookReport,
    times: Option<Histogram<u64>>,
}

/// What a hook did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookReport {
    /// Requests that it was asked about.
    pub calls: u64,
    /// Requests that it left out.
    pub skipped: u64,
    /// Requests that were not sent since it gave no answer that can be sent, by why.
    pub failed: BTreeMap<String, u64>,
    /// Requests of those whose bodies it was not told: they are too large for memory.
    #[serde(default)]
    pub streamed: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// What an answer took: half of them at most this long, in nanoseconds.
    pub p50_ns: u64,
    /// 99 in a hundred of them.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Hook {
    /// Starts the program.
    pub fn start(spec: &rewriting::Hook) -> io::Result<Self> {
        let state = State {
            process: Some(Process::start(&spec.command)?),
            report: HookReport::default(),
            times: Histogram::new_with_bounds(1, LONGEST_NS, 3).ok(),
        };
        Ok(Self { spec: spec.clone(), state: Arc::new(Mutex::new(state)) })
    }

    /// What it did so far.
    pub fn report(&self) -> HookReport {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile| state.times.as_ref().map_or(0, |it| it.value_at_quantile(quantile));
        HookReport { p50_ns: at(0.5), p99_ns: at(0.99), max_ns: at(1.0), ..state.report.clone() }
    }

    /// Lets the program make something of a request.
    fn change(&self, arrival: &mut Arrival) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.report.calls += 1;
        state.report.streamed += u64::from(arrival.streamed.is_some());
        let made = state.ask(&self.spec, arrival);
        arrival.bond.hooked = match made {
            Ok(Made::Request) => Fate::Taken,
            Ok(Made::Skipped) => {
                state.report.skipped += 1;
                Fate::Skipped
            }
            Ok(Made::Nothing | Made::OutOfStep) => state.fail("bad answer"),
            Err(reason) => state.fail(reason),
        };
    }

    /// Ends the program.
    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).process = None;
    }
}

impl State {
    fn fail(&mut self, reason: &str) -> Fate {
        *self.report.failed.entry(reason.to_owned()).or_default() += 1;
        Fate::Failed
    }

    fn ask(&mut self, spec: &rewriting::Hook, arrival: &mut Arrival) -> Result<Made, &'static str> {
        let line = line(arrival).filter(|line| line.len() <= MAX_LINE).ok_or("too large")?;
        if self.process.is_none() {
            if self.report.restarts >= MAX_RESTARTS {
                return Err("given up");
            }
            self.report.restarts += 1;
            self.process = Process::start(&spec.command).ok();
        }
        let process = self.process.as_mut().ok_or("cannot be started")?;
        let began = monotonic_ns();
        match process.ask(&line, spec.timeout) {
            Ok(answer) => {
                if let Some(times) = &mut self.times {
                    times.saturating_record(monotonic_ns().saturating_sub(began));
                }
                let made = apply(arrival, &answer);
                if made == Made::OutOfStep {
                    // So would be all that follow.
                    self.process = None;
                    return Err("said too much");
                }
                Ok(made)
            }
            // Its next line would be the answer to this one: another process begins anew.
            Err(silence) => {
                self.process = None;
                Err(match silence {
                    Silence::Ended => "ended",
                    Silence::TimedOut => "timed out",
                    Silence::TooMuch => "said too much",
                })
            }
        }
    }
}

/// Why an arrival whose moment has come is not sent, if it is not.
pub(crate) fn kept_back(arrival: &Arrival, is_held: bool) -> Option<Unsent> {
    match arrival.bond.hooked {
        _ if is_held => Some(Unsent::Held),
        Fate::Taken => None,
        Fate::Skipped => Some(Unsent::HookSkipped),
        Fate::Failed => Some(Unsent::Hook),
    }
}

/// A plan whose requests go through a hook, if there is one, until the run is stopped.
pub struct Hooked<P> {
    plan: P,
    hook: Option<Hook>,
    stop: Stop,
}

impl<P> Hooked<P> {
    /// The requests of `plan`, changed.
    pub fn new(plan: P, hook: Option<Hook>, stop: Stop) -> Self {
        Self { plan, hook, stop }
    }
}

impl<P, E> Iterator for Hooked<P>
where
    P: Iterator<Item = Result<Arrival, E>>,
{
    type Item = Result<Arrival, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next = self.plan.next();
        if let (Some(Ok(arrival)), Some(hook)) = (&mut next, &self.hook)
            && !self.stop.is_requested()
        {
            hook.change(arrival);
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.plan.size_hint()
    }
}

impl<P> Drop for Hooked<P> {
    fn drop(&mut self) {
        if let Some(hook) = &self.hook {
            hook.end();
        }
    }
}
