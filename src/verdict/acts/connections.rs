//! What the evidence of the act `connections` means.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::act::connections::seen::{
    Burst, DemandSum, Ended, Late, LazyPools, Recovery, StaticLimit, TRIES,
};
use crate::act::connections::{Connections, EndpointSeen};
use crate::units::{format_count, format_duration};
use crate::verdict::{Finding, Outcome, about, finding};

/// Stable name: the limit was found.
pub const CHECK: &str = "connections";

/// Stable name: the limit against what the services will need.
pub const DEMAND: &str = "connection-demand";

/// Stable name: the whole demand at once.
pub const LAZY_POOLS: &str = "lazy-pools";

/// The limit should be the demand and three tenths, in percent.
const HEADROOM_PERCENT: u64 = 130;

/// Judges the evidence.
pub fn judge(evidence: &Connections) -> Vec<Finding> {
    if evidence.endpoints.is_empty() {
        return vec![finding(CHECK, Outcome::Unknown, "no endpoint was looked at")];
    }
    let named = |seen: &EndpointSeen| {
        let mut found = of_endpoint(seen);
        about(&mut found, &seen.name);
        found
    };
    let mut findings: Vec<Finding> = evidence.endpoints.iter().flat_map(named).collect();
    if evidence.stopped {
        // What was cut short proves nothing good.
        for found in findings.iter_mut().filter(|found| found.outcome == Outcome::Pass) {
            found.outcome = Outcome::Unknown;
            found.evidence.push("the act was stopped".to_owned());
        }
    }
    findings
}

fn of_endpoint(seen: &EndpointSeen) -> Vec<Finding> {
    let Some(limit) = seen.limit.as_ref().filter(|_| seen.trouble.is_none()) else {
        let why = seen.trouble.as_deref().unwrap_or("nothing was seen");
        let mut unknown = finding(CHECK, Outcome::Unknown, format!("{}: {why}", seen.name));
        unknown.advice = format!("Check that {} can be used from here.", seen.address);
        return vec![unknown];
    };
    if limit.is_gone() {
        return gone(seen, limit);
    }
    let mut findings = vec![found(seen, limit)];
    if let Some(demand) = &seen.demand {
        findings.push(compared(seen, limit, demand));
    }
    findings.extend(seen.drills.iter().map(|pools| drilled(seen, pools)));
    findings
}

/// Of a server that ended in the search nothing else is known.
fn gone(seen: &EndpointSeen, limit: &StaticLimit) -> Vec<Finding> {
    let title = format!("{} went away in the search: nobody listens any more", seen.name);
    let mut gone = finding(CHECK, Outcome::Unknown, title);
    gone.evidence = vec![format!("it closed {} that were held", format_count(limit.lost))];
    gone.advice =
        "It has crashed, or was ended: look into its log for why, begin it again, and repeat."
            .into();
    let demand = seen.demand.as_ref().map(|_| {
        let title = format!("{}: not known, since it went away", seen.name);
        finding(DEMAND, Outcome::Unknown, title)
    });
    std::iter::once(gone).chain(demand).collect()
}

/// The limit itself.
fn found(seen: &EndpointSeen, limit: &StaticLimit) -> Finding {
    let (name, total) = (&seen.name, format_count(limit.total()));
    let mut found = match (&limit.refusal, limit.ended) {
        (Some(_), _) if limit.is_certain() => {
            let title = format!("{name} admits {total} connections, and no more");
            finding(CHECK, Outcome::Pass, title)
        }
        (Some(_), _) => {
            let title = format!("{name} turned some away at {total} connections; no certain limit");
            let mut unknown = finding(CHECK, Outcome::Unknown, title);
            unknown.advice =
                "Repeat it while nobody else opens or closes connections there.".into();
            unknown
        }
        (None, Some(Ended::Max)) => {
            finding(CHECK, Outcome::Pass, format!("{name} has no limit up to {total} connections"))
        }
        (None, ended) => unmet(name, &total, ended),
    };
    if limit.lost > 0 {
        found.outcome = Outcome::Unknown;
        found.advice = "It closes connections that are in use: look into its log for why.".into();
    }
    if found.outcome == Outcome::Pass
        && let Some(why) = seen.burst.as_ref().and_then(|burst| burst.trouble.as_ref())
    {
        found.outcome = Outcome::Unknown;
        found.advice = format!("The limit stands. For how many may come at once, repair: {why}.");
    }
    found.evidence = evidence(seen, limit);
    found
}

/// A search that ended before anybody was turned away.
fn unmet(name: &str, total: &str, ended: Option<Ended>) -> Finding {
    let (why, advice) = match ended {
        Some(Ended::OpenFiles) => (
            "this process may open no more files",
            "Raise this machine's limit on open files (ulimit -n), or lower `max` in the act's \
             options.",
        ),
        Some(Ended::Time) => {
            ("the search took too long", "Raise `within` in the act's options, or lower `max`.")
        }
        _ => ("the search was stopped", "Repeat it, and let it end by itself."),
    };
    let title = format!("{name} has no limit up to {total} connections, then {why}");
    let mut unknown = finding(CHECK, Outcome::Unknown, title);
    unknown.advice = advice.into();
    unknown
}

fn evidence(seen: &EndpointSeen, limit: &StaticLimit) -> Vec<String> {
    let mut lines = vec![limit.others.map_or_else(
        || format!("{} were held here; those of others are not known", format_count(limit.held)),
        |others| {
            let (held, others) = (format_count(limit.held), format_count(others));
            format!("{held} were held here, {others} by others")
        },
    )];
    if let Some(refusal) = &limit.refusal {
        lines.push(format!("the next one was turned away: {}", refusal.text()));
        let how = if limit.queue {
            "one more was turned away; closing one makes no room, as in a queue nobody empties"
        } else {
            "at one less and one more"
        };
        lines.push(format!("confirmed {} of {TRIES} times: {how}", limit.confirmed));
    }
    if let Some(configured) = limit.configured {
        let (all, kept) = (format_count(configured), format_count(limit.reserved));
        lines.push(format!("it says its limit is {all}, of which {kept} are for administrators"));
    }
    if limit.lost > 0 {
        lines.push(format!("it closed {} that were held", format_count(limit.lost)));
    }
    lines.extend(seen.burst.iter().flat_map(at_once));
    lines.extend(seen.recovery.as_ref().map(recovered));
    lines
}

/// How many may come at once.
fn at_once(burst: &Burst) -> Vec<String> {
    let clean = format_count(burst.clean);
    let mut lines = vec![match burst.broken {
        Some(broken) => {
            let (broken, late) = (format_count(broken), late(&burst.late).join(", "));
            format!("of {broken} connects at once, {late}; of {clean} none")
        }
        None if burst.untimed => format!(
            "bursts of up to {clean} were admitted; whether connects were repeated is not known"
        ),
        None => format!("bursts of up to {clean} connected at once"),
    }];
    if burst.turned_away > 0 {
        let away = format_count(burst.turned_away);
        lines.push(format!("of a burst, {away} were connected, and then turned away"));
    }
    let trouble = burst.trouble.as_ref();
    lines.extend(trouble.map(|why| format!("larger bursts are not known: {why}")));
    lines
}

/// Connects that were late, by how.
fn late(late: &Late) -> Vec<String> {
    let repeated = late.repeated.iter();
    let mut parts: Vec<String> = repeated
        .map(|(after, many)| format!("{} were repeated after {after} s", format_count(*many)))
        .collect();
    if late.hung > 0 {
        parts.push(format!("{} hung", format_count(late.hung)));
    }
    if late.slow > 0 {
        parts.push(format!("{} were slow without being repeated", format_count(late.slow)));
    }
    parts
}

fn recovered(recovery: &Recovery) -> String {
    let time = |ns: u64| format_duration(Duration::from_nanos(ns));
    let (served, wanted) = (format_count(recovery.served), format_count(recovery.wanted));
    let how = if recovery.refused > 0 {
        format!("the last was turned away {} after it", time(recovery.last_refused_ns))
    } else {
        "nobody was turned away".to_owned()
    };
    let took = time(recovery.took_ns);
    if let Some(why) = &recovery.trouble {
        return format!("recovery is not known: {served} of {wanted} in {took}, then {why}");
    }
    format!("{served} of {wanted} were opened and served again within {took} of the release; {how}")
}

/// The limit against the demand.
fn compared(seen: &EndpointSeen, limit: &StaticLimit, demand: &DemandSum) -> Finding {
    let (usable, needed) = (limit.usable(), demand.total().max(1));
    let percent = usable.saturating_mul(100) / needed;
    let is_bounded = limit.refusal.is_some();
    let is_doubtful = limit.lost > 0 || (is_bounded && !limit.is_certain());
    let outcome = if is_doubtful {
        Outcome::Unknown
    } else if percent >= HEADROOM_PERCENT {
        Outcome::Pass
    } else if percent < 100 && is_bounded {
        Outcome::Fail
    } else {
        Outcome::Unknown
    };
    let at_least = if is_bounded { "" } else { "at least " };
    let title = format!(
        "{}: {at_least}{} connections for a demand of {}",
        seen.name,
        format_count(usable),
        format_count(needed)
    );
    let mut found = finding(DEMAND, outcome, title);
    found.evidence = vec![
        format!("the limit is {at_least}{percent} % of the demand; 130 % are wanted"),
        demand.from.clone(),
    ];
    if !demand.recorded {
        found.evidence.push(format!(
            "{} connections a generation, {} generations at once, and a tenth in reserve",
            format_count(demand.connections),
            format_count(demand.generations)
        ));
    }
    if is_doubtful {
        found.evidence.insert(0, "the limit is not certain".to_owned());
    }
    found.advice = match (outcome, is_bounded) {
        _ if is_doubtful => format!("Find the limit of {} first.", seen.name),
        (Outcome::Pass, _) => String::new(),
        (_, true) => format!(
            "Raise the limit of {} (and its limit on open files), or make the pools smaller; mind \
             that both generations hold theirs during a release.",
            seen.name
        ),
        (_, false) => "Raise `max` in the act's options, to see whether the demand fits.".into(),
    };
    found
}

fn generations(pools: &LazyPools) -> &'static str {
    if pools.generations == 1 { "one generation" } else { "all generations" }
}

/// The demand at once.
fn drilled(seen: &EndpointSeen, pools: &LazyPools) -> Finding {
    let turned_away: u64 = pools.refused.values().sum();
    let outcome = if turned_away > 0 || (pools.late.lost() > 0 && pools.trouble.is_none()) {
        Outcome::Fail
    } else if pools.trouble.is_some() || pools.opened < pools.needed || pools.needed == 0 {
        Outcome::Unknown
    } else {
        Outcome::Pass
    };
    let title = format!(
        "{}: {} of {} connections were admitted at once ({} of the pools at once)",
        seen.name,
        format_count(pools.opened),
        format_count(pools.needed),
        generations(pools)
    );
    let mut found = finding(LAZY_POOLS, outcome, title);
    found.subject = format!("{} {}", seen.name, generations(pools));
    let time = |ns: u64| format_duration(Duration::from_nanos(ns));
    found.evidence = vec![format!(
        "admitted after {} (median), {} at the longest",
        time(pools.median_ns),
        time(pools.longest_ns)
    )];
    let refused = pools.refused.iter();
    found.evidence.extend(refused.map(|(how, many)| format!("{} {how}", format_count(*many))));
    found.evidence.extend(late(&pools.late).into_iter().map(|part| format!("connects: {part}")));
    found.evidence.extend(pools.trouble.clone());
    if pools.asked < pools.needed {
        found.evidence.push(format!("only {} were tried", format_count(pools.asked)));
    }
    if outcome != Outcome::Pass {
        found.advice = "Fill the pools before users come, and raise the limit or the accept \
                        queue (backlog, somaxconn) so that all may connect at once."
            .into();
    }
    found
}
