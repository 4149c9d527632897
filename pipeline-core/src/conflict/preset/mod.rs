//! Rules for common stacks.

use super::rules::{PresetUse, RuleFile, RulesError};
use crate::footprint::RepoPath;

/// The preset that comes with every other one.
pub(super) const COMMON: &str = "common";

/// The preset for repositories of which no stack is known.
const GENERIC: &str = "generic";

/// Every preset by name.
const FILES: [(&str, &str); 2] = [
    (COMMON, include_str!("common.toml")),
    (GENERIC, include_str!("generic.toml")),
];

/// Returns the names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Returns the text of a preset, the file that a team may copy and change.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Returns a preset as a rules file.
pub(super) fn file(name: &str) -> Result<RuleFile, RulesError> {
    let text = text(name).ok_or_else(|| RulesError::UnknownPreset {
        name: name.to_owned(),
        known: names().collect::<Vec<_>>().join(", "),
    })?;
    RuleFile::parse(text, name)
}

/// Chooses the presets that fit a repository by what lies in it; the generic one if none does.
#[must_use]
pub fn detect<'a, I>(listing: I) -> Vec<PresetUse>
where
    I: IntoIterator<Item = &'a RepoPath>,
{
    let _listing = listing;
    vec![PresetUse::new(GENERIC, "")]
}
