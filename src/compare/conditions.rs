//! What has to be alike in runs that are compared.

use std::collections::BTreeMap;

use crate::compare::CompareError;
use crate::compare::run::Run;

/// A kind of difference that makes a comparison a false one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Another scenario.
    Scenario,
    /// Another recording, or another part of it.
    Recording,
    /// Another load, where none was recorded.
    Load,
    /// Other requests, by their number and curve.
    Arrivals,
    /// Other bytes or moments of requests.
    Plan,
    /// Another target.
    Target,
    /// Other limits, another way to the target, or something broken on purpose.
    Settings,
    /// Another machine that sent.
    Machine,
    /// Other nodes: another kernel, system or limit.
    Nodes,
    /// Another version of this program.
    Version,
}

impl Condition {
    /// All of them, the one to be told first on top.
    pub const ALL: [Self; 10] = [
        Self::Scenario,
        Self::Recording,
        Self::Load,
        Self::Arrivals,
        Self::Plan,
        Self::Target,
        Self::Settings,
        Self::Machine,
        Self::Nodes,
        Self::Version,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Recording => "recording",
            Self::Load => "load",
            Self::Arrivals => "arrivals",
            Self::Plan => "plan",
            Self::Target => "target",
            Self::Settings => "settings",
            Self::Machine => "machine",
            Self::Nodes => "nodes",
            Self::Version => "version",
        }
    }

    /// The kind of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.name() == text)
    }

    /// What the difference does.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Scenario => "they rehearsed different things",
            Self::Recording => "they replayed different traffic",
            Self::Load => "they were sent different loads",
            Self::Arrivals => "another window, scale or speed makes another load",
            Self::Plan => {
                "the same number of requests had other bytes or moments; a header with a token \
                 that changes does that, too"
            }
            Self::Target => "what answered was not in the same place",
            Self::Settings => "limits, ways to the target and faults change what is measured",
            Self::Machine => "the machine that sends has a part in what it measures",
            Self::Nodes => "the machines below the release are not the same",
            Self::Version => "another version may measure differently",
        }
    }

    /// A nightly series goes on where this differs; it is told.
    pub(crate) fn may_change_over_time(self) -> bool {
        match self {
            Self::Scenario | Self::Recording | Self::Load | Self::Arrivals => false,
            Self::Plan
            | Self::Target
            | Self::Settings
            | Self::Machine
            | Self::Nodes
            | Self::Version => true,
        }
    }
}

/// Something that has to be alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its kind.
    pub condition: Condition,
    /// Its field in run.json.
    pub field: String,
    /// What that says, for people.
    pub value: String,
}

/// A fact in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Its kind.
    pub condition: Condition,
    /// Its field.
    pub field: &'a str,
    /// What the first run says; `None` where it says nothing.
    pub first: Option<&'a str>,
    /// What the other one says.
    pub other: Option<&'a str>,
}

/// The differences between two runs, the one to be told first on top.
pub fn differences<'a>(first: &'a Run, other: &'a Run) -> Vec<Difference<'a>> {
    let by_field = |run: &'a Run| -> BTreeMap<(Condition, &'a str), &'a str> {
        let facts = run.conditions.iter();
        facts.map(|fact| ((fact.condition, fact.field.as_str()), fact.value.as_str())).collect()
    };
    let (here, there) = (by_field(first), by_field(other));
    let mut keys: Vec<&(Condition, &str)> = here.keys().chain(there.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| Difference {
            condition: key.0,
            field: key.1,
            first: here.get(key).copied(),
            other: there.get(key).copied(),
        })
        .filter(|difference| difference.first != difference.other)
        .collect()
}

/// Refuses runs that differ in what may not; tells where they differ in what may, once a field.
pub(super) fn check(runs: &[&Run], despite: &[Condition]) -> Result<Vec<String>, CompareError> {
    let mut told: BTreeMap<(Condition, String), String> = BTreeMap::new();
    let Some((first, others)) = runs.split_first() else { return Ok(Vec::new()) };
    for other in others {
        for difference in differences(first, other) {
            let said = |value: Option<&str>| value.unwrap_or("not told").to_owned();
            let (first_value, other_value) = (said(difference.first), said(difference.other));
            if !despite.contains(&difference.condition) {
                return Err(CompareError::Differs {
                    condition: difference.condition,
                    field: difference.field.to_owned(),
                    first: first.name.clone(),
                    first_value,
                    other: other.name.clone(),
                    other_value,
                });
            }
            told.entry((difference.condition, difference.field.to_owned())).or_insert_with(|| {
                format!(
                    "{} is {first_value} in {} and {other_value} in {}: {}",
                    difference.field,
                    first.name,
                    other.name,
                    difference.condition.hint()
                )
            });
        }
    }
    Ok(told.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, facts: &[(Condition, &str, &str)]) -> Run {
        let fact = |(condition, field, value): &(Condition, &str, &str)| Fact {
            condition: *condition,
            field: (*field).to_owned(),
            value: (*value).to_owned(),
        };
        Run {
            name: name.to_owned(),
            conditions: facts.iter().map(fact).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn each_difference_is_refused_with_file_and_field_unless_it_is_named() {
        for condition in Condition::ALL {
            let first = run("a", &[(condition, "some.field", "1")]);
            let other = run("b", &[(condition, "some.field", "2")]);
            let text = check(&[&first, &other], &[]).unwrap_err().to_string();
            assert!(text.contains("some.field is 1 in a and 2 in b"), "{text}");
            assert!(text.contains(&format!("--despite {}", condition.name())), "{text}");
            let told = check(&[&first, &other, &other], &[condition]).unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("some.field is 1 in a"), "{told:?}");
            assert_eq!(Condition::parse(condition.name()), Some(condition));
        }
    }

    #[test]
    fn what_only_one_tells_is_a_difference() {
        let first = run("a", &[(Condition::Nodes, "kernel", "6.1")]);
        let text = check(&[&first, &run("b", &[])], &[]).unwrap_err().to_string();
        assert!(text.contains("6.1 in a and not told in b"), "{text}");
        assert_eq!(check(&[&first, &first], &[]).unwrap(), [""; 0]);
        assert_eq!(check(&[], &[]).unwrap(), [""; 0]);
    }
}
