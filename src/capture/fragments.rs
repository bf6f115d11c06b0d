//! IP fragments are put together again, in bounded memory.
//!
//! The first bytes seen for a place win, whatever comes later. A datagram that never becomes
//! whole is given up and its frames are counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::capture::layer::{Ends, Piece};

/// A part of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) key: Key,
    /// Where in the datagram's payload it belongs, in bytes.
    pub(crate) offset: u32,
    /// It is not the last part.
    pub(crate) more: bool,
    pub(crate) piece: Piece<'a>,
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) ends: Ends,
    pub(crate) identification: u32,
    /// Protocol of the payload.
    pub(crate) protocol: u8,
}

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Added {
    /// It waits for others.
    Held,
    /// It was the last one missing.
    Whole(Datagram),
    /// It cannot be part of a datagram, or not of this one.
    Malformed,
}

/// The payload of a whole datagram.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) ends: Ends,
    pub(crate) protocol: u8,
    /// Up to the first byte that a snap length cut.
    pub(crate) bytes: Vec<u8>,
    /// Bytes from there to the datagram's end.
    pub(crate) cut: u32,
    /// How many frames it took.
    pub(crate) frames: u64,
}

/// Datagrams that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    held: BTreeMap<Key, Partial>,
    /// Keys by the number of the frame that began them: the oldest goes first.
    by_age: BTreeSet<(u64, Key)>,
    held_bytes: usize,
    given_up: GivenUp,
}

/// Datagrams that never became whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GivenUp {
    pub(crate) datagrams: u64,
    pub(crate) frames: u64,
    /// Places where a later fragment had other bytes than an earlier one.
    pub(crate) overlaps: u64,
}

/// Datagrams held at a time; a capture interleaves few.
const MAX_DATAGRAMS: usize = 4_096;

/// Bytes held at a time, with [`PART_COST`] for each part.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a part costs besides its bytes, so that parts of a few bytes are bounded as well.
const PART_COST: usize = 96;

/// Frames after which a datagram is given up: an identification of 16 bits comes round again.
const MAX_AGE_FRAMES: u64 = 65_536;

/// Longest payload of a datagram.
const MAX_DATAGRAM_BYTES: u32 = 65_535;

impl Fragments {
    /// Takes in a fragment that came in the `now`th frame and stands for `frames` frames: more
    /// than one where it was itself inside of fragments.
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>, now: u64, frames: u64) -> Added {
        while self
            .by_age
            .first()
            .is_some_and(|(born, _)| now.saturating_sub(*born) > MAX_AGE_FRAMES)
        {
            self.give_up_oldest();
        }
        let Some((start, end)) = extent(fragment) else { return Added::Malformed };
        let partial = self.held.entry(fragment.key).or_insert_with(|| {
            self.by_age.insert((now, fragment.key));
            Partial { born: now, ..Partial::default() }
        });
        let cost_before = partial.cost;
        let fits = partial.insert(fragment, start, end, &mut self.given_up.overlaps);
        self.held_bytes += partial.cost - cost_before;
        if !fits {
            return Added::Malformed;
        }
        partial.frames += frames;
        if partial.end == Some(partial.covered) {
            return match self.remove(fragment.key) {
                Some(partial) => Added::Whole(partial.join(fragment.key)),
                None => Added::Held,
            };
        }
        while self.held.len() > MAX_DATAGRAMS || self.held_bytes > MAX_BYTES {
            self.give_up_oldest();
        }
        Added::Held
    }

    /// Gives up all that is held.
    pub(crate) fn finish(&mut self) {
        while !self.held.is_empty() {
            self.give_up_oldest();
        }
    }

    /// What was given up since this was asked last.
    pub(crate) fn take_given_up(&mut self) -> GivenUp {
        std::mem::take(&mut self.given_up)
    }

    fn give_up_oldest(&mut self) {
        let oldest = self.by_age.first().map(|(_, key)| *key);
        if let Some(partial) = oldest.and_then(|key| self.remove(key)) {
            self.given_up.datagrams += 1;
            self.given_up.frames += partial.frames;
        }
    }

    fn remove(&mut self, key: Key) -> Option<Partial> {
        let partial = self.held.remove(&key)?;
        self.by_age.remove(&(partial.born, key));
        self.held_bytes -= partial.cost;
        Some(partial)
    }
}

/// Start and end of a fragment in its datagram; `None` where that is impossible.
fn extent(fragment: &Fragment<'_>) -> Option<(u32, u32)> {
    let length = u32::try_from(fragment.piece.wire_len()).ok()?;
    let end = fragment.offset.checked_add(length)?;
    let aligned = !fragment.more || length.is_multiple_of(8);
    (length > 0 && end <= MAX_DATAGRAM_BYTES && aligned).then_some((fragment.offset, end))
}

/// The parts of a datagram so far.
#[derive(Debug, Default)]
struct Partial {
    /// By start; they never overlap.
    parts: BTreeMap<u32, Part>,
    /// Bytes on the wire that the parts cover.
    covered: u32,
    /// Length of the datagram, once the last fragment was seen. No part lies beyond it.
    end: Option<u32>,
    frames: u64,
    /// The frame that began it.
    born: u64,
    cost: usize,
}

#[derive(Debug)]
struct Part {
    /// As captured, at most `wire` bytes.
    bytes: Vec<u8>,
    wire: u32,
}

impl Partial {
    /// Fills holes with the fragment's bytes; false where its end contradicts what is known.
    fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        start: u32,
        end: u32,
        overlaps: &mut u64,
    ) -> bool {
        let last_byte = self.parts.last_key_value().map_or(0, |(start, part)| start + part.wire);
        let fits = match self.end {
            Some(known) if fragment.more => end <= known,
            Some(known) => end == known,
            None => fragment.more || last_byte <= end,
        };
        if !fits {
            return false;
        }
        if !fragment.more {
            self.end = Some(end);
        }
        let bytes = |from: u32, to: u32| -> &[u8] {
            let captured = fragment.piece.bytes;
            let (from, to) = ((from - start) as usize, (to - start) as usize);
            captured.get(from..to.min(captured.len())).unwrap_or_default()
        };
        let mut at = start;
        while at < end {
            let before = self.parts.range(..=at).next_back();
            if let Some((known_at, part)) = before.filter(|(start, part)| *start + part.wire > at) {
                let stop = end.min(known_at + part.wire);
                let known = part.bytes.get((at - known_at) as usize..).unwrap_or_default();
                let differs = known.iter().zip(bytes(at, stop)).any(|(old, new)| old != new);
                *overlaps += u64::from(differs);
                at = stop;
            } else {
                let next = self.parts.range(at..).next();
                let stop = next.map_or(end, |(next_at, _)| end.min(*next_at));
                self.fill(at, Part { bytes: bytes(at, stop).to_vec(), wire: stop - at });
                at = stop;
            }
        }
        true
    }

    fn fill(&mut self, at: u32, part: Part) {
        self.covered += part.wire;
        self.cost += part.bytes.len() + PART_COST;
        self.parts.insert(at, part);
    }

    fn join(self, key: Key) -> Datagram {
        let mut bytes = Vec::with_capacity(self.covered as usize);
        for part in self.parts.values() {
            bytes.extend_from_slice(&part.bytes);
            if part.bytes.len() < part.wire as usize {
                break;
            }
        }
        let cut = self.covered - u32::try_from(bytes.len()).unwrap_or(self.covered);
        Datagram { ends: key.ends, protocol: key.protocol, bytes, cut, frames: self.frames }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn key(identification: u32) -> Key {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ends = Ends { source: address, destination: address };
        Key { ends, identification, protocol: 6 }
    }

    fn fragment(offset: u32, more: bool, bytes: &[u8]) -> Fragment<'_> {
        Fragment { key: key(1), offset, more, piece: Piece { bytes, cut: 0 } }
    }

    #[test]
    fn first_bytes_win_and_other_bytes_are_counted() {
        let mut fragments = Fragments::default();
        assert!(matches!(
            fragments.add(&fragment(0, true, b"AAAAAAAABBBBBBBB"), 1, 1),
            Added::Held
        ));
        assert!(matches!(
            fragments.add(&fragment(8, true, b"bbbbbbbbCCCCCCCC"), 2, 1),
            Added::Held
        ));
        let Added::Whole(whole) = fragments.add(&fragment(24, false, b"D"), 3, 1) else {
            panic!("all parts are there");
        };
        assert_eq!((&whole.bytes[..], whole.frames), (&b"AAAAAAAABBBBBBBBCCCCCCCCD"[..], 3));
        let given_up = fragments.take_given_up();
        assert_eq!((given_up.overlaps, given_up.datagrams), (1, 0));
        assert_eq!(fragments.held_bytes, 0);
    }

    #[test]
    fn contradicting_ends_are_malformed() {
        let mut fragments = Fragments::default();
        assert!(matches!(fragments.add(&fragment(8, false, b"tail"), 1, 1), Added::Held));
        for bad in [
            fragment(8, true, &[0; 16]),   // beyond the end
            fragment(8, false, b"tails"),  // another end
            fragment(0, true, b"seven.."), // not a multiple of eight
            fragment(0, true, b""),
            fragment(65_528, false, &[0; 9]), // longer than a datagram
        ] {
            assert!(matches!(fragments.add(&bad, 2, 1), Added::Malformed), "{bad:?}");
        }
        assert!(matches!(fragments.add(&fragment(0, true, b"headhead"), 3, 1), Added::Whole(_)));
    }

    #[test]
    fn a_cut_fragment_cuts_the_datagram() {
        let mut fragments = Fragments::default();
        let piece = Piece { bytes: b"headhead....", cut: 4 };
        let cut = Fragment { key: key(1), offset: 0, more: true, piece };
        assert!(matches!(fragments.add(&fragment(16, false, b"tail"), 1, 1), Added::Held));
        let Added::Whole(whole) = fragments.add(&cut, 2, 1) else { panic!("all parts are there") };
        assert_eq!((&whole.bytes[..], whole.cut), (&b"headhead...."[..], 8));
    }

    #[test]
    fn memory_and_age_are_bounded_and_every_frame_is_given_up_once() {
        let mut fragments = Fragments::default();
        let payload = vec![0; 65_528];
        for number in 0..10_000 {
            let piece = Piece { bytes: &payload, cut: 0 };
            let part = Fragment { key: key(number), offset: 0, more: true, piece };
            fragments.add(&part, u64::from(number), 1);
            assert!(fragments.held_bytes <= MAX_BYTES);
        }
        let far = MAX_AGE_FRAMES + 10_000;
        fragments.add(&fragment(0, true, b"headhead"), far, 1);
        assert_eq!(fragments.held.len(), 1);
        fragments.finish();
        let given_up = fragments.take_given_up();
        assert_eq!((given_up.datagrams, given_up.frames), (10_001, 10_001));
        assert_eq!((fragments.held_bytes, fragments.by_age.len()), (0, 0));
    }

    proptest! {
        /// For all cuts into fragments, orders and duplicates: the datagram is whole exactly once
        /// the last missing fragment came, and equals the bytes sent.
        #[test]
        fn any_order_yields_the_datagram(
            bytes in proptest::collection::vec(any::<u8>(), 17..400),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let parts: Vec<_> = bytes
                .chunks(16)
                .zip((0..).step_by(16))
                .map(|(part, offset)| fragment(offset, offset as usize + 16 < bytes.len(), part))
                .collect();
            let random = order.iter().map(|index| index.index(parts.len()));
            let mut fragments = Fragments::default();
            let mut seen = BTreeSet::new();
            for (now, index) in random.chain(0..parts.len()).enumerate() {
                seen.insert(index);
                let added = fragments.add(&parts[index], now as u64, 1);
                match added {
                    Added::Whole(whole) => {
                        prop_assert_eq!(seen.len(), parts.len());
                        prop_assert_eq!(&whole.bytes, &bytes);
                        seen.clear();
                    }
                    Added::Held => prop_assert!(seen.len() < parts.len()),
                    Added::Malformed => prop_assert!(false, "malformed"),
                }
            }
        }
    }
}
