//! The act `fingerprint`: what every node is made of, and how each of them behaves.
//!
//! One script a node asks for everything, over the user's own command, and all nodes at once. A
//! node that cannot be asked says why, and the others go on.

mod ask;
mod behaviour;
mod script;
pub mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::act::Ground;
use crate::act::fingerprint::ask::ask;
use crate::act::fingerprint::script::Script;
use crate::scenario::acts::fingerprint::FingerprintOptions;
use crate::scenario::nodes::Node;

/// The facts of nodes by name, each by its own name.
pub type Nodes = BTreeMap<String, BTreeMap<String, Fact>>;

/// What the act has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// Every node, by name.
    pub nodes: Vec<NodeFacts>,
    /// Facts that may differ, and are told.
    pub warn: Vec<String>,
    /// The last good release, where the scenario names one.
    pub snapshot: Option<Snapshot>,
    /// How the nodes that have a URL answered.
    pub behaviour: Vec<Behaviour>,
}

/// What a node is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// What it told.
    pub facts: BTreeMap<String, Fact>,
    /// Its clock against ours; `None` where it told none.
    pub clock: Option<ClockOffset>,
    /// Why it told nothing.
    pub problem: Option<String>,
}

/// A fact about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// What its command printed, sorted.
    Lines(Vec<String>),
    /// There is no such command on the node.
    Absent,
    /// The command failed: why.
    Failed(String),
}

/// How far a clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockOffset {
    /// Nanoseconds; negative where it is behind.
    pub offset_ns: i64,
    /// It may be more or less by this.
    pub uncertainty_ns: u64,
}

/// The facts of the last good release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its file.
    pub path: String,
    /// What was saved.
    pub nodes: Nodes,
    /// Why there is nothing.
    pub problem: Option<String>,
}

/// How a node answered the requests that every node got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Behaviour {
    /// Its name.
    pub node: String,
    /// Where it was asked.
    pub url: String,
    /// Requests sent.
    pub requests: u32,
    /// Answers of 400 or more, and requests without an answer.
    pub errors: u32,
    /// Requests without an answer.
    pub unanswered: u32,
    /// Median time to the head of an answer.
    pub median_ns: Option<u64>,
    /// Why it was not asked.
    pub problem: Option<String>,
}

/// Performs the act.
pub fn perform(ground: &Ground<'_>, options: &FingerprintOptions) -> Fingerprint {
    Fingerprint {
        nodes: ask_nodes(ground, options),
        warn: options.warn.clone(),
        snapshot: options.snapshot.as_deref().map(|path| {
            let mut snapshot = snapshot::read(path);
            for facts in snapshot.nodes.values_mut() {
                facts.retain(|name, _| !options.ignore.contains(name));
            }
            snapshot
        }),
        behaviour: behaviour::observe(ground, options),
    }
}

fn ask_nodes(ground: &Ground<'_>, options: &FingerprintOptions) -> Vec<NodeFacts> {
    let mut nodes = ground.scenario.nodes.clone();
    if nodes.is_empty() {
        // Without `nodes`, this machine is the stack.
        nodes.push(Node { name: "this machine".to_owned(), run: String::new(), url: None });
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = Some(format!("no runtime: {error}"));
            let silent = |node: Node| NodeFacts {
                name: node.name,
                problem: problem.clone(),
                ..NodeFacts::default()
            };
            return nodes.into_iter().map(silent).collect();
        }
    };
    let script = Arc::new(Script::new(options, format!("peakhour-{:016x}", rand::random::<u64>())));
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for node in nodes {
            let (script, stop) = (Arc::clone(&script), ground.stop.clone());
            let within = options.within;
            asked.spawn(async move { ask(node, &script, within, stop).await });
        }
        let mut seen = asked.join_all().await;
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen
    })
}
