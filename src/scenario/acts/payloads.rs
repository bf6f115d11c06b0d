//! Options of the act `payloads`.

use serde::Deserialize;

use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// Which sizes to send, and what must not suffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadsOptions {}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayloadsKeys {}

pub(crate) fn read(
    _place: Place<'_>,
    _keys: PayloadsKeys,
) -> Result<PayloadsOptions, ScenarioError> {
    Ok(PayloadsOptions {})
}
