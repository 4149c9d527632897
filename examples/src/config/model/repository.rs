//! `[repository]`, `[targets]`, `[conflicts]` and `[context]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pipeline_core::answer_fields::AnswerField;
use pipeline_core::answer_fields::AnswerFields;
use pipeline_core::answer_fields::FieldKind;
use pipeline_core::answer_fields::InvalidField;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[repository]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepositorySection {
    /// The repository's working tree; absent = the one around the current directory.
    pub dir: Option<PathBuf>,
    /// Its name in work-start memos.
    pub name: Option<String>,
}

/// `[targets]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetsSection {
    /// The branch everything is meant for unless something below says otherwise.
    pub default: Option<String>,
    /// Branch by label or category.
    pub by_label: BTreeMap<String, String>,
    /// Branch by milestone.
    pub by_milestone: BTreeMap<String, String>,
}

/// `[conflicts]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConflictsSection {
    /// The shipped rules to start from.
    pub preset: String,
    /// The team's own rules, a file.
    pub rules: Option<PathBuf>,
    /// What a path means that no rule knows.
    pub unclassified: Unclassified,
}

impl Default for ConflictsSection {
    fn default() -> Self {
        Self {
            preset: "auto".to_owned(),
            rules: None,
            unclassified: Unclassified::Directory,
        }
    }
}

/// What a path means that no rule knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unclassified {
    /// Nothing runs beside it.
    Serial,
    /// Nothing in the same directory runs beside it.
    Directory,
    /// Only the same file conflicts.
    File,
}

/// `[context]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContextSection {
    /// Paths in the repository.
    pub docs: Vec<String>,
    /// Further prohibitions for read-only tasks.
    pub prohibitions: Vec<String>,
    /// Fields that agents answer besides the built-in ones.
    pub fields: Vec<FieldSection>,
    /// Prompt templates that replace the built-in ones, by name.
    pub prompts: BTreeMap<String, PathBuf>,
    /// The same, by paths in the repository.
    pub base_prompts: BTreeMap<String, String>,
}

/// One of `[context] fields`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldSection {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: FieldWord,
    /// The words it is one of, for `choice`.
    #[serde(default)]
    pub choices: Vec<String>,
    /// What the agent is told about it.
    pub description: String,
    /// Which tasks are asked for it.
    pub of: Vec<FieldTask>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldWord {
    /// Words.
    Text,
    /// Yes or no.
    YesNo,
    /// A number.
    Number,
    /// A list of words.
    List,
    /// One of some words.
    Choice,
}

/// A task that can be asked for further fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldTask {
    /// Triage.
    Triage,
    /// Local check and re-check.
    Check,
}

impl ContextSection {
    /// Returns the fields, checked.
    ///
    /// # Errors
    /// [`InvalidField`] naming the first that cannot be asked for.
    pub fn answer_fields(&self) -> Result<AnswerFields, InvalidField> {
        let field = |f: &FieldSection| AnswerField {
            name: f.name.clone(),
            kind: match f.kind {
                FieldWord::Text => FieldKind::Text,
                FieldWord::YesNo => FieldKind::YesNo,
                FieldWord::Number => FieldKind::Number,
                FieldWord::List => FieldKind::List,
                FieldWord::Choice => FieldKind::Choice(f.choices.clone()),
            },
            description: f.description.clone(),
            triage: f.of.contains(&FieldTask::Triage),
            check: f.of.contains(&FieldTask::Check),
        };
        AnswerFields::new(self.fields.iter().map(field).collect())
    }
}

/// `[protected]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProtectedSection {
    /// The team's own rules, added to the built-in ones.
    pub rules: Option<PathBuf>,
}
