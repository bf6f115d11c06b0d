//! What clones of sessions share with their originals: the block `clones` of a scenario.

use std::time::Duration;

use serde::Deserialize;

use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::ScenarioError;

/// What clones have of their own, where a `scale` above 1 makes some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clones {
    /// Cookies, tokens, addresses: what tells who somebody is.
    pub identities: Identities,
    /// What caches know resources by.
    pub keys: CloneKeys,
    /// How much later than their originals they may be, in recorded time; what suits a whole
    /// recording where absent. No option of a scenario: short trials have a run-in of this length.
    pub spread: Option<Duration>,
}

/// Whose identities are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identities {
    /// Those that redaction has replaced before: another pseudonym is as good. Real ones stay,
    /// since a target that knows them would refuse all others.
    #[default]
    Pseudonyms,
    /// All of them.
    Own,
    /// Nobody's: a clone is its original once more.
    Shared,
}

/// Whose keys are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloneKeys {
    /// Nobody's: clones ask for what their originals ask for, which exists.
    #[default]
    Shared,
    /// All that are known: see `crate::plan::clones`.
    Own,
}

/// The block as YAML gives it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloneFileKeys {
    identities: Option<Text>,
    keys: Option<Text>,
}

pub(crate) fn read(place: Place<'_>, keys: &CloneFileKeys) -> Result<Clones, ScenarioError> {
    let default = Clones::default();
    let identities = [
        ("pseudonyms", Identities::Pseudonyms),
        ("own", Identities::Own),
        ("shared", Identities::Shared),
    ];
    let shares = [("shared", CloneKeys::Shared), ("own", CloneKeys::Own)];
    Ok(Clones {
        identities: place.or(keys.identities.as_ref(), default.identities, |text| {
            fields::word(text, &identities)
        })?,
        keys: place.or(keys.keys.as_ref(), default.keys, |text| fields::word(text, &shares))?,
        spread: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    #[test]
    fn what_clones_share_is_read_and_mistakes_have_their_place() {
        let read = |clones: &str| {
            let text = format!("# t\nrecording: a\ntarget: {{ url: stage }}\n{clones}\n");
            from_text(&text, "t.yaml").map(|it| it.clones).map_err(|error| error.to_string())
        };
        assert_eq!(read(""), Ok(Clones::default()));
        let own = Clones { identities: Identities::Own, keys: CloneKeys::Own, spread: None };
        assert_eq!(read("clones: { identities: own, keys: own }"), Ok(own));
        let shared = Clones { identities: Identities::Shared, ..Clones::default() };
        assert_eq!(read("clones: { identities: shared, keys: shared }"), Ok(shared));
        let error = read("clones: { keys: mine }").unwrap_err();
        assert!(error.contains("t.yaml:4") && error.contains("own"), "{error}");
        assert!(read("clones: { cookies: own }").unwrap_err().contains("cookies"));
    }
}
