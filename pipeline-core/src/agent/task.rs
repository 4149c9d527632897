//! What an agent is given: a run, its task and its limits.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::agent::Usage;
use crate::issue::IssueKey;

/// The name of one run of one issue; also planted in the environment of its children.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// Makes a new, random id.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("run-{}", &crate::random::nonce()[..16]))
    }

    /// Names the checks of a tree, the same for the same folder: whoever comes next to the folder finds by it what the
    /// checks of a killed process left running there, with [`sweep`](crate::process::sweep()).
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::agent::RunId;
    ///
    /// let tree = std::path::Path::new("/state/verify/main/tree");
    /// assert_eq!(RunId::of_checks(tree), RunId::of_checks(tree));
    /// assert_ne!(RunId::of_checks(tree), RunId::random());
    /// ```
    #[must_use]
    pub fn of_checks(tree: &Path) -> Self {
        let digest = hex::encode(Sha256::digest(tree.as_os_str().as_bytes()));
        Self(format!("checks-{}", digest.get(..16).unwrap_or_default()))
    }

    /// Checks and wraps an id: 1 to 64 letters, digits and `-`.
    ///
    /// # Errors
    /// The sentence that says what is expected.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text = text.into();
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-');
        if ok {
            Ok(Self(text))
        } else {
            Err("expected a run id: 1 to 64 letters, digits or `-`")
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the agent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Read the issue, say how it is understood.
    Triage,
    /// Inspect the repository read-only.
    LocalCheck,
    /// Inspect it again after a person wrote.
    Recheck,
    /// Do the work.
    Implement,
    /// Do it again after a rejected patch.
    Rework,
    /// Answer again, because the last answer did not fit the schema.
    Repair,
    /// Write issue drafts for plan items.
    PlanDraft,
    /// Make the issues of a plan through the loopback credential broker: the only kind with a network, and only the
    /// loopback where the agent can be confined to it. Its folder holds the plan and context documents, no repository.
    PlanDrive,
    /// Explain a failure from a log window.
    FailureAnalysis,
}

impl TaskKind {
    /// Returns what the agent may do to the tree.
    #[must_use]
    pub const fn mode(self) -> RunMode {
        match self {
            Self::Implement | Self::Rework => RunMode::Implement,
            Self::Triage
            | Self::LocalCheck
            | Self::Recheck
            | Self::Repair
            | Self::PlanDraft
            | Self::PlanDrive
            | Self::FailureAnalysis => RunMode::ReadOnly,
        }
    }
}

/// What a run may do to its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// Nothing is written.
    ReadOnly,
    /// Files of the workspace may change; the difference is the patch.
    Implement,
}

/// Limits of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLimits {
    /// The whole run, wall time.
    pub deadline: Duration,
    /// Longest silence before the run counts as stalled.
    pub stall: Option<Duration>,
    /// Most bytes of standard output.
    pub output_bytes: u64,
    /// Most tokens, in and out.
    pub tokens: Option<u64>,
    /// Most money, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(3600),
            stall: Some(Duration::from_secs(600)),
            output_bytes: 16 << 20,
            tokens: None,
            cost_micros: None,
        }
    }
}

impl RunLimits {
    /// Returns whether a run used more than it was allowed: that it came to an end does not make it a success.
    #[must_use]
    pub fn is_over(&self, usage: &Usage) -> bool {
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.tokens.is_some_and(|most| tokens > most)
            || self
                .cost_micros
                .is_some_and(|most| usage.cost_micros.is_some_and(|cost| cost > most))
    }
}

/// One task for one agent in one directory. Holds no secret and no command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTask {
    /// The run it belongs to.
    pub run: RunId,
    /// The issue.
    pub issue: IssueKey,
    /// What is asked for.
    pub kind: TaskKind,
    /// What may be written.
    pub mode: RunMode,
    /// The whole prompt; untrusted parts are fenced by a nonce of this run.
    pub prompt: String,
    /// The JSON schema the answer must fit, where one is asked for.
    pub schema: Option<serde_json::Value>,
    /// The same input as structured data, for agents that are programs and not models.
    pub input: serde_json::Value,
    /// The directory to work in; `None` for a task that needs no files (triage).
    pub workdir: Option<PathBuf>,
    /// Image files the task refers to.
    pub images: Vec<PathBuf>,
    /// The model to ask for; `None` = the one the agent asks for by itself.
    pub model: Option<String>,
    /// A session to go on with, if the agent still has it.
    pub session: Option<String>,
    /// A private directory for the agent's own state (HOME-like), kept while its session may be resumed.
    pub state_dir: Option<PathBuf>,
    /// The place on the loopback that the task's commands may reach; only in a task that [drives](TaskKind::PlanDrive).
    #[serde(default)]
    pub loopback: Option<Loopback>,
    /// Limits.
    pub limits: RunLimits,
}

/// The one place on the loopback that the commands of a task may reach, and what they are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loopback {
    /// Where it is on this machine.
    pub address: SocketAddr,
    /// Variables that commands see: no secrets, only where to call and a placeholder that is worthless elsewhere.
    pub variables: BTreeMap<String, String>,
}
