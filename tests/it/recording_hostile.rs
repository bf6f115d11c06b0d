//! Files that are no recording, are damaged, or were made to deceive.

mod sights;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Type as PhysicalType;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use peakhour::recording::Header;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::writer::RecordingWriter;

use crate::exchanges::{header, plain};

/// Opens and reads everything, both ways; the first error as text, without the folder's name.
fn error_of(path: &Path) -> Option<String> {
    let failed = match RecordingReader::open(path) {
        Err(error) => Some(error),
        Ok(reader) => reader
            .exchanges(None)
            .find_map(Result::err)
            .or_else(|| reader.outlines(None).find_map(Result::err))
            .or_else(|| reader.sights().find_map(Result::err)),
    };
    let folder = format!("{}/", path.parent().unwrap().display());
    failed.map(|error| error.to_string().replace(&folder, ""))
}

fn recording() -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("peak.parquet");
    let mut writer = RecordingWriter::create(&path).unwrap();
    for number in 0..20 {
        writer.push(plain(u64::from(number), 0, number)).unwrap();
    }
    writer.finish(header()).unwrap();
    (directory, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// For all damage to a valid file: reading it ends, in rows or in an error that names the
    /// file, never in a panic.
    #[test]
    fn a_damaged_file_is_an_error_or_still_readable(
        flips in vec((any::<prop::sample::Index>(), 1..=u8::MAX), 0..4),
        footer_flips in vec((0_usize..3_000, 1..=u8::MAX), 0..2),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (_directory, path) = recording();
        let mut bytes = fs::read(&path).unwrap();
        for (place, mask) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= mask;
        }
        for (from_the_end, mask) in footer_flips {
            let place = bytes.len() - 1 - from_the_end.min(bytes.len() - 1);
            bytes[place] ^= mask;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, bytes).unwrap();
        if let Some(error) = error_of(&path) {
            prop_assert!(error.contains("peak.parquet"), "{error}");
        }
    }
}

#[test]
fn a_cut_file_says_what_it_is_not() {
    let (_directory, path) = recording();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let killed = "a recording also ends like this when the program that wrote it was killed";
    assert_eq!(
        error_of(&path).unwrap(),
        format!("peak.parquet is not a recording: it does not end with a Parquet footer; {killed}")
    );
    fs::write(&path, "").unwrap();
    assert_eq!(
        error_of(&path).unwrap(),
        format!("peak.parquet is not a recording: it is too short; {killed}")
    );
    fs::write(&path, b"PAR1\xff\xff\xff\x03PAR1").unwrap();
    assert!(error_of(&path).unwrap().contains("its footer claims 67108863 bytes"));
    fs::remove_file(&path).unwrap();
    assert_eq!(error_of(&path).unwrap(), "cannot open peak.parquet");
}

/// What a page says of its size is checked before anything reserves it.
#[test]
fn a_page_that_claims_too_much_is_refused() {
    let (_directory, path) = recording();
    let valid = fs::read(&path).unwrap();
    let metadata = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let columns = metadata.metadata().row_group(0).columns();

    let mut bytes = valid.clone();
    let at = usize::try_from(columns[0].data_page_offset()).unwrap();
    // A data page of a gibibyte when unpacked, in one byte.
    bytes[at..at + 10].copy_from_slice(&[0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 8, 0x15, 2]);
    fs::write(&path, bytes).unwrap();
    assert_eq!(error_of(&path).unwrap(), "peak.parquet: cannot read column `at_ns` from row 0");
    let reason = "Parquet error: a column holds more than 268435456 bytes in a row group";
    assert_eq!(source_of(&path), reason);

    let mut bytes = valid;
    let at = usize::try_from(columns[1].dictionary_page_offset().unwrap()).unwrap();
    let values = bytes[at..].windows(3).position(|three| three == [0x4c, 0x15, 2]).unwrap();
    bytes[at + values + 2] = 126; // 63 values instead of 1.
    fs::write(&path, bytes).unwrap();
    assert_eq!(source_of(&path), "EOF: a dictionary claims more values than it has");
}

fn source_of(path: &Path) -> String {
    let error = RecordingReader::open(path).unwrap().exchanges(None).find_map(Result::err).unwrap();
    std::error::Error::source(&error).unwrap().to_string()
}

#[test]
fn a_parquet_file_of_somebody_else_is_no_recording() {
    check(
        &Craft { footer: vec![], ..Craft::valid() },
        "crafted.parquet is a Parquet file but no recording: its footer has no usable \
         `peakhour.format_version`; make a recording with `peakhour import`",
    );
    check(
        &Craft { footer: vec![("peakhour.format_version", "2".to_owned())], ..Craft::valid() },
        "crafted.parquet has recording format 2, this program reads up to 1; use a newer peakhour",
    );
    let footer = vec![
        ("peakhour.format_version", "1".to_owned()),
        ("peakhour.header", "{\"origin\":".to_owned()),
    ];
    check(
        &Craft { footer, ..Craft::valid() },
        "crafted.parquet: `peakhour.header` in the footer is not understood",
    );
}

#[test]
fn columns_are_checked_before_rows() {
    // It has no column of chunks, as those of before there was one.
    let (_folder, path) = craft(&Craft::valid());
    assert_eq!(error_of(&path), None, "the crafted file is right otherwise");
    let rows = RecordingReader::open(&path).unwrap().exchanges(None);
    assert!(rows.map(Result::unwrap).all(|row| row.request_chunks.is_none()));
    check(&Craft::valid().column("flags", ""), "crafted.parquet: column `flags` is missing");
    check(
        &Craft::valid().column("at_ns", "required int32 at_ns"),
        "crafted.parquet: column `at_ns` is INT32, expected INT64",
    );
    check(
        &Craft::valid().column("method", "repeated binary method"),
        "crafted.parquet: column `method` holds lists",
    );
    check(
        &Craft::valid().column("seq", "required group g { required int32 seq; }"),
        "crafted.parquet is damaged: its footer has no flat list of columns; import the capture \
         again",
    );
    check(
        &Craft { header_rows: 4, ..Craft::valid() },
        "crafted.parquet is damaged: its header counts 4 exchanges, its row groups 3; import the \
         capture again",
    );
}

#[test]
fn values_that_cannot_be_are_named_by_row() {
    let cases: [(&str, &str, Value, &str); 12] = [
        (
            "at_ns",
            "required int64 at_ns",
            Value::Int(-1),
            "row 2 (from 0): is earlier than the row before: not sorted",
        ),
        ("at_ns", "optional int64 at_ns", Value::Null, "row 2 (from 0): is null"),
        ("seq", "required int32 seq", Value::Int(-1), "row 2 (from 0): is negative"),
        (
            "protocol",
            "required binary protocol",
            Value::Text(b"smtp"),
            "row 2 (from 0): is none that this version knows",
        ),
        ("target", "required binary target", Value::Text(b"/\xff"), "row 2 (from 0): is not UTF-8"),
        ("target", "optional binary target", Value::Null, "row 2 (from 0): is null"),
        (
            "request_body_bytes",
            "required int64 request_body_bytes",
            Value::Int(-9),
            "row 2 (from 0): is negative",
        ),
        ("status", "optional int32 status", Value::Int(-1), "row 2 (from 0): is negative"),
        ("status", "optional int32 status", Value::Int(65_536), "row 2 (from 0): is beyond 65535"),
        (
            "response_head",
            "optional binary response_head",
            Value::Text(b"HTTP"),
            "row 2 (from 0): is set although `status` is null",
        ),
        (
            "first_byte_ns",
            "optional int64 first_byte_ns",
            Value::Int(1),
            "row 2 (from 0): is set although `status` is null",
        ),
        ("flags", "optional int32 flags", Value::Null, "row 2 (from 0): is null"),
    ];
    for (column, declared, value, problem) in cases {
        check(
            &Craft::valid().column(column, declared).last(column, value),
            &format!("crafted.parquet: column `{column}`, {problem}"),
        );
    }
    let answered = Craft::valid()
        .last("status", Value::Int(200))
        .last("response_head", Value::Text(b"HTTP/1.1 200 OK\r\n\r\n"));
    assert_eq!(error_of(&craft(&answered).1), None);
    check(
        &answered.last("response_digest", Value::Text(b"fifteen bytes..")),
        "crafted.parquet: column `response_digest`, row 2 (from 0): has not 16 bytes",
    );
}

/// Each group is sorted, their order is not.
#[test]
fn row_groups_are_in_the_order_of_time() {
    let mut swapped = Craft::valid();
    swapped.groups = 2;
    swapped.header_rows = 6;
    check(
        &swapped,
        "crafted.parquet is damaged: row group 1 is not sorted by `at_ns`; import the capture \
         again",
    );
}

fn check(craft_: &Craft, expected: &str) {
    assert_eq!(error_of(&craft(craft_).1).as_deref(), Some(expected));
}

/// A recording of three rows, written without this program's writer.
#[derive(Clone)]
struct Craft {
    /// The schema, a column each.
    columns: Vec<(&'static str, String)>,
    /// Values of the last row.
    last: BTreeMap<&'static str, Value>,
    footer: Vec<(&'static str, String)>,
    header_rows: u64,
    /// How often the rows are written.
    groups: usize,
}

#[derive(Clone, Copy)]
enum Value {
    Int(i64),
    Text(&'static [u8]),
    Null,
}

const COLUMNS: [(&str, &str); 21] = [
    ("at_ns", "required int64"),
    ("connection", "required int64"),
    ("session", "required int64"),
    ("seq", "required int32"),
    ("stream", "optional int32"),
    ("protocol", "required binary"),
    ("method", "required binary"),
    ("scheme", "required binary"),
    ("authority", "required binary"),
    ("target", "required binary"),
    ("route", "required binary"),
    ("request_head", "required binary"),
    ("request_body", "required binary"),
    ("request_body_bytes", "required int64"),
    ("status", "optional int32"),
    ("response_head", "optional binary"),
    ("response_body_bytes", "optional int64"),
    ("response_digest", "optional binary"),
    ("first_byte_ns", "optional int64"),
    ("last_byte_ns", "optional int64"),
    ("flags", "required int32"),
];

impl Craft {
    fn valid() -> Self {
        let columns = COLUMNS.map(|(name, kind)| (name, format!("{kind} {name}"))).to_vec();
        let footer =
            vec![("peakhour.format_version", "1".to_owned()), ("peakhour.header", String::new())];
        Self { columns, last: BTreeMap::new(), footer, header_rows: 3, groups: 1 }
    }

    /// Declares a column otherwise, or leaves it out.
    fn column(mut self, name: &str, declared: &str) -> Self {
        let column = self.columns.iter_mut().find(|(column, _)| *column == name).unwrap();
        declared.clone_into(&mut column.1);
        self
    }

    fn last(mut self, column: &'static str, value: Value) -> Self {
        self.last.insert(column, value);
        self
    }

    fn values(&self, column: &str) -> [Value; 3] {
        let usual = match column {
            "protocol" => Value::Text(b"http1"),
            _ => match COLUMNS.iter().find(|(name, _)| *name == column).unwrap().1 {
                "required binary" => Value::Text(b""),
                "required int32" | "required int64" => Value::Int(7),
                _ => Value::Null,
            },
        };
        let first = if column == "at_ns" { Value::Int(5) } else { usual };
        [first, usual, self.last.get(column).copied().unwrap_or(usual)]
    }
}

fn craft(craft: &Craft) -> (TempDir, PathBuf) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("crafted.parquet");
    let declared: Vec<&str> = craft
        .columns
        .iter()
        .map(|(_, declared)| declared.as_str())
        .filter(|declared| !declared.is_empty())
        .collect();
    let declared = format!("{}; ", declared.join("; ")).replace("};", "}");
    let schema = parse_message_type(&format!("message exchange {{ {declared} }}")).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    for _ in 0..craft.groups {
        write_group(&mut writer, craft);
    }
    for (key, value) in &craft.footer {
        let usual = Header { exchanges: craft.header_rows, ..header() };
        let usual = serde_json::to_string(&usual).unwrap();
        let value = if value.is_empty() { usual } else { value.clone() };
        writer.append_key_value_metadata(KeyValue::new((*key).to_owned(), value));
    }
    writer.close().unwrap();
    (directory, path)
}

fn write_group(writer: &mut SerializedFileWriter<File>, craft: &Craft) {
    let columns = writer.schema_descr().columns().to_vec();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let values = craft.values(column.name());
        let levels = values.map(|value| i16::from(!matches!(value, Value::Null)));
        let definition = (column.max_def_level() > 0).then_some(&levels[..]);
        let repetition = (column.max_rep_level() > 0).then_some(&[0_i16; 3][..]);
        let ints: Vec<i64> = values
            .iter()
            .filter_map(|value| if let Value::Int(int) = value { Some(*int) } else { None })
            .collect();
        let small: Vec<i32> = ints.iter().map(|int| i32::try_from(*int).unwrap()).collect();
        let bytes: Vec<ByteArray> = values
            .iter()
            .filter_map(
                |value| if let Value::Text(text) = value { Some((*text).into()) } else { None },
            )
            .collect();
        let mut writer = group.next_column().unwrap().unwrap();
        match column.physical_type() {
            PhysicalType::INT32 => {
                writer.typed::<Int32Type>().write_batch(&small, definition, repetition).unwrap()
            }
            PhysicalType::INT64 => {
                writer.typed::<Int64Type>().write_batch(&ints, definition, repetition).unwrap()
            }
            _ => {
                writer.typed::<ByteArrayType>().write_batch(&bytes, definition, repetition).unwrap()
            }
        };
        writer.close().unwrap();
    }
    group.close().unwrap();
}
