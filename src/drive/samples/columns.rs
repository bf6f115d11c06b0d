//! The columns of a file of samples.

use std::sync::Arc;
use std::time::Duration;

use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::{ColumnPath, Type};

use crate::drive::samples::rows::Row;

/// A column: its name, and where its values come from.
type Column = (&'static str, Values);

/// What a column holds of a row.
#[derive(Clone, Copy)]
enum Values {
    /// A number; what needs all 64 bits is stored as it is.
    Whole(fn(&Row) -> i64),
    /// A moment that may not have happened.
    Moment(fn(&Row) -> Option<Duration>),
    /// A status code; null without an answer.
    Status,
    Text(fn(&Row) -> &str),
}

const COLUMNS: [Column; 19] = [
    ("index", Values::Whole(|row| row.index.cast_signed())),
    ("due_ns", Values::Whole(|row| nanoseconds(row.due))),
    ("drift_ns", Values::Whole(|row| nanoseconds(row.drift))),
    ("dispatched_ns", Values::Moment(|row| row.dispatched)),
    ("established_ns", Values::Moment(|row| row.established)),
    ("secured_ns", Values::Moment(|row| row.secured)),
    ("connected_ns", Values::Moment(|row| row.connected)),
    ("sent_ns", Values::Moment(|row| row.sent)),
    ("sent_last_ns", Values::Moment(|row| row.sent_last)),
    ("first_byte_ns", Values::Moment(|row| row.first_byte)),
    ("done_ns", Values::Moment(|row| row.done)),
    ("connection", Values::Whole(|row| row.connection.cast_signed())),
    ("session", Values::Whole(|row| row.session.cast_signed())),
    ("route", Values::Text(|row| &row.route)),
    ("method", Values::Text(|row| &row.method)),
    ("fate", Values::Text(|row| row.fate)),
    ("status", Values::Status),
    ("request_bytes", Values::Whole(|row| row.request_bytes.cast_signed())),
    ("response_bytes", Values::Whole(|row| row.response_bytes.cast_signed())),
];

/// The schema that Parquet readers see.
pub(super) fn schema() -> Result<Arc<Type>, ParquetError> {
    let fields = COLUMNS.iter().map(|(name, values)| {
        let (kind, repetition, logical) = match values {
            Values::Whole(_) => (PhysicalType::INT64, Repetition::REQUIRED, None),
            Values::Moment(_) => (PhysicalType::INT64, Repetition::OPTIONAL, None),
            Values::Status => (PhysicalType::INT32, Repetition::OPTIONAL, None),
            Values::Text(_) => {
                (PhysicalType::BYTE_ARRAY, Repetition::REQUIRED, Some(LogicalType::String))
            }
        };
        Type::primitive_type_builder(name, kind)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("sample").with_fields(fields).build()?))
}

/// Compression and encodings: neighbours differ by little in all numbers but the status.
pub(super) fn properties() -> Result<Arc<WriterProperties>, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("peakhour ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?));
    for (name, values) in COLUMNS {
        if matches!(values, Values::Whole(_) | Values::Moment(_)) {
            let path = ColumnPath::from(name);
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(Arc::new(builder.build()))
}

/// Writes the column of a position; its rows are all of a row group.
pub(super) fn write(
    position: usize,
    rows: &[Row],
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<(), ParquetError> {
    match COLUMNS.get(position).map(|(_, values)| *values) {
        Some(Values::Whole(get)) => {
            let values: Vec<i64> = rows.iter().map(get).collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Some(Values::Moment(get)) => {
            let (values, levels) = split(rows, |row| get(row).map(nanoseconds));
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Some(Values::Status) => {
            let (values, levels) = split(rows, |row| row.status.map(i32::from));
            writer.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?;
        }
        Some(Values::Text(get)) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(get(row))).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        None => return Err(ParquetError::General("the schema has too many columns".to_owned())),
    }
    Ok(())
}

/// The values that are there, and which rows have one.
fn split<T>(rows: &[Row], get: impl Fn(&Row) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::with_capacity(rows.len());
    let levels = rows.iter().map(|row| {
        let value = get(row);
        let level = i16::from(value.is_some());
        values.extend(value);
        level
    });
    let levels = levels.collect();
    (values, levels)
}

fn nanoseconds(moment: Duration) -> i64 {
    i64::try_from(moment.as_nanos()).unwrap_or(i64::MAX)
}
