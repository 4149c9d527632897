//! `[agents.NAME]` and `[roles]`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use pipeline_core::settings::AgentRole;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use super::BudgetSection;
use crate::config::Period;
use crate::config::SecretSource;
use crate::config::model::Wrapper;

/// `[agents.NAME]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSection {
    /// Which adapter.
    pub kind: AgentKind,
    /// The program and its arguments, for `command`; for `codex` and `claude` the program alone, where it is not on the
    /// search path.
    pub command: Vec<String>,
    /// The model to ask for.
    pub model: Option<String>,
    /// Where the model is served, if not at the maker's.
    pub base_url: Option<String>,
    /// The model's credential.
    pub key: Option<SecretSource>,
    /// The file of a login that is used instead of a key, for `codex`.
    pub login: Option<PathBuf>,
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
    /// The service, for `api`.
    pub api: ApiSection,
    /// Brakes.
    pub limits: RunLimitsSection,
    /// What differs by stage.
    pub stages: BTreeMap<AgentStage, StageOverrides>,
}

/// A stage that agents are given, as it stands in `[agents.NAME.stages.STAGE]`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentStage {
    /// Triage.
    Triage,
    /// The local check.
    Check,
    /// The work itself.
    Implement,
}

impl AgentStage {
    /// Returns the role.
    #[must_use]
    pub const fn role(self) -> AgentRole {
        match self {
            Self::Triage => AgentRole::Triage,
            Self::Check => AgentRole::Check,
            Self::Implement => AgentRole::Implement,
        }
    }
}

/// `[agents.NAME.stages.STAGE]`: what holds in one stage in place of the agent's own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StageOverrides {
    /// The model to ask for.
    pub model: Option<String>,
    /// The whole run.
    pub deadline: Option<Period>,
    /// The longest silence.
    pub stall: Option<Period>,
    /// The most output, in MiB.
    pub output_mib: Option<u32>,
    /// The most tokens, in and out.
    pub tokens: Option<u64>,
    /// The most money, in US dollars.
    pub cost_usd: Option<f64>,
}

/// The adapters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentKind {
    /// Any program that reads a task as JSON.
    #[default]
    Command,
    /// OpenAI's `codex`.
    Codex,
    /// Anthropic's `claude`.
    Claude,
    /// A bare model behind a web service, for judgment alone.
    Api,
}

/// `[agents.NAME.api]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSection {
    /// The address below which the service's endpoint lies.
    pub url: Option<String>,
    /// What it speaks.
    pub wire: ApiWire,
    /// Where its key is.
    pub key: Option<SecretSource>,
    /// The most tokens of one answer.
    pub output_tokens: u64,
    /// What a million tokens read cost, in US dollars.
    pub input_usd: Option<f64>,
    /// What a million tokens out of its cache cost; absent = as the others.
    pub cached_usd: Option<f64>,
    /// What a million tokens written cost.
    pub output_usd: Option<f64>,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            url: None,
            wire: ApiWire::Responses,
            key: None,
            output_tokens: 8192,
            input_usd: None,
            cached_usd: None,
            output_usd: None,
        }
    }
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiWire {
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
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
    /// Its most runs at a time.
    pub in_flight: Option<u32>,
    /// What all its runs of a day may use.
    pub day: BudgetSection,
}

impl Default for RunLimitsSection {
    fn default() -> Self {
        Self {
            deadline: Period::mins(60),
            stall: Some(Period::mins(10)),
            output_mib: 16,
            tokens: None,
            cost_usd: None,
            in_flight: None,
            day: BudgetSection::default(),
        }
    }
}

/// Agents by name, in order: one, or a list of which the next is used while the one before is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOrder(Vec<String>);

impl AgentOrder {
    /// Returns the names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl Serialize for AgentOrder {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(s),
            several => several.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for AgentOrder {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        match Written::deserialize(d) {
            Ok(Written::One(name)) => Ok(Self(vec![name])),
            Ok(Written::Several(names)) if !names.is_empty() => Ok(Self(names)),
            _ => Err(serde::de::Error::custom(
                "the name of an agent stands here, or a list of names in order: [\"one\", \"another\"]",
            )),
        }
    }
}

impl JsonSchema for AgentOrder {
    fn schema_name() -> Cow<'static, str> {
        "AgentOrder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"] })
    }
}

/// `[roles]`: agents by name; absent = the only agent there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RolesSection {
    /// Reads new issues.
    pub triage: Option<AgentOrder>,
    /// Inspects the repository read-only.
    pub check: Option<AgentOrder>,
    /// Does the work, wherever `[workers] agents` says nothing else.
    pub implement: Option<AgentOrder>,
}
