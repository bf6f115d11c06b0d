//! A drill that is interrupted leaves no process of its commands behind.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::servers::pause;

/// Whether a process runs that was started with `argument`.
fn runs(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.into_iter().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    })
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Interrupts a rehearsal once its command, which sleeps for `SECONDS`, runs, `after` more pauses.
/// They are as many as no other process sleeps for.
fn interrupt(acts: &str, number: u32, after: usize) {
    let seconds = &format!("611.{}{number}", std::process::id());
    let acts = &acts.replace("SECONDS", seconds);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), acts);
    let mut run = Running(
        Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
            .args(["run", "s.yaml"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    assert!(within(30, || runs(seconds)), "the command was never begun: {acts}");
    (0..after).for_each(|_| pause());
    assert!(runs(seconds), "the command has ended by itself: {acts}");
    let told = Command::new("kill").args(["-INT", &run.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    let mut code = None;
    within(20, || {
        code = run.0.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(Some(105)), "{acts}");
    assert!(within(5, || !runs(seconds)), "its command goes on: {acts}");
}

fn within(seconds: usize, mut is_so: impl FnMut() -> bool) -> bool {
    (0..seconds * 50).any(|_| {
        pause();
        is_so()
    })
}

fn write(folder: &Path, acts: &str) {
    let load: Vec<String> = (0..600_u64)
        .map(|number| {
            let at = number * 100_000_000;
            format!(
                "{{\"at_ns\":{at},\"connection\":{number},\"method\":\"GET\",\
                 \"authority\":\"p.example\",\"target\":\"/load\"}}\n"
            )
        })
        .collect();
    fs::write(folder.join("r.jsonl"), load.concat()).unwrap();
    let scenario = format!("# Logs.\nrecording: r.jsonl\ntarget: {{ url: stage }}\n{acts}");
    fs::write(folder.join("s.yaml"), scenario).unwrap();
}

#[test]
fn a_canary_that_is_interrupted_leaves_no_command_behind() {
    let acts = "acts:\n  - canary:\n      request: /load\n      within: 60s\n      \
                streams:\n        app: { command: 'sleep SECONDS; true' }\n";
    interrupt(acts, 1, 50);
}

#[test]
fn a_heartbeat_that_is_interrupted_leaves_no_command_behind() {
    // The act is over after a second, and a minute of load follows.
    let acts = "acts:\n  - canary:\n      request: /load\n      within: 1s\n      \
                streams:\n        app: { command: 'sleep SECONDS; true' }\n  - replay\n";
    interrupt(acts, 2, 200);
}

#[test]
fn a_fingerprint_that_is_interrupted_leaves_no_command_behind() {
    let acts = "nodes: { a: { run: 'sleep SECONDS; :' } }\n\
                acts: [ fingerprint: { within: 60s } ]\n";
    interrupt(acts, 3, 50);
}
