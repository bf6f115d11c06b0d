//! A column of whole numbers, a batch at a time, in buffers that are used again.

use std::sync::Arc;

use parquet::basic::{Repetition, Type as PhysicalType};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type};

use crate::recording::file::RecordingError;
use crate::recording::file::columns::Column;
use crate::recording::file::digests::{Digest, DigestPages};
use crate::recording::file::pages::Pages;
use crate::recording::file::reader::{Table, shielded};

/// In place of a null, in columns that have no negative numbers, once they were checked and
/// [`Integers::spread`].
pub(super) const NULL: i64 = -1;

/// A column of 64-bit numbers, or of texts with numbers in their place.
pub(super) struct Integers {
    pub(super) column: Column,
    /// Those of the batch that are not null; after [`Integers::spread`], one for each row.
    pub(super) values: Vec<i64>,
    /// For each row 1 where there is a value; empty for a column without nulls.
    levels: Vec<i16>,
    reader: Option<ColumnReaderImpl<Int64Type>>,
}

impl Integers {
    pub(super) fn of(column: Column) -> Self {
        Self { column, values: Vec::new(), levels: Vec::new(), reader: None }
    }

    /// Begins a row group. A column of texts needs a digest of them.
    pub(super) fn open(
        &mut self,
        table: &Table,
        group: usize,
        digest: Option<Digest>,
    ) -> Result<(), RecordingError> {
        let metadata = table.metadata.row_groups().get(group);
        let position = table.positions[self.column as usize];
        let chunk = metadata.zip(position).and_then(|(group, at)| group.columns().get(at));
        let rows = metadata.map_or(0, |group| usize::try_from(group.num_rows()).unwrap_or(0));
        let name = self.column.name();
        let action = || format!("open column `{name}` of row group {group}");
        self.reader = shielded(&table.path, action, || {
            let Some(chunk) = chunk else { return Ok(None) };
            let pages = Pages::open(&table.file, table.file_bytes, chunk, rows)?;
            reader(chunk, pages, digest)
        })?;
        Ok(())
    }

    /// Reads the next `wanted` rows, fewer at the end of the column.
    pub(super) fn read(&mut self, wanted: usize) -> Result<usize, ParquetError> {
        self.values.clear();
        self.levels.clear();
        let Some(reader) = &mut self.reader else { return Ok(0) };
        let levels = Some(&mut self.levels);
        let (rows, ..) = reader.read_records(wanted, levels, None, &mut self.values)?;
        Ok(rows)
    }

    /// No row of the batch is null; otherwise the first one that is.
    pub(super) fn no_nulls(&self) -> Result<(), (usize, &'static str)> {
        let null = self.levels.iter().position(|level| *level == 0);
        null.map_or(Ok(()), |row| Err((row, "is null")))
    }

    /// Every value that is there fits; otherwise the row of the first one that does not, and it.
    pub(super) fn all(&self, fits: impl Fn(i64) -> bool) -> Result<(), (usize, i64)> {
        // All are looked at, since that is quick, and where to stop would be asked for each.
        if self.values.iter().fold(true, |all, value| all & fits(*value)) {
            return Ok(());
        }
        let place = self.values.iter().position(|value| !fits(*value)).unwrap_or(0);
        let mut there = self.levels.iter().enumerate().filter(|(_, level)| **level > 0);
        let row = there.nth(place).map_or(place, |(row, _)| row);
        Err((row, self.values.get(place).copied().unwrap_or(NULL)))
    }

    /// Gives each row its place, with [`NULL`] where there is no value.
    pub(super) fn spread(&mut self) {
        let mut there = self.values.len();
        if self.levels.len() <= there {
            return;
        }
        self.values.resize(self.levels.len(), NULL);
        // From the end on, so that none is overwritten before it has moved.
        for (row, level) in self.levels.iter().enumerate().rev() {
            if *level > 0 && there > 0 {
                there -= 1;
                self.values[row] = self.values[there];
            } else {
                self.values[row] = NULL;
            }
        }
    }
}

impl std::fmt::Debug for Integers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Integers")
            .field("column", &self.column)
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

fn reader(
    chunk: &ColumnChunkMetaData,
    pages: Pages,
    digest: Option<Digest>,
) -> Result<Option<ColumnReaderImpl<Int64Type>>, ParquetError> {
    let theirs = chunk.column_descr_ptr();
    let is_optional = theirs.max_def_level() > 0;
    let (column, pages): (ColumnDescPtr, Box<dyn PageReader>) = match digest {
        None => (theirs, Box::new(pages)),
        Some(digest) => {
            let repetition = if is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
            let numbers = Type::primitive_type_builder(theirs.name(), PhysicalType::INT64)
                .with_repetition(repetition)
                .build()?;
            let path = ColumnPath::from(theirs.name());
            let column = ColumnDescriptor::new(Arc::new(numbers), theirs.max_def_level(), 0, path);
            (Arc::new(column), Box::new(DigestPages::new(pages, is_optional, digest)))
        }
    };
    match get_column_reader(column, pages) {
        ColumnReader::Int64ColumnReader(reader) => Ok(Some(reader)),
        // Types were compared when the file was opened.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[i64], levels: &[i16]) -> Integers {
        let mut column = Integers::of(Column::LastByte);
        (column.values, column.levels) = (values.to_vec(), levels.to_vec());
        column
    }

    #[test]
    fn each_row_gets_its_place() {
        for (values, levels, rows) in [
            (&[7, 8, 9][..], &[1, 1, 1][..], &[7, 8, 9][..]),
            (&[7, 8], &[0, 1, 0, 1, 0], &[NULL, 7, NULL, 8, NULL]),
            (&[7, 8], &[1, 1, 0], &[7, 8, NULL]),
            (&[], &[0, 0], &[NULL, NULL]),
            (&[7, 8], &[], &[7, 8]),
        ] {
            let mut column = read(values, levels);
            column.spread();
            assert_eq!(column.values, rows);
        }
    }

    #[test]
    fn what_does_not_fit_is_found_in_its_row() {
        let column = read(&[7, -8, -9], &[0, 1, 0, 1, 1]);
        assert_eq!(column.all(|value| value >= 0), Err((3, -8)));
        assert_eq!(column.all(|value| value < 9), Ok(()));
        assert_eq!(column.no_nulls(), Err((0, "is null")));
        assert_eq!(read(&[7, -8], &[]).all(|value| value >= 0), Err((1, -8)));
        assert_eq!(read(&[7], &[1]).no_nulls(), Ok(()));
    }
}
