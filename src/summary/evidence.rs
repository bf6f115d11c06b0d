//! What the detectors look at, kept while samples are folded.

/// Evidence for the detectors of `verdict::detectors`.
#[derive(Clone, Debug, Default)]
pub struct Evidence {}
