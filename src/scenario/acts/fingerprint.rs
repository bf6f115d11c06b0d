//! Options of the act `fingerprint`.

use serde::Deserialize;

use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// Whom to ask for which facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FingerprintOptions {}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FingerprintKeys {}

pub(crate) fn read(
    _place: Place<'_>,
    _keys: FingerprintKeys,
) -> Result<FingerprintOptions, ScenarioError> {
    Ok(FingerprintOptions {})
}
