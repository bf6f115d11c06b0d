//! Bad input gets a clear error (what, where, what to do) and the exit code 104; nothing is lost.

use std::fs;
use std::path::Path;

use crate::servers::free_port;
use crate::support::{Ran, peakhour, peakhour_with, root};
use crate::talk::{Talk, bytes_of};

/// Runs `arguments` in a scratch folder that holds `files`, and checks that the error names all
/// of `fragments`.
fn check(files: &[(&str, &[u8])], arguments: &[&str], fragments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let ran = peakhour(folder.path(), arguments);
    let shown = format!("{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 104, "{shown}");
    for fragment in fragments {
        assert!(ran.stderr.contains(fragment), "no `{fragment}` in:\n{shown}");
    }
    assert!(!ran.stderr.contains("panicked"), "{shown}");
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> =
        left.filter(|name| name.to_string_lossy().ends_with(".inprogress")).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// A scenario on the stage with one line changed or added.
fn scenario(lines: &str) -> Vec<u8> {
    let capture = capture();
    format!("# A scenario of a test.\nname: bad\nrecording: {capture}\n{lines}\n").into_bytes()
}

fn capture() -> String {
    root().join("captures/nginx-first/peak.pcap.gz").display().to_string()
}

fn run_scenario(lines: &str, fragments: &[&str]) {
    check(&[("s.yaml", &scenario(lines))], &["run", "s.yaml"], fragments);
}

/// A place for a report that does not exist must not cost the run before it is noticed.
#[test]
fn a_report_that_could_not_be_written_after_the_run() {
    let fragments = &["nowhere/x.html", "there is no folder nowhere"];
    let arguments = &["run", "s.yaml", "--out", "html=nowhere/x.html"];
    check(&[("s.yaml", &scenario("target: { url: stage }"))], arguments, fragments);
}

/// A name that a folder takes, and not the longer one under which a file is written first.
fn too_long(letter: &str) -> String {
    format!("{}.html", letter.repeat(245))
}

/// What was measured in an hour is kept wherever it can be: one report that cannot be written is no
/// reason to leave out those behind it.
#[test]
fn every_report_is_tried_though_one_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = "window: +0s..+1s\ntolerance: ci\ntarget: { url: stage }";
    fs::write(folder.path().join("s.yaml"), scenario(text)).unwrap();
    let (first, other) = (too_long("a"), too_long("b"));
    let outs = [format!("html={first}"), "json=kept.json".to_owned(), format!("html={other}")];
    let outs: Vec<&str> = outs.iter().flat_map(|out| ["--out", out]).collect();
    let ran = peakhour(folder.path(), &[&["run", "s.yaml"], &outs[..]].concat());
    let shown = format!("{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 104, "{shown}");
    assert!(ran.stderr.contains(&first) && ran.stderr.contains(&other), "both are told: {shown}");
    assert!(folder.path().join("kept.json").exists(), "{shown}");
    assert!(ran.stdout.contains("Load shape"), "the result is told: {shown}");
    assert!(ran.stdout.contains("kept.json") && ran.stdout.contains("run.json"), "{shown}");
}

const IMPORT: &[&str] = &["import", "file", "-o", "out.parquet"];

#[test]
fn an_empty_file() {
    check(&[("file", b"")], IMPORT, &["file", "empty"]);
}

#[test]
fn a_missing_file() {
    check(&[], IMPORT, &["file", "No such file"]);
}

#[test]
fn not_a_capture() {
    check(
        &[("file", b"<!doctype html><title>no</title>")],
        IMPORT,
        &["file", "not a capture", "pcap"],
    );
}

#[test]
fn a_capture_without_any_tcp() {
    // A pcap header and one ARP frame.
    let mut pcap = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    pcap.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 6], &[0; 28]].concat();
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    pcap.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    pcap.extend(length);
    pcap.extend(length);
    pcap.extend(&frame);
    check(&[("file", &pcap)], IMPORT, &["file", "no TCP"]);
}

#[test]
fn a_capture_of_a_protocol_that_is_not_read() {
    let mut talk = Talk::new();
    talk.client("SSH-2.0-a\r\n").server("SSH-2.0-b\r\n");
    let protocols = "no exchange inside of any protocol that is read (HTTP/1, HTTP/2, Redis, \
                     MySQL, PostgreSQL;";
    check(&[("file", &bytes_of(&talk.pieces))], IMPORT, &["file", protocols]);
    let har = b"{\"log\": {\"entries\": []}}";
    check(&[("file", har)], IMPORT, &["file: no exchange inside"]);
}

#[test]
fn an_unknown_scenario_key() {
    run_scenario("target: { url: stage }\nspede: 2", &["s.yaml", "spede", "speed"]);
}

#[test]
fn a_wrong_unit() {
    run_scenario(
        "target: { url: stage }\nlimits: { grace: 10 }",
        &["s.yaml:5:18", "grace", "no unit", "30s"],
    );
}

#[test]
fn a_duplicate_key() {
    run_scenario(
        "target: { url: stage }\nspeed: 1\nspeed: 2",
        &["s.yaml:6:1", "`speed` is given twice (first on line 5)"],
    );
}

#[test]
fn an_expectation_that_cannot_be_read_points_at_the_column() {
    run_scenario(
        "target: { url: stage }\nexpect: [latency p99 << 250ms]",
        &["s.yaml", "latency p99 << 250ms", "^"],
    );
}

#[test]
fn a_target_that_answered_in_the_recording_is_refused() {
    run_scenario(
        "target: { url: 'http://127.0.0.1:18080', allow: [127.0.0.1] }",
        &["127.0.0.1:18080", "recording"],
    );
}

#[test]
fn a_target_that_is_not_allowed_is_refused() {
    run_scenario("target: { url: 'http://127.0.0.1:9' }", &["127.0.0.1", "allow"]);
}

#[test]
fn an_unreachable_target() {
    let port = free_port();
    run_scenario(
        &format!("target: {{ url: 'http://127.0.0.1:{port}', allow: [127.0.0.1] }}"),
        &[&format!("127.0.0.1:{port}"), "refused"],
    );
}

#[test]
fn an_unwritable_report_folder() {
    // A file stands where the folder should be: true for root as well.
    check(
        &[("s.yaml", &scenario("target: { url: stage }")), ("reports", b"a file")],
        &["run", "s.yaml"],
        &["reports", "cannot"],
    );
}

#[test]
fn an_unknown_fault_names_the_known_ones() {
    check(
        &[("s.yaml", &scenario("target: { url: stage }"))],
        &["run", "s.yaml", "--stage-fault", "gremlins"],
        &["gremlins", "cold-cache", "connection-limit"],
    );
}

#[test]
fn usage_errors_end_in_104_too() {
    check(&[], &["run"], &["Usage"]);
    check(&[], &["rum"], &["rum"]);
}

#[test]
fn a_truncated_capture_keeps_everything_up_to_the_cut_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let whole = unpacked(folder.path());
    let cut = whole.len() * 2 / 3 + 5;
    fs::write(folder.path().join("cut.pcap"), &whole[..cut]).unwrap();
    fs::write(folder.path().join("whole.pcap"), &whole).unwrap();
    let exchanges = |name: &str| -> (u64, Ran) {
        let ran = peakhour(folder.path(), &["inspect", "--json", name]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        (json["exchanges"].as_u64().unwrap(), ran)
    };
    let ((some, ran), (all, _)) = (exchanges("cut.pcap"), exchanges("whole.pcap"));
    assert!(some > all / 2 && some < all, "{some} of {all}");
    assert!(ran.stdout.contains("cut"), "{}", ran.stdout);
}

/// The repository's capture without its compression.
fn unpacked(folder: &Path) -> Vec<u8> {
    let packed = folder.join("peak.pcap.gz");
    fs::copy(capture(), &packed).unwrap();
    let done = std::process::Command::new("gzip").arg("-d").arg(&packed).status().unwrap();
    assert!(done.success());
    fs::read(folder.join("peak.pcap")).unwrap()
}

#[test]
fn an_option_is_checked_like_the_key_of_the_file_and_named() {
    let scenario = scenario("target: { url: stage }");
    for (option, value, fragment) in [
        ("--speed", "0", "0 is out of range; write a number from 0.01 to 100"),
        ("--speed", "1e9", "`1e9` is not a plain number"),
        ("--speed", "NaN", "`NaN` is not a plain number"),
        ("--scale", "-1", "-1 is out of range; write a number from 0.000001 to 100"),
        ("--scale", "1000", "1000 is out of range"),
        ("--seed", "-1", "`-1` is not a whole number"),
        ("--recording", ".", "is a folder"),
    ] {
        for command in ["plan", "run"] {
            check(
                &[("s.yaml", &scenario)],
                &[command, "s.yaml", option, value],
                &[fragment, if option == "--recording" { "." } else { option }],
            );
        }
    }
}

#[test]
fn a_variable_is_checked_like_its_option_and_a_flag_takes_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.yaml"), scenario("target: { url: stage }")).unwrap();
    let plan = |variable: &str, value: &str| {
        peakhour_with(folder.path(), &["plan", "s.yaml"], &[(variable, value)])
    };
    for (variable, value) in
        [("PEAKHOUR_SPEED", "0"), ("PEAKHOUR_SCALE", "-4"), ("PEAKHOUR_SEED", "x")]
    {
        let ran = plan(variable, value);
        assert_eq!(ran.code, 104, "{variable}: {}", ran.stderr);
        assert!(ran.stderr.contains(variable), "{variable}: {}", ran.stderr);
    }
    for value in ["1", "true", "yes", "0", ""] {
        let ran = plan("PEAKHOUR_QUIET", value);
        assert_eq!(ran.code, 0, "`{value}`: {}", ran.stderr);
    }
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_the_run() {
    check(
        &[("s.yaml", &scenario("target: { url: stage }"))],
        &["run", "s.yaml", "--out", "html=nowhere/peak.html"],
        &["cannot write nowhere/peak.html", "there is no folder nowhere"],
    );
}

#[test]
fn a_capture_is_not_overwritten_by_what_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peak.pcap.gz");
    fs::copy(capture(), &file).unwrap();
    let before = fs::read(&file).unwrap();
    for output in ["-o", "--jsonl"] {
        let ran = peakhour(folder.path(), &["import", "peak.pcap.gz", output, "./peak.pcap.gz"]);
        assert_eq!(ran.code, 104, "{}", ran.stderr);
        assert!(ran.stderr.contains("it is the capture"), "{}", ran.stderr);
        assert!(fs::read(&file).unwrap() == before, "{output} changed the capture");
    }
}

#[test]
fn a_dry_run_tells_what_a_run_would_refuse_and_what_the_capture_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let whole = unpacked(folder.path());
    fs::write(folder.path().join("cut.pcap"), &whole[..whole.len() / 2 + 5]).unwrap();
    for (target, told) in [
        ("{ url: 'http://127.0.0.1:18081' }", "is not allowed"),
        ("{ url: 'http://127.0.0.9:18080', allow: [127.0.0.9] }", "the recording was made from it"),
    ] {
        fs::write(folder.path().join("s.yaml"), format!("recording: cut.pcap\ntarget: {target}\n"))
            .unwrap();
        let ran = peakhour(folder.path(), &["plan", "s.yaml"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.words().contains("run will refuse this"), "{}", ran.stdout);
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
        assert!(ran.stderr.contains("cut"), "{}", ran.stderr);
    }
}
