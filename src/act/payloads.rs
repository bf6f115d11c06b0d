//! The act `payloads`.

use crate::act::Ground;
use crate::scenario::acts::payloads::PayloadsOptions;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Payloads {}

/// Performs the act.
pub fn perform(_ground: &Ground<'_>, _options: &PayloadsOptions) -> Payloads {
    Payloads {}
}
