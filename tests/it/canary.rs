//! Marked requests against a real nginx, and whether its log streams tell of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::record_tls::authority;
use crate::schema;
use crate::servers::{Server, nginx};
use crate::support::{Ran, peakhour};

/// nginx with an access log for what succeeds and one for what fails, both with the marker.
fn shop() -> Option<Server> {
    listening("")
}

fn listening(tls: &str) -> Option<Server> {
    nginx("", "", |port, folder| {
        let at = folder.display();
        format!(
            "log_format marked escape=json '{{\"level\":\"info\",\"time\":\"$time_iso8601\",\
             \"id\":\"$http_x_request_id\"}}';\n\
             server {{ listen 127.0.0.1:{port}{tls}; access_log {at}/access.log marked;\n\
             location /cart {{ return 200 'cart'; }}\n\
             location / {{ return 404; access_log {at}/errors.log marked; }} }}"
        )
    })
}

/// Performs the act and nothing else; its finding.
fn rehearse(server: &Server, streams: &str) -> (Ran, Value) {
    rehearse_nodes(server, "", streams)
}

/// The same with nodes.
fn rehearse_nodes(server: &Server, nodes: &str, streams: &str) -> (Ran, Value) {
    let target = format!("url: 'http://127.0.0.1:{}'", server.port);
    rehearse_at(server, &target, nodes, streams)
}

fn rehearse_at(server: &Server, target: &str, nodes: &str, streams: &str) -> (Ran, Value) {
    let folder = server.folder();
    let exchange =
        r#"{"at_ns":0,"connection":0,"method":"GET","authority":"p.example","target":"/"}"#;
    fs::write(folder.join("r.jsonl"), format!("{exchange}\n")).unwrap();
    let scenario = format!(
        "# Logs.\nrecording: r.jsonl\n\
         target: {{ {target}, allow: [127.0.0.1] }}\n\
         {nodes}acts:\n  - canary:\n      request: /cart\n      \
         error_request: /no-such-page\n      within: 2s\n      streams:\n{streams}"
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let _ = fs::remove_dir_all(folder.join("reports"));
    let ran = peakhour(folder, &["run", "s.yaml", "--only", "canary"]);
    let mut runs = fs::read_dir(folder.join("reports")).unwrap();
    let run = runs.next().unwrap_or_else(|| panic!("{}", ran.stderr)).unwrap().path();
    let run: Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    schema::holds(&run);
    let findings = run["findings"].as_array().unwrap();
    let found = findings.iter().find(|each| each["check"] == "log-canary").unwrap().clone();
    (ran, found)
}

fn stream(name: &str, file: &Path, options: &str) -> String {
    format!("        {name}: {{ file: '{}', {options} }}\n", file.display())
}

#[test]
fn marked_requests_show_up_in_files_and_commands_and_the_twin_passes() {
    let Some(server) = shop() else { return };
    let (access, errors) = (server.folder().join("access.log"), server.folder().join("errors.log"));
    let streams = stream("access", &access, "format: json, on: success")
        + &stream("errors", &errors, "on: error, lines: 1")
        + &format!(
            "        followed: {{ command: 'tail -n 0 -F {}', on: success }}\n",
            access.display()
        );
    let (ran, found) = rehearse(&server, &streams);
    assert_eq!(ran.code, 0, "{}{found}", ran.stderr);
    assert_eq!(found["title"], "marked requests showed up in all 3 streams");
}

#[test]
fn marked_requests_are_sent_inside_of_tls_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = authority(folder.path()) else { return };
    let [ca, pem, key] = ["ca.pem", "shop.pem", "shop-key.pem"].map(|name| authority.path(name));
    let tls = format!(" ssl; ssl_certificate {pem}; ssl_certificate_key {key}");
    let Some(server) = listening(&tls) else { return };
    let target = format!("url: 'https://127.0.0.1:{}', tls: {{ cacert: '{ca}' }}", server.port);
    let access = server.folder().join("access.log");
    let streams = stream("access", &access, "format: json, on: success");
    let (ran, found) = rehearse_at(&server, &target, "", &streams);
    assert_eq!(ran.code, 0, "{}{found}", ran.stderr);
    assert_eq!(found["outcome"], "pass", "{found}");
}

#[test]
fn a_blank_stream_fails_also_when_only_errors_are_missing() {
    let Some(server) = shop() else { return };
    let access = server.folder().join("access.log");
    let blank = server.folder().join("blank.log");
    fs::write(&blank, "").unwrap();
    // The access log has no failing requests.
    let (ran, found) = rehearse(&server, &stream("access", &access, "on: both"));
    assert_eq!(ran.code, 99, "{}{found}", ran.stderr);
    let title = found["title"].to_string();
    assert!(title.contains("access: 10 of 10 failing requests did not show up"), "{title}");
    let (_, found) = rehearse(&server, &stream("app", &blank, "on: success"));
    assert!(found["title"].to_string().contains("app: 10 of 10 successful"), "{found}");
}

#[test]
fn a_stream_that_cannot_be_read_is_unknown_with_the_reason() {
    let Some(server) = shop() else { return };
    let streams = stream("app", &server.folder().join("nowhere.log"), "on: success")
        + "        node: { on: success, \
           command: 'echo Permission denied for hunter2 >&2; exit 255' }\n";
    let (ran, found) = rehearse(&server, &streams);
    assert_eq!(found["outcome"], "unknown", "{found}");
    assert!(!format!("{found}{}{}", ran.stdout, ran.stderr).contains("hunter2"), "{found}");
    let shown = found.to_string();
    assert!(shown.contains("No such file"), "{shown}");
    assert!(shown.contains("exit code 255: permission denied"), "{shown}");
}

#[test]
fn lines_that_are_no_json_are_malformed() {
    let Some(server) = shop() else { return };
    let access = server.folder().join("access.log");
    let sed = format!(
        "        torn: {{ command: 'tail -n 0 -F {} | sed -u s/level/lev/', on: success, \
         format: json }}\n",
        access.display()
    );
    let (ran, found) = rehearse(&server, &sed);
    assert_eq!(ran.code, 99, "{}{found}", ran.stderr);
    assert!(found["title"].to_string().contains("has no level"), "{found}");
}

#[test]
fn a_file_that_may_not_be_read_is_unknown_with_the_reason() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    // A folder, what is below a file, and a file that only its owner may read.
    let streams = stream("folder", server.folder(), "on: success")
        + &stream("below", &log.join("app.log"), "on: success")
        + &stream("other", &log, "on: success, node: nobody");
    let nodes = "nodes: { nobody: { run: 'setpriv --reuid 65534 --clear-groups --' } }\n";
    let (_, found) = rehearse_nodes(&server, nodes, &streams);
    assert_eq!(found["outcome"], "unknown", "{found}");
    let shown = found.to_string();
    assert!(shown.contains("folder could not be read: it is no file"), "{shown}");
    assert!(shown.contains("below could not be read: Not a directory"), "{shown}");
    let ended = "other could not be read: its command ended with exit code 1: permission denied";
    assert!(shown.contains(ended), "{shown}");
}

#[test]
fn a_command_that_ends_is_begun_again_and_has_not_logged_twice() {
    let Some(server) = shop() else { return };
    let errors = server.folder().join("errors.log");
    // It prints the whole log each time, and has nothing to print at first.
    let cat = format!(
        "        errors: {{ command: 'cat {}', on: error, lines: 1 }}\n        \
         empty: {{ command: 'true', on: error }}\n",
        errors.display()
    );
    let (ran, found) = rehearse(&server, &cat);
    assert_eq!(ran.code, 99, "{}{found}", ran.stderr);
    let shown = found.to_string();
    assert!(shown.contains("empty: 10 of 10 failing requests did not show up"), "{shown}");
    assert!(shown.contains("errors: 10 marked lines of 10 requests\""), "{shown}");
}

#[test]
fn each_node_has_marked_requests_of_its_own() {
    let (Some(a), Some(b)) = (shop(), shop()) else { return };
    let nodes = format!(
        "nodes:\n  a: {{ url: 'http://127.0.0.1:{}' }}\n  b: {{ url: 'http://127.0.0.1:{}' }}\n",
        a.port, b.port
    );
    let log = |server: &Server| server.folder().join("access.log");
    let both = |of_b: &Path| {
        stream("access-a", &log(&a), "on: success, node: a")
            + &stream("access-b", of_b, "on: success, node: b")
    };
    let (ran, found) = rehearse_nodes(&a, &nodes, &both(&log(&b)));
    assert_eq!(ran.code, 0, "{}{found}", ran.stderr);
    // The logger of b writes nothing.
    let blank = b.folder().join("blank.log");
    fs::write(&blank, "").unwrap();
    let (ran, found) = rehearse_nodes(&a, &nodes, &both(&blank));
    assert_eq!(ran.code, 99, "{}{found}", ran.stderr);
    let title = found["title"].to_string();
    assert!(title.contains("access-b: 10 of 10 successful requests did not show up"), "{title}");
    assert!(found["evidence"].to_string().contains("access-a: 10 marked lines"), "{found}");
}

#[test]
fn a_clock_that_is_behind_or_ahead_is_found_in_the_lines() {
    let Some(server) = shop() else { return };
    let access = server.folder().join("access.log");
    let dated = |year: &str| {
        format!(
            "        app: {{ on: success, format: json, command: 'tail -n 0 -F {} | \
             sed -u s/20[0-9][0-9]-/{year}-/' }}\n",
            access.display()
        )
    };
    for (year, direction) in [("1999", "before it was asked for"), ("2199", "ahead of ours")] {
        let (ran, found) = rehearse(&server, &dated(year));
        assert_eq!(ran.code, 99, "{}{found}", ran.stderr);
        let title = found["title"].to_string();
        assert!(title.contains("10 of 10 requests are misdated"), "{title}");
        assert!(title.contains(direction), "{title}");
    }
}
