//! How a run ended and what it used.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;

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
