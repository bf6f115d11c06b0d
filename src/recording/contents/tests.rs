use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn contents(pieces: &[&[u8]]) -> Contents {
    let mut witness = Witness::default();
    for piece in pieces {
        witness.push(piece);
    }
    witness.finish()
}

fn shape(text: &str) -> Option<String> {
    contents(&[text.as_bytes()]).shape.map(|shape| shape.replace('\n', ", "))
}

#[test]
fn fields_and_types_are_kept_and_no_value_is() {
    for (text, expected) in [
        (
            r#"{"b":[{"c":1},{"d":null}],"a":"x"}"#,
            Some(".: object, a: string, b: array, b[].c: number, b[].d: null, b[]: object"),
        ),
        (
            r#"{"b":[{"d":null},{"c":2}],"a":"y"}"#,
            Some(".: object, a: string, b: array, b[].c: number, b[].d: null, b[]: object"),
        ),
        ("[]", Some(".: array")),
        (" \n[true]", Some(".: array, []: boolean")),
        // Whatever may be somebody's value is a star.
        (r#"{"ann@shop.example":1}"#, Some("*: number, .: object")),
        (r#"{"0049301234567":1}"#, Some("*: number, .: object")),
        (r#"{"9f8e7d6c5b4a3":1,"Ann Lee":2}"#, Some("*: number, .: object")),
        (r#"{"@type":"a","_id":"b"}"#, Some(".: object, @type: string, _id: string")),
        (
            r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}}}"#,
            Some(
                ".: object, a.b.c.d.e.f: object, a.b.c.d.e: object, a.b.c.d: object, \
                 a.b.c: object, a.b: object, a: object",
            ),
        ),
        ("<html>", None),
        (r#"{"a":1"#, None),
        ("", None),
        ("7", None),
    ] {
        assert_eq!(shape(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn too_much_has_no_shape_and_a_table_has_one_name() {
    let of = |names: usize, what: &str| {
        let all: Vec<_> = (0..names).map(|at| format!("\"{what}{at:x}k\":1")).collect();
        shape(&format!("{{{}}}", all.join(",")))
    };
    assert_eq!(of(MAX_NAMES + 1, "n").as_deref(), Some("*: number, .: object"));
    assert!(of(MAX_NAMES, "n").is_some_and(|shape| shape.contains("n0k: number")));
    assert_eq!(of(MAX_NAMES, &"n".repeat(MAX_NAME)).as_deref(), Some("*: number, .: object"));
    assert!(shape(&format!("[{}1]", "1,".repeat(MAX_JSON))).is_none(), "too long");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(shape(&deep).is_none());
}

/// for all cuts: what is known of a body does not depend on the pieces it came in.
#[test]
fn pieces_do_not_matter_and_gzip_is_unpacked() {
    let text: &[u8] = br#" {"a":[1,2],"b":"x"}"#;
    let whole = contents(&[text]);
    assert!(whole.shape.is_some());
    for cut in 0..text.len() {
        assert_eq!(contents(&[&text[..cut], b"", &text[cut..]]), whole, "{cut}");
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    let packed = encoder.finish().unwrap();
    for cut in 0..packed.len() {
        let unpacked = contents(&[&packed[..cut], &packed[cut..]]);
        assert_eq!(unpacked.shape, whole.shape, "{cut}");
        assert_ne!(unpacked.digest, whole.digest);
    }
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(format!("[{}1]", " ".repeat(10 << 20)).as_bytes()).unwrap();
    assert_eq!(contents(&[&bomb.finish().unwrap()]).shape, None);
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What is surely no JSON is told from what is not known: only the former is a difference.
#[test]
fn a_page_is_no_json_and_what_cannot_be_read_is_not_known() {
    let json: &[u8] = br#"{"a":[1,2],"b":"x"}"#;
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let (half, whole) = (packed(json), packed(json));
    let brotli = b"\x1b\x0f\x00\xf8\xa5\x5b\xca\x8a\x63";
    let text = "word ".repeat(MAX_JSON);
    for (body, is_no_json, what) in [
        (json, false, "JSON"),
        (b"<html><body>Down for maintenance</body></html>", true, "a page"),
        (b"  <html>", true, "a page behind blanks"),
        (b"OK", true, "a word"),
        ("zur\u{fc}ck".as_bytes(), true, "a word that is no ASCII"),
        (b"", true, "nothing"),
        (b"null", true, "no object"),
        (&json[..json.len() / 2], true, "half of it"),
        (br#"{"a":1}}"#, true, "more than it"),
        (&packed(b"<html>"), true, "a packed page"),
        (&half[..half.len() / 2], true, "half of what was packed"),
        (&whole, false, "packed JSON"),
        (brotli, false, "of another coding"),
        (b"{\xa5\x5b\xca\x8a\x63", false, "of another coding that begins like JSON"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x61", false, "zstd"),
        (b"a\0b", false, "bytes"),
        (deep.as_bytes(), false, "too deep to be read"),
        (format!("[{}1]", "1,".repeat(MAX_JSON)).as_bytes(), false, "too long to be read"),
        (text.as_bytes(), true, "a long text"),
    ] {
        assert_eq!(contents(&[body]).is_no_json, is_no_json, "{what}");
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(contents(&bytes).is_no_json, is_no_json, "{what} by the byte");
    }
    let mut pressed = Witness::default();
    pressed.push(b"{");
    assert!(pressed.let_go() && !pressed.let_go());
    pressed.push(b"<");
    let nothing = pressed.finish();
    assert!(!nothing.is_no_json && nothing.shape.is_none() && nothing.digest.is_some());
}

/// Names of people with what belongs to each are no fields, though they look like some.
#[test]
fn objects_that_are_alike_are_values_by_name() {
    let table = r#"{"scores":{"ann":{"won":1},"bob":{"won":2},"cid":{"won":3}}}"#;
    assert_eq!(
        shape(table).as_deref(),
        Some(".: object, scores.*.won: number, scores.*: object, scores: object")
    );
    for record in [
        r#"{"ann":{"won":1},"bob":{"won":2}}"#,
        r#"{"ann":{"won":1},"bob":{"won":2},"cid":{"lost":3}}"#,
        r#"{"ann":{"won":1},"bob":{"won":2},"cid":3}"#,
        r#"{"ann":{},"bob":{},"cid":{}}"#,
    ] {
        assert!(shape(record).is_some_and(|shape| shape.contains("ann")), "{record}");
    }
}

/// Of names that come twice the last counts, and a body with a known digest is not read again.
#[test]
fn names_may_come_twice_and_what_is_known_is_not_read_again() {
    assert_eq!(shape(r#"{"a":1,"a":"x"}"#).as_deref(), Some(".: object, a: string"));
    let text = br#"{"a":1}"#;
    let mut known = contents(&[text]);
    known.shape = Some("as it was recorded".into());
    let beside = |other: &Contents| {
        let mut witness = Witness::default();
        witness.push(text);
        witness.finish_beside(other)
    };
    assert_eq!(beside(&known), known);
    let other = Contents { digest: Some([7; 16]), ..known.clone() };
    assert_eq!(beside(&other).shape.as_deref(), Some(".: object\na: number"));
    let mut bytes = Witness::of_bytes();
    bytes.push(text);
    assert_eq!((bytes.held(), bytes.finish().digest), (0, known.digest));
}

/// What may be JSON, mostly nearly.
const NEARLY: &str = "[\\[\\]{}\":,@ a1\u{e4}\u{0}-]{0,60}";

/// Objects of such, mostly.
const OBJECTS: &str = "\\{\"a\":1(,\"[a-z@1 ]{1,5}\":(1|\\{\"b c\":2\\}|\\[\\])){0,9}\\}";

proptest! {
    /// For all bytes, of JSON or not, and all cuts of them: the same is known of a body, no name in
    /// it is one that is no name, and it is bounded.
    #[test]
    fn whatever_passes_is_seen_alike_in_all_pieces(
        nearly in NEARLY,
        object in OBJECTS,
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        cut in 0..100_usize,
    ) {
        prop_assert!(contents(&[object.as_bytes()]).shape.is_some(), "{object}");
        let packed = packed(object.as_bytes());
        for body in [nearly.as_bytes(), object.as_bytes(), &bytes, &packed] {
            let whole = contents(&[body]);
            let (begin, end) = body.split_at(cut.min(body.len()));
            prop_assert_eq!(&contents(&[begin, end]), &whole);
            prop_assert!(!(whole.is_no_json && whole.shape.is_some()));
            prop_assert!(whole.digest.is_some());
            let shape = whole.shape.as_deref().unwrap_or_default();
            prop_assert!(shape.len() <= MAX_SHAPE);
            let names = shape.lines().map(|line| line.rsplit_once(": ").unwrap().0);
            prop_assert!(names.into_iter().all(|name| !name.contains(' ')), "{shape}");
        }
    }
}
