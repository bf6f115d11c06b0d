//! The same for what a load shape is made of.

use super::*;

/// What a load shape is made of is read in another way, and checked alike.
#[test]
fn values_that_are_looked_at_alone_are_named_by_row() {
    let cases: [(&str, &str, Value, &str); 9] = [
        ("at_ns", "optional int64 at_ns", Value::Null, "is null"),
        (
            "at_ns",
            "required int64 at_ns",
            Value::Int(-1),
            "is earlier than the row before: not sorted",
        ),
        ("session", "optional int64 session", Value::Null, "is null"),
        (
            "protocol",
            "required binary protocol",
            Value::Text(b"smtp"),
            "is none that this version knows",
        ),
        ("method", "required binary method", Value::Text(b"\xff"), "is not UTF-8"),
        ("route", "optional binary route", Value::Text(b"\xff"), "is not UTF-8"),
        ("target", "optional binary target", Value::Null, "is null"),
        ("request_body_bytes", "required int64 request_body_bytes", Value::Int(-9), "is negative"),
        ("last_byte_ns", "optional int64 last_byte_ns", Value::Int(-9), "is negative"),
    ];
    for (column, declared, value, problem) in cases {
        let (_folder, path) = craft(&Craft::valid().column(column, declared).last(column, value));
        let mut sights = RecordingReader::open(&path).unwrap().sights();
        let error = sights.find_map(Result::err).unwrap().to_string();
        let expected = format!("crafted.parquet: column `{column}`, row 2 (from 0): {problem}");
        assert!(error.ends_with(&expected), "{error}");
        assert!(sights.next().is_none(), "it ends after an error");
    }
    let raw = Craft::valid().last("target", Value::Text(b"/\xff"));
    let sights = RecordingReader::open(&craft(&raw).1).unwrap().sights();
    assert_eq!(sights.map(Result::unwrap).count(), 3, "nobody looks at a target");
}
