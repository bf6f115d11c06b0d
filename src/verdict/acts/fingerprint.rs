//! What the evidence of the act `fingerprint` means: nodes that differ from their peers, from the
//! last good release, in their behaviour, or in their clocks.

pub(crate) mod diff;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::act::fingerprint::{Behaviour, Fact, Fingerprint, NodeFacts, Snapshot};
use crate::units::{format_counted, format_duration, format_share};
use crate::verdict::acts::fingerprint::diff::{difference, groups, listed, sentences};
use crate::verdict::{Finding, Outcome, finding};

/// Nodes that differ from each other; stable name.
pub const NODE_DRIFT: &str = "node-drift";

/// Nodes that differ from the last good release; stable name.
pub const RELEASE_DRIFT: &str = "release-drift";

/// A node that answers otherwise than its peers; stable name.
pub const NODE_BEHAVIOUR: &str = "node-behaviour";

/// A node whose clock is wrong; stable name.
pub const CLOCK_OFFSET: &str = "clock-offset";

/// A clock may be wrong by this: more, and logs of two nodes cannot be read side by side.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(2);

/// A share of errors is another one when it is this many standard errors above the others' ...
pub const FUNNEL_Z: f64 = 4.0;

/// ... and this many times as large as that of the other nodes.
pub const FUNNEL_RATIO: f64 = 2.0;

/// Fewest requests to a node that can be compared.
pub const MIN_REQUESTS: u32 = 10;

/// A slower node must be slower by this, too.
pub const MIN_DELAY: Duration = Duration::from_millis(5);

/// Judges the evidence.
pub fn judge(evidence: &Fingerprint) -> Vec<Finding> {
    let mut findings = Vec::new();
    if evidence.nodes.len() != 1 || evidence.snapshot.is_none() {
        findings.push(node_drift(evidence));
    }
    if let Some(snapshot) = &evidence.snapshot {
        findings.push(release_drift(evidence, snapshot));
    }
    if !evidence.behaviour.is_empty() {
        findings.push(node_behaviour(&evidence.behaviour));
    }
    findings.push(clock_offset(&evidence.nodes));
    findings
}

/// Differences by what they mean.
#[derive(Default)]
struct Differences {
    failing: Vec<String>,
    facts: BTreeSet<String>,
    told: Vec<String>,
    unknown: Vec<String>,
}

impl Differences {
    fn add(&mut self, warn: &[String], name: &str, sentences: Vec<String>) {
        if warn.iter().any(|each| each == name) {
            self.told.extend(sentences.into_iter().map(|text| format!("{text} (may differ)")));
        } else if !sentences.is_empty() {
            self.facts.insert(name.to_owned());
            self.failing.extend(sentences);
        }
    }

    fn finding(self, check: &str, alike: String, differ: &str, advice: &str) -> Finding {
        let (outcome, title) = if !self.failing.is_empty() {
            let facts: Vec<&str> = self.facts.iter().map(String::as_str).collect();
            (Outcome::Fail, format!("{differ}: {}", listed(&facts)))
        } else if let Some(first) = self.unknown.first() {
            (Outcome::Unknown, format!("not everything could be compared: {first}"))
        } else {
            (Outcome::Pass, alike)
        };
        let mut found = finding(check, outcome, title);
        found.advice = match outcome {
            Outcome::Fail => advice.to_owned(),
            Outcome::Unknown => "Repair the command of the node in `nodes`, and what it may read \
                                 there; try it by hand."
                .to_owned(),
            Outcome::Pass => String::new(),
        };
        found.evidence = [self.failing, self.unknown, self.told].concat();
        found
    }
}

/// What could not be seen, as sentences.
fn unseen(nodes: &[NodeFacts]) -> Vec<String> {
    let mut unseen = Vec::new();
    for node in nodes {
        if let Some(problem) = &node.problem {
            unseen.push(format!("{}: {problem}", node.name));
        }
        for (name, fact) in &node.facts {
            if let Fact::Failed(problem) = fact {
                unseen.push(format!("{}: {name} could not be read: {problem}", node.name));
            }
        }
    }
    unseen
}

fn heard(nodes: &[NodeFacts]) -> Vec<&NodeFacts> {
    nodes.iter().filter(|node| node.problem.is_none() && !node.facts.is_empty()).collect()
}

fn node_drift(evidence: &Fingerprint) -> Finding {
    let heard = heard(&evidence.nodes);
    let mut differences = Differences { unknown: unseen(&evidence.nodes), ..Default::default() };
    if heard.len() < 2 {
        let title = match (heard.len(), evidence.nodes.len()) {
            (_, 0) => "no node was asked".to_owned(),
            (_, 1) => "one node has no other to differ from".to_owned(),
            (heard, all) => format!("{heard} of {all} nodes could be asked; two are needed"),
        };
        let mut found = finding(NODE_DRIFT, Outcome::Unknown, title);
        found.evidence = differences.unknown;
        found.advice = "List the machines of the stack under `nodes`, each with the command that \
                        reaches it, such as `a: { run: \"ssh a\" }`; try the command by hand."
            .into();
        return found;
    }
    let names: BTreeSet<&String> = heard.iter().flat_map(|node| node.facts.keys()).collect();
    for name in &names {
        let values: Vec<(&str, &Fact)> = heard
            .iter()
            .filter_map(|node| Some((node.name.as_str(), node.facts.get(*name)?)))
            .collect();
        let groups = groups(&values);
        if groups.len() > 1 {
            differences.add(&evidence.warn, name, sentences(name, &groups));
        }
    }
    let alike = format!("{} nodes are alike in {} facts", heard.len(), names.len());
    differences.finding(
        NODE_DRIFT,
        alike,
        "the nodes are not alike",
        "Build the nodes from one image, or bring the odd one to what its peers have; name facts \
         that may differ in `warn`.",
    )
}

fn release_drift(evidence: &Fingerprint, snapshot: &Snapshot) -> Finding {
    if let Some(problem) = &snapshot.problem {
        let title = format!("no snapshot to compare with in {}: {problem}", snapshot.path);
        let mut found = finding(RELEASE_DRIFT, Outcome::Unknown, title);
        found.advice = format!(
            "While the last good release runs, make it: `peakhour run SCENARIO --only fingerprint \
             --save-snapshot {}`.",
            snapshot.path
        );
        return found;
    }
    let heard = heard(&evidence.nodes);
    let mut differences = Differences { unknown: unseen(&evidence.nodes), ..Default::default() };
    if heard.is_empty() || snapshot.nodes.is_empty() {
        let title = "there is nothing to compare: no node was heard, or none was saved";
        let mut found = finding(RELEASE_DRIFT, Outcome::Unknown, title);
        found.evidence = differences.unknown;
        return found;
    }
    for node in &heard {
        for (name, fact) in &node.facts {
            let Some(saved) = saved(snapshot, &node.name, name) else { continue };
            let is_failed = matches!(fact, Fact::Failed(_)) || matches!(saved, Fact::Failed(_));
            if fact != saved && !is_failed {
                let text = difference(name, fact, saved, "the saved nodes");
                differences.add(&evidence.warn, name, vec![format!("{}: {text}", node.name)]);
            }
        }
    }
    let alike = format!("{} nodes are as in {}", heard.len(), snapshot.path);
    differences.finding(
        RELEASE_DRIFT,
        alike,
        "not as in the last good release",
        "Undo what changed without being part of the release; where it is part of it, save a new \
         snapshot with --save-snapshot.",
    )
}

/// What a node is expected to have: what was saved of it, or, for a new node, what all of the saved
/// ones had.
fn saved<'a>(snapshot: &'a Snapshot, node: &str, name: &str) -> Option<&'a Fact> {
    if let Some(facts) = snapshot.nodes.get(node) {
        return facts.get(name);
    }
    let mut facts = snapshot.nodes.values().filter_map(|facts| facts.get(name));
    let first = facts.next()?;
    facts.all(|other| other == first).then_some(first)
}

fn node_behaviour(seen: &[Behaviour]) -> Finding {
    let asked: Vec<&Behaviour> =
        seen.iter().filter(|each| each.problem.is_none() && each.requests > 0).collect();
    let mut evidence: Vec<String> = seen
        .iter()
        .filter_map(|each| Some(format!("{}: {}", each.node, each.problem.as_ref()?)))
        .collect();
    let unasked = evidence.len();
    evidence.extend(asked.iter().map(|each| told(each)));
    let odd: Vec<String> = asked.iter().filter_map(|each| oddity(each, &asked)).collect();
    let all: u32 = asked.iter().map(|each| each.requests).sum();
    let errors: u32 = asked.iter().map(|each| each.errors).sum();
    let few = asked.iter().all(|each| each.requests < MIN_REQUESTS);
    let (outcome, title, advice) = if let Some(first) = odd.first() {
        (Outcome::Fail, first.clone(), "Take the node out, and compare it with its peers.")
    } else if asked.len() < 2 || few {
        let asked = format_counted(asked.len() as u64, "node was", "nodes were");
        let why = evidence.first().filter(|_| unasked > 0);
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        let title = format!("{asked} asked; two are needed{why}");
        (Outcome::Unknown, title, "Give each node a `url`, and name its host in `target.allow`.")
    } else if errors * 2 >= all {
        let title = format!("{errors} of {all} requests failed, so that nodes cannot be compared");
        (Outcome::Unknown, title, "Check the URLs of the nodes, and the headers under `rewrite`.")
    } else if unasked > 0 {
        let title = format!("{unasked} nodes could not be asked");
        (Outcome::Unknown, title, "See the reasons; hosts must be named in `target.allow`.")
    } else {
        (Outcome::Pass, format!("{} nodes answer alike", asked.len()), "")
    };
    let mut found = finding(NODE_BEHAVIOUR, outcome, title);
    found.evidence = [odd.get(1..).unwrap_or_default().to_vec(), evidence].concat();
    found.advice = advice.into();
    found
}

fn told(seen: &Behaviour) -> String {
    let median = seen.median_ns.map_or_else(
        || "no answer".to_owned(),
        |median| format!("median {}", format_duration(Duration::from_nanos(median))),
    );
    format!(
        "{}: {} of {} requests failed ({} without an answer), {median}",
        seen.node, seen.errors, seen.requests, seen.unanswered
    )
}

/// What is odd about a node, by a funnel around all nodes.
fn oddity(own: &Behaviour, all: &[&Behaviour]) -> Option<String> {
    let others = || all.iter().filter(|each| each.node != own.node);
    if own.requests == 0 || others().count() == 0 {
        return None;
    }
    let sum = |count: fn(&Behaviour) -> u32| others().map(|each| count(each)).sum::<u32>();
    let (requests, errors) = (sum(|each| each.requests), sum(|each| each.errors));
    let share = |errors: u32, requests: u32| f64::from(errors) / f64::from(requests.max(1));
    let (theirs, ours) = (share(errors, requests), share(own.errors, own.requests));
    let z = distance([own.errors, own.requests], [errors, requests]);
    if z > FUNNEL_Z && ours > theirs * FUNNEL_RATIO {
        return Some(format!(
            "{} fails {} of requests, its peers {}",
            own.node,
            format_share(ours),
            format_share(theirs)
        ));
    }
    if own.requests - own.unanswered < MIN_REQUESTS {
        return None;
    }
    let mut medians: Vec<u64> = others().filter_map(|each| each.median_ns).collect();
    medians.sort_unstable();
    let usual = Duration::from_nanos(*medians.get(medians.len() / 2)?);
    let median = Duration::from_nanos(own.median_ns?);
    let is_slower = median.as_secs_f64() > usual.as_secs_f64() * FUNNEL_RATIO
        && median.saturating_sub(usual) > MIN_DELAY;
    is_slower.then(|| {
        let (own_text, usual) = (format_duration(median), format_duration(usual));
        format!("{} takes {own_text} to answer, its peers {usual}", own.node)
    })
}

/// How many standard errors a share lies above another one, by Agresti and Caffo: a success and a
/// failure are added to each, so that neither none of many nor all of few is taken for certain.
///
/// Not from the mean of all nodes: of two, the odd one is half of that mean, and hides in it.
fn distance(own: [u32; 2], others: [u32; 2]) -> f64 {
    let [ours, theirs] = [own, others].map(|[errors, requests]| {
        let requests = f64::from(requests) + 2.0;
        let share = (f64::from(errors) + 1.0) / requests;
        (share, share * (1.0 - share) / requests)
    });
    (ours.0 - theirs.0) / (ours.1 + theirs.1).sqrt()
}

fn clock_offset(nodes: &[NodeFacts]) -> Finding {
    let (mut wrong, mut unsure, mut worst) = (Vec::new(), Vec::new(), 0);
    for node in nodes {
        let Some(clock) = node.clock else {
            unsure.push(format!("{}: its clock was not seen", node.name));
            continue;
        };
        let offset = clock.offset_ns.unsigned_abs();
        let bound = u64::try_from(CLOCK_OFFSET_MAX.as_nanos()).unwrap_or(u64::MAX);
        let text = format_duration(Duration::from_nanos(offset));
        let side = if clock.offset_ns < 0 { "behind" } else { "ahead" };
        worst = worst.max(offset);
        if offset.saturating_sub(clock.uncertainty_ns) > bound {
            wrong.push(format!("the clock of {} is {text} {side} of ours", node.name));
        } else if offset.saturating_add(clock.uncertainty_ns) > bound {
            let by = format_duration(Duration::from_nanos(clock.uncertainty_ns));
            unsure.push(format!("{}: {text} {side} of ours, give or take {by}", node.name));
        }
    }
    let (outcome, title, advice) = match (wrong.first(), unsure.first()) {
        (Some(first), _) => {
            (Outcome::Fail, first.clone(), "Let NTP set the clock, on the node and here.")
        }
        (None, Some(first)) => (
            Outcome::Unknown,
            format!("not every clock could be compared: {first}"),
            "Repair the command of the node in `nodes`; it must print what `date` prints at once.",
        ),
        (None, None) if nodes.is_empty() => (Outcome::Unknown, "no clock was seen".to_owned(), ""),
        (None, None) => {
            let worst = format_duration(Duration::from_nanos(worst));
            (Outcome::Pass, format!("all clocks are within {worst} of ours"), "")
        }
    };
    let mut found = finding(CLOCK_OFFSET, outcome, title);
    found.evidence = [wrong.get(1..).unwrap_or_default().to_vec(), unsure].concat();
    found.advice = advice.into();
    found
}

#[cfg(test)]
mod tests;
