//! Options of the act `canary`.

use serde::Deserialize;

use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// Where marked requests must show up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanaryOptions {}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryKeys {}

pub(crate) fn read(_place: Place<'_>, _keys: CanaryKeys) -> Result<CanaryOptions, ScenarioError> {
    Ok(CanaryOptions {})
}
