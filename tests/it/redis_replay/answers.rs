//! Replies beside the recorded ones: their kind and their size, and nothing of what is in them.

use serde_json::Value;

use super::{Hand, line, replay, url};
use crate::rehearsal::alone;
use crate::servers;

/// Forty reads, answered when they were recorded with so many bytes.
fn recorded(bytes: u64) -> Vec<String> {
    let read = |at: u64| {
        let text = line(at * 25, at % 4, &format!("GET user:{}", at % 8), false);
        let mut line: Value = serde_json::from_str(&text).unwrap();
        line["response_body_bytes"] = bytes.into();
        line.to_string()
    };
    (0..40).map(read).collect()
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["check"] == check).unwrap()
}

/// `$1000`, the value, and their line ends.
const BYTES: u64 = 7 + 1000 + 2;

#[test]
fn a_key_that_is_gone_and_one_of_another_type_are_told() {
    let _alone = alone();
    let value = "v".repeat(1000);
    let names = || (0..8).map(|number| format!("user:{number}"));
    let twins = [
        ("SET", Some(&*value), "as large as recorded", "have production's class"),
        ("SET", None, "are smaller than recorded", "have production's class"),
        ("RPUSH", Some("v"), "0 answers have", "are an error where production's are a reply"),
    ];
    for (verb, value, size, status) in twins {
        let Some(server) = servers::redis(&[]) else { return };
        if let Some(value) = value {
            let writes: Vec<String> = names().map(|it| format!("{verb} {it} {value}")).collect();
            Hand::new(server.port).say(&writes.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let (report, ran) = replay(&recorded(BYTES), &url(&server), "");
        // Also where this machine made the run invalid, what was seen is told.
        let told = |check: &str| {
            let found = finding(&report, check);
            format!("{} {}", found["title"], found["evidence"])
        };
        let shown = format!("{verb}: {}\n{}", ran.stdout, ran.stderr);
        assert!(told("response-size").contains(size), "{shown}");
        assert!(told("response-status").contains(status), "{shown}");
        // Nothing of the contents of replies is kept, and nothing is said of them.
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().all(|it| it["check"] != "response-content"), "{shown}");
        let compared = report["responses"]["statuses"].as_u64();
        assert_eq!(compared, Some(40), "{shown}");
    }
}
