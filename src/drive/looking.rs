//! How many answers are looked into at once: what may be JSON is kept until it is whole.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Most of them. Each is 64 KiB at most ([`crate::recording::contents::MAX_JSON`]), so that this is
/// a quarter of a GiB; of further answers the digest is taken, and their fields are counted as not
/// known.
pub(crate) const MAX_LOOKED_INTO: usize = 4096;

/// The answers that are looked into now.
#[derive(Debug, Default)]
pub(crate) struct Looking(AtomicUsize);

impl Looking {
    /// Takes a place, if there is one; who has it leaves it.
    pub(crate) fn enter(&self) -> bool {
        let free = |count: usize| (count < MAX_LOOKED_INTO).then_some(count + 1);
        self.0.fetch_update(Relaxed, Relaxed, free).is_ok()
    }

    /// Gives the place back.
    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_many_as_they_are() {
        let looking = Looking::default();
        assert!((0..MAX_LOOKED_INTO).all(|_| looking.enter()) && !looking.enter());
        looking.leave();
        assert!(looking.enter() && !looking.enter());
    }
}
