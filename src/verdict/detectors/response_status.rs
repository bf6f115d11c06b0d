//! Answers of another class than those of production to the same requests: a redirection to a
//! login, or an error on one route that is too seldom asked for to count in the whole.

use std::cmp::Ordering;

use crate::protocol::resp::{ERROR_REPLY, REPLY};
use crate::stats::counts::as_f64;
use crate::summary::Summary;
use crate::summary::evidence::responses::{OTHER_STATUSES, Responses, class};
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    and_more, by_itself, is_beyond, less, more, named, such_as,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-status";

/// Largest share of a route's answers that may be of a worse class: as for errors of a whole run.
pub const MAX_SHARE: f64 = 0.001;

/// Compares the classes of answers with the recorded ones, route by route. Errors that another
/// finding has failed for are left to it.
pub fn detect(input: &DetectorInput, errors: &Finding, body_limit: &Finding) -> Finding {
    let summary = input.summary;
    let compared: u64 = summary.routes.values().map(|route| route.responses.compared()).sum();
    if compared == 0 {
        let title = "there is no answer whose recorded one is known";
        return finding(CHECK, Outcome::Unknown, title);
    }
    let failed = |finding: &Finding| finding.outcome == Outcome::Fail;
    let (errors, too_large) = (failed(errors), failed(body_limit));
    let explained = |status: u16| errors && class(status) >= 4 || too_large && status == 413;
    let counts = |status: u16| !explained(status);
    let worse = found(summary, Ordering::Greater, &counts);
    if !worse.is_empty() {
        let mut found = finding(CHECK, Outcome::Fail, title(&worse));
        found.evidence = evidence(&worse);
        found.advice = "Send such a request by hand and follow what it is answered: logins, \
                        redirections and data that the target lacks are the usual reasons."
            .into();
        return found;
    }
    let better = found(summary, Ordering::Less, &counts);
    if !better.is_empty() {
        let mut found = finding(CHECK, Outcome::Unknown, title(&better));
        found.evidence = evidence(&better);
        found.advice = "Production answered these worse than the target: say which of them is \
                        right by `status-changes` in `expect`."
            .into();
        return found;
    }
    let beside = if errors { ", besides the errors told above" } else { "" };
    let title = format!("{} have production's class{beside}", answers(compared));
    finding(CHECK, Outcome::Pass, title)
}

fn answers(count: u64) -> String {
    format_counted(count, "answer", "answers")
}

/// A route whose answers are of another class.
struct Changed<'a> {
    route: &'a str,
    responses: &'a Responses,
    /// How many of them.
    count: u64,
    /// The most frequent of their pairs of statuses.
    pair: (u16, u16),
}

/// The most affected first.
fn found<'a>(
    summary: &'a Summary,
    way: Ordering,
    counts: &impl Fn(u16) -> bool,
) -> Vec<Changed<'a>> {
    let routes = summary.routes.len();
    let mut all: Vec<_> = summary
        .routes
        .iter()
        .filter_map(|(name, route)| {
            let responses = &route.responses;
            let count = responses.changed(way, counts);
            let repeats = responses.status_repeats;
            let repeats = if way == Ordering::Greater { more(repeats) } else { less(repeats) };
            let ways = [count, responses.changed(way.reverse(), |_| true)];
            let is_found = is_beyond(ways, responses.compared(), repeats, (MAX_SHARE, routes));
            let pairs = responses.statuses.iter().filter(|((recorded, status), _)| {
                class(*status).cmp(&class(*recorded)) == way && counts(*status)
            });
            let (pair, _) = pairs
                .filter(|(pair, _)| **pair != OTHER_STATUSES)
                .max_by_key(|(_, count)| **count)
                .filter(|_| is_found)?;
            Some(Changed { route: name, responses, count, pair: *pair })
        })
        .collect();
    all.sort_by_key(|changed| std::cmp::Reverse(changed.count));
    all
}

fn title(all: &[Changed<'_>]) -> String {
    all.first().map(|first| told(first) + &and_more(all.len() - 1)).unwrap_or_default()
}

fn told(changed: &Changed<'_>) -> String {
    let (recorded, status) = changed.pair;
    let compared = changed.responses.compared();
    format!(
        "{}: {} of {} ({}) {} {} where production's {} {}",
        changed.route,
        format_count(changed.count),
        answers(compared),
        format_share(as_f64(changed.count) / as_f64(compared.max(1))),
        if changed.count == 1 { "is" } else { "are" },
        name(status),
        if changed.count == 1 { "is" } else { "are" },
        name(recorded),
    )
}

fn name(status: u16) -> String {
    match status {
        REPLY => "a reply".to_owned(),
        ERROR_REPLY => "an error".to_owned(),
        status => status.to_string(),
    }
}

fn evidence(all: &[Changed<'_>]) -> Vec<String> {
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    let repeats = first.responses.status_repeats;
    let mut lines = vec![by_itself(repeats, "class")];
    lines.extend(first.responses.status_example.map(such_as));
    lines.extend(named(rest.iter().map(told)));
    lines
}
