//! Dialogues with databases, damaged at random.

use proptest::prelude::*;

use crate::database_talks::{OK, array, in_pieces, message, mysql, packet, postgres, query, ready};
use crate::talk::{Talk, import};

proptest! {
    /// For all damage to a dialogue: nothing panics, and every byte and message adds up.
    #[test]
    fn damage_is_accounted_for(
        which in 0_usize..3,
        size in 1_usize..40,
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        bad in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        is_begun in any::<bool>(),
    ) {
        let mut pieces = in_pieces(&whole(which).pieces, size);
        if !is_begun {
            pieces.drain(..3);
        }
        for (at, byte) in bad {
            let piece = at.get(&pieces).clone();
            let position = usize::from(byte) % piece.payload.len().max(1);
            let index = at.index(pieces.len());
            if let Some(target) = pieces[index].payload.get_mut(position) {
                *target = byte;
            }
        }
        for at in lost {
            pieces.remove(at.index(pieces.len()));
        }
        import(&pieces);
    }
}

/// A long dialogue in each of the protocols.
fn whole(which: usize) -> Talk {
    let mut talk = match which {
        0 => Talk::new(),
        1 => mysql(),
        _ => postgres(),
    };
    for _ in 0..3 {
        match which {
            0 => {
                talk.client(&[array("GET user:1"), array("SUBSCRIBE a"), array("PING")].concat());
                talk.server("$1\r\nv\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
                talk.server("%1\r\n+a\r\n*2\r\n:1\r\n_\r\n|1\r\n+t\r\n:1\r\n+PONG\r\n");
            }
            1 => {
                let column = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
                talk.say(true, &query("select 1"));
                talk.say(false, &[packet(1, b"\x01"), packet(2, column)].concat());
                talk.say(false, &[packet(3, b"\x011"), packet(4, b"\xfe\0\0\x02\0\0\0")].concat());
                talk.say(true, &packet(0, b"\x16select ?"));
                let prepared = b"\0\x07\0\0\0\0\0\x01\0\0\0\0";
                talk.say(false, &[packet(1, prepared), packet(2, column)].concat());
                talk.say(true, &packet(0, b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x01"));
                talk.say(false, &packet(1, OK));
            }
            _ => {
                talk.say(true, &message(b'Q', b"select 1\0"));
                talk.say(false, &[message(b'T', b"\0\0"), message(b'D', b"\0\0")].concat());
                talk.say(false, &[message(b'C', b"SELECT 1\0"), ready()].concat());
                let bind = message(b'B', b"\0s\0\0\0\0\x01\0\0\0\x011\0\0");
                let execute = message(b'E', b"\0\0\0\0\0");
                let parse = message(b'P', b"s\0select $1\0\0\0");
                talk.say(true, &[&parse[..], &bind, &execute, &message(b'S', b"")].concat());
                let done = [message(b'1', b""), message(b'2', b""), message(b'C', b"X\0")].concat();
                talk.say(false, &[&done[..], &ready()].concat());
            }
        }
    }
    talk
}
