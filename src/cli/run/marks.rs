//! Times in which a person or a rule changed the course of a run.

use crate::act::abort::Guarded;
use crate::drive::clock::nanoseconds;
use crate::drive::hold::Held;
use crate::report::model::Mark;

/// When it was held, and when a rule ended it.
pub(super) fn marks(held: &Held, guarded: &Guarded) -> Vec<Mark> {
    let mark = |name: &str, from, to| Mark {
        name: name.to_owned(),
        from_ns: nanoseconds(from),
        to_ns: nanoseconds(to),
    };
    let held = held.times.iter().map(|(from, to)| mark("Held", *from, *to));
    let aborted = guarded.aborted.iter().map(|aborted| mark("Aborted", aborted.at, aborted.at));
    held.chain(aborted).collect()
}
