//! What an agent is asked for in each of its roles, and what it may use.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use super::Budget;
use crate::agent::RunLimits;
use crate::agent::TaskKind;

/// A part of the pipeline that agents are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentRole {
    /// Reads new issues.
    Triage,
    /// Inspects the repository, read-only.
    Check,
    /// Does the work.
    Implement,
    /// Drafts issues for plan items.
    Plan,
    /// Explains failures.
    Analysis,
}

impl AgentRole {
    /// Returns the role a task belongs to; `None` for a repair, which belongs to the task it repairs.
    #[must_use]
    pub const fn of(kind: TaskKind) -> Option<Self> {
        Some(match kind {
            TaskKind::Triage => Self::Triage,
            TaskKind::LocalCheck | TaskKind::Recheck => Self::Check,
            TaskKind::Implement | TaskKind::Rework => Self::Implement,
            TaskKind::PlanDraft | TaskKind::PlanDrive => Self::Plan,
            TaskKind::FailureAnalysis => Self::Analysis,
            TaskKind::Repair => return None,
        })
    }

    /// Returns the name people write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Check => "check",
            Self::Implement => "implement",
            Self::Plan => "plan",
            Self::Analysis => "analysis",
        }
    }
}

impl fmt::Display for AgentRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an agent is asked for in one role, in place of what holds for it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleSettings {
    /// The model.
    pub model: Option<String>,
    /// The limits of one run.
    pub limits: Option<RunLimits>,
}

/// What one agent may use and which model it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentSettings {
    /// The model.
    pub model: Option<String>,
    /// The limits of one run.
    pub limits: RunLimits,
    /// What differs by role.
    pub roles: BTreeMap<AgentRole, RoleSettings>,
    /// What all its runs of a day may use.
    pub day: Budget,
    /// Its most runs at a time.
    pub in_flight: Option<u32>,
}

impl AgentSettings {
    /// Returns the limits of one run in a role.
    #[must_use]
    pub fn limits(&self, role: AgentRole) -> RunLimits {
        let own = self.roles.get(&role).and_then(|r| r.limits);
        own.unwrap_or(self.limits)
    }

    /// Returns the model of a role.
    #[must_use]
    pub fn model(&self, role: AgentRole) -> Option<&str> {
        let own = self.roles.get(&role).and_then(|r| r.model.as_deref());
        own.or(self.model.as_deref())
    }
}
