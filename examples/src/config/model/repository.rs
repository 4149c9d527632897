//! `[repository]`, `[targets]`, `[conflicts]` and `[context]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Prompt templates that replace the built-in ones, by name.
    pub prompts: BTreeMap<String, PathBuf>,
}

/// `[protected]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProtectedSection {
    /// The team's own rules, added to the built-in ones.
    pub rules: Option<PathBuf>,
}
