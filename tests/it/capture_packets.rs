//! TCP segments behind every link layer, tunnel and fragment.

use proptest::prelude::*;

use crate::wire::{
    Kept, MICROSECONDS, Order, ReadBack, ethernet, ipv4, ipv4_fragment, ipv6, pcap_header, read,
    record, tcp, udp,
};

/// Reads frames of one link type.
pub(crate) fn frames(link: u32, frames: &[Vec<u8>]) -> ReadBack {
    let mut file = pcap_header(Order::Little, MICROSECONDS, link);
    for frame in frames {
        file.extend(record(Order::Little, 1, 0, frame));
    }
    read(&file).unwrap()
}

/// Reads one frame that is longer on the wire than captured.
fn cut_frame(link: u32, frame: &[u8], captured: usize) -> ReadBack {
    let mut file = pcap_header(Order::Little, MICROSECONDS, link);
    let mut record = record(Order::Little, 1, 0, &frame[..captured]);
    record[12..16].copy_from_slice(&u32::try_from(frame.len()).unwrap().to_le_bytes());
    file.extend(record);
    read(&file).unwrap()
}

/// The only segment of a frame.
pub(crate) fn segment(link: u32, frame: Vec<u8>) -> Kept {
    let read = frames(link, &[frame]);
    assert_eq!(read.segments.len(), 1, "link type {link}: {:?}", read.ledger);
    read.segments.into_iter().next().unwrap()
}

/// The bucket in which a frame ends.
pub(crate) fn bucket(link: u32, frame: Vec<u8>) -> String {
    let read = frames(link, &[frame]);
    assert_eq!(read.ledger.frames.total, 1);
    read.ledger.frames.buckets.keys().next().unwrap().clone()
}

pub(crate) fn behind(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

const RAW: u32 = 101;
const ETHERNET: u32 = 1;

#[test]
fn a_segment_is_as_its_header_says() {
    let kept = segment(RAW, ipv4(6, &tcp(b"GET")));
    assert_eq!(
        kept,
        Kept {
            at_ns: 1_000_000_000,
            source: "10.0.0.1:40000".parse().unwrap(),
            destination: "10.0.0.2:80".parse().unwrap(),
            seq: 256,
            ack: 512,
            flags: 24,
            payload: b"GET".to_vec(),
            cut_bytes: 0,
        }
    );
    let kept = segment(RAW, ipv6(6, &tcp(b"GET")));
    assert_eq!(kept.source, "[fd00::1]:40000".parse().unwrap());
    assert_eq!(kept.payload, b"GET");
}

/// Each row: what it shows, the link type, the bytes before the IP packet.
#[test]
fn every_link_layer_leads_to_ip() {
    let mac = [2; 12];
    let type_behind_mac = |rest: &[u8]| behind(&mac, rest);
    let cooked = [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &[8, 0]].concat();
    let cooked_2 = [&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6][..], &[2; 8]].concat();
    let snap = [0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let inner = ethernet(0x0800, &[]);
    let nflog = [&[2, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0][..], &[48, 0, 9, 0]].concat();
    for (what, link, header) in [
        ("ethernet", 1, type_behind_mac(&[8, 0])),
        ("vlan", 1, type_behind_mac(&[0x81, 0, 0, 5, 8, 0])),
        ("qinq", 1, type_behind_mac(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0])),
        ("three tags", 1, type_behind_mac(&[0x91, 0, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0])),
        ("logical link control", 1, type_behind_mac(&snap)),
        ("mpls, two labels", 1, type_behind_mac(&[0x88, 0x47, 0, 0, 0, 9, 0, 0, 1, 9])),
        ("ethernet over mpls", 1, {
            [&type_behind_mac(&[0x88, 0x47, 0, 0, 1, 9, 0, 0, 0, 0])[..], &inner].concat()
        }),
        ("backbone bridge", 1, [&type_behind_mac(&[0x88, 0xe7, 0, 0, 0, 1])[..], &inner].concat()),
        ("fabric path", 1, [&type_behind_mac(&[0x89, 3, 0, 0])[..], &inner].concat()),
        ("pppoe", 1, type_behind_mac(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 46, 0, 0x21])),
        ("null, little-endian", 0, vec![2, 0, 0, 0]),
        ("null, big-endian", 0, vec![0, 0, 0, 2]),
        ("loop", 108, vec![0, 0, 0, 2]),
        ("cooked", 113, cooked),
        ("cooked, version 2", 276, cooked_2),
        ("raw", 101, vec![]),
        ("raw of BSD", 12, vec![]),
        ("raw of OpenBSD", 14, vec![]),
        ("ipv4", 228, vec![]),
        ("ppp", 9, vec![0xff, 3, 0, 0x21]),
        ("ppp without address", 9, vec![0, 0x21]),
        ("ppp with a compressed protocol", 9, vec![0x21]),
        ("serial ppp", 50, vec![0xff, 3, 0, 0x21]),
        ("serial hdlc", 50, vec![0x0f, 0, 8, 0]),
        ("pppoe alone", 51, vec![0x11, 0, 0, 1, 0, 46, 0, 0x21]),
        ("hdlc", 104, vec![0x0f, 0, 8, 0]),
        ("mpls alone", 219, vec![0, 0, 1, 9]),
        ("netfilter log", 239, nflog),
        ("arcnet", 7, vec![1, 2, 212, 0, 0, 9]),
        ("arcnet with an exception", 7, vec![1, 2, 212, 0xff, 0, 0, 212, 0, 0, 9]),
        ("arcnet of old", 7, vec![1, 2, 240]),
        ("arcnet of Linux", 129, vec![1, 2, 9, 9, 212, 0, 0, 9]),
    ] {
        let kept = segment(link, behind(&header, &ipv4(6, &tcp(b"GET!"))));
        assert_eq!(kept.payload, b"GET!", "{what}");
        // One byte less, and the header or the IP packet is cut: never a segment, never a panic.
        for length in 0..header.len() {
            assert_eq!(frames(link, &[header[..length].to_vec()]).segments, [], "{what} {length}");
        }
    }
    for (link, header) in [(0, [30, 0, 0, 0]), (0, [0, 0, 0, 24]), (108, [0, 0, 0, 28])] {
        assert_eq!(segment(link, behind(&header, &ipv6(6, &tcp(b"six")))).payload, b"six");
    }
}

#[test]
fn what_is_no_tcp_ends_in_a_bucket_of_its_own() {
    for (link, frame, name) in [
        (ETHERNET, ethernet(0x0806, &[0; 28]), "not ip"),
        (ETHERNET, ethernet(0x88e5, &[0; 28]), "encrypted link"),
        (ETHERNET, vec![0; 13], "link header cut"),
        (147, vec![0; 60], "link type not supported"),
        (0, vec![7; 60], "not ip"),
        (RAW, vec![], "ip header cut"),
        (RAW, vec![0x45; 19], "ip header cut"),
        (RAW, vec![0x44; 40], "ip header malformed"),
        (RAW, vec![0x75; 40], "ip header malformed"),
        (RAW, ipv4(17, &udp(53, 53, b"dns")), "udp"),
        (RAW, ipv4(1, &[8; 8]), "icmp"),
        (RAW, ipv6(58, &[128; 8]), "icmp"),
        (RAW, ipv4(132, &[0; 12]), "sctp"),
        (RAW, ipv4(50, &[0; 12]), "encrypted ip"),
        (RAW, ipv4(89, &[0; 12]), "other ip protocol"),
        (RAW, ipv4(6, &tcp(b"")[..19]), "tcp header cut"),
        (RAW, ipv4(6, &[0; 20]), "tcp header malformed"),
        (RAW, ipv4(6, &[0xff; 20]), "tcp header malformed"),
        (RAW, ipv4(6, &tcp(b"")), "tcp without payload"),
        (RAW, ipv4(6, &tcp(b"x")), "tcp payload"),
    ] {
        assert_eq!(bucket(link, frame.clone()), name, "{link} {frame:02x?}");
    }
}

#[test]
fn padding_and_trailers_are_not_payload() {
    for packet in [ipv4(6, &tcp(b"x")), ipv6(6, &tcp(b"x"))] {
        let kind = if packet[0] == 0x45 { 0x0800 } else { 0x86dd };
        for trailer in [6, 58] {
            let frame = ethernet(kind, &[&packet[..], &vec![0xee; trailer]].concat());
            let kept = segment(ETHERNET, frame);
            assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"x"[..], 0));
        }
    }
}

#[test]
fn a_length_left_to_the_network_card_is_the_captured_one() {
    let mut four = ipv4(6, &tcp(b"offloaded"));
    four[2..4].fill(0);
    let mut six = ipv6(6, &tcp(b"offloaded"));
    six[4..6].fill(0);
    for packet in [four, six] {
        assert_eq!(segment(RAW, packet.clone()).payload, b"offloaded");
        let cut = cut_frame(RAW, &packet, packet.len() - 4);
        let kept = &cut.segments[0];
        assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"offlo"[..], 4));
    }
}

#[test]
fn bytes_beyond_the_snap_length_are_counted() {
    let packet = ipv4(6, &tcp(b"0123456789"));
    for (captured, payload, cut, bucket) in [
        (50, &b"0123456789"[..], 0, "tcp payload"),
        (45, b"01234", 5, "tcp payload"),
        (40, b"", 10, "tcp payload cut by snaplen"),
    ] {
        let read = cut_frame(RAW, &packet, captured);
        let kept = &read.segments[0];
        assert_eq!((&kept.payload[..], kept.cut_bytes), (payload, cut));
        assert_eq!(read.ledger.frames.count(bucket), 1);
        assert_eq!(read.note("tcp payload bytes cut by snaplen"), u64::from(cut));
    }
    assert_eq!(cut_frame(RAW, &packet, 39).ledger.frames.count("tcp header cut"), 1);
    // Cut inside of the options: where the payload begins is known all the same.
    let mut with_options = tcp(b"01234567");
    with_options[12] = 0x60;
    let read = cut_frame(RAW, &ipv4(6, &with_options), 42);
    assert_eq!((read.segments[0].payload.len(), read.segments[0].cut_bytes), (0, 4));
}

#[test]
fn a_length_beyond_the_frame_is_not_believed() {
    let mut packet = ipv4(6, &tcp(b"0123456789"));
    packet[2] = 0x40;
    let kept = segment(RAW, packet);
    assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"0123456789"[..], 0));
    let mut inner = ipv4(6, &tcp(b"0123456789"));
    inner[3] += 6;
    let pppoe = behind(&[2; 12], &behind(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 52, 0, 0x21], &inner));
    let kept = segment(ETHERNET, behind(&pppoe, &[0xee; 6]));
    assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"0123456789"[..], 0));
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    let mut with_options = ipv4(6, &[]);
    with_options[0] = 0x46;
    with_options[3] += 4 + 23;
    with_options.extend([1, 1, 1, 1]);
    with_options.extend(tcp(b"GET"));
    assert_eq!(segment(RAW, with_options).payload, b"GET");
    let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
    let destination = [43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let routing = [51, 0, 0, 0, 0, 0, 0, 0];
    let authentication = [44, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let whole_fragment = [6, 0, 0, 0, 0, 0, 0, 9];
    let chain =
        [&hop_by_hop[..], &destination, &routing, &authentication, &whole_fragment, &tcp(b"GET")];
    assert_eq!(segment(RAW, ipv6(0, &chain.concat())).payload, b"GET");
    // A chain without end is left, whatever it claims.
    assert_eq!(
        bucket(RAW, ipv6(60, &[[60, 0, 0, 0, 0, 0, 0, 0]; 100].concat())),
        "too many headers"
    );
}

#[test]
fn tunnels_are_opened() {
    let packet = ipv4(6, &tcp(b"inner"));
    let frame = ethernet(0x0800, &packet);
    let in_udp =
        |port, header: &[u8], inner: &[u8]| ipv4(17, &udp(50_000, port, &behind(header, inner)));
    let mut teredo = ipv6(6, &tcp(b"inner"));
    teredo[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    let authenticated = behind(&[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], &teredo);
    let with_origin = behind(&[0, 0, 1, 2, 3, 4, 5, 6], &teredo);
    for (what, tunnel) in [
        ("ip in ip", ipv4(4, &packet)),
        ("ipv6 in ipv4", ipv4(41, &ipv6(6, &tcp(b"inner")))),
        ("gre", ipv4(47, &behind(&[0, 0, 8, 0], &packet))),
        ("gre with key and sequence", {
            ipv4(47, &behind(&[0x30, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, 2], &packet))
        }),
        ("gre bridging", ipv4(47, &behind(&[0, 0, 0x65, 0x58], &frame))),
        ("erspan i", ipv4(47, &behind(&[0, 0, 0x88, 0xbe], &frame))),
        ("erspan ii", {
            let header = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0; 8]].concat();
            ipv4(47, &behind(&header, &frame))
        }),
        ("erspan iii", {
            let header = [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0; 11], &[1], &[0; 8]].concat();
            ipv4(47, &behind(&header, &frame))
        }),
        ("vxlan", in_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame)),
        ("geneve", in_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 1, 0, 9, 9, 9, 9], &frame)),
        ("geneve with ip", in_udp(6081, &[0, 0, 8, 0, 0, 0, 1, 0], &packet)),
        ("gtp", in_udp(2152, &[0x30, 0xff, 0, 45, 0, 0, 0, 1], &packet)),
        ("gtp with an extension", {
            in_udp(2152, &[0x34, 0xff, 0, 53, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &packet)
        }),
        ("teredo", in_udp(3544, &[], &teredo)),
        ("teredo, authenticated", in_udp(3544, &[], &authenticated)),
        ("teredo with an origin", in_udp(3545, &[], &with_origin)),
        ("mpls in ip", ipv4(137, &behind(&[0, 0, 1, 9], &packet))),
    ] {
        assert_eq!(segment(RAW, tunnel).payload, b"inner", "{what}");
    }
    let nested = |depth| (0..depth).fold(packet.clone(), |inner, _| ipv4(4, &inner));
    assert_eq!(segment(RAW, nested(8)).payload, b"inner");
    assert_eq!(bucket(RAW, nested(9)), "tunnel not opened");
    assert_eq!(bucket(RAW, ipv4(47, &[0x40, 0, 8, 0])), "tunnel not opened");
    assert_eq!(bucket(RAW, ipv4(47, &[0x80, 0, 8, 0])), "tunnel header cut");
    assert_eq!(bucket(RAW, in_udp(4789, &[0; 8], &frame)), "udp");
}

const MORE: u16 = 0x2000;

#[test]
fn fragments_become_one_segment_in_any_order() {
    let whole = tcp(b"0123456789abcdef0123456789");
    let four = [
        ipv4_fragment(6, MORE, &whole[..24]),
        ipv4_fragment(6, MORE | 3, &whole[24..40]),
        ipv4_fragment(6, 5, &whole[40..]),
    ];
    let six_fragment = |offset_and_more: u16, bytes: &[u8]| {
        let [high, low] = offset_and_more.to_be_bytes();
        ipv6(44, &behind(&[6, 0, high, low, 0, 0, 0, 9], bytes))
    };
    let six = [
        six_fragment(1, &whole[..24]),
        six_fragment(25, &whole[24..40]),
        six_fragment(40, &whole[40..]),
    ];
    for parts in [four, six] {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let read = frames(RAW, &order.map(|index| parts[index].clone()));
            assert_eq!(read.segments.len(), 1);
            assert_eq!(read.segments[0].payload, b"0123456789abcdef0123456789");
            assert_eq!(read.ledger.frames.count("ip fragment"), 3);
        }
        let read = frames(RAW, &parts[..2]);
        assert_eq!(read.segments, []);
        assert_eq!(read.ledger.frames.count("ip fragment of incomplete datagram"), 2);
        assert_eq!(read.note("incomplete ip datagram"), 1);
    }
}

#[test]
fn fragments_of_a_tunnel_are_put_together_outside_in() {
    let whole = tcp(b"0123456789abcdef");
    let inner = [ipv4_fragment(6, MORE, &whole[..24]), ipv4_fragment(6, 3, &whole[24..])];
    let outer = inner
        .map(|packet| [ipv4_fragment(4, MORE, &packet[..16]), ipv4_fragment(4, 2, &packet[16..])]);
    let read = frames(RAW, &outer.concat());
    assert_eq!(read.segments.len(), 1);
    assert_eq!(read.segments[0].payload, b"0123456789abcdef");
    assert_eq!(read.ledger.frames.count("ip fragment"), 4);
}

#[test]
fn fragments_of_something_else_end_in_its_bucket() {
    let whole = udp(5_000, 5_001, b"0123456789abcdef");
    let parts = [ipv4_fragment(17, MORE, &whole[..8]), ipv4_fragment(17, 1, &whole[8..])];
    assert_eq!(frames(RAW, &parts).ledger.frames.count("udp"), 2);
}

proptest! {
    /// For all link types and bytes: nothing panics and every frame ends in one bucket.
    #[test]
    fn any_frame_ends_in_one_bucket(
        link in prop::sample::select(vec![
            0, 1, 9, 12, 50, 51, 101, 104, 108, 113, 127, 219, 228, 229, 239, 276,
        ]),
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        prop_assert_eq!(frames(link, &contents).ledger.frames.total, contents.len() as u64);
    }

    /// For all bytes behind sound headers, cut anywhere: the same.
    #[test]
    fn any_payload_of_ip_ends_in_one_bucket(
        protocol in prop::sample::select(vec![0, 4, 6, 17, 41, 43, 44, 47, 51, 60, 137]),
        six in any::<bool>(),
        fragment in any::<u16>(),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        kept in any::<prop::sample::Index>(),
    ) {
        let packet = if six {
            ipv6(protocol, &payload)
        } else {
            ipv4_fragment(protocol, fragment & 0x2003, &payload)
        };
        let read = cut_frame(RAW, &packet, kept.index(packet.len() + 1));
        prop_assert_eq!(read.ledger.frames.total, 1);
    }
}
