//! Texts by numbers: the pages of a column of texts with a number in place of each text.
//!
//! A dictionary is digested once, and from then on the Parquet library copies numbers from row to
//! row. Texts would have their owners counted up and down for each row, which costs more than all
//! other columns together.

use ::bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;

use crate::recording::file::CELL_BYTES_MAX;
use crate::recording::file::pages::Pages;

/// What becomes of a text: a number from [`FIRST`] on, or [`NO_VALUE`].
pub(super) type Digest = Box<dyn FnMut(&[u8]) -> u64 + Send>;

/// In place of a text that is longer than a cell may be.
pub(super) const TOO_LONG: u64 = 0;

/// In place of a text that is none.
pub(super) const NO_VALUE: u64 = 1;

/// The smallest number that stands for a text.
pub(super) const FIRST: u64 = 2;

/// The pages of a column of texts as those of a column of numbers of 64 bits.
pub(super) struct DigestPages {
    inner: Pages,
    /// The column may have nulls, and its pages begin with levels that say where.
    is_optional: bool,
    digest: Digest,
}

impl DigestPages {
    pub(super) fn new(inner: Pages, is_optional: bool, digest: Digest) -> Self {
        Self { inner, is_optional, digest }
    }

    /// Pages of references into the dictionary stay as they are.
    fn digested(&mut self, page: Page) -> Result<Page, ParquetError> {
        Ok(match page {
            Page::DictionaryPage { buf, num_values, encoding, .. } => {
                let buf = self.numbers(&buf, 0, num_values as usize);
                Page::DictionaryPage { buf, num_values, encoding, is_sorted: false }
            }
            Page::DataPage {
                buf,
                num_values,
                encoding: Encoding::PLAIN,
                def_level_encoding,
                rep_level_encoding,
                ..
            } => {
                let levels = if self.is_optional { levels(&buf, def_level_encoding)? } else { 0 };
                Page::DataPage {
                    buf: self.numbers(&buf, levels, num_values as usize),
                    num_values,
                    encoding: Encoding::PLAIN,
                    def_level_encoding,
                    rep_level_encoding,
                    statistics: None,
                }
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding: Encoding::PLAIN,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                if levels > buf.len() {
                    return Err(cut());
                }
                Page::DataPageV2 {
                    buf: self.numbers(&buf, levels, num_values as usize),
                    num_values,
                    encoding: Encoding::PLAIN,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed,
                    statistics: None,
                }
            }
            other => other,
        })
    }

    /// The levels as they are, and numbers for at most so many of the texts behind them, each of
    /// which follows its length in four bytes. Where a page is cut inside a text, numbers are
    /// missing, and the library says so when it needs them.
    fn numbers(&mut self, page: &[u8], levels: usize, most: usize) -> Bytes {
        let (levels, mut rest) = page.split_at(levels.min(page.len()));
        let mut numbers = levels.to_vec();
        for _ in 0..most {
            let Some((length, behind)) = rest.split_first_chunk::<4>() else { break };
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let Some((text, behind)) = behind.split_at_checked(length) else { break };
            rest = behind;
            let number = if length > CELL_BYTES_MAX { TOO_LONG } else { (self.digest)(text) };
            numbers.extend_from_slice(&number.to_le_bytes());
        }
        numbers.into()
    }
}

/// Bytes of the levels before the values of a page of the first version.
fn levels(page: &[u8], encoding: Encoding) -> Result<usize, ParquetError> {
    if encoding != Encoding::RLE {
        return Err(ParquetError::NYI(format!("levels encoded as {encoding}")));
    }
    let (length, rest) = page.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > rest.len() { Err(cut()) } else { Ok(length + 4) }
}

fn cut() -> ParquetError {
    ParquetError::EOF("a page ends inside its levels".to_owned())
}

impl PageReader for DigestPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.inner.get_next_page()?;
        page.map(|page| self.digested(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.inner.skip_next_page()
    }
}

impl Iterator for DigestPages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
