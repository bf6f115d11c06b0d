use proptest::prelude::*;

use super::*;

fn text(block: &Block) -> Vec<String> {
    let part = |part: &Option<Bytes>| {
        part.as_ref().map_or("?".to_owned(), |part| String::from_utf8_lossy(part).into_owned())
    };
    let line = |field: &Field| format!("{}={}", part(&field.name), part(&field.value));
    block.fields.iter().map(line).collect()
}

/// The requests of appendix C.4 of RFC 7541.
const FIRST: &[u8] = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
const SECOND: &[u8] = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
const THIRD: &[u8] = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\
    \xe9\x5b\xb8\xe8\xb4\xbf";

#[test]
fn requests_of_the_standard() {
    let mut decoder = Decoder::new();
    let first = [":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com"];
    assert_eq!(text(&decoder.decode(FIRST)), first);
    assert_eq!(decoder.kept(), 57);
    let second = decoder.decode(SECOND);
    assert_eq!(text(&second)[3..], [":authority=www.example.com", "cache-control=no-cache"]);
    let third = decoder.decode(THIRD);
    let expected = [":path=/index.html", ":authority=www.example.com", "custom-key=custom-value"];
    assert_eq!(text(&third)[2..], expected);
    assert_eq!((third.unknown, third.whole, decoder.kept()), (0, true, 164));
}

#[test]
fn what_was_not_seen_is_unknown_and_what_was_sent_since_is_known() {
    let mut decoder = Decoder::in_the_middle();
    let second = decoder.decode(SECOND);
    let expected = [":method=GET", ":scheme=http", ":path=/", "?=?", "cache-control=no-cache"];
    assert_eq!(
        (text(&second), second.unknown, second.whole),
        (expected.map(str::to_owned).into(), 1, true)
    );
    // Index 62 is now what was sent since, 63 still that of the first request.
    let again = decoder.decode(b"\xbe\xbf");
    assert_eq!(
        (text(&again), again.unknown),
        (vec!["cache-control=no-cache".into(), "?=?".into()], 1)
    );
}

#[test]
fn a_value_under_an_unknown_name_is_kept_without_it() {
    let mut decoder = Decoder::in_the_middle();
    let block = decoder.decode(b"\x7f\x00\x01x\xbe");
    assert_eq!((text(&block), block.unknown), (vec!["?=x".to_owned(), "?=x".to_owned()], 2));
}

#[test]
fn a_string_with_a_wrong_code_is_stepped_over() {
    let block = Decoder::new().decode(b"\x40\x01a\x84\xff\xff\xff\xff\xbe\x82");
    assert_eq!(text(&block), ["a=?", "a=?", ":method=GET"]);
    assert_eq!((block.unknown, block.whole), (2, true));
}

#[test]
fn what_ends_inside_a_field_is_not_whole_and_forgets_the_rest() {
    for cut in
        [&b"\x40"[..], b"\x40\x05ab", b"\xff", b"\xff\x80\x80\x80\x80\x01", b"\x0f\x01\x7f\xff"]
    {
        let mut decoder = Decoder::new();
        decoder.decode(FIRST);
        let block = decoder.decode(&[b"\x82", cut].concat());
        assert_eq!(
            (text(&block), block.whole),
            (vec![":method=GET".to_owned()], false),
            "{cut:x?}"
        );
        assert_eq!(text(&decoder.decode(b"\xbe")), ["?=?"]);
    }
}

#[test]
fn the_table_is_as_large_as_the_sender_says_within_a_bound() {
    let mut decoder = Decoder::new();
    decoder.decode(FIRST);
    assert_eq!(text(&decoder.decode(b"\x20\x3f\xe1\x1f\xbe")), ["?=?"], "emptied");
    decoder.decode(b"\x3f\xff\xff\xff\x7f");
    let entry = [&b"\x40\x01k\x7f\x81\x07"[..], &[b'v'; 1024]].concat();
    for _ in 0..200 {
        assert!(decoder.decode(&entry).whole);
    }
    assert_eq!(decoder.kept(), MAX_TABLE / 1057 * 1057);
    assert_eq!(text(&decoder.decode(b"\xfb")), [format!("k={}", "v".repeat(1024))], "the last");
    assert_eq!(text(&decoder.decode(b"\xfc")), ["?=?"], "beyond the bound");
}

#[test]
fn a_bomb_is_defused() {
    let mut decoder = Decoder::new();
    decoder.decode(&[&b"\x40\x01k\x7f\x81\x17"[..], &[b'v'; 3072]].concat());
    let block = decoder.decode(&vec![0xbe; 100_000]);
    let kept = MAX_LIST / (3072 + 33);
    assert_eq!((block.fields.len(), block.left_out), (kept, 100_000 - kept as u64));
}

/// How one field is sent.
#[derive(Clone, Debug)]
enum Sent {
    Index(u8),
    Literal { form: u8, name: Result<u8, (Vec<u8>, bool)>, value: (Vec<u8>, bool) },
    Resize(u16),
}

fn sent() -> impl Strategy<Value = Sent> {
    let string = || (prop::collection::vec(any::<u8>(), 0..40), any::<bool>());
    let name = prop_oneof![(1_u8..64).prop_map(Ok), string().prop_map(Err)];
    prop_oneof![
        4 => (1_u8..65).prop_map(Sent::Index),
        4 => (0_u8..3, name, string())
            .prop_map(|(form, name, value)| Sent::Literal { form, name, value }),
        1 => (0_u16..600).prop_map(Sent::Resize),
    ]
}

/// Encodes with the smallest integers and, where asked, a Huffman code.
fn encode(all: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in all {
        match one {
            Sent::Index(index) => push_integer(&mut bytes, 0x80, 7, usize::from(*index)),
            Sent::Resize(size) => push_integer(&mut bytes, 0x20, 5, usize::from(*size)),
            Sent::Literal { form, name, value } => {
                let (front, bits) = [(0x40, 6), (0, 4), (0x10, 4)][usize::from(*form)];
                let index = name.as_ref().map_or(0, |index| usize::from(*index));
                push_integer(&mut bytes, front, bits, index);
                for (text, is_coded) in name.as_ref().err().into_iter().chain([value]) {
                    let text = if *is_coded { huffman::tests::encode(text) } else { text.clone() };
                    push_integer(&mut bytes, u8::from(*is_coded) << 7, 7, text.len());
                    bytes.extend(text);
                }
            }
        }
    }
    bytes
}

fn push_integer(bytes: &mut Vec<u8>, front: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        bytes.push(front | u8::try_from(value).unwrap());
        return;
    }
    bytes.push(front | u8::try_from(most).unwrap());
    let mut left = value - most;
    while left >= 128 {
        bytes.push(u8::try_from(left % 128).unwrap() | 0x80);
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap());
}

/// Both read the same blocks for as long as the other decoder accepts them.
fn agree(blocks: &[Vec<u8>]) -> usize {
    let (mut ours, mut theirs) = (Decoder::new(), loona_hpack::Decoder::new());
    for (at, bytes) in blocks.iter().enumerate() {
        let block = ours.decode(bytes);
        let Ok(expected) = theirs.decode(bytes) else {
            return at;
        };
        let known = |field: &Field| {
            let part = |part: &Option<Bytes>| part.as_ref().map(|part| part.to_vec());
            (part(&field.name), part(&field.value))
        };
        let found: Vec<_> = block.fields.iter().map(known).collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (Some(name), Some(value))).collect();
        assert_eq!((found, block.whole, block.unknown), (expected, true, 0), "block {at}");
    }
    blocks.len()
}

#[test]
fn the_other_decoder_is_asked_at_all() {
    assert_eq!(agree(&[FIRST.to_vec(), SECOND.to_vec(), THIRD.to_vec()]), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn encoded_fields_are_those_of_another_decoder(
        blocks in prop::collection::vec(prop::collection::vec(sent(), 0..12), 1..6),
    ) {
        agree(&blocks.iter().map(|block| encode(block)).collect::<Vec<_>>());
    }

    #[test]
    fn bytes_whatever_do_no_harm(blocks in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..60), 1..6,
    )) {
        agree(&blocks);
        let mut decoder = Decoder::in_the_middle();
        for bytes in &blocks {
            let block = decoder.decode(bytes);
            prop_assert!(block.fields.len() <= bytes.len());
            prop_assert!(decoder.kept() <= MAX_TABLE);
        }
    }
}
