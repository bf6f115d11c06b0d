//! Frames of pcap and pcapng files, whole and damaged.

use proptest::prelude::*;

use peakhour::capture::source::Content;

use crate::wire::{
    MICROSECONDS, Order, block, ethernet, interface, ipv4, option, packet, pcap_header, read,
    record, section, tcp,
};

const ORDERS: [Order; 2] = [Order::Big, Order::Little];

fn frame(payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(6, &tcp(payload)))
}

/// Payloads of the segments, as text.
fn payloads(file: &[u8]) -> Vec<String> {
    let segments = read(file).unwrap().segments;
    segments.into_iter().map(|kept| String::from_utf8(kept.payload).unwrap()).collect()
}

/// Times of the segments.
fn times(file: &[u8]) -> Vec<i64> {
    read(file).unwrap().segments.iter().map(|kept| kept.at_ns).collect()
}

#[test]
fn pcap_is_read_in_both_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, fraction, resolution) in [(MICROSECONDS, 5, 1_000), (0xa1b2_3c4d, 5_000, 1)] {
            let mut file = pcap_header(order, magic, 1);
            file.extend(record(order, 3, fraction, &frame(b"one")));
            let read = read(&file).unwrap();
            assert_eq!(read.segments[0].payload, b"one", "{order:?} {magic:x}");
            assert_eq!(read.facts.clock_resolution_ns, resolution);
            assert_eq!((read.facts.earliest_ns, read.facts.latest_ns), {
                (Some(3_000_005_000), Some(3_000_005_000))
            });
        }
    }
}

#[test]
fn pcap_with_longer_record_heads_is_read_in_both_orders() {
    for order in ORDERS {
        let mut file = pcap_header(order, 0xa1b2_cd34, 1);
        for payload in [b"one", b"two"] {
            let record = record(order, 1, 2, &frame(payload));
            file.extend([&record[..16], &[0; 8], &record[16..]].concat());
        }
        assert_eq!(payloads(&file), ["one", "two"]);
    }
}

#[test]
fn lengths_that_old_files_swap_are_put_right() {
    for (minor_version, swapped) in [(2, true), (3, true), (3, false), (4, false)] {
        let mut file = pcap_header(Order::Little, MICROSECONDS, 1);
        file[6] = minor_version;
        let whole = frame(b"0123456789");
        let mut cut = record(Order::Little, 1, 0, &whole[..whole.len() - 4]);
        let wire = if swapped { 8 } else { 12 };
        cut[wire..wire + 4].copy_from_slice(&Order::Little.u32(64));
        file.extend(cut);
        let read = read(&file).unwrap();
        let kept = &read.segments[0];
        assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"012345"[..], 4), "{minor_version}");
    }
}

#[test]
fn a_clock_that_steps_back_or_stands_at_zero_changes_nothing_but_times() {
    let mut file = pcap_header(Order::Little, MICROSECONDS, 1);
    for seconds in [1_600_000_000, 0, u32::MAX, 5] {
        file.extend(record(Order::Little, seconds, 0, &frame(b"x")));
    }
    assert_eq!(payloads(&file), ["x"; 4]);
    let seconds: Vec<i64> = times(&file).iter().map(|at| at / 1_000_000_000).collect();
    assert_eq!(seconds, [1_600_000_000, 0, i64::from(u32::MAX), 5]);
}

#[test]
fn a_cut_file_keeps_everything_up_to_the_cut() {
    let order = Order::Little;
    let mut pcap = pcap_header(order, MICROSECONDS, 1);
    let mut pcapng = [section(order), interface(order, 1, 0, &[])].concat();
    for payload in [b"one", b"two"] {
        pcap.extend(record(order, 1, 0, &frame(payload)));
        pcapng.extend(packet(order, 0, 0, &frame(payload)));
    }
    for whole in [pcap, pcapng] {
        for missing in [1, 4, 30, 60] {
            let read = read(&whole[..whole.len() - missing]).unwrap();
            assert_eq!(read.segments.len(), 1, "{missing}");
            assert_eq!(read.note("capture file is cut"), 1, "{missing}");
            assert!(read.facts.warnings[0].contains("what begins at byte"), "{read:?}");
        }
        assert_eq!(read(&whole).unwrap().note("capture file is cut"), 0);
    }
}

#[test]
fn a_cut_packet_that_carries_a_capture_is_not_searched() {
    for order in ORDERS {
        let start = [section(order), interface(order, 1, 0, &[])].concat();
        let carried = [&start[..], &packet(order, 0, 0, &frame(b"carried"))].concat();
        let whole = [start, packet(order, 0, 0, &frame(&carried))].concat();
        let read = read(&whole[..whole.len() - 4]).unwrap();
        assert_eq!((read.segments.len(), read.note("capture file is cut")), (0, 1));
        assert_eq!(read.note("corrupt place skipped"), 0);
    }
}

#[test]
fn a_compressed_capture_that_is_cut_keeps_what_was_whole() {
    let mut file = pcap_header(Order::Little, MICROSECONDS, 1);
    for number in 0..5_000_u32 {
        let noise = number.wrapping_mul(2_654_435_761).to_be_bytes();
        file.extend(record(Order::Little, number, 0, &frame(&noise)));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &file).unwrap();
    let whole = encoder.finish().unwrap();
    let cut = read(&whole[..whole.len() / 2]).unwrap();
    assert!((1_000..4_000).contains(&cut.segments.len()), "{}", cut.segments.len());
    assert_eq!(cut.note("compressed input is cut or damaged"), 1);
    let whole = read(&whole).unwrap();
    assert_eq!((whole.segments.len(), whole.note("capture file is cut")), (5_000, 0));
}

#[test]
fn an_absurd_record_length_costs_the_records_up_to_the_next_sound_ones() {
    for order in ORDERS {
        let mut file = pcap_header(order, MICROSECONDS, 1);
        file.extend(record(order, 100, 0, &frame(b"one")));
        let begin = file.len();
        // What is skipped holds a sound record head, with nothing sound behind it.
        let lone_record = [&record(order, 100, 1, b"two")[..], &[0xff; 40]].concat();
        file.extend(record(order, 100, 1, &frame(&lone_record)));
        file[begin + 8..begin + 12].copy_from_slice(&[0xff; 4]);
        let end = file.len();
        file.extend(record(order, 101, 0, &frame(b"three")));
        assert_eq!(payloads(&file), ["one", "three"], "the last record has none behind it");
        file.extend(record(order, 101, 0, &frame(b"four")));
        assert_eq!(payloads(&file), ["one", "three", "four"]);
        let read = read(&file).unwrap();
        assert_eq!(read.note("bytes of corrupt places skipped"), (end - begin) as u64);
    }
}

#[test]
fn pcapng_is_read_in_both_orders_even_in_one_file() {
    let mut file = Vec::new();
    for order in [Order::Big, Order::Little, Order::Big] {
        file.extend(section(order));
        file.extend(interface(order, 1, 0, &[]));
        file.extend(packet(order, 0, 7_000_000, &frame(b"x")));
    }
    assert_eq!(times(&file), [7_000_000_000; 3]);
    assert_eq!(read(&file).unwrap().facts.content, Content::Pcapng);
}

#[test]
fn each_interface_has_its_own_clock() {
    for order in ORDERS {
        let resolution = |value| option(order, 9, &[value]);
        let offset = |seconds: i64| option(order, 14, &order.u64(seconds.cast_unsigned()));
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            interface(order, 1, 0, &resolution(9)),
            interface(order, 1, 0, &resolution(0x8a)),
            interface(order, 1, 0, &[resolution(6), offset(-3600)].concat()),
            packet(order, 0, 5, &frame(b"x")),
            packet(order, 1, 5, &frame(b"x")),
            packet(order, 2, 512, &frame(b"x")),
            packet(order, 3, 3_600_000_001, &frame(b"x")),
        ];
        assert_eq!(times(&file.concat()), [5_000, 5, 500_000_000, 1_000]);
        let facts = read(&file.concat()).unwrap().facts;
        assert_eq!(facts.clock_resolution_ns, 976_562, "the coarsest of those in use");
        let without_coarse = [&file[..7], &file[8..]].concat().concat();
        assert_eq!(read(&without_coarse[..]).unwrap().facts.clock_resolution_ns, 1_000);
    }
}

#[test]
fn a_time_beyond_all_bounds_is_that_of_the_frame_before() {
    let order = Order::Big;
    let file = [
        section(order),
        interface(order, 1, 0, &[]),
        packet(order, 0, 5, &frame(b"x")),
        packet(order, 0, u64::MAX, &frame(b"x")),
    ];
    assert_eq!(times(&file.concat()), [5_000, 5_000]);
    assert_eq!(read(&file.concat()).unwrap().note("frame without a usable time"), 1);
}

#[test]
fn simple_packets_end_at_the_snap_length_and_have_no_padding() {
    for order in ORDERS {
        let whole = frame(b"abcde");
        let wire = u32::try_from(whole.len()).unwrap();
        let simple =
            |captured: usize| block(order, 3, &[&order.u32(wire)[..], &whole[..captured]].concat());
        let snap_length = wire - 2;
        let unlimited = [section(order), interface(order, 1, 0, &[]), simple(whole.len())];
        let limited =
            [section(order), interface(order, 1, snap_length, &[]), simple(whole.len() - 2)];
        assert_eq!(payloads(&unlimited.concat()), ["abcde"]);
        let kept = &read(&limited.concat()).unwrap().segments[0];
        assert_eq!((&kept.payload[..], kept.cut_bytes), (&b"abc"[..], 2));
    }
}

#[test]
fn obsolete_packets_are_read_and_their_drops_counted() {
    for order in ORDERS {
        let whole = frame(b"old");
        let length = u32::try_from(whole.len()).unwrap();
        let mut body = order.u16(0).to_vec();
        body.extend(order.u16(3));
        for field in [0, 9, length, length] {
            body.extend(order.u32(field));
        }
        body.extend(whole);
        let file = [section(order), interface(order, 1, 0, &[]), block(order, 2, &body)].concat();
        assert_eq!((payloads(&file), times(&file)), (vec!["old".to_owned()], vec![9_000]));
        assert_eq!(read(&file).unwrap().note("dropped by the capturing kernel"), 3);
    }
}

#[test]
fn drops_of_the_kernel_and_unused_blocks_are_noted() {
    for order in ORDERS {
        let statistics = |dropped: u64| {
            let mut body = [order.u32(0), order.u32(0), order.u32(0)].concat();
            body.extend(option(order, 5, &order.u64(dropped)));
            body.extend(option(order, 7, &order.u64(1)));
            block(order, 5, &body)
        };
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            statistics(10),
            statistics(12), // A later total, not to be added.
            block(order, 10, b"secrets."),
            block(order, 0xbad, b"custom.."),
            block(order, 0x7777, b"unknown."),
            packet(order, 0, 0, &frame(b"x")),
            packet(order, 1, 0, &frame(b"x")),
        ];
        let read = read(&file.concat()).unwrap();
        assert_eq!(read.note("dropped by the capturing kernel"), 13);
        assert_eq!(read.note("block of decryption secrets not used"), 1);
        assert_eq!(read.note("custom block not used"), 1);
        assert_eq!(read.note("block of unknown type"), 1);
        assert_eq!(read.ledger.frames.count("tcp payload"), 1);
        assert_eq!(read.ledger.frames.count("interface not declared"), 1);
    }
}

#[test]
fn a_corrupt_block_length_costs_only_its_block() {
    for order in ORDERS {
        for length in [0, 11, 48, 5_000, 60_000_000, u32::MAX] {
            let mut file = [section(order), interface(order, 1, 0, &[])].concat();
            file.extend(packet(order, 0, 1, &frame(b"one")));
            let begin = file.len();
            file.extend(packet(order, 0, 2, &frame(b"two")));
            file[begin + 4..begin + 8].copy_from_slice(&order.u32(length));
            let end = file.len();
            file.extend(packet(order, 0, 3, &frame(b"three")));
            assert_eq!(payloads(&file), ["one", "three"], "{order:?} {length}");
            let read = read(&file).unwrap();
            assert_eq!(read.note("corrupt place skipped"), 1);
            assert_eq!(read.note("bytes of corrupt places skipped"), (end - begin) as u64);
            assert!(read.facts.warnings[0].contains(&format!("at byte {begin}")));
        }
    }
}

#[test]
fn a_packet_longer_than_its_block_costs_only_its_block() {
    for order in ORDERS {
        let mut bad = packet(order, 0, 2, &frame(b"two"));
        bad[20..24].copy_from_slice(&order.u32(4_000));
        let before = [section(order), interface(order, 1, 0, &[])].concat();
        let file = [before, bad, packet(order, 0, 3, &frame(b"three"))].concat();
        assert_eq!(payloads(&file), ["three"]);
        assert_eq!(read(&file).unwrap().note("corrupt packet block"), 1);
    }
}

#[test]
fn a_section_of_an_unknown_version_is_not_used_and_the_next_one_is() {
    let order = Order::Little;
    let mut unknown = section(order);
    unknown[12] = 9;
    let packets = [interface(order, 1, 0, &[]), packet(order, 0, 0, &frame(b"x"))].concat();
    let known = [section(order), packets.clone()].concat();
    let read_back = read(&[&known[..], &unknown, &packets, &known].concat()).unwrap();
    assert_eq!(read_back.segments.len(), 2);
    assert_eq!(read_back.note("block of an unknown pcapng version"), 2);
    let refused = read(&unknown).unwrap_err().to_string();
    assert!(refused.contains("pcapng version 9.0 is not supported; write it again"), "{refused}");
}

#[test]
fn what_is_no_capture_is_refused_with_a_remedy() {
    let mut old = pcap_header(Order::Little, MICROSECONDS, 1);
    old[4] = 1;
    for (file, text) in [
        (&b""[..], "test: is empty; check that"),
        (b"GET /", "test: not a capture: it begins with 47 45 54 20 2f; supported are"),
        (&old, "test: pcap version 1.4 is not supported; write it again"),
        (&old[..20], "test: a pcap file of 20 bytes, less than its header, is not supported"),
        (b"\x0a\x0d\x0d\x0a", "test: a pcapng file without a whole section header is not"),
    ] {
        let error = read(file).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}

proptest! {
    /// For all bytes behind a sound beginning: reading ends, nothing panics, frames add up.
    #[test]
    fn any_bytes_are_read_to_the_end(
        header in 0..4_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let order = ORDERS[header % 2];
        let mut file = if header < 2 {
            pcap_header(order, MICROSECONDS, 1)
        } else {
            [section(order), interface(order, 1, 0, &[])].concat()
        };
        file.extend(bytes);
        read(&file).unwrap();
    }

    /// For all bytes behind any known beginning: the same, or an error that names the file.
    #[test]
    fn any_file_is_read_or_refused(
        magic in prop::sample::select(vec![
            &b""[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x0a\x0d\x0d\x0a",
            b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xcd\x34", b"{", b"PAR1",
        ]),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Err(error) = read(&[magic, &bytes].concat()) {
            prop_assert!(error.to_string().starts_with("test: "), "{}", error);
        }
    }

    /// For all bytes changed in sound files: reading ends, nothing panics, frames add up, and it
    /// is the same a second time.
    #[test]
    fn changed_bytes_never_panic(
        pcapng in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let order = Order::Little;
        let mut file = if pcapng {
            [section(order), interface(order, 1, 0, &[])].concat()
        } else {
            pcap_header(order, MICROSECONDS, 1)
        };
        for number in 0..10 {
            file.extend(if pcapng {
                packet(order, 0, number, &frame(b"payload"))
            } else {
                record(order, 7, u32::try_from(number).unwrap(), &frame(b"payload"))
            });
        }
        for (index, byte) in changes {
            let at = index.index(file.len());
            file[at] = byte;
        }
        let text = |file: &[u8]| format!("{:?}", read(file));
        prop_assert_eq!(text(&file), text(&file));
    }
}
