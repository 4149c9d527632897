//! What a team decides; plain data, read by the binaries from `pipeline.toml`.

mod agents;
mod brakes;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::agent::RunLimits;
use crate::answer_fields::AnswerFields;
use crate::clock::Timestamp;
use crate::gate::Person;
use crate::issue::AccountRef;
use crate::issue::Issue;
use crate::lock::Integrator;
use crate::start::StartRules;
use crate::status::Status;
use crate::workspace::Target;

pub use self::agents::AgentRole;
pub use self::agents::AgentSettings;
pub use self::agents::RoleSettings;
pub use self::brakes::Brakes;
pub use self::brakes::Budget;

/// Which issues exist for us. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// At least one of these labels or categories.
    pub labels: Vec<String>,
    /// One of these issue types.
    pub kinds: Vec<String>,
    /// Assigned to one of these accounts.
    pub assignees: Vec<AccountRef>,
    /// Filed after this time (`init` writes the time it ran).
    pub created_after: Option<Timestamp>,
}

impl Scope {
    /// Returns whether an issue is ours to look at.
    #[must_use]
    pub fn contains(&self, issue: &Issue) -> bool {
        let label = self.labels.is_empty() || issue.labels.iter().any(|l| self.labels.contains(l));
        let kind =
            self.kinds.is_empty() || issue.kind.as_ref().is_some_and(|k| self.kinds.contains(k));
        let assignee = self.assignees.is_empty()
            || issue
                .assignee
                .as_ref()
                .is_some_and(|a| self.assignees.iter().any(|r| r.names(a)));
        let new = self
            .created_after
            .is_none_or(|after| issue.created >= after);
        label && kind && assignee && new
    }
}

/// Which branch an issue is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    /// The branch `init` wrote down.
    pub default: Target,
    /// By label, category or milestone; the first that fits decides.
    pub rules: Vec<(String, Target)>,
}

impl Targets {
    /// Returns the target of an issue.
    #[must_use]
    pub fn of(&self, issue: &Issue) -> &Target {
        self.rules
            .iter()
            .find(|(name, _)| issue.labels.contains(name) || issue.milestone.as_ref() == Some(name))
            .map_or(&self.default, |(_, target)| target)
    }

    /// Returns every target, each once.
    #[must_use]
    pub fn all(&self) -> Vec<Target> {
        let mut all = vec![self.default.clone()];
        for (_, target) in &self.rules {
            if !all.contains(target) {
                all.push(target.clone());
            }
        }
        all
    }
}

/// A place where one run at a time can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name (`codex-1`).
    pub name: String,
    /// The configured agent that works in it.
    pub agent: String,
    /// Who works in it while the agent before is paused, in this order.
    pub fallbacks: Vec<String>,
}

impl Slot {
    /// Makes a slot in which one agent works.
    #[must_use]
    pub fn new(name: impl Into<String>, agent: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            agent: agent.into(),
            fallbacks: Vec::new(),
        }
    }

    /// Returns who may work in it, in order.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.agent)
            .chain(&self.fallbacks)
            .map(String::as_str)
    }
}

/// Which agent reads, in order: the next one while the one before is paused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// Triage.
    pub triage: Vec<String>,
    /// Local check and re-check.
    pub check: Vec<String>,
}

/// What a team decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The repository's name in lock memos.
    pub repo: String,
    /// Which issues exist for us.
    pub scope: Scope,
    /// Who may start what.
    pub start: StartRules,
    /// Most issues one tick works on.
    pub max_issues_per_tick: usize,
    /// Most re-checks per issue and day.
    pub max_rechecks: usize,
    /// Most attempts per round.
    pub max_attempts: u32,
    /// Most failing answers of a reading stage on the same text before a person has to look.
    pub max_failures: u32,
    /// Most patches that are verified at once; 1 = each by itself.
    pub max_batch: usize,
    /// Which agent reads.
    pub roles: Roles,
    /// Where runs are made; as many at a time as there are slots.
    pub slots: Vec<Slot>,
    /// What each agent may use and asks for; the defaults otherwise.
    pub agents: BTreeMap<String, AgentSettings>,
    /// What is spent at most, over all runs.
    pub brakes: Brakes,
    /// Who integrates here.
    pub integrator: Integrator,
    /// Which branch an issue is meant for.
    pub targets: Targets,
    /// Paths (globs) that read-only workspaces must not contain.
    pub exclude: Vec<String>,
    /// The author of an agent's commits, by agent; the integrator's own otherwise.
    pub authors: BTreeMap<String, Person>,
    /// The commit message; `{issue}`, `{title}` and `{url}` are replaced.
    pub message: String,
    /// Where an issue goes after its round has landed.
    pub after_landing: Option<Status>,
    /// How often a running issue is read again.
    pub watch_interval: Duration,
    /// Names of text files at the base whose content enters the prompts.
    pub context: Vec<String>,
    /// Further prohibitions for read-only tasks.
    pub prohibitions: Vec<String>,
    /// Fields that the reading tasks are asked for besides the built-in ones.
    pub fields: AnswerFields,
    /// Prompt templates that replace the built-in ones, by name.
    pub prompts: BTreeMap<String, String>,
    /// Files at the base that replace them, by name; they come before [`Self::prompts`].
    pub base_prompts: BTreeMap<String, String>,
    /// What a person types to run the binary, for the sentences in memos.
    pub command: String,
}

impl Settings {
    /// Makes settings with the defaults for one repository and target.
    #[must_use]
    pub fn new(repo: impl Into<String>, target: Target, integrator: Integrator) -> Self {
        Self {
            repo: repo.into(),
            scope: Scope::default(),
            start: StartRules::default(),
            max_issues_per_tick: 5,
            max_rechecks: 5,
            max_attempts: 3,
            max_failures: 3,
            max_batch: 1,
            roles: Roles::default(),
            slots: Vec::new(),
            agents: BTreeMap::new(),
            brakes: Brakes::default(),
            integrator,
            targets: Targets {
                default: target,
                rules: Vec::new(),
            },
            exclude: Vec::new(),
            authors: BTreeMap::new(),
            message: "{title}\n\nIssue: {issue}".into(),
            after_landing: None,
            watch_interval: Duration::from_secs(60),
            context: Vec::new(),
            prohibitions: Vec::new(),
            fields: AnswerFields::default(),
            prompts: BTreeMap::new(),
            base_prompts: BTreeMap::new(),
            command: "issue-pipeline".into(),
        }
    }

    /// Returns the limits of one run of an agent in a role.
    #[must_use]
    pub fn limits(&self, agent: &str, role: AgentRole) -> RunLimits {
        self.agents
            .get(agent)
            .map_or_else(RunLimits::default, |a| a.limits(role))
    }

    /// Returns the model an agent is asked to use in a role, where one is named.
    #[must_use]
    pub fn model(&self, agent: &str, role: AgentRole) -> Option<&str> {
        self.agents.get(agent)?.model(role)
    }
}
