//! Nodes that differ from their peers and from the last good release, over real commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::schema;
use crate::servers::{Server, nginx};
use crate::support::{Ran, peakhour};

/// A folder for a node's own `ruby`, and the prefix that puts it first.
fn node(folder: &Path, name: &str, ruby: &str) -> String {
    let bin = folder.join(name);
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("ruby"), format!("#!/bin/sh\necho 'ruby {ruby}'\n")).unwrap();
    fs::set_permissions(bin.join("ruby"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("env PATH={}:$PATH", bin.display())
}

/// Performs the act and nothing else; the findings by check.
fn rehearse(folder: &Path, nodes: &[(&str, &str)], options: &str, more: &[&str]) -> (Ran, Value) {
    let nodes: Vec<String> =
        nodes.iter().map(|(name, run)| format!("  {name}: {{ run: '{run}' }}\n")).collect();
    let nodes = nodes.concat();
    let scenario = format!(
        "# Nodes.\nrecording: r.jsonl\ntarget: {{ url: stage }}\nnodes:\n{nodes}\
         acts: [ fingerprint: {options} ]\n"
    );
    rehearse_scenario(folder, &scenario, more)
}

fn rehearse_scenario(folder: &Path, scenario: &str, more: &[&str]) -> (Ran, Value) {
    let exchange = r#""connection":0,"method":"GET","authority":"p.example","target":"/"}"#;
    let exchanges = format!("{{\"at_ns\":0,{exchange}\n{{\"at_ns\":1,{exchange}\n");
    fs::write(folder.join("r.jsonl"), exchanges).unwrap();
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let _ = fs::remove_dir_all(folder.join("reports"));
    let ran = peakhour(folder, &[&["run", "s.yaml", "--only", "fingerprint"], more].concat());
    let mut runs = fs::read_dir(folder.join("reports")).unwrap();
    let run = runs.next().unwrap_or_else(|| panic!("{}", ran.stderr)).unwrap().path();
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    let run = serde_json::from_str(&text).unwrap();
    schema::holds(&run);
    (ran, run)
}

fn finding(run: &Value, check: &str) -> Value {
    let findings = run["findings"].as_array().unwrap();
    findings.iter().find(|each| each["check"] == check).unwrap_or(&Value::Null).clone()
}

const QUICK: &str = "{ ignore: [packages, java], within: 10s }";

#[test]
fn the_node_with_another_ruby_is_found_and_its_healthy_twin_passes() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = [("a", "3.1.2"), ("b", "2.7.0"), ("c", "3.1.2")]
        .map(|(name, ruby)| node(folder.path(), name, ruby));
    let (ran, run) = rehearse(folder.path(), &[("a", &a), ("b", &b), ("c", &c)], QUICK, &[]);
    let drift = finding(&run, "node-drift");
    assert_eq!(ran.code, 99, "{}{drift}", ran.stderr);
    assert_eq!(drift["title"], "the nodes are not alike: ruby");
    assert_eq!(drift["evidence"][0], "b: ruby is `ruby 2.7.0`, the other 2 have `ruby 3.1.2`");

    let b = node(folder.path(), "b", "3.1.2");
    let (ran, run) = rehearse(folder.path(), &[("a", &a), ("b", &b), ("c", &c)], QUICK, &[]);
    assert_eq!(ran.code, 0, "{}{run}", ran.stderr);
    assert_eq!(finding(&run, "node-drift")["outcome"], "pass");
    assert_eq!(finding(&run, "clock-offset")["outcome"], "pass");
}

#[test]
fn a_node_that_cannot_be_reached_is_unknown_with_the_reason_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let a = node(folder.path(), "a", "3.1.2");
    let refused = "echo Permission denied >&2; exit 255; :";
    let hangs = "sleep 600; :";
    let options = "{ ignore: [packages, java], within: 5s }";
    let nodes = [("a", a.as_str()), ("b", refused), ("c", a.as_str()), ("d", hangs)];
    let (_, run) = rehearse(folder.path(), &nodes, options, &[]);
    let drift = finding(&run, "node-drift");
    assert_eq!(drift["outcome"], "unknown", "{drift}");
    let evidence = drift["evidence"].to_string();
    assert!(
        evidence.contains("b: its command ended with exit code 255: permission denied"),
        "{evidence}"
    );
    assert!(evidence.contains("d: it did not answer within 5 s"), "{evidence}");
    assert!(!evidence.contains("a:"), "{evidence}");
}

#[test]
fn a_release_that_changed_a_node_is_told_from_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let a = node(folder.path(), "a", "3.1.2");
    let options =
        "{ ignore: [packages, java], snapshot: good.json, facts: { key: 'echo token=abc' } }";
    let (_, run) = rehearse(folder.path(), &[("a", &a)], options, &[]);
    let missing = finding(&run, "release-drift");
    assert_eq!(missing["outcome"], "unknown", "{missing}");
    assert!(missing["advice"].to_string().contains("--save-snapshot good.json"), "{missing}");

    let save = ["--save-snapshot", "good.json"];
    let (ran, _) = rehearse(folder.path(), &[("a", &a)], options, &save);
    let saved = fs::read_to_string(folder.path().join("good.json")).unwrap();
    assert!(saved.contains("ruby 3.1.2") && !saved.contains("abc"), "{}{saved}", ran.stderr);
    let (ran, run) = rehearse(folder.path(), &[("a", &a)], options, &[]);
    assert_eq!(finding(&run, "release-drift")["outcome"], "pass", "{run}");
    assert_eq!(ran.code, 0, "{}", ran.stderr);

    let a = node(folder.path(), "a", "2.7.0");
    let (ran, run) = rehearse(folder.path(), &[("a", &a)], options, &[]);
    let drift = finding(&run, "release-drift");
    assert_eq!(ran.code, 99, "{}", ran.stderr);
    assert!(drift["evidence"].to_string().contains("ruby 2.7.0"), "{drift}");
}

#[test]
fn a_clock_of_another_hour_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let a = node(folder.path(), "a", "3.1.2");
    let date = folder.path().join("a/date");
    fs::write(&date, "#!/bin/sh\necho $(($(/bin/date +%s) + 3600)).000000000\n").unwrap();
    fs::set_permissions(&date, fs::Permissions::from_mode(0o755)).unwrap();
    let (ran, run) = rehearse(folder.path(), &[("a", &a)], QUICK, &[]);
    let offset = finding(&run, "clock-offset");
    assert_eq!(ran.code, 99, "{}", ran.stderr);
    assert!(offset["title"].to_string().contains("ahead of ours"), "{offset}");
}

/// nginx that fails for every other request, or for none.
fn shop(is_broken: bool) -> Option<Server> {
    let share = if is_broken { "50%" } else { "0.01%" };
    nginx("", "", |port, _| {
        format!(
            "split_clients $request_id $fate {{ {share} bad; * good; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{\n\
             if ($fate = bad) {{ return 500; }} return 200 'shop'; }} }}"
        )
    })
}

#[test]
fn the_node_that_fails_for_a_share_of_requests_is_found_and_its_healthy_twin_passes() {
    for is_broken in [true, false] {
        let (Some(a), Some(b)) = (shop(false), shop(is_broken)) else { return };
        let folder = tempfile::tempdir().unwrap();
        let [port_a, port_b] = [a.port, b.port];
        let url = |port: u16| format!("url: \"http://127.0.0.1:{port}\"");
        let scenario = format!(
            "# Nodes.\nrecording: r.jsonl\n\
             target: {{ url: 'http://127.0.0.1:{port_a}', allow: [127.0.0.1] }}\n\
             nodes: {{ a: {{ {} }}, b: {{ {} }} }}\nacts: [ fingerprint: {QUICK} ]\n",
            url(port_a),
            url(port_b)
        );
        let (ran, run) = rehearse_scenario(folder.path(), &scenario, &[]);
        let found = finding(&run, "node-behaviour");
        let shown = format!("{}{found}", ran.stderr);
        if is_broken {
            assert_eq!((ran.code, &found["outcome"]), (99, &Value::from("fail")), "{shown}");
            assert!(shown.contains("b: "), "{shown}");
        } else {
            assert_eq!(found["outcome"], "pass", "{shown}");
        }
    }
}
