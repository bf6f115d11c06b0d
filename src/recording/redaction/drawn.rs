//! The account of a recording that was drawn from a model: nobody's secrets were ever in it.

use crate::recording::redaction::{KeySource, Redaction};

/// The policy of such recordings.
const DRAWN: &str = "drawn from a model";

impl Redaction {
    /// Of a recording that was drawn from a model.
    pub fn of_nothing_recorded() -> Self {
        Self {
            policy: DRAWN.to_owned(),
            key: KeySource::Random,
            replaced: Vec::new(),
            not_searched: Vec::new(),
        }
    }

    /// There was nothing to replace: it was drawn from a model.
    pub fn is_of_nothing_recorded(&self) -> bool {
        self.policy == DRAWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was recorded is not free of secrets because something that was drawn stands beside it.
    #[test]
    fn that_one_was_drawn_says_nothing_of_the_others() {
        let drawn = Redaction::of_nothing_recorded();
        assert!(drawn.is_of_nothing_recorded());
        let mut all = None;
        Redaction::join(&mut all, Some(&drawn));
        Redaction::join(&mut all, None);
        assert_eq!(all, None);
        let replaced = Redaction { policy: "peakhour 1".to_owned(), ..drawn.clone() };
        Redaction::join(&mut all, Some(&replaced));
        Redaction::join(&mut all, Some(&drawn));
        assert_eq!(all, Some(replaced));
    }
}
