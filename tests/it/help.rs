//! Help where people look for it: examples that work, completion, pages of the manual.

use std::fs;
use std::process::Command as Process;

use clap::{CommandFactory, Parser};

use peakhour::cli::Arguments;

use crate::support::{peakhour, program};

/// Each command has examples, and each of them is understood.
#[test]
fn every_example_is_understood() {
    for command in Arguments::command().get_subcommands() {
        let name = command.get_name();
        if matches!(name, "completions" | "man" | "help") {
            continue;
        }
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = after.lines().filter(|line| line.contains("peakhour ")).collect();
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            let line = &example[example.find("peakhour ").unwrap()..];
            let line = line.split(" | ").next().unwrap();
            let words = line.split_whitespace().map(|word| word.trim_matches('\''));
            // What is quoted has blanks of its own; such examples are run elsewhere.
            if line.contains(['\'', '$']) || line.ends_with('\\') {
                continue;
            }
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("`{line}`: {error}");
            }
        }
    }
}

#[test]
fn shells_get_their_completion() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef peakhour"), ("fish", "complete -c")]
    {
        let ran = peakhour(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains(mark) && ran.stdout.contains("validate"), "{shell}");
    }
    let script = peakhour(folder.path(), &["completions", "bash"]).stdout;
    let asked = "\nCOMP_WORDS=(peakhour rec); COMP_CWORD=1; _peakhour peakhour rec peakhour; \
                 echo \"${COMPREPLY[*]}\"\n";
    let bash = program("bash").unwrap();
    let said = Process::new(bash).arg("-c").arg(script + asked).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "record");
    assert_eq!(peakhour(folder.path(), &["completions", "csh"]).code, 104);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let ran = peakhour(folder.path(), &["man", "."]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for command in Arguments::command().get_subcommands() {
        let page = folder.path().join(format!("peakhour-{}.1", command.get_name()));
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains(".TH"), "{}", command.get_name());
    }
    assert!(folder.path().join("peakhour.1").exists());
    let nowhere = peakhour(folder.path(), &["man", "no/where"]);
    assert_eq!(nowhere.code, 104);
    assert!(nowhere.stderr.contains("no/where"), "{}", nowhere.stderr);
}
