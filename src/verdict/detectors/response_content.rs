//! Bodies with other contents than production's: of JSON, fields that are gone or new; of others,
//! bytes that differ where production's never did.

use crate::stats::shares::{Share, newcombe};
use crate::summary::evidence::responses::Responses;
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    MIN_COMPARED, MIN_REPEATS, and_more, confidence, named,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-content";

/// Largest share of a route's bodies that may differ without a word.
pub const MAX_SHARE: f64 = 0.05;

/// Compares contents with the recorded ones, route by route, where the recording kept something of
/// them. A field that is there now and then is so on both sides; bytes count only where requests
/// that were recorded again show by how much they differ by themselves.
pub fn detect(input: &DetectorInput) -> Finding {
    let routes = || input.summary.routes.iter().map(|(name, route)| (&**name, &route.responses));
    let known: u64 = routes().map(|(_, responses)| known(responses)).sum();
    if known == 0 {
        let title = "the recording kept no contents of answers, so that none are compared";
        return finding(CHECK, Outcome::Unknown, title);
    }
    let fields: usize = routes().map(|(_, responses)| responses.fields().len()).sum();
    let confidence = confidence(fields + routes().count());
    let mut told: Vec<String> = routes().flat_map(|each| fields_of(each, confidence)).collect();
    told.extend(routes().filter_map(|each| bytes_of(each, confidence)));
    let Some((first, rest)) = told.split_first() else {
        return without(known, routes().map(|(_, responses)| responses));
    };
    let title = first.clone() + &and_more(rest.len());
    let mut found = finding(CHECK, Outcome::Unknown, title);
    found.evidence = named(rest.iter().cloned());
    found.evidence.insert(0, format!("{} were compared", bodies(known)));
    found.advice = "Look at such an answer beside the recorded one: a field that clients use must \
                    be there; other data may be the target's own affair."
        .into();
    found
}

fn bodies(count: u64) -> String {
    format_counted(count, "body", "bodies")
}

/// Bodies of which anything was compared.
fn known(responses: &Responses) -> u64 {
    let shapes: u64 = responses.shapes.values().map(|[recorded, _]| recorded).sum();
    responses.digests.whole.max(shapes)
}

/// Nothing differs, or nothing could be seen to.
fn without<'a>(known: u64, all: impl Iterator<Item = &'a Responses>) -> Finding {
    let is_judged = |responses: &Responses| {
        let shapes: u64 = responses.shapes.values().map(|[recorded, _]| recorded).sum();
        let Share { whole, .. } = responses.digest_repeats;
        shapes >= MIN_COMPARED || responses.digests.whole >= MIN_COMPARED && whole >= MIN_REPEATS
    };
    if !all.into_iter().any(is_judged) {
        let title = format!(
            "{} are too few, or none of their requests was recorded often enough to know how \
             answers differ by themselves",
            bodies(known)
        );
        return finding(CHECK, Outcome::Unknown, title);
    }
    let title = format!("{} have the contents recorded, as far as they ever do", bodies(known));
    finding(CHECK, Outcome::Pass, title)
}

/// Fields that are in fewer or more bodies than recorded.
fn fields_of((route, responses): (&str, &Responses), confidence: f64) -> Vec<String> {
    let differs = |one: Share, other: Share| newcombe(one, other, confidence)[0] > MAX_SHARE;
    let is_judged = |side: &Share| side.whole >= MIN_COMPARED;
    let fields = responses.fields().into_iter().filter(|(_, sides)| sides.iter().all(is_judged));
    let found = fields.filter(|(_, [recorded, answered])| {
        differs(*recorded, *answered) || differs(*answered, *recorded)
    });
    let told = |(field, [recorded, answered]): (&str, [Share; 2])| {
        format!(
            "{route}: `{field}` is in {} of {}, and was in {} of those recorded",
            format_count(answered.part),
            bodies(answered.whole),
            format_count(recorded.part)
        )
    };
    found.map(told).collect()
}

/// Bytes that differ though production's did not.
fn bytes_of((route, responses): (&str, &Responses), confidence: f64) -> Option<String> {
    let (digests, repeats) = (responses.digests, responses.digest_repeats);
    let is_judged = digests.whole >= MIN_COMPARED && repeats.whole >= MIN_REPEATS;
    let is_found = is_judged && newcombe(digests, repeats, confidence)[0] > MAX_SHARE;
    is_found.then(|| {
        format!(
            "{route}: {} of {} differ from those recorded, and {} of production's own differ from \
             the one before",
            format_count(digests.part),
            bodies(digests.whole),
            format_share(repeats.ratio())
        )
    })
}
