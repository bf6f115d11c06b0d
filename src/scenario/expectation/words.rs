//! The words of a line, and where they are.

use crate::scenario::expectation::{Comparison, ExpectationError};

/// What stands before an operator, the operator, and what stands after it.
pub(super) struct Claim<'a> {
    pub(super) left: &'a str,
    /// `None` for `within`.
    pub(super) op: Option<Comparison>,
    pub(super) op_column: usize,
    /// Without blanks around it.
    pub(super) right: &'a str,
    pub(super) right_column: usize,
}

/// Finds the operator of a line.
pub(super) fn split_at_operator(text: &str) -> Result<Claim<'_>, ExpectationError> {
    let sign = text.find(SIGNS);
    let within = words(text).into_iter().find(|(_, word)| *word == "within");
    let (start, length) = match (sign, within) {
        (None, None) => {
            return Err(mistake(text.chars().count() + 1, "there is no operator", OPERATORS));
        }
        (None, Some((column, word))) => (byte_of(text, column), word.len()),
        (Some(start), _) => {
            let rest = &text[start..];
            (start, rest.find(|c| !SIGNS.contains(&c)).unwrap_or(rest.len()))
        }
    };
    let (left, rest) = text.split_at(start);
    let (operator, right) = rest.split_at(length);
    let op_column = left.chars().count() + 1;
    let op = match operator {
        "within" => None,
        "<" => Some(Comparison::Below),
        "<=" => Some(Comparison::AtMost),
        ">" => Some(Comparison::Above),
        ">=" => Some(Comparison::AtLeast),
        _ => {
            let message = format!("`{}` is not an operator here", crop(operator));
            return Err(mistake(op_column, &message, OPERATORS));
        }
    };
    let right_column = text.chars().count() - right.trim_start().chars().count() + 1;
    Ok(Claim { left, op, op_column, right: right.trim(), right_column })
}

const SIGNS: [char; 6] = ['<', '>', '=', '!', '≤', '≥'];

const OPERATORS: &str = "the operators are <, <=, >, >= and within";

/// The words of a text, each with its column.
pub(in crate::scenario) fn words(text: &str) -> Vec<(usize, &str)> {
    // Counted on from the word before: a line may be as long as a scenario.
    let (mut counted, mut column) = (0, 1);
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            column += text[counted..start].chars().count();
            counted = start;
            (column, word)
        })
        .collect()
}

/// The byte at which the character of a column begins.
pub(in crate::scenario) fn byte_of(text: &str, column: usize) -> usize {
    text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(byte, _)| byte)
}

/// A hostile line must not make a page of its error.
pub(in crate::scenario) fn crop(word: &str) -> String {
    word.chars().take(40).collect()
}

/// A mistake at a column.
pub(in crate::scenario) fn mistake(column: usize, message: &str, hint: &str) -> ExpectationError {
    ExpectationError { column, message: message.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        assert_eq!(words("  µ<  übər x\ty"), [(3, "µ<"), (7, "übər"), (12, "x"), (14, "y")]);
        assert_eq!(words(" \n "), []);
    }
}
