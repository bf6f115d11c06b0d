//! Frames of wireless networks, and of what wraps any other link layer.

use crate::capture_packets::{behind, bucket, frames, segment};
use crate::wire::{ethernet, ipv4, tcp};

/// The header of a wireless frame with three addresses.
fn air(kind: u8, flags: u8) -> Vec<u8> {
    [&[kind, flags, 0, 0][..], &[2; 18], &[0x10, 0]].concat()
}

/// Apple's header in front of a frame of this link type.
fn packet_tap(link: u32) -> Vec<u8> {
    let mut header: Vec<u8> = [108, 1, link].into_iter().flat_map(u32::to_le_bytes).collect();
    header.resize(108, 0);
    header
}

#[test]
fn wireless_frames_that_cannot_be_read_say_why() {
    let llc = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let packet = behind(&llc, &ipv4(6, &tcp(b"GET!")));
    let frame = |header: Vec<u8>| behind(&header, &packet);
    let mut second_fragment = air(0x08, 0x01);
    second_fragment[22] |= 1;
    for (bucket_name, link, header) in [
        ("encrypted link", 105, air(0x08, 0x41)),
        ("wireless fragment", 105, air(0x08, 0x05)),
        ("wireless fragment", 105, second_fragment),
        ("wireless aggregate not opened", 105, [&air(0x88, 0x01)[..], &[0x80, 0]].concat()),
        ("not ip", 105, air(0x80, 0)), // A beacon.
        ("not ip", 105, air(0x48, 1)), // Without data.
        ("wireless frame damaged", 127, vec![0, 0, 9, 0, 2, 0, 0, 0, 0x40]),
        ("link header malformed", 127, vec![1, 0, 8, 0, 0, 0, 0, 0]),
        ("link header malformed", 258, vec![7; 108]),
        ("link type not supported", 149, vec![7; 108]),
    ] {
        assert_eq!(bucket(link, frame(header)), bucket_name);
    }
}

/// Each row: what it shows, the link type, the bytes before the IP packet.
#[test]
fn wireless_and_wrapped_frames_lead_to_ip() {
    let mac = [2; 6];
    let llc = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let inner = ethernet(0x0800, &[]);
    for (what, link, header) in [
        ("wireless", 105, [&air(0x08, 0x01)[..], &llc].concat()),
        ("wireless with service", 105, [&air(0x88, 0x02)[..], &[0, 0], &llc].concat()),
        ("wireless, four addresses", 105, [&air(0x08, 0x03)[..], &mac, &llc].concat()),
        ("wireless with control", 105, [&air(0x88, 0x81)[..], &[0; 6], &llc].concat()),
        ("radiotap", 127, [&[0, 0, 8, 0, 0, 0, 0, 0][..], &air(0x08, 0x01), &llc].concat()),
        ("radiotap, padded", 127, {
            // Two words of fields, a clock, and flags that tell of padding behind 26 bytes.
            let tap = [&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0; 8], &[0x20]];
            [&tap.concat()[..], &air(0x88, 0x01), &[0; 4], &llc].concat()
        }),
        ("per-packet information", 192, {
            [&[0, 0, 8, 0, 105, 0, 0, 0][..], &air(0x08, 0x01), &llc].concat()
        }),
        ("packet tap, ethernet", 258, [&packet_tap(1)[..], &inner].concat()),
        ("packet tap, loopback", 258, [&packet_tap(0)[..], &[2, 0, 0, 0]].concat()),
        ("packet tap by its old number", 149, packet_tap(101)),
    ] {
        let kept = segment(link, behind(&header, &ipv4(6, &tcp(b"GET!"))));
        assert_eq!(kept.payload, b"GET!", "{what}");
        for length in 0..header.len() {
            assert_eq!(frames(link, &[header[..length].to_vec()]).segments, [], "{what} {length}");
        }
    }
}
