//! What the evidence of the act `cold` means.

use crate::act::cold::Cold;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "cold";

/// Judges the evidence.
pub fn judge(_evidence: &Cold) -> Vec<Finding> {
    vec![finding(CHECK, Outcome::Unknown, "nothing was seen")]
}
