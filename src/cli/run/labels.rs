//! What the user writes on a run, to know it again.

use std::collections::BTreeMap;

use anyhow::bail;

/// Labels by their keys.
pub(super) type Labels = BTreeMap<String, String>;

/// The option of labels.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct LabelOptions {
    /// Write this on the run, such as commit=4f1c2aa; `history` tells which labels changed with a
    /// change. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", env = "PEAKHOUR_LABEL", value_delimiter = ',')]
    #[arg(value_parser = label)]
    label: Vec<(String, String)>,
}

/// Most labels of a run, and the longest of their keys and values: they stand in every report.
const MAX_LABELS: usize = 20;
const MAX_KEY: usize = 40;
const MAX_VALUE: usize = 120;

fn label(text: &str) -> Result<(String, String), String> {
    let wanted = "write KEY=VALUE, such as commit=4f1c2aa";
    let (key, value) = text.split_once('=').ok_or(wanted)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || key.len() > MAX_KEY || !key.chars().all(is_plain) {
        return Err(format!(
            "a key has 1 to {MAX_KEY} letters, digits, `-`, `_` and `.`: {wanted}"
        ));
    }
    let fits = value.chars().count() <= MAX_VALUE && !value.chars().any(char::is_control);
    if value.is_empty() || !fits {
        return Err(format!(
            "a value has 1 to {MAX_VALUE} characters, and no control characters: {wanted}"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl LabelOptions {
    /// The labels by their keys.
    pub(super) fn labels(&self) -> anyhow::Result<Labels> {
        let mut labels = BTreeMap::new();
        for (key, value) in &self.label {
            if labels.insert(key.clone(), value.clone()).is_some() {
                bail!("--label: `{key}` is there twice; which one counts would be a guess");
            }
        }
        if labels.len() > MAX_LABELS {
            bail!("--label: {} labels are more than {MAX_LABELS}", labels.len());
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_plain() {
        assert_eq!(label("commit=a=b").unwrap(), ("commit".to_owned(), "a=b".to_owned()));
        for wrong in ["commit", "=a", "commit=", "a b=c", "k=a\u{1b}b"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
        assert!(label(&format!("k={}", "x".repeat(MAX_VALUE + 1))).is_err());
        let of = |pairs: &[(&str, &str)]| LabelOptions {
            label: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        assert_eq!(of(&[("a", "1"), ("b", "2")]).labels().unwrap().len(), 2);
        assert!(of(&[("a", "1"), ("a", "2")]).labels().is_err());
    }
}
