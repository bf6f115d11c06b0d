//! One row group being read: a batch of rows of each column, and a checked view of one row.

use std::path::Path;

use ::bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;

use crate::recording::file::columns::{COLUMNS, Column, LAYOUTS};
use crate::recording::file::pages::Pages;
use crate::recording::file::reader::{Table, shielded};
use crate::recording::file::{CELL_BYTES_MAX, RecordingError};

/// Rows decoded at a time. Their bytes stay in the pages they came in.
const BATCH_ROWS: u64 = 1024;

/// A row group being read.
pub(super) struct Group {
    /// By [`Column`]; `None` for those not asked for.
    columns: [Option<ColumnBatch>; COLUMNS],
    /// Number of the batch's first row in the file.
    first_row: u64,
    /// Rows in the batch.
    batch: usize,
    /// Next row in the batch.
    next: usize,
    /// Rows after the batch.
    rows_left: u64,
}

impl Group {
    pub(super) fn open(
        table: &Table,
        number: usize,
        first_row: u64,
        columns: &[Column],
    ) -> Result<Self, RecordingError> {
        let mut group =
            Self { columns: [const { None }; COLUMNS], first_row, batch: 0, next: 0, rows_left: 0 };
        let Some(metadata) = table.metadata.row_groups().get(number) else {
            return Ok(group);
        };
        let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
        group.rows_left = rows as u64;
        for column in columns {
            // A column that is not there is null in all rows.
            let Some(position) = table.positions[*column as usize] else { continue };
            let action = || format!("open column `{}` of row group {number}", column.name());
            let reader = shielded(&table.path, action, || {
                let chunk = metadata.column(position);
                let pages = Pages::open(&table.file, table.file_bytes, chunk, rows)?;
                Ok(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)))
            })?;
            group.columns[*column as usize] = Some(ColumnBatch { reader, values: Values::None });
        }
        Ok(group)
    }

    /// The next row, or `None` at the end of the group.
    pub(super) fn next_row<'a>(
        &'a mut self,
        table: &'a Table,
    ) -> Result<Option<Row<'a>>, RecordingError> {
        if self.next == self.batch && !self.next_batch(&table.path)? {
            return Ok(None);
        }
        let position = self.next;
        self.next += 1;
        Ok(Some(Row {
            table,
            columns: &self.columns,
            position,
            number: self.first_row + position as u64,
        }))
    }

    fn next_batch(&mut self, path: &Path) -> Result<bool, RecordingError> {
        self.first_row += self.batch as u64;
        (self.batch, self.next) = (0, 0);
        let rows = self.rows_left.min(BATCH_ROWS);
        let Ok(wanted @ 1..) = usize::try_from(rows) else {
            return Ok(false);
        };
        let first_row = self.first_row;
        for (batch, layout) in self.columns.iter_mut().zip(LAYOUTS) {
            let Some(batch) = batch else { continue };
            let action = || format!("read column `{}` from row {first_row}", layout.name);
            let read = shielded(path, action, || batch.read(wanted))?;
            if read != wanted {
                return Err(RecordingError::Row {
                    path: path.to_owned(),
                    column: layout.name,
                    row: first_row + read as u64,
                    problem: "is not there, although the row group counts it".to_owned(),
                });
            }
        }
        self.batch = wanted;
        self.rows_left -= rows;
        Ok(true)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Group")
            .field("first_row", &self.first_row)
            .field("next", &self.next)
            .field("rows_left", &self.rows_left)
            .finish_non_exhaustive()
    }
}

struct ColumnBatch {
    reader: ColumnReader,
    values: Values,
}

/// Values of a batch; `None` for null.
enum Values {
    None,
    Ints(Vec<Option<i64>>),
    Bytes(Vec<Option<ByteArray>>),
}

impl ColumnBatch {
    /// Reads the next `wanted` values, fewer at the end of the column.
    fn read(&mut self, wanted: usize) -> Result<usize, ParquetError> {
        self.values = match &mut self.reader {
            ColumnReader::Int32ColumnReader(reader) => {
                Values::Ints(read(reader, wanted, i64::from)?)
            }
            ColumnReader::Int64ColumnReader(reader) => Values::Ints(read(reader, wanted, |v| v)?),
            ColumnReader::ByteArrayColumnReader(reader) => {
                Values::Bytes(read(reader, wanted, |bytes| bytes)?)
            }
            // Types were compared when the file was opened.
            _ => Values::None,
        };
        Ok(match &self.values {
            Values::None => 0,
            Values::Ints(values) => values.len(),
            Values::Bytes(values) => values.len(),
        })
    }
}

fn read<T: DataType, U>(
    reader: &mut ColumnReaderImpl<T>,
    wanted: usize,
    convert: fn(T::T) -> U,
) -> Result<Vec<Option<U>>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (rows, ..) = reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(convert);
    if levels.is_empty() {
        return Ok(values.map(Some).collect());
    }
    // A column that may be null has a level of 1 for each value and 0 for each null.
    Ok(levels
        .into_iter()
        .take(rows)
        .map(|level| if level > 0 { values.next() } else { None })
        .collect())
}

/// One row of a batch.
pub(super) struct Row<'a> {
    pub(super) table: &'a Table,
    columns: &'a [Option<ColumnBatch>; COLUMNS],
    position: usize,
    number: u64,
}

impl Row<'_> {
    /// The error that this row's value of a column is no value.
    pub(super) fn wrong(&self, column: Column, problem: &str) -> RecordingError {
        RecordingError::Row {
            path: self.table.path.to_path_buf(),
            column: column.name(),
            row: self.number,
            problem: problem.to_owned(),
        }
    }

    pub(super) fn int(&self, column: Column) -> Result<i64, RecordingError> {
        self.find_int(column).ok_or_else(|| self.wrong(column, "is null"))
    }

    pub(super) fn natural(&self, column: Column) -> Result<u64, RecordingError> {
        let value = self.int(column)?;
        u64::try_from(value).map_err(|_| self.wrong(column, "is negative"))
    }

    pub(super) fn number(&self, column: Column) -> Result<u32, RecordingError> {
        let value = self.natural(column)?;
        u32::try_from(value).map_err(|_| self.wrong(column, "is beyond 2^32"))
    }

    pub(super) fn optional_natural(&self, column: Column) -> Result<Option<u64>, RecordingError> {
        if self.is_null(column) { Ok(None) } else { self.natural(column).map(Some) }
    }

    pub(super) fn optional_number(&self, column: Column) -> Result<Option<u32>, RecordingError> {
        if self.is_null(column) { Ok(None) } else { self.number(column).map(Some) }
    }

    pub(super) fn text(&self, column: Column) -> Result<&str, RecordingError> {
        str::from_utf8(self.slice(column)?).map_err(|_| self.wrong(column, "is not UTF-8"))
    }

    /// A copy, since a slice would keep its whole page in memory for as long as it lives.
    pub(super) fn bytes(&self, column: Column) -> Result<Bytes, RecordingError> {
        self.slice(column).map(Bytes::copy_from_slice)
    }

    pub(super) fn optional_bytes(&self, column: Column) -> Result<Option<&[u8]>, RecordingError> {
        if self.is_null(column) { Ok(None) } else { self.slice(column).map(Some) }
    }

    pub(super) fn is_null(&self, column: Column) -> bool {
        self.find_int(column).is_none() && self.find_bytes(column).is_none()
    }

    fn slice(&self, column: Column) -> Result<&[u8], RecordingError> {
        let bytes = self.find_bytes(column).ok_or_else(|| self.wrong(column, "is null"))?;
        if bytes.len() > CELL_BYTES_MAX {
            return Err(self.wrong(column, "is longer than 64 MiB"));
        }
        Ok(bytes)
    }

    fn find_int(&self, column: Column) -> Option<i64> {
        match &self.columns[column as usize].as_ref()?.values {
            Values::Ints(values) => *values.get(self.position)?,
            Values::None | Values::Bytes(_) => None,
        }
    }

    fn find_bytes(&self, column: Column) -> Option<&[u8]> {
        match &self.columns[column as usize].as_ref()?.values {
            Values::Bytes(values) => Some(values.get(self.position)?.as_ref()?.data()),
            Values::None | Values::Ints(_) => None,
        }
    }
}
