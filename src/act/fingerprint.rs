//! The act `fingerprint`.

use crate::act::Ground;
use crate::scenario::acts::fingerprint::FingerprintOptions;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {}

/// Performs the act.
pub fn perform(_ground: &Ground<'_>, _options: &FingerprintOptions) -> Fingerprint {
    Fingerprint {}
}
