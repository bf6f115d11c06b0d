//! One detector per fault that only real users would have found. Each says `Unknown` where the run
//! holds too little evidence, and never passes for want of it.

pub mod body_limit;
pub mod cold_cache;
pub mod connection_limit;
mod differing;
pub mod errors;
pub mod event_loop;
pub mod generator;
pub mod held_back;
pub mod outage;
pub mod response_status;
pub mod response_size;
pub mod response_content;
pub mod stall;

use std::cmp::Reverse;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::drive::health::Health;
use crate::plan::facts::Facts;
use crate::shape::ShapeReport;
use crate::summary::Summary;
use crate::units::format_duration;
use crate::verdict::Finding;

/// What detectors look at.
#[derive(Clone, Copy, Debug)]
pub struct DetectorInput<'a> {
    /// What was about to be done.
    pub facts: &'a Facts,
    /// What happened.
    pub summary: &'a Summary,
    /// This machine.
    pub health: &'a Health,
}

/// Every detector's finding, the one to act on first on top: failures before what is not known
/// before passes, and within them the most specific cause first, since the general ones (errors,
/// load held back) are mostly its consequences.
pub fn detect(input: &DetectorInput, shape: &ShapeReport) -> Vec<Finding> {
    let cold_cache = cold_cache::detect(input);
    let outage = outage::detect(input);
    let connection_limit = connection_limit::detect(input, &outage, &cold_cache);
    let body_limit = body_limit::detect(input);
    let event_loop = event_loop::detect(input);
    let stall = stall::detect(input, &event_loop);
    let errors = errors::detect(input, &connection_limit, &body_limit);
    let status = response_status::detect(input, &errors, &body_limit);
    let mut findings = vec![
        generator::detect(input, shape),
        outage,
        connection_limit,
        body_limit,
        event_loop,
        stall,
        cold_cache,
        errors,
        held_back::detect(input, shape),
    ];
    if input.facts.origin.is_recorded() {
        findings.push(status);
        findings.push(response_size::detect(input));
        findings.extend(response_content::detect(input));
    }
    findings.sort_by_key(|finding| Reverse(finding.outcome));
    findings
}

/// A quantile of a histogram of nanoseconds.
fn quantile(histogram: &Histogram<u64>, q: f64) -> Duration {
    Duration::from_nanos(histogram.value_at_quantile(q))
}

/// A quantile of a histogram of nanoseconds, for people.
fn quantile_text(histogram: &Histogram<u64>, q: f64) -> String {
    format_duration(quantile(histogram, q))
}
