//! The rules of the house that no compiler holds: reading order, line length, leftovers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Longest line, in characters, and longest source file, in lines.
const MAX_COLUMNS: usize = 100;
const MAX_LINES: usize = 400;

#[test]
fn a_module_uses_only_modules_listed_above_it() {
    let ranks = reading_order();
    let sources = sources("src");
    assert!(!ranks.is_empty() && sources.len() > ranks.len(), "the walk found nothing to check");
    let mut violations = Vec::new();
    for (path, text) in &sources {
        let Some(own) = module_of(path) else { continue };
        let Some(own_rank) = ranks.get(&own) else {
            violations.push(format!("{}: `{own}` is missing from src/lib.rs", path.display()));
            continue;
        };
        for line in code_lines(text) {
            if line.contains("use crate::{") {
                violations.push(format!("{}: grouped `use crate::{{`", path.display()));
            }
            for used in line.split("crate::").skip(1).filter_map(leading_name) {
                if ranks.get(&used).is_some_and(|rank| rank > own_rank) {
                    let path = path.display();
                    violations.push(format!("{path}: `{own}` uses `{used}`, listed below it"));
                }
            }
        }
    }
    assert!(violations.is_empty(), "move the code or the module:\n{}", violations.join("\n"));
}

#[test]
fn only_what_talks_to_others_opens_sockets() {
    let allowed = ["record", "drive", "probe", "act", "stage", "cli", "scenario"];
    let mut violations = Vec::new();
    for (path, text) in sources("src") {
        let module = module_of(&path).unwrap_or_default();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let names = ["tokio::net", "std::net::TcpStream", "std::net::TcpListener", "UdpSocket"];
        for line in code_lines(&text).filter(|line| names.iter().any(|name| line.contains(name))) {
            if !allowed.contains(&module.as_str()) && !module.is_empty() {
                violations.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(
        violations.is_empty(),
        "sockets belong to record, drive, probe, act and stage:\n{}",
        violations.join("\n")
    );
}

#[test]
fn lines_and_files_are_short_and_nothing_is_left_over() {
    let mut violations = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let shown = path.display();
        if text.lines().count() > MAX_LINES {
            violations.push(format!("{shown}: more than {MAX_LINES} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > MAX_COLUMNS {
                violations.push(format!("{shown}:{}: over {MAX_COLUMNS} columns", number + 1));
            }
            // Written in two parts, so that this file does not find itself.
            if line.contains(concat!("FIX", "ME")) || line.contains(concat!("todo", "!(")) {
                violations.push(format!("{shown}:{}: leftover", number + 1));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_capture_says_what_it_is_and_every_scenario_which_incident_it_rehearses() {
    for entry in fs::read_dir(root().join("captures")).unwrap() {
        let folder = entry.unwrap().path();
        assert!(folder.join("README.md").is_file(), "{} has no README.md", folder.display());
    }
    for entry in fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} does not open with a comment", path.display());
    }
}

/// The modules of `src/lib.rs` with their position.
fn reading_order() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    code_lines(&text)
        .filter_map(|line| {
            line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)
        })
        .enumerate()
        .map(|(rank, name)| (name, rank))
        .collect()
}

/// The top-level module of a file below `src`; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

fn leading_name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
