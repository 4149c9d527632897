//! Finds rules that do not do what their author thinks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::detector::{Verdict, default_mode};
use super::pattern::Pattern;
use super::rules::{CompiledList, CompiledRule, RuleFile, RuleSet, RulesError, Unclassified};
use super::{ConflictKey, Mode, RuleConflicts};
use crate::footprint::RepoPath;

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FindingKind {
    /// It matches nothing, or has no effect on anything.
    Dead,
    /// Another one says the same or more about everything that it matches.
    Shadowed,
    /// It and another one give a file two keys of one class, or contradict each other.
    Ambiguous,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead => "dead",
            Self::Shadowed => "shadowed",
            Self::Ambiguous => "ambiguous",
        })
    }
}

/// Something that the author of a rules file should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// The kind of finding.
    pub kind: FindingKind,
    /// What is wrong, and what to do.
    pub text: String,
    /// A file that shows it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<RepoPath>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.kind, self.text)?;
        self.example
            .as_ref()
            .map_or(Ok(()), |path| write!(f, " (for example `{path}`)"))
    }
}

/// Looks through the rules of a file, in the company of the presets it builds on.
///
/// `rules` is the set that `file` was made into, `listing` the files of the repository; without any, nothing
/// is called dead for matching no file. Only rules of `file` are blamed.
///
/// # Errors
/// Only if the rules are too big together.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::{RuleFile, RuleSet, lint};
///
/// let text = "[[rule]]\nname = 'api'\nclass = 'api'\npatterns = ['src/**', 'src/api/**']";
/// let file = RuleFile::parse(text, "conflicts.toml")?;
/// let findings = lint::check(&file, &RuleSet::from_toml(text)?, &[])?;
/// assert_eq!(
///     findings[0].to_string(),
///     "api: shadowed: the pattern `src/api/**` is never reached, since `src/**` stands before it and matches \
///      all of it; put the narrower one first",
/// );
/// # Ok::<(), pipeline_core::conflict::RulesError>(())
/// ```
pub fn check(
    file: &RuleFile,
    rules: &RuleSet,
    listing: &[RepoPath],
) -> Result<Vec<Finding>, RulesError> {
    let own: BTreeSet<&str> = file.names().map(String::as_str).collect();
    let (area_rules, allows, denies) = rules.compiled();
    let mut findings = BTreeSet::new();
    for rule in area_rules
        .iter()
        .filter(|rule| own.contains(rule.rule.name.as_str()))
    {
        check_patterns(rule, listing, &mut findings);
    }
    for list in allows
        .iter()
        .chain(denies)
        .filter(|list| own.contains(list.name.as_str()))
    {
        dead_patterns(&list.name, &list.patterns, listing, &mut findings);
    }
    // A rule that holds for some targets only is judged where it holds.
    let targets: BTreeSet<&str> = area_rules
        .iter()
        .flat_map(|rule| &rule.targets)
        .chain(allows.iter().chain(denies).flat_map(|list| &list.targets))
        .map(Pattern::as_str)
        .collect();
    let mut verdicts = BTreeMap::new();
    for target in targets.into_iter().chain(["main"]) {
        let detector = rules.detector(&example_of(target))?;
        for path in samples(area_rules, allows, denies, &own, listing) {
            let verdict = detector.verdict(&path);
            verdicts.insert((target.to_owned(), path), verdict);
        }
        check_modes(
            &detector,
            area_rules,
            &own,
            target,
            &verdicts,
            &mut findings,
        );
    }
    for name in &own {
        check_effect(name, rules, !listing.is_empty(), &verdicts, &mut findings);
    }
    ambiguous(&own, &verdicts, &mut findings);
    Ok(findings.into_iter().collect())
}

type Verdicts = BTreeMap<(String, RepoPath), Verdict>;

/// Returns a branch that a target pattern matches.
fn example_of(target: &str) -> String {
    Pattern::parse(target)
        .ok()
        .and_then(|pattern| pattern.examples().into_iter().next())
        .unwrap_or_else(|| target.to_owned())
}

/// Returns the paths to judge by: those of the repository, and examples of the patterns of the file.
fn samples(
    rules: &[CompiledRule],
    allows: &[CompiledList],
    denies: &[CompiledList],
    own: &BTreeSet<&str>,
    listing: &[RepoPath],
) -> BTreeSet<RepoPath> {
    let of_rules = rules
        .iter()
        .map(|rule| (rule.rule.name.as_str(), &rule.patterns));
    let of_lists = allows
        .iter()
        .chain(denies)
        .map(|list| (list.name.as_str(), &list.patterns));
    of_rules
        .chain(of_lists)
        .filter(|(name, _)| own.contains(name))
        .flat_map(|(_, patterns)| patterns.iter().flat_map(Pattern::examples))
        .filter_map(|example| RepoPath::parse(&example).ok())
        .chain(listing.iter().cloned())
        .collect()
}

fn finding(rule: &str, kind: FindingKind, text: String, example: Option<&RepoPath>) -> Finding {
    Finding {
        rule: rule.to_owned(),
        kind,
        text,
        example: example.cloned(),
    }
}

/// Looks at a rule by itself.
fn check_patterns(rule: &CompiledRule, listing: &[RepoPath], findings: &mut BTreeSet<Finding>) {
    let name = &rule.rule.name;
    if rule.rule.words.is_empty() {
        dead_patterns(name, &rule.patterns, listing, findings);
    }
    for (at, pattern) in rule.patterns.iter().enumerate() {
        let examples = pattern.examples();
        let before = rule
            .patterns
            .iter()
            .take(at)
            .find(|before| examples.iter().all(|example| before.is_match(example)));
        if let Some(before) = before {
            let text = format!(
                "the pattern `{pattern}` is never reached, since `{before}` stands before it and matches all of it; put the narrower one first"
            );
            findings.insert(finding(name, FindingKind::Shadowed, text, None));
        }
        if let Some(except) = rule
            .except
            .iter()
            .find(|except| examples.iter().all(|example| except.is_match(example)))
        {
            let text = format!(
                "the exception `{except}` takes away all that the pattern `{pattern}` matches"
            );
            findings.insert(finding(name, FindingKind::Shadowed, text, None));
        }
        if pattern.splits_freely() {
            let text = format!(
                "the pattern `{pattern}` has two captures in one segment, so a name with the text between them splits in several ways"
            );
            findings.insert(finding(name, FindingKind::Ambiguous, text, None));
        }
    }
    let matched = |path: &&RepoPath| {
        rule.patterns.is_empty()
            || rule
                .patterns
                .iter()
                .any(|pattern| pattern.is_match(path.as_str()))
    };
    for except in &rule.except {
        if !listing.is_empty()
            && !listing
                .iter()
                .filter(matched)
                .any(|path| except.is_match(path.as_str()))
        {
            let text = format!("the exception `{except}` matches no file that the rule matches");
            findings.insert(finding(name, FindingKind::Dead, text, None));
        }
    }
}

/// Names the patterns that match no file.
fn dead_patterns(
    name: &str,
    patterns: &[Pattern],
    listing: &[RepoPath],
    findings: &mut BTreeSet<Finding>,
) {
    if listing.is_empty() {
        return;
    }
    let dead: Vec<&Pattern> = patterns
        .iter()
        .filter(|pattern| !listing.iter().any(|path| pattern.is_match(path.as_str())))
        .collect();
    if dead.len() == patterns.len() && !patterns.is_empty() {
        let text = "none of its patterns matches a file of the repository".to_owned();
        findings.insert(finding(name, FindingKind::Dead, text, None));
    } else {
        for pattern in dead {
            let text = format!("the pattern `{pattern}` matches no file of the repository");
            findings.insert(finding(name, FindingKind::Dead, text, None));
        }
    }
}

/// Looks for rules whose claims are taken away or said by others, everywhere they match.
fn check_effect(
    name: &str,
    rules: &RuleSet,
    has_listing: bool,
    verdicts: &Verdicts,
    findings: &mut BTreeSet<Finding>,
) {
    let (area_rules, allows, _) = rules.compiled();
    let spoken: Vec<(&RepoPath, &Verdict)> = verdicts
        .iter()
        .filter(|(_, verdict)| verdict.names(name))
        .map(|((_, path), verdict)| (path, verdict))
        .collect();
    let Some((example, _)) = spoken.first() else {
        let by_words = area_rules
            .iter()
            .any(|rule| rule.rule.name == name && !rule.rule.words.is_empty());
        if by_words && has_listing {
            let text =
                "none of its words stands in the path of a file of the repository".to_owned();
            findings.insert(finding(name, FindingKind::Dead, text, None));
        }
        return;
    };
    if area_rules.iter().any(|rule| rule.rule.name == name) {
        let lifted_by = |verdict: &Verdict| {
            verdict
                .lifted
                .iter()
                .find(|(rule, _)| &**rule == name)
                .map(|(_, by)| Arc::clone(by))
        };
        let lifters: BTreeSet<Option<_>> = spoken
            .iter()
            .map(|(_, verdict)| lifted_by(verdict))
            .collect();
        if !lifters.contains(&None) {
            let lifters: Vec<String> = lifters
                .into_iter()
                .flatten()
                .map(|by| format!("`{by}`"))
                .collect();
            let text = format!("all that it matches is allowed by {}", lifters.join(", "));
            findings.insert(finding(name, FindingKind::Shadowed, text, Some(example)));
            return;
        }
        repeated(name, &spoken, findings);
    }
    if allows.iter().any(|allow| allow.name == name) {
        let takes = |verdict: &Verdict| verdict.lifted.iter().any(|(_, by)| &**by == name);
        let denied = |verdict: &Verdict| verdict.denied.first().cloned();
        if spoken.iter().all(|(_, verdict)| denied(verdict).is_some()) {
            let by = spoken
                .first()
                .and_then(|(_, verdict)| denied(verdict))
                .unwrap_or_default();
            let text = format!("all that it matches is denied by `{by}`, and a denial stands");
            findings.insert(finding(name, FindingKind::Shadowed, text, Some(example)));
        } else if rules.effective().unclassified == Unclassified::File
            && !spoken.iter().any(|(_, verdict)| takes(verdict))
        {
            let text = "no rule claims anything for the files it matches".to_owned();
            findings.insert(finding(name, FindingKind::Dead, text, Some(example)));
        }
    }
}

/// Looks for another rule that makes the same claims on every file.
fn repeated(name: &str, spoken: &[(&RepoPath, &Verdict)], findings: &mut BTreeSet<Finding>) {
    let claims = |verdict: &Verdict, rule: &str| -> BTreeSet<(ConflictKey, Mode)> {
        verdict
            .claims
            .iter()
            .filter(|(_, _, _, by)| &**by == rule)
            .map(|(_, key, mode, _)| (key.clone(), *mode))
            .collect()
    };
    let Some((_, first)) = spoken.first() else {
        return;
    };
    let others: BTreeSet<&str> = first
        .claims
        .iter()
        .map(|(_, _, _, rule)| &**rule)
        .filter(|rule| *rule != name)
        .collect();
    let same = others.into_iter().find(|other| {
        spoken.iter().all(|(_, verdict)| {
            let mine = claims(verdict, name);
            mine.is_empty() || mine.is_subset(&claims(verdict, other))
        })
    });
    if let Some(other) = same {
        let text = format!("the rule `{other}` gives every file that it matches the same key");
        findings.insert(finding(
            name,
            FindingKind::Shadowed,
            text,
            spoken.first().map(|(path, _)| *path),
        ));
    }
}

/// Looks for rules per key that match only what is exclusive anyway.
fn check_modes(
    detector: &RuleConflicts,
    rules: &[CompiledRule],
    own: &BTreeSet<&str>,
    target: &str,
    verdicts: &Verdicts,
    findings: &mut BTreeSet<Finding>,
) {
    for rule in rules
        .iter()
        .filter(|rule| own.contains(rule.rule.name.as_str()))
    {
        let name = rule.rule.name.as_str();
        let mode = rule
            .rule
            .mode
            .unwrap_or_else(|| detector.mode_of(rule.rule.class));
        if mode == Mode::Exclusive
            || (rule.rule.mode.is_none() && default_mode(rule.rule.class) == Mode::Exclusive)
        {
            continue;
        }
        let mut exclusive: BTreeSet<Option<&str>> = BTreeSet::new();
        let mut example = None;
        for ((at, path), verdict) in verdicts {
            let speaks = verdict.claims.iter().any(|(_, _, _, by)| &**by == name);
            if at == target && speaks {
                example.get_or_insert(path);
                let other = verdict
                    .claims
                    .iter()
                    .find(|(_, _, mode, by)| *mode == Mode::Exclusive && &**by != name);
                exclusive.insert(other.map(|(_, _, _, by)| &**by));
            }
        }
        if example.is_some() && !exclusive.contains(&None) {
            let by: Vec<String> = exclusive
                .into_iter()
                .flatten()
                .map(|by| format!("`{by}`"))
                .collect();
            let text = format!(
                "all that it matches is exclusive by {}, so its key decides nothing",
                by.join(", ")
            );
            findings.insert(finding(name, FindingKind::Shadowed, text, example));
        }
    }
}

/// Looks for files of which two rules say different things.
fn ambiguous(own: &BTreeSet<&str>, verdicts: &Verdicts, findings: &mut BTreeSet<Finding>) {
    let mut seen = BTreeSet::new();
    for ((_, path), verdict) in verdicts {
        for (at, (class, key, _, rule)) in verdict.claims.iter().enumerate() {
            for (other_class, other_key, _, other) in verdict.claims.iter().skip(at + 1) {
                let differ = class == other_class && key != other_key && rule != other;
                let mine = if own.contains(&**rule) {
                    (rule, other, key, other_key)
                } else {
                    (other, rule, other_key, key)
                };
                let (blamed, other, key, other_key) = mine;
                if differ
                    && own.contains(&**blamed)
                    && seen.insert((Arc::clone(blamed), Arc::clone(other)))
                {
                    let text = format!(
                        "it gives a file the key {key}, and the rule `{other}` gives it {other_key}: the file belongs to both"
                    );
                    findings.insert(finding(blamed, FindingKind::Ambiguous, text, Some(path)));
                }
            }
        }
        for denied in &verdict.denied {
            for allowed in verdict
                .allowed
                .iter()
                .filter(|allowed| own.contains(&***allowed) || own.contains(&**denied))
            {
                if seen.insert((Arc::clone(allowed), Arc::clone(denied))) {
                    let blamed = if own.contains(&**allowed) {
                        allowed
                    } else {
                        denied
                    };
                    let text = format!(
                        "`{allowed}` allows a file that `{denied}` denies; the denial stands"
                    );
                    findings.insert(finding(blamed, FindingKind::Ambiguous, text, Some(path)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
