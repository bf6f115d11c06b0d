//! What the evidence of the drills means: one file each, evidence in, findings out.

pub mod fingerprint;
pub mod canary;
pub mod heartbeat;
pub mod connections;
pub mod payloads;
pub mod cold;
pub mod capacity;

use crate::act::{Evidence, Performed};
use crate::scenario::acts::ActName;
use crate::verdict::{Finding, Outcome, finding};

/// The findings of a drill, in the order in which a person should read them.
pub fn judge(performed: &Performed) -> Vec<Finding> {
    match &performed.evidence {
        Evidence::Fingerprint(evidence) => fingerprint::judge(evidence),
        Evidence::Canary(evidence) => canary::judge(evidence),
        Evidence::Connections(evidence) => connections::judge(evidence),
        Evidence::Payloads(evidence) => payloads::judge(evidence),
        Evidence::Cold(evidence) => cold::judge(evidence),
        Evidence::Capacity(evidence) => vec![capacity::judge(evidence)],
    }
}

/// Whether what was found makes the acts that follow meaningless: too few connections fail every
/// load that needs them, and what else it would show are only the consequences.
pub fn ends_rehearsal(act: ActName, findings: &[Finding]) -> bool {
    act == ActName::Connections && findings.iter().any(|each| each.outcome == Outcome::Fail)
}

/// The finding of an act that was left out since `after` makes it meaningless.
pub fn left_out(act: ActName, after: ActName) -> Finding {
    let title = format!("not performed: what {} found would only be found again", after.name());
    let mut left_out = finding(act.name(), Outcome::Unknown, title);
    left_out.advice = format!("Repair what {} found, then rehearse again.", after.name());
    left_out
}
