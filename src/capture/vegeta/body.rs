//! Bodies of targets, and the files that they stand in.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use crate::recording::file::CELL_BYTES_MAX;

/// Where a target's body is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Body {
    #[default]
    None,
    Bytes(Vec<u8>),
    /// In the file of this name.
    File(String),
}

const NOT_READ: &str = "target whose body file cannot be read";

/// The body, at most [`CELL_BYTES_MAX`] of it, and its length.
///
/// A file is read below `folder` only, also behind links: a list of targets from elsewhere must
/// not put other files of this machine into a recording.
pub(super) fn body_of(body: Body, folder: Option<&Path>) -> Result<(Vec<u8>, u64), &'static str> {
    match body {
        Body::None => Ok((Vec::new(), 0)),
        Body::Bytes(mut bytes) => {
            let length = bytes.len() as u64;
            bytes.truncate(CELL_BYTES_MAX);
            Ok((bytes, length))
        }
        Body::File(name) => read(Path::new(&name), folder.ok_or(NOT_READ)?),
    }
}

fn read(name: &Path, folder: &Path) -> Result<(Vec<u8>, u64), &'static str> {
    let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !name.components().all(is_below) {
        return Err("target whose body file is not below its folder");
    }
    let folder = fs::canonicalize(folder).map_err(|_| NOT_READ)?;
    let path = fs::canonicalize(folder.join(name)).map_err(|_| NOT_READ)?;
    if !path.starts_with(&folder) {
        return Err("target whose body file is not below its folder");
    }
    // Opening a pipe would wait for whoever writes to it.
    let found = fs::metadata(&path).map_err(|_| NOT_READ)?;
    if !found.is_file() {
        return Err(NOT_READ);
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|_| NOT_READ)?;
    file.take(CELL_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(|_| NOT_READ)?;
    let length = found.len().max(bytes.len() as u64);
    Ok((bytes, length))
}
