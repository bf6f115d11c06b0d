//! The act `payloads`: large requests one at a time, and what everybody else waits meanwhile.
//!
//! ```text
//!   recorded sizes ──► sizes ──► large requests, one at a time ──► target or endpoint
//!                                small requests, 100 a second ───►   on other connections
//!                                new connections, 10 a second ───►
//! ```

mod evidence;
mod sizes;
mod recorded;
mod wire;
mod bystanders;
mod rig;
mod http;
mod redis;
mod mysql;

pub use evidence::{
    Attempt, BLOCKED_NS, Big, Boundary, Bystanders, Fate, Largest, PERIOD_NS, Payloads, Recorded,
    Rung, Sweep, What,
};

use std::time::Duration;

use crate::act::Ground;
use crate::act::payloads::rig::Rig;
use crate::drive::clock::nanoseconds;
use crate::scenario::acts::payloads::PayloadsOptions;
use crate::scenario::endpoint::Service;

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &PayloadsOptions) -> Payloads {
    let (recorded, offers) = recorded::read(ground.recording);
    let mut payloads = Payloads {
        slo_ns: nanoseconds(options.slo),
        max_bytes: options.max,
        recorded,
        sweeps: Vec::new(),
        interrupted: false,
    };
    let jobs = jobs(options, offers);
    let ends = ground.epoch.now().saturating_add(options.budget);
    let count = jobs.len();
    for (number, job) in jobs.into_iter().enumerate() {
        if ground.stop.is_requested() {
            break;
        }
        // What a sweep does not use, the next ones may.
        let left = ends.saturating_sub(ground.epoch.now());
        let share = left / u32::try_from(count - number).unwrap_or(1);
        let sweep = job.perform(ground, options, &payloads.recorded, share);
        payloads.sweeps.push(sweep);
    }
    payloads.interrupted = ground.stop.is_requested();
    payloads
}

/// A part of the act with a time of its own.
enum Job<'a> {
    Requests(Option<http::Place>, String),
    Responses(Vec<http::Offer>, String),
    Redis(&'a str, What),
    Mysql(&'a str),
}

fn jobs(options: &PayloadsOptions, offers: recorded::Offers) -> Vec<Job<'_>> {
    let small = offers.small.unwrap_or_else(|| "/".to_owned());
    let places = http::places(&options.http, offers.largest);
    let mut jobs: Vec<Job<'_>> =
        places.into_iter().map(|place| Job::Requests(place, small.clone())).collect();
    if offers.responses.len() >= sizes::FEWEST {
        jobs.push(Job::Responses(offers.responses, small));
    }
    for (name, endpoint) in &options.endpoints {
        match endpoint.service {
            Service::Mysql => jobs.push(Job::Mysql(name)),
            _ => jobs.extend(redis::SWEEPS.map(|what| Job::Redis(name, what))),
        }
    }
    jobs
}

impl Job<'_> {
    fn perform(
        self,
        ground: &Ground<'_>,
        options: &PayloadsOptions,
        recorded: &Recorded,
        time: Duration,
    ) -> Sweep {
        let rig = Rig::new(ground, options, time);
        let found = match self {
            Self::Requests(Some(place), small) => http::requests(rig, &place, &small, recorded),
            Self::Requests(None, _) => Sweep::unknown(
                "target",
                What::HttpRequest,
                "",
                "the recording has no request with a body; name a path with `http`".to_owned(),
            ),
            Self::Responses(offers, small) => http::responses(rig, &offers, &small),
            Self::Redis(name, what) => redis::sweep(rig, name, what),
            Self::Mysql(name) => mysql::packets(&rig, name),
        };
        (ground.say)(&format!("payloads: {}", found.told()));
        found
    }
}
