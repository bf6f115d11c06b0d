//! What the evidence of the act `connections` means.

use crate::act::connections::Connections;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "connections";

/// Judges the evidence.
pub fn judge(_evidence: &Connections) -> Vec<Finding> {
    vec![finding(CHECK, Outcome::Unknown, "nothing was seen")]
}
