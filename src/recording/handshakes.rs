//! How connections began to speak TLS: in full, or by resuming an earlier session, which saves
//! both sides the dear half of a handshake.
//!
//! A handshake is over before the first exchange begins, and most connections have none of their
//! own in the rows. So it stands apart from them, like [`super::closings`]: a list in the footer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::recording::varints::{pull, push};

/// Most connections whose handshake is kept: some three bytes each in the footer, which is read at
/// once.
pub const MAX_HANDSHAKES: usize = 1 << 20;

/// The note of a ledger for handshakes that there was no room for.
pub const UNKEPT: &str = "handshakes not kept";

/// Whether connections resumed an earlier session, by their numbers. One that is not there did not
/// speak TLS, or its handshake was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshakes(BTreeMap<u64, bool>);

impl Handshakes {
    /// How a connection began. False where there are [`MAX_HANDSHAKES`] already.
    pub fn add(&mut self, connection: u64, is_resumed: bool) -> bool {
        let has_room = self.0.len() < MAX_HANDSHAKES || self.0.contains_key(&connection);
        if has_room {
            self.0.insert(connection, is_resumed);
        }
        has_room
    }

    /// Whether a connection resumed a session; `None` where that is not known.
    pub fn of(&self, connection: u64) -> Option<bool> {
        self.0.get(&connection).copied()
    }

    /// How many were in full, and how many resumed a session.
    pub fn counts(&self) -> [u64; 2] {
        let resumed = self.0.values().filter(|is_resumed| **is_resumed).count();
        [(self.0.len() - resumed) as u64, resumed as u64]
    }

    /// None is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another recording whose connections are moved. Returns how many did not fit.
    #[must_use]
    pub fn merge(&mut self, other: &Self, moved: u64) -> u64 {
        let mut unkept = 0;
        for (connection, is_resumed) in &other.0 {
            let moved = connection.checked_add(moved);
            let is_kept = moved.is_some_and(|connection| self.add(connection, *is_resumed));
            unkept += u64::from(!is_kept);
        }
        unkept
    }

    /// As text: for each connection how much larger its number is than the one before, and 1 where
    /// it resumed a session, else 0; all of that in base 64.
    pub(crate) fn encode(&self) -> String {
        let (mut bytes, mut before) = (Vec::with_capacity(self.0.len() * 2), 0);
        for (connection, is_resumed) in &self.0 {
            push(&mut bytes, connection.wrapping_sub(before));
            push(&mut bytes, u64::from(*is_resumed));
            before = *connection;
        }
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is something else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (mut rest, mut before, mut handshakes) = (&bytes[..], 0_u64, Self::default());
        while !rest.is_empty() {
            before = before.wrapping_add(pull(&mut rest)?);
            let is_resumed = match pull(&mut rest)? {
                0 => false,
                1 => true,
                _ => return None,
            };
            handshakes.add(before, is_resumed);
        }
        Some(handshakes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_recordings_are_put_beside() {
        let (mut all, mut more) = (Handshakes::default(), Handshakes::default());
        assert!(all.add(3, true) && more.add(3, false) && more.add(u64::MAX, true));
        assert_eq!(all.merge(&more, 10), 1, "one has a number that is too large");
        assert_eq!((all.of(3), all.of(13), all.of(4)), (Some(true), Some(false), None));
        assert_eq!(all.counts(), [1, 1]);
    }

    #[test]
    fn what_is_no_list_is_none() {
        // No base 64, a number without end, one without its handshake, and a handshake of a kind
        // that there is not.
        for text in ["!", "gICAgICAgICAgICA", "AQ", "AQI"] {
            assert_eq!(Handshakes::decode(text), None, "{text}");
        }
        assert_eq!(Handshakes::decode(""), Some(Handshakes::default()));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut handshakes = Handshakes::default();
        for connection in 0..MAX_HANDSHAKES as u64 {
            assert!(handshakes.add(connection, true));
        }
        assert!(handshakes.add(0, false) && !handshakes.add(u64::MAX, true));
        assert_eq!(handshakes.counts(), [1, MAX_HANDSHAKES as u64 - 1]);
        let mut one = Handshakes::default();
        assert!(one.add(7, true));
        assert_eq!(handshakes.merge(&one, 0), 0, "it is there already");
        assert_eq!(handshakes.merge(&one, MAX_HANDSHAKES as u64), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            known in prop::collection::btree_map(any::<u64>(), any::<bool>(), 0..9),
        ) {
            let handshakes = Handshakes(known);
            prop_assert_eq!(Handshakes::decode(&handshakes.encode()), Some(handshakes));
        }
    }
}
