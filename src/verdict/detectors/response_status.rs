//! Answers of another class than those of production to the same requests: a redirection to a
//! login, or an error on one route that is too seldom asked for to count in the whole. And those of
//! another status in the same class, such as nothing at all (204) where there was a page.

use crate::stats::counts::as_f64;
use crate::summary::evidence::responses::{Change, Responses, Seen, class, status_name};
use crate::units::{format_count, format_counted, format_share};
use crate::verdict::detectors::DetectorInput;
use crate::verdict::detectors::differing::{
    Group, Groups, MIN_COMPARED, MORE_ROUTES, Tally, and_more, by_itself, groups, is_beyond, less,
    more, named, such_as,
};
use crate::verdict::{Finding, Outcome, finding};

/// Stable name.
pub const CHECK: &str = "response-status";

/// Largest share of a route's answers that may be of a worse class: as for errors of a whole run.
pub const MAX_SHARE: f64 = 0.001;

/// Largest share of a route's answers that may have another status of the same class without a
/// word: it fails nothing, so that a few are of no interest.
pub const MAX_OTHER_SHARE: f64 = 0.01;

/// Compares the statuses of answers with the recorded ones, route by route. Errors that another
/// finding has failed for are left to it.
pub fn detect(input: &DetectorInput, errors: &Finding, body_limit: &Finding) -> Finding {
    let all = groups(input.summary, Responses::compared);
    if all.judged.is_empty() {
        return finding(CHECK, Outcome::Unknown, too_few(all.compared));
    }
    let failed = |finding: &Finding| finding.outcome == Outcome::Fail;
    let (errors, too_large) = (failed(errors), failed(body_limit));
    let explained = |status: u16| errors && class(status) >= 4 || too_large && status == 413;
    let worse = found(&all, Change::Worse, &|status| !explained(status));
    if !worse.is_empty() {
        let advice = "Send such a request by hand and follow what it is answered: logins, \
                      redirections and data that the target lacks are the usual reasons.";
        return told_of(Outcome::Fail, &worse, advice);
    }
    let told_above = found(&all, Change::Worse, &explained);
    if !told_above.is_empty() {
        let mut found = told_of(Outcome::Unknown, &told_above, "");
        found.title = format!("of the errors told above, {}", title(&told_above));
        return found;
    }
    let better = found(&all, Change::Better, &|_| true);
    if !better.is_empty() {
        let advice = "Production answered these worse than the target: say which of them is right \
                      by `status-changes` in `expect`.";
        return told_of(Outcome::Unknown, &better, advice);
    }
    let mut others = found(&all, Change::Higher, &|_| true);
    others.extend(found(&all, Change::Lower, &|_| true));
    if !others.is_empty() {
        let advice = "Look at such an answer: one without a body, or the whole where a part was \
                      asked for, may be as wrong as an error. `status-changes` in `expect` makes \
                      it a condition.";
        return told_of(Outcome::Unknown, &others, advice);
    }
    passed(&all)
}

fn too_few(compared: u64) -> String {
    if compared == 0 {
        return "there is no answer whose recorded one is known".to_owned();
    }
    format!(
        "the recorded status of {} is known; {MIN_COMPARED} are needed",
        format_counted(compared, "answer", "answers")
    )
}

fn told_of(outcome: Outcome, all: &[Changed<'_>], advice: &str) -> Finding {
    let mut found = finding(CHECK, outcome, title(all));
    found.evidence = evidence(all);
    advice.clone_into(&mut found.advice);
    found
}

fn passed(all: &Groups<'_>) -> Finding {
    let count = |change| -> u64 {
        all.judged.iter().map(|group| group.responses.count_changed(change)).sum()
    };
    let classes = count(Change::Worse) + count(Change::Better);
    let judged = all.compared - all.left;
    let title = if classes == 0 {
        format!("{} have production's class", answers(judged))
    } else {
        format!(
            "{} of {} have production's class, and the others differ as much by themselves or by \
             chance",
            format_count(judged - classes),
            answers(judged)
        )
    };
    let mut found = finding(CHECK, Outcome::Pass, title);
    found.evidence.extend(all.left_out("answer", "answers"));
    found
}

fn answers(count: u64) -> String {
    format_counted(count, "answer", "answers")
}

/// A route whose answers differ.
struct Changed<'a> {
    group: &'a Group<'a>,
    change: Change,
    /// How many of them.
    count: u64,
    /// The most frequent of their pairs of statuses.
    pair: (u16, u16),
    seen: Seen,
}

/// The most affected first.
fn found<'a>(
    all: &'a Groups<'a>,
    change: Change,
    counts: &impl Fn(u16) -> bool,
) -> Vec<Changed<'a>> {
    let limit = match change {
        Change::Worse | Change::Better => MAX_SHARE,
        _ => MAX_OTHER_SHARE,
    };
    let mut found: Vec<_> = all
        .judged
        .iter()
        .filter_map(|group| {
            let responses = &*group.responses;
            let pairs = || responses.changed(change).filter(|((_, status), _)| counts(*status));
            let count = pairs().map(|(_, seen)| seen.count).sum();
            let repeats = match change {
                Change::Worse => more(responses.class_repeats),
                Change::Better => less(responses.class_repeats),
                Change::Higher => more(responses.status_repeats),
                _ => less(responses.status_repeats),
            };
            let other = responses.count_changed(change.reverse());
            let seen = Tally { one: count, other, whole: responses.compared() };
            if !is_beyond(seen, repeats, (limit, all.judged.len())) {
                return None;
            }
            let (pair, seen) = pairs().max_by_key(|(_, seen)| seen.count)?;
            Some(Changed { group, change, count, pair, seen })
        })
        .collect();
    found.sort_by_key(|changed| std::cmp::Reverse(changed.count));
    found
}

fn title(all: &[Changed<'_>]) -> String {
    all.first().map(|first| told(first) + &and_more(all.len() - 1)).unwrap_or_default()
}

fn told(changed: &Changed<'_>) -> String {
    let Changed { group, change, count, pair: (recorded, status), seen } = changed;
    let compared = group.responses.compared();
    let start = format!(
        "{}: {} of {} ({})",
        group.name,
        format_count(*count),
        answers(compared),
        format_share(as_f64(*count) / as_f64(compared.max(1)))
    );
    let is = |count: u64| if count == 1 { "is" } else { "are" };
    let where_those = |count: u64| {
        format!(
            "{} where production's {} {}",
            status_name(*status),
            is(count),
            status_name(*recorded)
        )
    };
    if seen.count == *count {
        return format!("{start} {} {}", is(*count), where_those(*count));
    }
    let kind = match change {
        Change::Worse => "a worse class",
        Change::Better => "a better class",
        _ => "another status",
    };
    let most = format_count(seen.count);
    let (are, those) = (is(seen.count), where_those(seen.count));
    format!("{start} are of {kind}, {most} of them {are} {those}")
}

fn evidence(all: &[Changed<'_>]) -> Vec<String> {
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    let responses = &first.group.responses;
    let (repeats, what) = match first.change {
        Change::Worse | Change::Better => (responses.class_repeats, "class"),
        _ => (responses.status_repeats, "status"),
    };
    let mut lines = vec![by_itself(repeats, what), such_as(first.seen.first)];
    lines.extend(named(rest.iter().map(told), MORE_ROUTES));
    lines
}
