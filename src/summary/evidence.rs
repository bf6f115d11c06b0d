//! What the detectors look at, kept while samples are folded.

use crate::plan::Arrival;
use crate::sample::Sample;

/// Evidence for the detectors of `verdict::detectors`.
#[derive(Clone, Debug, Default)]
pub struct Evidence {}

impl Evidence {
    /// Takes what one sample shows.
    pub fn add(&mut self, _arrival: &Arrival, _sample: &Sample) {}

    /// Adds the evidence of another part of the same run.
    pub fn merge(&mut self, _other: &Self) {}
}
