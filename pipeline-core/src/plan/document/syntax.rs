//! What a team calls a phase, and what it calls done.

use std::sync::LazyLock;

use regex::Regex;
use regex::RegexBuilder;

/// How a roadmap is written.
#[derive(Debug, Clone)]
pub struct PlanSyntax {
    pub(super) level: Option<u8>,
    pub(super) pattern: Option<Regex>,
    pub(super) done: Regex,
}

/// A syntax that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
#[non_exhaustive]
pub struct InvalidSyntax {
    /// What is wrong, and what to write.
    pub what: String,
    /// Why.
    #[source]
    pub source: Option<crate::BoxError>,
}

/// Headings and paragraphs that say when something is done, in the languages roadmaps of our users are written in.
const DONE: &[&str] = &[
    "definition of done",
    "dod",
    "acceptance criteria",
    "done when",
    "完了の定義",
    "完了条件",
    "受け入れ条件",
    "受入条件",
];

static DEFAULT_DONE: LazyLock<Regex> = LazyLock::new(|| words(DONE.iter().copied()));

fn words<'a>(all: impl Iterator<Item = &'a str>) -> Regex {
    let any: Vec<String> = all.map(regex::escape).collect();
    let pattern = format!(
        r"^\W*(?:{})\W*(?:[:\x{{ff1a}}].*|\(.*\)\W*|for\b.*)?$",
        any.join("|")
    );
    RegexBuilder::new(&pattern)
        .case_insensitive(true)
        .build()
        .expect("escaped words are a pattern")
}

impl Default for PlanSyntax {
    fn default() -> Self {
        Self {
            level: None,
            pattern: None,
            done: DEFAULT_DONE.clone(),
        }
    }
}

impl PlanSyntax {
    /// Takes headings of this level, 1 to 6, as phases. Without it the level is the one of headings like `Phase 2`, else
    /// the highest one below the document's title.
    ///
    /// # Errors
    /// [`InvalidSyntax`] for any other level.
    pub fn with_level(mut self, level: u8) -> Result<Self, InvalidSyntax> {
        if !(1..=6).contains(&level) {
            return Err(InvalidSyntax {
                what: format!("a heading has level 1 to 6, not {level}"),
                source: None,
            });
        }
        self.level = Some(level);
        Ok(self)
    }

    /// Takes only headings as phases that this regular expression finds; items under others are no tasks.
    ///
    /// # Errors
    /// [`InvalidSyntax`] if it is no regular expression.
    pub fn with_pattern(mut self, pattern: &str) -> Result<Self, InvalidSyntax> {
        let compiled = RegexBuilder::new(pattern).size_limit(1 << 20).build();
        let compiled = compiled.map_err(|source| InvalidSyntax {
            what: format!("the pattern of phases `{pattern}` is no regular expression"),
            source: Some(source.into()),
        })?;
        self.pattern = Some(compiled);
        Ok(self)
    }

    /// Takes these words, instead of the usual ones, as the beginning of a "definition of done".
    #[must_use]
    pub fn with_done_words(mut self, all: &[String]) -> Self {
        self.done = words(all.iter().map(String::as_str));
        self
    }
}
