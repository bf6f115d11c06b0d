//! What has to be alike in runs that are compared, of a saved run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::act::capacity::seen::{Asked, Capacity};
use crate::act::fingerprint::{Fact as NodeFact, Fingerprint};
use crate::act::{Evidence, Performed};
use crate::bytes::fnv1a;
use crate::compare::conditions::{Condition, Fact};
use crate::compare::run::Run;
use crate::report::model::Report;
use crate::report::settings;
use crate::report::text::clean;
use crate::units::{format_duration, format_share};

/// Longest foreign word that is kept.
const MAX_WORD: usize = 120;

/// A foreign word, fit to print.
pub(super) fn word(text: &str) -> String {
    clean(text, MAX_WORD)
}

/// A foreign word that stands for itself: what is not shown of it is in the number behind it.
pub(super) fn distinct(text: &str) -> String {
    let shown = word(text);
    if shown == text { shown } else { format!("{shown} ({:016x})", fnv1a(text.bytes())) }
}

pub(super) fn conditions(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |condition, field: &str, value: String| {
        facts.push(Fact { condition, field: field.to_owned(), value: distinct(&value) });
    };
    let recording = &report.recording;
    if let Some(load) = &report.load {
        // The name of a load is that of its target.
        add(Condition::Target, "scenario", report.scenario.clone());
        add(Condition::Load, "load.pace", load.pace.clone());
        add(Condition::Load, "load.description", load.description.clone());
        add(Condition::Load, "load.connections", load.connections.to_string());
    } else {
        add(Condition::Scenario, "scenario", report.scenario.clone());
        add(Condition::Recording, "recording.origin", recording.origin.clone());
        add(Condition::Recording, "recording.started", recording.started.clone());
        add(Condition::Recording, "recording.duration_ns", recording.duration_ns.to_string());
        add(Condition::Recording, "recording.exchanges", recording.exchanges.to_string());
        add(Condition::Recording, "recording.connections", recording.connections.to_string());
        add(Condition::Recording, "recording.window", recording.window.clone());
    }
    let plan = &report.facts;
    if !report.is_closed() {
        for (field, count) in [
            ("facts.arrivals", plan.arrivals),
            ("facts.connections", plan.connections),
            ("facts.sessions", plan.sessions),
            ("facts.peak_rate", plan.peak_rate),
            ("facts.duration_ns", plan.duration_ns),
        ] {
            add(Condition::Arrivals, field, count.to_string());
        }
        add(Condition::Plan, "facts.fingerprint", plan.fingerprint.clone());
        let pace = if report.session_pace.is_some() { "set by answers" } else { "as planned" };
        add(Condition::Arrivals, "session_pace", pace.to_owned());
    }
    for (name, value) in &report.settings {
        // Of a closed load there is no fingerprint but that of its request.
        let is_request = name == settings::REQUEST;
        let condition = if is_request { Condition::Plan } else { Condition::Settings };
        add(condition, &format!("settings.{}", word(name)), value.clone());
    }
    // What is watched changes which figures there are, and what they are the sum of.
    if !report.probes.is_empty() {
        let probes = report.probes.iter().map(|probe| format!("{} ({})", probe.name, probe.kind));
        add(Condition::Settings, "probes", probes.collect::<Vec<_>>().join(", "));
    }
    for performed in &report.acts {
        if let Evidence::Capacity(seen) = &performed.evidence {
            add(Condition::Settings, "acts.capacity", searched(seen, report));
        }
    }
    add(Condition::Target, "target", report.target.clone());
    add(Condition::Machine, "health.processors", report.health.processors.to_string());
    add(Condition::Version, "tool_version", report.tool_version.clone());
    // Whether something was replayed, and which drills came before it, changes what is measured.
    let acts = report.acts.iter().map(|Performed { act, .. }| act.name()).collect::<Vec<_>>();
    let acts = if acts.is_empty() { "none but the replay".to_owned() } else { acts.join(", ") };
    add(Condition::Scenario, "acts", acts);
    facts
}

/// How a capacity was sought, and by what: with other expectations it is another one.
fn searched(seen: &Capacity, report: &Report) -> String {
    let Asked { max, resolution, trial_ns, run_in_ns, trials, .. } = seen.asked;
    let texts: Vec<&str> = report.expectations.iter().map(|each| each.text.as_str()).collect();
    format!(
        "{trials} trials of {} after {}, up to {max} ×, to {}, by expectations {:016x}",
        format_duration(Duration::from_nanos(trial_ns)),
        format_duration(Duration::from_nanos(run_in_ns)),
        format_share(resolution),
        fnv1a(texts.join("\n").bytes())
    )
}

/// What belongs to the machines below a release, and not to it.
const OF_THE_MACHINE: [&str; 7] = [
    "kernel",
    "distro",
    "arch",
    "somaxconn",
    "tcp_max_syn_backlog",
    "file-max",
    "ip_local_port_range",
];

pub(super) fn nodes(seen: &Fingerprint, run: &mut Run) {
    for node in &seen.nodes {
        let name = word(&node.name);
        for (fact, told) in &node.facts {
            if OF_THE_MACHINE.contains(&fact.as_str()) {
                let value = match told {
                    NodeFact::Lines(lines) => distinct(&lines.join(", ")),
                    NodeFact::Absent => "absent".to_owned(),
                    NodeFact::Failed(reason) => word(reason),
                };
                let field = format!("acts.fingerprint.{name}.{fact}");
                run.conditions.push(Fact { condition: Condition::Nodes, field, value });
            } else if let NodeFact::Lines(lines) = told {
                let mut hasher = DefaultHasher::new();
                lines.hash(&mut hasher);
                run.software.insert(format!("{} of {name}", word(fact)), hasher.finish());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_that_differ_only_at_their_end_differ() {
        let long = "x".repeat(130);
        let other = format!("{long}y");
        assert_ne!(distinct(&long), distinct(&other));
        assert_eq!(distinct(&long), distinct(&long));
        assert_ne!(distinct("a\u{1b}"), distinct("a\u{7}"));
        assert_eq!(distinct("127.0.0.1:80"), "127.0.0.1:80");
        assert!(distinct(&other).chars().count() < 150);
    }
}
