use super::*;
use crate::model::file::write;
use crate::model::sketch::Law;

const SMALL: &str = r#"model: 2
duration: 60
rate:
  - { from: 0, sessions: 5 }
  - { from: 30, sessions: 7.5, busiest: 90 }
bursts: { calm: 0.5, busy: 2, calm_lasts: 3, busy_lasts: 1.5 }
edits:
  sessions: 2
  tail: 1.1
  crowds: [{ at: 10, lasts: 5, times: 3 }]
  routes: [{ route: "GET /new/*", share: 0.05 }]
  outliers: [{ bytes: 40000000, every: 10 }]
connections:
  shared: false
  when_busy: 1
  when_idle: [[1, 0], [60, 0.5]]
  held: { median: 5, sigma: 0.5, most: 60 }
routes:
  - route: "GET /cart/*"
    keys: { count: 100, exponent: 0.9, once: 0.1, recent: [[1, 0.1], [8, 0.2]] }
    head: { points: [[0, 100], [1, 300]] }
    body: { empty: 1 }
    answer: { empty: 0.1, middle: { median: 900, sigma: 1, most: 9000 },
      tail: { share: 0.1, start: 9000, index: 1.2 }, most: 90000 }
    statuses: { 200: 0.9, 404: 0.09, none: 0.01 }
    first_byte: { median: 0.004, sigma: 1, most: 3 }
  - route: "OTHER"
    head: { points: [[0, 100], [1, 300]] }
    body: { empty: 1 }
    answer: { empty: 1 }
    statuses: { 200: 1 }
groups:
  - share: 1
    begins: { "GET /cart/*": 1 }
    elsewhere: { "OTHER": 1 }
    states:
      - from: "GET /cart/*"
        ends: 0.2
        next:
          - { to: "GET /cart/*", share: 0.7, gap: { median: 5, sigma: 1, most: 60 } }
          - { to: elsewhere, share: 0.1, embedded: true, gap: { points: [[0, 0.001], [1, 0.1]] } }
"#;

#[test]
fn a_model_is_read_and_written_alike() {
    let read = from_text(SMALL, "m.yaml").unwrap();
    assert_eq!(read.routes[0].statuses, [(0, 0.01), (200, 0.9), (404, 0.09)]);
    assert_eq!(read.groups[0].states[0].next[1].to, None);
    assert!(matches!(read.routes[0].first_byte, Some(Law::LogNormal { .. })));
    let written = write(&read);
    assert!(written.lines().all(|line| !line.starts_with('#') || line.len() <= 100), "{written}");
    assert_eq!(from_text(&written, "m.yaml").unwrap(), read);
    assert_eq!(write(&from_text(&written, "m.yaml").unwrap()), written);
}

fn problem(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    from_text(&SMALL.replacen(from, to, 1), "m.yaml").unwrap_err().to_string()
}

#[test]
fn mistakes_are_told_with_their_place_and_what_to_write() {
    for (from, to, expected) in [
        ("duration: 60", "duratoin: 60", "m.yaml:2:1: unknown key `duratoin`"),
        ("model: 2", "model: 3", "m.yaml:1:8: this is version 3"),
        ("sessions: 5", "sessions: many", "m.yaml:4:26: `many` is not a plain number"),
        ("sessions: 5", "sessions: -5", "m.yaml:4:26: -5 is out of range"),
        ("from: 30", "from: 0", "m.yaml:5:5: stretches of the rate begin at 0"),
        ("ends: 0.2", "ends: 0.9", "`ends` and the shares of `next` add up to 1.700"),
        ("begins: { \"GET /cart/*\"", "begins: { \"GET /crt/*\"", "did you mean `GET /cart/*`?"),
        ("200: 0.9", "OK: 0.9", "this is the share of no status"),
        ("[1, 300]", "[1, 10]", "the shares of a distribution rise from 0 to 1"),
        ("route: \"OTHER\"", "route: \"SELECT /x\"", "this is not a route"),
        ("route: \"OTHER\"", "route: \"GET /cart/*\"", "this route is there twice"),
        ("answer: { empty: 1 }", "answer: { empty: 0.5 }", "it is not said how large these are"),
        ("share: 1\n", "share: 0.4\n", "the shares of all groups add up to 0.400"),
        ("most: 3 }", "most: 3, mode: 2 }", "unknown key `mode`"),
        ("[8, 0.2]", "[1, 0.2]", "each distance is farther than the one before"),
        ("[8, 0.2]", "[8, 0.99]", "the shares of `recent` and `fresh` add up to 1.090"),
        ("once: 0.1,", "once: 0.1, fresh: 0.9,", "`recent` and `fresh` add up to 1.200"),
        ("200: 0.9", "200: 0.5", "the shares of `statuses` add up to 0.600"),
        ("{ \"OTHER\": 1 }", "{ \"OTHER\": 0.4 }", "the shares of `elsewhere` add up to 0.400"),
        ("    first_byte: {", "    rest: {", "`rest` is the time behind the first byte"),
        ("most: 90000", "most: 0", "some of these are not empty, and none has a byte"),
        ("from: 30", "from: 60", "m.yaml:5:5: this stretch of the rate begins behind"),
        ("[8, 0.2]", "[20000, 0.2]", "`20000` is no such number"),
        ("[8, 0.2]", "[8]", "this is not a distance and a share"),
        ("share: 0.05 }]", "share: 0.95 }]", "0.95 is out of range"),
        (
            "share: 0.05 }]",
            "share: 0.5 }, { route: \"GET /b\", share: 0.5 }]",
            "new routes have 1.000 of all requests together",
        ),
    ] {
        let text = problem(from, to);
        assert!(text.contains(expected), "{to}: {text}");
        assert!(text.contains("\nhint: "), "{text}");
    }
}

/// Of an older version, any key may be unknown: what is told is the version.
#[test]
fn an_older_version_is_told_as_such_whatever_is_in_it() {
    let old =
        SMALL.replace("model: 2", "# old\nmodel: 1 # really").replace("[[1, 0.1], [8, 0.2]]", "0");
    let told = from_text(&old, "m.yaml").unwrap_err().to_string();
    assert!(told.contains("m.yaml:2:8: this is version 1 of the format"), "{told}");
    assert!(told.contains("fit the recording again"), "{told}");
}

#[test]
fn edits_beyond_a_hundred_of_a_kind_are_refused_and_not_left_out() {
    let crowds = |count: usize| vec!["{ at: 10, lasts: 5, times: 3 }"; count].join(", ");
    let text = |count| SMALL.replace("{ at: 10, lasts: 5, times: 3 }", &crowds(count));
    assert_eq!(from_text(&text(100), "m.yaml").unwrap().edits.crowds.len(), 100);
    let told = from_text(&text(101), "m.yaml").unwrap_err().to_string();
    assert!(told.contains("these are 101 edits of one kind"), "{told}");
}

#[test]
fn a_model_is_told_by_its_first_line_that_is_no_comment() {
    use crate::model::file::version_of;
    assert_eq!(version_of("model: 2\n"), Some((2, 1)));
    assert_eq!(version_of("\u{feff}model: \"2\" # x\n"), Some((2, 1)));
    assert_eq!(version_of("# a\n\n---\nmodel: 1 # x\r\nrate:"), Some((1, 4)));
    for text in ["", "# model: 2", "name: x\nmodel: 2\n", "model: T\n", "  model: 2", "model:\n"] {
        assert_eq!(version_of(text), None, "{text}");
    }
}

#[test]
fn what_is_no_model_is_refused() {
    for text in ["", "[]", "model: 2", "a: &a [*a, *a]", "\u{0}", "name: x\nrecording: y\n"] {
        assert!(from_text(text, "m.yaml").is_err(), "{text}");
    }
    let huge = " ".repeat(MAX_FILE + 1);
    assert!(from_text(&huge, "m.yaml").is_err());
}
