//! Bodies of another size than those of production with the same status: half a page, an empty
//! list, an error text that is answered with 200.

use crate::stats::counts::as_f64;
use crate::summary::evidence::responses::Responses;
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    Group, Groups, MIN_COMPARED, MORE_ROUTES, and_more, by_itself, groups, is_beyond, less, more,
    named, such_as,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-size";

/// Largest share of a route's bodies that may be of another size without a word.
pub const MAX_SHARE: f64 = 0.01;

/// Compares sizes with the recorded ones, route by route. Staging has data of its own, so that a
/// difference is told and fails nothing; an expectation may say otherwise.
pub fn detect(input: &DetectorInput) -> Finding {
    let all = groups(input.summary, |responses| responses.sizes.ways.compared);
    if all.judged.is_empty() {
        let title = format!(
            "{} recorded size and status; {MIN_COMPARED} are needed",
            match all.compared {
                1 => "1 answer has a".to_owned(),
                count => format!("{} answers have a", format_count(count)),
            }
        );
        return finding(CHECK, Outcome::Unknown, title);
    }
    let routes = all.judged.len();
    let mut others: Vec<(&Group<'_>, bool)> = all
        .judged
        .iter()
        .filter_map(|group| Some((group, way(&group.responses, routes)?)))
        .collect();
    others.sort_by_key(|(group, is_larger)| std::cmp::Reverse(count(&group.responses, *is_larger)));
    let Some((first, rest)) = others.split_first() else { return passed(&all) };
    let title = told(first) + &and_more(rest.len());
    let mut found = finding(CHECK, Outcome::Unknown, title);
    let (group, is_larger) = first;
    found.evidence.push(by_itself(group.responses.size_repeats, "size"));
    let example = group.responses.size_examples[usize::from(*is_larger)];
    found.evidence.extend(example.map(such_as));
    found.evidence.extend(named(rest.iter().map(told), MORE_ROUTES));
    found.advice = "Look at such a body: other data are the target's own affair, half a page is \
                    not. `size-changes` in `expect` makes it a condition."
        .into();
    found
}

fn passed(all: &Groups<'_>) -> Finding {
    let bodies = format_counted(all.compared - all.left, "body", "bodies");
    let title = format!("{bodies} are as large as recorded, as far as they ever are");
    let mut found = finding(CHECK, Outcome::Pass, title);
    found.evidence.extend(all.left_out("body", "bodies"));
    found
}

/// Whether a route's bodies are larger or smaller than recorded, if they are either.
fn way(responses: &Responses, routes: usize) -> Option<bool> {
    let (ways, repeats) = (responses.sizes.ways, responses.size_repeats);
    let limit = (MAX_SHARE, routes);
    if is_beyond(less(ways), less(repeats), limit) {
        return Some(false);
    }
    is_beyond(more(ways), more(repeats), limit).then_some(true)
}

fn count(responses: &Responses, is_larger: bool) -> u64 {
    let ways = responses.sizes.ways;
    if is_larger { ways.more } else { ways.less }
}

fn told((group, is_larger): &(&Group<'_>, bool)) -> String {
    let sizes = group.responses.sizes;
    let count = count(&group.responses, *is_larger);
    let times = as_f64(sizes.answered_bytes) / as_f64(sizes.recorded_bytes.max(1));
    format!(
        "{}: {} of {} ({}) {} {} than recorded; all together are {times:.2} times as large",
        group.name,
        format_count(count),
        format_counted(sizes.ways.compared, "body", "bodies"),
        format_share(as_f64(count) / as_f64(sizes.ways.compared.max(1))),
        if count == 1 { "is" } else { "are" },
        if *is_larger { "larger" } else { "smaller" },
    )
}
