//! Numbers of payment cards: 13 to 19 digits with Luhn's check digit, of which the first four tell
//! a network of cards.

use std::ops::Range;

use crate::recording::redaction::key::Stream;

/// How many digits a card has.
pub(crate) const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// The whole value is a card, with or without blanks and dashes between its groups.
pub(crate) fn is_card(value: &[u8]) -> bool {
    value.len() <= 2 * DIGITS.end()
        && value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'+'))
        && is_network(&digits(value))
        && is_luhn(value)
}

/// The digits alone.
pub(crate) fn digits(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(u8::is_ascii_digit).collect()
}

/// Other digits. Their check digit is wrong on purpose: a pseudonym is nobody's card, and whoever
/// searches the recording for cards finds none.
pub(crate) fn rewrite(value: &mut [u8], stream: &mut Stream<'_>) -> bool {
    let mut is_first = true;
    for digit in value.iter_mut().filter(|byte| byte.is_ascii_digit()) {
        *digit = if is_first { b'1' + stream.below(9) } else { b'0' + stream.below(10) };
        is_first = false;
    }
    if is_luhn(value)
        && let Some(last) = value.iter_mut().rev().find(|byte| byte.is_ascii_digit())
    {
        *last = if *last == b'9' { b'0' } else { *last + 1 };
    }
    !is_first
}

/// The first digits are those of a network whose cards have as many: so dates and most other
/// numbers are no cards, whatever their last digit is.
fn is_network(digits: &[u8]) -> bool {
    let front = digits.iter().take(4).filter(|byte| byte.is_ascii_digit());
    let front = front.fold(0_u32, |number, digit| 10 * number + u32::from(digit - b'0'));
    match front {
        4000..=4999 => matches!(digits.len(), 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => digits.len() == 16,
        3400..=3499 | 3700..=3799 => digits.len() == 15,
        3000..=3099 | 3600..=3699 | 3800..=3999 => digits.len() == 14,
        // Those of more than one network have 16 to 19, too.
        3528..=3589 | 5000..=5099 | 5600..=6999 => (16..=19).contains(&digits.len()),
        _ => false,
    }
}

/// The check digit is right; what is no digit is skipped.
fn is_luhn(value: &[u8]) -> bool {
    let digits = value.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .enumerate()
        .map(|(position, digit)| {
            let digit = u32::from(digit - b'0');
            match (position % 2, digit) {
                (0, _) => digit,
                (_, 0..=4) => 2 * digit,
                _ => 2 * digit - 9,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Looks at one byte of this many: a card has more, and of two neighbours in it one is a digit or
/// stands between two.
const STRIDE: usize = 12;

/// Finds the cards in a text.
pub(crate) fn find(text: &[u8], found: &mut dyn FnMut(Range<usize>)) {
    let mut at = STRIDE;
    let mut done = 0;
    while at < text.len() {
        let Some(run) = run_around(text, at, done) else {
            at += STRIDE;
            continue;
        };
        done = run.end;
        in_run(text, &run, found);
        at = run.end.max(at) + STRIDE;
    }
}

/// The digits and single separators around a byte, from `done` on.
fn run_around(text: &[u8], at: usize, done: usize) -> Option<Range<usize>> {
    let is_part = |at: usize| {
        let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
        is_digit(at) || (at > 0 && separator(text, at) && is_digit(at - 1) && is_digit(at + 1))
    };
    // In `%20`, which stands for a blank, the byte may be any of the three.
    let escaped = |at: usize| text.get(at..at + 3).is_some_and(|three| three == b"%20");
    let around = (at.saturating_sub(2)..=at).find(|at| escaped(*at));
    let (mut start, mut end) = match around {
        Some(blank) => (blank, blank + 3),
        None if is_part(at) => (at, at + 1),
        None => return None,
    };
    loop {
        if start >= done + 3 && escaped(start - 3) {
            start -= 3;
        } else if start > done && is_part(start - 1) {
            start -= 1;
        } else {
            break;
        }
    }
    loop {
        if escaped(end) {
            end += 3;
        } else if end < text.len() && is_part(end) {
            end += 1;
        } else {
            return Some(start..end);
        }
    }
}

fn separator(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b' ' | b'-' | b'+'))
}

/// Cards among the groups of a run: a group of 13 or more alone, or four digits and then groups of
/// three to seven, as they are printed on cards.
fn in_run(text: &[u8], run: &Range<usize>, found: &mut dyn FnMut(Range<usize>)) {
    let groups = groups(text, run);
    let mut first = 0;
    while let Some(group) = groups.get(first) {
        let card = (first..groups.len().min(first + MAX_GROUPS)).rev().find_map(|last| {
            let whole = group.start..groups.get(last)?.end;
            let is_grouped = group.len() == 4
                && groups.get(first + 1..=last)?.iter().all(|group| (3..=7).contains(&group.len()));
            let bytes = text.get(whole.clone())?;
            let is_right = || {
                let digits = without_blanks(bytes);
                is_network(&digits) && is_luhn(&digits)
            };
            let is_card = (first == last || is_grouped)
                && whole.len() >= *DIGITS.start()
                && is_right()
                && stands_alone(text, &whole);
            is_card.then_some((last, whole))
        });
        first = card.as_ref().map_or(first, |(last, _)| *last) + 1;
        if let Some((_, whole)) = card {
            found(whole);
        }
    }
}

/// Groups of a card at most, of three digits at least.
const MAX_GROUPS: usize = 6;

fn groups(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let (mut groups, mut at) = (Vec::new(), run.start);
    while at < run.end {
        let rest = text.get(at..run.end).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length > 0 {
            groups.push(at..at + length);
        }
        at += length + if rest.get(length) == Some(&b'%') { 3 } else { 1 };
    }
    groups
}

fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(DIGITS.end() + 1);
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = if *byte == b'%' { tail.get(2..).unwrap_or_default() } else { tail };
        digits.extend(byte.is_ascii_digit().then_some(*byte));
    }
    digits
}

/// No part of a word or of a decimal fraction.
fn stands_alone(text: &[u8], card: &Range<usize>) -> bool {
    let before = card.start.checked_sub(1).and_then(|at| text.get(at));
    let behind = text.get(card.end);
    let is_escape = card.start.checked_sub(3).is_some_and(|at| text.get(at) == Some(&b'%'));
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let fraction = behind == Some(&b'.') && text.get(card.end + 1).is_some_and(u8::is_ascii_digit);
    (is_escape || !before.is_some_and(|byte| is_word(byte) || *byte == b'.'))
        && !behind.is_some_and(is_word)
        && !fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Vec<&str> {
        let mut cards = Vec::new();
        find(text.as_bytes(), &mut |range| cards.push(&text[range]));
        cards
    }

    #[test]
    fn cards_are_found_and_other_numbers_are_not() {
        for (text, expected, why) in [
            ("4111111111111111", &["4111111111111111"][..], "alone"),
            ("a=4111111111111111&b", &["4111111111111111"], "in a form"),
            ("pay 4111 1111 1111 1111 now", &["4111 1111 1111 1111"], "in groups"),
            ("pay 4111-1111-1111-1111.", &["4111-1111-1111-1111"], "with dashes"),
            ("c=4111+1111+1111+1111&", &["4111+1111+1111+1111"], "in a form, with blanks"),
            ("c=4111%201111%201111%201111", &["4111%201111%201111%201111"], "escaped"),
            ("c=%204111111111111111%20", &["4111111111111111"], "between escapes"),
            ("card:378282246310005", &["378282246310005"], "fifteen digits"),
            ("3782 822463 10005", &["3782 822463 10005"], "in the groups of that network"),
            ("4222222222222", &["4222222222222"], "thirteen digits"),
            ("7 4111111111111111 12/27", &["4111111111111111"], "between other numbers"),
            ("2024-11-26 4111 1111 1111 1111", &["4111 1111 1111 1111"], "after a date"),
            (
                "5555555555554444,4111111111111111",
                &["5555555555554444", "4111111111111111"],
                "two of them",
            ),
            ("4111111111111112", &[], "a wrong check digit"),
            ("1732591200009", &[], "milliseconds"),
            ("20241126053905", &[], "a date whose last digit is right"),
            ("2221000000000009", &["2221000000000009"], "a young network"),
            ("6011000990139424", &["6011000990139424"], "another"),
            ("3530111333300000", &["3530111333300000"], "one of Japan"),
            ("30569309025904", &["30569309025904"], "fourteen digits"),
            ("411111111111116", &[], "a network whose cards have other lengths"),
            ("14111111111111111", &[], "a longer number"),
            ("41111111111111110000", &[], "twenty digits"),
            ("0.4111111111111111", &[], "a fraction"),
            ("4111111111111111.25", &[], "and the whole part of one"),
            ("x4111111111111111", &[], "a word"),
            ("41 11 11 11 11 11 11 11", &[], "pairs"),
            ("4111  1111  1111  1111", &[], "two blanks"),
            ("", &[], "nothing"),
        ] {
            assert_eq!(cards(text), expected, "{why}: {text}");
            // Wherever it stands, the stride meets it.
            for front in 0..30 {
                let moved = format!("{}{text}", ".;".repeat(front) + &";"[..front % 2]);
                let is_fraction = moved.ends_with('.') || text.starts_with("0.");
                if !is_fraction && !moved.is_empty() {
                    assert_eq!(cards(&format!("{};{text}", "-".repeat(front))), expected, "{why}");
                }
            }
        }
    }
}
