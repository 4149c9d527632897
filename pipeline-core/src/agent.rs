//! The seam to a coding agent.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

use crate::BoxError;
use crate::clock::Timestamp;
use crate::issue::IssueKey;
use crate::process::ProcessIdentity;

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

/// How far an agent's own sandbox can be opened towards the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoopbackReach {
    /// To one address of it, with all ports that listen there.
    Address,
    /// To one port of `127.0.0.1`, and nothing else.
    Port {
        /// Where commands see it.
        seen_as: SocketAddr,
    },
}

impl LoopbackReach {
    /// Says for people how narrow it is.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Address => "one address of the loopback",
            Self::Port { .. } => "one port of the loopback",
        }
    }
}

/// What a run has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Money, in millionths of a US dollar, where the agent tells.
    pub cost_micros: Option<u64>,
    /// Wall time in milliseconds.
    pub millis: u64,
}

/// A command the agent reported to have run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutedCommand {
    /// The command line as reported.
    pub command: String,
    /// Its exit code, where reported.
    pub exit_code: Option<i32>,
}

/// How a run ended. Expected endings are values; an error only ever means the infrastructure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentOutcome {
    /// It did what was asked.
    Completed,
    /// It needs a person's answer first.
    NeedsInput {
        /// Its question.
        question: String,
    },
    /// The answer did not fit the schema, or was not JSON.
    SchemaViolation {
        /// What is wrong with it.
        detail: String,
    },
    /// The model declined.
    Refused {
        /// Its words.
        detail: String,
    },
    /// The provider asks to slow down.
    RateLimited {
        /// When to come back.
        until: Option<Timestamp>,
    },
    /// The account's quota is used up.
    UsageLimit {
        /// When it is filled again, where known.
        until: Option<Timestamp>,
    },
    /// The provider does not accept the credential.
    AuthenticationFailed {
        /// What it said, without the credential.
        detail: String,
    },
    /// The task does not fit the model's window.
    ContextOverflow,
    /// No sign of life for the stall time.
    Stalled,
    /// The deadline passed.
    Deadline,
    /// A token or money limit was reached.
    OverBudget,
    /// The caller ended it.
    Cancelled,
    /// It wrote more than it may.
    Flooded,
    /// The program ended without an outcome.
    Crashed {
        /// Its exit code; `None` if a signal ended it.
        code: Option<i32>,
        /// The last of what it wrote to standard error.
        stderr: String,
    },
    /// The model's service failed otherwise: an error of its own, a broken connection, an answer cut off.
    ProviderFailed {
        /// What it said.
        detail: String,
    },
    /// It ran a command that is forbidden in this task; the run was ended.
    ProhibitedCommand {
        /// The command.
        command: String,
    },
    /// Its sandbox cannot be set up here.
    SandboxUnavailable {
        /// Why, and what to install.
        detail: String,
    },
}

/// When the same task may be given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change of input or configuration.
    No,
    /// After a pause, as one more attempt.
    Backoff,
    /// At this time (or after a default pause), and it counts as no attempt.
    Later(Option<Timestamp>),
}

impl AgentOutcome {
    /// Returns when the same task may be given again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::RateLimited { until } | Self::UsageLimit { until } => Retry::Later(*until),
            Self::Cancelled => Retry::Later(None),
            Self::SchemaViolation { .. }
            | Self::Stalled
            | Self::Deadline
            | Self::Flooded
            | Self::ProviderFailed { .. }
            | Self::Crashed { .. } => Retry::Backoff,
            Self::Completed
            | Self::NeedsInput { .. }
            | Self::Refused { .. }
            | Self::AuthenticationFailed { .. }
            | Self::ContextOverflow
            | Self::OverBudget
            | Self::ProhibitedCommand { .. }
            | Self::SandboxUnavailable { .. } => Retry::No,
        }
    }

    /// Returns the one-word reason that stands in memos (`reason:`).
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NeedsInput { .. } => "needs-input",
            Self::SchemaViolation { .. } => "schema-violation",
            Self::Refused { .. } => "refused-by-model",
            Self::RateLimited { .. } => "rate-limit",
            Self::UsageLimit { .. } => "usage-limit",
            Self::AuthenticationFailed { .. } => "authentication-failed",
            Self::ContextOverflow => "context-overflow",
            Self::Stalled => "stalled",
            Self::Deadline => "deadline",
            Self::OverBudget => "over-budget",
            Self::Cancelled => "cancelled",
            Self::Flooded => "flooded",
            Self::Crashed { .. } => "crashed",
            Self::ProviderFailed { .. } => "provider-failed",
            Self::ProhibitedCommand { .. } => "prohibited-command",
            Self::SandboxUnavailable { .. } => "sandbox-unavailable",
        }
    }
}

impl fmt::Display for AgentOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::NeedsInput { question } => write!(f, "needs an answer first: {question}"),
            Self::SchemaViolation { detail } => write!(f, "answered outside the schema: {detail}"),
            Self::Refused { detail } => write!(f, "the model declined: {detail}"),
            Self::RateLimited { until: Some(t) } => write!(f, "rate limited until {t}"),
            Self::RateLimited { until: None } => f.write_str("rate limited"),
            Self::UsageLimit { until: Some(t) } => write!(f, "usage limit reached until {t}"),
            Self::UsageLimit { until: None } => f.write_str("usage limit reached"),
            Self::AuthenticationFailed { detail } => {
                write!(f, "the provider does not accept the credential: {detail}")
            }
            Self::ContextOverflow => f.write_str("the task does not fit the model's window"),
            Self::Stalled => f.write_str("no sign of life for the stall time"),
            Self::Deadline => f.write_str("the deadline passed"),
            Self::OverBudget => f.write_str("a token or money limit was reached"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Flooded => f.write_str("wrote more output than it may"),
            Self::Crashed {
                code: Some(code),
                stderr,
            } => {
                write!(f, "ended with exit code {code}: {stderr}")
            }
            Self::Crashed { code: None, stderr } => write!(f, "ended by a signal: {stderr}"),
            Self::ProviderFailed { detail } => write!(f, "the model's service failed: {detail}"),
            Self::ProhibitedCommand { command } => {
                write!(f, "ran a command that is forbidden in this task: {command}")
            }
            Self::SandboxUnavailable { detail } => {
                write!(f, "its sandbox cannot be set up: {detail}")
            }
        }
    }
}

/// What came out of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentReport {
    /// How it ended.
    pub outcome: AgentOutcome,
    /// The answer: fits the schema if the outcome is completed and a schema was given; `null` otherwise.
    pub answer: serde_json::Value,
    /// What the agent said last, for people; untrusted.
    pub message: String,
    /// What it used.
    pub usage: Usage,
    /// The commands it reported.
    pub commands: Vec<ExecutedCommand>,
    /// The session that a later task may go on with.
    pub session: Option<String>,
    /// Anything else worth a line in the log, by name.
    pub notes: BTreeMap<String, String>,
}

impl AgentReport {
    /// Makes a report of an ending without an answer.
    #[must_use]
    pub fn of(outcome: AgentOutcome) -> Self {
        Self {
            outcome,
            answer: serde_json::Value::Null,
            message: String::new(),
            usage: Usage::default(),
            commands: Vec::new(),
            session: None,
            notes: BTreeMap::new(),
        }
    }
}

/// How well an agent is held in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confinement {
    /// By a mechanism, named for people.
    Confined {
        /// The mechanism (`bubblewrap`, `own sandbox`).
        by: String,
    },
    /// By nothing; memo and `doctor` say so.
    Unconfined,
}

/// Which kind of workspace an agent is safe in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceKind {
    /// A worktree that shares the repository's git directory.
    DetachedWorktree,
    /// A clone with a git directory of its own.
    SeparateClone,
}

/// What an agent can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCapabilities {
    /// A read-only task cannot write, by mechanism.
    pub enforces_read_only: bool,
    /// The answer is constrained to the schema by the agent itself (it is validated in any case).
    pub structured_output: bool,
    /// It can look at images.
    pub images: bool,
    /// It can change files. False for a bare model.
    pub edits_files: bool,
    /// It can go on with a session.
    pub resumes: bool,
    /// The workspace it is safe in.
    pub workspace: WorkspaceKind,
    /// How it is held in.
    pub confinement: Confinement,
    /// File names its sandbox leaves in the workspace; removed before the diff if they are new and empty.
    pub litter: Vec<String>,
}

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
