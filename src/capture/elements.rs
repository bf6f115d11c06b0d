//! Elements of large JSON documents, handed out one by one: a document of gigabytes is read in
//! the memory of its largest element, one that is cut is used up to the cut, and one element of
//! the wrong shape costs that element only.
//!
//! Only the structure is looked at here (brackets, strings, commas); what is inside an element is
//! for its reader to judge.

use std::io::{self, BufRead};
use std::mem;

/// Longest element kept, in bytes: room for the largest body in base64 and for heads. The bytes of
/// a longer one are skipped.
pub(super) const ELEMENT_BYTES_MAX: usize = 192 * 1024 * 1024;

/// Deepest nesting that is followed.
pub(super) const DEPTH_MAX: usize = 1024;

/// Longest key compared with a pattern, in bytes.
const KEY_BYTES_MAX: usize = 64;

/// A way from the root to an element: keys, and `*` for any place in an array.
pub(super) type Pattern = &'static [&'static str];

/// An element, or what there is of it.
pub(super) struct Element<'a> {
    /// Which pattern it matches.
    pub(super) pattern: usize,
    /// Its place in the outermost array on its way, from 0 in each document.
    pub(super) outer: u64,
    /// Its text, empty when it was longer than [`ELEMENT_BYTES_MAX`].
    pub(super) text: &'a [u8],
    pub(super) state: State,
    /// Where it begins.
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    TooLong,
    /// The document ends, or is damaged, inside of it.
    Cut,
}

/// A place in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0.
    pub(super) offset: u64,
    /// From 1.
    pub(super) line: u64,
    /// In bytes, from 1.
    pub(super) column: u64,
}

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The document goes on, the input does not.
    Cut(Place),
    /// A bracket, comma or colon where none can be; nothing behind it was read.
    Damaged(Place),
}

/// Hands out all elements on the way of one of `patterns`, in the order of the document. Documents
/// that follow each other are read one after the other.
pub(super) fn elements(
    input: &mut dyn BufRead,
    patterns: &'static [Pattern],
    sink: &mut dyn FnMut(&Element<'_>),
) -> Result<End, (u64, io::Error)> {
    let mut scanner = Scanner { patterns, ..Scanner::default() };
    loop {
        let length = match input.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => {
                if !scanner.take(bytes, sink) {
                    return Ok(End::Damaged(scanner.end(sink)));
                }
                bytes.len()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err((scanner.end(sink).offset, error));
            }
        };
        input.consume(length);
    }
    let open = !scanner.levels.is_empty() || scanner.in_string();
    let place = scanner.end(sink);
    Ok(if open { End::Cut(place) } else { End::Whole })
}

#[derive(Default)]
struct Scanner {
    patterns: &'static [Pattern],
    levels: Vec<Level>,
    inside: Inside,
    escaped: bool,
    taken: Option<Taken>,
    offset: u64,
    lines: u64,
    line_start: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    /// A string that is a key: its text goes to the level's `key`.
    Key,
    /// Any other string.
    Text,
    /// A number or word.
    Word,
}

#[derive(Default)]
struct Level {
    is_object: bool,
    key: Vec<u8>,
    /// A colon was read since the last comma.
    has_key: bool,
    index: u64,
}

/// The element that is being collected.
struct Taken {
    pattern: usize,
    outer: u64,
    depth: usize,
    text: Vec<u8>,
    is_too_long: bool,
    place: Place,
}

impl Scanner {
    fn in_string(&self) -> bool {
        matches!(self.inside, Inside::Key | Inside::Text)
    }

    /// False when the bytes cannot be JSON any more.
    fn take(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&Element<'_>)) -> bool {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.in_string() && !self.escaped {
                let rest = &bytes[at..];
                let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
                let plain = plain.unwrap_or(rest.len());
                if plain > 0 {
                    self.keep(&rest[..plain]);
                    self.offset += plain as u64;
                    at += plain;
                    continue;
                }
            }
            if !self.byte(*byte, sink) {
                return false;
            }
            self.offset += 1;
            if *byte == b'\n' {
                self.lines += 1;
                self.line_start = self.offset;
            }
            at += 1;
        }
        true
    }

    fn byte(&mut self, byte: u8, sink: &mut dyn FnMut(&Element<'_>)) -> bool {
        if self.in_string() {
            self.string_byte(byte, sink);
            return true;
        }
        let ends_word = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}');
        if self.inside == Inside::Word && ends_word {
            self.inside = Inside::Nothing;
            self.ended(sink);
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.keep(&[byte]),
            b',' => {
                self.keep(&[byte]);
                let Some(level) = self.levels.last_mut() else {
                    return false;
                };
                level.has_key = false;
                level.index += 1;
            }
            b':' => {
                self.keep(&[byte]);
                match self.levels.last_mut() {
                    Some(level) if level.is_object && !level.has_key => level.has_key = true,
                    _ => return false,
                }
            }
            b'{' | b'[' => {
                self.begins();
                self.keep(&[byte]);
                if self.levels.len() >= DEPTH_MAX {
                    return false;
                }
                self.levels.push(Level { is_object: byte == b'{', ..Level::default() });
            }
            b'}' | b']' => {
                let level = self.levels.pop();
                if level.is_none_or(|level| level.is_object != (byte == b'}')) {
                    return false;
                }
                self.keep(&[byte]);
                self.ended(sink);
            }
            b'"' => {
                self.inside = Inside::Text;
                match self.levels.last_mut() {
                    Some(level) if level.is_object && !level.has_key => {
                        level.key.clear();
                        self.inside = Inside::Key;
                    }
                    _ => self.begins(),
                }
                self.keep_raw(&[byte]);
            }
            _ => {
                if self.inside != Inside::Word {
                    self.inside = Inside::Word;
                    self.begins();
                }
                self.keep(&[byte]);
            }
        }
        true
    }

    fn string_byte(&mut self, byte: u8, sink: &mut dyn FnMut(&Element<'_>)) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        if !ends {
            return self.keep(&[byte]);
        }
        self.keep_raw(&[byte]);
        let was = mem::replace(&mut self.inside, Inside::Nothing);
        if was == Inside::Text {
            self.ended(sink);
        }
    }

    /// A value begins here.
    fn begins(&mut self) {
        if self.taken.is_some() {
            return;
        }
        let matches = |pattern: &&[&str]| {
            pattern.len() == self.levels.len()
                && pattern.iter().zip(&self.levels).all(|(step, level)| {
                    if level.is_object { level.key == step.as_bytes() } else { *step == "*" }
                })
        };
        let Some(pattern) = self.patterns.iter().position(matches) else {
            return;
        };
        let array = self.levels.iter().find(|level| !level.is_object);
        self.taken = Some(Taken {
            pattern,
            outer: array.map_or(0, |level| level.index),
            depth: self.levels.len(),
            text: Vec::new(),
            is_too_long: false,
            place: self.place(),
        });
    }

    /// A value ended with the last byte kept.
    fn ended(&mut self, sink: &mut dyn FnMut(&Element<'_>)) {
        if self.taken.as_ref().is_some_and(|taken| taken.depth == self.levels.len())
            && let Some(taken) = self.taken.take()
        {
            let state = if taken.is_too_long { State::TooLong } else { State::Whole };
            sink(&taken.element(state));
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.inside == Inside::Key
            && let Some(level) = self.levels.last_mut()
        {
            let room = KEY_BYTES_MAX.saturating_sub(level.key.len());
            level.key.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.keep_raw(bytes);
    }

    fn keep_raw(&mut self, bytes: &[u8]) {
        if let Some(taken) = &mut self.taken
            && !taken.is_too_long
        {
            taken.text.extend_from_slice(bytes);
            if taken.text.len() > ELEMENT_BYTES_MAX {
                taken.is_too_long = true;
                taken.text = Vec::new();
            }
        }
    }

    fn place(&self) -> Place {
        let column = self.offset - self.line_start + 1;
        Place { offset: self.offset, line: self.lines + 1, column }
    }

    /// No more bytes: what was being collected is cut, or was a last word.
    fn end(&mut self, sink: &mut dyn FnMut(&Element<'_>)) -> Place {
        if let Some(taken) = self.taken.take() {
            sink(&taken.element(State::Cut));
        }
        self.place()
    }
}

impl Taken {
    fn element(&self, state: State) -> Element<'_> {
        let Self { pattern, outer, text, place, .. } = self;
        let (pattern, outer, place) = (*pattern, *outer, *place);
        Element { pattern, outer, text, state, place }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    const PATTERNS: &[Pattern] = &[&["log", "entries", "*"], &["log", "version"]];

    fn found(text: &str, buffer: usize) -> (Vec<String>, End) {
        let mut found = Vec::new();
        let mut input = BufReader::with_capacity(buffer, text.as_bytes());
        let end = elements(&mut input, PATTERNS, &mut |element| {
            let text = String::from_utf8(element.text.to_vec()).unwrap();
            found.push(match element.state {
                State::Whole => format!("{}:{text}", element.pattern),
                state => format!("{state:?}"),
            });
        });
        (found, end.unwrap())
    }

    #[test]
    fn elements_are_found_by_their_way_however_the_bytes_arrive() {
        let text = "{\"a\":{\"entries\":[0]},\"log\":{\"version\":\"1.\\\"2\", \"x\":[[1]],\n\
                    \"entries\":[{\"a\":[1,2],\"b\":\"]}\"}, 17,\"s\", null ]}}";
        for buffer in 1..20 {
            let (found, end) = found(text, buffer);
            let expected =
                [r#"1:"1.\"2""#, r#"0:{"a":[1,2],"b":"]}"}"#, "0:17", "0:\"s\"", "0:null"];
            assert_eq!(found, expected);
            assert_eq!(end, End::Whole);
        }
    }

    #[test]
    fn a_cut_and_a_wrong_bracket_keep_what_came_before() {
        let cut = Place { offset: 26, line: 2, column: 3 };
        let expected = (vec!["0:1".to_owned(), "Cut".to_owned()], End::Cut(cut));
        assert_eq!(found("{\"log\":{\"entries\":[1, [\n  ", 3), expected);
        let (found, end) = found("{\"log\":{\"entries\":[1}, 2]}}", 3);
        assert_eq!(found, ["0:1"]);
        let wrong = Place { offset: 20, line: 1, column: 21 };
        assert_eq!(end, End::Damaged(wrong));
    }
}
