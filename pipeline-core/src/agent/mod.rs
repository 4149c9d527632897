//! The seam to a coding agent.

mod capabilities;
mod report;
mod task;

use std::fmt::Debug;

use async_trait::async_trait;

use crate::BoxError;
use crate::process::ProcessIdentity;

pub use self::capabilities::AgentCapabilities;
pub use self::capabilities::Confinement;
pub use self::capabilities::LoopbackReach;
pub use self::capabilities::WorkspaceKind;
pub use self::report::AgentOutcome;
pub use self::report::AgentReport;
pub use self::report::ExecutedCommand;
pub use self::report::Retry;
pub use self::report::Usage;
pub use self::task::AgentTask;
pub use self::task::Loopback;
pub use self::task::RunId;
pub use self::task::RunLimits;
pub use self::task::RunMode;
pub use self::task::TaskKind;

/// What an agent tells while it runs. Called from its own task: return quickly, never block.
pub trait AgentWatch: Debug + Send + Sync {
    /// A child process was started; called before anything is sent to it, so that it can be journaled.
    fn started(&self, process: &ProcessIdentity);
    /// Something happened that a person may want to see; one line, untrusted.
    fn progress(&self, line: &str);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl AgentWatch for Unwatched {
    fn started(&self, _process: &ProcessIdentity) {}
    fn progress(&self, _line: &str) {}
}

/// A coding agent that can be given one task in one directory.
///
/// # Contract
/// - Its processes see a cleared environment plus variables named in its configuration; never the tracker's token.
/// - It ends within its limits, with its whole process tree.
/// - A read-only task leaves the tree as it was if `enforces_read_only` is declared.
/// - Everything the program wrote is hostile until parsed; nothing of it ends the caller.
#[async_trait]
pub trait Agent: Debug + Send + Sync + 'static {
    /// Returns its configured name.
    fn name(&self) -> &str;
    /// Returns what it can do.
    fn capabilities(&self) -> AgentCapabilities;
    /// Returns how far its sandbox can be opened towards the loopback, for a task that [drives](TaskKind::PlanDrive).
    ///
    /// `None`: it cannot be held to the loopback here, and is given no such task.
    fn loopback(&self) -> Option<LoopbackReach> {
        None
    }
    /// Runs `task` to its end.
    ///
    /// # Errors
    /// Only where the infrastructure failed: the program cannot be started, the state directory cannot be written.
    ///
    /// # Cancel safety
    /// Dropping the future ends the agent's whole process tree.
    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError>;
}

/// Why an agent could not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// Its program is not there.
    #[error(
        "agent {agent}: cannot start `{program}`: install it or correct its path in the configuration"
    )]
    NotInstalled {
        /// The agent.
        agent: String,
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// Its version is too old.
    #[error("agent {agent}: version {found} is too old, {needed} or newer is needed")]
    TooOld {
        /// The agent.
        agent: String,
        /// What is installed.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// It cannot do such a task.
    #[error("agent {agent} cannot {operation}")]
    Unsupported {
        /// The agent.
        agent: String,
        /// What was asked.
        operation: String,
    },
    /// Anything else below it.
    #[error("agent {agent} could not {operation}")]
    Other {
        /// The agent.
        agent: String,
        /// What was tried.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}

impl AgentError {
    /// Returns whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Other { .. })
    }
}
