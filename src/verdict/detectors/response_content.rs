//! Bodies with other contents than production's: of JSON, fields that are gone or new, or none at
//! all; of others, bytes that differ where production's never did.

use crate::stats::shares::{Share, newcombe, wilson};
use crate::summary::evidence::responses::Responses;
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    Group, MIN_COMPARED, MIN_REPEATS, MORE_ROUTES, and_more, confidence, groups, named,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-content";

/// Largest share of a route's bodies that may differ without a word.
pub const MAX_SHARE: f64 = 0.05;

/// What further fields and the like of one route are called.
const MORE_DIFFERENCES: [&str; 2] = ["more difference", "more differences"];

/// Longest name of a field in a sentence: those of our own recordings are shorter, those of other
/// files may be anything.
const MAX_FIELD: usize = 120;

/// Compares contents with the recorded ones, route by route. `None` where the recording kept
/// nothing of them: nobody asked for it, and the report says how. A field that is there now and
/// then is so on both sides; bytes count only where requests that were recorded again show by how
/// much they differ by themselves.
pub fn detect(input: &DetectorInput) -> Option<Finding> {
    let routes = || input.summary.routes.values().map(|route| &route.responses);
    let kept: u64 = routes().map(|responses| responses.contents_kept).sum();
    if kept == 0 {
        return None;
    }
    let all = groups(input.summary, Responses::contents_compared);
    let fields = |group: &Group<'_>| group.responses.fields.shares().map_or(0, |all| all.len());
    let comparisons = all.judged.iter().map(|group| fields(group) + 2).sum();
    let confidence = confidence(comparisons);
    let judged: Vec<Judged> = all.judged.iter().map(|each| Judged::of(each, confidence)).collect();
    let differing: Vec<&Judged> = judged.iter().filter(|each| !each.told.is_empty()).collect();
    let known: u64 = judged.iter().map(|each| each.bodies).sum();
    let mut found = if let Some((first, rest)) = differing.split_first() {
        let title = first.title() + &and_more(rest.len());
        let mut found = finding(CHECK, Outcome::Unknown, title);
        found.evidence = named(first.told.iter().skip(1).cloned(), MORE_DIFFERENCES);
        found.evidence.extend(named(rest.iter().map(|each| each.title()), MORE_ROUTES));
        found.advice = "Look at such an answer beside the recorded one: a field that clients use \
                        must be there; other data may be the target's own affair."
            .into();
        found
    } else if known > 0 {
        let bodies = bodies(known);
        let title = format!("{bodies} have the contents recorded, as far as they ever do");
        finding(CHECK, Outcome::Pass, title)
    } else {
        let title = format!(
            "of {} the recording kept something, and of none can be said whether it is the same",
            bodies(kept)
        );
        finding(CHECK, Outcome::Unknown, title)
    };
    found.evidence.extend(left_out(&judged, all.compared - known));
    let unread = routes().map(|responses| responses.fields.unread).sum();
    found.evidence.extend(not_read(unread));
    Some(found)
}

fn bodies(count: u64) -> String {
    format_counted(count, "body", "bodies")
}

/// What must be said of bodies that were compared and not judged.
fn left_out(judged: &[Judged], left: u64) -> Vec<String> {
    let mut lines = Vec::new();
    if left > 0 {
        lines.push(format!(
            "{} are not judged: too few of a route, or too few of their requests were recorded \
             again to know how they differ by themselves",
            bodies(left)
        ));
    }
    let endless = judged.iter().filter(|each| each.has_values_for_names).count();
    if endless > 0 {
        lines.push(format!(
            "{} more names of fields than are told apart, so that these seem to be values",
            match endless {
                1 => "the bodies of 1 route have".to_owned(),
                count => format!("the bodies of {count} routes have"),
            }
        ));
    }
    lines
}

fn not_read(unread: u64) -> Option<String> {
    (unread > 0).then(|| {
        format!(
            "{} where JSON was recorded could not be looked into: packed by other means than \
             gzip, too long, or too many at once",
            bodies(unread)
        )
    })
}

/// What is found of a route.
struct Judged {
    route: String,
    /// Bodies of which it can be said whether they differ.
    bodies: u64,
    /// There are more fields than are told apart.
    has_values_for_names: bool,
    /// How they differ, a sentence each, what matters most first.
    told: Vec<String>,
}

impl Judged {
    fn of(group: &Group<'_>, confidence: f64) -> Self {
        let Responses { fields, digests, digest_repeats, .. } = &*group.responses;
        let mut judged = Self {
            route: group.name.to_string(),
            bodies: 0,
            has_values_for_names: false,
            told: Vec::new(),
        };
        if fields.known() >= MIN_COMPARED {
            let no_json = Share { part: fields.no_json, whole: fields.known() };
            judged.bodies += fields.no_json;
            judged.told.extend(told_of_no_json(no_json, confidence));
        }
        if fields.compared >= MIN_COMPARED {
            match fields.shares() {
                None => judged.has_values_for_names = true,
                Some(shares) => {
                    judged.bodies += fields.compared;
                    judged.told.extend(told_of_fields(shares.into_iter().collect(), confidence));
                }
            }
        }
        if digests.whole >= MIN_COMPARED && digest_repeats.whole >= MIN_REPEATS {
            judged.bodies += digests.whole;
            judged.told.extend(told_of_bytes(*digests, *digest_repeats, confidence));
        }
        judged
    }

    /// How it differs, in one sentence.
    fn title(&self) -> String {
        let first = self.told.first().map_or("", String::as_str);
        match self.told.len() {
            0 | 1 => format!("{}: {first}", self.route),
            count => {
                let [one, many] = MORE_DIFFERENCES;
                let more = format_counted(count as u64 - 1, one, many);
                format!("{}: {first} (and {more})", self.route)
            }
        }
    }
}

fn told_of_no_json(no_json: Share, confidence: f64) -> Option<String> {
    (wilson(no_json, confidence)[0] > MAX_SHARE).then(|| {
        format!(
            "{} of {} are no JSON, which all of those recorded were",
            format_count(no_json.part),
            bodies(no_json.whole)
        )
    })
}

/// Fields that are in fewer or more bodies than recorded; the largest difference, and of equal ones
/// the outermost field, first.
fn told_of_fields(fields: Vec<(&str, [Share; 2])>, confidence: f64) -> Vec<String> {
    let differs = |one: Share, other: Share| newcombe(one, other, confidence)[0] > MAX_SHARE;
    let mut found: Vec<_> = fields
        .into_iter()
        .filter(|(_, [recorded, answered])| {
            differs(*recorded, *answered) || differs(*answered, *recorded)
        })
        .collect();
    found.sort_by_key(|(field, [recorded, answered])| {
        (std::cmp::Reverse(recorded.part.abs_diff(answered.part)), field.len())
    });
    let told = |(field, [recorded, answered]): (&str, [Share; 2])| {
        let name: String = field.chars().take(MAX_FIELD).collect();
        format!(
            "`{name}` is in {} of {}, and was in {} of those recorded",
            format_count(answered.part),
            bodies(answered.whole),
            format_count(recorded.part)
        )
    };
    found.into_iter().map(told).collect()
}

/// Bytes that differ though production's did not.
fn told_of_bytes(digests: Share, repeats: Share, confidence: f64) -> Option<String> {
    (newcombe(digests, repeats, confidence)[0] > MAX_SHARE).then(|| {
        format!(
            "{} of {} differ from those recorded, and {} of production's own differ from the one \
             before",
            format_count(digests.part),
            bodies(digests.whole),
            format_share(repeats.ratio())
        )
    })
}
