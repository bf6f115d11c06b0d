//! What the evidence of the act `payloads` means.

use crate::act::payloads::Payloads;
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "payloads";

/// Judges the evidence.
pub fn judge(_evidence: &Payloads) -> Vec<Finding> {
    vec![finding(CHECK, Outcome::Unknown, "nothing was seen")]
}
