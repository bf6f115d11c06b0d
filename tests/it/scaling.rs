//! Aim: wherever a scaled load is described, the bursts of the recording and of the plan stand side
//! by side, with words for what scaling did; and clones are other people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::rehearsal::alone;
use crate::support::peakhour;

/// Two minutes of sessions of three bursts each, of eight requests within 10 ms.
fn record(folder: &Path) {
    let mut rows: Vec<(u64, u64)> = Vec::new();
    for session in 0..240_u64 {
        for burst in 0..3 {
            let at = session * 487_000_000 + burst * 1_531_000_000;
            rows.extend((0..8).map(|number| (at + number * 1_000_000, session)));
        }
    }
    rows.sort_unstable();
    let mut text = String::new();
    for (at_ns, session) in rows {
        let head =
            format!("GET /cart HTTP/1.1\r\nHost: p\r\nCookie: sid=a1b2c3d4e5{session:04}\r\n\r\n");
        let line = json!({
            "at_ns": at_ns, "connection": session, "session": session,
            "method": "GET", "authority": "production.example",
            "target": "/cart", "route": "/cart", "status": 200,
            "request_head": head,
        });
        let _ = writeln!(text, "{line}");
    }
    fs::write(folder.join("r.jsonl"), text).unwrap();
}

fn scenario(folder: &Path, lines: &str) {
    let text = format!(
        "# Scaled.\nname: scaled\nrecording: r.jsonl\ntarget: {{ url: stage }}\n\
         tolerance: ci\nacts: [replay]\n{lines}"
    );
    fs::write(folder.join("s.yaml"), text).unwrap();
}

#[test]
fn a_dry_run_tells_what_scaling_does() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let plan = |arguments: &[&str]| {
        let ran = peakhour(folder.path(), &[&["plan", "s.yaml"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    scenario(folder.path(), "");
    let unscaled = plan(&[]);
    assert!(unscaled.contains("  recorded") && unscaled.contains("  planned"), "{unscaled}");
    assert!(!unscaled.contains("not scaled") && !unscaled.contains("scaling "), "{unscaled}");
    let json: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    assert_eq!(json["scaling"], Value::Null);

    let slow = plan(&["--speed", "0.5"]);
    assert!(slow.contains("  not scaled"), "{slow}");
    assert!(slow.contains("bursts of 100 ms became bursts of 200 ms"), "{slow}");
    assert!(slow.contains("IDC at "), "{slow}");
    let json: Value = serde_json::from_str(&plan(&["--speed", "0.5", "--json"])).unwrap();
    assert_eq!(json["scaling"]["speed"], 0.5);
    let idc = |name: &str| json["scaling"][name].clone();
    assert_eq!(idc("idc_unscaled"), json["idc_before"]);
    assert_eq!(idc("idc_scaled"), json["idc_after"]);
    assert_ne!(idc("idc_unscaled"), json["idc_after"]);
}

#[test]
fn clones_are_told_apart_from_their_originals() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let plan = |lines: &str| {
        scenario(folder.path(), &format!("scale: 2\n{lines}"));
        let ran = peakhour(folder.path(), &["plan", "s.yaml"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    // Where the recording was redacted on its way in, clones have pseudonyms of their own.
    let own = plan("");
    assert!(own.contains("requests of clones 5\u{202f}760 have an identity of their own"), "{own}");
    assert!(own.contains("caches look warmer"), "{own}");
    let shared = plan("clones: { identities: shared }\n");
    assert!(shared.contains("requests of clones 0 have an identity of their own"), "{shared}");
    assert!(shared.contains("carry the cookies or credentials of their originals"), "{shared}");
    let keys = plan("clones: { keys: own }\n");
    assert!(keys.contains("requests have keys of their own"), "{keys}");
}

/// Terminal, page and `run.json` tell it beside the verdict, which compares with the plan.
#[test]
fn a_run_tells_what_scaling_did() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    scenario(folder.path(), "scale: 0.5\nspeed: 20\nlimits: { grace: 2s }\n");
    let ran = peakhour(folder.path(), &["run", "s.yaml", "--reports", "reports"]);
    let section: Vec<&str> =
        ran.stdout.lines().skip_while(|line| *line != "Scaling").take(8).collect();
    assert!(section[1].contains("10 ms") && section[1].contains("10 s"), "{}", ran.stdout);
    for (line, name) in
        section[2..].iter().zip(["recorded", "planned", "not scaled", "scaled ", "scaled / not"])
    {
        assert!(line.trim_start().starts_with(name), "{}", ran.stdout);
    }
    assert!(section[7].contains("a scale of 0.5 keeps 50 %"), "{}", ran.stdout);
    let run = fs::read_dir(folder.path().join("reports")).unwrap().next().unwrap().unwrap().path();
    let json = fs::read_to_string(run.join("run.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["facts"]["scaling"]["scale"], 0.5);
    assert!(json["facts"]["scaling"]["idc_unscaled"][0].as_f64() > Some(1.0));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("What scaling did to the load"));
    assert!(page.contains("bursts of 100 ms became bursts of 5 ms"));
    let run = run.display().to_string();
    let compared = peakhour(folder.path(), &["validate", "r.jsonl", &run]);
    let told = [compared.stdout, compared.stderr].concat();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("another load on purpose, by a scale of 0.5"), "{told}");
}
