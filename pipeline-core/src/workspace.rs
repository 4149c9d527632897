//! The seam to private working areas, and what a finished one yields.

use std::fmt;
use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::BoxError;
use crate::agent::RunId;
use crate::agent::RunMode;
use crate::agent::WorkspaceKind;
use crate::issue::IssueKey;

/// A branch of the user's repository that work is meant for, by its short name.
///
/// In some repositories a branch is a site and not a unit of work, so base, conflicts, candidate and OK are
/// always per target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(String);

impl Target {
    /// Checks and wraps a branch name.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn new(name: impl Into<String>) -> Result<Self, &'static str> {
        let name = name.into();
        let bad = name.is_empty()
            || name.len() > 200
            || name.starts_with(['-', '/', '.'])
            || name.ends_with(['/', '.'])
            || name.ends_with(".lock")
            || name == "HEAD"
            || name.contains("..")
            || name.contains("//")
            || name.contains("@{")
            || name.contains("/.")
            || name
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
        if bad {
            Err("not a branch name: a target is the short name of an existing branch")
        } else {
            Ok(Self(name))
        }
    }

    /// Returns the short branch name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Target {
    type Error = &'static str;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full hexadecimal id of a commit (40 or 64 lower-case digits).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// The sentence that says what is expected.
    pub fn new(hex: impl Into<String>) -> Result<Self, &'static str> {
        let hex = hex.into();
        let ok = matches!(hex.len(), 40 | 64)
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ok {
            Ok(Self(hex))
        } else {
            Err("expected a full commit id of 40 or 64 hexadecimal digits")
        }
    }

    /// Returns the full id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for CommitId {
    type Error = &'static str;
    fn try_from(hex: String) -> Result<Self, Self::Error> {
        Self::new(hex)
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A target pinned to one of its commits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BaseRevision {
    /// The branch.
    pub target: Target,
    /// The commit its tip was.
    pub commit: CommitId,
}

/// The content address of a patch: sha256 of its bytes, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatchId(String);

impl PatchId {
    /// Returns the id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// Checks and wraps an id.
    ///
    /// # Errors
    /// The sentence that says what is expected.
    pub fn new(hex: impl Into<String>) -> Result<Self, &'static str> {
        let hex = hex.into();
        let ok = hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ok {
            Ok(Self(hex))
        } else {
            Err("expected a patch id of 64 hexadecimal digits")
        }
    }

    /// Returns the full id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for PatchId {
    type Error = &'static str;
    fn try_from(hex: String) -> Result<Self, Self::Error> {
        Self::new(hex)
    }
}

impl From<PatchId> for String {
    fn from(id: PatchId) -> Self {
        id.0
    }
}

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything in a workspace that differs from its base, as `git diff --binary --full-index` writes it.
///
/// Data from a stranger: nothing may be concluded from it before [`crate::patch`] has parsed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Patch {
    id: PatchId,
    bytes: Vec<u8>,
}

impl Patch {
    /// Wraps the bytes of a patch.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            id: PatchId::of(&bytes),
            bytes,
        }
    }

    /// Returns its content address.
    #[must_use]
    pub const fn id(&self) -> &PatchId {
        &self.id
    }

    /// Returns its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether nothing differed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Serialize for Patch {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(&self.bytes))
    }
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD
            .decode(text)
            .map(Self::new)
            .map_err(serde::de::Error::custom)
    }
}

impl Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patch({}, {} bytes)", self.id.short(), self.bytes.len())
    }
}

/// What a new workspace is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRequest {
    /// The run.
    pub run: RunId,
    /// The issue.
    pub issue: IssueKey,
    /// Where it starts.
    pub base: BaseRevision,
    /// What may be written in it.
    pub mode: RunMode,
    /// Which kind the agent is safe in.
    pub kind: WorkspaceKind,
    /// Paths (globs) that must be neither in the checkout nor reachable through its git directory.
    pub exclude: Vec<String>,
}

/// A private working area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// The run it belongs to.
    pub run: RunId,
    /// The issue it belongs to.
    pub issue: IssueKey,
    /// The absolute directory an agent works in.
    pub path: PathBuf,
    /// Where it started.
    pub base: BaseRevision,
    /// Its kind.
    pub kind: WorkspaceKind,
    /// What may be written in it.
    pub mode: RunMode,
}

/// What capturing a workspace yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The difference from the base; empty if there is none.
    pub patch: Patch,
    /// The paths it touches, relative, in git's order; both sides of a rename. Bytes outside UTF-8 are percent-encoded.
    pub touched: Vec<String>,
    /// What was removed before the diff (sandbox litter, nested git directories), for the log.
    pub removed: Vec<String>,
}

/// Why a workspace may be removed. There is no removal without a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RemovalReason {
    /// Its patch is stored under this id.
    PatchStored(PatchId),
    /// It differs in nothing from its base.
    Unchanged,
    /// It was read-only.
    ReadOnly,
    /// Its content was salvaged under this ref.
    Salvaged(String),
}

/// Private working areas cut from a pinned revision, without creating a branch.
///
/// # Contract
/// - No branch or tag is created or moved, the user's tree and index stay untouched.
/// - A workspace's directory is not shared with any other live workspace, and nothing of a former run is in it.
/// - The hooks `after_create`, `before_run`, `after_run`, `before_remove` run inside these calls where configured.
#[async_trait]
pub trait WorkspaceProvider: Debug + Send + Sync + 'static {
    /// Pins a target to its tip.
    ///
    /// # Errors
    /// [`WorkspaceError::UnknownTarget`] if there is no such branch.
    async fn base(&self, target: &Target) -> Result<BaseRevision, WorkspaceError>;
    /// Returns every path of the base's tree, relative, in git's order; bytes outside UTF-8 are percent-encoded.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`].
    async fn files(&self, base: &BaseRevision) -> Result<Vec<String>, WorkspaceError>;
    /// Returns a file of the base's tree, at most `limit` bytes of it; `None` if there is no such file.
    ///
    /// Rules, prompts and context documents are read through this, never from a workspace or a patch.
    ///
    /// # Errors
    /// [`WorkspaceError::Git`].
    async fn file(
        &self,
        base: &BaseRevision,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, WorkspaceError>;
    /// Returns a clean workspace at the base.
    ///
    /// # Errors
    /// [`WorkspaceError::Hook`] if `after_create` or `before_run` failed; nothing is left behind then.
    ///
    /// # Cancel safety
    /// A dropped future may leave a workspace behind; [`list`](Self::list) shows it.
    async fn create(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError>;
    /// Returns a digest over every file of the workspace, ignored ones included: equal only if nothing changed.
    ///
    /// # Errors
    /// [`WorkspaceError::Other`] if the tree cannot be read.
    async fn digest(&self, workspace: &Workspace) -> Result<String, WorkspaceError>;
    /// Returns everything that differs from the base, after removing `litter` (names a sandbox leaves behind).
    ///
    /// # Errors
    /// [`WorkspaceError::PatchTooLarge`], [`WorkspaceError::Other`].
    ///
    /// # Cancel safety
    /// Can be repeated.
    async fn capture(
        &self,
        workspace: &Workspace,
        litter: &[String],
    ) -> Result<Captured, WorkspaceError>;
    /// Returns what differs from the base at this moment, as [`capture`](Self::capture) would, but changes nothing: an
    /// agent may be writing meanwhile. No hook runs, nothing is removed.
    ///
    /// # Errors
    /// [`WorkspaceError::PatchTooLarge`]; [`WorkspaceError::Other`], also where a file went while it was read.
    ///
    /// # Cancel safety
    /// Can be repeated.
    async fn peek(&self, workspace: &Workspace) -> Result<Captured, WorkspaceError>;
    /// Keeps whatever differs from the base under a ref, committed or not, and returns the ref; `None` if nothing does.
    ///
    /// # Errors
    /// [`WorkspaceError::Other`]; the workspace must stay then.
    async fn salvage(&self, workspace: &Workspace) -> Result<Option<String>, WorkspaceError>;
    /// Removes (or takes back into the pool) a workspace whose content is known to be safe.
    ///
    /// # Errors
    /// [`WorkspaceError::Other`] if something is left; calling again is safe.
    async fn remove(
        &self,
        workspace: Workspace,
        reason: &RemovalReason,
    ) -> Result<(), WorkspaceError>;
    /// Returns what is there, whoever left it.
    ///
    /// # Errors
    /// [`WorkspaceError::Other`] if the folder cannot be read.
    async fn list(&self) -> Result<Vec<Workspace>, WorkspaceError>;
}

/// Why a workspace could not be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// There is no such branch.
    #[error("target `{target}` is not a branch of the repository: {hint}")]
    UnknownTarget {
        /// The target.
        target: Target,
        /// What to do.
        hint: String,
    },
    /// git is missing, too old or refuses the repository.
    #[error("git cannot be used here: {reason}")]
    Git {
        /// Why, and what to do.
        reason: String,
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
    /// A hook failed.
    #[error("hook {hook} failed for {issue}: {detail}")]
    Hook {
        /// Its name.
        hook: String,
        /// The issue.
        issue: IssueKey,
        /// What it said.
        detail: String,
    },
    /// More differs than a patch may hold.
    #[error("the work on {issue} differs by more than {limit} bytes: it is kept in {path}", path = path.display())]
    PatchTooLarge {
        /// The issue.
        issue: IssueKey,
        /// The limit.
        limit: u64,
        /// Where it lies.
        path: PathBuf,
    },
    /// Anything else.
    #[error("could not {operation}")]
    Other {
        /// What was tried, on what.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_plain_branch_name() {
        for good in ["main", "release/2026.1", "サイト"] {
            assert!(Target::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "HEAD",
            "-x",
            "a..b",
            "a b",
            "a~1",
            "x.lock",
            "refs/../x",
            "a/.b",
            "@{u}",
            "a\nb",
        ] {
            assert!(Target::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_patch_is_named_by_its_bytes() {
        let p = Patch::new(b"x".to_vec());
        assert_eq!(p.id(), &PatchId::of(b"x"));
        assert_eq!(format!("{p:?}"), "Patch(2d711642b726, 1 bytes)");
    }
}
