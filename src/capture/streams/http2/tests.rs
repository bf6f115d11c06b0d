use super::*;
use crate::capture::pairing::Paired;
use crate::capture::streams::Origin;
use crate::capture::tcp::Link;
use crate::capture::tls::keylog::Secrets;
use crate::recording::Flags;
use crate::recording::ledger::Ledger;

/// A connection whose client sends `pieces`, each with whether memory is short; what it holds at
/// the end, what it handed out, and the ledger.
fn read(pieces: &[(&[u8], bool)]) -> (usize, Vec<Paired>, Ledger) {
    let ends = ["10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()];
    let link = Link { number: 0, ends, client: Some(Side::First), resumed: None };
    let mut http2 = Http2::new(&mut Handover {
        to: "http2",
        pieces: Vec::new(),
        number: None,
        client: link.client,
        is_begun: true,
        link,
        next_seq: 0,
        upgraded: None,
        goes_on_inside: false,
    });
    let (mut ledger, mut found, mut numbered) = (Ledger::default(), Vec::new(), 0);
    let mut sink = |_: Origin, done| found.push(done);
    for (bytes, pressed) in pieces {
        ledger.stream_bytes.enter(bytes.len() as u64);
        let mut turn = Turn {
            ledger: &mut ledger,
            sink: &mut sink,
            numbered: &mut numbered,
            spool: None,
            contents: false,
            pressed: *pressed,
            secrets: &Secrets::default(),
            may_wait: false,
            is_inside: false,
        };
        let mark = Mark { at_ns: 0, tick: 0, offset: 0, ack: None };
        let what = What::Data(Data { mark, bytes, fresh: true });
        http2.event(&Event { link, side: Side::First, what }, &mut turn);
    }
    let kept = http2.kept();
    (kept, found, ledger)
}

/// POST / of a shop that is kept for later indexes.
const POST: &[u8] = b"\0\0\x09\x01\x04\0\0\0\x01\x83\x86\x84\x41\x04shop";
const BODY: &[u8] = b"\0\0\x05\0\0\0\0\0\x01hello";
/// The front of a second request.
const FRONT: &[u8] = b"\0\0\x04\x01\x05\0\0\0\x03\x82\x86";

#[test]
fn what_waits_is_held() {
    let (kept, found, ledger) = read(&[(POST, false), (BODY, false), (FRONT, false)]);
    assert!(found.is_empty());
    assert!(kept > 36 + 5 + FRONT.len(), "{kept}");
    assert_eq!(ledger.messages.total, 1);
}

#[test]
fn where_memory_is_short_nothing_is_held_and_reading_goes_on() {
    let rest = b"\x84\xbe\0\0\x03\x01\x05\0\0\0\x05\x82\x86\x84";
    let pieces = [(POST, false), (BODY, false), (FRONT, true), (&rest[..], true)];
    let (kept, found, ledger) = read(&pieces);
    assert_eq!(kept, 0);
    let [Paired::Exchange(first, None), Paired::Exchange(cut, None), Paired::Exchange(last, None)] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!(
        (&first.body[..], first.flags.contains(Flags::REQUEST_TRUNCATED)),
        (&b"hello"[..], true)
    );
    assert!(cut.flags.contains(Flags::MALFORMED), "its path was not there yet");
    assert_eq!(last.head, "GET / HTTP/1.1\r\nHost: \r\n\r\n");
    assert!(ledger.reconciles(), "{ledger:?}");
}
