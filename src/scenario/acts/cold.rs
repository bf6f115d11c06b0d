//! Options of the act `cold`.

use serde::Deserialize;

use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// How caches are emptied, and what counts as warm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColdOptions {}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColdKeys {}

pub(crate) fn read(_place: Place<'_>, _keys: ColdKeys) -> Result<ColdOptions, ScenarioError> {
    Ok(ColdOptions {})
}
