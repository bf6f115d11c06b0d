//! The keys of a model's file, as YAML gives them: texts with their places, nothing checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Spanned;

/// A value as written, and where.
pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelKeys {
    pub(super) model: Text,
    pub(super) fitted: Option<FittedKeys>,
    pub(super) duration: Text,
    pub(super) rate: Spanned<Vec<Spanned<LevelKeys>>>,
    pub(super) bursts: Option<BurstKeys>,
    pub(super) edits: Option<EditKeys>,
    pub(super) connections: ConnectionKeys,
    pub(super) routes: Spanned<Vec<Spanned<RouteKeys>>>,
    pub(super) groups: Spanned<Vec<Spanned<GroupKeys>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FittedKeys {
    pub(super) requests: Text,
    pub(super) sessions: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelKeys {
    pub(super) from: Text,
    pub(super) sessions: Text,
    pub(super) busiest: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BurstKeys {
    pub(super) calm: Text,
    pub(super) busy: Text,
    pub(super) calm_lasts: Text,
    pub(super) busy_lasts: Text,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditKeys {
    pub(super) sessions: Option<Text>,
    pub(super) tail: Option<Text>,
    pub(super) crowds: Option<Spanned<Vec<CrowdKeys>>>,
    pub(super) routes: Option<Spanned<Vec<NewRouteKeys>>>,
    pub(super) outliers: Option<Spanned<Vec<OutlierKeys>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CrowdKeys {
    pub(super) at: Text,
    pub(super) lasts: Text,
    pub(super) times: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRouteKeys {
    pub(super) route: Text,
    pub(super) share: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutlierKeys {
    pub(super) bytes: Text,
    pub(super) every: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionKeys {
    pub(super) shared: bool,
    pub(super) when_busy: Text,
    pub(super) when_idle: Spanned<Vec<Spanned<Vec<Text>>>>,
    pub(super) held: Option<Spanned<LawKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteKeys {
    pub(super) route: Text,
    pub(super) keys: Option<KeyKeys>,
    pub(super) head: Spanned<LawKeys>,
    pub(super) body: Spanned<SizeKeys>,
    pub(super) answer: Spanned<SizeKeys>,
    pub(super) statuses: BTreeMap<String, Text>,
    pub(super) first_byte: Option<Spanned<LawKeys>>,
    pub(super) rest: Option<Spanned<LawKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyKeys {
    pub(super) count: Text,
    pub(super) exponent: Text,
    pub(super) once: Text,
    pub(super) fresh: Option<Text>,
    pub(super) recent: Option<Spanned<Vec<Spanned<Vec<Text>>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SizeKeys {
    pub(super) empty: Text,
    pub(super) middle: Option<Spanned<LawKeys>>,
    pub(super) tail: Option<TailKeys>,
    pub(super) most: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailKeys {
    pub(super) share: Text,
    pub(super) start: Text,
    pub(super) index: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LawKeys {
    pub(super) points: Option<Vec<Spanned<Vec<Text>>>>,
    pub(super) median: Option<Text>,
    pub(super) sigma: Option<Text>,
    pub(super) most: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupKeys {
    pub(super) share: Text,
    pub(super) begins: BTreeMap<String, Text>,
    pub(super) elsewhere: Option<BTreeMap<String, Text>>,
    pub(super) states: Vec<Spanned<StateKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateKeys {
    pub(super) from: Text,
    pub(super) ends: Text,
    pub(super) next: Option<Vec<StepKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepKeys {
    pub(super) to: Text,
    pub(super) share: Text,
    pub(super) embedded: Option<bool>,
    pub(super) gap: Spanned<LawKeys>,
}
