//! Options of the act `canary`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::scenario::acts::fingerprint;
use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::nodes::{command, short_name};
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop, did_you_mean};

/// Where marked requests must show up.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryOptions {
    /// A path that succeeds.
    pub request: String,
    /// A path that fails with 4xx or 5xx.
    pub error_request: Option<String>,
    /// The header that carries the marker.
    pub header: String,
    /// How long a line may take to show up.
    pub within: Duration,
    /// A marked request so often, through the whole rehearsal.
    pub every: Duration,
    /// Marked requests on each path.
    pub requests: u32,
    /// The log streams.
    pub streams: Vec<Stream>,
}

impl Default for CanaryOptions {
    fn default() -> Self {
        Self {
            request: "/".to_owned(),
            error_request: None,
            header: "X-Request-Id".to_owned(),
            within: Duration::from_secs(30),
            every: Duration::from_mins(1),
            requests: 10,
            streams: Vec::new(),
        }
    }
}

/// A log stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// What it is called.
    pub name: String,
    /// Where its lines come from.
    pub source: Source,
    /// Its lines are JSON.
    pub json: bool,
    /// Which requests must show up in it.
    pub on: On,
    /// The node whose stream it is.
    pub node: Option<String>,
    /// Lines of a request, where the last good release is known to have so many.
    pub lines: Option<f64>,
}

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, of this machine or of the stream's node.
    File(PathBuf),
    /// What a command prints here. It may go on for ever, or end and is begun again.
    Command(String),
}

/// Which requests must show up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// Those that succeed.
    Success,
    /// Those that fail.
    Error,
    /// All.
    Both,
}

/// Most log streams: each is watched by a task of its own.
const MAX_STREAMS: usize = 64;

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryKeys {
    request: Option<Text>,
    error_request: Option<Text>,
    header: Option<Text>,
    within: Option<Text>,
    every: Option<Text>,
    requests: Option<Text>,
    streams: Option<BTreeMap<String, Spanned<StreamKeys>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamKeys {
    file: Option<Text>,
    command: Option<Text>,
    format: Option<Text>,
    on: Option<Text>,
    node: Option<Text>,
    lines: Option<Text>,
}

pub(crate) fn read(place: Place<'_>, keys: CanaryKeys) -> Result<CanaryOptions, ScenarioError> {
    let default = CanaryOptions::default();
    let has_error = keys.error_request.is_some();
    let mut streams = Vec::new();
    for (name, keys) in keys.streams.unwrap_or_default() {
        if streams.len() == MAX_STREAMS {
            let hint = "name the streams that a release can break";
            let mistake = Mistake::new(format!("more than {MAX_STREAMS} streams"), hint);
            return Err(place.mistake(&keys, mistake));
        }
        streams.push(stream(place, &name, &keys, has_error)?);
    }
    let second = Duration::from_secs(1);
    Ok(CanaryOptions {
        request: place.or(keys.request.as_ref(), default.request, path)?,
        error_request: place.or(keys.error_request.as_ref(), None, |text| path(text).map(Some))?,
        header: place.or(keys.header.as_ref(), default.header, header)?,
        within: place.or(keys.within.as_ref(), default.within, |text| {
            fields::duration(text, second..=Duration::from_mins(10))
        })?,
        every: place.or(keys.every.as_ref(), default.every, |text| {
            fields::duration(text, second..=Duration::from_hours(1))
        })?,
        requests: place
            .or(keys.requests.as_ref(), default.requests, |text| fields::whole32(text, 1..=100))?,
        streams,
    })
}

fn stream(
    place: Place<'_>,
    name: &str,
    at: &Spanned<StreamKeys>,
    has_error: bool,
) -> Result<Stream, ScenarioError> {
    let keys = &at.value;
    let source = match (&keys.file, &keys.command) {
        (Some(file), None) => Source::File(place.read(file, fingerprint::path)?),
        (None, Some(text)) => Source::Command(place.read(text, command)?),
        _ => {
            let mistake = Mistake::new(
                format!("stream `{}` needs either `file` or `command`", crop(name)),
                "write `{ file: /var/log/nginx/access.log }` or \
                 `{ command: \"ssh a journalctl -f -u app\" }`",
            );
            return Err(place.mistake(at, mistake));
        }
    };
    let on = [("success", On::Success), ("error", On::Error), ("both", On::Both)];
    Ok(Stream {
        name: short_name(name).map_err(|mistake| place.mistake(at, mistake))?,
        source,
        json: place.or(keys.format.as_ref(), false, |text| {
            fields::word(text, &[("json", true), ("text", false)])
        })?,
        on: place.or(keys.on.as_ref(), On::Both, |text| match fields::word(text, &on)? {
            On::Error | On::Both if !has_error => Err(Mistake::new(
                format!("stream `{}` waits for failing requests, and none is sent", crop(name)),
                "add `error_request: PATH` to the act, with a path that fails with 4xx or 5xx, or \
                 write `on: success`",
            )),
            on => Ok(on),
        })?,
        node: place.or(keys.node.as_ref(), None, |text| node(place, text).map(Some))?,
        lines: place
            .or(keys.lines.as_ref(), None, |text| fields::factor(text, 0.1..=1_000.0).map(Some))?,
    })
}

/// The name of one of the `nodes`.
fn node(place: Place<'_>, text: &str) -> Result<String, Mistake> {
    let names: Vec<&str> = place.nodes.iter().map(|node| node.name.as_str()).collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    let hint = if names.is_empty() {
        "add it to `nodes`, or leave `node` out where the stream is of this machine".to_owned()
    } else {
        did_you_mean(text, &names, "the nodes are")
    };
    Err(Mistake::new(format!("`nodes` has no `{}`", crop(text)), hint))
}

/// A path and query as they stand in a request line.
fn path(text: &str) -> Result<String, Mistake> {
    if !text.starts_with('/') || text.len() > 2048 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Mistake::new(
            format!("`{}` is not a path", crop(text)),
            "write a path such as /cart, with %XX for what is neither letter, digit nor sign",
        ));
    }
    Ok(text.to_owned())
}

fn header(text: &str) -> Result<String, Mistake> {
    fields::header_name(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse::from_text;

    /// A scenario with a node whose act has these options, from its tenth line on.
    fn mistake(options: &str) -> String {
        let text = format!(
            "# A test.\nname: t\nrecording: r.jsonl\ntarget: {{ url: stage }}\nnodes:\n  \
             web-1: {{ run: \"ssh a\" }}\n\nacts:\n  - canary:\n{options}"
        );
        from_text(&text, "s.yaml").unwrap_err().to_string()
    }

    #[test]
    fn mistakes_in_streams_have_a_place_and_a_hint() {
        let streams = |stream: &str| format!("      streams:\n        app: {stream}\n");
        for (options, expected) in [
            (streams("{ file: /a.log, node: web-2 }"), "s.yaml:11:36: `nodes` has no `web-2`"),
            (streams("{ file: /a.log, node: web-2 }"), "did you mean `web-1`? the nodes are web-1"),
            (streams("{ file: /a.log, on: both }"), "s.yaml:11:34: stream `app` waits for failing"),
            (streams("{ file: /a.log, on: error }"), "add `error_request: PATH` to the act"),
            (streams("{ file: /a.log, on: erorr }"), "did you mean `error`?"),
            (streams("{ on: success }"), "stream `app` needs either `file` or `command`"),
            (streams("{ file: /a, command: b }"), "needs either `file` or `command`"),
            (streams("{ file: /a.log, format: xml }"), "s.yaml:11:38: unknown value `xml`"),
            (streams("{ file: /a.log, lines: -1 }"), "s.yaml:11:37: -1 is out of range"),
            (streams("{ fil: /a.log }"), "unknown key `fil`"),
            (streams("{ file: /a.log, lines: 1001 }"), "1001 is out of range"),
            (streams("{ file: ' ' }"), "there is no file name"),
            (streams("{ command: '' }"), "there is no command"),
            ("      streams: { 'a|b': { file: /a } }\n".to_owned(), "`a|b` is not a name"),
            (format!("      streams: {{ {} }}\n", many(65)), "more than 64 streams"),
        ] {
            let shown = mistake(&options);
            assert!(shown.contains(expected), "no `{expected}` in:\n{shown}");
        }
    }

    fn many(streams: usize) -> String {
        let stream = |n| format!("s{n}: {{ file: /a, on: success }}");
        (0..streams).map(stream).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn mistakes_in_options_have_a_place_and_a_hint() {
        for (options, expected) in [
            ("      request: cart\n", "s.yaml:10:16: `cart` is not a path"),
            ("      request: '/a b'\n", "s.yaml:10:16: `/a b` is not a path"),
            ("      error_request: 'a b'\n", "s.yaml:10:22: `a b` is not a path"),
            ("      every: 1ms\n", "s.yaml:10:14: 1ms is out of range"),
            ("      within: 1h\n", "s.yaml:10:15: 1h is out of range"),
            ("      within: soon\n", "s.yaml:10:15: "),
            ("      requests: 0\n", "s.yaml:10:17: 0 is out of range"),
            ("      header: Host\n", "s.yaml:10:15: `Host` cannot be set"),
            ("      evry: 60s\n", "did you mean `every`?"),
            ("      within: 900ms\n", "900ms is out of range"),
            ("      every: 61m\n", "61m is out of range"),
            ("      requests: 101\n", "101 is out of range"),
            (&format!("      request: /{}\n", "p".repeat(2_048)), "is not a path"),
        ] {
            let shown = mistake(options);
            assert!(shown.contains(expected), "no `{expected}` in:\n{shown}");
        }
    }

    #[test]
    fn streams_that_are_right_are_read() {
        let text = "# A test.\nname: t\nrecording: r.jsonl\ntarget: { url: stage }\n\
                    nodes: { a: { run: ssh a } }\nacts:\n  - canary:\n      \
                    error_request: /missing\n      streams:\n        \
                    app: { file: /a.log, on: error, node: a }\n";
        let scenario = from_text(text, "s.yaml").unwrap();
        let canary = scenario.acts.canary.unwrap();
        let [app] = &canary.streams[..] else { panic!("{:?}", canary.streams) };
        assert_eq!((app.node.as_deref(), app.on, app.json), (Some("a"), On::Error, false));
        let text = format!(
            "recording: r.jsonl\ntarget: {{ url: stage }}\nacts:\n  - canary: {{ request: \
             /a?b=%20, header: X-Mark, within: 10m, every: 1s, requests: 100, error_request: /no, \
             streams: {{ a: {{ command: ' tail -f /a ', format: json, lines: 2.5 }}, {} }} }}\n",
            many(63)
        );
        let canary = from_text(&text, "s.yaml").unwrap().acts.canary.unwrap();
        assert_eq!((canary.request.as_str(), canary.header.as_str()), ("/a?b=%20", "X-Mark"));
        assert_eq!(
            (canary.within, canary.every),
            (Duration::from_mins(10), Duration::from_secs(1))
        );
        assert_eq!((canary.requests, canary.error_request.as_deref()), (100, Some("/no")));
        let all = &canary.streams[0];
        assert_eq!(all.source, Source::Command("tail -f /a".to_owned()));
        assert_eq!((all.json, all.on, all.lines), (true, On::Both, Some(2.5)));
        assert_eq!((canary.streams.len(), canary.streams[1].on), (64, On::Success));
        let plain = "recording: r\ntarget: { url: stage }\nacts: [ canary ]\n";
        let plain = from_text(plain, "s.yaml").unwrap().acts.canary;
        assert_eq!(plain, Some(CanaryOptions::default()));
    }
}
