//! Attaches the places of a scenario file to the mistakes found in it.

use serde_yaml::Spanned;

use crate::scenario::keys::Text;
use crate::scenario::nodes::Node;
use crate::scenario::problem::{Mistake, ScenarioError, Source};

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The file that is being read, and what its `${NAME}` stand for.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) environment: Environment<'a>,
    /// The machines of the stack, once they are known.
    pub(crate) nodes: &'a [Node],
}

impl Place<'_> {
    /// Parses a text; a mistake gets the text's place.
    pub(crate) fn read<T>(
        self,
        text: &Text,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Result<T, ScenarioError> {
        parse(&text.value).map_err(|mistake| self.mistake(text, mistake))
    }

    /// The same for a text that may be absent.
    pub(crate) fn or<T>(
        self,
        text: Option<&Text>,
        default: T,
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Result<T, ScenarioError> {
        text.map_or(Ok(default), |text| self.read(text, parse))
    }

    /// The same for each of a list.
    pub(crate) fn each<T>(
        self,
        texts: &[Text],
        parse: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Result<Vec<T>, ScenarioError> {
        texts.iter().map(|text| self.read(text, &parse)).collect()
    }

    /// A mistake at the place of a value.
    pub(crate) fn mistake<T>(self, at: &Spanned<T>, mistake: Mistake) -> ScenarioError {
        let number = |number: u64| usize::try_from(number).unwrap_or(0);
        self.source.problem(number(at.referenced.line()), number(at.referenced.column()), mistake)
    }
}
