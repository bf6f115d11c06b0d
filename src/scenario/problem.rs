//! What is wrong with a scenario file, where, and what to write instead.

use std::fmt;
use std::path::PathBuf;

use serde_yaml::Error as YamlError;

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that cannot be done.
    #[error("{0}")]
    Invalid(Box<Problem>),
}

/// A mistake in a scenario file. Its text is several lines: place and message, the source line
/// with a caret, the hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as given.
    pub file: String,
    /// Line, from 1; 0 when the mistake has no place.
    pub line: usize,
    /// Character in the line, from 1; 0 when the mistake has no place.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line, at most [`MAX_LINE`] characters of it.
    pub source_line: Option<String>,
    /// What to write instead.
    pub hint: String,
}

/// Characters of a source line that are shown: a page of base64 helps nobody.
pub const MAX_LINE: usize = 120;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(line) = &self.source_line {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            write!(f, "\n{number} | {line}")?;
            if self.column > 0 && self.column <= line.chars().count() + 1 {
                write!(f, "\n{margin} | {}^", " ".repeat(self.column - 1))?;
            }
        }
        write!(f, "\nhint: {}", self.hint)
    }
}

/// A mistake in one value, before its place in the file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Character of the value at which the mistake is, from 0.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Mistake {
    /// A mistake about the whole value.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { offset: 0, message: message.into(), hint: hint.into() }
    }
}

impl std::error::Error for Mistake {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

/// The text of a scenario file, for pointing into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// The file's name.
    pub(crate) file: &'a str,
    /// Its content.
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// Places a mistake at a line and column of the file; both 0 when there is no place.
    pub(crate) fn problem(self, line: usize, column: usize, mistake: Mistake) -> ScenarioError {
        let source = line.checked_sub(1).and_then(|index| self.text.lines().nth(index));
        // The offset counts inside a quoted value.
        let quoted = source
            .and_then(|source| source.chars().nth(column.saturating_sub(1)))
            .is_some_and(|c| matches!(c, '"' | '\''));
        let column = column + mistake.offset + usize::from(quoted && mistake.offset > 0);
        ScenarioError::Invalid(Box::new(Problem {
            file: self.file.to_owned(),
            line,
            column,
            message: mistake.message,
            source_line: source.map(|source| {
                // A terminal must not obey what a file contains.
                without_users(source)
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .take(MAX_LINE)
                    .collect()
            }),
            hint: mistake.hint,
        }))
    }

    /// Places what the YAML reader found.
    pub(crate) fn yaml_problem(self, error: &YamlError) -> ScenarioError {
        let error = innermost(error);
        let (line, column) = error
            .location()
            .map_or((0, 0), |location| (small(location.line()), small(location.column())));
        let mistake = self.yaml_mistake(error, line, column);
        self.problem(line, column, mistake)
    }

    fn yaml_mistake(self, error: &YamlError, line: usize, column: usize) -> Mistake {
        match error {
            YamlError::SerdeUnknownField { field, expected, .. } => Mistake::new(
                format!("unknown key `{}`", crop(field)),
                did_you_mean(field, expected, "the keys here are"),
            ),
            YamlError::SerdeUnknownVariant { variant, expected, .. } => Mistake::new(
                format!("unknown value `{}`", crop(variant)),
                did_you_mean(variant, expected, "the values here are"),
            ),
            YamlError::SerdeMissingField { field, .. } => Mistake::new(
                format!("the key `{field}` is missing"),
                format!("add `{field}:` to this part of the file"),
            ),
            YamlError::DuplicateMappingKey { key, .. } => {
                let key = key.as_deref().unwrap_or("?");
                let first = self.first_position(key, line, column);
                let first = first.map_or(String::new(), |line| format!(" (first on line {line})"));
                Mistake::new(
                    format!("the key `{}` is given twice{first}", crop(key)),
                    "keep one of the two; which one counts would be a guess",
                )
            }
            YamlError::Unexpected { expected: "string scalar", .. } => Mistake::new(
                "a single value is expected here",
                "write `key: value`; quote a value that begins with one of [ { & * ! | > ' \" % @",
            ),
            YamlError::Unexpected { expected: "sequence start", .. } => Mistake::new(
                "a list is expected here",
                "write `[a, b]`, or a line with `- ` for each item",
            ),
            YamlError::Unexpected { expected: "mapping start", .. } => Mistake::new(
                "keys and their values are expected here",
                "write `{ key: value }`, or a line with `key: value` for each",
            ),
            YamlError::InvalidBooleanStrict { .. } => {
                Mistake::new("this is neither `true` nor `false`", "write `true` or `false`")
            }
            YamlError::NullIntoString { .. } => Mistake::new(
                "there is no value",
                "write a value after the colon, or remove the key",
            ),
            YamlError::Budget { .. }
            | YamlError::AliasReplayLimitExceeded { .. }
            | YamlError::AliasExpansionLimitExceeded { .. }
            | YamlError::AliasReplayStackDepthExceeded { .. } => Mistake::new(
                format!("the file is larger than any of its kind needs to be ({})", plain(error)),
                "simplify it: fewer nested values, fewer aliases",
            ),
            YamlError::MultipleDocuments { .. } => Mistake::new(
                "a second document begins here",
                "a file is one document: remove the `---`, or make it a file of its own",
            ),
            other => Mistake::new(
                plain(other),
                "the file is YAML: `key: value`, two spaces (no tabs) for each level, `- item` for \
                 lists",
            ),
        }
    }

    /// The line above `line` on which the same key stands at the same depth.
    fn first_position(self, key: &str, line: usize, column: usize) -> Option<usize> {
        let lines: Vec<&str> = self.text.lines().take(line.saturating_sub(1)).collect();
        let is_it = |text: &&str| {
            let indent = text.chars().take_while(|c| *c == ' ').count();
            let rest = text.trim_start().trim_start_matches(['"', '\'']);
            indent + 1 == column
                && rest.strip_prefix(key).is_some_and(|rest| {
                    rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
                })
        };
        lines.iter().rposition(is_it).map(|index| index + 1)
    }
}

/// A line with `x` for each character of its users and passwords, which URLs have before an `@`.
fn without_users(line: &str) -> impl Iterator<Item = char> {
    let start = line.find("://").map_or(usize::MAX, |at| at + 3);
    let end = line.rfind('@').unwrap_or(0);
    line.char_indices().map(move |(at, c)| if (start..end).contains(&at) { 'x' } else { c })
}

/// The error itself, without its snippet or the alias through which it was reached.
fn innermost(error: &YamlError) -> &YamlError {
    match error.without_snippet() {
        YamlError::AliasError { error, .. } => innermost(error),
        other => other,
    }
}

/// The reader's own message: its first line, without the place that we print ourselves.
fn plain(error: &YamlError) -> String {
    let mut options = serde_yaml::RenderOptions::default();
    options.snippets = serde_yaml::SnippetMode::Off;
    let text = error.render_with_options(options);
    let line = text.lines().next().unwrap_or("this is not YAML");
    let end = line.rfind(" at line ").unwrap_or(line.len());
    crop(&line[..end])
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A hint for a name that is not known: the nearest one, and all of them.
pub(crate) fn did_you_mean(name: &str, known: &[&str], all_are: &str) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
    let all = known.join(", ");
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`? {all_are} {all}"),
        None => format!("{all_are} {all}"),
    }
}

/// Edit distance (insertions, deletions, replacements) of the first characters of two names.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(MAX_NAME).collect();
    let right: Vec<char> = right.chars().take(MAX_NAME).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// Characters of a name that are looked at and shown: a wrong name may be a whole file.
const MAX_NAME: usize = 60;

/// A text short enough to stand in a message.
pub(crate) fn crop(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2 * MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["name", "target", "window"];
        assert!(did_you_mean("taget", &known, "keys:").starts_with("did you mean `target`?"));
        assert_eq!(did_you_mean("banana", &known, "keys:"), "keys: name, target, window");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_caret_points_into_a_quoted_value() {
        let source = Source { file: "s.yaml", text: "a: 1\nb: \"latency\"\n" };
        let mistake = Mistake { offset: 2, message: "wrong".into(), hint: "right".into() };
        let text = source.problem(2, 4, mistake).to_string();
        assert_eq!(text, "s.yaml:2:7: wrong\n2 | b: \"latency\"\n  |       ^\nhint: right");
    }
}
