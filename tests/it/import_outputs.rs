//! Aim: an import never harms what is there, leaves nothing behind, and shows nobody a secret.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::record_parts::is_private;
use crate::support::{peakhour, root};

/// A request with secrets in every place, as JSON Lines.
const SECRETS: &str = concat!(
    r#"{"at_ns":0,"method":"POST","target":"/a?token=s3cret-url","#,
    r#""authority":"u:s3cret-user@A","status":200,"#,
    r#""request_head":"POST /a?token=s3cret-url HTTP/1.1\r\nHost: a\r\n"#,
    r#"authorization:Bearer s3cret-bearer\r\nCookie: id=s3cret-cookie\r\n"#,
    r#"X-Mine: s3cret-kept\r\n\r\n"}"#
);

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("captures/nginx-first/peak.pcap.gz"), folder.path().join("a.gz")).unwrap();
    folder
}

/// Names of all files but the capture.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "a.gz" && name != "tmp").collect()
}

/// Starts the program with a pipe that stays open, and feeds it the capture.
fn start_and_feed(folder: &Path, arguments: &[&str]) -> Child {
    fs::create_dir_all(folder.join("tmp")).unwrap();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("peakhour"))
        .current_dir(folder)
        .args(arguments)
        .env("TMPDIR", folder.join("tmp"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once the program has read most of it, its files are there.
    let capture = fs::read(folder.join("a.gz")).unwrap();
    child.stdin.as_mut().unwrap().write_all(&capture).unwrap();
    child
}

#[test]
fn a_capture_is_never_its_own_output() {
    let folder = folder();
    let capture = fs::read(folder.path().join("a.gz")).unwrap();
    fs::hard_link(folder.path().join("a.gz"), folder.path().join("hard")).unwrap();
    std::os::unix::fs::symlink("a.gz", folder.path().join("soft")).unwrap();
    for output in ["a.gz", "./a.gz", "hard", "soft"] {
        for option in ["-o", "--jsonl"] {
            let ran = peakhour(folder.path(), &["import", "a.gz", option, output]);
            assert!(ran.code == 104 && ran.stderr.contains("the capture that is read"), "{ran:?}");
            assert_eq!(fs::read(folder.path().join("a.gz")).unwrap(), capture, "{output}");
        }
    }
}

#[test]
fn a_recording_takes_the_place_of_files_only() {
    let folder = folder();
    let made = Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let ran = peakhour(folder.path(), &["import", "a.gz", "-o", "pipe"]);
    assert!(ran.code == 104 && ran.stderr.contains("no regular file"), "{ran:?}");
    assert!(!fs::metadata(folder.path().join("pipe")).unwrap().is_file());
}

#[test]
fn an_interrupted_import_leaves_nothing() {
    for arguments in [&["import", "-", "-o", "out"][..], &["inspect", "-"]] {
        let folder = folder();
        let child = start_and_feed(folder.path(), arguments);
        let made = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(made.success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(105), "{stderr}");
        assert_eq!(left(folder.path()), Vec::<String>::new());
        assert_eq!(left(&folder.path().join("tmp")), Vec::<String>::new());
    }
}

#[test]
fn two_imports_do_not_write_one_recording() {
    let folder = folder();
    let mut child = start_and_feed(folder.path(), &["import", "-", "-o", "out"]);
    let ran = peakhour(folder.path(), &["import", "a.gz", "-o", "out"]);
    assert!(ran.code == 104 && ran.stderr.contains("another process is writing it"), "{ran:?}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(peakhour(folder.path(), &["inspect", "out"]).code, 0);
    assert_eq!(left(folder.path()), ["out"]);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let folder = folder();
    let line = "peakhour --quiet import a.gz --jsonl - | head -c 10; test ${PIPESTATUS[0]} = 0";
    let program = assert_cmd::cargo::cargo_bin("peakhour");
    let line = line.replace("peakhour", &program.display().to_string());
    let mut shell = Command::new("bash");
    let output = shell.args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_same_capture_twice_is_used_once() {
    let folder = folder();
    let twice =
        peakhour(folder.path(), &["import", "a.gz", "a.gz", "--keep-secrets", "--jsonl", "twice"]);
    assert!(twice.code == 0 && twice.stderr.contains("captured again"), "{twice:?}");
    let once = peakhour(folder.path(), &["import", "a.gz", "--keep-secrets", "--jsonl", "once"]);
    assert!(once.code == 0 && !once.stderr.contains("captured again"), "{once:?}");
    let lines = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(lines("once") == lines("twice"));
    assert!(is_private(&folder.path().join("once")));
    let ran = peakhour(folder.path(), &["import", "a.gz", "-o", "out"]);
    assert!(ran.code == 0 && ran.stderr.contains("secrets with other names are kept"), "{ran:?}");
}

#[test]
fn a_plan_shows_no_credentials() {
    let folder = folder();
    fs::write(folder.path().join("lines"), SECRETS).unwrap();
    let import = ["import", "lines", "--keep-secrets", "-o", "out"];
    assert_eq!(peakhour(folder.path(), &import).code, 0);
    let scenario = "# A test.\nname: t\nrecording: out\ntarget: { url: stage }\n\
        rewrite: { headers: { x-mine: s3cret-set } }\n";
    fs::write(folder.path().join("s.yaml"), scenario).unwrap();
    let ran = peakhour(folder.path(), &["plan", "s.yaml", "--requests", "9"]);
    assert!(ran.code == 0 && ran.stdout.contains("X-Mine: xxxxxxxxxx"), "{ran:?}");
    assert!(!ran.stdout.contains("s3cret"), "{ran:?}");
}

#[test]
fn a_server_is_named_without_its_users() {
    let folder = folder();
    fs::write(folder.path().join("lines"), SECRETS).unwrap();
    let ran = peakhour(folder.path(), &["inspect", "lines", "--json"]);
    assert!(ran.code == 0 && !ran.stdout.contains("s3cret"), "{ran:?}");
    let header: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    // What is refused as a target is the host.
    assert_eq!(header["servers"]["authorities"], serde_json::json!(["a"]));
}

#[test]
fn what_was_captured_does_not_command_the_terminal() {
    let folder = folder();
    let line = r#"{"at_ns":0,"method":"GET","target":"/\u001b]0;x\u0007","authority":"\u001b[2J",
        "request_head":"GET / HTTP/1.1\r\n\r\n"}"#;
    let line = line.replace('\n', "");
    fs::write(folder.path().join("lines"), line).unwrap();
    let ran = peakhour(folder.path(), &["inspect", "lines"]);
    assert!(ran.code == 0 && !ran.stdout.contains(['\x1b', '\x07']), "{ran:?}");
    assert!(ran.stdout.contains("started              not known"), "{ran:?}");
}

#[test]
fn a_dry_run_tells_what_an_import_would_and_writes_nothing() {
    let folder = folder();
    fs::write(folder.path().join("lines"), SECRETS).unwrap();
    for input in ["a.gz", "lines"] {
        let before = left(folder.path());
        let dry = peakhour(folder.path(), &["import", input, "--dry-run"]);
        assert!(dry.code == 0 && left(folder.path()) == before, "{dry:?}");
        assert!(!dry.stdout.contains("s3cret"), "{dry:?}");
        let output = format!("{input}.parquet");
        let wet = peakhour(folder.path(), &["import", input, "-o", &output]);
        let found = dry.stdout.split(';').next().unwrap();
        assert!(wet.code == 0 && wet.stderr.contains(found), "{dry:?} {wet:?}");
        let inspected = peakhour(folder.path(), &["inspect", &output]).stdout;
        let ledger = dry.stdout.split_once("\nframes:").unwrap().1;
        assert!(inspected.ends_with(ledger), "{inspected} {ledger}");
    }
    let ran = peakhour(folder.path(), &["import", "a.gz", "--dry-run", "-o", "out"]);
    assert_eq!(ran.code, 104, "{ran:?}");
}
