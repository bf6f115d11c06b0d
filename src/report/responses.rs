//! Answers beside those that were recorded for the same requests, route by route.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::summary::evidence::responses::{Change, Responses, Sizes, Ways, status_name};

/// Routes listed whose answers differ; the table is read from its top.
pub const MAX_DIFFERENT: usize = 50;

/// The answers of a run beside the recorded ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// Answers whose recorded status is known.
    pub statuses: u64,
    /// Answers whose recorded size is known, and whose status is the recorded one.
    pub sizes: u64,
    /// Arrivals of whose recorded body the recording kept a digest or the fields of JSON.
    #[serde(default)]
    pub contents_kept: u64,
    /// Bodies of the target that were compared by them.
    #[serde(default)]
    pub contents: u64,
    /// Bodies of the target, where JSON was recorded, that could not be looked into.
    #[serde(default)]
    pub contents_unread: u64,
    /// Routes of which any answer differs, the most of them first; at most [`MAX_DIFFERENT`].
    pub routes: Vec<Route>,
    /// Routes beyond them.
    pub other_routes: u64,
}

/// The answers of a route. Whether they differ by more than by themselves is said by the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Method and template, such as `GET /cart/*`.
    pub route: String,
    /// Answers whose recorded status is known.
    pub compared: u64,
    /// Those whose status is another one, such as `200 → 302`; pairs for which there was no room
    /// are told by their classes, such as `other 2xx → other 5xx`.
    pub statuses: BTreeMap<String, u64>,
    /// Those of another class: `more` is worse.
    pub classes: Ways,
    /// The classes of production's answers, beside those before to the same requests.
    pub class_repeats: Ways,
    /// Sizes of bodies, and bytes.
    pub sizes: Sizes,
    /// The sizes of production's bodies, beside those before to the same requests.
    pub size_repeats: Ways,
}

impl Compared {
    /// Those of a run; `None` where nothing can be compared.
    pub fn of(summary: &Summary) -> Option<Self> {
        let all = || summary.routes.iter().map(|(name, route)| (name, &route.responses));
        let statuses = all().map(|(_, responses)| responses.compared()).sum();
        if statuses == 0 {
            return None;
        }
        let mut different: Vec<_> = all().filter(|(_, each)| changes(each) > 0).collect();
        different.sort_by_key(|(_, each)| Reverse(changes(each)));
        let other_routes = different.len().saturating_sub(MAX_DIFFERENT) as u64;
        let listed = different.into_iter().take(MAX_DIFFERENT);
        Some(Self {
            statuses,
            sizes: all().map(|(_, responses)| responses.sizes.ways.compared).sum(),
            contents_kept: all().map(|(_, responses)| responses.contents_kept).sum(),
            contents: all().map(|(_, responses)| responses.contents_compared()).sum(),
            contents_unread: all().map(|(_, responses)| responses.fields.unread).sum(),
            routes: listed.map(|(name, each)| Route::of(name, each)).collect(),
            other_routes,
        })
    }
}

fn changes(responses: &Responses) -> u64 {
    responses.status_changes().part + responses.size_changes().part
}

impl Route {
    fn of(name: &str, responses: &Responses) -> Self {
        let pairs = responses.changes.iter().map(|(&(recorded, status), seen)| {
            (format!("{} → {}", status_name(recorded), status_name(status)), seen.count)
        });
        let compared = responses.compared();
        Self {
            route: name.to_owned(),
            compared,
            statuses: pairs.collect(),
            classes: Ways {
                compared,
                less: responses.count_changed(Change::Better),
                more: responses.count_changed(Change::Worse),
            },
            class_repeats: responses.class_repeats,
            sizes: responses.sizes,
            size_repeats: responses.size_repeats,
        }
    }

    /// How many times as large as the recorded ones the bodies are together; `None` without any.
    pub fn times(&self) -> Option<f64> {
        let Sizes { recorded_bytes, answered_bytes, .. } = self.sizes;
        (recorded_bytes > 0).then(|| as_f64(answered_bytes) / as_f64(recorded_bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::resp::{ERROR_REPLY, REPLY};
    use crate::summary::evidence::responses::{Example, OTHER_STATUSES, Seen};

    /// What stands for a status where there is none, or no room for it, has a name.
    #[test]
    fn pairs_of_statuses_are_named_and_counted_by_how_they_differ() {
        let first = Example { index: 0, due: Duration::ZERO };
        let seen = |count| Seen { count, first };
        let other = |class| OTHER_STATUSES + class;
        let changes = [
            ((200, 302), seen(3)),
            ((404, 200), seen(2)),
            ((200, 304), seen(1)),
            ((REPLY, ERROR_REPLY), seen(5)),
            ((other(2), other(5)), seen(7)),
        ];
        let changes = BTreeMap::from(changes);
        let route = Route::of("GET /", &Responses { same: 10, changes, ..Responses::default() });
        let told: Vec<_> = route.statuses.iter().map(|(pair, count)| (&**pair, *count)).collect();
        let expected = [
            ("200 → 302", 3),
            ("200 → 304", 1),
            ("404 → 200", 2),
            ("a reply → an error", 5),
            ("other 2xx → other 5xx", 7),
        ];
        assert_eq!(told, expected);
        assert_eq!(route.classes, Ways { compared: 28, less: 2, more: 15 });
    }
}
