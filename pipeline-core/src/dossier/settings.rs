//! What a team sets about its prompts.

use std::collections::BTreeMap;

use super::template;
use super::template::TemplateError;
use crate::answer_fields::AnswerFields;

/// A project document that the team names: API types, enums, the shape of the CI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextDocument {
    /// Its path or title.
    pub name: String,
    /// Its text, as read from the pinned base.
    pub text: String,
}

impl ContextDocument {
    /// Makes a document.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

/// How much enters a prompt, in characters of the shown text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLimits {
    /// Most of one block: the description, a comment, a memo, a document.
    pub block: usize,
    /// Most of all documents together.
    pub documents: usize,
    /// Most of all blocks together.
    pub total: usize,
}

impl Default for PromptLimits {
    fn default() -> Self {
        Self {
            block: 20_000,
            documents: 60_000,
            total: 200_000,
        }
    }
}

/// What a team sets about its prompts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PromptSettings {
    /// Own templates by task (`triage`, `local_check`, `recheck`, `implement`, `rework`, `repair`) instead of the
    /// built-in ones.
    pub templates: BTreeMap<String, String>,
    /// Prohibitions besides the built-in ones, a sentence each.
    pub extra_prohibitions: Vec<String>,
    /// Fields that are asked for besides the built-in ones.
    pub fields: AnswerFields,
    /// Project documents.
    pub documents: Vec<ContextDocument>,
    /// The language of what agents write for people; `None` = the language of the issue.
    pub language: Option<String>,
    /// How much enters.
    pub limits: PromptLimits,
}

impl PromptSettings {
    /// Checks every template, so that a mistake is found when the configuration is read and not when an issue waits.
    ///
    /// # Errors
    /// [`TemplateError`] naming the template and what is wrong with it.
    pub fn check(&self) -> Result<(), TemplateError> {
        self.templates
            .iter()
            .try_for_each(|(name, text)| template::check(name, text))
    }
}
