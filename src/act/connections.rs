//! The act `connections`.

use crate::act::Ground;
use crate::scenario::acts::connections::ConnectionsOptions;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Connections {}

/// Performs the act.
pub fn perform(_ground: &Ground<'_>, _options: &ConnectionsOptions) -> Connections {
    Connections {}
}
