//! The act `canary`.

use crate::act::Ground;
use crate::scenario::acts::canary::CanaryOptions;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Canary {}

/// Performs the act.
pub fn perform(_ground: &Ground<'_>, _options: &CanaryOptions) -> Canary {
    Canary {}
}
