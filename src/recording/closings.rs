//! When connections were closed: until then their clients held them open, and servers their places.
//!
//! A connection ends long after its last exchange was written, so that this stands apart from the
//! rows: a list in the footer, of microseconds since the recording's start.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::recording::varints::{pull, push};

/// Most connections whose end is kept: some ten bytes each in the footer, which is read at once.
pub const MAX_CLOSINGS: usize = 1 << 20;

/// The note of a ledger for ends of connections that there was no room for.
pub const UNKEPT: &str = "ends of connections not kept";

/// When connections were closed, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closings(BTreeMap<u64, u64>);

impl Closings {
    /// The end of a connection, since the recording's start. False where there are
    /// [`MAX_CLOSINGS`] already.
    pub fn add(&mut self, connection: u64, at: Duration) -> bool {
        let has_room = self.0.len() < MAX_CLOSINGS || self.0.contains_key(&connection);
        if has_room {
            let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
            self.0.insert(connection, micros);
        }
        has_room
    }

    /// When a connection was closed; `None` where that is not known.
    pub fn of(&self, connection: u64) -> Option<Duration> {
        self.0.get(&connection).map(|micros| Duration::from_micros(*micros))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are not later than a moment.
    #[must_use]
    pub fn until(mut self, latest: Duration) -> Self {
        let latest = u64::try_from(latest.as_micros()).unwrap_or(u64::MAX);
        self.0.retain(|_, micros| *micros <= latest);
        self
    }

    /// Adds those of another recording that began `later`, and whose connections are moved. Returns
    /// how many did not fit.
    #[must_use]
    pub fn merge(&mut self, other: &Self, moved: u64, later: Duration) -> u64 {
        let mut unkept = 0;
        for (connection, micros) in &other.0 {
            let at = Duration::from_micros(*micros).saturating_add(later);
            let moved = connection.checked_add(moved);
            let is_kept = moved.is_some_and(|connection| self.add(connection, at));
            unkept += u64::from(!is_kept);
        }
        unkept
    }

    /// As text: for each connection how much larger its number is than the one before, and its
    /// moment, as integers of seven bits a byte, the lowest first; all of that in base 64.
    pub(crate) fn encode(&self) -> String {
        let (mut bytes, mut before) = (Vec::with_capacity(self.0.len() * 8), 0);
        for (connection, micros) in &self.0 {
            push(&mut bytes, connection.wrapping_sub(before));
            push(&mut bytes, *micros);
            before = *connection;
        }
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is something else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (mut rest, mut before, mut closings) = (&bytes[..], 0_u64, Self::default());
        while !rest.is_empty() {
            before = before.wrapping_add(pull(&mut rest)?);
            closings.add(before, Duration::from_micros(pull(&mut rest)?));
        }
        Some(closings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_recordings_are_put_beside() {
        let (mut all, mut more) = (Closings::default(), Closings::default());
        assert!(all.add(3, Duration::from_secs(1)) && more.add(3, Duration::from_secs(2)));
        assert_eq!(all.merge(&more, 10, Duration::from_secs(5)), 0);
        assert_eq!(all.merge(&more, u64::MAX, Duration::ZERO), 1);
        assert_eq!(
            (all.of(3), all.of(13)),
            (Some(Duration::from_secs(1)), Some(Duration::from_secs(7)))
        );
        assert_eq!((all.len(), all.of(4)), (2, None));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in ["a", "!", "gA", "AQ", "gICAgICAgICAgICA"] {
            assert_eq!(Closings::decode(text), None, "{text}");
        }
        assert_eq!(Closings::decode(""), Some(Closings::default()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            known in prop::collection::btree_map(any::<u64>(), any::<u64>(), 0..9),
        ) {
            let mut closings = Closings::default();
            for (connection, micros) in known {
                closings.add(connection, Duration::from_micros(micros));
            }
            prop_assert_eq!(Closings::decode(&closings.encode()), Some(closings));
        }
    }
}
