//! The rules file as it is written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RulesError;
use crate::conflict::coupling::CouplingRules;
use crate::conflict::watch::WatchPolicy;
use crate::conflict::{AreaClass, Fold, Mode};

/// A rules file.
///
/// ```
/// use pipeline_core::conflict::RuleFile;
///
/// let file = RuleFile::parse(
///     r#"
///     presets = ["laravel", { name = "nextjs", root = "frontend" }]
///     unclassified = "directory"
///
///     [modes]
///     db = "per-key"
///
///     [[rule]]
///     name = "reports"
///     class = "screen"
///     key = "{screen}"
///     patterns = ["reports/{screen}/**"]
///
///     [[allow]]
///     name = "changelog"
///     patterns = ["CHANGELOG.md"]
///     "#,
///     "conflicts.toml",
/// )?;
/// assert_eq!(file.rules[0].name, "reports");
/// assert!(RuleFile::parse("colour = 1", "conflicts.toml").is_err());
/// # Ok::<(), pipeline_core::conflict::RulesError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RuleFile {
    /// The version of the format; 1 if it is left out.
    pub version: Option<u32>,
    /// Which presets to build on; chosen by what lies in the repository if it is left out.
    pub presets: Option<PresetChoice>,
    /// Patterns of files that show that a preset fits a repository; of no meaning in a team's own file.
    pub detect: Vec<String>,
    /// Names of rules of the presets that are left out.
    pub disable: Vec<String>,
    /// What a path claims that no rule classifies.
    pub unclassified: Option<Unclassified>,
    /// The mode of every key of a class, unless a rule says otherwise.
    pub modes: BTreeMap<AreaClass, Mode>,
    /// Which spellings of a captured name count as one.
    pub fold: Option<Fold>,
    /// Other names for the same thing, by class; both sides are folded.
    pub aliases: BTreeMap<AreaClass, BTreeMap<String, String>>,
    /// Whether and how files that change together count as one area.
    pub coupling: Option<CouplingRules>,
    /// What is done when runs collide.
    pub watch: Option<WatchPolicy>,
    /// The rules that classify paths.
    #[serde(rename = "rule")]
    pub rules: Vec<AreaRule>,
    /// Paths that claim no more than themselves.
    #[serde(rename = "allow")]
    pub allows: Vec<AllowRule>,
    /// Paths beside which nothing else runs.
    #[serde(rename = "deny")]
    pub denies: Vec<DenyRule>,
    /// Settings for single target branches.
    #[serde(rename = "target")]
    pub targets: Vec<TargetRules>,
}

/// A rule that sorts paths into a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AreaRule {
    /// The name by which explanations, `disable` and later files speak of it.
    pub name: String,
    /// The class of its keys.
    pub class: AreaClass,
    /// The key, with captures (`{api}`); left out, the whole class.
    #[serde(default)]
    pub key: Option<String>,
    /// Patterns of which one must match, if there are any.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// Words of which one must stand in the path, if there are any.
    #[serde(default)]
    pub words: Vec<String>,
    /// Patterns of which none may match.
    #[serde(default)]
    pub except: Vec<String>,
    /// Words that say nothing at the beginning or the end of a captured name (`use` in `useCartStore`).
    #[serde(default)]
    pub drop: Vec<String>,
    /// The mode of its keys; left out, that of the class.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Patterns of target branches for which it holds; none means all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Folding of its captures, if other than the file's.
    #[serde(default)]
    pub fold: Option<Fold>,
    /// Why the rule exists, for people.
    #[serde(default)]
    pub why: Option<String>,
}

/// Paths that claim no more than themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AllowRule {
    /// The name by which explanations and `disable` speak of it.
    pub name: String,
    /// Patterns of which one must match.
    pub patterns: Vec<String>,
    /// The classes whose claims are lifted; none means all.
    #[serde(default)]
    pub classes: Vec<AreaClass>,
    /// Patterns of target branches for which it holds; none means all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Why this is safe, for people.
    #[serde(default)]
    pub why: Option<String>,
}

/// Paths beside which nothing else runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DenyRule {
    /// The name by which explanations and `disable` speak of it.
    pub name: String,
    /// Patterns of which one must match.
    pub patterns: Vec<String>,
    /// The class under which the conflict is reported.
    #[serde(default = "shared")]
    pub class: AreaClass,
    /// Patterns of target branches for which it holds; none means all.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Why this must be alone, for people.
    #[serde(default)]
    pub why: Option<String>,
}

const fn shared() -> AreaClass {
    AreaClass::Shared
}

/// Settings for the target branches that match a pattern; of several matching ones the last wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TargetRules {
    /// The pattern of the branch name.
    pub branch: String,
    /// What a path claims that no rule classifies.
    #[serde(default)]
    pub unclassified: Option<Unclassified>,
    /// The mode of every key of a class, unless a rule says otherwise.
    #[serde(default)]
    pub modes: BTreeMap<AreaClass, Mode>,
}

/// What a path claims that no rule classifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unclassified {
    /// The whole target.
    Serial,
    /// The files of its directory.
    #[default]
    Directory,
    /// Only itself.
    File,
}

/// Which presets to build on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum PresetChoice {
    /// Those that fit the repository.
    Auto(Auto),
    /// Exactly these.
    Named(Vec<PresetUse>),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// Chosen by what lies in the repository.
    Auto,
}

/// A preset and where in the repository it applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "WrittenUse")]
#[non_exhaustive]
pub struct PresetUse {
    /// The name of the preset.
    pub name: String,
    /// The directory it applies to; empty is the whole repository.
    pub root: String,
}

impl PresetUse {
    /// Returns the use of a preset below a directory; an empty one is the whole repository.
    #[must_use]
    pub fn new(name: impl Into<String>, root: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            root: root.into().trim_matches('/').to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenUse {
    Name(String),
    At(UseAt),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UseAt {
    name: String,
    root: String,
}

impl From<WrittenUse> for PresetUse {
    fn from(written: WrittenUse) -> Self {
        match written {
            WrittenUse::Name(name) => Self::new(name, ""),
            WrittenUse::At(at) => Self::new(at.name, at.root),
        }
    }
}

impl RuleFile {
    /// Reads a rules file; `origin` says in errors where the text came from.
    ///
    /// # Errors
    /// Names the line of what cannot be read, and the rule that stands there twice.
    pub fn parse(text: &str, origin: &str) -> Result<Self, RulesError> {
        let file: Self = toml::from_str(text).map_err(|source| RulesError::Syntax {
            origin: origin.to_owned(),
            source: Box::new(source),
        })?;
        if let Some(version) = file.version.filter(|version| *version != 1) {
            return Err(RulesError::Version {
                origin: origin.to_owned(),
                version,
            });
        }
        let mut seen = BTreeSet::new();
        let twice = file.names().find(|name| !seen.insert(*name)).cloned();
        match twice {
            Some(rule) => Err(RulesError::Duplicate {
                origin: origin.to_owned(),
                rule,
            }),
            None => Ok(file),
        }
    }

    /// Returns the names of all rules.
    pub(in crate::conflict) fn names(&self) -> impl Iterator<Item = &String> {
        self.rules
            .iter()
            .map(|rule| &rule.name)
            .chain(self.allows.iter().map(|rule| &rule.name))
            .chain(self.denies.iter().map(|rule| &rule.name))
    }
}
