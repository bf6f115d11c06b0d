//! The machines of the stack: how to ask each of them, and where each alone answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Spanned;

use crate::scenario::endpoint::{Endpoint, Service};
use crate::scenario::keys::Text;
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop};

/// A machine of the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is called.
    pub name: String,
    /// What stands before a command to run it there, such as `ssh a`; empty for this machine. A
    /// shell reads it.
    pub run: String,
    /// Where this node alone answers HTTP.
    pub url: Option<Endpoint>,
}

/// Most machines of a stack: each is a process here while it is asked.
pub const MAX_NODES: usize = 64;

/// A machine as YAML gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeKeys {
    run: Option<Text>,
    url: Option<Text>,
}

pub(crate) fn read(
    place: Place<'_>,
    keys: Option<BTreeMap<String, Spanned<NodeKeys>>>,
) -> Result<Vec<Node>, ScenarioError> {
    let mut nodes = Vec::new();
    for (name, keys) in keys.unwrap_or_default() {
        if nodes.len() == MAX_NODES {
            let hint = "name those that a release can make differ; the others are alike";
            let mistake = Mistake::new(format!("more than {MAX_NODES} nodes"), hint);
            return Err(place.mistake(&keys, mistake));
        }
        let name = short_name(&name).map_err(|mistake| place.mistake(&keys, mistake))?;
        let NodeKeys { run, url } = keys.value;
        nodes.push(Node {
            name,
            run: place.or(run.as_ref(), String::new(), command_prefix)?,
            url: place.or(url.as_ref(), None, |text| base_url(place, text).map(Some))?,
        });
    }
    Ok(nodes)
}

/// The name of a node, a stream or a fact: it becomes part of sentences.
pub(crate) fn short_name(text: &str) -> Result<String, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/@ ".contains(c);
    if text.trim() != text || text.is_empty() || text.len() > 100 || !text.chars().all(fits) {
        return Err(Mistake::new(
            format!("`{}` is not a name", crop(text)),
            "write a short name of letters, digits and - _ . : /, such as `web-1`",
        ));
    }
    Ok(text.to_owned())
}

/// A command that a shell runs, as one line.
pub(crate) fn command(text: &str) -> Result<String, Mistake> {
    let text = command_prefix(text)?;
    if text.is_empty() {
        return Err(Mistake::new("there is no command", "write a command, such as `ruby -v`"));
    }
    Ok(text)
}

fn command_prefix(text: &str) -> Result<String, Mistake> {
    if text.len() > MAX_COMMAND || text.contains('\0') {
        return Err(Mistake::new(
            format!("this is longer than {MAX_COMMAND} bytes, or holds a zero byte"),
            "put what it does into a script on the node, and write the script's name",
        ));
    }
    Ok(text.trim().to_owned())
}

/// Longest command, in bytes: a longer one belongs into a script.
const MAX_COMMAND: usize = 4096;

fn base_url(place: Place<'_>, text: &str) -> Result<Endpoint, Mistake> {
    const HINT: &str = "write where this node alone answers, such as `http://10.0.0.1:8080`, and \
                        add its host to `target.allow`";
    let url = Endpoint::read(text, place.environment)?;
    if url.service != Service::Http {
        return Err(Mistake::new("the URL of a node is an `http://` one", HINT));
    }
    if url.user.is_some() || url.password.is_some() || !url.path.is_empty() {
        return Err(Mistake::new("the URL of a node has neither user nor path", HINT));
    }
    Ok(url)
}
