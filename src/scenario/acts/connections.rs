//! Options of the act `connections`.

use serde::Deserialize;

use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// Whose limits to look for, and who will need connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsOptions {}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionsKeys {}

pub(crate) fn read(
    _place: Place<'_>,
    _keys: ConnectionsKeys,
) -> Result<ConnectionsOptions, ScenarioError> {
    Ok(ConnectionsOptions {})
}
