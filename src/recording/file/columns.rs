//! The columns: their order, types and encodings, and what an exchange puts into each.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedColumnWriter;
use parquet::schema::types::{ColumnPath, Type};

use crate::recording::Exchange;
use crate::recording::file::CELL_BYTES_MAX;

/// A column of the recording; its number is its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    At,
    Connection,
    Session,
    Seq,
    Stream,
    Protocol,
    Method,
    Scheme,
    Authority,
    Target,
    Route,
    RequestHead,
    RequestBody,
    RequestBodyBytes,
    Status,
    ResponseHead,
    ResponseBodyBytes,
    ResponseDigest,
    FirstByte,
    LastByte,
    Flags,
    RequestChunks,
    RequestStored,
    ResponseShape,
}

/// How a column is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) column: Column,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Null where there was no response, or a part of it was not seen.
    pub(super) optional: bool,
    /// Recordings of before there was such a column have none: all of it is null.
    pub(super) may_lack: bool,
    /// Differences between neighbours are stored: for numbers that grow or stay small.
    pub(super) delta: bool,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    /// UTF-8 of few distinct values.
    Text,
    /// Bytes as on the wire. Without statistics, which would copy the first bytes of a head, such
    /// as its cookie, into the footer; without a dictionary, since no two are alike.
    Blob,
}

/// Number of columns.
pub(super) const COLUMNS: usize = LAYOUTS.len();

/// All columns, in the order of [`Column`].
pub(super) const LAYOUTS: [Layout; 24] = [
    Layout::of(Column::At, "at_ns", Kind::Int64).delta(),
    Layout::of(Column::Connection, "connection", Kind::Int64),
    Layout::of(Column::Session, "session", Kind::Int64),
    Layout::of(Column::Seq, "seq", Kind::Int32).delta(),
    Layout::of(Column::Stream, "stream", Kind::Int32).optional(),
    Layout::of(Column::Protocol, "protocol", Kind::Text),
    Layout::of(Column::Method, "method", Kind::Text),
    Layout::of(Column::Scheme, "scheme", Kind::Text),
    Layout::of(Column::Authority, "authority", Kind::Text),
    Layout::of(Column::Target, "target", Kind::Text),
    Layout::of(Column::Route, "route", Kind::Text),
    Layout::of(Column::RequestHead, "request_head", Kind::Blob),
    Layout::of(Column::RequestBody, "request_body", Kind::Blob),
    Layout::of(Column::RequestBodyBytes, "request_body_bytes", Kind::Int64).delta(),
    Layout::of(Column::Status, "status", Kind::Int32).optional(),
    Layout::of(Column::ResponseHead, "response_head", Kind::Blob).optional(),
    Layout::of(Column::ResponseBodyBytes, "response_body_bytes", Kind::Int64).delta().optional(),
    Layout::of(Column::ResponseDigest, "response_digest", Kind::Blob).optional(),
    Layout::of(Column::FirstByte, "first_byte_ns", Kind::Int64).delta().optional(),
    Layout::of(Column::LastByte, "last_byte_ns", Kind::Int64).delta().optional(),
    Layout::of(Column::Flags, "flags", Kind::Int32),
    Layout::of(Column::RequestChunks, "request_chunks", Kind::Blob).optional().may_lack(),
    Layout::of(Column::RequestStored, "request_stored", Kind::Int64).delta().optional().may_lack(),
    Layout::of(Column::ResponseShape, "response_shape", Kind::Text).optional().may_lack(),
];

impl Column {
    pub(super) fn layout(self) -> Layout {
        LAYOUTS[self as usize]
    }

    pub(super) fn name(self) -> &'static str {
        self.layout().name
    }
}

impl Layout {
    const fn of(column: Column, name: &'static str, kind: Kind) -> Self {
        Self { column, name, kind, optional: false, may_lack: false, delta: false }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn may_lack(self) -> Self {
        Self { may_lack: true, ..self }
    }

    const fn delta(self) -> Self {
        Self { delta: true, ..self }
    }

    pub(super) fn physical_type(self) -> PhysicalType {
        match self.kind {
            Kind::Int32 => PhysicalType::INT32,
            Kind::Int64 => PhysicalType::INT64,
            Kind::Text | Kind::Blob => PhysicalType::BYTE_ARRAY,
        }
    }
}

/// The schema that Parquet readers see.
pub(super) fn schema() -> Result<Arc<Type>, ParquetError> {
    let mut fields = Vec::with_capacity(COLUMNS);
    for layout in LAYOUTS {
        let repetition = if layout.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let logical = (layout.kind == Kind::Text).then_some(LogicalType::String);
        let field = Type::primitive_type_builder(layout.name, layout.physical_type())
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()?;
        fields.push(Arc::new(field));
    }
    Ok(Arc::new(Type::group_type_builder("exchange").with_fields(fields).build()?))
}

/// Compression, encodings and statistics. zstd level 1: level 3 was slower and no smaller.
pub(super) fn properties() -> Result<Arc<WriterProperties>, ParquetError> {
    let by_time = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("peakhour ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(vec![by_time]));
    for layout in LAYOUTS {
        let path = ColumnPath::from(layout.name);
        if layout.delta {
            builder = builder
                .set_column_dictionary_enabled(path, false)
                .set_column_encoding(layout.name.into(), Encoding::DELTA_BINARY_PACKED);
        } else if layout.kind == Kind::Blob {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(Arc::new(builder.build()))
}

/// Writes one column of a row group.
pub(super) fn write(
    layout: Layout,
    rows: &[Exchange],
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<(), ParquetError> {
    match layout.kind {
        Kind::Int32 => {
            let (values, levels) = split(layout, rows, |cell| match cell {
                // Checked by `cell`: flags use all 32 bits, the others fit 31.
                Cell::Int(value) => Some(narrow(value)),
                _ => None,
            });
            writer.typed::<Int32Type>().write_batch(&values, levels.as_deref(), None)?;
        }
        Kind::Int64 => {
            let (values, levels) = split(layout, rows, |cell| match cell {
                Cell::Int(value) => Some(value),
                _ => None,
            });
            writer.typed::<Int64Type>().write_batch(&values, levels.as_deref(), None)?;
        }
        Kind::Text | Kind::Blob => {
            let (values, levels) = split(layout, rows, |cell| match cell {
                Cell::Shared(bytes) => Some(ByteArray::from(bytes.clone())),
                Cell::Slice(bytes) => Some(ByteArray::from(bytes)),
                _ => None,
            });
            writer.typed::<ByteArrayType>().write_batch(&values, levels.as_deref(), None)?;
        }
    }
    Ok(())
}

fn narrow(value: i64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// The values that are there, and for an optional column which rows have one.
fn split<T>(
    layout: Layout,
    rows: &[Exchange],
    convert: fn(Cell<'_>) -> Option<T>,
) -> (Vec<T>, Option<Vec<i16>>) {
    let mut values = Vec::with_capacity(rows.len());
    let mut levels = layout.optional.then(|| Vec::with_capacity(rows.len()));
    for row in rows {
        let value = cell(layout.column, row).ok().and_then(convert);
        if let Some(levels) = &mut levels {
            levels.push(i16::from(value.is_some()));
        }
        values.extend(value);
    }
    (values, levels)
}

/// One value of a row.
pub(super) enum Cell<'a> {
    Int(i64),
    Shared(&'a Bytes),
    Slice(&'a [u8]),
    Null,
}

/// Every column of the exchange can be written, or the first that cannot and why.
pub(super) fn check(exchange: &Exchange) -> Result<(), (Column, &'static str)> {
    LAYOUTS.iter().try_for_each(|layout| match cell(layout.column, exchange) {
        Ok(_) => Ok(()),
        Err(problem) => Err((layout.column, problem)),
    })
}

fn cell(column: Column, exchange: &Exchange) -> Result<Cell<'_>, &'static str> {
    match column {
        Column::At => nanos(exchange.at),
        // Any 64 bits are a number or a hash: stored as they are.
        Column::Connection => Ok(Cell::Int(exchange.connection.cast_signed())),
        Column::Session => Ok(Cell::Int(exchange.session.cast_signed())),
        Column::Seq => small(exchange.seq),
        Column::Stream => exchange.stream.map_or(Ok(Cell::Null), small),
        Column::Protocol => Ok(Cell::Slice(exchange.protocol.name().as_bytes())),
        Column::Method => bytes(Cell::Slice(exchange.method.as_bytes())),
        Column::Scheme => bytes(Cell::Slice(exchange.scheme.as_bytes())),
        Column::Authority => bytes(Cell::Slice(exchange.authority.as_bytes())),
        Column::Target => bytes(Cell::Slice(exchange.target.as_bytes())),
        Column::Route => bytes(Cell::Slice(exchange.route.as_bytes())),
        Column::RequestHead => bytes(Cell::Shared(&exchange.request_head)),
        // Cut by the writer.
        Column::RequestBody => Ok(Cell::Shared(&exchange.request_body)),
        Column::RequestBodyBytes => size(exchange.request_body_bytes),
        Column::RequestChunks => {
            let chunks = exchange.request_chunks.as_ref();
            chunks.map_or(Ok(Cell::Null), |chunks| bytes(Cell::Shared(chunks)))
        }
        Column::RequestStored => stored(exchange),
        Column::Flags => Ok(Cell::Int(i64::from(exchange.flags.0))),
        Column::Status
        | Column::ResponseHead
        | Column::ResponseBodyBytes
        | Column::ResponseDigest
        | Column::ResponseShape
        | Column::FirstByte
        | Column::LastByte => response_cell(column, exchange),
    }
}

/// The number that the writer gave its body, which it does before a row is written.
fn stored(exchange: &Exchange) -> Result<Cell<'_>, &'static str> {
    match exchange.request_stored.as_ref() {
        Some(stored) if stored.length() != exchange.request_body_bytes => Err("has another length"),
        Some(stored) => stored.number().map_or(Ok(Cell::Null), size),
        None => Ok(Cell::Null),
    }
}

fn response_cell(column: Column, exchange: &Exchange) -> Result<Cell<'_>, &'static str> {
    let Some(response) = &exchange.response else {
        return Ok(Cell::Null);
    };
    match column {
        Column::Status => Ok(Cell::Int(i64::from(response.status))),
        Column::ResponseHead => bytes(Cell::Shared(&response.head)),
        Column::ResponseBodyBytes => response.body_bytes.map_or(Ok(Cell::Null), size),
        Column::ResponseDigest => {
            Ok(response.digest.as_ref().map_or(Cell::Null, |digest| Cell::Slice(digest)))
        }
        Column::ResponseShape => {
            let shape = response.shape.as_ref();
            shape.map_or(Ok(Cell::Null), |shape| bytes(Cell::Slice(shape.as_bytes())))
        }
        Column::FirstByte => response.first_byte.map_or(Ok(Cell::Null), nanos),
        _ => response.last_byte.map_or(Ok(Cell::Null), nanos),
    }
}

fn nanos(duration: Duration) -> Result<Cell<'static>, &'static str> {
    i64::try_from(duration.as_nanos()).map(Cell::Int).map_err(|_| "is beyond 292 years")
}

fn small(number: u32) -> Result<Cell<'static>, &'static str> {
    i32::try_from(number).map(|number| Cell::Int(number.into())).map_err(|_| "is beyond 2^31")
}

fn size(bytes: u64) -> Result<Cell<'static>, &'static str> {
    i64::try_from(bytes).map(Cell::Int).map_err(|_| "is beyond 2^63")
}

fn bytes(cell: Cell<'_>) -> Result<Cell<'_>, &'static str> {
    let length = match &cell {
        Cell::Shared(bytes) => bytes.len(),
        Cell::Slice(bytes) => bytes.len(),
        Cell::Int(_) | Cell::Null => 0,
    };
    if length <= CELL_BYTES_MAX { Ok(cell) } else { Err("is longer than 64 MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_number_is_its_position() {
        for (position, layout) in LAYOUTS.iter().enumerate() {
            assert_eq!(layout.column as usize, position, "{}", layout.name);
        }
    }

    #[test]
    fn flags_keep_all_their_bits() {
        assert_eq!(narrow(i64::from(u32::MAX)), -1);
        assert_eq!(narrow(i64::from(u32::MAX)).cast_unsigned(), u32::MAX);
    }
}
