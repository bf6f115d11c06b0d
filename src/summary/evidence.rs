//! What the detectors look at, kept while samples are folded: counts, a few histograms, and rows of
//! a tenth of a second. All of it is bounded, mergeable, and independent of the samples' order.

pub mod bodies;
pub mod errors;
pub mod openings;
pub mod responses;
pub mod timeline;
pub mod touches;

use crate::plan::Arrival;
use crate::sample::{Fate, Sample};
use crate::summary::evidence::bodies::Bodies;
use crate::summary::evidence::errors::Errors;
use crate::summary::evidence::openings::Openings;
use crate::summary::evidence::timeline::Timeline;
use crate::summary::evidence::touches::Touches;

/// Evidence for the detectors of `verdict::detectors`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Answers whose recorded status is known: what `status_changes` is a share of.
    pub answers_compared: u64,
    /// How new connections fared.
    pub openings: Openings,
    /// How large request bodies fared, and small requests beside them.
    pub bodies: Bodies,
    /// First requests for a target against later ones.
    pub touches: Touches,
    /// Errors by class.
    pub errors: Errors,
    /// What happened in each tenth of a second.
    pub timeline: Timeline,
}

impl Evidence {
    /// Takes what one sample shows; `error` is `fold::is_error` of it.
    pub fn add(&mut self, arrival: &Arrival, sample: &Sample, error: bool) {
        let answered = matches!(sample.fate, Fate::Answered { .. });
        self.answers_compared += u64::from(answered && arrival.recorded.status.is_some());
        self.openings.add(arrival, sample);
        self.bodies.add(arrival, sample);
        self.touches.add(arrival, sample);
        if error {
            self.errors.add(arrival, sample);
        }
        self.timeline.add(arrival, sample);
    }

    /// Adds the evidence of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.answers_compared += other.answers_compared;
        self.openings.merge(&other.openings);
        self.bodies.merge(&other.bodies);
        self.touches.merge(&other.touches);
        self.errors.merge(&other.errors);
        self.timeline.merge(&other.timeline);
    }
}

/// Whether a request has a large body, which is treated as a suspect rather than as a victim.
pub fn is_large(arrival: &Arrival) -> bool {
    arrival.is_large()
}
