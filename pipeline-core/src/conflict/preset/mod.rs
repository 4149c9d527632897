//! Rules for common stacks.
//!
//! A preset is a rules file like a team's own ([`text`] gives it to read, copy and change). `common` holds
//! what is true everywhere and comes with each of them. Which ones fit is told by the files of the repository
//! ([`detect`]); several may, and then their claims add up.

use std::collections::BTreeSet;

use regex::bytes::RegexSetBuilder;

use super::pattern::Pattern;
use super::rules::{PresetUse, RuleFile, RulesError, patterns};
use crate::footprint::RepoPath;

/// The preset that comes with every other one.
pub(super) const COMMON: &str = "common";

/// The preset for repositories of which no stack is known.
const GENERIC: &str = "generic";

/// Every preset by name.
const FILES: [(&str, &str); 11] = [
    (COMMON, include_str!("common.toml")),
    (GENERIC, include_str!("generic.toml")),
    ("laravel", include_str!("laravel.toml")),
    ("rails", include_str!("rails.toml")),
    ("django", include_str!("django.toml")),
    ("spring", include_str!("spring.toml")),
    ("node", include_str!("node.toml")),
    ("react", include_str!("react.toml")),
    ("vue", include_str!("vue.toml")),
    ("go", include_str!("go.toml")),
    ("rust", include_str!("rust.toml")),
];

/// Returns the names of all presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Returns the text of a preset.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::preset;
///
/// assert!(preset::text("laravel").is_some_and(|text| text.contains("Controllers")));
/// ```
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

/// Chooses the presets that fit a repository by the files in it; the generic one if none does.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::preset;
/// use pipeline_core::footprint::RepoPath;
///
/// let listing = ["artisan", "resources/js/Pages/Home.vue"].map(|path| RepoPath::parse(path).expect("a path"));
/// let names: Vec<_> = preset::detect(&listing).into_iter().map(|preset| preset.name).collect();
/// assert_eq!(names, ["laravel", "vue"]);
/// assert_eq!(preset::detect([])[0].name, "generic");
/// ```
#[must_use]
pub fn detect<'a, I>(listing: I) -> Vec<PresetUse>
where
    I: IntoIterator<Item = &'a RepoPath>,
{
    let mut owners: Vec<&str> = Vec::new();
    let mut signs: Vec<Pattern> = Vec::new();
    for (name, _) in FILES {
        // A preset that cannot be read fits nothing; a test reads them all.
        let detect = file(name).and_then(|file| patterns("", name, &file.detect));
        for sign in detect.into_iter().flatten() {
            owners.push(name);
            signs.push(sign);
        }
    }
    let set = RegexSetBuilder::new(signs.iter().map(Pattern::as_regex))
        .case_insensitive(true)
        .build()
        .unwrap_or_default();
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for path in listing {
        found.extend(
            set.matches(path.as_str().as_bytes())
                .iter()
                .filter_map(|at| owners.get(at)),
        );
    }
    if found.is_empty() {
        found.insert(GENERIC);
    }
    names()
        .filter(|name| found.contains(*name))
        .map(|name| PresetUse::new(name, ""))
        .collect()
}

#[cfg(test)]
mod tests;
