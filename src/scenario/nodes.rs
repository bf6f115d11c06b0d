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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    fn nodes(nodes: &str) -> Result<Vec<Node>, String> {
        let text = format!("recording: r\ntarget: {{ url: stage }}\nnodes: {{ {nodes} }}\n");
        let scenario = from_text(&text, "s.yaml").map_err(|error| error.to_string())?;
        Ok(scenario.nodes)
    }

    fn many(count: usize) -> String {
        (0..count).map(|n| format!("n{n}: {{}}")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn nodes_are_read() {
        let read = nodes("'web 1/a': { run: ' ssh a ', url: 'http://10.0.0.1:8080' }, b: {}");
        let [a, b] = &read.unwrap()[..] else { panic!("two nodes") };
        assert_eq!((a.name.as_str(), a.run.as_str()), ("b", ""));
        assert_eq!((b.name.as_str(), b.run.as_str()), ("web 1/a", "ssh a"));
        assert_eq!((a.url.is_none(), b.url.as_ref().map(|url| url.port)), (true, Some(8_080)));
        assert_eq!(nodes(&many(MAX_NODES)).unwrap().len(), MAX_NODES);
    }

    #[test]
    fn mistakes_have_their_line_and_say_what_to_write() {
        let named = |name: &str| format!("'{name}': {{}}");
        let url = |url: &str| format!("a: {{ url: '{url}' }}");
        for (node, said) in [
            (named(""), "is not a name"),
            (named(" a"), "is not a name"),
            (named("a|b"), "`a|b` is not a name"),
            (named(&"n".repeat(101)), "is not a name"),
            (format!("a: {{ run: {} }}", "x".repeat(MAX_COMMAND + 1)), "longer than 4096 bytes"),
            ("a: { run: \"a\\0\" }".to_owned(), "or holds a zero byte"),
            (url("redis://h"), "the URL of a node is an `http://` one"),
            (url("http://u:p@h"), "neither user nor path"),
            (url("http://u@h"), "neither user nor path"),
            (url("http://:p@h"), "neither user nor path"),
            (url("http://h/x"), "neither user nor path"),
            ("a: { rnu: x }".to_owned(), "unknown key `rnu`"),
            (many(MAX_NODES + 1), "more than 64 nodes"),
        ] {
            let error = nodes(&node).unwrap_err();
            assert!(error.contains(said) && error.contains("s.yaml:3:"), "{node}: {error}");
        }
    }
}
