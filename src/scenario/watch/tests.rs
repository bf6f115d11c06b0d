use super::*;
use crate::scenario::parse::from_text;

const BASE: &str = "recording: a.parquet\ntarget: { url: stage }\nwatch:\n";

#[test]
fn probes_are_urls_or_options_and_tell_no_secret() {
    let text = format!(
        "{BASE}  a: redis://:s3cret@127.0.0.1\n  \
         b: {{ command: 'echo 1', limit: 9, every: 2s }}\n"
    );
    let watch = from_text(&text, "s.yaml").unwrap().watch;
    assert_eq!((watch[0].name.as_str(), watch[0].every), ("a", EVERY));
    assert_eq!((watch[1].limit, watch[1].every), (Some(9.0), Duration::from_secs(2)));
    assert!(!format!("{watch:?}").contains("s3cret"));
}

#[test]
fn mistakes_have_a_place_and_a_hint() {
    for (line, message) in [
        ("a: http://h/x", "s.yaml:4:6: a page over http is watched by its series"),
        ("a: tcp://h:1", "s.yaml:4:6: bytes over TCP cannot be watched"),
        ("a: { prometheus: redis://h }", "`redis` is no page"),
        ("a: { prometheus: http://h/m, series: ['a b'] }", "is not the name of a series"),
        ("a: { host: '', series: [up] }", "`series` belongs to `prometheus`"),
        ("a: { host: '', matching: x }", "`matching` belongs to `log` or `log_command`"),
        ("a: { log: '' }", "this is empty"),
        ("a: { every: 2s }", "s.yaml:4:6: nothing to watch"),
        ("a: { command: x, url: redis://h }", "a probe watches one thing"),
        ("a: { url: redis://h, limit: 3 }", "`limit` belongs to `command`"),
        ("a: { colour: red }", "unknown key `colour`"),
        ("a b: redis://h", "is not a name for a probe"),
        ("'': redis://h", "is not a name for a probe"),
        (&format!("{}: redis://h", "n".repeat(41)), "is not a name for a probe"),
        ("a: { command: x, every: 99ms }", "99ms is out of range"),
        ("a: { command: x, every: 61m }", "61m is out of range"),
        ("a: { command: x, limit: 0 }", "0 is out of range"),
        ("a: { command: x, limit: 2000000000000000000 }", "is out of range"),
        ("a: { command: ' ' }", "this is empty"),
        ("a: { log_command: '' }", "this is empty"),
        ("a: { log: /a, matching: ' ' }", "this is empty"),
        ("a: { host: \"a\\0\" }", "this holds a zero byte"),
        ("a: { prometheus: 'http://h/a b' }", "spaces or control characters"),
        ("a: { prometheus: 'http://h/m', series: [''] }", "is not the name of a series"),
        (
            &format!("a: {{ prometheus: 'http://h/m', series: [{}] }}", "s".repeat(201)),
            "is not the name of a series",
        ),
        (
            &format!("a: {{ prometheus: 'http://h/m', series: [{}] }}", "up, ".repeat(65)),
            "more than 64 series",
        ),
    ] {
        let error = from_text(&format!("{BASE}  {line}\n"), "s.yaml").unwrap_err().to_string();
        assert!(error.contains(message), "{line}: {error}");
        assert!(error.contains("s.yaml:4:"), "{line}: {error}");
    }
    let many = |count: usize| {
        let probes: Vec<_> = (0..count).map(|n| format!("  p{n}: redis://h\n")).collect();
        from_text(&format!("{BASE}{}", probes.concat()), "s.yaml")
            .map(|scenario| scenario.watch.len())
    };
    assert_eq!(many(MAX_WATCHES).unwrap(), MAX_WATCHES);
    assert!(many(MAX_WATCHES + 1).unwrap_err().to_string().contains("more than 50 probes"));
}

#[test]
fn pages_logs_and_machines_are_watched_as_they_are_written() {
    let text = format!(
        "{BASE}  a: {{ prometheus: 'http://127.0.0.1:9100/metrics', series: [up, a:b] }}\n  \
         b: {{ log: /var/log/app.log, matching: ' ERROR' }}\n  \
         c: {{ log_command: 'ssh a journalctl -f' }}\n  d: {{ host: ' ssh a ' }}\n  \
         e: {{ url: 'redis://127.0.0.1:1', every: 1h }}\n"
    );
    let watch = from_text(&text, "s.yaml").unwrap().watch;
    assert!(matches!(&watch[0].what, Watched::Prometheus { series, .. } if series.len() == 2));
    let source = LogSource::File("/var/log/app.log".into());
    assert!(watch[1].what == Watched::Log { source, matching: Some(" ERROR".to_owned()) });
    let source = LogSource::Command("ssh a journalctl -f".to_owned());
    assert!(watch[2].what == Watched::Log { source, matching: None });
    assert!(watch[3].what == Watched::Host("ssh a".to_owned()));
    assert!(matches!(&watch[4].what, Watched::Server(endpoint) if endpoint.port == 1));
    assert_eq!(watch[4].every, Duration::from_hours(1));
}
