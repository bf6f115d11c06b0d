//! Colours are for people who look at a terminal, and who did not ask for none.

use std::path::Path;
use std::process::Command;

use peakhour::report::files::write_reports;

use crate::report_sample::failing;

/// What a saved run prints where its standard output is a terminal, of Debian's `script`.
fn on_a_terminal(folder: &Path, option: &str, environment: &[(&str, &str)]) -> String {
    let program = assert_cmd::cargo::cargo_bin("peakhour");
    let command = format!("{} report . --print {option}", program.display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(folder);
    script.env_remove("NO_COLOR").env("TERM", "xterm").envs(environment.iter().copied());
    let printed = script.output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("FAIL"), "{text}");
    text
}

#[test]
fn only_a_terminal_has_colours_and_only_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    write_reports(&failing(), folder.path()).unwrap();
    let coloured = |option: &str, environment: &[(&str, &str)]| {
        on_a_terminal(folder.path(), option, environment).contains('\u{1b}')
    };
    assert!(coloured("", &[]));
    assert!(coloured("", &[("NO_COLOR", "")]), "set to nothing is not set");
    assert!(!coloured("", &[("NO_COLOR", "1")]));
    assert!(!coloured("", &[("TERM", "dumb")]));
    assert!(!coloured("--no-color", &[]));
    assert!(!coloured("", &[("PEAKHOUR_NO_COLOR", "true")]));
    assert!(!coloured("--quiet", &[]), "a line for scripts");
    let program = assert_cmd::cargo::cargo_bin("peakhour");
    let mut piped = Command::new(program);
    let piped = piped.args(["report", ".", "--print"]).current_dir(folder.path());
    let piped = piped.env_remove("NO_COLOR").env("TERM", "xterm").output().unwrap();
    let text = String::from_utf8(piped.stdout).unwrap();
    assert!(text.contains("FAIL") && !text.contains('\u{1b}'), "{text}");
}
