//! A log stream that falls silent under load, against a real nginx.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::servers::{Server, nginx, pause};
use crate::support::{Ran, peakhour};

/// nginx with an access log that names the marker and the path.
fn shop() -> Option<Server> {
    nginx("", "", |port, folder| {
        let at = folder.display();
        format!(
            "log_format marked '$time_iso8601 $http_x_request_id $request_uri';\n\
             server {{ listen 127.0.0.1:{port}; access_log {at}/access.log marked;\n\
             location / {{ return 200 'shop'; }}\n\
             location /missing {{ return 404; }} }}"
        )
    })
}

/// The act and six seconds of load; the heartbeat's finding, its evidence, and what arrived.
fn rehearse(server: &Server, within: &str, stream: &str) -> (Ran, Value, Value) {
    rehearse_while(server, within, stream, || {})
}

/// The same; `change` is called in the middle of the load.
fn rehearse_while(
    server: &Server,
    within: &str,
    stream: &str,
    change: impl FnOnce() + Send,
) -> (Ran, Value, Value) {
    let folder = server.folder();
    let load: Vec<String> = (0..30_u64)
        .map(|number| {
            let at = number * 200_000_000;
            format!(
                "{{\"at_ns\":{at},\"connection\":{number},\"method\":\"GET\",\
                 \"authority\":\"p.example\",\"target\":\"/load\"}}\n"
            )
        })
        .collect();
    fs::write(folder.join("r.jsonl"), load.concat()).unwrap();
    let scenario = format!(
        "# Logs.\nrecording: r.jsonl\ntolerance: ci\nwindow: all\n\
         target: {{ url: 'http://127.0.0.1:{}', allow: [127.0.0.1] }}\n\
         acts:\n  - replay\n  - canary:\n      request: /cart\n      \
         error_request: /missing\n      within: {within}\n      every: 1s\n      \
         streams:\n        access: {stream}\n",
        server.port
    );
    fs::write(folder.join("s.yaml"), scenario).unwrap();
    let _ = fs::remove_dir_all(folder.join("reports"));
    let log = folder.join("access.log");
    let is_loaded = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.lines().filter(|line| line.ends_with("/load")).count() > 10
    };
    let ran = std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..3_000 {
                if is_loaded() {
                    return change();
                }
                pause();
            }
        });
        peakhour(folder, &["run", "s.yaml"])
    });
    let mut runs = fs::read_dir(folder.join("reports")).unwrap();
    let run = runs.next().unwrap_or_else(|| panic!("{}", ran.stderr)).unwrap().path();
    let run: Value =
        serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    let findings = run["findings"].as_array().unwrap();
    let found = findings.iter().find(|each| each["check"] == "canary-heartbeat");
    let beats = run["acts"][0]["evidence"]["canary"]["heartbeat"].clone();
    (ran, found.unwrap_or(&Value::Null).clone(), beats)
}

#[test]
fn a_stream_that_goes_on_through_the_load_passes() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    let stream = format!("{{ file: '{}', on: both }}", log.display());
    let (ran, found, beats) = rehearse(&server, "10s", &stream);
    assert_eq!(found["outcome"], "pass", "{}{found}{beats}", ran.stderr);
    // Requests of both kinds, through all of the load and once after it.
    assert!(beats["streams"][0]["seen"].as_u64() >= Some(6), "{beats}");
    assert_eq!(beats["streams"][0]["lost"], 0, "{beats}");
    // They are no part of the load.
    let log = fs::read_to_string(&log).unwrap();
    assert_eq!(log.lines().filter(|line| line.ends_with("/load")).count(), 30);
    assert!(log.lines().filter(|line| line.ends_with("/missing")).count() > 10, "{log}");
}

#[test]
fn a_stream_that_falls_silent_under_load_fails() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    // It ends to tell of anything with the first request of the load.
    let stream = format!(
        "{{ command: 'tail -n 0 -F {} | sed -u /load/q; sleep 600', on: success }}",
        log.display()
    );
    let (ran, found, beats) = rehearse(&server, "1s", &stream);
    // The whole is no matter here: this machine may have been too busy for the load.
    assert_eq!(found["outcome"], "fail", "{}{found}{beats}", ran.stderr);
    let title = found["title"].to_string();
    assert!(title.contains("access: ") && title.contains("did not show up within 1 s"), "{title}");
}

#[test]
fn a_stream_whose_command_fails_under_load_is_unknown() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    let stream = format!(
        "{{ command: 'tail -n 0 -F {} | sed -u /load/q; echo Permission denied for hunter2 >&2; \
         exit 255', on: success }}",
        log.display()
    );
    let (ran, found, beats) = rehearse(&server, "1s", &stream);
    assert_eq!(found["outcome"], "unknown", "{}{found}{beats}", ran.stderr);
    let shown = found.to_string();
    assert!(shown.contains("ended with exit code 255: permission denied"), "{shown}");
    assert!(!format!("{found}{beats}{}{}", ran.stdout, ran.stderr).contains("hunter2"), "{shown}");
}

/// Whether everything showed up although the file changed under its reader.
fn goes_on(server: &Server, change: impl FnOnce() + Send) {
    let stream = format!("{{ file: '{}' }}", server.folder().join("access.log").display());
    let (ran, found, beats) = rehearse_while(server, "10s", &stream, change);
    assert_eq!(found["outcome"], "pass", "{}{found}{beats}", ran.stderr);
    // What is cut off before it was read cannot be judged: a beat's two requests, or two beats'.
    let [sent, seen] =
        [&beats["sent"], &beats["streams"][0]["seen"]].map(|at| at.as_u64().unwrap());
    assert!(sent > 10 && seen + 4 >= sent, "{beats}");
}

#[test]
fn a_log_that_is_rotated_is_followed() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    goes_on(&server, || {
        fs::rename(&log, log.with_extension("log.1")).unwrap();
        // nginx opens its logs anew.
        let told = Command::new("kill").args(["-USR1", &server.pid().to_string()]).status();
        assert!(told.unwrap().success());
    });
    assert!(fs::metadata(log.with_extension("log.1")).unwrap().len() > 0);
    assert!(fs::metadata(log).unwrap().len() > 0);
}

#[test]
fn a_log_that_is_truncated_is_followed() {
    let Some(server) = shop() else { return };
    let log = server.folder().join("access.log");
    goes_on(&server, || {
        fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    });
    let loads = fs::read_to_string(log).unwrap();
    assert!(loads.lines().filter(|line| line.ends_with("/load")).count() < 30, "{loads}");
}
