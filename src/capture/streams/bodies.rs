//! Bodies of requests of HTTP as they grow: in memory first, and on the disk once they are large.

use crate::capture::pairing::Request;
use crate::capture::streams::{MAX_BODY, Turn};
use crate::recording::Flags;
use crate::recording::stored::Stored;

/// Notes of bodies of which only the front is kept.
pub(super) const TOO_LONG: &str = "request bodies over the limit, cut";
pub(super) const REFUSED: &str = "request bodies cut, the disk refused them";

/// Takes more of a body. `kept` counts bytes in memory.
pub(super) fn keep_body(
    request: &mut Request,
    bytes: &[u8],
    kept: &mut usize,
    turn: &mut Turn<'_>,
) {
    request.body_bytes += bytes.len() as u64;
    if request.flags.contains(Flags::REQUEST_TRUNCATED) {
        return;
    }
    let room = if turn.pressed { 0 } else { MAX_BODY.saturating_sub(request.body.len()) };
    if request.stored.is_none() && bytes.len() <= room {
        request.body.extend_from_slice(bytes);
        *kept += bytes.len();
        return;
    }
    if let Some(stored) = moved_out(request, kept, turn) {
        match added(stored, bytes, turn) {
            Ok(()) => return,
            Err(note) => turn.ledger.note(note, 1),
        }
    } else {
        // Nowhere to put it: as much as there is room for is better than nothing.
        let front = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        request.body.extend_from_slice(front);
        *kept += front.len();
    }
    request.flags.insert(Flags::REQUEST_TRUNCATED);
}

/// The body on the disk, with what was in memory so far; `None` where there is no disk for it.
fn moved_out<'r>(
    request: &'r mut Request,
    kept: &mut usize,
    turn: &mut Turn<'_>,
) -> Option<&'r mut Stored> {
    let spool = turn.spool?;
    if request.stored.is_none() {
        let mut stored = spool.begin();
        if stored.append(&request.body).is_err() {
            turn.ledger.note(REFUSED, 1);
            return None;
        }
        *kept = kept.saturating_sub(request.body.len());
        request.body = Vec::new();
        request.stored = Some(stored);
    }
    request.stored.as_mut()
}

fn added(stored: &mut Stored, bytes: &[u8], turn: &Turn<'_>) -> Result<(), &'static str> {
    let longest = turn.spool.map_or(0, |spool| spool.longest());
    if stored.length().saturating_add(bytes.len() as u64) > longest {
        return Err(TOO_LONG);
    }
    stored.append(bytes).map_err(|_| REFUSED)
}
