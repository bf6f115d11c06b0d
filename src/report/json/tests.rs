//! What the schema allows and what is read and written are one thing: runs are made up from the
//! schema alone, with every field and every alternative, and must come back as they are.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::bytes::spread;
use crate::report::measured::measured;
use crate::report::terminal::{self, Style};
use crate::report::{annotations, html, junit, markdown};

/// Made-up runs: so many that each alternative, however deep, is in one of them.
const RUNS: u64 = 400;

/// Makes up what a schema describes.
struct Maker<'a> {
    root: &'a Value,
    run: u64,
    /// Values so far, so that no two are alike and none is read for another one.
    values: u64,
    /// Alternatives taken, by where they stand.
    taken: &'a mut BTreeSet<(String, usize)>,
}

impl Maker<'_> {
    fn of(&mut self, schema: &Value, place: &str) -> Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/$defs/")) {
            return self.of(&self.root["$defs"][name], name);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        let mut made = self.of_type(schema, place);
        for of in ["oneOf", "anyOf"] {
            let Some(alternatives) = schema[of].as_array() else { continue };
            let drawn = spread(spread(self.run) ^ self.values ^ place.len() as u64);
            let chosen = usize::try_from(drawn % alternatives.len() as u64).unwrap();
            self.taken.insert((place.to_owned(), chosen));
            let chosen = self.of(&alternatives[chosen], &format!("{place}/{chosen}"));
            match (&mut made, chosen) {
                // What all alternatives have stands beside them.
                (Value::Object(made), Value::Object(chosen)) => made.extend(chosen),
                (made, chosen) => *made = chosen,
            }
        }
        made
    }

    fn of_type(&mut self, schema: &Value, place: &str) -> Value {
        self.values += 1;
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect::<Vec<_>>(),
        };
        let is_told = !spread(self.run ^ self.values).is_multiple_of(4);
        match kinds.iter().find(|kind| (**kind == "null") != is_told).or(kinds.first()) {
            Some(&"object") => self.object(schema, place),
            Some(&"array") => self.array(schema, place),
            Some(&"string") => json!(format!("text {}", self.values)),
            Some(&"integer") => {
                let most = match (&schema["maximum"], schema["format"].as_str()) {
                    (Value::Number(most), _) => most.as_u64().unwrap(),
                    (_, Some("int64")) => i64::MAX.cast_unsigned(),
                    (_, Some("uint32")) => u64::from(u32::MAX),
                    _ => u64::MAX,
                };
                // Sums of what a file says must not overflow.
                let is_most = spread(spread(self.run) ^ self.values).is_multiple_of(16);
                json!(if is_most { most } else { self.values % most })
            }
            Some(&"number") => json!(f64::from(u32::try_from(self.values).unwrap()) + 0.5),
            // What is false may be left out.
            Some(&"boolean") => json!(true),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &Value, place: &str) -> Value {
        let mut made = Map::new();
        let named = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in named {
            made.insert(name.clone(), self.of(property, &format!("{place}.{name}")));
        }
        if schema["additionalProperties"].is_object() {
            let more = &schema["additionalProperties"];
            made.insert("more".to_owned(), self.of(more, &format!("{place}.*")));
        }
        let numbered = schema["patternProperties"].as_object().into_iter().flatten();
        for (_, property) in numbered {
            made.insert("204".to_owned(), self.of(property, &format!("{place}.#")));
        }
        Value::Object(made)
    }

    fn array(&mut self, schema: &Value, place: &str) -> Value {
        let place = format!("{place}[]");
        let first: Vec<Value> = schema["prefixItems"].as_array().cloned().unwrap_or_default();
        let mut made: Vec<Value> = first.iter().map(|each| self.of(each, &place)).collect();
        if schema["items"].is_object() {
            let least = schema["minItems"].as_u64().unwrap_or(1);
            made.extend((0..least).map(|_| self.of(&schema["items"], &place)));
        }
        Value::Array(made)
    }
}

/// A run that holds what it may, of a schema.
fn made_up(schema: &Value, run: u64, taken: &mut BTreeSet<(String, usize)>) -> Value {
    let mut maker = Maker { root: schema, run, values: 0, taken };
    let mut made = maker.of(schema, "run");
    made["schema_version"] = json!(SCHEMA_VERSION);
    made
}

fn read_back(made: &Value) -> Report {
    parsed(made.to_string().as_bytes(), Path::new("run.json")).unwrap_or_else(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{error}: {source:?}")
    })
}

/// All alternatives that there are.
fn alternatives(schema: &Value, place: &str, all: &mut BTreeSet<(String, usize)>) {
    for of in ["oneOf", "anyOf"] {
        for (at, each) in schema[of].as_array().into_iter().flatten().enumerate() {
            all.insert((place.to_owned(), at));
            alternatives(each, &format!("{place}/{at}"), all);
        }
    }
    for (name, each) in schema["properties"].as_object().into_iter().flatten() {
        alternatives(each, &format!("{place}.{name}"), all);
    }
    for (field, behind) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(each) = schema.get(field) {
            alternatives(each, &format!("{place}{behind}"), all);
        }
    }
}

/// Without what has no value: that may be left out.
fn told(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, told(value)));
            Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(told).collect()),
        other => other,
    }
}

/// What is left out of a file because it is what readers take for granted.
const TAKEN_FOR_GRANTED: [&str; 1] = ["/facts/origin: \"recorded\" became null"];

/// Where two values are not alike.
fn differences(one: &Value, other: &Value, place: &str, found: &mut BTreeSet<String>) {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            let names: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
            let of = |from: &Map<String, Value>, name| from.get(name).cloned().unwrap_or_default();
            for name in names {
                differences(&of(ones, name), &of(others, name), &format!("{place}/{name}"), found);
            }
        }
        (Value::Array(ones), Value::Array(others)) if ones.len() == others.len() => {
            for (one, other) in ones.iter().zip(others) {
                differences(one, other, &format!("{place}[]"), found);
            }
        }
        _ if one == other => {}
        _ => {
            let told = format!("{place}: {one} became {other}");
            if !TAKEN_FOR_GRANTED.contains(&&*told) {
                found.insert(told);
            }
        }
    }
}

#[test]
fn whatever_the_schema_allows_is_read_and_written_alike() {
    with_room(read_and_written);
}

/// Readers of large types need much of the stack where nothing is optimised.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap();
    assert!(thread.join().is_ok(), "see the panic above");
}

fn read_and_written() {
    let schema: Value = serde_json::from_str(&schema().unwrap()).unwrap();
    let (mut taken, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for run in 0..RUNS {
        let made = made_up(&schema, run, &mut taken);
        let written = render(&read_back(&made)).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        differences(&told(made), &told(written), "", &mut apart);
    }
    assert_eq!(apart, BTreeSet::new());
    let mut all = BTreeSet::new();
    alternatives(&schema, "run", &mut all);
    for (name, each) in schema["$defs"].as_object().unwrap() {
        alternatives(each, name, &mut all);
    }
    let missed: Vec<_> = all.difference(&taken).collect();
    assert!(missed.is_empty() && all.len() > 100, "{missed:?} of {}", all.len());
}

/// However large the numbers are, and whatever contradicts what: a file may say anything.
#[test]
fn whatever_a_run_says_its_reports_are_written() {
    with_room(reports_are_written);
}

/// Whether something was written of a run.
type Writes = fn(&Report) -> bool;

fn reports_are_written() {
    let schema: Value = serde_json::from_str(&schema().unwrap()).unwrap();
    let writers: [(&str, Writes); 6] = [
        ("html", |report| html::write(report, &mut std::io::sink()).is_ok()),
        ("terminal", |report| {
            let narrow = terminal::render(report, Style { width: 20, colour: true }, &[]);
            let wide = terminal::render(report, Style { width: 200, colour: true }, &[]);
            !narrow.is_empty() && !wide.is_empty() && !terminal::line(report, &[]).is_empty()
        }),
        ("junit", |report| junit::render(report).is_ok()),
        ("gitlab", |report| annotations::gitlab(report).is_ok()),
        ("texts", |report| {
            !markdown::render(report).is_empty() && !annotations::github(report).is_empty()
        }),
        // It contradicts itself, and is none of a comparison.
        ("measured", |report| measured(report, "run").is_err()),
    ];
    let mut failed = BTreeSet::new();
    for run in 0..60 {
        let report = read_back(&made_up(&schema, run, &mut BTreeSet::new()));
        for (name, writes) in writers {
            let written = std::panic::catch_unwind(|| writes(&report));
            if !matches!(written, Ok(true)) {
                failed.insert(name);
            }
        }
    }
    assert!(failed.is_empty(), "see the panics above: {failed:?}");
}
