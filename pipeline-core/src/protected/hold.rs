//! What is held, and why.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::patch::Escaped;
use crate::patch::RepoPath;

/// A class of protected paths, lifted as a whole by the OK that names it (`--allow lockfile,migration`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum HoldClass {
    /// Files that steer continuous integration.
    Ci,
    /// Files that steer git (`.gitattributes`, `.gitmodules`, …).
    Git,
    /// Files that run by themselves on a developer's machine: git hooks, editor tasks, shell hooks.
    Hooks,
    /// Files that run when the project is built or installed.
    BuildScript,
    /// Files that pin dependencies.
    Lockfile,
    /// Schema and migration files.
    Migration,
    /// Files that instruct or configure coding agents, this pipeline included.
    AgentConfig,
    /// A class of the team's own.
    Team(TeamClass),
}

/// The name of a team's own class: lower-case letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamClass(String);

impl HoldClass {
    /// Returns the name by which an OK lifts the class.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ci => "ci",
            Self::Git => "git",
            Self::Hooks => "hooks",
            Self::BuildScript => "build-script",
            Self::Lockfile => "lockfile",
            Self::Migration => "migration",
            Self::AgentConfig => "agent-config",
            Self::Team(TeamClass(name)) => name,
        }
    }

    fn noun(&self) -> String {
        match self {
            Self::Ci => "steers continuous integration".to_owned(),
            Self::Git => "steers git".to_owned(),
            Self::Hooks => "runs by itself on developers' machines".to_owned(),
            Self::BuildScript => "runs when the project is built".to_owned(),
            Self::Lockfile => "pins dependencies".to_owned(),
            Self::Migration => "changes the database schema".to_owned(),
            Self::AgentConfig => "configures coding agents".to_owned(),
            Self::Team(TeamClass(name)) => format!("is of the team's class {name}"),
        }
    }
}

impl fmt::Display for HoldClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HoldClass {
    type Err = InvalidClass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "ci" => Self::Ci,
            "git" => Self::Git,
            "hooks" => Self::Hooks,
            "build-script" => Self::BuildScript,
            "lockfile" => Self::Lockfile,
            "migration" => Self::Migration,
            "agent-config" => Self::AgentConfig,
            _ => {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let fits = (1..=40).contains(&name.len()) && name.chars().all(plain);
                // A kind's name as a class would lift by `--allow` what must be lifted one by one.
                if !fits || ProtectedKind::ALL.iter().any(|kind| kind.name() == name) {
                    return Err(InvalidClass {
                        name: name.to_owned(),
                    });
                }
                Self::Team(TeamClass(name.to_owned()))
            }
        })
    }
}

impl TryFrom<String> for HoldClass {
    type Error = InvalidClass;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<HoldClass> for String {
    fn from(class: HoldClass) -> Self {
        class.name().to_owned()
    }
}

/// The answer to a name that can be no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no class of protected paths; a class is named in lower-case letters, digits and `-`", Escaped::new(name.as_bytes()).at_most(60))]
pub struct InvalidClass {
    name: String,
}

/// A kind of protected operation. Each single one is lifted by its own id (`--protected ID`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProtectedKind {
    /// Something is deployed or published.
    ProductionDeploy,
    /// A database is changed: its schema, or by a client that was run against it.
    DbChange,
    /// Data that exists is rewritten or removed.
    ExistingData,
    /// History, branches or uncommitted work are removed by git.
    DestructiveGit,
    /// Production folders are overwritten in bulk.
    ProductionOverwrite,
    /// A synchronisation removes what the source does not have.
    SyncDelete,
    /// Asset or storage folders are worked on in bulk.
    BulkFiles,
}

impl ProtectedKind {
    /// All seven kinds.
    pub const ALL: [Self; 7] = [
        Self::ProductionDeploy,
        Self::DbChange,
        Self::ExistingData,
        Self::DestructiveGit,
        Self::ProductionOverwrite,
        Self::SyncDelete,
        Self::BulkFiles,
    ];

    /// Returns the name used in rules and memos.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProductionDeploy => "production-deploy",
            Self::DbChange => "db-change",
            Self::ExistingData => "existing-data",
            Self::DestructiveGit => "destructive-git",
            Self::ProductionOverwrite => "production-overwrite",
            Self::SyncDelete => "sync-delete",
            Self::BulkFiles => "bulk-files",
        }
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::ProductionDeploy => "deploys to production",
            Self::DbChange => "changes a database",
            Self::ExistingData => "changes existing data",
            Self::DestructiveGit => "lets git destroy work or history",
            Self::ProductionOverwrite => "overwrites production folders in bulk",
            Self::SyncDelete => "synchronises with deletion",
            Self::BulkFiles => "works in bulk on asset or storage folders",
        }
    }
}

impl fmt::Display for ProtectedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a hold needs to be lifted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HoldReason {
    /// A protected path: the OK names its class.
    Class(HoldClass),
    /// A protected operation: the OK names this one by its id.
    Protected(ProtectedKind),
}

/// Where a hold comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Evidence {
    /// A touched path.
    Path {
        /// The path.
        path: RepoPath,
    },
    /// A line of a touched file.
    Line {
        /// The file, where it is afterwards.
        path: RepoPath,
        /// The line on the new side, counted from 1.
        line: u32,
        /// The text of the line, from outside: escape it before showing it.
        text: String,
    },
    /// Many files of one folder set.
    Files {
        /// The first of the files.
        path: RepoPath,
        /// How many there are.
        count: u64,
        /// SHA-256 over all of their paths.
        digest: String,
    },
    /// So many lines of one file that they are held together.
    Lines {
        /// The file, where it is afterwards.
        path: RepoPath,
        /// The first of the lines on the new side, counted from 1.
        line: u32,
        /// How many there are.
        count: u64,
        /// SHA-256 over all of their texts.
        digest: String,
    },
    /// A command that was run.
    Command {
        /// The command without its wrappers, from outside: escape it before showing it.
        text: String,
    },
}

/// The longest text a hold carries, in characters.
const MAX_TEXT: usize = 300;

/// Shortens a text from outside. What is cut off stays part of it as a digest, so that two texts that differ
/// only there are two holds.
pub(super) fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => {
            let digest = hex::encode(Sha256::digest(text.as_bytes()));
            format!("{}… (sha256 {digest})", text.get(..end).unwrap_or_default())
        }
    }
}

/// The name of one hold: a digest over reason, rule and evidence, so that the same finding has the same id
/// in every rebuild of its candidate. A line's number is left out, since a moved base moves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HoldId([u8; 32]);

impl HoldId {
    /// The number of digits that are shown and typed.
    pub const SHOWN: usize = 10;

    fn new(reason: &HoldReason, rule: &str, evidence: &Evidence) -> Self {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(bytes);
        };
        match reason {
            HoldReason::Class(class) => [b"class", class.name().as_bytes()].map(&mut part),
            HoldReason::Protected(kind) => [b"kind", kind.name().as_bytes()].map(&mut part),
        };
        part(rule.as_bytes());
        match evidence {
            Evidence::Path { path } => [b"path", path.as_bytes(), b""].map(part),
            Evidence::Line { path, text, .. } => {
                [b"line", path.as_bytes(), text.as_bytes()].map(part)
            }
            Evidence::Files { path, digest, .. } => {
                [b"files", path.as_bytes(), digest.as_bytes()].map(part)
            }
            Evidence::Lines { path, digest, .. } => {
                [b"lines", path.as_bytes(), digest.as_bytes()].map(part)
            }
            Evidence::Command { text } => [b"command", text.as_bytes(), b""].map(part),
        };
        Self(digest.finalize().into())
    }

    /// Returns all 64 digits.
    #[must_use]
    pub fn full(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.full().get(..Self::SHOWN).unwrap_or_default())
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full())
    }
}

impl From<HoldId> for String {
    fn from(id: HoldId) -> Self {
        id.full()
    }
}

impl TryFrom<String> for HoldId {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest)?;
        Ok(Self(digest))
    }
}

/// One finding that keeps a patch or a run's result from going on until a person lifts it.
///
/// `Display` is the sentence for that person, with everything from outside escaped and bounded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hold {
    /// What it needs to be lifted.
    pub reason: HoldReason,
    /// Its id.
    pub id: HoldId,
    /// The rule that found it.
    pub rule: String,
    /// Where it was found.
    pub evidence: Evidence,
}

impl Hold {
    /// Makes a hold and computes its id.
    #[must_use]
    pub fn new(reason: HoldReason, rule: impl Into<String>, evidence: Evidence) -> Self {
        let rule = rule.into();
        Self {
            id: HoldId::new(&reason, &rule, &evidence),
            reason,
            rule,
            evidence,
        }
    }

    /// Returns the option that lifts exactly this hold, as it is typed behind `approve CANDIDATE`.
    #[must_use]
    pub fn lifted_by(&self) -> String {
        match &self.reason {
            HoldReason::Class(class) => format!("--allow {class}"),
            HoldReason::Protected(_) => format!("--protected {}", self.id),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        let phrase = match &self.reason {
            HoldReason::Class(class) => class.noun(),
            HoldReason::Protected(kind) => kind.phrase().to_owned(),
        };
        let shown = |text: &'_ str| Escaped::new(text.as_bytes()).at_most(SHOWN).to_string();
        match &self.evidence {
            Evidence::Path { path } => write!(f, "`{path}` {phrase}")?,
            Evidence::Line { path, line, text } => {
                write!(f, "line {line} of `{path}` {phrase}: `{}`", shown(text))?;
            }
            Evidence::Files { path, count, .. } => {
                write!(f, "the patch {phrase}: {count} files, `{path}` among them")?;
            }
            Evidence::Lines {
                path, line, count, ..
            } => {
                write!(f, "`{path}` {phrase} in {count} lines from line {line} on")?;
            }
            Evidence::Command { text } => {
                write!(f, "a command that was run {phrase}: `{}`", shown(text))?;
            }
        }
        write!(
            f,
            " (rule `{}`); an OK lifts this with `{}`",
            self.rule,
            self.lifted_by()
        )
    }
}
