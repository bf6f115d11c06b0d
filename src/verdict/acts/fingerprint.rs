//! What the evidence of the act `fingerprint` means.

use crate::act::fingerprint::Fingerprint;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "fingerprint";

/// Judges the evidence.
pub fn judge(_evidence: &Fingerprint) -> Vec<Finding> {
    vec![finding(CHECK, Outcome::Unknown, "nothing was seen")]
}
