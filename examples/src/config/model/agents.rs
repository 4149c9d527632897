//! `[agents.NAME]` and `[roles]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Period;
use crate::config::SecretSource;
use crate::config::model::Wrapper;

/// `[agents.NAME]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSection {
    /// Which adapter.
    pub kind: AgentKind,
    /// The program and its arguments, for `command`.
    pub command: Vec<String>,
    /// The model to ask for.
    pub model: Option<String>,
    /// The name that stands as author of its commits.
    pub author: Option<String>,
    /// Names of variables it sees.
    pub env: Vec<String>,
    /// Variables it sees whose value is a secret found elsewhere.
    pub secrets: BTreeMap<String, SecretSource>,
    /// How it is held in; absent = as `[sandbox]` says.
    pub wrapper: Option<Wrapper>,
    /// Paths it may read besides its workspace (its own files, toolchains).
    pub read: Vec<PathBuf>,
    /// It may be used although nothing holds it in.
    pub unconfined: bool,
    /// It may reach the network from inside its wrapper.
    pub network: bool,
    /// The kind of workspace it is safe in.
    pub workspace: WorkspaceChoice,
    /// Brakes of one run.
    pub limits: RunLimitsSection,
}

/// The adapters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentKind {
    /// Any program that reads a task as JSON.
    #[default]
    Command,
}

/// Which kind of workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceChoice {
    /// A detached worktree.
    #[default]
    Worktree,
    /// A clone with a git directory of its own.
    Clone,
}

/// `[agents.NAME.limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunLimitsSection {
    /// The whole run.
    pub deadline: Period,
    /// The longest silence.
    pub stall: Option<Period>,
    /// The most output, in MiB.
    pub output_mib: u32,
    /// The most tokens, in and out.
    pub tokens: Option<u64>,
    /// The most money, in US dollars.
    pub cost_usd: Option<f64>,
}

impl Default for RunLimitsSection {
    fn default() -> Self {
        Self {
            deadline: Period::mins(60),
            stall: Some(Period::mins(10)),
            output_mib: 16,
            tokens: None,
            cost_usd: None,
        }
    }
}

/// `[roles]`: agents by name; absent = the only agent there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RolesSection {
    /// Reads new issues.
    pub triage: Option<String>,
    /// Inspects the repository read-only.
    pub check: Option<String>,
    /// Does the work, wherever `[workers] agents` says nothing else.
    pub implement: Option<String>,
}
