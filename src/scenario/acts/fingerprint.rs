//! Options of the act `fingerprint`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::scenario::fields;
use crate::scenario::keys::Text;
use crate::scenario::nodes::{command, short_name};
use crate::scenario::place::Place;
use crate::scenario::problem::{Mistake, ScenarioError, crop, did_you_mean};

/// Whom to ask for which facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintOptions {
    /// Further facts, or other commands for known ones: a command each, which every node runs.
    pub facts: BTreeMap<String, String>,
    /// Processes whose limits are read.
    pub processes: Vec<String>,
    /// Files whose hashes are compared.
    pub files: Vec<String>,
    /// Facts that may differ, and are told.
    pub warn: Vec<String>,
    /// Facts that are not looked at.
    pub ignore: Vec<String>,
    /// The facts of the last good release.
    pub snapshot: Option<PathBuf>,
    /// How long a node may take for all of its answers.
    pub within: Duration,
    /// Requests to each node that has a URL.
    pub requests: u32,
}

impl Default for FingerprintOptions {
    fn default() -> Self {
        Self {
            facts: BTreeMap::new(),
            processes: Vec::new(),
            files: Vec::new(),
            warn: Vec::new(),
            ignore: Vec::new(),
            snapshot: None,
            within: Duration::from_secs(20),
            requests: 50,
        }
    }
}

/// The facts that every node is asked for.
pub const BUILT_IN: [&str; 14] = [
    "kernel",
    "distro",
    "arch",
    "ruby",
    "python",
    "node",
    "java",
    "php",
    "packages",
    "somaxconn",
    "tcp_max_syn_backlog",
    "file-max",
    "ip_local_port_range",
    "environment",
];

/// Most facts of each kind: each is a command on each node.
const MAX_FACTS: usize = 100;

/// The fact that is the limits of a process.
pub fn limits_fact(process: &str) -> String {
    format!("limits:{process}")
}

/// The fact that is the hash of a file.
pub fn file_fact(file: &str) -> String {
    format!("file:{file}")
}

/// The options as YAML gives them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FingerprintKeys {
    facts: Option<BTreeMap<String, Text>>,
    processes: Option<Vec<Text>>,
    files: Option<Vec<Text>>,
    warn: Option<Vec<Text>>,
    ignore: Option<Vec<Text>>,
    snapshot: Option<Text>,
    within: Option<Text>,
    requests: Option<Text>,
}

pub(crate) fn read(
    place: Place<'_>,
    keys: FingerprintKeys,
) -> Result<FingerprintOptions, ScenarioError> {
    let default = FingerprintOptions::default();
    let mut facts = BTreeMap::new();
    for (name, text) in keys.facts.unwrap_or_default() {
        check_room(place, &text, facts.len())?;
        let name = short_name(&name).map_err(|mistake| place.mistake(&text, mistake))?;
        facts.insert(name, place.read(&text, command)?);
    }
    let (processes, files) = (keys.processes.unwrap_or_default(), keys.files.unwrap_or_default());
    for texts in [&processes, &files] {
        if let Some(beyond) = texts.get(MAX_FACTS) {
            check_room(place, beyond, MAX_FACTS)?;
        }
    }
    let processes = place.each(&processes, process)?;
    let files = place.each(&files, file)?;
    let mut known: Vec<String> = BUILT_IN.map(str::to_owned).to_vec();
    known.extend(facts.keys().cloned());
    known.extend(processes.iter().map(|process| limits_fact(process)));
    known.extend(files.iter().map(|file| file_fact(file)));
    let names = |texts: Option<Vec<Text>>| {
        place.each(&texts.unwrap_or_default(), |text| known_fact(text, &known))
    };
    Ok(FingerprintOptions {
        warn: names(keys.warn)?,
        ignore: names(keys.ignore)?,
        snapshot: place.or(keys.snapshot.as_ref(), None, |text| path(text).map(Some))?,
        within: place.or(keys.within.as_ref(), default.within, |text| {
            fields::duration(text, Duration::from_secs(1)..=Duration::from_mins(10))
        })?,
        requests: place.or(keys.requests.as_ref(), default.requests, |text| {
            fields::whole32(text, 1..=1_000)
        })?,
        facts,
        processes,
        files,
    })
}

fn check_room(place: Place<'_>, text: &Text, count: usize) -> Result<(), ScenarioError> {
    if count < MAX_FACTS {
        return Ok(());
    }
    let mistake = Mistake::new(
        format!("more than {MAX_FACTS} of these"),
        "put what belongs together into one command that prints several lines",
    );
    Err(place.mistake(text, mistake))
}

fn known_fact(text: &str, known: &[String]) -> Result<String, Mistake> {
    if known.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(Mistake::new(
        format!("there is no fact `{}`", crop(text)),
        did_you_mean(text, &names, "the facts here are"),
    ))
}

fn process(text: &str) -> Result<String, Mistake> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:+@".contains(c);
    if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(fits) {
        return Err(Mistake::new(
            format!("`{}` is not the name of a process", crop(text)),
            "write the name that `pgrep -x` finds, such as nginx",
        ));
    }
    Ok(text.to_owned())
}

fn file(text: &str) -> Result<String, Mistake> {
    if !text.starts_with('/') || text.len() > 512 || text.chars().any(char::is_control) {
        return Err(Mistake::new(
            format!("`{}` is not a path from the root", crop(text)),
            "write the whole path of a file on the nodes, such as /etc/nginx/nginx.conf",
        ));
    }
    Ok(text.to_owned())
}

/// A file on this machine.
pub(crate) fn path(text: &str) -> Result<PathBuf, Mistake> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Mistake::new("there is no file name", "write the name of a file"));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::acts::tests::with_act;

    fn read(act: &str) -> Result<FingerprintOptions, String> {
        Ok(with_act(act)?.fingerprint.unwrap())
    }

    #[test]
    fn a_word_has_the_defaults_and_options_are_read() {
        assert_eq!(read("fingerprint"), Ok(FingerprintOptions::default()));
        let options = read(
            "fingerprint: { facts: { app: cat /app/version }, processes: [nginx], \
             files: [/etc/nginx.conf], warn: [app, 'limits:nginx'], \
             ignore: [kernel, 'file:/etc/nginx.conf'], snapshot: good.json, within: 10m, \
             requests: 1_000 }",
        );
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let expected = FingerprintOptions {
            facts: [("app".to_owned(), "cat /app/version".to_owned())].into(),
            processes: texts(&["nginx"]),
            files: texts(&["/etc/nginx.conf"]),
            warn: texts(&["app", "limits:nginx"]),
            ignore: texts(&["kernel", "file:/etc/nginx.conf"]),
            snapshot: Some("good.json".into()),
            within: Duration::from_mins(10),
            requests: 1_000,
        };
        assert_eq!(options, Ok(expected));
    }

    #[test]
    fn mistakes_have_their_line_and_say_what_to_write() {
        let process = |name: &str| format!("processes: [ \"{name}\" ]");
        let file = |name: &str| format!("files: [ \"{name}\" ]");
        let many = |count: usize, one: &dyn Fn(usize) -> String| {
            (0..count).map(one).collect::<Vec<_>>().join(", ")
        };
        let (facts, processes, files) = (
            many(101, &|n| format!("f{n}: x")),
            many(101, &|n| format!("p{n}")),
            many(101, &|n| format!("/{n}")),
        );
        let (no_process, no_path) = ("is not the name of a process", "is not a path from the root");
        for (options, message) in [
            ("facts: { 'a|b': x }".to_owned(), "`a|b` is not a name"),
            ("facts: { app: '' }".to_owned(), "there is no command"),
            (format!("facts: {{ {facts} }}"), "more than 100 of these"),
            (format!("processes: [ {processes} ]"), "more than 100 of these"),
            (format!("files: [ {files} ]"), "more than 100 of these"),
            (process("-f"), no_process),
            (process("a b"), no_process),
            (process(""), no_process),
            (process(&"p".repeat(65)), no_process),
            (file("etc/nginx.conf"), no_path),
            (file("/a\\tb"), no_path),
            (file(&format!("/{}", "f".repeat(512))), no_path),
            ("warn: [kernle]".to_owned(), "did you mean `kernel`?"),
            ("ignore: ['limits:nginx']".to_owned(), "there is no fact `limits:nginx`"),
            ("snapshot: ' '".to_owned(), "there is no file name"),
            ("snapshot: \"a\\0\"".to_owned(), "there is no file name"),
            ("within: 900ms".to_owned(), "900ms is out of range"),
            ("within: 11m".to_owned(), "11m is out of range"),
            ("requests: 0".to_owned(), "0 is out of range"),
            ("requests: 1001".to_owned(), "1001 is out of range"),
            ("proceses: [a]".to_owned(), "unknown key `proceses`"),
        ] {
            let error = read(&format!("fingerprint: {{ {options} }}")).unwrap_err();
            assert!(error.contains(message), "{options}: {error}");
            assert!(error.contains("s.yaml:4:"), "{options}: {error}");
        }
        let most = many(100, &|n| format!("/{n}"));
        assert_eq!(
            read(&format!("fingerprint: {{ files: [ {most} ] }}")).unwrap().files.len(),
            100
        );
    }
}
