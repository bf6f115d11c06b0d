//! Bodies of another size than those of production with the same status: half a page, an empty
//! list, an error text that is answered with 200.

use crate::stats::counts::as_f64;
use crate::summary::evidence::responses::Responses;
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    MIN_COMPARED, and_more, by_itself, is_beyond, less, more, named, such_as,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-size";

/// Largest share of a route's bodies that may be of another size without a word.
pub const MAX_SHARE: f64 = 0.01;

/// Compares sizes with the recorded ones, route by route. Staging has data of its own, so that a
/// difference is told and fails nothing; an expectation may say otherwise.
pub fn detect(input: &DetectorInput) -> Finding {
    let summary = input.summary;
    let compared: u64 =
        summary.routes.values().map(|route| route.responses.sizes.ways.compared).sum();
    if compared < MIN_COMPARED {
        let title = format!(
            "the recorded size of {} is known; {MIN_COMPARED} are needed",
            format_counted(compared, "answer", "answers")
        );
        return finding(CHECK, Outcome::Unknown, title);
    }
    let routes = summary.routes.len();
    let mut all: Vec<(&str, &Responses, bool)> = summary
        .routes
        .iter()
        .filter_map(|(name, route)| {
            let is_larger = way(&route.responses, routes)?;
            Some((&**name, &route.responses, is_larger))
        })
        .collect();
    all.sort_by_key(|(_, responses, is_larger)| std::cmp::Reverse(count(responses, *is_larger)));
    let Some((first, rest)) = all.split_first() else {
        let bodies = format_counted(compared, "body", "bodies");
        let title = format!("{bodies} are as large as recorded, as far as they ever are");
        return finding(CHECK, Outcome::Pass, title);
    };
    let title = told(first) + &and_more(rest.len());
    let mut found = finding(CHECK, Outcome::Unknown, title);
    found.evidence.push(by_itself(first.1.size_repeats, "size"));
    found.evidence.extend(first.1.size_example.map(such_as));
    found.evidence.extend(named(rest.iter().map(told)));
    found.advice = "Look at such a body: other data are the target's own affair, half a page is \
                    not. `size-changes` in `expect` makes it a condition."
        .into();
    found
}

/// Whether a route's bodies are larger or smaller than recorded, if they are either.
fn way(responses: &Responses, routes: usize) -> Option<bool> {
    let (ways, repeats) = (responses.sizes.ways, responses.size_repeats);
    let limit = (MAX_SHARE, routes);
    if is_beyond([ways.less, ways.more], ways.compared, less(repeats), limit) {
        return Some(false);
    }
    is_beyond([ways.more, ways.less], ways.compared, more(repeats), limit).then_some(true)
}

fn count(responses: &Responses, is_larger: bool) -> u64 {
    let ways = responses.sizes.ways;
    if is_larger { ways.more } else { ways.less }
}

fn told((route, responses, is_larger): &(&str, &Responses, bool)) -> String {
    let sizes = responses.sizes;
    let count = count(responses, *is_larger);
    let times = as_f64(sizes.answered_bytes) / as_f64(sizes.recorded_bytes.max(1));
    format!(
        "{route}: {} of {} ({}) are {} than recorded; all together are {times:.2} times as large",
        format_count(count),
        format_counted(sizes.ways.compared, "body", "bodies"),
        format_share(as_f64(count) / as_f64(sizes.ways.compared.max(1))),
        if *is_larger { "larger" } else { "smaller" },
    )
}
