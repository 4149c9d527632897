//! Commands that a read-only run may not make.

use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::Serialize;

use super::compile::Compiled;
use super::compile::RulesError;
use super::compile::comparable;
use super::data::RulesFile;
use super::find::Finding;
use super::hold::ProtectedKind;
use super::shell;
use crate::patch::Escaped;

const BUILTIN: &str = include_str!("prohibited.toml");

/// What a read-only run must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProhibitedKind {
    /// Runs tests.
    Test,
    /// Builds, installs or starts something.
    Build,
    /// Deploys or publishes something.
    Deploy,
    /// Speaks to a database.
    Database,
    /// Speaks to the network.
    Network,
    /// Changes files or the repository.
    Edit,
}

impl fmt::Display for ProhibitedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "runs tests",
            Self::Build => "builds, installs or starts something",
            Self::Deploy => "deploys",
            Self::Database => "speaks to a database",
            Self::Network => "speaks to the network",
            Self::Edit => "changes files",
        })
    }
}

impl From<ProtectedKind> for ProhibitedKind {
    fn from(kind: ProtectedKind) -> Self {
        match kind {
            ProtectedKind::ProductionDeploy => Self::Deploy,
            ProtectedKind::DbChange | ProtectedKind::ExistingData => Self::Database,
            ProtectedKind::DestructiveGit
            | ProtectedKind::ProductionOverwrite
            | ProtectedKind::SyncDelete
            | ProtectedKind::BulkFiles => Self::Edit,
        }
    }
}

/// A command that ends a read-only run. `Display` says why, with the command escaped and bounded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prohibited {
    /// What it does.
    pub kind: ProhibitedKind,
    /// The rule that found it.
    pub rule: String,
    /// The command without its wrappers, from outside: escape it before showing it.
    pub command: String,
}

impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = Escaped::new(self.command.as_bytes()).at_most(200);
        let (kind, rule) = (self.kind, &self.rule);
        write!(
            f,
            "a command {kind} in a read-only run: `{command}` (rule `{rule}`)"
        )
    }
}

/// Recognises commands that are prohibited in read-only runs: tests, builds, deploys, database clients,
/// network tools, edits.
///
/// Every protected operation is prohibited as well. A team's additions are appended; the built-in rules
/// cannot be removed.
///
/// # Examples
/// ```
/// use pipeline_core::protected::{ProhibitedKind, ProhibitedRules};
///
/// let rules = ProhibitedRules::builtin();
/// assert_eq!(rules.command("cd app && npm test")[0].kind, ProhibitedKind::Test);
/// assert!(rules.command("git log --oneline | head; grep -rn 'npm test' .").is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct ProhibitedRules {
    /// The rules with a team's; `None` for the built-in ones alone.
    team: Option<Arc<Compiled<ProhibitedKind>>>,
}

impl ProhibitedRules {
    /// Returns the built-in rules.
    #[must_use]
    pub fn builtin() -> Self {
        Self { team: None }
    }

    /// The built-in rules are compiled when they are first used: a program that never looks at a patch or a
    /// command does not wait for them.
    fn rules(&self) -> &Compiled<ProhibitedKind> {
        static BUILTIN: LazyLock<Compiled<ProhibitedKind>> = LazyLock::new(compiled);
        self.team.as_deref().unwrap_or(&BUILTIN)
    }

    /// Returns the built-in rules and those of a team's file.
    ///
    /// # Errors
    /// Answers with [`RulesError`] if the file cannot be read, a rule in it cannot be used, or it tries to
    /// except anything from the built-in rules.
    pub fn with_team(team: &str) -> Result<Self, RulesError> {
        let team: RulesFile<ProhibitedKind> =
            toml::from_str(team).map_err(|source| RulesError::Unreadable {
                source: Box::new(source),
            })?;
        if let Some(exception) = team.except.first() {
            let problem = "is not possible: what is prohibited in a read-only run stays prohibited";
            return Err(RulesError::Exception {
                rule: exception.rule.clone(),
                problem,
            });
        }
        let mut file = builtin_file();
        file.extend(team);
        Ok(Self {
            team: Some(Arc::new(Compiled::new(file)?)),
        })
    }

    /// Finds what is prohibited in a command line, as a shell reads it.
    #[must_use]
    pub fn command(&self, line: &str) -> Vec<Prohibited> {
        let mut found = self.rules().in_executed(line);
        let reading = shell::read(line, &self.rules().wrappers);
        found.extend(self.redirections(&reading.commands));
        listed(found)
    }

    /// Finds what is prohibited in a program call that was made without a shell.
    #[must_use]
    pub fn argv(&self, argv: &[String]) -> Vec<Prohibited> {
        let mut found = self.rules().in_argv(argv);
        let reading = shell::read_argv(argv, &self.rules().wrappers);
        found.extend(self.redirections(&reading.commands));
        listed(found)
    }

    /// `> file` changes a file whatever the program is.
    fn redirections(&self, commands: &[shell::Command]) -> Vec<Finding<ProhibitedKind>> {
        let harmless = ["scratch".to_owned()];
        let writes = |command: &&shell::Command| {
            command
                .writes
                .iter()
                .any(|file| !self.rules().in_any(&harmless, &comparable(file.as_bytes())))
        };
        let finding = |command: &shell::Command| Finding {
            rule: "redirection".to_owned(),
            kind: ProhibitedKind::Edit,
            text: super::find::shown(command),
            start: command.start,
            end: command.end,
        };
        commands.iter().filter(writes).map(finding).collect()
    }
}

impl Default for ProhibitedRules {
    fn default() -> Self {
        Self::builtin()
    }
}

fn compiled() -> Compiled<ProhibitedKind> {
    Compiled::new(builtin_file()).expect("a test compiles the built-in rules")
}

/// The rules for read-only runs, the protected operations among them.
fn builtin_file() -> RulesFile<ProhibitedKind> {
    let mut file: RulesFile<ProhibitedKind> =
        toml::from_str(BUILTIN).expect("a test reads the built-in rules");
    let protected = super::rules::builtin_file();
    file.extend(protected.map_kinds(ProhibitedKind::from));
    file
}

fn listed(findings: Vec<Finding<ProhibitedKind>>) -> Vec<Prohibited> {
    let mut found: Vec<Prohibited> = findings
        .into_iter()
        .map(|finding| Prohibited {
            kind: finding.kind,
            rule: finding.rule,
            command: finding.text,
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
