//! How facts differ, as sentences that a person can act on.

use std::collections::{BTreeMap, BTreeSet};

use crate::act::fingerprint::Fact;

/// Nodes with the same value of a fact.
pub(super) struct Group<'a> {
    pub(super) fact: &'a Fact,
    pub(super) nodes: Vec<&'a str>,
}

/// The nodes by their value, the largest group first; failed commands are no value.
pub(super) fn groups<'a>(values: &[(&'a str, &'a Fact)]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (node, fact) in values.iter().filter(|(_, fact)| !matches!(fact, Fact::Failed(_))) {
        match groups.iter_mut().find(|group| group.fact == *fact) {
            Some(group) => group.nodes.push(node),
            None => groups.push(Group { fact, nodes: vec![node] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
    groups
}

/// The sentences about a fact that is not the same everywhere: the odd one out by majority.
pub(super) fn sentences(name: &str, groups: &[Group<'_>]) -> Vec<String> {
    let nodes: usize = groups.iter().map(|group| group.nodes.len()).sum();
    let Some((first, others)) = groups.split_first() else { return Vec::new() };
    if first.nodes.len() * 2 > nodes {
        let peers = format!("the other {}", first.nodes.len());
        return others
            .iter()
            .map(|group| {
                let who = listed(&group.nodes);
                format!("{who}: {}", difference(name, group.fact, first.fact, &peers))
            })
            .collect();
    }
    if let [second] = others
        && is_list(first.fact)
        && is_list(second.fact)
    {
        let (one, other) = (listed(&first.nodes), listed(&second.nodes));
        return vec![format!("{one}: {}", difference(name, first.fact, second.fact, &other))];
    }
    let each = |group: &Group<'_>| format!("{} has {}", listed(&group.nodes), value(group.fact));
    let each: Vec<String> = groups.iter().take(NAMED_MAX).map(each).collect();
    vec![format!("{name}: {}", each.join(", "))]
}

/// What is different about `own`, compared with what `peers` have.
pub(super) fn difference(name: &str, own: &Fact, usual: &Fact, peers: &str) -> String {
    let (Fact::Lines(own_lines), Fact::Lines(usual_lines)) = (own, usual) else {
        return format!("{name} is {}, {peers} have {}", value(own), value(usual));
    };
    if !is_list(own) && !is_list(usual) {
        return format!("{name} is {}, {peers} have {}", value(own), value(usual));
    }
    let (own, usual) = (elements(own_lines), elements(usual_lines));
    let lacks = usual.keys().filter(|key| !own.contains_key(*key)).copied();
    let more = own.keys().filter(|key| !usual.contains_key(*key)).copied();
    let other: Vec<String> = own
        .iter()
        .filter_map(|(key, rest)| {
            let theirs = usual.get(key).filter(|theirs| *theirs != rest)?;
            Some(format!("{key} {} instead of {}", joined(rest), joined(theirs)))
        })
        .collect();
    let parts = [
        counted("lacks", lacks.map(str::to_owned).collect()),
        counted("also has", more.map(str::to_owned).collect()),
        counted("has other versions:", other),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{name} {} (against {peers})", parts.join("; "))
}

/// The lines by their first word, which names a package; what follows is its version.
fn elements(lines: &[String]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut elements: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in lines {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        elements.entry(key).or_default().insert(rest);
    }
    elements
}

fn joined(texts: &BTreeSet<&str>) -> String {
    texts.iter().copied().collect::<Vec<_>>().join(" and ")
}

fn counted(verb: &str, items: Vec<String>) -> Option<String> {
    let beyond = items.len().saturating_sub(NAMED_MAX);
    let named: Vec<String> = items.into_iter().take(NAMED_MAX).collect();
    let more = if beyond == 0 { String::new() } else { format!(" and {beyond} more") };
    (!named.is_empty()).then(|| format!("{verb} {}{more}", named.join(", ")))
}

/// Most elements that a sentence names; run.json has them all.
const NAMED_MAX: usize = 8;

fn is_list(fact: &Fact) -> bool {
    matches!(fact, Fact::Lines(lines) if lines.len() > 1)
}

/// A value in a few words.
pub(crate) fn value(fact: &Fact) -> String {
    match fact {
        Fact::Absent => "none".to_owned(),
        Fact::Failed(_) => "no answer".to_owned(),
        Fact::Lines(lines) => match lines.as_slice() {
            [] => "nothing".to_owned(),
            [only] => format!("`{}`", only.chars().take(80).collect::<String>()),
            [first, second] if first.len() + second.len() < 60 => format!("`{first}`, `{second}`"),
            more => format!("{} lines", more.len()),
        },
    }
}

/// Names in a sentence.
pub(super) fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    counted("", shown).unwrap_or_default().trim().to_owned()
}
