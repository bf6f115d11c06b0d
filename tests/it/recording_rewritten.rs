//! Aim: recordings that another program wrote again, in its own encodings, say the same.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Repetition;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use peakhour::recording::Exchange;
use peakhour::recording::file::reader::RecordingReader;
use peakhour::recording::file::sights::Sight;
use peakhour::recording::file::writer::RecordingWriter;

use crate::exchanges::{header, plain};

/// How another program writes.
struct Style {
    version: WriterVersion,
    has_dictionaries: bool,
    /// Every column may have nulls.
    is_optional: bool,
    page_rows: usize,
}

#[test]
fn a_recording_that_was_written_again_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("peak.parquet");
    let mut writer = RecordingWriter::create(&original).unwrap();
    for number in 0..3_000_u32 {
        let mut exchange = plain(u64::from(number), u64::from(number % 7), number / 7);
        exchange.target = format!("/item/{}", number % 900);
        exchange.route = format!("/page-{}", number % 90);
        exchange.method = ["GET", "POST", "HEAD"][number as usize % 3].to_owned();
        if number % 5 == 0 {
            exchange.response = None;
        }
        writer.push(exchange).unwrap();
    }
    writer.finish(header()).unwrap();
    let (exchanges, sights) = both(&original);
    assert_eq!((exchanges.len(), sights.len()), (3_000, 3_000));
    assert!(sights[0].1.contains("GET /page-0"), "{:?}", sights[0]);
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    for (number, version) in versions.into_iter().cycle().take(8).enumerate() {
        let style = Style {
            version,
            has_dictionaries: number % 4 < 2,
            is_optional: number < 4,
            page_rows: if number < 6 { 700 } else { 20_000 },
        };
        let again = folder.path().join(format!("{number}.parquet"));
        rewrite(&original, &again, &style);
        let (theirs, their_sights) = both(&again);
        assert_eq!(theirs, exchanges, "{number}");
        assert_eq!(their_sights, sights, "{number}");
    }
}

/// All exchanges, and all sights with the names of their classes.
fn both(path: &Path) -> (Vec<Exchange>, Vec<(String, String)>) {
    let reader = RecordingReader::open(path).unwrap();
    let exchanges = reader.exchanges(None).map(Result::unwrap).collect();
    let mut sights = reader.sights();
    let seen: Vec<_> = sights.by_ref().map(Result::unwrap).collect();
    let names = sights.names();
    let told = |sight: Sight| (format!("{sight:?}"), names.of(sight.class).unwrap().to_string());
    (exchanges, seen.into_iter().map(told).collect())
}

fn rewrite(from: &Path, to: &Path, style: &Style) {
    let reader = SerializedFileReader::new(File::open(from).unwrap()).unwrap();
    let about = reader.metadata().file_metadata();
    let fields = about.schema().get_fields().iter().map(|field| {
        let info = field.get_basic_info();
        let is_optional = style.is_optional || info.repetition() == Repetition::OPTIONAL;
        let repetition = if is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(field.name(), field.get_physical_type())
            .with_repetition(repetition)
            .build();
        Arc::new(field.unwrap())
    });
    let schema = Type::group_type_builder("exchange").with_fields(fields.collect()).build();
    let properties = WriterProperties::builder()
        .set_writer_version(style.version)
        .set_dictionary_enabled(style.has_dictionaries)
        .set_encoding(parquet::basic::Encoding::PLAIN)
        .set_data_page_row_count_limit(style.page_rows)
        .set_write_batch_size(style.page_rows)
        .set_key_value_metadata(about.key_value_metadata().cloned())
        .build();
    let file = File::create(to).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema.unwrap()), Arc::new(properties)).unwrap();
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).unwrap();
        let rows = usize::try_from(group.metadata().num_rows()).unwrap();
        let mut written = writer.next_row_group().unwrap();
        for column in 0..group.num_columns() {
            let mut next = written.next_column().unwrap().unwrap();
            match group.get_column_reader(column).unwrap() {
                ColumnReader::Int32ColumnReader(it) => copy::<Int32Type>(it, &mut next, rows),
                ColumnReader::Int64ColumnReader(it) => copy::<Int64Type>(it, &mut next, rows),
                ColumnReader::ByteArrayColumnReader(it) => {
                    copy::<ByteArrayType>(it, &mut next, rows);
                }
                _ => panic!("a recording has no other types"),
            }
            next.close().unwrap();
        }
        written.close().unwrap();
    }
    writer.close().unwrap();
}

fn copy<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    writer: &mut SerializedColumnWriter<'_>,
    rows: usize,
) {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (read, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values).unwrap();
    assert_eq!(read, rows);
    levels.resize(rows, 1);
    writer.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
}
