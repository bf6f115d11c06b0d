//! What the README promises is what the program has: commands, options, codes, faults, findings.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;

use peakhour::cli::Arguments;
use peakhour::cli::exit::{BUG, Exit};
use peakhour::stage::faults::Fault;
use peakhour::verdict::acts::{
    canary, capacity, cold, connections, fingerprint, heartbeat, payloads,
};
use peakhour::verdict::detectors::{
    body_limit, cold_cache, connection_limit, errors, event_loop, generator, held_back, outage,
    response_content, response_size, response_status, stall,
};
use peakhour::verdict::{abort, hold, watch};

use crate::support::{peakhour_with, root};

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The cells of the rows below the header `header`.
fn table(header: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let rows = readme.lines().skip_while(|line| *line != header).skip(2);
    let rows: Vec<Vec<String>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "the README has no table {header}");
    rows
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names
}

#[test]
fn the_commands_are_those_of_the_program_in_its_order() {
    let program = Arguments::command();
    let commands: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    let rows = table("| command | what it does |");
    let typed = rows.iter().map(|row| quoted(&row[0])[0]);
    let told: Vec<&str> = typed.filter_map(|typed| typed.split(' ').nth(1)).collect();
    assert_eq!(told, commands);
}

#[test]
fn every_option_that_is_mentioned_exists() {
    let program = Arguments::command();
    let options: BTreeSet<&str> = program
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .chain(program.get_arguments())
        .filter_map(clap::Arg::get_long)
        .collect();
    let readme = readme();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let told: BTreeSet<&str> = readme
        .split("--")
        .skip(1)
        .filter_map(|rest| rest.split(|c| !is_name(c)).next())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter(|name| *name != "release") // Cargo's.
        .collect();
    assert!(told.len() > 4, "{told:?}");
    let unknown: Vec<_> = told.difference(&options).collect();
    assert!(unknown.is_empty(), "the README mentions {unknown:?}");
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let mut codes: Vec<String> = Exit::ALL.iter().map(|exit| exit.code().to_string()).collect();
    codes.push(BUG.to_string());
    let told: Vec<String> =
        table("| exit code | meaning |").into_iter().map(|mut row| row.remove(0)).collect();
    assert_eq!(told, codes);
    let help = Arguments::command().get_after_help().unwrap().to_string();
    for code in codes {
        assert!(help.contains(&format!(" {code} ")), "--help says nothing of {code}");
    }
}

#[test]
fn the_findings_and_faults_are_those_of_the_program() {
    let rows = table("| finding | what it means | try it |");
    let findings = rows.iter().flat_map(|row| quoted(&row[0]));
    let checks = [
        body_limit::CHECK,
        cold_cache::CHECK,
        connection_limit::CHECK,
        errors::CHECK,
        event_loop::CHECK,
        generator::CHECK,
        held_back::CHECK,
        outage::CHECK,
        response_content::CHECK,
        response_size::CHECK,
        response_status::CHECK,
        payloads::BLOCKING,
        payloads::LIMIT,
        stall::CHECK,
        cold::CHECK,
        cold::FORECAST,
        fingerprint::NODE_DRIFT,
        fingerprint::RELEASE_DRIFT,
        fingerprint::NODE_BEHAVIOUR,
        fingerprint::CLOCK_OFFSET,
        canary::CHECK,
        connections::CHECK,
        connections::DEMAND,
        connections::LAZY_POOLS,
        capacity::CHECK,
        watch::LIMIT,
        watch::COUNTER,
        watch::SILENT,
        watch::CHECK,
        heartbeat::CHECK,
        abort::CHECK,
        hold::CHECK,
    ];
    assert_eq!(names(findings), names(checks));

    let known = names(Fault::ALL.map(Fault::name));
    let tried = rows.iter().flat_map(|row| quoted(&row[2]));
    let tried = tried.map(|option| option.trim_start_matches("--stage-fault "));
    assert_eq!(names(tried), known);

    let scenario = fs::read_to_string(root().join("scenarios/first-rehearsal.yaml")).unwrap();
    let help = |command: &str, option: &str| {
        let program = Arguments::command();
        let command = program.find_subcommand(command).unwrap();
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|argument| argument.get_long() == Some(option)).unwrap();
        argument.get_help().unwrap().to_string()
    };
    let texts = [scenario, help("run", "stage-fault"), help("stage", "fault")];
    for (name, text) in known.iter().flat_map(|name| texts.iter().map(move |text| (name, text))) {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
}

#[test]
fn the_example_of_acts_and_probes_is_read() {
    let readme = readme();
    let example = readme.split("```yaml\n").nth(2).and_then(|rest| rest.split("```").next());
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let scenario = format!(
        "recording: {capture}\ntarget: {{ url: 'http://10.1.2.3', allow: [10.1.2.3] }}\n{}",
        example.unwrap()
    );
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour_with(folder.path(), &["plan", "s.yaml"], &[("REDIS_PASSWORD", "s3cret")]);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0, "{shown}");
    let acts = "\nacts               fingerprint, canary, connections, payloads, cold, replay\n";
    assert!(ran.stdout.contains(acts), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

/// The page on acts lists the keys that are read: all of them, and no other.
#[test]
fn the_keys_of_acts_and_probes_are_those_that_are_read() {
    let page = fs::read_to_string(root().join("docs/acts.md")).unwrap();
    let told = |title: &str| -> BTreeSet<String> {
        let section = page.split(&format!("\n## {title}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let cells: Vec<String> = cells.map(|cell| format!("`{cell}")).collect();
        cells.iter().flat_map(|cell| quoted(cell)).map(str::to_owned).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let read = |lines: &str| -> BTreeSet<String> {
        let text = format!("recording: none\ntarget: {{ url: stage }}\n{lines}\n");
        fs::write(folder.path().join("s.yaml"), text).unwrap();
        let said = peakhour_with(folder.path(), &["plan", "s.yaml"], &[]).stderr;
        let keys = said.split("the keys here are ").nth(1).unwrap_or_else(|| panic!("{said}"));
        keys.lines().next().unwrap().split(", ").map(str::to_owned).collect()
    };
    for act in ["fingerprint", "canary", "connections", "payloads", "cold"] {
        assert_eq!(told(act), read(&format!("acts: [{{ {act}: {{ zzz: 1 }} }}]")), "{act}");
    }
    assert_eq!(told("nodes"), read("nodes: { a: { zzz: 1 } }"));
    // These belong to one of the others, and stand beside it.
    let mut probes = told("watch");
    probes.extend(["every", "limit", "matching", "series"].map(str::to_owned));
    assert_eq!(probes, read("watch: { a: { zzz: 1 } }"));
}

#[test]
fn the_scenario_is_complete_and_its_token_is_not_printed() {
    let readme = readme();
    let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("scenario.yaml"), example.unwrap()).unwrap();
    let capture = root().join("captures/nginx-first/peak.pcap.gz").display().to_string();
    let plan = ["plan", "scenario.yaml", "--requests", "3"];

    let environment =
        [("STAGING_TOKEN", "s3cret-of-staging"), ("PEAKHOUR_RECORDING", capture.as_str())];
    let ran = peakhour_with(folder.path(), &plan, &environment);
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0, "{shown}");
    assert!(ran.stdout.contains("Authorization: xxxxxx xxxxxxxxxxxxxxxxx\n"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(!shown.contains("run will refuse"), "{shown}");
    assert!(ran.stdout.contains("\nacts               replay\n"), "{shown}");

    // What stands there as a comment can be taken out of it.
    let with_hosts = example.unwrap().replace("  # hosts:", "  hosts:");
    assert_ne!(with_hosts, example.unwrap());
    fs::write(folder.path().join("hosts.yaml"), with_hosts).unwrap();
    let ran = peakhour_with(folder.path(), &["plan", "hosts.yaml"], &environment);
    assert_eq!(ran.code, 0, "{}", ran.stderr);

    let ran = peakhour_with(folder.path(), &plan, &environment[1..]);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("no variable `STAGING_TOKEN`"), "{}", ran.stderr);
    let two_lines = [("STAGING_TOKEN", "s3cret\r\nX-Admin: 1"), environment[1]];
    let ran = peakhour_with(folder.path(), &plan, &two_lines);
    assert_eq!(ran.code, 104, "{}", ran.stderr);
    assert!(ran.stderr.contains("holds a line end"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}
