//! Passwords in statements of SQL, whoever wrote them.
//!
//! No grammar is needed: passwords stand behind one of two words, wherever those stand. Where that
//! is not certain, more is replaced rather than less.

/// What a byte of a password becomes.
const FILLER: u8 = b'x';

/// Replaces passwords by filler of the same length: the texts behind `IDENTIFIED BY` and its kin,
/// and the text behind a word that ends in `PASSWORD`. Tells whether there was any.
pub fn redact(statement: &mut [u8]) -> bool {
    let (mut at, mut replaced) = (0, false);
    while let Some(byte) = statement.get(at) {
        at += match byte.to_ascii_lowercase() {
            b'i' if is_identified(statement, at) => fill_all(statement, at, &mut replaced),
            b'p' if is_word(statement, at, b"password") => {
                fill_behind(statement, at + b"password".len(), &mut replaced);
                1
            }
            _ => 1,
        };
    }
    replaced
}

/// Among the values of the statement may be a password: it speaks of one.
pub fn speaks_of_passwords(statement: &[u8]) -> bool {
    let is_spoken = |at: usize| match statement.get(at).map(u8::to_ascii_lowercase) {
        Some(b'i') => is_identified(statement, at),
        Some(b'p') => is_word(statement, at, b"password"),
        _ => false,
    };
    (0..statement.len()).any(is_spoken)
}

/// The text begins with a word, or with what may stand before one, and is readable.
pub fn begins_statement(text: &[u8]) -> bool {
    let front = text.trim_ascii_start();
    let letters = front.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let marks = [&b"/*"[..], b"--", b"#", b"("];
    let is_begun = letters >= 2 || marks.iter().any(|mark| front.starts_with(mark));
    let looked_at = &text[..text.len().min(64)];
    is_begun && looked_at.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}

/// `word` stands there, and no longer word that begins with it.
fn is_word(statement: &[u8], at: usize, word: &[u8]) -> bool {
    let rest = statement.get(at..).unwrap_or_default();
    let front = rest.get(..word.len()).unwrap_or_default();
    let goes_on = rest.get(word.len()).is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
    front.eq_ignore_ascii_case(word) && !goes_on
}

fn blanks(statement: &[u8], at: usize) -> usize {
    let rest = statement.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn is_identified(statement: &[u8], at: usize) -> bool {
    const WORD: &[u8] = b"identified";
    let behind = at + WORD.len();
    let next = behind + blanks(statement, behind);
    is_word(statement, at, WORD)
        && [&b"by"[..], b"with", b"via", b"as"].iter().any(|it| is_word(statement, next, it))
}

/// Fills every text until the end of the statement; returns its length.
fn fill_all(statement: &mut [u8], from: usize, replaced: &mut bool) -> usize {
    let mut at = from;
    while let Some(byte) = statement.get(at) {
        match byte {
            b';' => break,
            b'\'' | b'"' => at += fill_text(statement, at, replaced),
            _ => at += 1,
        }
    }
    at - from
}

/// Fills the text that is the value of a password, if one stands there.
fn fill_behind(statement: &mut [u8], from: usize, replaced: &mut bool) {
    let mut at = from + blanks(statement, from);
    if is_word(statement, at, b"for") {
        fill_all(statement, at, replaced);
        return;
    }
    while statement.get(at).is_some_and(|byte| b":=(".contains(byte) || byte.is_ascii_whitespace())
    {
        at += 1;
    }
    // A letter in front tells of what kind the text is.
    if statement.get(at + 1) == Some(&b'\'') {
        at += 1;
    }
    match statement.get(at) {
        Some(b'\'' | b'"') => {
            fill_text(statement, at, replaced);
        }
        Some(b'$') => fill_between_dollars(statement, at, replaced),
        _ => {}
    }
}

/// Fills a text in quotes; returns its length, quotes included.
fn fill_text(statement: &mut [u8], from: usize, replaced: &mut bool) -> usize {
    let Some(quote) = statement.get(from).copied() else { return 1 };
    let mut at = from + 1;
    while let Some(byte) = statement.get(at).copied() {
        let is_doubled = byte == quote && statement.get(at + 1) == Some(&quote);
        if byte == quote && !is_doubled {
            return at + 1 - from;
        }
        let length = if byte == b'\\' || is_doubled { 2 } else { 1 };
        let end = (at + length).min(statement.len());
        if let Some(piece) = statement.get_mut(at..end) {
            piece.fill(FILLER);
            *replaced = true;
        }
        at += length;
    }
    statement.len().saturating_sub(from)
}

/// Fills a text between `$tag$` and the same again.
fn fill_between_dollars(statement: &mut [u8], from: usize, replaced: &mut bool) {
    let rest = statement.get(from + 1..).unwrap_or_default();
    let Some(length) = rest.iter().position(|byte| *byte == b'$') else { return };
    let is_tag = rest.iter().take(length).all(|it| it.is_ascii_alphanumeric() || *it == b'_');
    let start = from + length + 2;
    if !is_tag {
        return;
    }
    let tag = statement.get(from..start).unwrap_or_default().to_vec();
    let text = statement.get_mut(start..).unwrap_or_default();
    let end = text.windows(tag.len()).position(|window| window == tag).unwrap_or(text.len());
    if let Some(text) = text.get_mut(..end).filter(|text| !text.is_empty()) {
        text.fill(FILLER);
        *replaced = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_filled_and_nothing_else_is() {
        for (statement, redacted) in [
            ("CREATE USER 'a'@'%' IDENTIFIED BY 'pw'", "CREATE USER 'a'@'%' IDENTIFIED BY 'xx'"),
            ("alter user a identified  by \"p'w\";x", "alter user a identified  by \"xxx\";x"),
            (
                "ALTER USER a IDENTIFIED WITH p AS 'it''s' REPLACE 'o\\'d'",
                "ALTER USER a IDENTIFIED WITH p AS 'xxxxx' REPLACE 'xxxx'",
            ),
            ("SET PASSWORD FOR a = 'pw'", "SET PASSWORD FOR a = 'xx'"),
            ("SET PASSWORD = PASSWORD('pw')", "SET PASSWORD = PASSWORD('xx')"),
            ("ALTER ROLE a PASSWORD 'pw' LOGIN", "ALTER ROLE a PASSWORD 'xx' LOGIN"),
            ("ALTER ROLE a PASSWORD E'p\\'w'", "ALTER ROLE a PASSWORD E'xxxx'"),
            ("CREATE ROLE a PASSWORD $x$pw$x$ LOGIN", "CREATE ROLE a PASSWORD $x$xx$x$ LOGIN"),
            ("CHANGE MASTER TO MASTER_PASSWORD='pw'", "CHANGE MASTER TO MASTER_PASSWORD='xx'"),
            ("ALTER USER a IDENTIFIED BY 'never ends", "ALTER USER a IDENTIFIED BY 'xxxxxxxxxx"),
            ("SELECT * FROM u WHERE password = 'pw'", "SELECT * FROM u WHERE password = 'xx'"),
            ("SELECT password FROM u WHERE name='a'", "SELECT password FROM u WHERE name='a'"),
            ("SELECT 'a' WHERE identified = 'b'", "SELECT 'a' WHERE identified = 'b'"),
            ("SELECT password_hash, 'a'", "SELECT password_hash, 'a'"),
            ("ALTER ROLE a PASSWORD NULL", "ALTER ROLE a PASSWORD NULL"),
            ("ALTER ROLE a PASSWORD ''", "ALTER ROLE a PASSWORD ''"),
            ("PASSWORD", "PASSWORD"),
        ] {
            let mut bytes = statement.as_bytes().to_vec();
            assert_eq!(redact(&mut bytes), statement != redacted, "{statement}");
            assert_eq!(String::from_utf8(bytes).unwrap(), redacted);
        }
    }

    #[test]
    fn statements_whose_values_may_be_passwords() {
        assert!(speaks_of_passwords(b"ALTER USER a IDENTIFIED BY ?"));
        assert!(speaks_of_passwords(b"select 1 from u where Password = $1"));
        assert!(!speaks_of_passwords(b"select identified from passwords"));
    }

    proptest! {
        /// For all statements whatever: no panic, no other length, and twice is once.
        #[test]
        fn nothing_changes_but_bytes(
            parts in prop::collection::vec(prop::sample::select(vec![
                "password", "identified by ", "'", "\"", "\\", "$", " ", "=", "for", ";", "a",
            ]), 0..20),
        ) {
            let statement = parts.concat().into_bytes();
            let mut once = statement.clone();
            redact(&mut once);
            prop_assert_eq!(once.len(), statement.len());
            let mut twice = once.clone();
            redact(&mut twice);
            prop_assert_eq!(twice, once);
        }
    }
}
