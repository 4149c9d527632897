//! Rules as data.

mod file;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use file::{
    AllowRule, AreaRule, DenyRule, PresetChoice, PresetUse, RuleFile, TargetRules, Unclassified,
};

use super::coupling::CouplingRules;
use super::detector::RuleConflicts;
use super::pattern::{Pattern, PatternError};
use super::preset;
use super::watch::WatchPolicy;
use super::{AreaClass, Fold, Mode};
use crate::footprint::RepoPath;

/// The most rules that a set may hold, over all its files.
const MAX_RULES: usize = 2000;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The text is no TOML, or has a field that rules do not have.
    #[error("the rules in {origin} cannot be read")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// Line, column and cause.
        source: Box<toml::de::Error>,
    },
    /// The version is not one that this program knows.
    #[error("the rules in {origin} have version {version}; this program reads version 1")]
    Version {
        /// Where the text came from.
        origin: String,
        /// The version found.
        version: u32,
    },
    /// A pattern cannot be used.
    #[error("the pattern `{pattern}` of the rule `{rule}` cannot be used")]
    Pattern {
        /// The rule.
        rule: String,
        /// The pattern as it is written.
        pattern: String,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A rule has neither patterns nor words, so it would match nothing.
    #[error("the rule `{rule}` has neither `patterns` nor `words`, so it matches nothing")]
    Empty {
        /// The rule.
        rule: String,
    },
    /// A key names a capture that a pattern of the rule does not have.
    #[error(
        "the key `{key}` of the rule `{rule}` names `{{{capture}}}`, which the pattern `{pattern}` does not capture"
    )]
    UnknownCapture {
        /// The rule.
        rule: String,
        /// The key template.
        key: String,
        /// The missing name.
        capture: String,
        /// The pattern without it.
        pattern: String,
    },
    /// A key template has a brace that is not closed.
    #[error("the key `{key}` of the rule `{rule}` has a brace that is not closed")]
    KeyTemplate {
        /// The rule.
        rule: String,
        /// The key template.
        key: String,
    },
    /// Two rules of one file have the same name.
    #[error(
        "two rules in {origin} are called `{rule}`; a later file may replace a rule by its name, one file may not"
    )]
    Duplicate {
        /// Where the text came from.
        origin: String,
        /// The name.
        rule: String,
    },
    /// No preset has this name.
    #[error("there is no preset `{name}`; there are {known}")]
    UnknownPreset {
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A rule that is to be disabled does not exist.
    #[error("`disable` names the rule `{rule}`, which none of the chosen presets has")]
    UnknownRule {
        /// The name.
        rule: String,
    },
    /// The presets are to be chosen by what lies in the repository, which was not given.
    #[error(
        "`presets = \"auto\"` needs the list of files of the repository; name the presets instead"
    )]
    NeedsListing,
    /// There are too many rules, or they are too big together.
    #[error("there are too many conflict rules; at most 2000 can be used")]
    TooMany,
}

/// The rules of a repository: its presets and its own file, merged and checked.
///
/// # Contract
/// A later layer replaces a rule of an earlier one by its name; single settings of a later layer win.
/// All rules that match a path speak (their claims add up), so a rule can be added without knowing the
/// others; of several matching patterns of one rule the first gives the key. Only an `allow` takes claims away, and never the claim on the file itself.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::RuleSet;
///
/// let rules = RuleSet::from_toml("presets = [\"generic\"]\nunclassified = \"serial\"")?;
/// assert_eq!(rules.digest().len(), 64);
/// # Ok::<(), pipeline_core::conflict::RulesError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RuleSet {
    effective: Effective,
    rules: Vec<CompiledRule>,
    allows: Vec<CompiledList>,
    denies: Vec<CompiledList>,
}

/// The merged data; its canonical rendering is what the digest is made of.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Effective {
    pub(super) presets: Vec<PresetUse>,
    pub(super) unclassified: Unclassified,
    pub(super) modes: BTreeMap<AreaClass, Mode>,
    pub(super) fold: Fold,
    pub(super) aliases: BTreeMap<AreaClass, BTreeMap<String, String>>,
    rules: Vec<(String, AreaRule)>,
    allows: Vec<(String, AllowRule)>,
    denies: Vec<(String, DenyRule)>,
    pub(super) targets: Vec<TargetRules>,
    coupling: CouplingRules,
    /// What is done when runs collide changes no key, so it is no part of the digest.
    #[serde(skip)]
    watch: WatchPolicy,
}

/// A rule with its patterns compiled.
#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: AreaRule,
    pub(super) key: Template,
    pub(super) patterns: Vec<Pattern>,
    pub(super) except: Vec<Pattern>,
    pub(super) targets: Vec<Pattern>,
}

/// An `allow` or a `deny` with its patterns compiled.
#[derive(Clone, Debug)]
pub(super) struct CompiledList {
    pub(super) name: String,
    pub(super) patterns: Vec<Pattern>,
    pub(super) targets: Vec<Pattern>,
    /// For an `allow` the classes it lifts (none named: all), for a `deny` its class.
    pub(super) classes: Vec<AreaClass>,
}

/// A key template: fixed texts and names of captures.
#[derive(Clone, Debug, Default)]
pub(super) struct Template(pub(super) Vec<Part>);

/// A part of a [`Template`].
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A text that stands for itself.
    Fixed(String),
    /// The value of a capture, folded.
    Capture(String),
}

impl Template {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((fixed, from)) = rest.split_once('{') {
            let (name, after) = from.split_once('}')?;
            if !fixed.is_empty() {
                parts.push(Part::Fixed(fixed.to_owned()));
            }
            parts.push(Part::Capture(name.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return None;
        }
        if !rest.is_empty() {
            parts.push(Part::Fixed(rest.to_owned()));
        }
        Some(Self(parts))
    }
}

impl RuleSet {
    /// Reads a rules file that names its presets, or uses none.
    ///
    /// # Errors
    /// Says which rule cannot be used and why; `presets = "auto"` needs [`RuleSet::new`].
    pub fn from_toml(text: &str) -> Result<Self, RulesError> {
        let file = RuleFile::parse(text, "the rules file")?;
        match &file.presets {
            Some(PresetChoice::Auto(_)) => Err(RulesError::NeedsListing),
            None => Self::layered(Vec::new(), &file),
            Some(PresetChoice::Named(uses)) => Self::layered(uses.clone(), &file),
        }
    }

    /// Joins a rules file with the presets it names, or else with those that fit the repository.
    ///
    /// # Errors
    /// Says which rule cannot be used and why.
    pub fn new<'a, I>(file: &RuleFile, listing: I) -> Result<Self, RulesError>
    where
        I: IntoIterator<Item = &'a RepoPath>,
    {
        match &file.presets {
            Some(PresetChoice::Named(uses)) => Self::layered(uses.clone(), file),
            None | Some(PresetChoice::Auto(_)) => Self::layered(preset::detect(listing), file),
        }
    }

    /// Returns the rules of the presets that fit the repository.
    ///
    /// # Errors
    /// Only if there are more workspaces in one repository than rules can be made for.
    pub fn detected<'a, I>(listing: I) -> Result<Self, RulesError>
    where
        I: IntoIterator<Item = &'a RepoPath>,
    {
        Self::new(&RuleFile::default(), listing)
    }

    fn layered(uses: Vec<PresetUse>, file: &RuleFile) -> Result<Self, RulesError> {
        let mut effective = Effective::default();
        let mut names = BTreeSet::new();
        if !uses.is_empty() {
            // What holds in every repository comes with any preset.
            let common = preset::file(preset::COMMON)?;
            effective.merge(&common, "", &mut names)?;
        }
        for used in &uses {
            let layer = preset::file(&used.name)?;
            effective.merge(&layer, &used.root, &mut names)?;
        }
        effective.presets = uses;
        for rule in &file.disable {
            if !names.remove(rule) {
                return Err(RulesError::UnknownRule { rule: rule.clone() });
            }
            effective.remove(rule);
        }
        effective.merge(file, "", &mut names)?;
        Self::compile(effective)
    }

    fn compile(effective: Effective) -> Result<Self, RulesError> {
        if effective.rules.len() + effective.allows.len() + effective.denies.len() > MAX_RULES {
            return Err(RulesError::TooMany);
        }
        let mut rules = Vec::new();
        for (root, rule) in &effective.rules {
            rules.push(compile_rule(root, rule)?);
        }
        let mut allows = Vec::new();
        for (root, allow) in &effective.allows {
            allows.push(CompiledList {
                name: allow.name.clone(),
                patterns: patterns(root, &allow.name, &allow.patterns)?,
                targets: patterns("", &allow.name, &allow.targets)?,
                classes: allow.classes.clone(),
            });
        }
        let mut denies = Vec::new();
        for (root, deny) in &effective.denies {
            denies.push(CompiledList {
                name: deny.name.clone(),
                patterns: patterns(root, &deny.name, &deny.patterns)?,
                targets: patterns("", &deny.name, &deny.targets)?,
                classes: vec![deny.class],
            });
        }
        for target in &effective.targets {
            patterns(
                "",
                &format!("target {}", target.branch),
                std::slice::from_ref(&target.branch),
            )?;
        }
        Ok(Self {
            effective,
            rules,
            allows,
            denies,
        })
    }

    /// Returns the detector for one target branch.
    ///
    /// # Errors
    /// Only if the rules are too big together.
    pub fn detector(&self, target: &str) -> Result<RuleConflicts, RulesError> {
        RuleConflicts::new(self, target)
    }

    /// Returns the sha256 over the merged rules in hexadecimal, the `rules:` line of a work-start memo.
    ///
    /// Two machines with the same digest derive the same keys from the same footprint.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "plain data with text keys always serialises"
    )]
    pub fn digest(&self) -> String {
        let canonical =
            serde_json::to_vec(&self.effective).expect("rules are plain data with text keys");
        let mut hasher = Sha256::new();
        // Changes when the same rules come to mean other keys.
        hasher.update(b"conflict rules v1\n");
        hasher.update(&canonical);
        hex::encode(hasher.finalize())
    }

    /// Returns whether and how files that change together count as one area.
    #[must_use]
    pub const fn coupling(&self) -> &CouplingRules {
        &self.effective.coupling
    }

    /// Returns what is done when runs collide.
    #[must_use]
    pub const fn watch(&self) -> WatchPolicy {
        self.effective.watch
    }

    /// Returns the presets that the rules were built on.
    #[must_use]
    pub fn presets(&self) -> &[PresetUse] {
        &self.effective.presets
    }

    pub(super) const fn effective(&self) -> &Effective {
        &self.effective
    }

    pub(super) fn compiled(&self) -> (&[CompiledRule], &[CompiledList], &[CompiledList]) {
        (&self.rules, &self.allows, &self.denies)
    }
}

impl Effective {
    /// Lays a file over what is there; its rules are relative to `root`.
    fn merge(
        &mut self,
        file: &RuleFile,
        root: &str,
        names: &mut BTreeSet<String>,
    ) -> Result<(), RulesError> {
        self.unclassified = file.unclassified.unwrap_or(self.unclassified);
        self.fold = file.fold.unwrap_or(self.fold);
        self.coupling = file
            .coupling
            .clone()
            .unwrap_or_else(|| self.coupling.clone());
        self.watch = file.watch.unwrap_or(self.watch);
        self.modes.extend(&file.modes);
        for (class, aliases) in &file.aliases {
            self.aliases
                .entry(*class)
                .or_default()
                .extend(aliases.clone());
        }
        self.targets.extend(file.targets.iter().cloned());
        // The same preset may be used at several roots; then its rules stand side by side.
        let replaced: BTreeSet<&String> =
            file.names().filter(|name| names.contains(*name)).collect();
        let here = root.to_owned();
        self.rules.retain(|(at, rule)| {
            !(replaced.contains(&rule.name) && (root.is_empty() || *at == here))
        });
        self.allows.retain(|(at, rule)| {
            !(replaced.contains(&rule.name) && (root.is_empty() || *at == here))
        });
        self.denies.retain(|(at, rule)| {
            !(replaced.contains(&rule.name) && (root.is_empty() || *at == here))
        });
        self.rules
            .extend(file.rules.iter().map(|rule| (here.clone(), rule.clone())));
        self.allows
            .extend(file.allows.iter().map(|rule| (here.clone(), rule.clone())));
        self.denies
            .extend(file.denies.iter().map(|rule| (here.clone(), rule.clone())));
        names.extend(file.names().cloned());
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.rules.retain(|(_, rule)| rule.name != name);
        self.allows.retain(|(_, rule)| rule.name != name);
        self.denies.retain(|(_, rule)| rule.name != name);
    }
}

fn compile_rule(root: &str, rule: &AreaRule) -> Result<CompiledRule, RulesError> {
    if rule.patterns.is_empty() && rule.words.is_empty() {
        return Err(RulesError::Empty {
            rule: rule.name.clone(),
        });
    }
    let key_text = rule.key.clone().unwrap_or_default();
    let key = Template::parse(&key_text).ok_or_else(|| RulesError::KeyTemplate {
        rule: rule.name.clone(),
        key: key_text.clone(),
    })?;
    let compiled = patterns(root, &rule.name, &rule.patterns)?;
    for part in &key.0 {
        let Part::Capture(capture) = part else {
            continue;
        };
        let missing = compiled
            .iter()
            .find(|pattern| !pattern.captures().contains(capture));
        if missing.is_some() || compiled.is_empty() {
            return Err(RulesError::UnknownCapture {
                rule: rule.name.clone(),
                key: key_text,
                capture: capture.clone(),
                pattern: missing.map(ToString::to_string).unwrap_or_default(),
            });
        }
    }
    Ok(CompiledRule {
        key,
        patterns: compiled,
        except: patterns(root, &rule.name, &rule.except)?,
        targets: patterns("", &rule.name, &rule.targets)?,
        rule: rule.clone(),
    })
}

/// Compiles patterns that are relative to `root`.
pub(super) fn patterns(
    root: &str,
    rule: &str,
    texts: &[String],
) -> Result<Vec<Pattern>, RulesError> {
    let mut prefix = String::new();
    for c in root.chars() {
        if matches!(c, '*' | '?' | '{' | '}' | '\\') {
            prefix.push('\\');
        }
        prefix.push(c);
    }
    if !prefix.is_empty() {
        prefix.push('/');
    }
    texts
        .iter()
        .map(|text| {
            // An absolute or empty pattern must not become valid by its prefix.
            let checked = Pattern::parse(text);
            checked
                .and_then(|pattern| {
                    if prefix.is_empty() {
                        Ok(pattern)
                    } else {
                        Pattern::parse(&format!("{prefix}{text}"))
                    }
                })
                .map_err(|source| RulesError::Pattern {
                    rule: rule.to_owned(),
                    pattern: text.clone(),
                    source,
                })
        })
        .collect()
}

#[cfg(test)]
mod tests;
