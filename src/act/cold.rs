//! The act `cold`.

use crate::act::Ground;
use crate::scenario::acts::cold::ColdOptions;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cold {}

/// Performs the act.
pub fn perform(_ground: &Ground<'_>, _options: &ColdOptions) -> Cold {
    Cold {}
}
