//! The template of a statement of SQL: its values as `?`, which a report groups by.

/// Longest template, in bytes.
pub const MAX_ROUTE: usize = 256;

/// A statement with its values replaced, without comments, and with one blank between words; of
/// lists of values one value stays, of rows one row. `quoted` tells that double quotes stand
/// around values, as in MySQL, and not around names, as in PostgreSQL.
pub fn route_of_statement(statement: &str, quoted: bool) -> String {
    let mut route = String::new();
    let mut rest = statement.trim();
    while let Some(first) = rest.chars().next() {
        let before = route.chars().next_back();
        let length = if first.is_whitespace() || rest.starts_with("/*") || rest.starts_with("-- ") {
            blank(&mut route);
            behind_blank(rest)
        } else if first == '\'' || quoted && first == '"' {
            value(&mut route);
            behind_text(rest, first)
        } else if first.is_ascii_digit() && !before.is_some_and(is_of_name)
            || first == '$' && rest[1..].starts_with(|next: char| next.is_ascii_digit())
        {
            value(&mut route);
            1 + rest[1..].find(|next| !is_of_number(next)).unwrap_or(rest.len() - 1)
        } else {
            route.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
        if route.len() > MAX_ROUTE + 64 {
            break;
        }
        shorten(&mut route);
    }
    let end = (0..=MAX_ROUTE.min(route.len())).rev().find(|at| route.is_char_boundary(*at));
    route.truncate(end.unwrap_or(0));
    route.trim_end_matches([' ', ';']).to_owned()
}

fn is_of_name(before: char) -> bool {
    before.is_alphanumeric() || matches!(before, '_' | '`' | '.' | '@')
}

fn is_of_number(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '.'
}

fn blank(route: &mut String) {
    if !route.ends_with(' ') && !route.is_empty() {
        route.push(' ');
    }
}

fn value(route: &mut String) {
    route.push('?');
}

/// Lists of values, and of rows, become one.
fn shorten(route: &mut String) {
    for (long, short) in [("?, ?", "?"), ("?,?", "?"), ("(?), (?)", "(?)"), ("(?),(?)", "(?)")] {
        if let Some(front) = route.strip_suffix(long) {
            route.truncate(front.len());
            route.push_str(short);
        }
    }
}

fn behind_blank(rest: &str) -> usize {
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |at| at + 2);
    }
    if rest.starts_with("-- ") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    rest.find(|next: char| !next.is_whitespace()).unwrap_or(rest.len())
}

/// The length of a text in quotes; a quote inside is doubled, or stands behind a backslash.
fn behind_text(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, next)) = characters.next() {
        if next == '\\' {
            characters.next();
        } else if next == quote {
            if characters.peek().is_none_or(|(_, after)| *after != quote) {
                return at + 1;
            }
            characters.next();
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_become_marks() {
        for (statement, route) in [
            ("select * from t where id = 17", "select * from t where id = ?"),
            ("select * from t2 where a='it''s' and b=\"x\"", "select * from t2 where a=? and b=?"),
            ("select $1, 'a\\'b'  ,  1.5e3", "select ? , ?"),
            ("insert into t values (1, 'a'), (2,'b'),\n(3, 'c');", "insert into t values (?)"),
            ("select 1 -- why\n from /* this */ `t1`", "select ? from `t1`"),
            ("select x'ff', 'never ends", "select x?"),
            ("  ", ""),
        ] {
            assert_eq!(route_of_statement(statement, true), route, "{statement}");
        }
        assert_eq!(route_of_statement("select \"Name\" from t", false), "select \"Name\" from t");
        assert!(route_of_statement(&"select a, b ".repeat(99), true).len() <= MAX_ROUTE);
    }

    proptest! {
        /// For all texts: no panic, and never longer than the bound.
        #[test]
        fn any_text_has_a_short_route(text in "[a-z0-9'\"$?,() \\\\é/*-]{0,400}") {
            prop_assert!(route_of_statement(&text, true).len() <= MAX_ROUTE);
        }
    }
}
