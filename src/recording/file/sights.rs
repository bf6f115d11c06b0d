//! Sights: what a load shape is made of, from the columns that tell it, without texts to own.
//!
//! They are read by columns, a batch of rows at a time: every column is one of numbers, since texts
//! become numbers page by page.

pub mod names;

use std::sync::{Arc, Mutex, PoisonError};

use crate::protocol::Protocol;
use crate::recording::file::RecordingError;
use crate::recording::file::columns::Column;
use crate::recording::file::digests::{Digest, FIRST, NO_VALUE, TOO_LONG};
use crate::recording::file::integers::{Integers, NULL};
use crate::recording::file::reader::{Table, shielded};
use crate::recording::file::sights::names::{Class, Names, both, hash, template};

/// What is looked at of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// First byte of the request, in nanoseconds since the recording's start.
    pub at_ns: u64,
    /// Number of its connection.
    pub connection: u64,
    /// Hash of its session.
    pub session: u64,
    /// Its method and route: see [`Sights::names`].
    pub class: Class,
    /// Hash of its method and target, without the authority, which a rehearsal changes. It is for
    /// comparing within one process.
    pub key: u64,
    /// A cache may answer it: GET and HEAD, and any command.
    pub is_read: bool,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of the response's body, when it was whole.
    pub response_bytes: Option<u64>,
    /// Until the last byte of the answer, or its first one where the last is not known, in
    /// nanoseconds.
    pub took_ns: Option<u64>,
}

/// The columns, in the order in which a batch has them.
const COLUMNS: [Column; 11] = [
    Column::At,
    Column::Connection,
    Column::Session,
    Column::Protocol,
    Column::Method,
    Column::Target,
    Column::Route,
    Column::RequestBodyBytes,
    Column::ResponseBodyBytes,
    Column::FirstByte,
    Column::LastByte,
];

/// Rows decoded at a time: their numbers stay in a processor's own memory.
const BATCH_ROWS: u64 = 2048;

/// The sights of a recording, in the order of time. It ends for good after the first error, which
/// may come before the rows of its batch.
#[derive(Debug)]
pub struct Sights {
    table: Arc<Table>,
    names: Arc<Mutex<Names>>,
    columns: [Integers; COLUMNS.len()],
    /// Number of the next row group.
    group: usize,
    /// Number of the batch's first row in the file.
    first_row: u64,
    /// Rows in the batch, and the next one of them.
    batch: usize,
    next: usize,
    /// Rows of the open group after the batch.
    rows_left: u64,
    latest: i64,
    done: bool,
    reads: [u64; 2],
}

impl Sights {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self {
            table,
            names: Arc::default(),
            columns: COLUMNS.map(Integers::of),
            group: 0,
            first_row: 0,
            batch: 0,
            next: 0,
            rows_left: 0,
            latest: i64::MIN,
            done: false,
            reads: [b"GET".as_slice(), b"HEAD"].map(hash),
        }
    }

    /// What the classes of all sights so far stand for.
    pub fn names(&self) -> Names {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Iterator for Sights {
    type Item = Result<Sight, RecordingError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.batch {
            match self.next_batch() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    (self.done, self.batch, self.next) = (true, 0, 0);
                    return Some(Err(error));
                }
            }
        }
        let row = self.next;
        self.next += 1;
        Some(Ok(self.sight(row)))
    }
}

impl Sights {
    /// A row of the batch, which was checked.
    #[inline]
    fn sight(&self, row: usize) -> Sight {
        let [at, connection, session, protocol, method, target, route, rest @ ..] = &self.columns;
        let [request_bytes, response_bytes, first_byte, last_byte] = rest;
        let known = |column: &Integers| {
            let value = column.values[row];
            (value != NULL).then_some(value.cast_unsigned())
        };
        let method = method.values[row].cast_unsigned();
        Sight {
            at_ns: at.values[row].cast_unsigned(),
            connection: connection.values[row].cast_unsigned(),
            session: session.values[row].cast_unsigned(),
            class: Class { method, route: route.values[row].cast_unsigned() },
            key: both(method, target.values[row].cast_unsigned()),
            is_read: self.reads.contains(&method)
                || protocol.values[row].cast_unsigned() == COMMANDS,
            request_bytes: request_bytes.values[row].cast_unsigned(),
            response_bytes: known(response_bytes),
            took_ns: known(last_byte).or_else(|| known(first_byte)),
        }
    }

    fn next_batch(&mut self) -> Result<bool, RecordingError> {
        if self.done || (self.rows_left == 0 && !self.open_group()?) {
            self.done = true;
            return Ok(false);
        }
        self.first_row += self.batch as u64;
        (self.batch, self.next) = (0, 0);
        let rows = self.rows_left.min(BATCH_ROWS);
        let wanted = usize::try_from(rows).unwrap_or(0);
        for column in &mut self.columns {
            let (first_row, name) = (self.first_row, column.column.name());
            let action = || format!("read column `{name}` from row {first_row}");
            let read = shielded(&self.table.path, action, || column.read(wanted))?;
            let wrong = |row: usize, problem: &str| RecordingError::Row {
                path: self.table.path.to_path_buf(),
                column: name,
                row: first_row + row as u64,
                problem: problem.to_owned(),
            };
            if read != wanted {
                return Err(wrong(read, "is not there, although the row group counts it"));
            }
            check(column, &mut self.latest).map_err(|(row, problem)| wrong(row, problem))?;
            column.spread();
        }
        self.batch = wanted;
        self.rows_left -= rows;
        Ok(true)
    }

    /// Opens the next row group that has rows; false at the end.
    fn open_group(&mut self) -> Result<bool, RecordingError> {
        while let Some(metadata) = self.table.metadata.row_groups().get(self.group) {
            let number = self.group;
            self.group += 1;
            self.rows_left = u64::try_from(metadata.num_rows()).unwrap_or(0);
            if self.rows_left == 0 {
                continue;
            }
            for column in &mut self.columns {
                let digest = digest(column.column, &self.names);
                column.open(&self.table, number, digest)?;
            }
            return Ok(true);
        }
        Ok(false)
    }
}

type Wrong = (usize, &'static str);

/// Every value of a column is one that it may have.
fn check(column: &Integers, latest: &mut i64) -> Result<(), Wrong> {
    match column.column {
        Column::Connection | Column::Session => column.no_nulls(),
        Column::Protocol | Column::Method | Column::Target | Column::Route => {
            column.no_nulls()?;
            let is_text = |value: i64| value.cast_unsigned() >= FIRST;
            column.all(is_text).map_err(|(row, value)| {
                let problem = match (value.cast_unsigned(), column.column) {
                    (TOO_LONG, _) => "is longer than 64 MiB",
                    (_, Column::Protocol) => "is none that this version knows",
                    _ => "is not UTF-8",
                };
                (row, problem)
            })
        }
        Column::At | Column::RequestBodyBytes => {
            column.no_nulls()?;
            if column.column == Column::At {
                sorted(&column.values, latest)?;
            }
            natural(column)
        }
        _ => natural(column),
    }
}

fn natural(column: &Integers) -> Result<(), Wrong> {
    column.all(|value| value >= 0).map_err(|(row, _)| (row, "is negative"))
}

fn sorted(values: &[i64], latest: &mut i64) -> Result<(), Wrong> {
    for (row, value) in values.iter().enumerate() {
        if value < latest {
            return Err((row, "is earlier than the row before: not sorted"));
        }
        *latest = *value;
    }
    Ok(())
}

/// In place of a protocol of commands; others are [`FIRST`].
const COMMANDS: u64 = FIRST + 1;

/// What becomes of the texts of a column; `None` for one of numbers.
fn digest(column: Column, names: &Arc<Mutex<Names>>) -> Option<Digest> {
    let names = Arc::clone(names);
    let met = move |text: &[u8], meet: fn(&mut Names, &str) -> u64| {
        let Ok(text) = str::from_utf8(text) else { return NO_VALUE };
        meet(&mut names.lock().unwrap_or_else(PoisonError::into_inner), text)
    };
    let digest: Digest = match column {
        Column::Protocol => {
            Box::new(|text: &[u8]| match str::from_utf8(text).ok().and_then(Protocol::from_name) {
                Some(protocol) if protocol.is_of_commands() => COMMANDS,
                Some(_) => FIRST,
                None => NO_VALUE,
            })
        }
        // Nobody looks at it, so that it may be no text.
        Column::Target => Box::new(hash),
        Column::Method => {
            Box::new(move |text: &[u8]| met(text, |names, text| names.methods.meet(text)))
        }
        Column::Route => {
            Box::new(move |text: &[u8]| met(text, |names, text| names.routes.meet(&template(text))))
        }
        _ => return None,
    };
    Some(digest)
}
