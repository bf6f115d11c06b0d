//! The drills of a rehearsal, one file each.

pub mod replay;
