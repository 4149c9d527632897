//! The recogniser of protected paths and operations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;

use super::compile::Compiled;
use super::compile::RulesError;
use super::compile::comparable;
use super::data::RulesFile;
use super::find::Finding;
use super::hold::Evidence;
use super::hold::Hold;
use super::hold::HoldReason;
use super::hold::ProtectedKind;
use super::hold::bounded;
use super::written;
use crate::patch::ParsedPatch;
use crate::patch::RepoPath;
use crate::patch::TouchedFile;

const BUILTIN: &str = include_str!("builtin.toml");

/// Recognises protected paths and protected operations in patches and in commands that were run.
///
/// The rules are data: a built-in file and, optionally, a team's own, which adds rules, extends the named
/// sets of paths and names exceptions, but cannot take a built-in rule away as a whole.
///
/// A recogniser is no sandbox: text can be built so that no reader recognises it. It finds what a person or
/// an agent writes without hiding it; what an agent *can* do is limited elsewhere.
///
/// # Examples
/// ```
/// use pipeline_core::protected::{HoldReason, ProtectedKind, ProtectedRules};
///
/// let rules = ProtectedRules::builtin();
/// let holds = rules.command(r#"FOO=1 sudo bash -c "psql -c 'DROP TABLE users'""#);
/// assert!(holds.iter().any(|hold| hold.reason == HoldReason::Protected(ProtectedKind::DbChange)));
/// assert!(rules.command("cargo test").is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct ProtectedRules {
    /// The rules with a team's; `None` for the built-in ones alone.
    team: Option<Arc<Compiled<ProtectedKind>>>,
}

impl ProtectedRules {
    /// Returns the built-in rules.
    #[must_use]
    pub fn builtin() -> Self {
        Self { team: None }
    }

    /// The built-in rules are compiled when they are first used: a program that never looks at a patch or a
    /// command does not wait for them.
    fn rules(&self) -> &Compiled<ProtectedKind> {
        static BUILTIN: LazyLock<Compiled<ProtectedKind>> = LazyLock::new(compiled);
        self.team.as_deref().unwrap_or(&BUILTIN)
    }

    /// Returns the built-in rules and those of a team's file.
    ///
    /// The file is read from the pinned base, never from a workspace or a patch: otherwise a patch could
    /// except itself.
    ///
    /// # Errors
    /// Answers with [`RulesError`] if the file cannot be read or a rule in it cannot be used.
    pub fn with_team(team: &str) -> Result<Self, RulesError> {
        let team: RulesFile<ProtectedKind> =
            toml::from_str(team).map_err(|source| RulesError::Unreadable {
                source: Box::new(source),
            })?;
        let mut file = builtin_file();
        file.extend(team);
        Ok(Self {
            team: Some(Arc::new(Compiled::new(file)?)),
        })
    }

    /// Finds what is held in a patch: touched paths, added lines, and many files at once.
    ///
    /// Sorted by path and line; a finding that occurs more than once in one file is one hold.
    #[must_use]
    pub fn patch(&self, patch: &ParsedPatch<'_>) -> Vec<Hold> {
        let mut holds = self.paths(&patch.touched());
        holds.extend(written::holds(self.rules(), patch));
        sorted(holds)
    }

    /// Finds what is held for its path alone, and what is held for touching many files.
    ///
    /// For the files of a written tree, and wherever only names are known.
    #[must_use]
    pub fn paths(&self, touched: &[TouchedFile]) -> Vec<Hold> {
        let mut holds = Vec::new();
        for file in touched {
            for path in std::iter::once(&file.path).chain(&file.previous) {
                let text = comparable(path.as_bytes());
                for rule in self
                    .rules()
                    .classes
                    .iter()
                    .filter(|rule| rule.lines.is_none())
                {
                    if rule.paths.contains(&text)
                        && !self.rules().is_excepted(&rule.name, Some(&text), None)
                    {
                        let evidence = Evidence::Path { path: path.clone() };
                        let reason = HoldReason::Class(rule.class.clone());
                        holds.push(Hold::new(reason, rule.name.clone(), evidence));
                    }
                }
            }
        }
        holds.extend(self.bulk(touched));
        sorted(holds)
    }

    fn bulk(&self, touched: &[TouchedFile]) -> Vec<Hold> {
        let mut holds = Vec::new();
        for rule in &self.rules().bulk {
            let fits = |path: &RepoPath| {
                let text = comparable(path.as_bytes());
                self.rules().in_any(&rule.on, &text)
                    && !self.rules().in_any(&rule.spares, &text)
                    && !self.rules().is_excepted(&rule.name, Some(&text), None)
            };
            let files: Vec<&RepoPath> = touched
                .iter()
                .filter(|file| rule.changes.contains(&file.kind))
                .filter_map(|file| {
                    std::iter::once(&file.path)
                        .chain(&file.previous)
                        .find(|path| fits(path))
                })
                .collect();
            let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
            if let Some(first) = files.first()
                && count >= rule.at_least
            {
                let digest = written::digest(files.iter().map(|path| path.as_bytes()));
                let evidence = Evidence::Files {
                    path: (*first).clone(),
                    count,
                    digest,
                };
                let reason = HoldReason::Protected(rule.kind);
                holds.push(Hold::new(reason, rule.name.clone(), evidence));
            }
        }
        holds
    }

    /// Finds what is held in a command line that was run, as a shell reads it.
    #[must_use]
    pub fn command(&self, line: &str) -> Vec<Hold> {
        self.executed(self.rules().in_executed(line))
    }

    /// Finds what is held in a program call that was made without a shell.
    #[must_use]
    pub fn argv(&self, argv: &[String]) -> Vec<Hold> {
        self.executed(self.rules().in_argv(argv))
    }

    fn executed(&self, findings: Vec<Finding<ProtectedKind>>) -> Vec<Hold> {
        let kept = findings.into_iter().filter(|finding| {
            !self
                .rules()
                .is_excepted(&finding.rule, None, Some(&finding.text))
        });
        let holds = kept.map(|finding| {
            let evidence = Evidence::Command {
                text: bounded(&finding.text),
            };
            Hold::new(HoldReason::Protected(finding.kind), finding.rule, evidence)
        });
        sorted(holds.collect())
    }
}

impl Default for ProtectedRules {
    fn default() -> Self {
        Self::builtin()
    }
}

fn compiled() -> Compiled<ProtectedKind> {
    Compiled::new(builtin_file()).expect("a test compiles the built-in rules")
}

pub(super) fn builtin_file() -> RulesFile<ProtectedKind> {
    toml::from_str(BUILTIN).expect("a test reads the built-in rules")
}

/// Sorts holds by where they come from, each id once.
fn sorted(holds: Vec<Hold>) -> Vec<Hold> {
    let mut once: BTreeMap<_, Hold> = BTreeMap::new();
    for hold in holds {
        once.entry(hold.id).or_insert(hold);
    }
    let mut holds: Vec<Hold> = once.into_values().collect();
    holds.sort_by(|a, b| (&a.evidence, &a.rule).cmp(&(&b.evidence, &b.rule)));
    holds
}
