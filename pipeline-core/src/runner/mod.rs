//! The seam to one run of one issue: from a pinned base to a patch.

mod local;
mod table;

use std::fmt;
use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

use crate::BoxError;
use crate::agent::AgentReport;
use crate::agent::Confinement;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::settings::AgentRole;
use crate::workspace::BaseRevision;
use crate::workspace::Patch;

pub use self::local::LocalRunner;
pub use self::table::Begin;
pub use self::table::RunTable;

/// One run to be made. Serialises; holds no secret and no command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Its id: running the same id again gives the same result and starts nothing twice.
    pub run: RunId,
    /// Names the repository (as in lock memos), so that a worker knows which one is meant.
    pub repo: String,
    /// The issue.
    pub issue: IssueKey,
    /// When it was asked for.
    pub asked: Timestamp,
    /// The configured agent.
    pub agent: String,
    /// The worker slot (`codex-1`).
    pub slot: String,
    /// What is asked for.
    pub kind: TaskKind,
    /// Where it starts; `None` for a task that needs no repository.
    pub base: Option<BaseRevision>,
    /// Paths (globs) the workspace must not contain.
    pub exclude: Vec<String>,
    /// The whole prompt.
    pub prompt: String,
    /// The schema of the answer.
    pub schema: Option<serde_json::Value>,
    /// The structured input, for agents that are programs.
    pub input: serde_json::Value,
    /// Image files the task refers to.
    pub images: Vec<PathBuf>,
    /// The model to ask for; `None` = the agent's own choice.
    #[serde(default)]
    pub model: Option<String>,
    /// A session to go on with. A rework without one goes on with the session of the round's last run, if there is one.
    pub session: Option<String>,
    /// The round it belongs to; `None` for a task that only reads.
    #[serde(default)]
    pub round: Option<EventId>,
    /// Limits.
    pub limits: RunLimits,
}

impl RunRequest {
    /// Returns what the run may write.
    #[must_use]
    pub const fn mode(&self) -> RunMode {
        self.kind.mode()
    }
}

/// What came out of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run.
    pub run: RunId,
    /// The agent's report, outcome included.
    pub report: AgentReport,
    /// What differs from the base; `None` for a read-only run.
    pub patch: Option<Patch>,
    /// The paths touched.
    pub touched: Vec<String>,
    /// How the agent was held in.
    pub confinement: Confinement,
    /// A read-only run changed its tree: its answer is void.
    pub tree_changed: bool,
    /// The workspace that was kept because its content could not be made safe.
    pub kept: Option<Kept>,
    /// When the run began and ended.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// Work that could not be captured as a patch, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The ref that keeps it; `None` = only its workspace does, which therefore stays.
    pub reference: Option<String>,
    /// Where it is and why it could not be captured.
    pub detail: String,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "{reference} ({})", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

/// A run that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRun {
    /// The run.
    pub run: RunId,
    /// The issue.
    pub issue: IssueKey,
    /// The slot it occupies.
    pub slot: String,
    /// The agent it uses.
    pub agent: String,
    /// The role it uses it in.
    pub role: AgentRole,
    /// When it began.
    pub began: Timestamp,
}

/// Makes runs.
///
/// # Contract
/// - Idempotent in the run id.
/// - The patch is stored by the caller before the run's workspace may go; a runner that has removed the workspace
///   returns the bytes.
/// - An agent's outcome is a result; an error only ever means the infrastructure.
/// - Lock beats stay with the caller.
#[async_trait]
pub trait Runner: Debug + Send + Sync + 'static {
    /// Makes the run.
    ///
    /// # Errors
    /// [`RunnerError`] where the infrastructure failed.
    ///
    /// # Cancel safety
    /// Dropping the future ends the agent; what it had written is salvaged at the next start.
    async fn run(&self, request: &RunRequest) -> Result<RunResult, RunnerError>;
    /// Returns what came out of a run that has ended on this machine, whoever made it.
    ///
    /// # Errors
    /// [`RunnerError`] if its record is damaged.
    async fn finished(&self, run: &RunId) -> Result<Option<RunResult>, RunnerError>;
    /// Ends a run, wherever it is; unknown runs are fine.
    ///
    /// # Errors
    /// [`RunnerError`] if it could not be ended.
    async fn cancel(&self, run: &RunId) -> Result<(), RunnerError>;
    /// Returns what runs on this repository, over all processes.
    ///
    /// # Errors
    /// [`RunnerError`].
    async fn running(&self, repo: &str) -> Result<Vec<RunningRun>, RunnerError>;
    /// Lets go of what a finished run left, now that its patch is stored (or it had none).
    ///
    /// # Errors
    /// [`RunnerError`] if something is left; calling again is safe.
    async fn release(&self, run: &RunId) -> Result<(), RunnerError>;
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// No agent of that name.
    #[error("no agent named `{name}` is configured (there are: {known})")]
    UnknownAgent {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Nothing but its own word would keep the agent from writing.
    #[error(
        "agent {agent} cannot be given a read-only task, because nothing keeps it from writing: configure a wrapper, or say `unconfined = true` for it"
    )]
    NotReadOnly {
        /// The agent.
        agent: String,
    },
    /// The agent cannot be run.
    #[error("the agent could not be run for {issue}")]
    Agent {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: crate::agent::AgentError,
    },
    /// The workspace could not be had.
    #[error("no workspace for {issue}")]
    Workspace {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: crate::workspace::WorkspaceError,
    },
    /// Anything else.
    #[error("could not {operation}")]
    Other {
        /// What was tried.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}
